"""Neural-mass networks whose conduction delays are exact, unit-aware and trainable."""

from brainstate.nn import Param

from ._core.checks import ArgumentError
from ._core.status import RunError

__version__ = "0.1.0"

__all__ = ["ArgumentError", "Param", "RunError"]
