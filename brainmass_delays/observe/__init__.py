"""Monitors: from the states of regions to what a recording shows, while the model runs or afterwards."""

from .apply import apply, emission_steps
from .average import SubSample, TemporalAverage
from .monitor import Chain, Monitor

__all__ = ["Chain", "Monitor", "SubSample", "TemporalAverage", "apply", "emission_steps"]
