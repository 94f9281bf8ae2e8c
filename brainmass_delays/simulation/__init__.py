"""Simulation: what goes into a run, what comes out of it, and the run itself."""

from .simulator import Simulator

__all__ = ["Simulator"]
