"""Figures; every function draws on ``ax`` or on a new figure and returns the axes."""

from .fits import plot_fit, plot_loss_landscape
from .matrices import plot_connectivity, plot_functional_connectivity
from .timeseries import plot_power_spectrum, plot_timeseries

__all__ = [
    "plot_connectivity",
    "plot_fit",
    "plot_functional_connectivity",
    "plot_loss_landscape",
    "plot_power_spectrum",
    "plot_timeseries",
]
