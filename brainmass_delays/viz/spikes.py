"""Plots for spiking networks: rasters, learned delays, confusion of classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .._core.arguments import (
    checked,
    names,
    numbers,
)
from .._core.checks import ArgumentError
from .arguments import (
    AX,
    LENGTH,
    PLAIN,
    color,
)
from .frame import new_axes


@checked(spikes=PLAIN, dt=LENGTH, ax=AX, color=color, groups=names)
def plot_raster(
    spikes: Any,
    dt: float = 1.0,
    *,
    ax: Axes | None = None,
    color: str = "k",
    groups: Sequence[str] = (),
) -> Axes:
    """Draw one trial of spikes ``(time, channel)`` as dots.

    Parameters
    ----------
    spikes : array, shape (time, channel)
        Nonzero where a channel spikes.
    dt : float, default 1
        Step in ms.
    ax : Axes, optional
        Where to draw; a new figure by default.
    color : str, default black
    groups : sequence of str, optional
        Names of equal blocks of channels, e.g. ``('left', 'right')``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.viz import plot_raster
    >>> ax = plot_raster(np.eye(20), groups=('left', 'right'))
    >>> ax.get_xlabel()
    'time (ms)'
    """
    spikes = np.asarray(spikes)
    if spikes.ndim != 2:
        raise ArgumentError(
            "plot_raster.spikes", "must have the shape (time, channel)", spikes.shape, "Choose one trial"
        )
    ax = new_axes(ax)
    n_steps, n_channels = spikes.shape
    step, channel = np.nonzero(spikes)
    size = np.clip(2000 / max(n_channels, 1), 1.5, 60)
    ax.scatter(step * dt, channel, s=size, marker="|", color=color, linewidths=0.8)
    ax.set(
        xlim=(-dt / 2, (n_steps - 0.5) * dt),
        ylim=(-0.5, n_channels - 0.5),
        xlabel="time (ms)",
        ylabel="channel",
    )
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if groups:
        width = n_channels / len(groups)
        ax.set_yticks([width * (i + 0.5) - 0.5 for i in range(len(groups))], groups)
        for i in range(1, len(groups)):
            ax.axhline(width * i - 0.5, color="0.6", lw=0.8)
        ax.set_ylabel("")
    return ax


@checked(before=PLAIN, after=PLAIN, max_delay=LENGTH, ax=AX)
def plot_delays(before: Any, after: Any, max_delay: float, *, ax: Axes | None = None) -> Axes:
    """Draw delays in ms before and after training as two histograms between 0 and ``max_delay``.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.viz import plot_delays
    >>> ax = plot_delays(np.arange(10.), np.arange(10.) + 1, 12.)
    >>> ax.get_xlabel()
    'delay (ms)'
    """
    ax = new_axes(ax)
    bins = np.linspace(0, max_delay, 26)
    ax.hist(np.ravel(before), bins, color="0.8", label="before")
    ax.hist(np.ravel(after), bins, histtype="step", color="tab:red", lw=1.5, label="after")
    ax.set(xlabel="delay (ms)", ylabel="connections", xlim=(0, max_delay))
    ax.legend(frameon=False)
    return ax


@checked(before=PLAIN, after=PLAIN, max_delay=LENGTH, ax=AX)
def plot_delay_changes(before: Any, after: Any, max_delay: float, *, ax: Axes | None = None) -> Axes:
    """Draw every delay in ms after training against its start; the diagonal means no change.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.viz import plot_delay_changes
    >>> ax = plot_delay_changes(np.arange(10.), np.arange(10.) + 1, 12.)
    >>> ax.get_ylabel()
    'delay after (ms)'
    """
    ax = new_axes(ax)
    ax.plot([0, max_delay], [0, max_delay], color="0.7", lw=0.8)
    if np.size(before) != np.size(after):
        got = f"{np.size(before)} and {np.size(after)}"
        raise ArgumentError("plot_delay_changes", "needs as many delays before as after", got)
    ax.plot(np.ravel(before), np.ravel(after), ".", ms=4, color="tab:red")
    margin = max_delay / 50
    ax.set(
        xlabel="delay before (ms)",
        ylabel="delay after (ms)",
        xlim=(-margin, max_delay + margin),
        ylim=(-margin, max_delay + margin),
        aspect="equal",
    )
    return ax


@checked(confusion=PLAIN, centers=numbers(finite=True, ndim=1, traced=False), ax=AX)
def plot_confusion(confusion: Any, centers: Any, *, ax: Axes | None = None) -> Axes:
    """Draw counts ``(true class, predicted class)`` as shares of each true class.

    ``centers`` names the classes in degrees.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.viz import plot_confusion
    >>> ax = plot_confusion(np.eye(3), np.array([-60., 0., 60.]))
    >>> ax.get_xlabel()
    'predicted angle (deg)'
    """
    confusion = np.asarray(confusion, float)
    if confusion.ndim != 2 or confusion.shape != (len(centers), len(centers)):
        raise ArgumentError(
            "plot_confusion.confusion", "must have one row and column for each of centers", confusion.shape
        )
    ax = new_axes(ax)
    image = ax.imshow(
        confusion / np.maximum(confusion.sum(1, keepdims=True), 1),
        vmin=0,
        vmax=1,
        cmap="magma",
        origin="lower",
    )
    ticks = range(0, len(centers), max(len(centers) // 4, 1))
    ax.set_xticks(ticks, [f"{centers[i]:.1f}" for i in ticks])
    ax.set_yticks(ticks, [f"{centers[i]:.1f}" for i in ticks])
    ax.set(xlabel="predicted angle (deg)", ylabel="true angle (deg)")
    ax.figure.colorbar(image, ax=ax, label="share of true class", shrink=0.8)
    return ax
