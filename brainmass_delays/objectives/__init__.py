"""Objectives and analysis of time series, differentiable wherever that makes sense; time is axis 0.

Every objective can be called at once, ``fc_rmse(prediction, target)``, or configured first and handed to a
`Fitter`: ``fc_corr(as_loss=True)`` and ``fc_rmse()`` return a callable ``(prediction, target) -> scalar``.
Its docstring says whether it is a loss, a score or a report. An analysis takes one set of series; `rmse_of`
makes a loss of any of them.
"""

from .bands import (
    analytic_signal,
    bandpass,
    envelope_correlation,
    kuramoto_order,
    metastability,
    plv,
    synchrony,
)
from .combination import combine, rmse_of, terms_of
from .connectivity import fc, fc_corr, fc_rmse, fisher_z
from .dynamics import fcd, fcd_distance, fcd_ks
from .gaussian_likelihood import gaussian
from .lags import group_delay, group_delay_rmse, lag_matrix, phase_delay
from .objective import is_likelihood, is_score, kind_of
from .spectra import coherence, csd, frequencies, psd
from .spectral_distances import cross_spectrum, spectrum
from .timeseries import gaussian_nll, timeseries_mse, timeseries_rmse

__all__ = [
    "analytic_signal",
    "bandpass",
    "coherence",
    "combine",
    "cross_spectrum",
    "csd",
    "envelope_correlation",
    "fc",
    "fc_corr",
    "fc_rmse",
    "fcd",
    "fcd_distance",
    "fcd_ks",
    "fisher_z",
    "frequencies",
    "gaussian",
    "gaussian_nll",
    "group_delay",
    "group_delay_rmse",
    "is_likelihood",
    "is_score",
    "kind_of",
    "kuramoto_order",
    "lag_matrix",
    "metastability",
    "phase_delay",
    "plv",
    "psd",
    "rmse_of",
    "spectrum",
    "synchrony",
    "terms_of",
    "timeseries_mse",
    "timeseries_rmse",
]
