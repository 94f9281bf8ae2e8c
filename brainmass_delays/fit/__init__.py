"""Objectives and the Fitter that minimizes them."""

from . import objectives
from .fitter import Fitter
from .result import FitResult

__all__ = ["FitResult", "Fitter", "objectives"]
