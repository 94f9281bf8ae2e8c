"""Delayed reads return exactly what was there: whole steps, ramps and cubics, at every edge of the bound."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import LinearStep, Network, Simulator, prefetch_delay
from brainmass_delays.delays.buffer import Rings, fill, push, read, slots_needed
from brainmass_delays.delays.interpolation import INTERPOLATIONS, split

strict = pytest.mark.usefixtures("strict_promotion")
RULES = ["nearest", "linear", "cubic", "hermite"]
STEP = 0.1


class Recorded(LinearStep):
    """A node that is told its value, and knows the slope of what it is told."""

    def tell(self, value, slope=0.0):
        self.slopes = {"x": jnp.broadcast_to(jnp.asarray(slope, float), self.varshape) / u.ms}
        self.x.value = jnp.broadcast_to(jnp.asarray(value, float), self.varshape)
        for hook in self.after_updates.values():
            hook()


def cubic(t):
    return 0.5 * t**3 - t**2 + 2 * t - 1


def cubic_slope(t):
    return 1.5 * t**2 - 2 * t + 2


@pytest.mark.parametrize("rule", RULES)
def test_whole_delays_are_exact_at_every_step(rule):
    """Eight delays of 0 to 7 steps of one node that takes arbitrary values: equality, the initial state included."""
    values = np.random.default_rng(0).normal(size=12)
    with brainstate.environ.context(dt=0.125 * u.ms):
        node = Recorded(1, init_x=values[0])
        delays = np.arange(8)[:, None] * 0.125 * u.ms
        read_all = prefetch_delay(node, "x", (delays, np.zeros((8, 1), int)), interpolation=rule)
        brainstate.nn.init_all_states(node)
        for n, value in enumerate(values):
            if n:
                node.tell(value)
            expected = [values[max(n - lag, 0)] for lag in range(8)]
            assert np.asarray(read_all())[:, 0].tolist() == expected


@pytest.mark.parametrize("block", [None, 1, 3])
def test_a_pulse_travels_whole_steps_along_a_chain(block):
    """A chain of integrators: each takes one Euler step of what the last held, exactly so many steps ago."""
    lags = [0, 1, 2, 5, 7]
    n = len(lags) + 1
    weights, delays = np.zeros((n, n)), np.zeros((n, n))
    for i, lag in enumerate(lags):
        weights[i + 1, i], delays[i + 1, i] = 1.0, lag
    start = np.zeros(n)
    start[0] = 1.0
    # x' = -x + coupling with dt = 1 and Euler: the new state is the delayed source itself.
    net = Network(
        LinearStep(n, gamma=-1.0, init_x=start, method="euler"),
        conn=weights,
        delay=delays * u.ms,
        coupling="additive",
        coupled_var="x",
        block=block,
        delay_init=lambda t: jnp.where(t < 0 * u.ms, 0.0, start),
    )
    x = np.asarray(Simulator(net, dt=1.0 * u.ms).run(30 * u.ms)["output"])
    expected = np.zeros((30, n))
    for i in range(1, n):
        arrival = sum(lags[:i]) + i
        if arrival <= 30:
            expected[arrival - 1, i] = 1.0
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("rule", ["linear", "cubic", "hermite"])
@pytest.mark.parametrize(
    ("shape", "slope"), [(lambda t: 3 - 2 * t, lambda t: -2.0 + 0 * t), (cubic, cubic_slope)]
)
def test_polynomials_are_exact_whatever_the_delay(rule, shape, slope):
    """Within the first step, off the grid, and up to the bound."""
    if rule == "linear" and shape is cubic:
        pytest.skip("linear reads are exact on ramps only")
    bound = 0.5
    lags = np.array(
        [
            0,
            1e-9,
            0.3 * STEP,
            0.5 * STEP,
            0.99 * STEP,
            STEP,
            2.37 * STEP,
            bound - STEP,
            bound - STEP / 2,
            bound,
        ]
    )
    with brainstate.environ.context(dt=STEP * u.ms):
        node = Recorded(1, init_x=shape(0.0))
        reads = prefetch_delay(
            node,
            "x",
            (lags[:, None] * u.ms, np.zeros((len(lags), 1), int)),
            interpolation=rule,
            init=lambda t: shape(t.to_decimal(u.ms)),
            max_delay=bound * u.ms,
        )
        brainstate.nn.init_all_states(node)
        for n in range(6):
            if n:
                node.tell(shape(n * STEP), slope((n - 1) * STEP))
            # A slope estimated for the newest sample is exact for the cubic too.
            np.testing.assert_allclose(np.asarray(reads())[:, 0], shape(n * STEP - lags), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_bound_itself_is_inside_and_its_neighbor_within_rounding(rule):
    bound = 0.7
    assert np.nextafter(bound, 1) > bound
    for value in (bound, np.nextafter(bound, 1)):
        with brainstate.environ.context(dt=STEP * u.ms):
            node = Recorded(1, init_x=0.0)
            reads = prefetch_delay(
                node,
                "x",
                value * u.ms,
                interpolation=rule,
                max_delay=bound * u.ms,
                init=lambda t: t.to_decimal(u.ms),
            )
            brainstate.nn.init_all_states(node)
            assert float(reads()[0]) == pytest.approx(-bound, abs=1e-12)


@strict
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dt", [0.01, 0.02, 0.05, 0.1, 0.25, 0.3, 1e-4, 1 / 3])
def test_multiples_of_the_step_read_their_own_sample(dtype, dt):
    """k * dt / dt is not k in floating point; the value read may differ by rounding of the delay, never by a sample."""
    k = np.arange(0, 2000, 7)
    lag = (k.astype(dtype) * dtype(dt)) / dtype(dt)
    whole, fraction = split(jnp.asarray(lag), 0)
    assert fraction.dtype == dtype
    np.testing.assert_allclose(whole.astype(dtype) + fraction, k, rtol=2e-7 if dtype == np.float32 else 1e-15)
    ring = fill(jnp.arange(-2003.0, 1.0, dtype=dtype)[None])
    got = read(Rings(ring), jnp.zeros(k.shape, int), jnp.asarray(lag), INTERPOLATIONS["linear"])
    np.testing.assert_allclose(got, -k, atol=5e-4 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("dt", [0.01, 0.02, 0.1, 0.3, 1e-4])
def test_rounding_of_a_whole_bound_costs_no_sample(dt):
    """0.3 / 0.1 is 2.9999999999999996: the ring has the same size whatever the rounding."""
    for k in (1, 3, 7, 100, 1999):
        assert slots_needed(k * dt / dt, INTERPOLATIONS["linear"]) == slots_needed(
            float(k), INTERPOLATIONS["linear"]
        )


@strict
def test_the_fraction_of_a_lag_does_not_wear_out_over_a_long_run(single_precision):
    """After 1e5 steps a float32 read still has the accuracy of its own lag: time never enters it."""
    ring = fill(jnp.zeros((1, 12), jnp.float32))
    saw = lambda i: jnp.float32(i % 16)[None]  # noqa: E731
    ring = jax.lax.fori_loop(0, 100_000, lambda i, r: push(r, saw(i)), ring)
    got = read(Rings(ring), jnp.zeros(1, int), jnp.array([2.3], jnp.float32), INTERPOLATIONS["linear"])
    assert float(got[0]) == pytest.approx((99_999 % 16) - 2.3, abs=1e-5)


@strict
@given(st.lists(st.integers(-10, 10), min_size=1, max_size=12), st.sampled_from([1, 4]), st.data())
@settings(max_examples=15, deadline=None)
def test_a_ring_is_a_list_with_a_short_memory(values, n_slots, data):
    ring, kept = fill(jnp.zeros((1, n_slots))), [0.0] * n_slots
    for value in values:
        ring, kept = push(ring, jnp.array([float(value)])), [*kept[1:], value]
    age = data.draw(st.integers(0, n_slots - 1))
    got = read(Rings(ring), jnp.zeros(1, int), jnp.array([float(age)]), INTERPOLATIONS["nearest"])
    assert float(got[0]) == kept[-1 - age]


@strict
@pytest.mark.parametrize("rule", ["linear", "cubic", "hermite"])
def test_the_gradient_of_a_read_is_its_slope(rule):
    """Between samples by central differences; at a sample and at the bound, the slope towards the past."""
    ring, slopes = (
        fill(jnp.asarray(f(np.arange(-9, 1) * 0.7))[None]) for f in (np.sin, lambda t: 0.7 * np.cos(t))
    )

    def value(lag):
        return read(Rings(ring, slopes), jnp.zeros((), int), lag, INTERPOLATIONS[rule])

    for lag in (0.37, 0.8, 1.5, 3.21, 6.999):
        numeric = (value(lag + 1e-6) - value(lag - 1e-6)) / 2e-6
        assert float(jax.grad(value)(lag)) == pytest.approx(float(numeric), rel=1e-7)
    for lag in (0.0, 2.0, 5.0):
        towards_past = (value(lag + 1e-7) - value(lag)) / 1e-7
        assert float(jax.grad(value)(lag)) == pytest.approx(float(towards_past), rel=1e-5)


def test_a_trained_delay_has_its_gradient_at_the_bound():
    """Neither halved nor zero: the read is one-sided there."""
    delay = Param(0.5 * u.ms, fit=True)
    with brainstate.environ.context(dt=STEP * u.ms):
        node = Recorded(1, init_x=0.0)
        reads = prefetch_delay(node, "x", delay, max_delay=0.5 * u.ms, init=lambda t: 3 * t.to_decimal(u.ms))
        brainstate.nn.init_all_states(node)
        grads = brainstate.transform.grad(lambda: reads().sum(), delay.val)()
    assert float(u.get_magnitude(grads)) == pytest.approx(-3.0, rel=1e-12)


@pytest.mark.parametrize("past", [0, 0 * u.mV / u.mV, np.float32(0), [0, 0]])
def test_a_history_of_whole_numbers_is_one_of_numbers(past):
    node = Recorded(2, init_x=1.0)
    with brainstate.environ.context(dt=STEP * u.ms):
        reads = prefetch_delay(node, "x", 0.3 * u.ms, max_delay=0.5 * u.ms, init=past)
        brainstate.nn.init_all_states(node)
        np.testing.assert_array_equal(reads(), 0.0)
