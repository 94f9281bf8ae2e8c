"""Formulas that are 0/0 somewhere: value and gradient exact there, finite everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial

from brainmass_delays.nodes.transfer import threshold_linear

# z / (1 - exp(-z)) = sum of B_n z^n / n!, with Bernoulli's numbers up to n = 10 (B_1 = +1/2).
SERIES = Polynomial([1, 1 / 2, 1 / 12, 0, -1 / 720, 0, 1 / 30240, 0, -1 / 1209600, 0, 1 / 47900160])


@pytest.mark.parametrize("order", range(3))
def test_the_transfer_and_its_derivatives_follow_the_series_around_zero(order):
    f = threshold_linear
    for _ in range(order):
        f = jax.grad(f)
    z = np.concatenate([[0.0, 1e-300, 1e-9, -1e-9], np.linspace(-0.3, 0.3, 41)])
    expected = SERIES.deriv(order)(z) if order else SERIES(z)
    np.testing.assert_allclose(jax.vmap(f)(jnp.asarray(z)), expected, rtol=1e-9)


@pytest.mark.parametrize("order", range(3))
def test_nothing_overflows_far_from_the_threshold(order, single_precision):
    f = threshold_linear
    for _ in range(order):
        f = jax.grad(f)
    far = jnp.asarray([-1e30, -1e4, -800.0, -100.0, 100.0, 800.0, 1e4, 1e30], jnp.float32)
    limits = [np.maximum(far, 0), np.asarray(far > 0, float), np.zeros(8)]
    np.testing.assert_allclose(jax.vmap(f)(far), limits[order], rtol=1e-6, atol=1e-30)
