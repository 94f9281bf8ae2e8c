"""Stencils and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.delays.interpolation import INTERPOLATIONS, split
from brainmass_delays.delays.rounding import linear_stencil, round_stencil, with_slope

pytestmark = pytest.mark.usefixtures("strict_promotion")


def test_with_slope_keeps_the_value_and_adds_one_derivative():
    def f(x, lag):
        return with_slope(x**2, 7.0 * x, lag)

    assert f(3.0, 1.0) == 9.0
    assert jax.grad(f, 0)(3.0, 1.0) == 6.0
    assert jax.grad(f, 1)(3.0, 1.0) == 21.0
    assert jax.jvp(f, (3.0, 1.0), (1.0, 2.0))[1] == 48.0


def test_stencils_never_reach_past_the_bounds():
    for stencil in (round_stencil, linear_stencil):
        for lag in np.linspace(-2, 9, 45):
            s = stencil(jnp.asarray(lag), 1, 6)
            ages = int(s.nearest) + np.array([1, 0, -1])
            for weights in (s.values, s.slopes):
                used = ages[np.asarray(weights) != 0]
                assert used.min() >= 1 and used.max() <= 6
            assert abs(s.values.sum() - 1) < 1e-12 and abs(s.slopes.sum()) < 1e-12


def test_a_lag_between_equal_bounds_has_no_slope():
    for stencil in (round_stencil, linear_stencil):
        s = stencil(jnp.asarray(3.0), 3, 3)
        assert s.nearest == 3 and not s.slopes.any()
        np.testing.assert_array_equal(s.values, [0.0, 1.0, 0.0])


@pytest.mark.parametrize("lag", [0.3 / 0.1, 0.7 / 0.1, 2.0, 3 - 1e-15])
def test_whole_lags_are_those_of_the_other_reads(lag):
    """A quotient such as 0.3 / 0.1 misses a whole number; value and slope are those of the interval towards the past."""
    s, (k, fraction) = linear_stencil(jnp.asarray(lag), 0, 9), split(jnp.asarray(lag), 0)
    assert s.nearest == k == round(lag)
    np.testing.assert_array_equal(s.values[:2], INTERPOLATIONS["linear"].value_weights(fraction)[::-1])
    np.testing.assert_array_equal(s.slopes, [1.0, -1.0, 0.0])


def test_stencil_slopes_reproduce_a_ramp():
    # On the ramp x[t] = t the value at any lag is t - lag, so its derivative in the lag is -1.
    for stencil in (round_stencil, linear_stencil):
        for lag in (0.0, 0.3, 2.0, 2.7, 6.0):
            s = stencil(jnp.asarray(lag), 0, 6)
            samples = -(int(s.nearest) + np.array([1.0, 0.0, -1.0]))
            assert abs(samples @ np.asarray(s.slopes) + 1) < 1e-12
