"""Delay layer: step mode, recurrence, compilations, bounds and what is refused."""

import brainstate
import brainunit as u
import delay_oracle as oracle
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param
from delay_cases import BOUND, RULES, make, spikes, value_and_slope

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.spiking import LIF, DelayLayer, RecurrentLIF


@pytest.mark.parametrize("batch", [None, 1, 4])
@pytest.mark.parametrize("n_out", [None, 3])
@pytest.mark.parametrize("rule", RULES)
def test_step_mode_equals_sequence_mode(rng, rule, n_out, batch):
    layer = make(rule, rng.uniform(0, BOUND, (5,) if n_out is None else (n_out, 5)), n_out)
    x = rng.normal(size=(batch or 1, 20, 5))
    g = rng.normal(size=(batch or 1, 20, n_out or 5))
    steps = np.moveaxis(x, 1, 0) if batch else x[0]

    @brainstate.transform.jit
    def by_steps():
        layer.init_state(batch)
        out = brainstate.transform.for_loop(layer.step, jnp.asarray(steps))
        return jnp.moveaxis(out, 0, 1) if batch else out[None]

    for _ in range(2):  # a second trial starts from an empty buffer
        np.testing.assert_allclose(by_steps(), layer(x), atol=1e-12)
    _, _, gradient = value_and_slope(layer, x, g)
    stepwise = brainstate.transform.jit(
        brainstate.transform.grad(lambda: (by_steps() * g).sum(), layer.delay.val)
    )()
    np.testing.assert_allclose(u.get_magnitude(stepwise), gradient, rtol=1e-9, atol=1e-11)


def test_step_mode_is_exact_for_whole_delays(rng):
    steps, x = np.array([0, 1, 3, 5, 6]), spikes(rng)
    layer = make("round", steps * 1.0)
    layer.init_state(3)
    rows = brainstate.transform.for_loop(layer.step, jnp.asarray(np.moveaxis(x, 1, 0)))
    np.testing.assert_array_equal(np.moveaxis(rows, 0, 1), oracle.shifted(x, steps))


def test_recurrent_feedback_equals_a_plain_loop(rng):
    n, n_steps = 4, 40
    lag, weight = rng.integers(1, 4, (n, n)), rng.normal(size=(n, n))
    feedback = DelayLayer(n, n, min_delay=1 * u.ms, max_delay=3 * u.ms, delay=lag * u.ms, weight=weight)
    currents = rng.uniform(0, 0.6, (2, n_steps, n))
    spiked, v, decay = np.zeros((2, n_steps, n)), np.zeros((2, n)), np.exp(-1 / 5)
    for t in range(n_steps):
        arriving = np.array(
            [
                [
                    sum(weight[o, i] * spiked[b, t - lag[o, i], i] for i in range(n) if t >= lag[o, i])
                    for o in range(n)
                ]
                for b in range(2)
            ]
        )
        v = decay * v * (1 - spiked[:, t - 1] * (t > 0)) + currents[:, t] + arriving
        spiked[:, t] = v >= 1
    np.testing.assert_array_equal(RecurrentLIF(LIF(n), feedback)(jnp.asarray(currents)), spiked)
    assert 0.02 < spiked.mean() < 0.9


@pytest.mark.parametrize("rule", RULES)
def test_recurrent_delays_get_gradients(rng, rule):
    feedback = make(rule, rng.uniform(1, 3, (4, 4)), 4, bound=3, min_delay=1 * u.ms)
    network, currents = RecurrentLIF(LIF(4), feedback), jnp.asarray(rng.uniform(0.2, 0.6, (2, 30, 4)))
    gradient = brainstate.transform.grad(lambda: network(currents).sum(), feedback.delay.val)()
    assert np.count_nonzero(u.get_magnitude(gradient)) >= 12


def test_read_needs_a_delay_of_one_step():
    layer = make("round", np.ones(2))
    layer.init_state()
    with pytest.raises(ArgumentError, match="DelayLayer.read: needs a min_delay of at least one step; got 0"):
        layer.read()


def test_width_changes_without_compiling_again(rng):
    layer, compiled = make("gaussian", rng.uniform(0, BOUND, 5)), []

    @brainstate.transform.jit
    def run(x):
        compiled.append(1)
        return layer(x)

    x = rng.normal(size=(2, 20, 5))
    wide = run(x)
    layer.width.value = 0.5 * u.ms
    narrow = run(x)
    assert len(compiled) == 1
    lag = u.get_magnitude(layer.delay.value())
    expected = oracle.summed(x[..., :1], np.ones((1, 1)), lag[:1, None], "gaussian", 0.5, 0, BOUND)
    np.testing.assert_allclose(narrow[..., :1], expected, atol=1e-12)
    assert np.abs(wide - narrow).max() > 0.1


def test_no_compiling_again_for_new_delays(rng):
    layer, compiled = make("round", rng.uniform(0, BOUND, 5)), []
    run = brainstate.transform.jit(lambda x: (compiled.append(1), layer(x))[1])
    for _ in range(3):
        layer.delay.set_value(rng.uniform(0, BOUND, 5) * u.ms)
        run(spikes(rng))
    assert len(compiled) == 1


def test_any_number_type_of_spikes(rng):
    x, layer = spikes(rng), make("round", np.arange(5.0))
    for kind in (bool, np.uint8, np.int32, np.float64):
        np.testing.assert_array_equal(layer(x.astype(kind)), layer(x))


def test_initializers_and_defaults():
    brainstate.random.seed(0)
    layer = DelayLayer(2000, max_delay=9 * u.ms, min_delay=3 * u.ms)
    lag = np.asarray(layer.lag())
    assert 3 <= lag.min() < 3.1 and 8.9 < lag.max() <= 9 and abs(lag.mean() - 6) < 0.2
    called = DelayLayer(4, max_delay=9 * u.ms, delay=lambda shape: jnp.full(shape, 2.0) * u.ms)
    np.testing.assert_array_equal(called.steps(), [2, 2, 2, 2])
    assert not DelayLayer(4, max_delay=9 * u.ms, delay=Param(2 * u.ms, fit=False)).states(
        brainstate.ParamState
    )


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"delay": np.array([-1.0, 0.0]) * u.ms},
            "DelayLayer.delay: must lie between 0 ms and 9 ms; got -1 to 0 ms",
        ),
        ({"delay": np.array([1.0, 9.5]) * u.ms}, "DelayLayer.delay: must lie between .* got 1 to 9.5 ms"),
        ({"delay": np.array([1.0, np.nan]) * u.ms}, "DelayLayer.delay: must be finite; got nan"),
        ({"delay": np.ones(3) * u.ms}, r"DelayLayer.delay: must broadcast to the shape \(2,\); got \(3,\)"),
        ({"delay": np.ones(2)}, "DelayLayer.delay: needs a unit such as ms"),
        ({"delay": np.ones(2) * u.mV}, "DelayLayer.delay: must have the dimension of ms"),
        ({"max_delay": 9}, "DelayLayer.max_delay: needs a unit such as ms"),
        (
            {"max_delay": 9.5 * u.ms},
            "DelayLayer.max_delay: must be a whole number of time steps.* got 9.5 ms",
        ),
        ({"max_delay": 0.4 * u.ms}, "DelayLayer.max_delay: must be a whole number of time steps, at least 1"),
        ({"max_delay": -3 * u.ms}, "DelayLayer.max_delay: must be positive"),
        ({"min_delay": 10 * u.ms}, "DelayLayer.min_delay: must lie between 0 and max_delay"),
        ({"min_delay": 0.5 * u.ms}, "DelayLayer.min_delay: must be a whole number of time steps"),
        ({"interpolation": "gausian"}, "DelayLayer.interpolation: must be one of .*Did you mean 'gaussian'"),
        ({"mode": "full"}, "DelayLayer.mode: must be one of 'same', 'valid'"),
        ({"weight": np.ones(2)}, "DelayLayer.weight: needs n_out"),
        ({"width": 1 * u.ms}, "DelayLayer.width: belongs to interpolation 'gaussian' or"),
        ({"interpolation": "gaussian", "width": 0 * u.ms}, "DelayLayer.width: must be positive"),
        ({"n_in": 0}, "DelayLayer.n_in: must be a whole number of at least 1"),
    ],
)
def test_bad_arguments_name_themselves(options, message):
    with pytest.raises(ArgumentError, match=message):
        DelayLayer(**{"n_in": 2, "max_delay": 9 * u.ms, **options})


def test_bad_spikes_name_themselves(rng):
    layer = make("round", np.ones(2))
    with pytest.raises(
        ArgumentError, match=r"DelayLayer.spikes: must have the shape \(batch, time, channel\) with 2"
    ):
        layer(np.zeros((4, 2)))
    with pytest.raises(ArgumentError, match="DelayLayer.spikes: .* with 2 channels"):
        layer(np.zeros((1, 4, 3)))
    with pytest.raises(ArgumentError, match="Call init_state"):
        layer.step(np.zeros(2))
    with pytest.raises(ArgumentError, match="must be longer than max_delay, 6 steps"):
        make("round", np.ones(2), mode="valid")(np.zeros((1, 6, 2)))
    with pytest.raises(ArgumentError, match="DelayLayer.history: must have the shape"):
        layer(np.zeros((1, 9, 2)), history=np.zeros((1, 5, 2)))
    layer.init_state(4)
    with pytest.raises(ArgumentError, match="DelayLayer.spikes"):
        layer.step(np.zeros(2))


def test_a_new_time_step_needs_a_new_buffer():
    layer = make("round", np.ones(2))
    layer.init_state(1)
    with (
        brainstate.environ.context(dt=0.5 * u.ms),
        pytest.raises(ArgumentError, match="7 slots instead of 13"),
    ):
        layer.step(np.zeros((1, 2)))


def test_a_missing_time_step_is_named():
    layer = make("round", np.ones(2))
    with (
        brainstate.environ.context(dt=None),
        pytest.raises(ArgumentError, match="DelayLayer: needs the time step"),
    ):
        layer(np.zeros((1, 9, 2)))


def test_delays_that_left_their_bounds_are_flagged(rng):
    layer, x = make("round", np.ones(5)), spikes(rng)
    layer.delay.set_value(np.array([1, 2, 7.0, 1, 1]) * u.ms)
    with pytest.raises(RunError, match="DelayLayer.delay: a delay passed its static bound"):
        layer(x)
    layer.check()
    brainstate.transform.jit(layer)(x)
    with pytest.raises(RunError, match="project_delays"):
        layer.check()
