"""Functional connectivity: Pearson correlations between regions, and distances between them."""

from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import checked, flag, numbers
from .._core.checks import ArgumentError
from .._core.status import is_traced
from .objective import objective
from .series import DATA, SERIES, root, to_series, unit_columns, upper

TOLERANCE = 1e-3  # of symmetry and of the diagonal of a correlation matrix in single precision


@checked(series=SERIES)
def fc(series: Any) -> jax.Array:
    """Correlate every pair of regions.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series; units drop out.

    Returns
    -------
    jax.Array, shape (region, region)
        Pearson correlations, ones on the diagonal. A constant region correlates with nothing: its entries are
        0 and so is their gradient.

    Raises
    ------
    ArgumentError
        If it is no time series of at least 2 samples.

    Warns
    -----
    UserWarning
        If there are fewer samples than regions, as if the regions came first.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]])
    >>> round(float(objectives.fc(x)[0, 1]), 6)
    1.0
    """
    return correlations(to_series("fc", series))


def correlations(series: jax.Array) -> jax.Array:
    """Return the Pearson correlations of the columns, ones on the diagonal."""
    columns = unit_columns(series)
    return jnp.where(jnp.eye(series.shape[1], dtype=bool), 1, columns.T @ columns)


def to_fc(where: str, data: Any) -> jax.Array:
    """Return a correlation matrix: a square array is one, anything else are time series."""
    matrix = jnp.asarray(u.get_magnitude(data))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        return correlations(to_series(where, data))
    asymmetry = jnp.max(jnp.abs(matrix - matrix.T))
    off = jnp.max(jnp.abs(jnp.diagonal(matrix) - 1))
    is_fc = (asymmetry < TOLERANCE) & (off < TOLERANCE)
    if not is_traced(is_fc) and not is_fc:
        raise ArgumentError(
            where,
            "takes a square array for a correlation matrix, symmetric with ones on the diagonal",
            f"an asymmetry of {float(asymmetry):.3g}, a diagonal off by {float(off):.3g}",
            "Time series need another number of samples than regions; fill an empty diagonal with ones",
        )
    return jnp.where(is_fc, matrix, jnp.nan)  # under a trace nothing can be raised: the loss is not finite


@checked(fc=numbers(unit=u.UNITLESS, low=-1.0, high=1.0))
def fisher_z(fc: Any) -> jax.Array:
    """Transform correlations to the scale where their errors are alike: the inverse hyperbolic tangent.

    Parameters
    ----------
    fc : array_like, shape (..., region, region) or any
        Correlations between -1 and 1. The diagonal of a square matrix, where it is infinite, becomes 0.

    Returns
    -------
    jax.Array
        Of the same shape; infinite where two regions are the same.

    Examples
    --------
    >>> from brainmass_delays import objectives
    >>> round(float(objectives.fisher_z(0.5)), 4)
    0.5493
    """
    return _fisher_z(fc)


def _fisher_z(fc):
    fc = jnp.asarray(fc)
    if fc.ndim < 2 or fc.shape[-1] != fc.shape[-2]:
        return jnp.arctanh(fc)
    diagonal = jnp.eye(fc.shape[-1], dtype=bool)
    return jnp.where(diagonal, 0.0, jnp.arctanh(jnp.where(diagonal, 0.0, fc)))


@objective("score")
@checked(prediction=DATA, target=DATA, as_loss=flag, fisher=flag)
def fc_corr(prediction, target, *, as_loss: bool = False, fisher: bool = False):
    """Correlate two functional connectivities over the pairs of regions. A score; a loss on demand.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region) or (region, region)
        Time series, or correlation matrices: a square array is a matrix. Their lengths may differ. Leave both
        out to get the callable.
    as_loss : bool, default False
        Return ``1 - correlation``, to be minimized, instead of the correlation.
    fisher : bool, default False
        Compare the Fisher z of the connectivities.

    Returns
    -------
    jax.Array, shape ()
        Pearson correlation of the upper triangles, dimensionless.

    Raises
    ------
    ArgumentError
        If the numbers of regions differ or are below 3, where the correlation is not defined, or a square
        array is no correlation matrix. Inside jit the latter gives NaN.

    Warns
    -----
    UserWarning
        If there are fewer samples than regions, as if the regions came first.

    Notes
    -----
    Units and scale drop out. A constant region correlates with nothing: its entries are 0 and so is its
    gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> signals = np.random.default_rng(0).normal(size=(100, 4))
    >>> round(float(objectives.fc_corr(signals, np.corrcoef(signals.T))), 6)
    1.0
    """
    ours, theirs = _both("fc_corr", prediction, target, fisher)
    n = check_regions("fc_corr", len(ours), "Use fc_rmse instead")
    columns = unit_columns(jnp.stack([ours[upper(n)], theirs[upper(n)]], axis=1))  # [pair, matrix]
    correlation = columns[:, 0] @ columns[:, 1]
    return 1 - correlation if as_loss else correlation


@objective("loss")
@checked(prediction=DATA, target=DATA, fisher=flag)
def fc_rmse(prediction, target, *, fisher: bool = False):
    """Measure the root mean squared difference of two functional connectivities. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region) or (region, region)
        Time series, or correlation matrices: a square array is a matrix. Their lengths may differ. Leave both
        out to get the callable.
    fisher : bool, default False
        Compare the Fisher z of the connectivities.

    Returns
    -------
    jax.Array, shape ()
        Root mean square over all entries of the two matrices, dimensionless.

    Raises
    ------
    ArgumentError
        If the numbers of regions differ, or a square array is no correlation matrix. Inside jit the latter
        gives NaN.

    Warns
    -----
    UserWarning
        If there are fewer samples than regions, as if the regions came first.

    Notes
    -----
    Units and scale drop out. A constant region correlates with nothing: its entries are 0 and so is its
    gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> signals = np.random.default_rng(0).normal(size=(100, 4))
    >>> float(objectives.fc_rmse(signals, signals))
    0.0
    """
    ours, theirs = _both("fc_rmse", prediction, target, fisher)
    return root(jnp.mean((ours - theirs) ** 2))


def check_regions(where: str, n_regions: int, cure: str = "") -> int:
    """Return the number of regions, at least 3: the correlation of one pair with another is not defined."""
    if n_regions < 3:
        raise ArgumentError(where, "needs at least 3 regions", n_regions, cure)
    return n_regions


def _both(where, prediction, target, fisher):
    """Return both connectivities, of as many regions."""
    ours, theirs = to_fc(f"{where}.prediction", prediction), to_fc(f"{where}.target", target)
    if ours.shape != theirs.shape:
        raise ArgumentError(
            where,
            f"prediction must have the regions of target, {len(theirs)}",
            len(ours),
            "Time is axis 0 and region axis 1: transpose data with regions first",
        )
    return (_fisher_z(ours), _fisher_z(theirs)) if fisher else (ours, theirs)
