"""Heat maps of connectomes and correlations."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .._core.arguments import (
    any_of,
    checked,
    flag,
    instance,
    optional,
)
from .._core.checks import ArgumentError, check_finite
from ..connectome import Connectome
from .arguments import AXES, CMAP, FINITE, LABELS, SHOWN

MOST_LABELS = 45  # more would overlap in a figure of usual size


@checked(
    connectivity=any_of("a Connectome or a square matrix", instance(Connectome, ""), SHOWN),
    labels=LABELS,
    ax=AXES,
    cmap=CMAP,
    colorbar=flag,
)
def plot_connectivity(
    connectivity: Any,
    *,
    labels: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    cmap: str | None = None,
    colorbar: bool = True,
    **kwargs,
) -> Axes | tuple[Axes, Axes]:
    """Draw a matrix with targets as rows and sources as columns, or both matrices of a connectome.

    Parameters
    ----------
    connectivity : Connectome or array_like or Quantity, shape (n_regions, n_regions)
        A connectome is drawn as two panels, weights (logarithmic unless some are negative) and tract lengths
        in mm, both blank where there is no connection. A matrix is drawn as it is.
    labels : sequence of str, optional
        Names of the regions. Default: those of the connectome if they fit (up to 45), none for a matrix.
    ax : matplotlib.axes.Axes or two of them, optional
        Where to draw: one for a matrix, two for a connectome. Default: a new figure.
    cmap : str, optional
        Color map. Default: that of matplotlib, or ``'RdBu_r'`` for negative weights.
    colorbar : bool, optional
        Add a color bar. Default True.
    **kwargs
        Passed to `matplotlib.axes.Axes.imshow`.

    Returns
    -------
    Axes, or a pair of Axes for a connectome

    Raises
    ------
    ArgumentError
        If the matrix is not square or the labels do not match it.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> from brainmass_delays.viz.matrices import plot_connectivity
    >>> weights_ax, lengths_ax = plot_connectivity(Connectome.synthetic(20))
    >>> weights_ax.get_xlabel()
    'source'
    """
    options = {"colorbar": colorbar, **kwargs}
    if not isinstance(connectivity, Connectome):
        return _heat_map(_axes(ax, 1)[0], connectivity, labels, "", {"cmap": cmap, **options})
    if labels is None and connectivity.n_regions <= MOST_LABELS:
        labels = connectivity.labels
    weights = np.ma.masked_equal(connectivity.weights, 0)
    lengths = np.ma.masked_array(connectivity.lengths.to_decimal(u.mm), weights.mask)
    weights_ax, lengths_ax = _axes(ax, 2)
    _heat_map(weights_ax, weights, labels, "weight", _weight_scale(weights, cmap) | options)
    _heat_map(lengths_ax, lengths, labels, "tract length (mm)", {"cmap": cmap, **options})
    return weights_ax, lengths_ax


@checked(data=FINITE, is_matrix=optional(flag), labels=LABELS, ax=AXES)
def plot_functional_connectivity(
    data: Any,
    *,
    is_matrix: bool | None = None,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw the correlations between regions.

    Parameters
    ----------
    data : array_like or Quantity, shape (n_times, n_regions) or (n_regions, n_regions)
        Time series, of which the Pearson correlations are drawn, or a matrix of correlations.
    is_matrix : bool, optional
        Whether ``data`` is a matrix of correlations. Default: if it is symmetric with a diagonal of ones.
    labels : sequence of str, optional
        Names of the regions. Default: none.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `plot_connectivity`.

    Returns
    -------
    Axes

    Raises
    ------
    ArgumentError
        If the data are not a matrix or not finite, or if a time series is constant and has no correlation.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.viz.matrices import plot_functional_connectivity
    >>> ax = plot_functional_connectivity(np.random.default_rng(0).normal(size=(200, 5)))
    >>> ax.images[0].get_array().shape
    (5, 5)
    """
    where = "plot_functional_connectivity.data"
    data = check_finite(where, u.get_magnitude(data))
    if data.ndim != 2:
        raise ArgumentError(
            where, "must have shape (n_times, n_regions) or (n_regions, n_regions)", data.shape
        )
    if is_matrix is None:
        is_matrix = (
            data.shape[0] == data.shape[1] and np.allclose(data, data.T) and np.allclose(np.diag(data), 1)
        )
    if is_matrix and data.shape[0] != data.shape[1]:
        raise ArgumentError(
            "plot_functional_connectivity.is_matrix", "must be False for series", f"True, shape {data.shape}"
        )
    fc = data if is_matrix else _correlations(where, data)
    options = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1} | kwargs
    ax = plot_connectivity(fc, labels=labels, ax=ax, **options)
    if (bar := ax.images[-1].colorbar) is not None:
        bar.set_label("correlation")
    ax.set(xlabel="region", ylabel="region")
    return ax


def _correlations(where: str, series: np.ndarray) -> np.ndarray:
    """Return the Pearson correlations between the columns."""
    constant = np.flatnonzero(np.ptp(series, axis=0) == 0)
    if constant.size:
        raise ArgumentError(where, "must vary in every region", f"a constant series in region {constant[0]}")
    return np.corrcoef(series, rowvar=False)


def _weight_scale(weights: np.ma.MaskedArray, cmap: str | None) -> dict:
    """Choose a diverging scale if there are negative weights, a logarithmic one otherwise."""
    if not weights.count():
        return {"cmap": cmap}
    if weights.min() > 0:
        return {"cmap": cmap, "norm": "log"}
    largest = np.abs(weights).max()
    return {"cmap": cmap or "RdBu_r", "vmin": -largest, "vmax": largest}


def _heat_map(ax: Axes, matrix: Any, labels: Sequence[str] | None, quantity: str, options: dict) -> Axes:
    """Draw one matrix with its color bar."""
    matrix = np.ma.asarray(u.get_magnitude(matrix))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ArgumentError(
            "plot_connectivity.connectivity", "must be a square matrix", f"shape {matrix.shape}"
        )
    colorbar = options.pop("colorbar")
    image = ax.imshow(matrix, interpolation="none", **options)
    ax.set(xlabel="source", ylabel="target")
    if labels is not None:
        if len(labels) != len(matrix):
            raise ArgumentError(
                "plot_connectivity.labels", f"must be one per region, {len(matrix)}", len(labels)
            )
        size = min(6.0, 270 / len(matrix))  # points; larger ones would overlap
        ax.set_xticks(range(len(matrix)), labels, rotation=90, fontsize=size)
        ax.set_yticks(range(len(matrix)), labels, fontsize=size)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label=quantity, fraction=0.046, pad=0.04)
    return ax


def _axes(ax: Axes | Sequence[Axes] | None, count: int) -> Sequence[Axes]:
    """Return ``count`` axes, new ones by default."""
    if ax is None:
        return plt.subplots(1, count, figsize=(5.2 * count, 4.4), layout="constrained", squeeze=False)[1][0]
    axes = np.ravel(ax)
    if len(axes) != count:
        raise ArgumentError("plot_connectivity.ax", f"must be {count} for this plot", f"{len(axes)} axes")
    return axes
