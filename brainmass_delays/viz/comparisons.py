"""Simulation beside data: functional connectivity, its dynamics, and lags between regions."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .._core.arguments import (
    checked,
)
from .._core.checks import ArgumentError
from ..objectives import fcd
from .arguments import AX, LABELS, SQUARE_OR_SERIES, is_square
from .frame import color_bar, new_axes, with_unit
from .matrices import plot_connectivity, plot_functional_connectivity


@checked(prediction=SQUARE_OR_SERIES, target=SQUARE_OR_SERIES, labels=LABELS)
def plot_fc_comparison(
    prediction: Any, target: Any, *, labels: Sequence[str] | None = None
) -> tuple[Axes, Axes, Axes]:
    """Draw the functional connectivity of a simulation, that of data, and one against the other.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region) or (region, region)
        Time series or correlation matrices of the same regions.
    labels : sequence of str, optional
        Names of the regions.

    Returns
    -------
    tuple of three matplotlib.axes.Axes
        Simulation, data, and the scatter over pairs of regions with its correlation.

    Raises
    ------
    ArgumentError
        If the numbers of regions differ.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import viz
    >>> x = np.random.default_rng(0).normal(size=(2, 90, 6))
    >>> simulation, data, scatter = viz.plot_fc_comparison(*x)
    >>> scatter.get_xlabel(), scatter.get_ylabel()
    ('FC of data', 'FC of simulation')
    """
    axes = _three()
    for ax, matrix, title in zip(axes, (prediction, target), ("simulation", "data"), strict=False):
        plot_functional_connectivity(matrix, labels=labels, ax=ax, colorbar=False)
        ax.set_title(title)
    color_bar(axes[0].images[0], axes[:2], "correlation", shrink=0.85)
    ours, theirs = (np.asarray(ax.images[0].get_array()) for ax in axes[:2])
    return _scatter(axes, ours, theirs, "plot_fc_comparison", "FC")


@checked(prediction=SQUARE_OR_SERIES, target=SQUARE_OR_SERIES)
def plot_fcd_comparison(
    prediction: Any, target: Any, *, window: Any, step: Any, dt: Any = None
) -> tuple[Axes, Axes, Axes]:
    """Draw the functional connectivity dynamics of a simulation, that of data, and both distributions.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Time series with the same sampling interval.
    window, step : int or Quantity
        As in `objectives.fcd`.
    dt : Quantity, optional
        Sampling interval.

    Returns
    -------
    tuple of three matplotlib.axes.Axes
        Simulation, data, and the histograms of the values of all pairs of windows.

    Raises
    ------
    ArgumentError
        See `objectives.fcd`.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import viz
    >>> x = np.random.default_rng(0).normal(size=(2, 200, 6))
    >>> _, _, histograms = viz.plot_fcd_comparison(*x, window=40, step=10)
    >>> histograms.get_xlabel()
    'FCD value'
    """
    axes = _three()
    matrices = [np.asarray(fcd(series, window=window, step=step, dt=dt)) for series in (prediction, target)]
    for ax, matrix, title in zip(axes, matrices, ("simulation", "data"), strict=False):
        ax.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="none")
        ax.set(title=title, xlabel="window", ylabel="window")
    color_bar(axes[0].images[0], axes[:2], "correlation of FC", shrink=0.85)
    bins = np.linspace(-1, 1, 81)
    for matrix, name in zip(matrices, ("simulation", "data"), strict=True):
        values = matrix[np.triu_indices(len(matrix), k=1)]
        axes[2].hist(values, bins, density=True, histtype="step", label=name)
    axes[2].legend()
    axes[2].set(xlabel="FCD value", ylabel="density")
    return tuple(axes)


@checked(lags=is_square, labels=LABELS, ax=AX)
def plot_lags(lags: Any, *, labels: Sequence[str] | None = None, ax: Axes | None = None, **kwargs) -> Axes:
    """Draw a matrix of lags: a row is late where it is red.

    Parameters
    ----------
    lags : Quantity or array_like, shape (region, region)
        As `objectives.lag_matrix` or `objectives.group_delay` give them; NaN is left blank.
    labels : sequence of str, optional
        Names of the regions.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `plot_connectivity`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        If it is no square matrix or the labels do not match it.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> ax = viz.plot_lags(np.array([[0.0, -3.0], [3.0, 0.0]]) * u.ms)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('region', 'follows region on the x axis by')
    """
    numbers = np.asarray(u.get_magnitude(lags), dtype=float)
    known = numbers[np.isfinite(numbers)]
    largest = float(np.abs(known).max()) if known.size else 1.0
    options = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest, "colorbar": False} | kwargs
    ax = new_axes(ax, (5.2, 4.4))
    plot_connectivity(numbers, labels=labels, ax=ax, **options)
    color_bar(ax.images[0], [ax], with_unit("lag", lags))
    ax.set(xlabel="region", ylabel="follows region on the x axis by")
    return ax


def _three() -> np.ndarray:
    """Return three axes side by side."""
    return plt.subplots(1, 3, figsize=(12.5, 4.0), layout="constrained")[1]


def _scatter(axes, ours: np.ndarray, theirs: np.ndarray, where: str, what: str):
    """Draw one matrix against the other over the pairs of regions."""
    if ours.shape != theirs.shape:
        raise ArgumentError(where, f"prediction must have the regions of target, {len(theirs)}", len(ours))
    pairs = np.triu_indices(len(ours), k=1)
    x, y = theirs[pairs], ours[pairs]
    axes[2].plot(x, y, ".", markersize=3, alpha=0.5)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    axes[2].plot([low, high], [low, high], color="0.5", linewidth=0.8)
    r = np.corrcoef(x, y)[0, 1] if len(x) > 2 else np.nan
    axes[2].set(xlabel=f"{what} of data", ylabel=f"{what} of simulation", title=f"r = {r:.2f}")
    return tuple(axes)
