"""Kernels that saturate."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax.nn
import jax.numpy as jnp

from ..._core.arguments import checked
from ..shapes import aligned, source_values, weight_matrix, weighted_sum
from .arguments import is_plain, is_strength


@checked(k=is_strength, a=is_plain, b=is_plain, slope=is_plain, midpoint=is_plain)
def sigmoidal_coupling(
    delayed_x: Callable | Any,
    conn: Any,
    k: Any = 1.0,
    a: Any = 1.0,
    b: Any = 0.0,
    slope: Any = 1.0,
    midpoint: Any = 0.0,
):
    r"""Return a logistic function of the sum, :math:`k \, \sigma(s (a \sum_j w_{ij} x_{ij} + b - m))`.

    Parameters
    ----------
    delayed_x, conn
        Source and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, the largest input; scalar or shape (N,).
    a, b : array_like, default 1 and 0
        Gain and offset of the sum.
    slope, midpoint : array_like, default 1 and 0
        Steepness s and half-activation m of the logistic function.

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target, in the unit of ``k``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    References
    ----------
    Sanz-Leon, P., Knock, S. A., Spiegler, A., Jirsa, V. K. (2015). Mathematical framework for large-scale
    brain network modeling in The Virtual Brain. NeuroImage 111, 385-430.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import sigmoidal_coupling
    >>> sigmoidal_coupling(jnp.zeros((2, 2)), jnp.ones((2, 2)), k=4.0).tolist()
    [2.0, 2.0]
    """
    return sigmoidal_combine(weighted_sum("sigmoidal_coupling", delayed_x, conn), k, a, b, slope, midpoint)


def sigmoidal_combine(total: Any, k: Any, a: Any, b: Any, slope: Any, midpoint: Any):
    """Return the logistic input for the weighted sum ``total`` of the sources, shape (..., N)."""
    return k * jax.nn.sigmoid(slope * (a * u.get_magnitude(total) + b - midpoint))


@checked(k=is_strength, scale=is_plain)
def hyperbolic_tangent_coupling(delayed_x: Callable | Any, conn: Any, k: Any = 0.5, scale: Any = 2.0):
    r"""Return a saturating, odd function of the weighted sum, :math:`k \tanh(s \sum_j w_{ij} x_{ij})`.

    Parameters
    ----------
    delayed_x, conn
        Source and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 0.5
        Strength, the largest input; scalar or shape (N,).
    scale : array_like, default 2
        Factor s of the sum.

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target, in the unit of ``k``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import hyperbolic_tangent_coupling
    >>> hyperbolic_tangent_coupling(jnp.zeros((2, 2)), jnp.ones((2, 2))).tolist()
    [0.0, 0.0]
    """
    return tangent_combine(weighted_sum("hyperbolic_tangent_coupling", delayed_x, conn), k, scale)


def tangent_combine(total: Any, k: Any, scale: Any):
    """Return the saturating input for the weighted sum ``total`` of the sources, shape (..., N)."""
    return k * jnp.tanh(scale * u.get_magnitude(total))


@checked(k=is_strength, cmin=is_plain, cmax=is_plain, midpoint=is_plain, r=is_plain)
def sigmoidal_jansen_rit_coupling(
    delayed_x: Callable | Any,
    conn: Any,
    k: Any = 1.0,
    cmin: Any = 0.0,
    cmax: Any = 0.005,
    midpoint: Any = 6.0,
    r: Any = 0.56,
):
    r"""Return the weighted sum of firing rates, :math:`k \sum_j w_{ij} S(x_{ij})`.

    .. math:: S(x) = c_{min} + \frac{c_{max} - c_{min}}{1 + e^{r (m - x)}}

    Parameters
    ----------
    delayed_x, conn
        Source (mV if it has a unit) and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, scalar or shape (N,).
    cmin, cmax : array_like, default 0 and 0.005
        Lowest and highest rate, per ms.
    midpoint : array_like, default 6
        Potential m of the half-maximal rate, in mV.
    r : array_like, default 0.56
        Steepness, in 1/mV.

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
    Jansen, B. H., Rit, V. G. (1995). Electroencephalogram and visual evoked potential generation in a
    mathematical model of coupled cortical columns. Biological Cybernetics 73, 357-366.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import sigmoidal_jansen_rit_coupling
    >>> sigmoidal_jansen_rit_coupling(jnp.full((1, 2), 6.0), jnp.array([[0.2, 0.4]]), k=1000.0).tolist()
    [1.5]
    """
    where = "sigmoidal_jansen_rit_coupling"
    weights = weight_matrix(where, conn)
    rate = firing_rate(source_values(where, delayed_x, weights), cmin, cmax, midpoint, r)
    return k * (aligned(weights, rate) * rate).sum(axis=-1)


def firing_rate(x: Any, cmin: Any, cmax: Any, midpoint: Any, r: Any):
    """Return the firing rate of a potential by the sigmoid of Jansen and Rit."""
    return cmin + (cmax - cmin) * jax.nn.sigmoid(r * (u.get_magnitude(x) - midpoint))
