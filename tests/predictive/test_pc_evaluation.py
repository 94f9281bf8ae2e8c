"""Evaluation helpers: accuracy, test energies, every step of inference, norms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.integrate.tableaus import METHODS, Tableau
from brainmass_delays.predictive import (
    Dense,
    accuracy,
    activity_norms,
    compute_activity_grad,
    compute_pc_param_grads,
    descend_inference,
    evaluate_discriminative,
    evaluate_generative,
    evaluate_hybrid,
    inference_energies,
    init_activities_with_ffwd,
    linear_activity_hessian,
    linear_equilibrium_activities,
    make_mlp,
    parameter_norms,
    pc_energy,
    solve_inference,
    update_activities,
)

SIZES = [4, 6, 5, 3]
PARAMS = jax.tree.map(lambda w: np.asarray(w, float), (make_mlp(jax.random.key(0), SIZES, "tanh"), None))
X, Y = np.random.default_rng(0).normal(size=(7, 4)), np.eye(3)[np.arange(7) % 3]


@pytest.fixture
def start():
    """Give the feedforward pass in double precision."""
    return init_activities_with_ffwd(PARAMS, X)


def test_accuracy_by_hand():
    scores = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert accuracy(scores, jnp.array([1, 1, 1, 0])) == 0.75
    assert accuracy(scores, jnp.eye(2)[jnp.array([1, 1, 1, 0])]) == 0.75
    with pytest.raises(ArgumentError, match="accuracy.labels: must have the shape of predicted"):
        accuracy(scores, jnp.ones((4, 3)))


@pytest.mark.parametrize("variant", ["pc", pytest.param("epc", marks=pytest.mark.slow)])
def test_discriminative_evaluation(start, variant):
    found = evaluate_discriminative(PARAMS, Y, X, "CE", variant=variant, inference_options={"max_t1": 200.0})
    logits = start[-1]
    assert found.accuracy == float((logits.argmax(1) == Y.argmax(1)).mean())
    np.testing.assert_allclose(found.loss, optax.softmax_cross_entropy(logits, Y).mean(), rtol=1e-12)
    assert found.energies.shape == (3,) and found.converged == 1.0
    assert found.energies.sum() < found.loss


def test_generative_evaluation_of_a_network_that_inverts_itself():
    """The generator doubles one-hot labels; its inference must find them, and its images are exact."""
    labels = jnp.eye(3)
    found = evaluate_generative([lambda z: 2 * z, lambda z: z], 2 * labels, labels)
    assert found.accuracy == 1.0 and found.loss == 0.0
    swapped = evaluate_generative([lambda z: -2 * z, lambda z: z], 2 * labels, labels)
    assert swapped.accuracy == 0.0 and swapped.loss > 1
    both = evaluate_hybrid([lambda z: 2 * z, lambda z: z], [lambda z: -z, lambda z: z], 2 * labels, labels)
    assert both == (0.0, 1.0, 1.0)


def test_bidirectional_evaluation_infers_with_both_models():
    labels = jnp.eye(3)
    params = [lambda z: 2 * z, lambda z: z], [lambda z: z / 2, lambda z: z]
    assert evaluate_generative(params, 2 * labels, labels, variant="bpc").accuracy == 1.0
    assert evaluate_discriminative(params, 2 * labels, labels, variant="bpc").accuracy == 1.0


def test_every_step_of_inference_is_recorded(start):
    found = solve_inference(PARAMS, start, Y, X, max_t1=3.0, record_steps=60)
    assert found.ts.shape == (60, 7) and found.trajectory[0].shape == (60, 7, 6)
    assert (np.diff(found.ts, axis=0) >= 0).all() and (found.ts[0] > 0).all()
    np.testing.assert_array_equal(found.ts[-1], found.t)
    for z, end in zip(found.trajectory, found.activities, strict=True):
        np.testing.assert_array_equal(z[-1], end)
    energies = inference_energies(PARAMS, found, Y, X)
    np.testing.assert_allclose(energies[-1], pc_energy(PARAMS, found.activities, Y, X, record_layers=True))
    assert (np.diff(energies.sum(1)) <= 1e-12).all()


def test_descent_is_repeated_updates(start):
    optim, z = optax.adam(0.05), list(start)
    path = descend_inference(PARAMS, start, optim, 4, Y, X, record=True)
    state = optim.init(z)
    for i in range(4):
        update = update_activities(PARAMS, z, optim, state, Y, X)
        norm = jnp.sqrt(sum((g**2).sum() for g in update.grads))
        np.testing.assert_allclose(path.energies[i], update.energy, rtol=1e-12)
        np.testing.assert_allclose(path.grad_norms[i], norm, rtol=1e-12)
        z, state = update.activities, update.opt_state
    for a, b in zip(path.activities, z, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)
    np.testing.assert_allclose(inference_energies(PARAMS, path, Y, X).sum(1), path.energies, rtol=1e-12)
    with pytest.raises(ArgumentError, match="inference_energies.found: must hold a trajectory"):
        inference_energies(PARAMS, descend_inference(PARAMS, start, optim, 1, Y, X), Y, X)


def test_a_pair_of_ones_own_solves(start):
    """Ralston's second-order method with an embedded Euler step, brought to the form whose last stage is the next first."""
    ralston = Tableau(
        order=2,
        nodes=(0.0, 2 / 3, 1.0),
        stages=((2 / 3,), (1 / 4, 3 / 4)),
        error=(-3 / 4, 3 / 4, 0.0),
        dense=METHODS["heun21"].dense,
    )
    exact = {"rtol": 1e-5, "atol": 1e-5, "max_t1": 2.0, "stop_rtol": 0.0, "stop_atol": 0.0}
    own = solve_inference(PARAMS, start, Y, X, method=ralston, **exact)
    named = solve_inference(PARAMS, start, Y, X, method="dopri5", **exact)
    np.testing.assert_allclose(own.activities[0], named.activities[0], atol=1e-4)
    assert (own.n_steps > named.n_steps).all()


def test_the_implicit_method_settles_a_stiff_network():
    """Eigenvalues from 0.005 to 320, where an explicit pair needs a hundred times as many steps, or gives up."""
    model = make_mlp(jax.random.key(0), [3, 4, 4, 2], "identity")
    params = [model[0], *(Dense(20 * layer.weight, layer.bias) for layer in model[1:])]
    x, y = np.ones((2, 3)), np.ones((2, 2))
    rates = np.linalg.eigvalsh(linear_activity_hessian(params, x))
    start, exact = init_activities_with_ffwd(params, x), linear_equilibrium_activities(params, y=y, x=x)
    options = {"max_t1": 10 / rates[0], "stop_rtol": 0.0, "stop_atol": 1e-6}
    found = solve_inference(params, start, y, x, method="radau5", **options)
    assert found.converged.all() and (found.n_steps < 200).all()
    for a, b in zip(found.activities[:-1], exact, strict=False):
        np.testing.assert_allclose(a, b, atol=1e-6 / rates[0])


def test_a_generator_of_images_is_evaluated():
    """Activities of any shape: the generator shapes eight numbers into an image of 2 x 4."""
    labels = jnp.eye(8)
    found = evaluate_generative(
        [lambda z: z, lambda z: 2 * z.reshape(2, 4)], 2 * labels.reshape(8, 2, 4), labels
    )
    assert found.accuracy == 1.0


def test_norms_by_hand(start):
    np.testing.assert_allclose(activity_norms(start), [jnp.linalg.norm(z, axis=1).mean() for z in start])
    weights = [jnp.sqrt((d.weight**2).sum() + (d.bias**2).sum()) for d in PARAMS[0]]
    np.testing.assert_allclose(parameter_norms(PARAMS), weights)
    grads = compute_pc_param_grads(PARAMS, [z + 0.1 for z in start], Y, X)
    np.testing.assert_allclose(
        parameter_norms(grads), [jnp.sqrt((d.weight**2).sum() + (d.bias**2).sum()) for d in grads[0]]
    )
    assert activity_norms(compute_activity_grad(PARAMS, start, Y, X)[1])[-1] == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"record_steps": 0}, "solve_inference.record_steps: must be a whole number"),
        (
            {"record_steps": 3, "record_at": jnp.ones(1)},
            "solve_inference.record_steps: must be None if record_at",
        ),
        ({"method": "dopri8"}, "solve_inference.method: must be one of 'dopri5'"),
    ],
)
def test_bad_records_name_themselves(start, options, message):
    with pytest.raises(ArgumentError, match=message):
        solve_inference(PARAMS, start, Y, X, **options)
