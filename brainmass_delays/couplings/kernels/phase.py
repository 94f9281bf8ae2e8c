"""Kernels of phases."""

import math
from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from ..._core.arguments import checked
from ..._core.units import magnitude
from ..shapes import aligned, per_slot, source_values, target_values, weight_matrix
from .arguments import is_plain, is_strength


@checked(k=is_strength, alpha=is_plain)
def kuramoto_coupling(
    delayed_x: Callable | Any, y: Callable | Any, conn: Any, k: Any = 1.0, alpha: Any = 0.0
):
    r"""Return the Sakaguchi-Kuramoto input of phases, :math:`k \sum_j w_{ij} \sin(x_{ij} - y_i - \alpha)`.

    Parameters
    ----------
    delayed_x, y, conn
        Source and target phases in rad, and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, scalar or shape (N,). It is not divided by N.
    alpha : array_like, default 0
        Phase lag in rad, scalar or shape (N,).

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target, in the unit of ``k * conn``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    References
    ----------
    Sakaguchi, H., Kuramoto, Y. (1986). A soluble active rotator model showing phase transitions via mutual
    entrainment. Progress of Theoretical Physics 76, 576-581.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import kuramoto_coupling
    >>> x, y = jnp.array([[0.0, jnp.pi / 2]]), jnp.array([0.0])
    >>> kuramoto_coupling(x, y, jnp.ones((1, 2)), k=3.0).tolist()
    [3.0]
    """
    where = "kuramoto_coupling"
    y = target_values(where, y)
    weights = weight_matrix(where, conn, y.shape[-1])
    difference = magnitude(where, source_values(where, delayed_x, weights) - y[..., None], u.UNITLESS)
    return k * (aligned(weights, difference) * jnp.sin(difference - per_slot(alpha, difference))).sum(axis=-1)


def phase_features(x: Any):
    """Return the sine and the cosine of source phases."""
    return sine_and_cosine(jnp.asarray(magnitude("kuramoto_coupling.delayed_x", x, u.UNITLESS)))


def kuramoto_combine(sums: tuple, y: Any, k: Any, alpha: Any):
    """Return the Sakaguchi-Kuramoto input from the sums of sines and cosines of the sources."""
    sine, cosine = sine_and_cosine(magnitude("kuramoto_coupling.y", y, u.UNITLESS) + jnp.asarray(alpha))
    return k * (sums[0] * cosine - sums[1] * sine)


# pi / 2 in three parts: whole multiples of the first two are exact in single precision up to some thousands
QUARTER_TURN = 1.5703125, 4.837512969970703125e-4, 7.549789948768648e-8
SINE = -1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4
COSINE = 4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5


@jax.custom_jvp
def sine_and_cosine(x: Any):
    """Return both at once, in single precision by the polynomials of Cephes [1]_, which compile to vectors: a
    fifth of the time of two library calls, which take a good part of a step of phases.

    Errors are below 2e-7 up to 1e4 rad, below the distance of neighboring single numbers up to 1e6; beyond,
    where that is more than 0.06 rad, both stay bounded.

    References
    ----------
    .. [1] S. L. Moshier. Cephes Mathematical Library, release 2.2 (1992), sinf.c.
    """
    if x.dtype != jnp.float32:
        return jnp.sin(x), jnp.cos(x)
    n_quarters = jnp.round(x * (2 / math.pi))
    rest = x
    for part in QUARTER_TURN:
        rest = rest - n_quarters * part
    rest = jnp.clip(rest, -1.0, 1.0)  # of phases beyond all meaning
    square = rest * rest
    sine = rest + rest * square * _polynomial(SINE, square)
    cosine = 1 - 0.5 * square + square * square * _polynomial(COSINE, square)
    turn = n_quarters.astype(jnp.int32)
    is_odd = turn & 1 == 1
    sine, cosine = jnp.where(is_odd, cosine, sine), jnp.where(is_odd, sine, cosine)
    return jnp.where(turn & 2 != 0, -sine, sine), jnp.where((turn + 1) & 2 != 0, -cosine, cosine)


@sine_and_cosine.defjvp
def _derivative(primals, tangents):
    sine, cosine = sine_and_cosine(*primals)
    return (sine, cosine), (cosine * tangents[0], -sine * tangents[0])


def _polynomial(coefficients, x):
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = coefficient + x * total
    return total
