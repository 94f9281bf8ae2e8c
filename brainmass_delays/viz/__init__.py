"""Figures; every function draws on ``ax`` or on a new figure and returns the axes."""

from .comparisons import plot_fc_comparison, plot_fcd_comparison, plot_lags
from .fits import plot_fit, plot_identifiability, plot_loss_landscape, plot_profile
from .matrices import plot_connectivity, plot_functional_connectivity
from .places import plot_brain, plot_topography
from .recordings import plot_bold, plot_mean_and_band, plot_spectrum_and_band, plot_traces
from .spikes import plot_confusion, plot_delay_changes, plot_delays, plot_raster
from .sweeps import plot_sweep
from .timeseries import plot_power_spectrum, plot_timeseries

__all__ = [
    "plot_bold",
    "plot_brain",
    "plot_confusion",
    "plot_connectivity",
    "plot_delay_changes",
    "plot_delays",
    "plot_fc_comparison",
    "plot_fcd_comparison",
    "plot_fit",
    "plot_functional_connectivity",
    "plot_identifiability",
    "plot_lags",
    "plot_loss_landscape",
    "plot_mean_and_band",
    "plot_power_spectrum",
    "plot_profile",
    "plot_raster",
    "plot_spectrum_and_band",
    "plot_sweep",
    "plot_timeseries",
    "plot_topography",
    "plot_traces",
]
