"""Predictive coding with conduction delays: zero delays, stability, local and global learning of delays."""

import functools

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, Param, Simulator
from brainmass_delays.predictive import (
    Dense,
    PCNetwork,
    PredictiveCoupling,
    compute_pc_param_grads,
    critical_delay,
    make_mlp,
    neg_activity_grad,
    pc_energy,
)

SIZES = [3, 4, 2]
MODEL = make_mlp(jax.random.key(0), SIZES, "tanh")
DT = 0.05 * u.ms


def data():
    return jax.random.normal(jax.random.key(1), (4, 2)), jax.random.normal(jax.random.key(2), (4, 3))


def matrices(sizes, value=0.0):
    """Return one delay per connection of every layer, forward and backward."""
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    return {
        "forward_delay": [np.full((m, n), value) * u.ms for n, m in pairs],
        "backward_delay": [np.full((n, m), value) * u.ms for n, m in pairs],
    }


def run(net, duration, dt=DT):
    """Return the activities over time; the simulator raises if anything is wrong."""
    return Simulator(net, dt=dt).run(duration, monitors=lambda net: net.activities)["output"]


def heun_flow(params, z, y, x, n_steps, h):
    """Integrate the per-sample gradient flow by Heun's method, without delays and without PCNetwork."""

    def slope(z):
        return [len(y) * s for s in neg_activity_grad(0.0, z, (params, y, x, "MSE", None))]

    def step(z):
        first = slope(z)
        second = slope([a + h * s for a, s in zip(z, first, strict=True)])
        return [a + h / 2 * (s + r) for a, s, r in zip(z, first, second, strict=True)]

    return jax.lax.fori_loop(0, n_steps, lambda _, z: step(z), z)


ZERO = {"forward_delay": 0.0 * u.ms, "backward_delay": 0.0 * u.ms}


@pytest.mark.parametrize(
    "prior, delays",
    [(True, {}), (False, ZERO), (True, matrices(SIZES))],
    ids=["none", "scalars, free input", "matrices"],
)
def test_zero_delays_are_the_gradient_flow(prior, delays):
    y, x = data()
    start = [
        jax.random.normal(jax.random.key(l), (4, n)) for l, n in enumerate(SIZES if not prior else SIZES[1:])
    ]
    x = x if prior else None
    expected = heun_flow((MODEL, None), start, y, x, 20, 0.05)[:-1]
    found = run(PCNetwork((MODEL, None), y, x, activities=start, **delays), 20 * DT)
    for a, b in zip(found[:-1], expected, strict=True):
        np.testing.assert_allclose(a[-1], b, rtol=0, atol=1e-10)


def test_cross_entropy_and_scalings_are_the_gradient_flow():
    _, x = data()
    y = jnp.eye(2)[jnp.array([0, 1, 1, 0])]
    options = {"loss_id": "CE", "param_type": "mupc", "gamma": 0.5, "method": "euler"}
    net = PCNetwork((MODEL, [None, Dense(jnp.ones((2, 4)))]), y, x, **options)
    with brainstate.environ.context(dt=DT):
        brainstate.nn.init_all_states(net)
        net.update()
        before = net.activities
        args = net.params, y, x, "CE", None
        flow = neg_activity_grad(0.0, before, args, param_type="mupc", gamma=0.5)
        energy = pc_energy(net.params, before, y, x, "CE", param_type="mupc", gamma=0.5)
        np.testing.assert_allclose(net.energy(), energy, rtol=1e-12)
        net.update()
        for z, new, slope in zip(before[:-1], net.activities[:-1], flow[:-1], strict=True):
            np.testing.assert_allclose((new - z) / 0.05, 4 * slope, atol=1e-12)


def test_one_delay_for_all_is_the_same_delay_for_each():
    y, x = data()
    start = [jax.random.normal(jax.random.key(l), (4, n)) for l, n in enumerate(SIZES[1:])]
    one = PCNetwork(
        (MODEL, None), y, x, activities=start, forward_delay=0.33 * u.ms, backward_delay=0.21 * u.ms
    )
    each = matrices(SIZES, 0.33)
    each["backward_delay"] = matrices(SIZES, 0.21)["backward_delay"]
    each = PCNetwork((MODEL, None), y, x, activities=start, **each)
    for a, b in zip(run(one, 2 * u.ms), run(each, 2 * u.ms), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_fixed_point_does_not_depend_on_the_delays():
    model = [Dense(0.4 * layer.weight, layer.bias, layer.activation) for layer in MODEL]
    y, x = data()
    net = PCNetwork((model, None), y, x, forward_delay=0.5 * u.ms, backward_delay=0.3 * u.ms)
    activities = [z[-1] for z in run(net, 60 * u.ms, dt=0.1 * u.ms)]
    flow = neg_activity_grad(0.0, activities, ((model, None), y, x, "MSE", None))
    assert max(float(jnp.abs(s).max()) for s in flow[:-1]) < 1e-9


def test_critical_delay_separates_decay_from_growth():
    """Units ``z' = -z - w^2 z(t - 2 d)`` between a prior and an observation of 0, all in one network.

    Strong feedback decays below the critical delay and grows above it; weak feedback decays at any delay.
    """
    w = np.array([1.5, 1.5, 2.0, 2.0, 0.9])
    delay = np.diag(np.append(np.array([0.9, 1.1, 0.9, 1.1]) * critical_delay(w[:4]), 5.0)) * u.ms
    net = PCNetwork(
        ([Dense(jnp.ones((5, 1))), Dense(jnp.diag(w))], None),
        jnp.zeros(5),
        jnp.zeros(1),
        activities=[jnp.ones(5), jnp.zeros(5)],
        tau=1.0 * u.ms,
        forward_delay=[None, delay],
        backward_delay=[None, delay],
    )
    z = run(net, 160 * u.ms, dt=0.02 * u.ms)[0]
    quarters = np.abs(z).reshape(4, -1, 5).max(1)
    ratio = quarters[3] / quarters[1]
    assert (ratio[[0, 2, 4]] < 0.5).all() and (ratio[[1, 3]] > 2).all()
    assert np.abs(z[-2000:, 4]).max() < 0.1


@functools.cache
def at_3(method, n_steps, delay, interpolation):
    """Return the value at 3 ms of a unit at rest under a smooth observation."""
    model = [Dense(jnp.ones((1, 1))), Dense(jnp.full((1, 1), 1.3))]
    net = PCNetwork(
        (model, None),
        jnp.zeros(1),
        jnp.zeros(1),
        forward_delay=delay * u.ms,
        backward_delay=delay * u.ms,
        interpolation=interpolation,
        method=method,
    )
    dt = 3.0 / n_steps
    y = np.sin(dt * np.arange(1, n_steps + 1)) ** 3  # at the end of every step
    result = Simulator(net, dt=dt * u.ms).run(
        3 * u.ms, inputs=y[:, None], monitors=lambda net: net.values[1].z.value
    )
    return float(result["output"][-1, 0])


@pytest.mark.parametrize(
    "delay, interpolation",
    # On the grid, two thirds off it at every step size (so that the error of linear reads falls evenly), anywhere.
    [
        (0.37, "cubic"),
        pytest.param(0.375, "linear", marks=pytest.mark.slow),
        pytest.param(1 / 3, "linear", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "method, order", [("heun", 2), ("euler", 1), pytest.param("exp_euler", 1, marks=pytest.mark.slow)]
)
def test_order_of_the_step(method, order, delay, interpolation):
    """From rest under a smooth observation, errors fall like dt^2 for Heun and dt for Euler."""
    n_steps = np.array([48, 192])
    reference = at_3("heun", 1536, delay, interpolation)
    errors = [abs(at_3(method, n, delay, interpolation) - reference) for n in n_steps]
    slope = -np.diff(np.log(errors))[0] / np.log(4)
    assert abs(slope - order) < 0.15, (slope, errors)


def test_exponential_euler_takes_the_leak_exactly():
    net = PCNetwork(
        ([Dense(jnp.ones((1, 1))), Dense(jnp.zeros((1, 1)))], None),
        jnp.zeros(1),
        jnp.ones(1),
        activities=[jnp.full(1, 3.0), jnp.zeros(1)],
        tau=2.0 * u.ms,
        method="exp_euler",
    )
    values = run(net, 3 * u.ms, dt=1.5 * u.ms)[0][:, 0]
    np.testing.assert_allclose(values, 1 + 2 * np.exp(-1.5 / 2 * np.arange(1, 3)), rtol=1e-12)


def test_gradient_of_a_run_reaches_both_delays_and_the_weights():
    model = [Dense(jnp.ones((1, 1))), Dense(jnp.full((1, 1), 1.2))]

    def final(forward, backward, weight=1.2):
        forward, backward = Param(forward * u.ms, fit=True), Param(backward * u.ms, fit=True)
        net = PCNetwork(
            ([model[0], Dense(jnp.full((1, 1), weight))], None),
            jnp.ones(1),
            jnp.zeros(1),
            activities=[jnp.ones(1), jnp.zeros(1)],
            forward_delay=forward,
            backward_delay=backward,
            max_delay=1.0 * u.ms,
            interpolation="cubic",
        )
        return run(net, 2 * u.ms)[0][-1, 0]

    def total(p):
        return final(*p)

    point = np.array([0.33, 0.21, 1.2])
    both = jax.jit(jax.value_and_grad(total))
    grads = both(point)[1]
    for i, shift in enumerate(1e-5 * np.eye(3)):
        np.testing.assert_allclose(
            grads[i], (both(point + shift)[0] - both(point - shift)[0]) / 2e-5, rtol=1e-6
        )


def test_local_gradients_without_delays_are_those_of_the_energy():
    y, x = data()
    net = PCNetwork((MODEL, None), y, x)
    run(net, 1 * u.ms)
    with brainstate.environ.context(dt=DT):
        local = brainstate.transform.jit(net.local_grads)()
    expected, _ = compute_pc_param_grads(net.params, net.activities, y, x)
    for l, layer in enumerate(expected):
        found = jax.tree.leaves(local[f"layers.{l}.parameters"])
        for a, b in zip(found, jax.tree.leaves(layer), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-13)


def test_local_delay_gradient_of_a_network_is_the_formula():
    """``dF/dd_ij = e_i W_ij z_j'(t - d_ij)``, with the slope from two neighboring reads."""
    model = make_mlp(jax.random.key(0), [2, 3, 2], "identity")
    delay = Param(np.random.default_rng(0).uniform(0.2, 0.8, (2, 3)) * u.ms, fit=True)
    net = PCNetwork(
        (model, None),
        jnp.ones(2),
        jnp.ones(2),
        activities=[2 * jnp.ones(3), jnp.zeros(2)],
        forward_delay=[None, delay],
        max_delay=1.0 * u.ms,
    )
    z = np.asarray(run(net, 2 * u.ms)[0])
    with brainstate.environ.context(dt=DT):
        found = brainstate.transform.jit(net.local_grads)()["layers.1.forward_delay"]
    error = np.asarray(net.layers[1].errors.e.value)
    steps = delay.value().to_decimal(u.ms) / 0.05
    for i in range(2):
        for j in range(3):
            newer = len(z) - 1 - int(np.floor(steps[i, j]))
            slope = (z[newer, j] - z[newer - 1, j]) / 0.05
            expected = error[i] * float(model[1].weight[i, j]) * slope
            np.testing.assert_allclose(u.get_magnitude(found)[i, j], expected, rtol=1e-9)


def test_bad_delays_are_refused():
    y, x = data()

    def refused(text, **delays):
        with pytest.raises(ArgumentError) as error:
            PCNetwork((MODEL, None), y, x, **delays)
        assert text in str(error.value)

    refused(
        "PCNetwork.forward_delay: must be one delay or a list of 2; got 3 entries", forward_delay=[None] * 3
    )
    refused(
        "PCLayer.forward_delay: must be a scalar or a matrix [target, source], (4, 3); got (3, 4)",
        forward_delay=[np.ones((3, 4)) * u.ms, None],
    )
    refused("max_delay: is required for a delay that can change", forward_delay=Param(1.0 * u.ms, fit=True))
    refused("PCNetwork.method: must be one of 'euler', 'heun', 'exp_euler'; got 'rk4'", method="rk4")
    refused("PCNetwork.tau: needs a unit", tau=1.0)
    refused("activities: must hold 2 entries", activities=[x])
    with pytest.raises(ArgumentError, match="PCLayer.layer: must be a Dense without skip"):
        PCNetwork(
            ([jnp.tanh, Dense(jnp.ones((2, 3)))], None), y, x, forward_delay=[np.ones((3, 3)) * u.ms, None]
        )
    with pytest.raises(ArgumentError, match="PCNetwork.activities: must be given for a free input"):
        PCNetwork((MODEL, None), y)
    with pytest.raises(ArgumentError, match="PredictiveCoupling.x: must be a delayed read for local_grads"):
        PredictiveCoupling(lambda: jnp.ones((2, 2)), lambda: jnp.ones(2), jnp.ones((2, 2))).local_grads()
