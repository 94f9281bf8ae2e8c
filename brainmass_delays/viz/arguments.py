"""Rules of the arguments that drawings share."""

import brainunit as u
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, is_color_like

from .._core.arguments import any_of, choice, each, instance, names, numbers, optional, text
from .._core.checks import ArgumentError

AX = optional(instance(Axes, "a matplotlib Axes", "Pass ax=plt.gca(), or leave it out"))
AXES = optional(
    any_of("an Axes or a sequence of them", instance(Axes, ""), lambda where, value: _axes(where, value))
)
LABELS = optional(names)
LABEL = optional(text)
SHOWN = numbers(traced=False)
FINITE = numbers(traced=False, finite=True)
SIGNAL = numbers(traced=False, axes=(1, 2))
FINITE_SIGNAL = numbers(traced=False, finite=True, axes=(1, 2))
TIMES = numbers(traced=False, finite=True, ndim=1)
ONE_NUMBER = numbers(scalar=True, finite=True, traced=False)
PLAIN = numbers(unit=u.UNITLESS, traced=False, finite=True)
SQUARE_OR_SERIES = numbers(traced=False, finite=True, ndim=2)
LENGTH = numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False)
LAG = numbers(unit=u.ms, scalar=True, finite=True, above=0, traced=False)
CMAP = optional(
    any_of(
        "a Colormap or the name of one, such as 'viridis'",
        instance(Colormap, ""),
        lambda where, value: choice(*matplotlib.colormaps)(where, value),
    )
)


def is_pair(where, value):
    """Refuse all but a tuple of two numbers."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise ArgumentError(where, "must be a pair of numbers", repr(value))
    each(ONE_NUMBER)(where, value)


def is_square(where, value):
    """Refuse all but a square matrix."""
    numbers(traced=False, ndim=2)(where, value)
    shape = np.shape(u.get_magnitude(value))
    if shape[0] != shape[1]:
        raise ArgumentError(where, "must be a square matrix", f"shape {shape}")


def color(where, value):
    """Refuse what is no color."""
    if not is_color_like(value):
        raise ArgumentError(where, "must be a color, such as 'k' or '#1f77b4'", repr(value))


def _axes(where, value):
    """Refuse all but a sequence of Axes."""
    each(AX, object)(where, list(value.ravel()) if hasattr(value, "ravel") else value)
