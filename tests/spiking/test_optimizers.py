"""Optimizer transforms: no wind-up, whole steps, groups, width schedule, in optax and in braintools."""

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError
from brainmass_delays.spiking import (
    DelayLayer,
    anneal_width,
    parameter_groups,
    project_delays,
    project_to_grid,
)


def run(tx, start, gradients):
    """Return the parameter after each gradient, ``(step, ...)``."""

    def step(carry, gradient):
        value, state = carry
        updates, state = tx.update(gradient, state, value)
        value = optax.apply_updates(value, updates)
        return (value, state), value

    return np.asarray(jax.jit(lambda g: jax.lax.scan(step, (start, tx.init(start)), g)[1])(gradients))


@pytest.mark.parametrize("optimizer", [optax.sgd(1.0), optax.adam(1.0)])
@pytest.mark.parametrize("sign, bound", [(1.0, 0.0), (-1.0, 49.0)])
def test_nothing_winds_up_beyond_a_bound(optimizer, sign, bound):
    tx = optax.chain(optimizer, project_delays(0.0, 49.0))
    start = jnp.array([0.0, 20.0, 49.0])
    pushed = jnp.full((1600, 3), sign)
    path = run(tx, start, pushed)
    assert path.min() >= 0 and path.max() <= 49 and np.all(path[-1] == bound)


def test_the_first_turned_gradient_moves_a_saturated_delay():
    tx = optax.chain(optax.sgd(1.0), project_delays(0.0, 49.0))
    path = run(tx, jnp.array([48.5]), jnp.array([[-1.0]] * 1600 + [[1.0]]))
    assert path[-2, 0] == 49.0 and path[-1, 0] == 48.0


@settings(max_examples=100, deadline=None)
@given(value=st.floats(0, 1), step=st.floats(-1e3, 1e3), upper=st.floats(1e-3, 1e4), single=st.booleans())
def test_the_floating_point_sum_stays_inside(value, step, upper, single):
    dtype = np.float32 if single else np.float64
    value, step, upper = dtype(value * upper), dtype(step), dtype(upper)
    value = min(value, upper)
    tx = project_delays(dtype(0), upper)
    update, _ = tx.update(jnp.asarray(step), tx.init(value), jnp.asarray(value))
    assert 0 <= optax.apply_updates(jnp.asarray(value), update) <= upper


def test_on_grid_values_are_whole_and_nothing_is_lost(rng):
    dt, gradients = 0.1, rng.normal(size=(500, 7))
    start = np.rint(rng.uniform(100, 200, 7)) * dt
    path = run(optax.chain(optax.sgd(0.03), project_to_grid(dt)), jnp.asarray(start), jnp.asarray(gradients))
    assert np.abs(path / dt - np.rint(path / dt)).max() < 1e-9
    wanted = start - 0.03 * np.cumsum(gradients, 0)
    np.testing.assert_allclose(path, np.rint(wanted / dt) * dt, atol=1e-9)
    assert 20 < np.count_nonzero(np.diff(path, axis=0)) < 3000


def test_on_grid_values_do_not_wind_up():
    tx = optax.chain(optax.sgd(0.3), project_to_grid(1.0, 0.0, 49.0))
    path = run(tx, jnp.array([48.0]), jnp.array([[-1.0]] * 300 + [[1.0]] * 2))
    assert path.max() == 49.0 and path[-3, 0] == 49.0 and path[-1, 0] == 48.0


def test_units_of_bounds_and_parameters_may_differ():
    delay = jnp.array([1.0, 9.0]) * u.ms
    for tx, expected in (
        (project_delays(2000 * u.us, 0.008 * u.second), [2.0, 8.0]),
        (project_to_grid(500 * u.us), [1.5, 9.5]),
    ):
        updates, _ = tx.update(jnp.array([0.4, 0.4]) * u.ms, tx.init(delay), delay)
        np.testing.assert_allclose(u.get_magnitude(optax.apply_updates(delay, updates)), expected)


def test_groups_follow_the_last_name_in_the_path():
    sgd = optax.sgd
    tx = parameter_groups({"delays": sgd(10.0), "delay": sgd(100.0)}, default=sgd(1.0))
    params = {
        ("delays", "delay", "val"): jnp.zeros(()) * u.ms,
        ("delays", "weight"): jnp.zeros(()),
        ("readout", "w"): jnp.zeros(()),
    }
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    assert [float(u.get_magnitude(x)) for x in updates.values()] == [-100.0, -10.0, -1.0]


def test_groups_keep_their_own_schedules():
    tx = parameter_groups({"delay": optax.sgd(optax.linear_schedule(1.0, 0.0, 2))}, default=optax.sgd(1.0))
    params = {"delay": jnp.zeros(()), "weight": jnp.zeros(())}
    state = tx.init(params)
    for _ in range(4):
        updates, state = tx.update(jax.tree.map(jnp.ones_like, params), state, params)
        params = optax.apply_updates(params, updates)
    assert float(params["delay"]) == -1.5 and float(params["weight"]) == -4.0


def layer_and_loss(interpolation="gaussian"):
    layer = DelayLayer(
        4, max_delay=9 * u.ms, interpolation=interpolation, delay=np.array([1.0, 3.0, 8.5, 8.9]) * u.ms
    )
    x = jnp.asarray((np.random.default_rng(0).random((8, 40, 4)) < 0.2).astype(float))
    target = DelayLayer(4, max_delay=9 * u.ms, delay=np.array([2.0, 5.0, 9.0, 9.0]) * u.ms)(x)
    return layer, lambda: ((layer(x) - target) ** 2).mean()


def test_all_transforms_inside_a_compiled_braintools_loop():
    layer, loss = layer_and_loss()
    weights = layer.states(brainstate.ParamState)
    tx = optax.chain(
        parameter_groups(
            {"delay": optax.chain(optax.adam(0.1), project_delays(layer.min_delay, layer.max_delay))},
            default=optax.adam(0.01),
        ),
        anneal_width(layer, optax.exponential_decay(3.0, 1, 0.98, end_value=0.5)),
    )
    stepper = braintools.optim.OptaxOptimizer(tx=tx).register_trainable_weights(weights)

    @brainstate.transform.jit
    def fit():
        def step(_):
            grads, value = brainstate.transform.grad(loss, weights, return_value=True)()
            stepper.step(grads)
            return value

        return brainstate.transform.for_loop(step, jnp.arange(300))

    losses = fit()
    delay = u.get_magnitude(layer.delay.value())
    np.testing.assert_allclose(delay, [2, 5, 9, 9], atol=0.05)
    assert delay.max() <= 9.0 and losses[-1] < 0.1 * losses[0]
    assert abs(float(layer.width.value / u.ms) - 0.5) < 1e-6


def test_bad_arguments_name_themselves():
    with pytest.raises(ArgumentError, match="project_delays.lower: must not exceed upper"):
        project_delays(3 * u.ms, 2 * u.ms)
    with pytest.raises(ArgumentError, match="project_to_grid.dt: must be positive"):
        project_to_grid(0 * u.ms)
    with pytest.raises(ArgumentError, match="project_delays.params: must be passed"):
        project_delays(0.0, 1.0).update(jnp.zeros(2), optax.EmptyState())
    with pytest.raises(
        ArgumentError, match="parameter_groups.groups: must name parameters among .*weight.*; got dely"
    ):
        parameter_groups({"dely": optax.sgd(1.0)}, optax.sgd(1.0)).init({"weight": jnp.zeros(2)})
    with pytest.raises(
        ArgumentError, match="anneal_width.layer: must have a kernel width; got interpolation='round'"
    ):
        anneal_width(DelayLayer(2, max_delay=3 * u.ms), lambda count: 1.0)
