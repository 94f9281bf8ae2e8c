"""Objectives and the Fitter that minimizes them."""

from . import objectives
from .fitter import Fitter, FitResult

__all__ = ["FitResult", "Fitter", "objectives"]
