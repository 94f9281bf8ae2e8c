"""What the arguments of kernels must be."""

import brainunit as u

from ..._core.arguments import numbers
from ..shapes import is_array

_NUMBERS, _PLAIN_NUMBERS = (numbers(unit=unit, axes=(0, 2)) for unit in (None, u.UNITLESS))


NORMALIZATIONS = ("none", "rw", "sym")


def is_strength(where, value):
    """Refuse all but a number, or an array of numbers per target."""
    _NUMBERS(where, value)
    is_array(where, value)


def is_plain(where, value):
    """Refuse the same with a unit."""
    _PLAIN_NUMBERS(where, value)
    is_array(where, value)


def is_plain_array(where, value):
    """Refuse all but a number, or an array of any shape, without a unit."""
    numbers(unit=u.UNITLESS)(where, value)
    is_array(where, value)
