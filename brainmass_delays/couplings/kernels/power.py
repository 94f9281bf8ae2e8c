"""Kernels with a power of the difference."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax.numpy as jnp

from ..._core.arguments import checked
from ..._core.checks import ArgumentError
from ..._core.units import magnitude
from ..shapes import aligned, per_slot, source_values, target_values, weight_matrix
from .arguments import is_plain, is_plain_array, is_strength


@checked(k=is_strength, p=is_plain)
def powerlaw_coupling(delayed_x: Callable | Any, y: Callable | Any, conn: Any, k: Any = 1.0, p: Any = 1.0):
    r"""Return signed powers of the differences, :math:`k \sum_j w_{ij} \, \mathrm{sign}(d_{ij}) |d_{ij}|^p`.

    The difference is :math:`d_{ij} = x_{ij} - y_i`.

    Parameters
    ----------
    delayed_x, y, conn
        Source, target and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, scalar or shape (N,).
    p : array_like, default 1
        Exponent, positive, dimensionless, scalar or shape (N,). 1 is the diffusive coupling.

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target, in the unit of ``k * conn * y``: the power is taken of the number of units of
        y.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    Notes
    -----
    The value is exact everywhere. So is the gradient, in d and in p, except at d = 0 for p < 1, where the
    slope is infinite and 0 is returned instead (at p = 1 it is 1, above it is 0).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import powerlaw_coupling
    >>> powerlaw_coupling(jnp.array([[5.0, -3.0]]), jnp.array([1.0]), jnp.ones((1, 2)), p=0.5).tolist()
    [0.0]
    """
    where = "powerlaw_coupling"
    y = target_values(where, y)
    weights = weight_matrix(where, conn, y.shape[-1])
    unit = u.get_unit(y)
    difference = source_values(where, delayed_x, weights) - y[..., None]
    power = signed_power(magnitude(f"{where}.delayed_x", difference, unit), per_slot(p, difference))
    total = k * (aligned(weights, power) * power).sum(axis=-1)
    return total if unit.is_unitless else total * unit


@checked(d=is_plain_array, p=is_plain_array)
def signed_power(d: Any, p: Any):
    """Return ``sign(d) * |d|**p`` with a finite gradient everywhere.

    Parameters
    ----------
    d : array
        Any numbers.
    p : array_like
        Exponent, positive.

    Returns
    -------
    array
        Of the shape of ``d`` and ``p`` together. It is computed as ``exp(p log |d|)``, which a CPU does for
        many numbers at once, several times as fast as ``**``.

    Notes
    -----
    The gradient is exact, in d and in p, except at d = 0 for p < 1, where the slope is infinite and 0 is
    returned instead.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import signed_power
    >>> [round(float(x), 6) for x in signed_power(jnp.array([-4.0, 0.0, 9.0]), 0.5)]
    [-2.0, 0.0, 3.0]
    """
    d = jnp.asarray(d, jnp.result_type(d, 1.0))
    try:
        jnp.broadcast_shapes(d.shape, jnp.shape(p))
    except ValueError:
        rule = f"must have the shape of d, {d.shape}, or broadcast to it"
        raise ArgumentError("signed_power.p", rule, f"shape {jnp.shape(p)}") from None
    zero = d == 0
    size = jnp.where(zero, 1.0, jnp.abs(d))
    # At 0 the branch d * (p == 1) has the right value, and the right slope for every p >= 1.
    return jnp.where(zero, d * jnp.asarray(p == 1, d.dtype), jnp.sign(d) * jnp.exp(p * jnp.log(size)))
