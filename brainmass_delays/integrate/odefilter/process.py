"""Gauss-Markov processes on a solution and its derivatives, discretized over a step.

All of them say ``d u^(q-1) = sum_k drift_k u^(k) dt + sigma dW``; what differs is the drift.

References
----------
.. [1] S. Särkkä, A. Solin. Applied Stochastic Differential Equations. Cambridge, 2019. Sections 6 and 12.3.
.. [2] N. Bosch, P. Hennig, F. Tronarp. Probabilistic exponential integrators. NeurIPS 2023.
.. [3] T. Stillfjord, F. Tronarp. Computing the matrix exponential and the Cholesky factor of a related finite
   horizon Gramian. arXiv 2310.13462 (2023).
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from .gaussian import Transition, stack
from .triangular import triangularize

DOUBLINGS = 8
TERMS = 32  # of the exponential series over a step divided by 2^DOUBLINGS
# Within this bound on rate * step the series loses less than three digits.
LONGEST = 4.0 * 2**DOUBLINGS


def _ornstein_uhlenbeck_drift(n_coefficients: int, rate):
    """Return the drift rows of an integrated Ornstein-Uhlenbeck process: the last derivative decays."""
    return [jnp.zeros_like(rate)] * (n_coefficients - 1) + [-rate]


def _matern_drift(n_coefficients: int, rate):
    """Return the drift rows of a Matern process of smoothness ``n_coefficients - 1/2`` ([1]_, 12.3)."""
    q = n_coefficients
    return [-math.comb(q, k) * rate ** (q - k) for k in range(q)]


DRIFTS = {"ornstein-uhlenbeck": _ornstein_uhlenbeck_drift, "matern": _matern_drift}


@functools.lru_cache
def _unit_process(order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``1 / (j - i)!`` for j >= i, a root of the scaled noise, and its scales ``1 / (order - i)!``."""
    row, column = np.indices((order + 1, order + 1))
    factorial = np.vectorize(math.factorial, otypes=[float])
    taylor = np.triu(1.0 / factorial(np.abs(column - row)))
    noise = np.linalg.cholesky(1.0 / (2 * order + 1 - row - column)).T
    return taylor, noise, 1.0 / factorial(order - np.arange(order + 1))


def wiener(order: int, step: jax.Array) -> Transition:
    """Discretize the integrated Wiener process of unit diffusion; its noise is divided by ``sqrt(step)``."""
    taylor, noise, scales = _unit_process(order)
    powers = jnp.stack([step**k for k in range(order + 1)])
    row, column = np.indices(taylor.shape)
    return Transition(
        powers[np.maximum(column - row, 0)] * jnp.asarray(taylor, powers.dtype),
        jnp.asarray(noise, powers.dtype) * powers[::-1] * jnp.asarray(scales, powers.dtype),
    )


def linear(drift: jax.Array, diffusion: jax.Array, step: jax.Array) -> Transition:
    """Discretize a linear process with drift rows (block, c, n) and diffusion (block, c) over a step.

    Over a small part of the step the exponential is a series; the noise is a quadrature of its square, which
    as a stack of rows is a root. Doubling the step squares the one and adds two copies of the other [3]_.
    """
    n_blocks, c, n = drift.shape
    shift = jnp.broadcast_to(jnp.eye(n, k=c, dtype=drift.dtype), (n_blocks, n, n))
    part = step / 2**DOUBLINGS
    matrix = part * shift.at[:, n - c :].set(drift)
    terms = [jnp.broadcast_to(jnp.eye(n, dtype=drift.dtype), matrix.shape)]
    for k in range(1, TERMS):
        terms.append(matrix @ terms[-1] / k)
    terms = jnp.stack(terms)
    nodes, weights = np.polynomial.legendre.leggauss(TERMS // 2)
    powers = np.sqrt(0.5 * weights)[:, None] * (0.5 + 0.5 * nodes[:, None]) ** np.arange(TERMS)
    responses = jnp.einsum("mk,kbnc->bmcn", jnp.asarray(powers, drift.dtype), terms[..., n - c :])
    rows = (jnp.sqrt(part) * diffusion[:, None, :, None] * responses).reshape(n_blocks, -1, n)
    rows = jnp.pad(rows, ((0, 0), (0, max(0, n - rows.shape[1])), (0, 0)))

    def double(transition, _):
        exponential, root = transition
        return Transition(exponential @ exponential, triangularize(stack(root @ exponential.mT, root))), None

    start = Transition(jnp.sum(terms, axis=0), triangularize(rows))
    return jax.lax.scan(double, start, length=DOUBLINGS)[0]
