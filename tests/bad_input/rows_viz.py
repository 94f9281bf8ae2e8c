"""Rows of drawings."""

import brainunit as u
import numpy as np
from rows import _fitter
from table import FLAG, SERIES, W, generate, row

from brainmass_delays import sweep, viz
from brainmass_delays.fit.curvature import Identifiability
from brainmass_delays.fit.profile import Profile

GOOD = {
    "signal": SERIES,
    "ts": np.arange(40.0),
    "dt": 1 * u.ms,
    "connectivity": W,
    "data": SERIES,
    "values": np.arange(4.0),
    "losses": np.arange(4.0),
    "result": _fitter().fit(np.zeros(4), n_steps=2),
    "prediction": SERIES,
    "target": SERIES[::-1],
    "window": 10,
    "step": 5,
    "lags": W,
    "power": np.abs(SERIES) + 1.0,
    "frequencies": np.arange(40.0) + 1.0,
    "bold": SERIES,
    "tr": 2.0 * u.second,
    "before": np.arange(6.0),
    "after": np.arange(6.0) + 0.5,
    "max_delay": 10.0,
    "confusion": np.eye(3),
    "centers": np.arange(3.0),
    "spikes": (SERIES > 1.0).astype(float),
    "plot_brain.values": np.arange(3.0),
    "plot_brain.centres": np.random.default_rng(0).normal(size=(3, 3)),
    "plot_bold.tr": 2.0 * u.second,
    "plot_raster.dt": 1.0,
    "plot_fit.true": None,
    "profile": Profile("k", np.arange(3.0), np.array([3.0, 0.0, 3.0]), [{}] * 3, 1.92, None),
    "directions": Identifiability(("a", "b"), np.array([4.0, 1.0]), np.eye(2), 4.0),
    "plot_fit.parameter": "x",
    "plot_sweep.result": sweep(lambda a: a, {"a": np.arange(3.0)}),
    "plot_sweep.value": None,
}
ACCEPTS = {
    "signal": "one",
    "bold": "one",
    "dt": "half bool",
    "ts": "none",
    "max_delay": "half bool",
    "plot_bold.ts": "none",
    "plot_bold.tr": "half bool",
    "labels": "none",
    "ax": "none",
    "axes": "none",
    "cmap": "none",
    "colorbar": FLAG,
    "loglog": FLAG,
    "decibels": FLAG,
    "is_matrix": "none",
    "plot_delays.before": "shape zero negative half one bool",
    "plot_delays.after": "shape zero negative half one bool",
    "plot_fcd_comparison.dt": "none",
    "symmetric": "none bool",
    "true": "none zero negative half bool",
    "nperseg": "none",
    "parameter": "none",
    "plot_loss_landscape.parameter": "string",
    "plot_sweep.value": "none",
    "label": "none string",
    "plot_brain.label": "string",
    "color": "",
    "groups": "empty",
    "spacing": "half bool",
    "size": "half bool",
}
row("FitResult.report.path", GOOD["result"].report, "string")
NEEDS_EXTRA = {"plot_topography"}
FUNCTIONS = {name: getattr(viz, name) for name in viz.__all__ if name not in NEEDS_EXTRA}
row("SweepResult.plot.value", lambda v: (GOOD["plot_sweep.result"].plot(v), None)[1], "none")
generate("viz.", FUNCTIONS, GOOD, ACCEPTS, use=lambda drawn: None)
