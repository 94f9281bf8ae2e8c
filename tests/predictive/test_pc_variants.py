"""Error-based and bidirectional predictive coding: another program's numbers, an oracle, closed forms."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.predictive import (
    Dense,
    activities_of_errors,
    bpc_energy,
    compute_activity_grad,
    compute_pc_param_grads,
    descend_inference,
    epc_energy,
    init_activities_with_ffwd,
    init_errors,
    linear_equilibrium_energy,
    make_mlp,
    make_pc_step,
    make_skip_model,
    pc_energy,
    solve_inference,
    trainable,
)

ARRAYS = dict(np.load(Path(__file__).parents[1] / "golden" / "predictive_variants.npz"))
L = 3


def near(found, golden, tolerance=1e-10):
    np.testing.assert_allclose(found, golden, rtol=0, atol=tolerance)


def chain(case, weight, bias, first):
    """Return the layers of one direction; layer ``first`` reads clamped data and applies no activation."""
    act = jnp.tanh if case.endswith("tanh") else lambda z: z
    return [
        Dense(
            ARRAYS[f"{case}.{weight}{l}"],
            ARRAYS.get(f"{case}.{bias}{l}"),
            act if l != first else lambda z: z,
            True,
        )
        for l in range(1, L + 1)
    ]


def numbered(case, name):
    return [jnp.asarray(ARRAYS[f"{case}.{name}{l}"]) for l in range(1, L + 1)]


def gradients_near(layers, case, prefix, weight, bias):
    for l, layer in enumerate(layers, 1):
        near(layer.weight, ARRAYS[f"{case}.{prefix}{weight}{l}"])
        if layer.bias is not None:
            near(layer.bias, ARRAYS[f"{case}.{prefix}{bias}{l}"])


@pytest.mark.parametrize("case", ["epc_tanh", "epc_linear"])
def test_error_based_numbers(case):
    params, x, y = (chain(case, "W", "b", 1), None), ARRAYS[f"{case}.x"], ARRAYS[f"{case}.y"]
    errors = numbered(case, "e")
    near(epc_energy(params, errors, y, x), ARRAYS[f"{case}.energy"])
    energy, grads = compute_activity_grad(params, errors, y, x, variant="epc")
    near(energy, ARRAYS[f"{case}.energy"])
    for l, grad in enumerate(grads[:-1], 1):
        near(grad, ARRAYS[f"{case}.grad_e{l}"])
    assert not grads[-1].any()  # the output error is inert: the published program moves it
    gradients_near(compute_pc_param_grads(params, errors, y, x, variant="epc")[0], case, "grad_", "W", "b")
    path = descend_inference(params, errors, optax.sgd(0.5), 5, y, x, variant="epc", record=True)
    near(path.energies, ARRAYS[f"{case}.held_energies"])
    for l in range(L - 1):
        near(path.trajectory[l][1], ARRAYS[f"{case}.held_step1_e{l + 1}"])
        near(path.activities[l], ARRAYS[f"{case}.held_step5_e{l + 1}"])
    grads = compute_pc_param_grads(params, path.activities, y, x, variant="epc")[0]
    gradients_near(grads, case, "held_step5_grad_", "W", "b")


@pytest.mark.parametrize("case", ["epc_tanh", "epc_linear"])
def test_error_based_equilibrium(case):
    """It is that of the activities, and there the parameter gradients agree; linear: a closed form."""
    params, x, y = (chain(case, "W", "b", 1), None), ARRAYS[f"{case}.x"], ARRAYS[f"{case}.y"]
    exact = {"rtol": 1e-10, "atol": 1e-12, "stop_rtol": 0.0, "stop_atol": 1e-10, "max_t1": 1e3}
    found = solve_inference(params, numbered(case, "e"), y, x, variant="epc", **exact)
    assert found.converged.all()
    for l in range(L - 1):
        near(found.activities[l], ARRAYS[f"{case}.held_limit_e{l + 1}"], 1e-8)
    near(epc_energy(params, found.activities, y, x), ARRAYS[f"{case}.held_limit_energy"])
    activities = activities_of_errors(params, found.activities, x)
    near(pc_energy(params, activities, y, x), ARRAYS[f"{case}.held_limit_energy"])
    by_errors = compute_pc_param_grads(params, found.activities, y, x, variant="epc")[0]
    by_activities = compute_pc_param_grads(params, activities, y, x)[0]
    for a, b in zip(by_errors, by_activities, strict=True):
        near(a.weight, b.weight, 1e-8)
    if case == "epc_linear":
        near(linear_equilibrium_energy(params, y=y, x=x), ARRAYS[f"{case}.linear_equilib_energy"])


def test_activities_of_errors():
    case = "epc_tanh"
    params, x, y = (chain(case, "W", "b", 1), None), ARRAYS[f"{case}.x"], ARRAYS[f"{case}.y"]
    activities = activities_of_errors(params, numbered(case, "e"), x)
    for l, z in enumerate(activities, 1):
        near(z, ARRAYS[f"{case}.z{l}"])
    near(pc_energy(params, activities, y, x), ARRAYS[f"{case}.energy_from_z"])


@pytest.mark.parametrize("case", ["bpc_tanh", "bpc_linear"])
def test_bidirectional_numbers(case):
    params = chain(case, "W", "b", 1), chain(case, "V", "c", L)
    x, y, z = ARRAYS[f"{case}.x"], ARRAYS[f"{case}.y"], numbered(case, "z")
    options = {
        name: float(ARRAYS[f"{case}.{key}"])
        for name, key in (("alpha_forward", "alpha_f"), ("alpha_backward", "alpha_b"))
    }
    near(bpc_energy(params, z, y, x, **options), ARRAYS[f"{case}.energy"])
    terms = bpc_energy(params, z, y, x, **options, record_layers=True)
    near(terms, np.concatenate([ARRAYS[f"{case}.energy_{d}"][[2, 1, 0]] for d in "fb"]))
    options["variant"] = "bpc"
    grads = compute_activity_grad(params, z, y, x, **options)[1]
    for l in range(L):
        near(grads[l], ARRAYS[f"{case}.grad_z{l + 1}"])
    forward, backward = compute_pc_param_grads(params, z, y, x, **options)
    gradients_near(forward, case, "grad_", "W", "b")
    gradients_near(backward, case, "grad_", "V", "c")
    path = descend_inference(params, z, optax.sgd(0.5), 5, y, x, record=True, **options)
    near(path.energies, ARRAYS[f"{case}.energies"])
    for l in range(L):
        near(path.trajectory[l][1], ARRAYS[f"{case}.step1_z{l + 1}"])
        near(path.activities[l], ARRAYS[f"{case}.step5_z{l + 1}"])
    forward, backward = compute_pc_param_grads(params, path.activities, y, x, **options)
    gradients_near(forward, case, "step5_grad_", "W", "b")
    gradients_near(backward, case, "step5_grad_", "V", "c")
    exact = {"rtol": 1e-10, "atol": 1e-12, "stop_rtol": 0.0, "stop_atol": 1e-10, "max_t1": 1e3}
    found = solve_inference(params, z, y, x, **exact, **options)
    assert found.converged.all()
    near(
        bpc_energy(params, found.activities, y, x, **{k: v for k, v in options.items() if k != "variant"}),
        ARRAYS[f"{case}.limit_energy"],
    )
    for l in range(L - 1):
        near(found.activities[l], ARRAYS[f"{case}.limit_z{l + 1}"], 1e-8)


VARIANTS = {"epc": epc_energy, "bpc": bpc_energy}


def small(variant, loss_id):
    """Return a small network of a variant with data, and free variables of a free input."""
    forward = make_mlp(jax.random.key(0), [3, 5, 4, 2], "tanh")
    skips = [None, lambda z: 0.5 * z[:4], None]
    params = (
        (forward, skips)
        if variant == "epc"
        else (forward, make_mlp(jax.random.key(1), [2, 4, 5, 3], "tanh")[::-1])
    )
    y = jax.random.normal(jax.random.key(2), (6, 2))
    y = jax.nn.one_hot(jnp.argmax(y, 1), 2) if loss_id == "CE" else y
    z = [0.3 * jax.random.normal(jax.random.key(n), (6, n)) for n in (3, 5, 4, 2)]
    return params, y, z


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("loss_id", "free"), [("MSE", True), ("CE", False), pytest.param("CE", True, marks=pytest.mark.slow)]
)
def test_gradients_of_variants_are_derivatives(variant, loss_id, free):
    params, y, z = small(variant, loss_id)
    x, z = (None, z) if free else (z[0], z[1:])
    options = (
        {"param_type": "mupc", "gamma": 0.7, "output_energy_scaling": 2.0}
        if variant == "epc"
        else {"alpha_forward": 0.3, "alpha_backward": 2.0}
    )
    energy = VARIANTS[variant]
    grads = compute_activity_grad(params, z, y, x, loss_id, variant=variant, **options)[1]
    rng = np.random.default_rng(0)
    direction = [jnp.asarray(rng.normal(size=e.shape)) for e in z]
    moved = [
        energy(params, [a + h * d for a, d in zip(z, direction, strict=True)], y, x, loss_id, **options)
        for h in (1e-5, -1e-5)
    ]
    slope = sum((g * d).sum() for g, d in zip(grads, direction, strict=True))
    np.testing.assert_allclose(slope, (moved[0] - moved[1]) / 2e-5, rtol=1e-8)
    assert not grads[-1].any()
    model_grads, _ = compute_pc_param_grads(params, z, y, x, loss_id, variant=variant, **options)
    shift = jnp.asarray(rng.normal(size=params[0][1].weight.shape))
    w = params[0][1]
    moved = [
        energy(
            ([params[0][0], Dense(w.weight + h * shift, w.bias, w.activation), params[0][2]], params[1]),
            z,
            y,
            x,
            loss_id,
            **options,
        )
        for h in (1e-5, -1e-5)
    ]
    np.testing.assert_allclose((model_grads[1].weight * shift).sum(), (moved[0] - moved[1]) / 2e-5, rtol=1e-7)


def test_error_energy_is_the_activity_energy_in_other_coordinates():
    params, y, variables = small("epc", "CE")
    for x, errors in ((None, variables), (variables[0], variables[1:])):
        options = {"param_type": "ntp", "gamma": 0.7}
        z = activities_of_errors(params, errors, x, **options)
        np.testing.assert_allclose(
            epc_energy(params, errors, y, x, "CE", record_layers=True, **options),
            pc_energy(params, z, y, x, "CE", record_layers=True, **options),
            rtol=1e-12,
        )


def test_errors_reach_a_deep_network_at_once():
    """After one step of descent the first hidden layer has moved, however deep the network is."""
    params = make_mlp(jax.random.key(0), [3] + [8] * 12 + [2], "tanh"), make_skip_model(13)
    x, y = jnp.ones((4, 3)), jnp.ones((4, 2))
    start = init_errors(params, x)
    step = descend_inference(params, start, optax.sgd(1.0), 1, y, x, variant="epc").activities
    assert all(float(jnp.abs(e).max()) > 1e-6 for e in step[:-1])
    step = descend_inference(params, init_activities_with_ffwd(params, x), optax.sgd(1.0), 1, y, x)
    moved = jnp.abs(step.activities[0] - init_activities_with_ffwd(params, x)[0]).max()
    assert moved == 0


@pytest.mark.parametrize("variant", ["pc", "epc", "bpc"])
def test_training_step_of_every_variant(variant):
    params, y, z = small(variant, "MSE")
    params = (params[0], None) if variant == "pc" else params
    optim = optax.adam(3e-3)
    state, losses = optim.init(trainable(params)), []
    for _ in range(30):
        step = make_pc_step(params, optim, state, y, z[0], variant=variant)
        params, state = step.params, step.opt_state
        losses.append(float(step.loss))
    assert losses[-1] < 0.9 * losses[0]
    prediction = init_activities_with_ffwd(step.params[0] if variant == "bpc" else step.params, z[0])[-1]
    assert 0.5 * ((prediction - y) ** 2).sum(1).mean() < losses[-1]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p, y, z: compute_activity_grad(p, z[1:], y, z[0], variant="ePC"), "variant: must be one of 'pc', 'epc', 'bpc'; got 'ePC'. Did you mean 'epc'"),
        (lambda p, y, z: epc_energy(p, z[1:], y, z[0], "mse"), "epc_energy.loss_id: must be one of 'MSE', 'CE'; got 'mse'. Did you mean 'MSE'"),
        (lambda p, y, z: epc_energy(p, z[:-1], y, z[0]), "epc_energy.errors.0.: must have the shape of what params.0..0. predicts"),
        (lambda p, y, z: compute_activity_grad(p[0], z[1:], y, z[0], variant="bpc"), "params: must be .forward, backward. for variant='bpc'"),
        (lambda p, y, z: bpc_energy((p[0], p[0]), z[1:], y, z[0]), r"bpc_energy.params\[1\]\[0\]: must map one sample of level 1"),
        (lambda p, y, z: epc_energy(p, z, y, z[0]), "must hold 3 entries, z_1 to z_L with x"),
    ],
)  # fmt: skip
def test_bad_variants_name_themselves(call, message):
    params, y, z = small("epc", "MSE")
    with pytest.raises(ArgumentError, match=message):
        call(params, y, z)
