"""Kernels that are linear in the source."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax.numpy as jnp

from ..._core.arguments import checked
from ..._core.checks import ArgumentError, check_choice
from ..shapes import aligned, target_values, weight_matrix, weighted_sum
from .arguments import NORMALIZATIONS, is_strength


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
    return k * (total - aligned(degree, y) * y)


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
