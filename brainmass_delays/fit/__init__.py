"""The Fitter and what it returns."""

from . import priors
from .density import LogDensity, log_density
from .fitter import Fitter
from .result import FitResult

__all__ = ["FitResult", "Fitter", "LogDensity", "log_density", "priors"]
