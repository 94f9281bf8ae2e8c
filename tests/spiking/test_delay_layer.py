"""Delay layer: exact shifts, gradients, causality, stacking, step mode, bounds."""

import brainstate
import brainunit as u
import delay_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.spiking import LIF, DelayLayer, RecurrentLIF

RULES = ("round", "linear", "gaussian", "triangular")
SHORT = ("round", "linear")
WIDTH = {"gaussian": 2.3, "triangular": 2.7}
BOUND = 6


def make(rule, delay, n_out=None, bound=BOUND, width=None, **options):
    """Build a layer from numbers in ms."""
    if rule in WIDTH:
        options["width"] = (WIDTH[rule] if width is None else width) * u.ms
    return DelayLayer(
        np.shape(delay)[-1],
        n_out,
        max_delay=bound * u.ms,
        interpolation=rule,
        delay=jnp.asarray(delay) * u.ms,
        **options,
    )


def value_and_slope(layer, x, cotangent):
    """Return a scalar function of the delays in ms and its gradient."""
    state = layer.delay.val

    @brainstate.transform.jit
    def loss(delay):
        state.value = delay * u.ms
        return (layer(x) * cotangent).sum()

    at = u.get_magnitude(state.value)
    gradient = brainstate.transform.jit(
        brainstate.transform.grad(lambda: (layer(x) * cotangent).sum(), state)
    )()
    return loss, at, np.asarray(u.get_magnitude(gradient))


def spikes(rng, batch=3, time=20, channels=5, rate=0.3):
    return (rng.random((batch, time, channels)) < rate).astype(float)


@pytest.mark.parametrize("mode", ["same", "valid"])
@pytest.mark.parametrize(
    "rule, width, tolerance",
    [("round", None, 0), ("linear", None, 0), ("gaussian", 0.1, 1e-12), ("triangular", 1.0, 1e-12)],
)
def test_whole_delays_shift_exactly(rng, rule, width, tolerance, mode):
    steps = np.array([0, 1, 3, BOUND - 1, BOUND])
    x = spikes(rng)
    expected = oracle.shifted(x, steps)[:, BOUND if mode == "valid" else 0 :]
    assert np.abs(make(rule, steps * 1.0, width=width, mode=mode)(x) - expected).max() <= tolerance


@pytest.mark.parametrize("rule", SHORT)
def test_whole_delays_shift_exactly_in_float32(rng, single_precision, rule):
    steps = np.array([0, 1, 3, BOUND - 1, BOUND])
    x = spikes(rng).astype(np.float32)
    result = make(rule, steps * 1.0)(x)
    assert result.dtype == jnp.float32
    np.testing.assert_array_equal(result, oracle.shifted(x, steps))


@pytest.mark.parametrize("rule", ("gaussian", "triangular"))
def test_wide_kernels_in_float32(rng, single_precision, rule):
    steps = np.array([0, 1, 3, BOUND - 1, BOUND])
    x = spikes(rng).astype(np.float32)
    np.testing.assert_allclose(
        make(rule, steps * 1.0, width={"gaussian": 0.1, "triangular": 1.0}[rule])(x),
        oracle.shifted(x, steps),
        atol=1e-6,
    )


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_whole_delay_shifts_any_signal(data):
    bound = data.draw(st.integers(1, 9))
    steps = data.draw(st.lists(st.integers(0, bound), min_size=1, max_size=4))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).normal(
        size=(2, data.draw(st.integers(1, 12)), len(steps))
    )
    np.testing.assert_array_equal(
        make("round", np.array(steps, float), bound=bound)(x), oracle.shifted_short(x, steps)
    )


def test_linear_reads_between_samples(rng):
    x, lag = rng.normal(size=(2, 15, 5)), np.array([0.25, 1.5, 3.0, 5.999, 6.0])
    np.testing.assert_allclose(make("linear", lag)(x), oracle.linear(x, lag, BOUND), atol=1e-15)


def test_round_goes_to_the_nearest_step_not_down(rng):
    x = spikes(rng)
    np.testing.assert_array_equal(
        make("round", np.array([0.4, 0.6, 2.9, 3.1, 5.9]))(x), oracle.shifted(x, [0, 1, 3, 3, 6])
    )


@pytest.mark.parametrize("n_out", [None, 3])
@pytest.mark.parametrize("rule, tolerance", [("linear", 1e-6), ("gaussian", 1e-5), ("triangular", 1e-5)])
def test_gradient_is_the_derivative(rng, rule, n_out, tolerance):
    shape = (5,) if n_out is None else (n_out, 5)
    layer = make(rule, rng.integers(0, BOUND, shape) + rng.uniform(0.1, 0.9, shape), n_out)
    x = rng.normal(size=(2, 20, 5))
    loss, at, gradient = value_and_slope(layer, x, rng.normal(size=(2, 20, n_out or 5)))
    numeric = np.zeros_like(gradient)
    for index in np.ndindex(gradient.shape):
        h = np.zeros(shape)
        h[index] = 1e-5
        numeric[index] = (loss(at + h) - loss(at - h)) / 2e-5
    assert np.linalg.norm(gradient - numeric) / np.linalg.norm(numeric) < tolerance


@pytest.mark.parametrize("rule, newest, weight", [("round", -1, 0.5), ("linear", 0, 1.0)])
def test_gradient_at_whole_delays_is_central_or_that_of_the_past(rng, rule, newest, weight):
    steps, x, g = np.array([1, 2, 3, 4, 5]), rng.normal(size=(2, 20, 5)), rng.normal(size=(2, 20, 5))
    _, _, gradient = value_and_slope(make(rule, steps * 1.0), x, g)
    expected = [
        sum(
            weight * g[:, t, c] @ (oracle.at_lag(x, t, d + 1, c) - oracle.at_lag(x, t, d + newest, c))
            for t in range(20)
        )
        for c, d in enumerate(steps)
    ]
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("rule", SHORT)
@pytest.mark.parametrize("at, older, newer", [(0, 1, 0), (BOUND, BOUND, BOUND - 1)])
def test_gradient_at_a_bound_points_inward_and_stays_inside(rng, rule, at, older, newer):
    x, g = rng.normal(size=(2, 20, 1)), rng.normal(size=(2, 20, 1))
    _, _, gradient = value_and_slope(make(rule, np.array([float(at)])), x, g)
    expected = sum(
        g[:, t, 0] @ (oracle.at_lag(x, t, older, 0) - oracle.at_lag(x, t, newer, 0)) for t in range(20)
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_no_gradient_is_dead_at_the_bounds(rng, rule):
    _, _, gradient = value_and_slope(
        make(rule, np.array([0.0, BOUND])), rng.normal(size=(2, 20, 2)), np.ones((2, 20, 2))
    )
    assert np.all(gradient != 0)


def test_gradient_per_ms_does_not_depend_on_the_unit_of_dt(rng):
    x = rng.normal(size=(2, 20, 5))
    with brainstate.environ.context(dt=250 * u.us):
        layer = DelayLayer(
            5, max_delay=1.5 * u.ms, interpolation="linear", delay=np.array([0.3, 0.6, 0.1, 1.1, 1.4]) * u.ms
        )
        loss, at, gradient = value_and_slope(layer, x, np.ones((2, 20, 5)))
        numeric = [(loss(at + h) - loss(at - h)) / 2e-6 for h in 1e-6 * np.eye(5)]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6)


@pytest.mark.parametrize("n_out", [None, 3])
@pytest.mark.parametrize("rule", RULES)
def test_adjoint_in_the_signal(rng, rule, n_out):
    layer = make(rule, rng.uniform(0, BOUND, (5,) if n_out is None else (n_out, 5)), n_out)
    x, y = rng.normal(size=(2, 20, 5)), rng.normal(size=(2, 20, n_out or 5))
    image, pulled = jax.jit(lambda x, y: (layer(x), jax.vjp(layer, x)[1](y)[0]))(x, y)
    assert abs((image * y).sum() - (pulled * x).sum()) < 1e-10


@pytest.mark.parametrize("n_out", [None, 3])
@pytest.mark.parametrize("rule", RULES)
def test_future_never_changes_the_past(rng, rule, n_out):
    layer = make(rule, rng.uniform(0, BOUND, (5,) if n_out is None else (n_out, 5)), n_out, method="direct")
    x = rng.normal(size=(2, 20, 5))
    changed = x.copy()
    changed[:, 12:] = 99.0
    np.testing.assert_array_equal(layer(x)[:, :12], layer(changed)[:, :12])
    assert not np.array_equal(layer(x)[:, 12:], layer(changed)[:, 12:])


@pytest.mark.parametrize("n_out", [None, 3])
@pytest.mark.parametrize("rule", RULES)
def test_fft_equals_direct(rng, rule, n_out):
    delay, x = rng.uniform(0, BOUND, (5,) if n_out is None else (n_out, 5)), rng.normal(size=(2, 23, 5))
    weight = {} if n_out is None else {"weight": rng.normal(size=(n_out, 5))}
    direct, fft = (make(rule, delay, n_out, method=method, **weight)(x) for method in ("direct", "fft"))
    np.testing.assert_allclose(direct, fft, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_valid_is_same_without_its_start_and_pads_nothing(rng, rule):
    delay, x = rng.uniform(0, BOUND, 5), rng.normal(size=(2, 20, 5))
    same, valid = (make(rule, delay, mode=mode) for mode in ("same", "valid"))
    np.testing.assert_allclose(valid(x), same(x)[:, BOUND:], atol=1e-12)
    np.testing.assert_allclose(valid(np.ones_like(x)), 1.0, atol=1e-12)


@pytest.mark.parametrize("min_delay", [0, 2])
@pytest.mark.parametrize("method", ["fft", "direct"])
@pytest.mark.parametrize("rule", RULES)
def test_synapses_equal_an_explicit_sum(rng, rule, method, min_delay):
    lag, weight, x = (
        rng.uniform(min_delay, BOUND, (3, 4)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(2, 17, 4)),
    )
    layer = make(rule, lag, 3, weight=weight, method=method, min_delay=min_delay * u.ms)
    expected = oracle.summed(x, weight, lag, rule, WIDTH.get(rule), min_delay, BOUND)
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (5,), (3, 1), (3, 5)])
def test_delays_may_be_shared_axonal_dendritic_or_synaptic(rng, shape):
    lag, weight, x = rng.uniform(0, BOUND, shape), rng.normal(size=(3, 5)), rng.normal(size=(2, 17, 5))
    layer = DelayLayer(5, 3, max_delay=BOUND * u.ms, interpolation="linear", delay=lag * u.ms, weight=weight)
    assert layer.delay.value().shape == shape
    np.testing.assert_allclose(
        layer(x), oracle.summed(x, weight, np.broadcast_to(lag, (3, 5)), "linear", None, 0, BOUND), atol=1e-12
    )


def test_stacked_layers_add_their_delays(rng):
    first, second, x = np.array([0, 2, 6, 1, 3]), np.array([4, 0, 6, 5, 1]), spikes(rng, time=30)
    same = make("round", second * 1.0)(make("round", first * 1.0)(x))
    valid = make("round", second * 1.0, mode="valid")(make("round", first * 1.0, mode="valid")(x))
    once = oracle.shifted(x, first + second)
    np.testing.assert_array_equal(same, once)
    np.testing.assert_array_equal(valid, once[:, 2 * BOUND :])


def test_history_continues_a_sequence(rng):
    x = rng.normal(size=(2, 30, 5))
    for rule in RULES:
        layer = make(rule, rng.uniform(0, BOUND, 5))
        np.testing.assert_allclose(
            layer(x[:, 18:], history=x[:, 18 - BOUND : 18]), layer(x)[:, 18:], atol=1e-12
        )


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
        ({"width": 1 * u.ms}, "DelayLayer.width: needs one of"),
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
