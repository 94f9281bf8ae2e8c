"""The Fitter and what it returns."""

from .fitter import Fitter
from .result import FitResult

__all__ = ["FitResult", "Fitter"]
