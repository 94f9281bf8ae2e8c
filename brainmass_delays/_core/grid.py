"""The grid of time: the step in force, and times in whole steps."""

from typing import Any

import brainstate
import brainunit as u
import numpy as np

from .checks import ArgumentError


def environment_dt(where: str, rule: str, cure: str) -> u.Quantity:
    """Return the ``dt`` of brainstate's environment, or say how to set it."""
    dt = brainstate.environ.get("dt", None)
    if dt is None:
        raise ArgumentError(where, rule, "None", cure)
    return dt


def whole_steps(ratio: Any) -> tuple[Any, Any]:
    """Round times in steps to whole ones, and tell whether they were whole but for rounding errors."""
    whole = np.floor(ratio + 0.5)
    return whole, np.abs(ratio - whole) <= 1e-6 * np.maximum(1, whole)
