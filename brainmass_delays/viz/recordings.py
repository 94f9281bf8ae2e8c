"""Recordings of many regions: stacked traces, mean with band, spectra with band, BOLD with its samples."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import numpy as np
from matplotlib.axes import Axes

from .._core.arguments import (
    checked,
    flag,
    numbers,
    optional,
)
from .._core.checks import ArgumentError, check_choice
from .._core.units import magnitude
from .arguments import (
    AX,
    FINITE_SIGNAL,
    LABEL,
    LABELS,
    LENGTH,
    TIMES,
)
from .frame import name_lines, new_axes, with_unit

WIDE = (6.4, 3.6)
MOST_LABELS = 60  # traces whose names can be read in a figure of usual size


@checked(signal=FINITE_SIGNAL, ts=optional(TIMES), labels=LABELS, spacing=LENGTH, ax=AX)
def plot_traces(
    signal: Any,
    ts: Any = None,
    *,
    labels: Sequence[str] | None = None,
    spacing: float = 1.0,
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw the traces of many regions above each other, the first on top.

    Parameters
    ----------
    signal : array_like or Quantity, shape (time, region)
        What was recorded.
    ts : array_like or Quantity, shape (time,), optional
        Times of the samples. Default: their numbers.
    labels : sequence of str, optional
        One name per region, written at its trace if there are at most 60.
    spacing : float, default 1
        Distance of two traces, in units of the largest range of a trace but its upper and lower 1 %.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        With a bar for the scale of the signal.

    Raises
    ------
    ArgumentError
        If the shapes of ``signal``, ``ts`` and ``labels`` disagree, or the signal is not finite.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> ax = viz.plot_traces(np.random.default_rng(0).normal(size=(90, 5)) * u.mV, np.arange(90) * u.ms)
    >>> len(ax.lines), ax.get_xlabel()
    (6, 'time (ms)')
    """
    values, times, x_label = _series("plot_traces", signal, ts)
    n = values.shape[1]
    if labels is not None and len(labels) != n:
        raise ArgumentError("plot_traces.labels", f"must be one per region, {n}", len(labels))
    low, high = np.percentile(values, [1, 99], axis=0)
    distance = spacing * (float(np.max(high - low)) or 1.0)
    places = distance * np.arange(n)[::-1]
    ax = new_axes(ax, (6.4, min(9.0, 2.0 + 0.15 * n)))
    ax.plot(times, values - values.mean(axis=0) + places, **{"linewidth": 0.7, "color": "0.2", **kwargs})
    shown = labels is not None and n <= MOST_LABELS
    ax.set_yticks(places if shown else [], list(labels) if shown else [], fontsize=6 if n > 20 else 8)
    ax.set(xlabel=x_label, ylabel="" if shown else "region")
    ax.margins(x=0)
    size = float(f"{distance:.1g}")
    right = times[-1] + 0.02 * (times[-1] - times[0])
    ax.plot([right, right], [places[-1], places[-1] + size], color="black", linewidth=2, clip_on=False)
    ax.annotate(
        with_unit(f"{size:g}", signal).replace("(", "").replace(")", ""),
        (right, places[-1] + size / 2),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        annotation_clip=False,
    )
    return ax


@checked(signal=FINITE_SIGNAL, ts=optional(TIMES), label=LABEL, ax=AX)
def plot_mean_and_band(
    signal: Any,
    ts: Any = None,
    *,
    spread: str = "std",
    label: str | None = None,
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw the mean over regions, batch or seeds, and a band around it.

    Parameters
    ----------
    signal : array_like or Quantity, shape (time, ...)
        What was recorded; everything but time is averaged.
    ts : array_like or Quantity, shape (time,), optional
        Times of the samples. Default: their numbers.
    spread : {'std', 'sem', 'range', 'quartiles'}, default 'std'
        What the band shows: one standard deviation or standard error to both sides, all, or the middle half.
    label : str, optional
        Name of the line, for a legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        If the shapes disagree, the signal is not finite, or ``spread`` is another word.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> x = np.random.default_rng(0).normal(size=(90, 5)) * u.mV
    >>> ax = viz.plot_mean_and_band(x, np.arange(90) * u.ms)
    >>> ax.get_ylabel()
    'signal (mV)'
    """
    values, times, x_label = _series("plot_mean_and_band", signal, ts)
    ax = new_axes(ax, WIDE)
    _line_and_band(
        ax, times, values, check_choice("plot_mean_and_band.spread", spread, SPREADS), label, kwargs
    )
    ax.set(xlabel=x_label, ylabel=with_unit("signal", signal))
    return ax


@checked(power=FINITE_SIGNAL, frequencies=TIMES, label=LABEL, decibels=flag, ax=AX)
def plot_spectrum_and_band(
    power: Any,
    frequencies: Any,
    *,
    spread: str = "quartiles",
    label: str | None = None,
    decibels: bool = False,
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw the mean power spectral density over regions, and a band around it.

    Parameters
    ----------
    power : array_like or Quantity, shape (frequency, ...)
        As `objectives.psd` or the monitor `Spectrum` give it.
    frequencies : Quantity or array_like, shape (frequency,)
        Plain numbers are Hz. Frequency 0 is left out.
    spread : {'std', 'sem', 'range', 'quartiles'}, default 'quartiles'
        What the band shows, see `plot_mean_and_band`; on the logarithmic axis it may leave the figure.
    label : str, optional
        Name of the line, for a legend.
    decibels : bool, default False
        Draw ``10 log10`` of the power on a linear axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        If the shapes disagree, the power is not finite, or ``spread`` is another word.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import objectives, viz
    >>> x = np.random.default_rng(0).normal(size=(2000, 5)) * u.mV
    >>> f = objectives.frequencies(200, 1 * u.ms)
    >>> ax = viz.plot_spectrum_and_band(objectives.psd(x, 1 * u.ms, nperseg=200), f)
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()
    ('frequency (Hz)', 'power (mV^2/Hz)', 'log')
    """
    where = "plot_spectrum_and_band"
    hertz = np.asarray(magnitude(f"{where}.frequencies", frequencies, u.Hz))
    values, hertz, _ = _series(where, power, hertz, ("power", "frequencies"))
    values, hertz = values[hertz > 0], hertz[hertz > 0]
    unit = with_unit("power", power)
    if decibels:
        values, unit = 10 * np.log10(values), f"{unit}, dB" if "(" in unit else "power (dB)"
    ax = new_axes(ax, WIDE)
    _line_and_band(ax, hertz, values, check_choice(f"{where}.spread", spread, SPREADS), label, kwargs)
    ax.set(xlabel="frequency (Hz)", ylabel=unit, xscale="log", yscale="linear" if decibels else "log")
    return ax


@checked(
    bold=FINITE_SIGNAL,
    ts=optional(TIMES),
    tr=optional(numbers(unit=u.second, scalar=True, finite=True, above=0, traced=False)),
    labels=LABELS,
    ax=AX,
)
def plot_bold(
    bold: Any,
    ts: Any = None,
    *,
    tr: Any = None,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw BOLD over time in seconds, with a mark at every sample.

    Parameters
    ----------
    bold : array_like or Quantity, shape (time,) or (time, region)
        Plain numbers are relative changes and drawn in percent, as the monitor `Balloon` emits them, unless
        one is larger than 1 in size: then they are drawn in arbitrary units.
    ts : Quantity or array_like, shape (time,), optional
        Times; plain numbers are s.
    tr : Quantity or float, optional
        Repetition time, for data without ``ts``: the first sample is at one TR.
    labels : sequence of str, optional
        One name per region, for a legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        If neither or both of ``ts`` and ``tr`` are given, or the shapes disagree.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> ax = viz.plot_bold(0.01 * np.random.default_rng(0).normal(size=(60, 2)), tr=0.72 * u.second)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('time (s)', 'BOLD change (%)')
    """
    if (ts is None) == (tr is None):
        raise ArgumentError("plot_bold", "needs either ts or tr", "both" if tr is not None else "neither")
    if ts is None:
        ts = (np.arange(len(bold)) + 1) * float(magnitude("plot_bold.tr", tr, u.second))
    seconds = np.asarray(magnitude("plot_bold.ts", ts, u.second))
    values, seconds, _ = _series("plot_bold", bold, seconds, ("bold", "ts"))
    relative = u.get_unit(bold).is_unitless and np.abs(values).max(initial=0) <= 1
    ax = new_axes(ax, WIDE)
    lines = ax.plot(
        seconds, 100 * values if relative else values, **{"marker": ".", "linewidth": 0.8, **kwargs}
    )
    name_lines("plot_bold", ax, lines, labels)
    plain = "BOLD (a.u.)" if u.get_unit(bold).is_unitless else with_unit("BOLD", bold)
    ax.set(xlabel="time (s)", ylabel="BOLD change (%)" if relative else plain)
    return ax


SPREADS = {
    "std": lambda x: (x.mean(axis=1) - x.std(axis=1), x.mean(axis=1) + x.std(axis=1)),
    "sem": lambda x: tuple(x.mean(axis=1) + s * x.std(axis=1, ddof=1) / np.sqrt(x.shape[1]) for s in (-1, 1)),
    "range": lambda x: (x.min(axis=1), x.max(axis=1)),
    "quartiles": lambda x: tuple(np.percentile(x, [25, 75], axis=1)),
}


def _line_and_band(ax, x, values, spread, label, options) -> None:
    """Draw the mean over all but the first axis and a band."""
    values = values.reshape(len(values), -1)
    (line,) = ax.plot(x, values.mean(axis=1), **{"label": label, **options})
    if values.shape[1] > 1:
        ax.fill_between(x, *SPREADS[spread](values), color=line.get_color(), alpha=0.25, linewidth=0)
    if label is not None:
        ax.legend()


def _series(where: str, signal: Any, ts: Any, names=("signal", "ts")) -> tuple[np.ndarray, np.ndarray, str]:
    """Return values with at least two axes, their times, and the label of these."""
    values = np.asarray(u.get_magnitude(signal))
    values = values[:, None] if values.ndim == 1 else values
    times = np.arange(len(values)) if ts is None else np.asarray(u.get_magnitude(ts))
    if times.shape != values.shape[:1]:
        cure = f"The first axis of {names[0]} must be as long"
        raise ArgumentError(
            f"{where}.{names[1]}", f"must have one value per sample, {values.shape[:1]}", times.shape, cure
        )
    return values, times, "sample" if ts is None else with_unit("time", ts)
