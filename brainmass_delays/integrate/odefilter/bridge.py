"""What an integrated Wiener process does between two times where its state is known.

Given the states ``x(a)`` and ``x(b)`` the state at ``s`` between them is Gaussian. Its mean is the polynomial
of degree ``2 q - 1`` that meets both (Hermite's interpolant, from the value to derivative ``q - 1``). All of
it is written without square roots of lengths, so that it can be differentiated in ``s`` at the ends too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from .process import wiener


class Bridge(NamedTuple):
    """Hold ``x(s) = earlier x(a) + later x(b)`` plus noise; both (q, q), ``std`` that of the value for unit
    diffusion."""

    earlier: jax.Array
    later: jax.Array
    std: jax.Array


def bridge(order: int, since: jax.Array, length: jax.Array) -> Bridge:
    """Return the state at ``since`` after the start of an interval of some positive ``length``.

    The covariance over the whole length is that over its parts: ``Q(length) = F Q(since) F' + Q(rest)``. With
    the gain ``G = Q(since) F(rest)' Q(length)^-1`` the mean is ``F(since) x(a) + G (x(b) - F(length) x(a))``.
    """
    first, rest, whole = (wiener(order, h) for h in (since, length - since, length))
    before, after = since * (first.noise.T @ first.noise), (length - since) * (rest.noise.T @ rest.noise)
    half = solve_triangular(whole.noise, rest.matrix @ before, trans="T")
    gain = solve_triangular(whole.noise, half).T / length
    missing = (jnp.eye(order + 1, dtype=gain.dtype) - gain @ rest.matrix)[0]
    variance = missing @ before @ missing + gain[0] @ after @ gain[0]
    positive = variance > 0
    std = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)
    return Bridge(first.matrix - gain @ whole.matrix, gain, std)
