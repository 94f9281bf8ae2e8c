"""Values at places: regions of the brain in three views, sensors on the head."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .._core.arguments import (
    checked,
    each,
    flag,
    optional,
    text,
)
from .._core.checks import ArgumentError, check_finite
from .._core.units import magnitude
from .arguments import AX, FINITE, LENGTH
from .frame import color_bar, new_axes, with_unit

VIEWS = (("left", 1, 2), ("top", 0, 1), ("back", 0, 2))  # name, axis to the right, axis upward
DIRECTIONS = ("x, right (mm)", "y, front (mm)", "z, up (mm)")


@checked(
    values=FINITE,
    centres=FINITE,
    label=text,
    symmetric=optional(flag),
    size=LENGTH,
    axes=optional(each(AX, object)),
)
def plot_brain(
    values: Any,
    centres: Any,
    *,
    label: str = "value",
    symmetric: bool | None = None,
    size: float = 60.0,
    axes: Sequence[Axes] | None = None,
    **kwargs,
) -> tuple[Axes, Axes, Axes]:
    """Draw one value per region at its place: from the left, from above and from behind.

    Parameters
    ----------
    values : array_like or Quantity, shape (n_regions,)
        What the colors show.
    centres : Quantity or array_like, shape (n_regions, 3)
        Centers of the regions, as `Connectome.centres`: x right, y front, z up; plain numbers are mm.
    label : str, default 'value'
        Name on the color bar.
    symmetric : bool, optional
        Center the colors at 0. Default: if there are negative values.
    size : float, default 60
        Area of a region in square points.
    axes : sequence of three Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.scatter`.

    Returns
    -------
    tuple of three matplotlib.axes.Axes
        Regions that are nearer to the eye cover others.

    Raises
    ------
    ArgumentError
        If there is not one finite value and one place per region.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> places = np.random.default_rng(0).normal(size=(30, 3)) * 40 * u.mm
    >>> left, top, back = viz.plot_brain(np.arange(30) * u.Hz, places, label='rate')
    >>> top.get_xlabel()
    'x, right (mm)'
    """
    numbers = check_finite("plot_brain.values", u.get_magnitude(values))
    points = check_finite("plot_brain.centres", magnitude("plot_brain.centres", centres, u.mm))
    if points.ndim != 2 or points.shape[1:] != (3,) or numbers.shape != points.shape[:1]:
        got = f"{numbers.shape} and {points.shape}"
        raise ArgumentError("plot_brain", "needs values (n_regions,) and centres (n_regions, 3)", got)
    if axes is None:
        axes = plt.subplots(1, 3, figsize=(11.0, 3.6), layout="constrained")[1]
    options = (
        _colors(numbers, symmetric) | {"s": float(size), "edgecolors": "0.3", "linewidths": 0.4} | kwargs
    )
    for ax, (name, right, up) in zip(axes, VIEWS, strict=True):
        (toward,) = {0, 1, 2} - {right, up}
        order = np.argsort(points[:, toward] if name == "top" else -points[:, toward])  # the nearest last
        drawn = ax.scatter(points[order, right], points[order, up], c=numbers[order], **options)
        ax.set(title=name, xlabel=DIRECTIONS[right], ylabel=DIRECTIONS[up], aspect="equal")
        ax.margins(0.08)
        if name == "left":
            ax.invert_xaxis()  # the front is to the left
    color_bar(drawn, axes, with_unit(label, values), shrink=0.85)
    return tuple(axes)


@checked(values=FINITE, label=text, ax=AX)
def plot_topography(
    values: Any,
    sensors: Any,
    *,
    label: str = "value",
    ax: Axes | None = None,
    **kwargs,
) -> Axes:
    """Draw one value per sensor on the head; needs the extra ``mne``.

    Parameters
    ----------
    values : array_like or Quantity, shape (n_sensors,)
        What the sensors show, e.g. one sample of a `LeadField` or a column of its matrix.
    sensors : LeadField, sequence of str or mne.Info
        Which sensors. Names are looked up in the 10-05 system of electrodes.
    label : str, default 'value'
        Name on the color bar.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `mne.viz.plot_topomap`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        If there is not one value per sensor, or the place of a sensor is not known.
    ImportError
        If MNE-Python is missing.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> ax = viz.plot_topography(np.arange(5.0) * u.uvolt, ['Fz', 'Cz', 'Pz', 'C3', 'C4'])  # doctest: +SKIP
    """
    import mne

    info = _info(sensors)
    numbers = check_finite("plot_topography.values", u.get_magnitude(values))
    if numbers.shape != (len(info["chs"]),):
        raise ArgumentError(
            "plot_topography.values", f"must be one per sensor, {len(info['chs'])}", numbers.shape
        )
    ax = new_axes(ax, (4.6, 4.0))
    options = {"cmap": "RdBu_r" if numbers.min() < 0 else "viridis", "show": False} | kwargs
    image, _ = mne.viz.plot_topomap(numbers, info, axes=ax, **options)
    color_bar(image, [ax], with_unit(label, values), shrink=0.8)
    return ax


def _colors(numbers: np.ndarray, symmetric: bool | None) -> dict[str, Any]:
    """Return a scale of colors."""
    if symmetric or (symmetric is None and numbers.min() < 0):
        largest = float(np.abs(numbers).max()) or 1.0
        return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis", "vmin": float(numbers.min()), "vmax": float(numbers.max())}


def _info(sensors: Any) -> Any:
    """Return the places of sensors as MNE keeps them."""
    import mne

    if isinstance(sensors, mne.Info):
        return sensors
    names = list(getattr(sensors, "sensors", sensors))
    montage = mne.channels.make_standard_montage("colin27_1005")
    if unknown := [name for name in names if name not in montage.ch_names]:
        rule = "must be names of the 10-05 system, or an mne.Info with their places"
        raise ArgumentError("plot_topography.sensors", rule, repr(unknown[0]))
    return mne.create_info(names, 1000.0, "eeg", verbose=False).set_montage(montage, verbose=False)
