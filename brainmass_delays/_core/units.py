"""The border between quantities with units and plain magnitudes."""

from collections.abc import Iterator, Mapping
from typing import Any

import brainunit as u
import jax
import numpy as np

from .checks import ArgumentError, check_unmasked

NUMERIC = (u.Quantity, jax.Array, np.ndarray, np.generic, int, float, complex, list, tuple)


def magnitude(where: str, value: Any, unit: u.Unit, *, plain: bool = True) -> Any:
    """Return the number of ``unit`` in ``value``.

    A plain number is taken to be in ``unit`` already, or refused with ``plain=False``; another dimension is
    refused, and so is what is no number and no array.
    """
    check_unmasked(where, value)
    is_array = isinstance(value, NUMERIC) or hasattr(value, "__array__") or hasattr(value, "__jax_array__")
    if not is_array or getattr(value, "dtype", None) == np.dtype(object):
        cure = "Pass a number or an array" + ("" if unit.is_unitless else f" in {unit}")
        if hasattr(value, "toarray"):  # a sparse matrix of SciPy
            raise ArgumentError(where, "must be an array", type(value).__name__, "Write matrix.toarray()")
        raise ArgumentError(where, "must be a number", _short(value), cure)
    if isinstance(value, u.Quantity) and not value.is_unitless:
        if not u.have_same_dim(value, unit):
            raise ArgumentError(where, f"must have the dimension of {unit}", f"{u.get_unit(value)}")
        return value.to_decimal(unit)
    if not plain and not unit.is_unitless:
        if isinstance(value, list | tuple) and any(isinstance(part, u.Quantity) for part in value):
            cure = f"Write the unit once, as in [1.0, 2.0] * brainunit.{unit}"
            raise ArgumentError(where, "must be an array with one unit", "a list of quantities", cure)
        raise ArgumentError(
            where,
            f"needs a unit such as {unit}",
            f"the plain number {value}",
            f"Write {value} * brainunit.{unit}" if getattr(value, "ndim", 0) == 0 else "",
        )
    return u.get_magnitude(value)


def missing_unit(value: Any, unit: str = "ms") -> str:
    """Return the cure that gives a plain number its unit; nothing helps what is no number."""
    is_plain = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"Write {value} * brainunit.{unit}" if is_plain else ""


UNIT = ".unit"


def plain_arrays(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return every value as a plain array under its name, and its unit, if any, under ``name.unit``; what a
    value holds by name is found under ``name.part``."""
    plain = {}
    for name, value in parts_by_name(values):
        unit = u.get_unit(value)
        plain[name] = np.asarray(u.get_magnitude(value))
        if not unit.is_unitless:
            plain[name + UNIT] = np.array(str(unit))
    return plain


def parts_by_name(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield values with their names, those of a dict within under ``name.part``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from parts_by_name({f"{name}.{part}": inner for part, inner in value.items()})
        else:
            yield name, value


def with_unit(value: Any, unit: u.Unit) -> Any:
    """Give a plain number its unit; without one it stays plain."""
    return value if unit.is_unitless else value * unit


def with_unit_of_power(density: Any, values: Any) -> Any:
    """Return a spectral density in the squared unit of ``values`` per Hz."""
    unit = u.get_unit(values)
    return density if unit.is_unitless else density * (unit * unit / u.Hz)


def _short(value: Any) -> str:
    """Return a value in few words."""
    spelled = repr(value)
    return spelled if len(spelled) <= 80 else f"{type(value).__name__} {spelled[:60]}..."


def unit_attribute(value: Any) -> dict[str, str]:
    """Return the unit of a value as xarray keeps it."""
    unit = u.get_unit(value)
    return {} if unit.is_unitless else {"units": str(unit)}
