"""Figures; every function draws on ``ax`` or on a new figure and returns the axes."""

from .fits import plot_fit, plot_loss_landscape
from .matrices import plot_connectivity, plot_functional_connectivity
from .spikes import plot_confusion, plot_delay_changes, plot_delays, plot_raster
from .timeseries import plot_power_spectrum, plot_timeseries

__all__ = [
    "plot_confusion",
    "plot_connectivity",
    "plot_delay_changes",
    "plot_delays",
    "plot_fit",
    "plot_functional_connectivity",
    "plot_loss_landscape",
    "plot_power_spectrum",
    "plot_raster",
    "plot_timeseries",
]
