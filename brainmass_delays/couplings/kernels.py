r"""Coupling kernels: pure functions from a delayed source, a target and weights to the input of every region.

All share one contract. With N targets and K source slots per target (K = N for a full matrix; less for padded
neighbor lists, whose unused slots have weight 0):

* ``delayed_x``: source, shape (..., N, K) or flattened (..., N * K), ``x[..., i, k]`` as seen by target i;
* ``y``: target, shape (..., N); ``conn``: weights, shape (N, K) or flattened (N * K,), ``[target, source]``;
* source and target may be arrays, Quantities or zero-argument reads; leading axes are batch axes;
* the result has shape (..., N). Strengths and shape parameters broadcast against it.

Linear kernels keep units. Where a nonlinearity needs a plain number (sigmoids, tanh), the magnitude in the
unit of the source enters it. A slot of weight 0 whose source is not finite counts as 0, so it poisons neither
the value nor a gradient; a finite source behind a weight of 0 still gives that weight its gradient.

The gradient is exact in every argument; each kernel costs one pass over the (..., N, K) source.
"""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax.nn
import jax.numpy as jnp

from .._core.arguments import checked, numbers
from .._core.checks import ArgumentError, check_choice
from .._core.units import magnitude
from .shapes import is_array, per_slot, source_values, target_values, weight_matrix, weighted_sum

_NUMBERS, _PLAIN_NUMBERS = (numbers(unit=unit, axes=(0, 2)) for unit in (None, u.UNITLESS))
NORMALIZATIONS = ("none", "rw", "sym")


def is_strength(where, value):
    """Refuse all but a number, or an array of numbers per target."""
    _NUMBERS(where, value)
    is_array(where, value)


def is_plain(where, value):
    """Refuse the same with a unit."""
    _PLAIN_NUMBERS(where, value)
    is_array(where, value)


def is_plain_array(where, value):
    """Refuse all but a number, or an array of any shape, without a unit."""
    numbers(unit=u.UNITLESS)(where, value)
    is_array(where, value)


@checked(k=is_strength, b=is_strength)
def additive_coupling(delayed_x: Callable | Any, conn: Any, k: Any = 1.0, b: Any = 0.0):
    r"""Return the weighted sum of the sources, :math:`k \sum_j w_{ij} x_{ij} + b`.

    Parameters
    ----------
    delayed_x, conn
        Source and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, scalar or shape (N,).
    b : array_like or Quantity, default 0
        Bias added after the sum; a plain number counts in the unit of the sum.

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target, in the unit of ``k * conn * x``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import additive_coupling
    >>> additive_coupling(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.ones((2, 2)), k=1.0, b=0.5).tolist()
    [3.5, 7.5]
    """
    return additive_combine(weighted_sum("additive_coupling", delayed_x, conn), k, b)


def additive_combine(total: Any, k: Any, b: Any):
    """Return the additive input for the weighted sum ``total`` of the sources, shape (..., N)."""
    scaled = k * total
    if isinstance(b, u.Quantity) and not u.have_same_dim(b, scaled):
        raise ArgumentError("additive_coupling.b", f"must have the unit of the sum, {u.get_unit(scaled)}", b)
    return scaled + (b if isinstance(b, u.Quantity) else u.maybe_decimal(b * u.get_unit(scaled)))


@checked(k=is_strength)
def diffusive_coupling(delayed_x: Callable | Any, y: Callable | Any, conn: Any, k: Any = 1.0):
    r"""Return the weighted differences from the target, :math:`k \sum_j w_{ij} (x_{ij} - y_i)`.

    Parameters
    ----------
    delayed_x, y, conn
        Source, target and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, scalar or shape (N,).

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target, in the unit of ``k * conn * x``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import diffusive_coupling
    >>> x, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 2.0])
    >>> diffusive_coupling(x, y, jnp.ones((2, 2)), k=0.5).tolist()
    [0.5, 1.5]
    """
    return _laplacian("diffusive_coupling", delayed_x, y, conn, k, "none")


@checked(k=is_strength)
def laplacian_coupling(
    delayed_x: Callable | Any, y: Callable | Any, conn: Any, k: Any = 1.0, normalize: str = "none"
):
    r"""Return the graph Laplacian of the weights applied to the sources, with the target on the diagonal.

    Parameters
    ----------
    delayed_x, y, conn
        Source, target and weights, see `brainmass_delays.couplings.kernels`.
    k : array_like or Quantity, default 1
        Strength, scalar or shape (N,).
    normalize : {'none', 'rw', 'sym'}, default 'none'
        With degrees :math:`d_i = \sum_j w_{ij}`: 'none' gives :math:`W - D` (the diffusive coupling), 'rw'
        the random walk form :math:`D^{-1} W - I`, 'sym' the symmetric form :math:`D^{-1/2} W D^{-1/2} - I`.

    Returns
    -------
    array or Quantity, shape (..., N)
        Input of every target.

    Raises
    ------
    ArgumentError
        If the shapes do not fit, the normalization is unknown, or 'sym' is asked of neighbor lists (K < N).

    Notes
    -----
    A region without connections receives 0 in every form.

    References
    ----------
    Chung, F. (1997). Spectral Graph Theory. American Mathematical Society.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings.kernels import laplacian_coupling
    >>> x, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 2.0])
    >>> laplacian_coupling(x, y, jnp.ones((2, 2)), normalize='rw').tolist()
    [0.5, 1.5]
    """
    return _laplacian("laplacian_coupling", delayed_x, y, conn, k, normalize)


def _laplacian(where, delayed_x, y, conn, k, normalize):
    """Return the Laplacian coupling of a source and a target."""
    y = target_values(where, y)
    weights = laplacian_weights(where, weight_matrix(where, conn, y.shape[-1]), normalize)
    total = weighted_sum(where, delayed_x, weights)
    return laplacian_combine(total, y, laplacian_degree(weights, normalize), k)


def laplacian_combine(total: Any, y: Any, degree: Any, k: Any):
    """Return the input for the weighted sum ``total`` of the sources, less ``degree`` times the target."""
    return k * (total - degree * y)


def laplacian_weights(where: str, weights: Any, normalize: str):
    """Return the off-diagonal part of a Laplacian, shape (N, K)."""
    check_choice(f"{where}.normalize", normalize, NORMALIZATIONS)
    if normalize == "none":
        return weights
    degree = u.get_mantissa(weights).sum(axis=-1)
    connected = degree != 0
    inverse = jnp.where(connected, 1.0 / jnp.where(connected, degree, 1.0), 0.0)[:, None]
    if normalize == "rw":
        return inverse * weights
    if weights.shape[0] != weights.shape[1]:
        cure = "The degrees of the sources need the full (N, N) matrix"
        raise ArgumentError(f"{where}.normalize", "must be 'none' or 'rw' for neighbor lists", "'sym'", cure)
    return jnp.sqrt(inverse) * weights * jnp.sqrt(inverse.T)


def laplacian_degree(weights: Any, normalize: str):
    """Return the diagonal part, given `laplacian_weights`: the degrees, or 1 for connected regions."""
    if normalize == "none":
        return weights.sum(axis=-1)
    return jnp.any(weights != 0, axis=-1).astype(weights.dtype)


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
    power = signed_power(magnitude(f"{where}.delayed_x", difference, unit), per_slot(p))
    total = k * (weights * power).sum(axis=-1)
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
    zero = d == 0
    size = jnp.where(zero, 1.0, jnp.abs(d))
    # At 0 the branch d * (p == 1) has the right value, and the right slope for every p >= 1.
    return jnp.where(zero, d * (p == 1), jnp.sign(d) * jnp.exp(p * jnp.log(size)))


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
    return k * (weights * rate).sum(axis=-1)


def firing_rate(x: Any, cmin: Any, cmax: Any, midpoint: Any, r: Any):
    """Return the firing rate of a potential by the sigmoid of Jansen and Rit."""
    return cmin + (cmax - cmin) * jax.nn.sigmoid(r * (u.get_magnitude(x) - midpoint))
