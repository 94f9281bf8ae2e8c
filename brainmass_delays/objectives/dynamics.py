"""Functional connectivity dynamics: how the connectivity of a moving window recurs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, optional, time
from .._core.checks import ArgumentError
from .connectivity import check_regions, correlations
from .objective import objective
from .series import DATA, SERIES, is_length, samples, to_series, upper


@checked(series=SERIES, window=is_length, step=is_length, dt=optional(time))
def fcd(series: Any, *, window: Any, step: Any, dt: Any = None) -> jax.Array:
    """Correlate the functional connectivities of all pairs of windows.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series, of at least 3 regions.
    window, step : int or Quantity
        Length of a window and distance of two in samples, or in time units if ``dt`` is given. Usual for
        BOLD: 60 s and 2 to 10 s. The last window ends with the last sample that a whole step reaches.
    dt : Quantity, optional
        Sampling interval.

    Returns
    -------
    jax.Array, shape (n_windows, n_windows)
        Pearson correlations of the upper triangles, ones on the diagonal, dimensionless.

    Raises
    ------
    ArgumentError
        If there are fewer than 3 regions, a window has fewer than 2 samples, or the series holds fewer than
        2.

    Notes
    -----
    Differentiable. Windows that overlap have part of their correlation from it: compare with the same
    windows.

    References
    ----------
    Hansen, E. C. A., Battaglia, D., Spiegler, A., Deco, G., Jirsa, V. K. (2015). Functional connectivity
    dynamics: modeling the switching behavior of the resting state. NeuroImage 105, 525-535.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> objectives.fcd(x, window=20, step=10).shape
    (5, 5)
    """
    return _fcd("fcd", series, window, step, dt)


def _fcd(where, series, window, step, dt, argument="series"):
    series = to_series(f"{where}.{argument}", series)
    length = samples(f"{where}.window", window, dt, minimum=2)
    hop = samples(f"{where}.step", step, dt)
    n_regions = check_regions(where, series.shape[1])
    starts = np.arange(0, len(series) - length + 1, hop)
    if len(starts) < 2:
        raise ArgumentError(
            f"{where}.window", "must leave room for at least 2 windows", f"{length} of {len(series)} samples"
        )
    windows = series[starts[:, None] + np.arange(length)]  # [window, time, region]
    triangles = jax.vmap(lambda x: correlations(x)[upper(n_regions)])(windows)
    return correlations(triangles.T)


@objective("loss")
@checked(prediction=DATA, target=DATA, window=is_length, step=is_length, dt=optional(time))
def fcd_distance(prediction, target, *, window: Any, step: Any, dt: Any = None):
    r"""Measure the distance of two distributions of FCD values, Wasserstein-1. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Time series of the same sampling interval; their lengths may differ. Leave both out to get the
        callable.
    window, step : int or Quantity
        As in `fcd`.
    dt : Quantity, optional
        Sampling interval.

    Returns
    -------
    jax.Array, shape ()
        :math:`\int_0^1 |F^{-1}(q) - G^{-1}(q)| \, dq` of the values above the diagonals, dimensionless.

    Raises
    ------
    ArgumentError
        See `fcd`.

    Notes
    -----
    Exact: the sorted values themselves, without a kernel or bins, in O(W² log W) for W windows. The gradient
    is exact where no two values are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> float(objectives.fcd_distance(x, x, window=20, step=10))
    0.0
    """
    return wasserstein(*_values("fcd_distance", prediction, target, window, step, dt))


@objective("report")
@checked(prediction=DATA, target=DATA, window=is_length, step=is_length, dt=optional(time))
def fcd_ks(prediction, target, *, window: Any, step: Any, dt: Any = None):
    """Measure the Kolmogorov-Smirnov distance of two distributions of FCD values. A report.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Time series of the same sampling interval; their lengths may differ. Leave both out to get the
        callable.
    window, step : int or Quantity
        As in `fcd`.
    dt : Quantity, optional
        Sampling interval.

    Returns
    -------
    jax.Array, shape ()
        Largest difference of the two empirical distribution functions, 0 to 1.

    Raises
    ------
    ArgumentError
        See `fcd`.

    Notes
    -----
    Piecewise constant, so its gradient is 0: minimize `fcd_distance`.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> float(objectives.fcd_ks(x, x, window=20, step=10))
    0.0
    """
    ours, theirs = map(jnp.sort, _values("fcd_ks", prediction, target, window, step, dt))
    every = jnp.concatenate([ours, theirs])
    shares = [jnp.searchsorted(v, every, side="right").astype(v.dtype) / len(v) for v in (ours, theirs)]
    # searchsorted has no order for NaN
    return jnp.where(jnp.any(jnp.isnan(every)), jnp.nan, jnp.max(jnp.abs(shares[0] - shares[1])))


def wasserstein(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the Wasserstein-1 distance of two samples, by their sorted values."""
    a, b = jnp.sort(a), jnp.sort(b)
    # both quantile functions are constant between these shares
    edges = np.union1d(np.arange(len(a) + 1) / len(a), np.arange(len(b) + 1) / len(b))
    middle = (edges[1:] + edges[:-1]) / 2
    rows = [np.minimum((middle * len(v)).astype(int), len(v) - 1) for v in (a, b)]
    return jnp.sum(jnp.abs(a[rows[0]] - b[rows[1]]) * np.diff(edges))


def _values(where, prediction, target, window, step, dt):
    """Return the FCD values above the diagonals of both."""
    both = (
        _fcd(where, series, window, step, dt, name)
        for name, series in (("prediction", prediction), ("target", target))
    )
    return tuple(matrix[upper(len(matrix))] for matrix in both)
