"""Spiking networks with trainable conduction delays."""

from . import localization
from .delay_layer import DelayLayer
from .freezing import FrozenDelays, Saturation, freeze_delays, saturation
from .lif import LIF, LeakyIntegrator
from .optimizers import anneal_width, parameter_groups, project_delays, project_to_grid
from .recurrent import RecurrentLIF

__all__ = [
    "LIF",
    "DelayLayer",
    "FrozenDelays",
    "LeakyIntegrator",
    "RecurrentLIF",
    "Saturation",
    "anneal_width",
    "freeze_delays",
    "localization",
    "parameter_groups",
    "project_delays",
    "project_to_grid",
    "saturation",
]
