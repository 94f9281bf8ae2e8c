"""The figures of the demonstration: loss over speed, its gradient, and the recovery of a speed."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, Locator, LogLocator, NullLocator

from ..fit import FitResult

MM_PER_MS = u.mm / u.ms
LINEAR, NEAREST, TRUE = "#0b6fb8", "#d1495b", "0.35"
RUNS = ("#0b6fb8", "#e0a100", "#3f9e6e")
NAMES = {"linear": "interpolated reads", "nearest": "nearest reads"}
MISSED = 1.5  # times the loss at the true speed: the fit has ended in another valley
SPEED_TICKS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20)
HALO = withStroke(linewidth=3.2, foreground="white")
OPEN: dict[str, Any] = {"mfc": "none", "mew": 1.8, "path_effects": [HALO]}
BELOW: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 9}


def draw_landscape(
    curves: dict[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    results: Sequence[FitResult],
    true: float,
) -> Figure:
    """Draw the loss over speed for both kinds of read, with the fits on it, and a close-up.

    Parameters
    ----------
    curves : dict of str to two pairs (speeds, losses)
        For ``'linear'`` and ``'nearest'`` reads: the whole range and the close-up, speeds in mm/ms.
    results : sequence of FitResult
        One per start, as for `draw_recovery`.
    true : float
        The true speed in mm/ms.
    """
    figure, (wide, close) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    for name, color, width in (("linear", LINEAR, 3.2), ("nearest", NEAREST, 1.3)):
        (speeds, losses), (near, change) = curves[name]
        wide.plot(speeds, losses, color=color, lw=width, label=NAMES[name])
        close.plot(near, 1e6 * (change - np.mean(change)), color=color, lw=width)
    for i, (result, color) in enumerate(zip(results, RUNS, strict=False)):
        path = result.param_history["speed"].to_decimal(MM_PER_MS)
        # Open, and larger for every further fit: fits that start or end at one place are all seen.
        wide.plot(path[0], result.history[0], "o", color=color, ms=7 + 4 * i, zorder=4 - i / 10, **OPEN)
        wide.plot(path[-1], result.history[-1], "*", color=color, ms=12 + 7 * i, zorder=5 - i / 10, **OPEN)
    wide.plot([], [], "o", color=TRUE, ms=8, label="start of a fit", **OPEN)
    wide.plot([], [], "*", color=TRUE, ms=12, label="its end", **OPEN)
    wide.axvline(true, color=TRUE, ls="--", lw=1)
    wide.set(
        ylabel="loss (rms error)",
        title="Loss over speed: a fit ends in the valley it starts in",
        ylim=(0, None),
    )
    wide.annotate(
        "true",
        (true, 1),
        (4, -10),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=TRUE,
    )
    figure.legend(ncols=4, **BELOW)
    _speed_axis(wide, "x")
    close.set(
        xlabel="speed (mm/ms)",
        ylabel=r"change of the loss ($10^{-6}$)",
        title="Close up: a slope, and steps",
    )
    close.ticklabel_format(useOffset=False)
    close.locator_params(axis="x", nbins=4)
    return _tidy(figure)


def draw_gradient(speeds: np.ndarray, gradient: np.ndarray, differences: dict[str, np.ndarray]) -> Figure:
    """Draw the gradient against central differences, and the relative error between them.

    Parameters
    ----------
    speeds : array, shape (n,)
        In mm/ms.
    gradient : array, shape (n,)
        By reverse-mode differentiation, with interpolated reads.
    differences : dict of str to array, shape (n,)
        Central differences for ``'linear'`` and ``'nearest'`` reads.
    """
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(6.4, 5.2), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    top.axhline(0, color="0.85", lw=1)
    top.plot(speeds, differences["linear"], "o", color="k", mfc="none", ms=8, label="central differences")
    top.plot(speeds, gradient, color=LINEAR, lw=2, label="gradient, interpolated reads")
    top.plot(
        speeds,
        differences["nearest"],
        "x",
        color=NEAREST,
        ms=6,
        label="central differences, nearest reads",
    )
    top.set(
        ylabel="d loss / d speed  (ms/mm)",
        title="The gradient is the slope of the loss; nearest reads have none",
    )
    top.set_ylim(*_room(gradient))  # jumps of nearest reads are off scale
    top.legend(loc="upper right", frameon=False)
    error = np.abs(gradient - differences["linear"]) / np.abs(differences["linear"])
    bottom.semilogy(speeds, np.maximum(error, 1e-16), "o-", color=LINEAR, ms=4, lw=1)
    bottom.axhline(np.median(error), color=TRUE, ls="--", lw=1)
    bottom.set_ylabel("relative error")
    bottom.set_title(f"Error: median {np.median(error):.0e}")
    _speed_axis(bottom, "x")
    return _tidy(figure)


def draw_recovery(results: Sequence[FitResult], true: float, floor: float) -> Figure:
    """Draw speed and loss per step of fits from several starts.

    Parameters
    ----------
    results : sequence of FitResult
        One per start; the first is the one from the chosen start.
    true : float
        The true speed in mm/ms.
    floor : float
        The loss at the true speed.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    for i, (result, color) in enumerate(zip(results, RUNS, strict=False)):
        speeds = np.asarray(result.param_history["speed"].to_decimal(MM_PER_MS))
        style: dict[str, Any] = {
            "color": color,
            "lw": 2.6 if i == 0 else 1.6,
            "zorder": 3 if i == 0 else 2,
        }
        chosen = " (coarse sweep)" if i == 0 else ""
        left.plot(speeds, label=f"from {speeds[0]:.3g} mm/ms{chosen}", **style)
        left.plot(0, speeds[0], "o", color=color, ms=6, zorder=4)
        right.semilogy(result.history, **style)
    left.axhline(true, color=TRUE, ls="--", lw=1.2)
    left.annotate(
        f"true: {true:g} mm/ms",
        (1, true),
        (-4, -14),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color=TRUE,
    )
    _speed_axis(left, "y")
    found = results[0].best_params["speed"].to_decimal(MM_PER_MS)
    verb = "recovered" if results[0].best_loss < MISSED * floor else "missed, the fit ends at"
    left.set(xlabel="step", title=f"Speed: {verb} {float(found):.4f} mm/ms")
    figure.legend(ncols=len(results), **BELOW)
    right.axhline(floor, color=TRUE, ls="--", lw=1.2)
    right.annotate(
        "at the true speed: the measurement noise",
        (1, floor),
        (-4, -12),
        ha="right",
        color=TRUE,
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
    )
    right.set(xlabel="step", ylabel="loss (rms error)", title="Loss", ylim=(0.8 * floor, None))
    _plain(right.yaxis, LogLocator(subs=(1, 2, 5)))
    return _tidy(figure)


def _speed_axis(ax: Axes, which: str) -> None:
    """Make an axis of speeds logarithmic, with plain numbers as ticks."""
    axis = getattr(ax, f"{which}axis")
    getattr(ax, f"set_{which}scale")("log")
    _plain(axis, FixedLocator(SPEED_TICKS))
    getattr(ax, f"set_{which}label")("speed (mm/ms)")


def _plain(axis: Axis, ticks: Locator) -> None:
    """Write plain numbers at some ticks of a logarithmic axis."""
    axis.set_major_locator(ticks)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda number, _: f"{number:g}")


def _room(values: np.ndarray) -> tuple[float, float]:
    """Return the range of values with space for a legend above."""
    height = np.ptp(values)
    return values.min() - 0.1 * height, values.max() + 0.35 * height


def _tidy(figure: Figure) -> Figure:
    """Remove the frame's right and top, and forget the figure in pyplot."""
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.title.set_fontsize(11)
    plt.close(figure)
    return figure
