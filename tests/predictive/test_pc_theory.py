"""Deep linear networks against their energy, and predictive coding against backpropagation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.predictive import (
    Dense,
    compute_activity_grad,
    compute_pc_param_grads,
    critical_delay,
    critical_frequency,
    init_activities_with_ffwd,
    linear_activity_hessian,
    linear_equilibrium_activities,
    linear_equilibrium_energy,
    make_mlp,
    make_skip_model,
    pc_energy,
    solve_inference,
)

OPTIONS = {
    "plain": {},
    "output precision": {"output_energy_scaling": 2.5},
    "ntp": {"param_type": "ntp", "gamma": 0.7},
    "mupc": {"param_type": "mupc", "output_energy_scaling": 0.3},
}


def linear_network(*, skips: bool, bias: bool):
    model = make_mlp(jax.random.key(0), [3, 5, 5, 5, 2], "identity", use_bias=True, param_type="ntp")
    keys = jax.random.split(jax.random.key(1), 4)
    model = [
        Dense(layer.weight, jax.random.normal(k, layer.bias.shape) if bias else None)
        for layer, k in zip(model, keys, strict=True)
    ]
    skip_model = (
        [Dense(jnp.ones((5, 3))), *make_skip_model(4)[1:3], Dense(jnp.ones((2, 5)))] if skips else None
    )
    x, y = jax.random.normal(jax.random.key(2), (6, 3)), jax.random.normal(jax.random.key(3), (6, 2))
    return (model, skip_model), y, x


def every_network():
    """Pair all options with all shapes; the quick lane takes one shape for each of the options, in turn."""
    shapes = list(itertools.product([False, True], [False, True]))
    for i, name in enumerate(OPTIONS):
        for j, (skips, bias) in enumerate(shapes):
            yield pytest.param(name, skips, bias, marks=[] if i == j else [pytest.mark.slow])


@pytest.mark.parametrize(("name", "skips", "bias"), list(every_network()))
def test_equilibrium(name, skips, bias):
    """The closed form is a root of the gradient; energy and Hessian are those of `pc_energy`."""
    params, y, x = linear_network(skips=skips, bias=bias)
    options = OPTIONS[name]
    activities = linear_equilibrium_activities(params, y=y, x=x, **options)
    energy, grads = compute_activity_grad(params, activities, y, x, **options)
    for g in grads:
        np.testing.assert_allclose(g, 0, atol=1e-8)
    np.testing.assert_allclose(linear_equilibrium_energy(params, y=y, x=x, **options), energy, rtol=1e-8)
    sizes = np.cumsum([5, 5])
    hidden = jnp.concatenate([z[:1] for z in activities[:-1]], axis=1)[0]

    def of_one_sample(hidden):
        z = [part[None] for part in jnp.split(hidden, sizes)]
        return pc_energy(params, [*z, y[:1]], y[:1], x[:1], **options)

    np.testing.assert_allclose(
        linear_activity_hessian(params, x, **options),
        jax.hessian(of_one_sample)(hidden),
        atol=1e-8 * float(jnp.abs(params[0][1].weight).max() + 1) ** 2,
    )


def test_inference_finds_the_equilibrium():
    params, y, x = linear_network(skips=False, bias=True)
    found = solve_inference(
        params,
        init_activities_with_ffwd(params, x),
        y,
        x,
        max_t1=1e4,
        rtol=1e-12,
        atol=1e-12,
        stop_rtol=0.0,
        stop_atol=1e-10,
    )
    assert found.converged.all()
    for a, b in zip(found.activities[:-1], linear_equilibrium_activities(params, y=y, x=x), strict=False):
        np.testing.assert_allclose(a, b, atol=1e-8)


def test_nonlinear_layers_are_refused():
    model = make_mlp(jax.random.key(0), [3, 5, 2], "tanh")
    with pytest.raises(ArgumentError, match=r"linear theory.params\[0\]\[0\]: must be affine"):
        linear_equilibrium_energy((model, None), y=jnp.ones((4, 2)), x=jnp.ones((4, 3)))
    with pytest.raises(ArgumentError, match=r"linear theory.x: must hold the prior"):
        linear_activity_hessian((model, None), None)


def test_output_gradient_at_the_feedforward_point_is_backprop():
    model = make_mlp(jax.random.key(0), [3, 6, 6, 2], "tanh")
    x, y = jax.random.normal(jax.random.key(1), (8, 3)), jax.random.normal(jax.random.key(2), (8, 2))
    start = init_activities_with_ffwd((model, None), x)
    grads, _ = compute_pc_param_grads((model, None), start, y, x)
    params = [(d.weight, d.bias) for d in model]

    def loss(params):
        layers = [Dense(w, b, d.activation) for (w, b), d in zip(params, model, strict=True)]
        return 0.5 * ((y - init_activities_with_ffwd((layers, None), x)[-1]) ** 2).sum(1).mean()

    backprop = jax.grad(loss)(params)
    np.testing.assert_allclose(grads[-1].weight, backprop[-1][0], atol=1e-14)
    np.testing.assert_allclose(grads[-1].bias, backprop[-1][1], atol=1e-14)
    for g in grads[:-1]:
        np.testing.assert_allclose(g.weight, 0, atol=1e-15)

    def angle(duration, layer):
        """Return 1 - cosine of a hidden layer's two gradients after a short inference."""
        exact = {"rtol": 1e-10, "atol": 1e-13, "stop_rtol": 0.0, "stop_atol": 0.0}
        z = solve_inference((model, None), start, y, x, max_t1=duration, **exact).activities
        found = compute_pc_param_grads((model, None), z, y, x)[0][layer].weight.ravel()
        wanted = backprop[layer][0].ravel()
        return 1 - float(found @ wanted / jnp.linalg.norm(found) / jnp.linalg.norm(wanted))

    for layer in (0, 1):
        long, middle, short = (angle(duration, layer) for duration in (1.0, 0.1, 0.01))
        assert long > middle > short
        assert short < 1e-4


def test_critical_delay_and_frequency():
    """The pair solves the characteristic equation."""
    for w in (1.2, 1.5, 2.0):
        s = 2j * np.pi * float(critical_frequency(w, 3.0))
        assert abs(3.0 * s + 1 + w**2 * np.exp(-2 * s * float(critical_delay(w, 3.0)))) < 1e-12
    np.testing.assert_allclose(critical_delay(np.array([1.5, 2.0])), [0.5039, 0.2354], atol=5e-5)
    assert critical_delay(0.9) == jnp.inf
    assert critical_frequency(0.9) == 0
    assert jax.grad(lambda w: critical_delay(w))(0.9) == 0
    h = 1e-6
    slope = (critical_delay(1.5 + h) - critical_delay(1.5 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(critical_delay)(1.5), slope, rtol=1e-8)
    with pytest.raises(ArgumentError, match="critical_delay.tau: must be positive"):
        critical_delay(1.5, -1.0)
