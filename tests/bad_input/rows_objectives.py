"""Rows of objectives, which take series or matrices of them."""

import brainunit as u
import numpy as np
from table import FLAG, SERIES, generate, row

from brainmass_delays import objectives

LONG = np.random.default_rng(1).normal(size=(600, 3))
GOOD = {
    "series": LONG,
    "prediction": LONG,
    "target": LONG[::-1],
    "dt": 1 * u.ms,
    "band": (20.0, 60.0),
    "nperseg": 64,
    "window": 50,
    "step": 10,
    "max_lag": 10 * u.ms,
    "sigma": 1.0,
    "objective": objectives.combine((1.0, objectives.fc_rmse)),
    "analysis": objectives.fc,
    "fc": np.corrcoef(SERIES.T),
    "coherence.window": None,
}
ACCEPTS = {
    "band": "none",
    "bandpass.band": "",
    "group_delay.band": "",
    "group_delay_rmse.band": "",
    "phase_delay.band": "",
    "coherence.overlap": "zero",
    "dt": "none",
    "bandpass.dt": "",
    "lag_matrix.dt": "",
    "frequencies.dt": "",
    "psd.dt": "",
    "csd.dt": "",
    "coherence.dt": "",
    "group_delay.dt": "",
    "phase_delay.dt": "",
    "group_delay_rmse.dt": "",
    "psd.series": "",
    "analytic_signal.series": "shape one",
    "bandpass.series": "shape one",
    "fisher": FLAG,
    "as_loss": FLAG,
    "weighted": FLAG,
    "orthogonalize": FLAG,
    "coherence.window": "none",
    "cross_spectrum.nperseg": "none",
    "spectrum.nperseg": "none",
    "rmse_of.analysis": "function",
    "terms_of.objective": "function",
    "gaussian_nll.sigma": "half one bool traced",
    "gaussian.sigma": "none mapping shape unit half one bool traced",
    "gaussian.weights": "none mapping shape zero half one bool traced",
    "gaussian.of": "none function",
    "is_likelihood.objective": "function",
    "fisher_z.fc": "zero shape one bool traced",
}
FUNCTIONS = {
    name: getattr(objectives, name)
    for name in objectives.__all__
    if name not in ("combine", "kind_of", "is_score", "GroupDelay", "PhaseDelay", "Combination")
}
generate("objectives.", FUNCTIONS, GOOD, ACCEPTS)
for _name in ("kind_of", "is_score"):
    row(f"objectives.{_name}.objective", getattr(objectives, _name), "function")
