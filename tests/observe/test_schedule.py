"""Emissions fall on the step nearest to a multiple of the period, in exact integers, traced or not."""

from fractions import Fraction

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError
from brainmass_delays.observe.schedule import Nested, Schedule, schedule

PERIODS = [(1, 1), (7, 1), (39, 4), (25, 2), (7200, 1), (4, 3), (72000, 7)]


def nearest(m, ratio):
    """Round half up, in exact arithmetic."""
    return (2 * m * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)


@pytest.mark.parametrize(("num", "den"), PERIODS)
def test_emissions_are_the_nearest_steps(num, den):
    plan, ratio = Schedule(num, den), Fraction(num, den)
    expected = np.array([nearest(m, ratio) for m in range(1, 60)])
    np.testing.assert_array_equal(plan.step(np.arange(1, 60)), expected)
    steps = np.arange(expected[-1] + 1)
    np.testing.assert_array_equal(plan.count(steps), np.searchsorted(expected, steps, side="right"))


@given(st.integers(1, 10**7), st.integers(1, 10**3), st.integers(0, 10**8))
@settings(max_examples=60, deadline=None)
def test_int32_under_a_trace_is_enough(ratio_num, den, i):
    dt, period = 1.0 * u.ms, max(1.0, ratio_num / den) * u.ms
    plan = schedule("P", period, dt)
    exact = plan.count(i)  # Python integers
    traced = jax.jit(plan.count)(jnp.int32(i))
    assert int(traced) == exact
    assert abs(plan.step(exact + 1) - (exact + 1) * plan.num / plan.den) <= 0.5


def test_a_period_is_read_as_the_decimal_it_was_written_as():
    assert schedule("P", 0.72 * u.second, 0.1 * u.ms) == Schedule(7200, 1)
    assert schedule("P", 0.9765625 * u.ms, 0.1 * u.ms) == Schedule(625, 64)
    assert schedule("P", 0.72 * u.second, 0.07 * u.ms) == Schedule(72000, 7)


@pytest.mark.parametrize("inner", [Schedule(39, 4), Schedule(1, 1)])
def test_nested_schedules_count_emissions_of_the_first(inner):
    plan = Nested(inner, Schedule(5, 2))
    expected = inner.step(Schedule(5, 2).step(np.arange(1, 20)))
    np.testing.assert_array_equal(plan.step(np.arange(1, 20)), expected)
    steps = np.arange(expected[-1] + 1)
    np.testing.assert_array_equal(plan.count(steps), np.searchsorted(expected, steps, side="right"))
    for length in (1, 3, 20):
        inside = np.array([plan.count(i + length) - plan.count(i) for i in range(100)])
        assert inside.max() <= plan.slots(length)


def test_a_period_below_the_step_is_refused():
    with pytest.raises(ArgumentError, match="P: must be at least the interval of what comes in, 1. ms"):
        schedule("P", 0.5 * u.ms, 1.0 * u.ms)
