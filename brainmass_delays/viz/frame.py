"""What every figure begins and ends with: axes, labels with units, time series and the names of lines."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .._core.checks import ArgumentError


def new_axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.8)) -> Axes:
    """Return the given axes, or those of a new figure in which nothing is cut off."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def with_unit(name: str, value: Any) -> str:
    """Return an axis label with the unit in parentheses, if there is one."""
    unit = u.get_unit(value)
    return name if unit.is_unitless else f"{name} ({str(unit).replace(' / ', '/')})"


def color_bar(image: Any, axes: Sequence[Axes], label: str, **options: Any) -> None:
    """Add the color bar of one or several panels."""
    axes = list(axes)
    axes[0].figure.colorbar(image, ax=axes if len(axes) > 1 else axes[0], label=label, **options)


def times_of(where: str, values: np.ndarray, ts: Any) -> tuple[np.ndarray, str]:
    """Return the times of values, by default their numbers, and the label of their axis."""
    times = np.arange(len(values)) if ts is None else np.asarray(u.get_magnitude(ts))
    if times.shape != values.shape[:1]:
        raise ArgumentError(f"{where}.ts", f"must have one value per sample, {values.shape[:1]}", times.shape)
    return times, "sample" if ts is None else with_unit("time", ts)


def name_lines(where: str, ax: Axes, lines: Sequence, labels: Sequence[str] | None) -> None:
    """Name the lines in a legend, if there are names."""
    if labels is None:
        return
    if len(labels) != len(lines):
        raise ArgumentError(f"{where}.labels", f"must hold one name per region, {len(lines)}", len(labels))
    ax.legend(lines, labels)
