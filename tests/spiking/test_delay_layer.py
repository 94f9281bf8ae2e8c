"""Delay layer: exact shifts, gradients, causality, stacking of whole sequences."""

import brainstate
import brainunit as u
import delay_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from delay_cases import BOUND, RULES, SHORT, WIDTH, make, spikes, value_and_slope
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays.spiking import DelayLayer


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


@pytest.mark.parametrize("n_out", [None, 3])
@pytest.mark.parametrize("width", [1.0, 2.0, 2.7])
@pytest.mark.parametrize("steps, side", [(0, 1), (2, 1), (BOUND, -1)])
def test_gradient_of_a_triangle_at_its_corners_is_one_sided(rng, n_out, width, steps, side):
    """Towards the past, at the upper bound inward: it was that of less delay, which points outward at 0."""
    layer = make(
        "triangular", np.full((5,) if n_out is None else (n_out, 5), float(steps)), n_out, width=width
    )
    x = rng.normal(size=(2, 20, 5))
    loss, at, gradient = value_and_slope(layer, x, rng.normal(size=(2, 20, n_out or 5)))
    numeric = np.zeros_like(gradient)
    for index in np.ndindex(gradient.shape):
        h = np.zeros_like(gradient)
        h[index] = 1e-6 * side
        numeric[index] = (loss(at + h) - loss(at)) / (1e-6 * side)
    assert np.linalg.norm(gradient - numeric) / np.linalg.norm(numeric) < 1e-5


@pytest.mark.parametrize("rule", ["round", "linear"])
def test_spikes_of_double_precision_reach_delays_of_single_precision(rng, rule):
    """Their slope was of the wrong type, and differentiation failed inside JAX."""
    layer = make(rule, np.array([1.2, 2.7]))
    layer.delay.val.value = layer.delay.val.value.astype(jnp.float32)
    gradient = brainstate.transform.grad(lambda: layer(spikes(rng, channels=2)).sum(), layer.delay.val)
    assert gradient().dtype == jnp.float32
