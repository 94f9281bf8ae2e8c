"""Trajectories over time and their power spectra."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import numpy as np
from matplotlib.axes import Axes
from scipy.signal import welch

from .._core.arguments import (
    checked,
    flag,
    optional,
)
from .._core.checks import ArgumentError, check_count
from .._core.units import magnitude
from .arguments import AX, FINITE, LABELS, LAG, SHOWN, TIMES
from .frame import name_lines, new_axes, times_of, with_unit


@checked(signal=SHOWN, ts=optional(TIMES), labels=LABELS, ax=AX)
def plot_timeseries(
    signal: Any, ts: Any = None, *, labels: Sequence[str] | None = None, ax: Axes | None = None, **kwargs
) -> Axes:
    """Draw one line per region over time.

    Parameters
    ----------
    signal : array_like or Quantity, shape (time,) or (time, region)
        What was recorded.
    ts : array_like or Quantity, shape (time,), optional
        Times of the samples. Default: their numbers.
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
        If the shapes of ``signal``, ``ts`` and ``labels`` disagree.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> ax = viz.plot_timeseries(np.zeros((50, 3)) * u.mV, np.arange(50) * u.ms)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('time (ms)', 'signal (mV)')
    """
    values = _series("plot_timeseries", signal)
    times, x_label = times_of("plot_timeseries", values, ts)
    ax = new_axes(ax)
    lines = ax.plot(times, values, **kwargs)
    name_lines("plot_timeseries", ax, lines, labels)
    ax.set_xlabel(x_label)
    ax.set_ylabel(with_unit("signal", signal))
    return ax


@checked(signal=FINITE, dt=LAG, labels=LABELS, loglog=flag, ax=AX)
def plot_power_spectrum(
    signal: Any,
    dt: Any,
    *,
    nperseg: int | None = None,
    labels: Sequence[str] | None = None,
    loglog: bool = True,
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw the power spectral density of every region, by Welch's method.

    Parameters
    ----------
    signal : array_like or Quantity, shape (time,) or (time, region)
        What was recorded.
    dt : Quantity or float
        Sampling interval; a plain number is in ms.
    nperseg : int, optional
        Samples per segment (Hann window, half overlap, mean removed). Default: 256, or all samples if there
        are fewer.
    labels : sequence of str, optional
        One name per region, for a legend.
    loglog : bool, default True
        Use logarithmic axes.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        Frequency in Hz against squared signal unit per Hz, without the bin at frequency 0.

    Raises
    ------
    ArgumentError
        If the signal is no time series, ``dt`` is no time, or a segment is longer than the signal.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> t = np.arange(1000) * 1e-3
    >>> ax = viz.plot_power_spectrum(np.sin(2 * np.pi * 40 * t), 1 * u.ms, nperseg=500)
    >>> frequency, power = ax.lines[0].get_data()
    >>> float(frequency[power.argmax()])
    40.0
    """
    values = _series("plot_power_spectrum", signal)
    n_samples = len(values)
    nperseg = (
        min(256, n_samples)
        if nperseg is None
        else check_count("plot_power_spectrum.nperseg", nperseg, minimum=2)
    )
    if nperseg > n_samples:
        raise ArgumentError(
            "plot_power_spectrum.nperseg", f"must not exceed the {n_samples} samples", nperseg
        )
    rate = 1e3 / float(magnitude("plot_power_spectrum.dt", dt, u.ms))
    frequencies, power = welch(values, rate, nperseg=nperseg, axis=0)
    ax = new_axes(ax)
    lines = (ax.loglog if loglog else ax.plot)(frequencies[1:], power[1:], **kwargs)
    name_lines("plot_power_spectrum", ax, lines, labels)
    unit = u.get_unit(signal)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("power (1/Hz)" if unit.is_unitless else f"power ({unit}²/Hz)")
    return ax


def _series(where: str, signal: Any) -> np.ndarray:
    """Return the magnitudes of a time series of one or several regions."""
    values = np.asarray(u.get_magnitude(signal))
    if values.ndim not in (1, 2):
        raise ArgumentError(
            f"{where}.signal",
            "must have the shape (time,) or (time, region)",
            values.shape,
            "Select one batch element first",
        )
    return values
