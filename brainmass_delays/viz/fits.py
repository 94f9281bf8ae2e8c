"""Fits: loss and parameters per step, loss along parameters."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import numpy as np
from matplotlib.axes import Axes

from .._core.arguments import (
    any_of,
    checked,
    each,
    instance,
    optional,
    text,
)
from .._core.checks import ArgumentError, check_choice
from .._core.units import magnitude
from ..fit.curvature import Identifiability
from ..fit.profile import Profile
from .arguments import AX, FINITE, LABEL, ONE_NUMBER, SHOWN, is_pair
from .frame import new_axes, with_unit


def _is_result(where: str, value: Any) -> None:
    """Refuse what is no outcome of a fit."""
    if not hasattr(value, "param_history") or not hasattr(value, "starts"):
        raise ArgumentError(
            where, "must be a FitResult", type(value).__name__, "Pass what Fitter.fit returned"
        )


def _are_losses(where: str, value: Any) -> None:
    """Refuse all but losses, or a dict of them by name."""
    for key, losses in value.items() if isinstance(value, dict) else [(None, value)]:
        SHOWN(where if key is None else f"{where}[{key!r}]", losses)


def _are_values(where: str, value: Any) -> None:
    """Refuse all but values, or a pair of them."""
    for item in value if isinstance(value, tuple) else (value,):
        FINITE(where, item)


@checked(result=_is_result, parameter=LABEL, true=optional(ONE_NUMBER), ax=AX)
def plot_fit(
    result: Any, parameter: str | None = None, *, true: Any = None, ax: Axes | None = None, **kwargs
) -> Axes:
    """Draw the loss of every step of a fit, or the way of one parameter; one line per start.

    Parameters
    ----------
    result : FitResult
        What `Fitter.fit` returned.
    parameter : str, optional
        Dotted name of a scalar parameter to draw instead of the loss.
    true : Quantity or float, optional
        The value to recover, drawn as a dashed line.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        The loss is on a logarithmic axis if it is positive.

    Raises
    ------
    ArgumentError
        If the fit has no scalar parameter of that name, or ``true`` has another dimension.

    Examples
    --------
    >>> from brainmass_delays import viz
    >>> from brainmass_delays.fit import FitResult
    >>> result = FitResult(best_loss=0.1, best_params={}, history=[1.0, 0.3, 0.1], n_steps=3,
    ...                    prediction=None, model=None)
    >>> viz.plot_fit(result).get_yscale()
    'log'
    """
    ax = new_axes(ax)
    runs = result.starts or (result,)
    unit = u.UNITLESS
    if parameter is not None:
        check_choice("plot_fit.parameter", parameter, result.param_history)
        unit = u.get_unit(result.param_history[parameter])
    for i, run in enumerate(runs):
        line = run.history if parameter is None else magnitude("plot_fit", run.param_history[parameter], unit)
        ax.plot(np.asarray(line), **{"label": f"start {i + 1}" if len(runs) > 1 else None, **kwargs})
    if parameter is None and all(min(run.history) > 0 for run in runs):
        ax.set_yscale("log")
    if true is not None:
        ax.axhline(float(magnitude("plot_fit.true", true, unit)), color="black", linestyle="--", label="true")
    if len(runs) > 1 or true is not None:
        ax.legend()
    ax.set_xlabel("step")
    ax.set_ylabel("loss" if parameter is None else with_unit(parameter, result.param_history[parameter]))
    return ax


@checked(
    values=_are_values,
    losses=_are_losses,
    parameter=any_of("a name, or a pair of them", text, each(text)),
    true=optional(any_of("a number, or a pair of them", ONE_NUMBER, is_pair)),
    ax=AX,
)
def plot_loss_landscape(
    values: Any, losses: Any, *, parameter: str = "speed", true: Any = None, ax: Axes | None = None, **kwargs
) -> Axes:
    """Draw the loss along one parameter, or over two.

    Parameters
    ----------
    values : Quantity or array_like, shape (n_values,); or a pair of them
        Values of the parameter, or of two.
    losses : array_like, shape (n_values,); dict of str to such; or array_like, shape (n_first, n_second)
        The loss at each value, for instance from `Fitter.sweep`; several curves by name, for instance one per
        interpolation; or a matrix for two parameters.
    parameter : str or pair of str, default 'speed'
        Name on the axis, or on both.
    true : Quantity or float, or a pair, optional
        The value to recover: a dashed line, or a cross.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`, or to ``contourf`` for two parameters.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        If there is not one loss per value.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import viz
    >>> speeds = np.linspace(1, 5, 9) * u.mm / u.ms
    >>> ax = viz.plot_loss_landscape(speeds, (speeds / (u.mm / u.ms) - 3) ** 2, true=3.0)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('speed (mm/ms)', 'loss')
    """
    ax = new_axes(ax)
    if isinstance(values, tuple):
        return _surface(ax, values, losses, parameter, true, kwargs)
    x = _values(values)
    curves = losses if isinstance(losses, dict) else {None: losses}
    for name, curve in curves.items():
        ax.plot(x, _losses(curve, x.shape), **{"label": name, **kwargs})
    if true is not None:
        ax.axvline(
            float(magnitude("plot_loss_landscape.true", true, u.get_unit(values))),
            color="black",
            linestyle="--",
            label="true",
        )
    if isinstance(losses, dict) or true is not None:
        ax.legend()
    ax.set_xlabel(with_unit(parameter, values))
    ax.set_ylabel("loss")
    return ax


def _surface(
    ax: Axes, values: tuple, losses: Any, parameter: Sequence[str], true: Any, options: dict
) -> Axes:
    """Draw filled contours of the loss over two parameters."""
    if len(values) != 2 or isinstance(parameter, str) or len(parameter) != 2:
        raise ArgumentError(
            "plot_loss_landscape.parameter",
            "must name both parameters of a pair of values",
            repr(parameter),
            "Pass parameter=('speed', 'coupling.k')",
        )
    x, y = map(_values, values)
    surface = _losses(losses, (x.size, y.size))
    ax.figure.colorbar(ax.contourf(x, y, surface.T, **options), ax=ax, label="loss")
    if true is not None:
        ax.plot(
            *[
                float(magnitude("plot_loss_landscape.true", t, u.get_unit(v)))
                for t, v in zip(true, values, strict=True)
            ],
            "kx",
            label="true",
        )
        ax.legend()
    ax.set_xlabel(with_unit(parameter[0], values[0]))
    ax.set_ylabel(with_unit(parameter[1], values[1]))
    return ax


def _values(values: Any) -> np.ndarray:
    """Return the values on one axis."""
    x = np.asarray(u.get_magnitude(values))
    if x.ndim != 1:
        raise ArgumentError("plot_loss_landscape.values", "must have the shape (n_values,)", x.shape)
    return x


def _losses(losses: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the losses if there is one per value."""
    losses = np.asarray(u.get_magnitude(losses))
    if losses.shape != shape:
        raise ArgumentError(
            "plot_loss_landscape.losses",
            f"must hold one loss per value, {shape}",
            losses.shape,
            "As many as values",
        )
    return losses


@checked(
    profile=instance(Profile, "a Profile", "Pass what Fitter.profile returned"),
    true=optional(ONE_NUMBER),
    ax=AX,
)
def plot_profile(profile: Any, *, true: Any = None, ax: Axes | None = None, **kwargs) -> Axes:
    """Draw the lowest loss at each value of a parameter, and where the interval of 95 % ends.

    Parameters
    ----------
    profile : Profile
        What `Fitter.profile` returned.
    true : Quantity or float, optional
        The value to recover, drawn as a dashed line.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    **kwargs
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import viz
    >>> from brainmass_delays.fit.profile import Profile
    >>> profile = Profile('k', np.array([0.0, 1.0, 2.0]), np.array([3.0, 0.0, 3.0]), [{}] * 3, 1.92, None)
    >>> viz.plot_profile(profile).get_xlabel()
    'k'
    """
    ax = new_axes(ax)
    unit = u.get_unit(profile.values)
    ax.plot(np.asarray(u.get_magnitude(profile.values)), profile.losses, **{"marker": "o"} | kwargs)
    if profile.threshold is not None:
        ax.axhline(profile.threshold, color="gray", linewidth=0.8)
        low, high = (float(u.Quantity(end).to_decimal(unit)) for end in profile.interval)
        ax.axvspan(low, high, color="gray", alpha=0.15, label="95 %")
    if true is not None:
        ax.axvline(float(magnitude("plot_profile.true", true, unit)), color="k", linestyle="--")
    ax.set(xlabel=with_unit(profile.name, profile.values), ylabel="lowest loss")
    return ax


@checked(
    directions=instance(
        Identifiability, "an Identifiability", "Pass what FitResult.identifiability returned"
    ),
    ax=AX,
)
def plot_identifiability(directions: Any, *, ax: Axes | None = None) -> Axes:
    """Draw which parameters make up each direction, the one that the data fix best on top.

    Parameters
    ----------
    directions : Identifiability
        What `FitResult.identifiability` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import viz
    >>> from brainmass_delays.fit.curvature import Identifiability
    >>> found = Identifiability(('a', 'b'), np.array([4.0, 1.0]), np.eye(2), 4.0)
    >>> [text.get_text() for text in viz.plot_identifiability(found).get_yticklabels()]
    ['4', '1']
    """
    ax = new_axes(ax)
    image = ax.imshow(directions.directions, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="share of the direction")
    ax.set_xticks(range(len(directions.labels)), directions.labels, rotation=45, ha="right")
    ax.set_yticks(range(len(directions.eigenvalues)), [f"{value:.3g}" for value in directions.eigenvalues])
    ax.set_ylabel("curvature")
    return ax
