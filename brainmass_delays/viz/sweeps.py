"""Sweeps: a number over one or two swept arguments."""

from typing import Any

import brainunit as u
import numpy as np
from matplotlib.axes import Axes

from .._core.arguments import checked, optional, text
from .._core.checks import ArgumentError, check_choice
from .arguments import AX
from .frame import color_bar, new_axes, with_unit


def _is_sweep(where: str, value: Any) -> None:
    """Refuse what is no outcome of a sweep."""
    if not hasattr(value, "axes") or not hasattr(value, "status"):
        raise ArgumentError(where, "must be a SweepResult", type(value).__name__, "Pass what sweep returned")


@checked(result=_is_sweep, value=optional(text), ax=AX)
def plot_sweep(result: Any, value: str | None = None, *, ax: Axes | None = None, **kwargs) -> Axes:
    """Draw one number per point of a sweep: a line over one argument, an image over two.

    Parameters
    ----------
    result : SweepResult
        What `sweep` returned; one or two of its axes longer than 1, each of single numbers.
    value : str, optional
        Which of the results, where there are several.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`, or to ``pcolormesh`` for two axes.

    Returns
    -------
    matplotlib.axes.Axes
        Points that failed are crosses on the axis, or hatched.

    Raises
    ------
    ArgumentError
        If the sweep has more axes, or the result is not one number per point.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import sweep, viz
    >>> found = sweep(lambda a: {"square": a**2}, {"a": np.linspace(0, 2, 5)})
    >>> ax = viz.plot_sweep(found)
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.lines[0].get_ydata().tolist()
    ('a', 'square', [0.0, 0.25, 1.0, 2.25, 4.0])
    """
    name, values = _chosen(result, value)
    shape = result.status.shape
    names = list(result.axes)
    if len(shape) != len(names):  # side by side: over the first of them
        names = names[:1]
    long = [i for i, n in enumerate(shape) if n > 1] or [0]
    swept = [result.axes[names[i]] for i in long]
    if len(long) > 2 or any(np.ndim(u.get_magnitude(each)) != 1 for each in swept):
        rule = "must have one or two axes of single numbers that are longer than 1"
        cure = "Select from results and status, as in SweepResult(axes, results, status)"
        raise ArgumentError("plot_sweep.result", rule, f"axes of shape {shape}", cure)
    ax = new_axes(ax)
    numbers = np.asarray(u.get_magnitude(values)).reshape([shape[i] for i in long])
    failed = result.status.reshape(numbers.shape) != 0
    x, *others = (np.asarray(u.get_magnitude(each)) for each in swept)
    ax.set_xlabel(with_unit(names[long[0]], swept[0]))
    if others:
        _draw_image(ax, x, others[0], numbers, failed, with_unit(name, values), kwargs)
        ax.set_ylabel(with_unit(names[long[1]], swept[1]))
    else:
        ax.plot(x, np.where(failed, np.nan, numbers), **kwargs)
        ax.plot(
            x[failed], np.full(failed.sum(), 0.0), "rx", transform=ax.get_xaxis_transform(), clip_on=False
        )
        ax.set_ylabel(with_unit(name, values))
    return ax


def _draw_image(ax, x, y, numbers, failed, label, options):
    """Draw an image whose failed points are hatched."""
    shown = np.ma.masked_array(numbers, failed).T
    color_bar(ax.pcolormesh(x, y, shown, **{"shading": "nearest", **options}), [ax], label)
    ax.patch.set(hatch="xx", edgecolor="0.6")


def _chosen(result, value):
    """Return the name and the numbers of what is drawn."""
    results = result.results if isinstance(result.results, dict) else {"result": result.results}
    scalars = [n for n, found in results.items() if n != "status" and np.shape(found) == result.status.shape]
    if value is not None:
        check_choice("plot_sweep.value", value, results)
    elif len(scalars) == 1:
        value = scalars[0]
    if value not in scalars:
        raise ArgumentError(
            "plot_sweep.value",
            "must name a result of one number per point",
            "None" if value is None else repr(value),
            f"Pass one of {scalars}" if scalars else "Return a number from predict, such as a mean",
        )
    return value, results[value]
