"""Energies and gradients: against loops in NumPy, finite differences, and their invariants."""

import itertools

import brainstate
import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pc_oracle
import pytest

from brainmass_delays.predictive import (
    Dense,
    compute_activity_grad,
    compute_hpc_param_grads,
    compute_pc_param_grads,
    hpc_energy,
    init_activities_from_normal,
    init_activities_with_amort,
    init_activities_with_ffwd,
    make_mlp,
    make_skip_model,
    neg_activity_grad,
    pc_energy,
)

SIZES = [3, 5, 5, 5, 3]


def network(*, skips_on=(), prior=True, loss_id="MSE", sizes=SIZES, n=4, seed=0):
    """Return weights, skip matrices, params, activities, y and x of a random pre-activation network."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=pair) for pair in zip(sizes[1:], sizes[:-1], strict=True)]
    skips = [rng.normal(size=w.shape) if l in skips_on else None for l, w in enumerate(weights)]
    model = [
        Dense(jnp.asarray(w), None, jnp.tanh if l else lambda z: z, activation_first=True)
        for l, w in enumerate(weights)
    ]
    skip_model = [None if s is None else Dense(jnp.asarray(s)) for s in skips] if skips_on else None
    activities = [jnp.asarray(rng.normal(size=(n, size))) for size in (sizes[1:] if prior else sizes)]
    y = (
        rng.normal(size=(n, sizes[-1]))
        if loss_id == "MSE"
        else np.eye(sizes[-1])[rng.integers(sizes[-1], size=n)]
    )
    x = rng.normal(size=(n, sizes[0])) if prior else None
    return weights, skips, (model, skip_model), activities, jnp.asarray(y), x


def central_difference(function, tree, h=1e-5):
    """Return the gradient of ``function`` at ``tree`` by central differences, entry by entry."""
    leaves, treedef = jax.tree.flatten(tree)
    grads = []
    for k, leaf in enumerate(leaves):
        grad = np.zeros(leaf.shape)
        for index in np.ndindex(*leaf.shape):
            shifted = [
                function(treedef.unflatten([*leaves[:k], leaf.at[index].add(s), *leaves[k + 1 :]]))
                for s in (h, -h)
            ]
            grad[index] = (shifted[0] - shifted[1]) / (2 * h)
        grads.append(grad)
    return treedef.unflatten(grads)


def assert_trees_close(found, expected, tolerance):
    found, expected = jax.tree.leaves(found), jax.tree.leaves(expected)
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


OPTIONS = list(
    itertools.product(
        ["sp", "ntp", "mupc"], [(), (0,), (1, 2), (3,), (0, 1, 2, 3)], [True, False], ["MSE", "CE"]
    )
)


@pytest.mark.parametrize(("param_type", "skips_on", "prior", "loss_id"), OPTIONS[::3])
def test_energy_is_that_of_the_oracle(param_type, skips_on, prior, loss_id):
    weights, skips, params, activities, y, x = network(skips_on=skips_on, prior=prior, loss_id=loss_id)
    options = {"param_type": param_type, "gamma": 1.7, "output_energy_scaling": 2.5}
    expected = pc_oracle.layer_energies(weights, skips, activities, y, x, loss_id, **options)
    recorded = pc_energy(params, activities, y, x, loss_id, **options, record_layers=True)
    np.testing.assert_allclose(recorded, [expected[-1], *expected[1:-1], expected[0]], rtol=1e-12)
    penalties = {"weight_decay": 0.3, "spectral_penalty": 0.2, "activity_decay": 0.1}
    all_weights = [*weights, *(s for s in skips if s is not None)]
    total = expected.sum() + pc_oracle.regularizers(all_weights, activities, **penalties)
    np.testing.assert_allclose(
        pc_energy(params, activities, y, x, loss_id, **options, **penalties), total, rtol=1e-12
    )


@pytest.mark.parametrize(("param_type", "skips_on", "prior", "loss_id"), OPTIONS[::11])
def test_gradients_are_finite_differences(param_type, skips_on, prior, loss_id):
    _, _, params, activities, y, x = network(skips_on=skips_on, prior=prior, loss_id=loss_id)
    options = {
        "param_type": param_type,
        "gamma": 1.7,
        "output_energy_scaling": 2.5,
        "weight_decay": 0.3,
        "spectral_penalty": 0.02,
        "activity_decay": 0.1,
    }
    energy, grads = compute_activity_grad(params, activities, y, x, loss_id, **options)
    np.testing.assert_allclose(energy, pc_energy(params, activities, y, x, loss_id, **options), rtol=1e-14)
    differences = central_difference(lambda z: pc_energy(params, z, y, x, loss_id, **options), activities)
    assert_trees_close(grads, differences, 1e-7)
    flow = neg_activity_grad(0.0, activities, (params, y, x, loss_id, None), **options)
    assert_trees_close(flow, [-g for g in grads], 1e-15)
    found = compute_pc_param_grads(params, activities, y, x, loss_id, **options)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    expected = central_difference(lambda p: pc_energy(p, activities, y, x, loss_id, **options), params)
    assert_trees_close(found, expected, 1e-7)


def test_inert_entry_has_no_gradient():
    for prior in (True, False):
        _, _, params, activities, y, x = network(skips_on=(3,), prior=prior)
        energy, grads = compute_activity_grad(params, activities, y, x)
        assert [g.shape for g in grads] == [z.shape for z in activities]
        assert (grads[-1] == 0).all() and all((g != 0).any() for g in grads[:-1])
        assert pc_energy(params, [*activities[:-1], activities[-1] + 7.0], y, x) == energy


def test_closed_forms_of_the_gradients():
    weights, _, params, z, y, x = network()
    below = [x, *z[:-1]]
    act = [lambda h: h, *[np.tanh] * 3]
    errors = [target - f(h) @ w.T for target, f, h, w in zip([*z[:-1], y], act, below, weights, strict=True)]
    n = len(y)
    slopes = [1 - np.tanh(h) ** 2 for h in z[:-1]]
    expected = [(errors[l] - slopes[l] * (errors[l + 1] @ weights[l + 1])) / n for l in range(3)]
    assert_trees_close(compute_activity_grad(params, z, y, x)[1][:-1], expected, 1e-14)
    local = [-e.T @ f(h) / n for e, f, h in zip(errors, act, below, strict=True)]
    grads, skip_grads = compute_pc_param_grads(params, z, y, x)
    assert_trees_close([g.weight for g in grads], local, 1e-14)
    assert skip_grads is None


@pytest.mark.parametrize(
    ("skips_on", "param_type"),
    [((), "ntp"), ((0,), "sp"), ((0,), "mupc"), ((1,), "ntp"), ((3,), "sp"), ((0, 1, 2, 3), "mupc")],
)
def test_hidden_energies_vanish_at_the_feedforward_start(skips_on, param_type):
    _, _, params, _, y, x = network(skips_on=skips_on)
    start = init_activities_with_ffwd(params, x, param_type=param_type, gamma=0.8)
    energies = pc_energy(params, start, y, x, record_layers=True, param_type=param_type, gamma=0.8)
    assert energies[0] > 0.01
    np.testing.assert_allclose(energies[1:], 0, atol=1e-30)
    np.testing.assert_allclose(energies[0], 0.5 * ((y - start[-1]) ** 2).sum(1).mean(), rtol=1e-14)


def test_batches_add_up_and_permute():
    _, _, params, activities, y, x = network(n=6)
    parts = [pc_energy(params, [z[s] for z in activities], y[s], x[s]) for s in (slice(2), slice(2, 6))]
    whole = pc_energy(params, activities, y, x)
    np.testing.assert_allclose(whole, (2 * parts[0] + 4 * parts[1]) / 6, rtol=1e-14)
    order = np.random.default_rng(0).permutation(6)
    np.testing.assert_allclose(
        pc_energy(params, [z[order] for z in activities], y[order], x[order]), whole, rtol=1e-14
    )


@pytest.mark.parametrize("prior", [True, False])
def test_hybrid_energy_and_gradient(prior):
    generator = make_mlp(jax.random.key(0), [2, 4, 5, 3], "tanh")
    amortizer = make_mlp(jax.random.key(1), [3, 5, 4, 2], "tanh")
    image, label = jax.random.normal(jax.random.key(2), (4, 3)), jax.random.normal(jax.random.key(3), (4, 2))
    guesses = init_activities_with_amort(amortizer, generator, image)
    latent = init_activities_from_normal(jax.random.key(4), [2, 4, 5, 3], "unsupervised", 4)
    targets = latent[-2:0:-1] if prior else latent[-2::-1]
    y = label if prior else None
    last = label if prior else latent[0]
    forward = guesses[-2::-1]
    inputs, wanted = [image, *forward[:-1]], [latent[2], latent[1], last]
    terms = [
        ((t - np.tanh(h @ g.weight.T + g.bias)) ** 2).sum(1).mean()
        if l < 2
        else ((t - h @ g.weight.T - g.bias) ** 2).sum(1).mean()
        for l, (t, h, g) in enumerate(zip(wanted, inputs, amortizer, strict=True))
    ]
    recorded = hpc_energy(amortizer, targets, guesses, image, y, record_layers=True)
    np.testing.assert_allclose(recorded, [terms[2], terms[1], terms[0]], rtol=1e-12)
    grads = compute_hpc_param_grads(amortizer, targets, guesses, image, y)
    differences = central_difference(lambda m: hpc_energy(m, targets, guesses, image, y), amortizer)
    assert_trees_close(grads, differences, 1e-7)


def test_normal_initialization_draws_each_layer_from_its_own_key():
    key = jax.random.key(3)
    free = init_activities_from_normal(key, [3, 5, 2], "unsupervised", 1000, sigma=0.2)
    assert [z.shape for z in free] == [(1000, 3), (1000, 5), (1000, 2)]
    np.testing.assert_array_equal(free[1], 0.2 * jax.random.normal(jax.random.split(key, 3)[1], (1000, 5)))
    np.testing.assert_allclose(jnp.std(free[1]), 0.2, rtol=0.05)
    clamped = init_activities_from_normal(key, [3, 5, 2], "supervised", 10)
    np.testing.assert_array_equal(clamped[0], 0.05 * jax.random.normal(jax.random.split(key, 2)[0], (10, 5)))


def _dense_layers():
    return make_mlp(jax.random.key(0), [3, 5, 2], "tanh")


def _functions():
    first, last = _dense_layers()
    return [
        jax.tree_util.Partial(
            lambda p, z: jnp.tanh(p["w"] @ z + p["b"]), {"w": first.weight, "b": first.bias}
        ),
        jax.tree_util.Partial(lambda w, b, z: w @ z + b, last.weight, last.bias),
    ]


def _brainstate_modules():
    layers = [brainstate.nn.Sequential(brainstate.nn.Linear(3, 5), jnp.tanh), brainstate.nn.Linear(5, 2)]
    for layer, dense in zip((layers[0].layers[0], layers[1]), _dense_layers(), strict=True):
        layer.weight.value = {"weight": dense.weight.T, "bias": dense.bias}
    return layers


def _equinox_modules():
    layers = [equinox.nn.Linear(3, 5, key=jax.random.key(1)), equinox.nn.Linear(5, 2, key=jax.random.key(1))]
    layers = [
        equinox.tree_at(lambda m: (m.weight, m.bias), layer, (d.weight, d.bias))
        for layer, d in zip(layers, _dense_layers(), strict=True)
    ]
    return [equinox.nn.Sequential([layers[0], equinox.nn.Lambda(jnp.tanh)]), layers[1]]


LAYER_KINDS = {
    "dense": _dense_layers,
    "functions": _functions,
    "brainstate": _brainstate_modules,
    "equinox": _equinox_modules,
}


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_layers_of_every_kind_agree(kind):
    x, y = jnp.linspace(-1, 1, 12).reshape(4, 3), jnp.linspace(1, -1, 8).reshape(4, 2)
    reference, params = (_dense_layers(), None), (LAYER_KINDS[kind](), None)
    start = init_activities_with_ffwd(params, x)
    assert_trees_close(start, init_activities_with_ffwd(reference, x), 1e-14)
    start = [z + 0.1 for z in start]
    np.testing.assert_allclose(pc_energy(params, start, y, x), pc_energy(reference, start, y, x), rtol=1e-13)
    assert_trees_close(
        compute_activity_grad(params, start, y, x), compute_activity_grad(reference, start, y, x), 1e-14
    )
    found = sorted(float(jnp.sum(g**2)) for g in jax.tree.leaves(compute_pc_param_grads(params, start, y, x)))
    expected = sorted(
        float(jnp.sum(g**2)) for g in jax.tree.leaves(compute_pc_param_grads(reference, start, y, x))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", LAYER_KINDS)
@pytest.mark.parametrize("penalty", ["weight_decay", "spectral_penalty"])
def test_regularizers_act_on_layers_of_every_kind(kind, penalty):
    x, y = jnp.ones((4, 3)), jnp.ones((4, 2))
    params = LAYER_KINDS[kind](), None
    start = init_activities_with_ffwd(params, x)
    plain = compute_pc_param_grads(params, start, y, x)
    penalized = compute_pc_param_grads(params, start, y, x, **{penalty: 0.5})
    changed = [
        float(jnp.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (plain, penalized)), strict=True)
    ]
    matrices = [g.ndim > 1 for g in jax.tree.leaves(plain)]
    assert sum(matrices) == 2
    assert all((change > 1e-3) == matrix for change, matrix in zip(changed, matrices, strict=True))


def test_weight_decay_gradient_is_the_weight():
    params = make_mlp(jax.random.key(0), [3, 5, 2]), None
    x, y = jnp.ones((4, 3)), jnp.ones((4, 2))
    start = init_activities_with_ffwd(params, x)
    plain, _ = compute_pc_param_grads(params, start, y, x)
    decayed, _ = compute_pc_param_grads(params, start, y, x, weight_decay=0.3)
    for layer, a, b in zip(params[0], plain, decayed, strict=True):
        np.testing.assert_allclose(b.weight - a.weight, 0.3 * layer.weight, atol=1e-14)
        np.testing.assert_array_equal(b.bias, a.bias)


def test_convolutional_layers():
    """Energies take layers on images, and the decay leaves their biases alone."""
    conv = equinox.nn.Conv2d(1, 2, 3, padding=1, key=jax.random.key(0))
    flat = equinox.nn.Sequential(
        [equinox.nn.Lambda(jnp.ravel), equinox.nn.Linear(32, 3, key=jax.random.key(1))]
    )
    x, y = jnp.ones((4, 1, 4, 4)), jnp.eye(3)[jnp.array([0, 1, 2, 0])]
    params = [conv, flat], None
    start = init_activities_with_ffwd(params, x)
    assert [z.shape for z in start] == [(4, 2, 4, 4), (4, 3)]
    plain, _ = compute_pc_param_grads(params, start, y, x, "CE")
    decayed, _ = compute_pc_param_grads(params, start, y, x, "CE", weight_decay=1.0)
    np.testing.assert_allclose(decayed[0].weight - plain[0].weight, conv.weight, atol=1e-12)
    np.testing.assert_array_equal(decayed[0].bias, plain[0].bias)


def test_functions_of_arrays_run_under_transformations():
    _, _, params, activities, y, x = network()
    energy = pc_energy(params, activities, y, x)
    np.testing.assert_allclose(jax.jit(lambda z: pc_energy(params, z, y, x))(activities), energy, rtol=1e-14)
    stacked = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), activities)
    both = jax.vmap(lambda z: pc_energy(params, z, y, x))(stacked)
    np.testing.assert_allclose(both[0], energy, rtol=1e-14)
    grads = jax.grad(lambda z: pc_energy(params, z, y, x))(activities)
    assert_trees_close(grads, compute_activity_grad(params, activities, y, x)[1], 1e-15)


def test_single_precision(single_precision):
    params = make_mlp(jax.random.key(0), [3, 5, 2], "tanh"), None
    x, y = jnp.ones((4, 3)), jnp.zeros((4, 2))
    energy, grads = compute_activity_grad(params, init_activities_with_ffwd(params, x), y, x)
    assert energy.dtype == grads[0].dtype == jnp.float32


def test_make_mlp_parameterizations():
    sizes = [200, 300, 300, 100]
    for param_type, scale in [("sp", 300**-0.5 / 3**0.5), ("ntp", 1.0), ("mupc", 1.0)]:
        layers = make_mlp(jax.random.key(0), sizes, "tanh", param_type=param_type)
        np.testing.assert_allclose(jnp.std(layers[1].weight), scale, rtol=0.02)
    z = jnp.linspace(-1, 1, 200)
    first = make_mlp(jax.random.key(0), sizes, "tanh", activation_first=True)[0]
    np.testing.assert_allclose(first(z), first.weight @ z + first.bias, rtol=1e-12)
    first = make_mlp(jax.random.key(0), sizes, jnp.tanh, use_bias=False)[0]
    np.testing.assert_allclose(first(z), jnp.tanh(first.weight @ z), rtol=1e-12)
    assert [s is not None for s in make_skip_model(4)] == [False, True, True, False]
