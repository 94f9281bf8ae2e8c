"""The border between quantities with units and plain magnitudes."""

from collections.abc import Mapping
from typing import Any

import brainunit as u
import numpy as np

from .checks import ArgumentError


def magnitude(where: str, value: Any, unit: u.Unit, *, plain: bool = True) -> Any:
    """Return the number of ``unit`` in ``value``.

    A plain number is taken to be in ``unit`` already, or refused with ``plain=False``; another dimension is
    refused.
    """
    if isinstance(value, u.Quantity) and not value.is_unitless:
        if not u.have_same_dim(value, unit):
            raise ArgumentError(where, f"must have the dimension of {unit}", f"{u.get_unit(value)}")
        return value.to_decimal(unit)
    if not plain and not unit.is_unitless:
        raise ArgumentError(
            where,
            f"needs a unit such as {unit}",
            f"the plain number {value}",
            f"Write {value} * brainunit.{unit}" if getattr(value, "ndim", 0) == 0 else "",
        )
    return u.get_magnitude(value)


UNIT = ".unit"


def plain_arrays(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return every value as a plain array under its name, and its unit, if any, under ``name.unit``."""
    plain = {}
    for name, value in values.items():
        unit = u.get_unit(value)
        plain[name] = np.asarray(u.get_magnitude(value))
        if not unit.is_unitless:
            plain[name + UNIT] = np.array(str(unit))
    return plain
