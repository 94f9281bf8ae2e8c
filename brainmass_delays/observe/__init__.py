"""Monitors: from the states of regions to what a recording shows, while the model runs or afterwards."""

from .average import GlobalAverage, RegionAverage, SubSample, TemporalAverage
from .balloon import Balloon
from .covariance import Covariance
from .hrf import HRF
from .leadfield import LeadField, SensorNoise
from .monitor import Chain, Monitor
from .replay import apply, emission_steps
from .result import Trajectory
from .spectrum import CrossSpectrum, Spectrum

__all__ = [
    "Balloon",
    "Chain",
    "Covariance",
    "CrossSpectrum",
    "GlobalAverage",
    "HRF",
    "LeadField",
    "Monitor",
    "RegionAverage",
    "SensorNoise",
    "Spectrum",
    "SubSample",
    "TemporalAverage",
    "Trajectory",
    "apply",
    "emission_steps",
]
