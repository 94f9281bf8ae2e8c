"""Kernels of phases."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax.numpy as jnp

from ..._core.arguments import checked
from ..._core.units import magnitude
from ..shapes import per_slot, source_values, target_values, weight_matrix
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
    return k * (weights * jnp.sin(difference - per_slot(alpha))).sum(axis=-1)


def phase_features(x: Any):
    """Return the sine and the cosine of source phases."""
    x = magnitude("kuramoto_coupling.delayed_x", x, u.UNITLESS)
    return jnp.sin(x), jnp.cos(x)


def kuramoto_combine(sums: tuple, y: Any, k: Any, alpha: Any):
    """Return the Sakaguchi-Kuramoto input from the sums of sines and cosines of the sources."""
    phase = magnitude("kuramoto_coupling.y", y, u.UNITLESS) + alpha
    return k * (sums[0] * jnp.cos(phase) - sums[1] * jnp.sin(phase))
