"""Rows of monitors, recordings and stimuli."""

import inspect

import brainunit as u
import numpy as np
from rows_runs import _node
from table import C, row, rows

import brainmass_delays as bd
from brainmass_delays import datasets, observe, stimuli

NUMBER = "zero negative half bool traced"
POSITIVE = "half bool traced"
_RUN = bd.Simulator(_node(), dt=0.5 * u.ms).run(20 * u.ms, monitors=["x"])


def _watched(monitor):
    """Let a monitor watch a short run."""
    bd.Simulator(_node(), dt=0.5 * u.ms).run(20 * u.ms, monitors={"seen": monitor})


_MONITORS = {
    "SubSample": {"source": "", "period": "none"},
    "TemporalAverage": {"source": "", "period": "none"},
    "GlobalAverage": {"source": "", "period": "none"},
    "RegionAverage": {"source": "", "masks": "", "period": "none"},
    "Covariance": {"source": "", "period": "none", "kind": ""},
    "Spectrum": {"source": "", "nperseg": "", "period": "none"},
    "CrossSpectrum": {"source": "", "nperseg": "", "period": "none"},
    "HRF": {"source": "", "period": "", "kernel": "", "normalize": "", "duration": "none", "step": ""},
    "Balloon": {"source": "", "period": "none", "constants": "", "step": ""}
    | dict.fromkeys(("kappa", "gamma", "tau", "alpha", "E0", "V0"), "none half bool traced")
    | dict.fromkeys(("efficacy", "k1", "k2", "k3"), "none zero negative half bool traced"),
    "LeadField": {
        "source": "", "matrix": "", "period": "none", "unit": "none", "moment": "none unit zero negative half one bool traced", "sensors": "none",
        "reference": "none",
    },
    "Monitor": {"source": "none function string", "period": "none"},
}  # fmt: skip
_NEEDED = {
    "source": "x",
    "period": 2 * u.ms,
    "nperseg": 4,
    "masks": np.array([[1, 0, 0], [0, 1, 1]]),
    "matrix": np.ones((2, 3)),
}
for _name, _accepted in _MONITORS.items():
    _kind = getattr(observe, _name)
    _known = inspect.signature(_kind.__init__).parameters
    _good = {n: v for n, v in _NEEDED.items() if n in _known}
    _good |= {"period": 10 * u.ms, "step": 1 * u.ms} if _name == "HRF" else {}
    rows(
        f"observe.{_name}",
        (lambda _made=_kind, _watch=_name != "Monitor", **o: _watched(_made(**o)) if _watch else _made(**o)),
        _good,
        {n: k for n, k in _accepted.items() if n in _known},
    )
rows(
    "observe.Chain",
    observe.Chain,
    {"first": observe.SubSample("x", 1 * u.ms), "second": observe.TemporalAverage("x", 2 * u.ms)},
    {"first": "", "second": ""},
)
rows(
    "observe.SensorNoise",
    observe.SensorNoise,
    {"covariance": np.eye(2)},
    {"covariance": "half one bool traced unit", "seed": "zero"},
)
_APPLY = {"monitor": observe.SubSample("x", 1 * u.ms), "trajectory": _RUN["x"], "dt": 0.5 * u.ms}
rows(
    "observe.apply",
    observe.apply,
    _APPLY,
    {"monitor": "", "trajectory": "one shape", "dt": "", "start": "zero"},
)
_STEPS = {"monitor": observe.SubSample("x", 1 * u.ms), "start": 0, "stop": 9, "dt": 0.5 * u.ms}
rows(
    "observe.emission_steps",
    observe.emission_steps,
    _STEPS,
    {"monitor": "", "start": "zero negative half bool", "stop": "zero negative half bool", "dt": ""},
)
row("observe.Trajectory.times.name", lambda v: _RUN.times(v))
row("observe.Trajectory.save.path", lambda v: _RUN.save(v))
row("observe.Trajectory.load.path", lambda v: observe.Trajectory.load(v))
row("observe.Spectrum.frequencies.dt", lambda v: observe.Spectrum("x", 4).frequencies(v))

row("datasets.fetch.name", lambda v: datasets.fetch(v))
row("datasets.subjects.name", lambda v: datasets.subjects(v))

_TIME, _AMOUNT = 2.0 * u.ms, "zero negative half bool traced one unit shape"
_STIMULI = {
    "Constant": {"amplitude": 1.0},
    "Pulse": {"amplitude": 1.0, "onset": _TIME, "width": _TIME, "edge": 0.5 * u.ms},
    "PulseTrain": {
        "amplitude": 1.0,
        "onset": _TIME,
        "width": _TIME,
        "period": 9 * u.ms,
        "count": 2,
        "edge": 0.5 * u.ms,
    },
    "Ramp": {"amplitude": 1.0, "onset": _TIME, "duration": _TIME},
    "Alpha": {"amplitude": 1.0, "onset": _TIME, "tau": _TIME},
    "Sine": {"amplitude": 1.0, "frequency": 10 * u.Hz, "phase": 0.0},
    "Data": {"values": np.arange(3.0), "times": np.arange(3.0) * u.ms, "outside": "hold"},
    "BandNoise": {"sigma": 1.0, "band": (1.0 * u.Hz, 10 * u.Hz), "n_regions": 3, "n_waves": 4, "seed": 0},
}
_STIMULUS_ACCEPTS = {
    "amplitude": _AMOUNT, "sigma": _AMOUNT.replace(" shape", ""), "count": "none", "n_regions": "none", "seed": "zero",
    "frequency": "zero negative half one bool traced shape",
    "phase": "zero negative half bool traced one shape",
    "onset": "shape zero negative half one bool traced",
    "width": "shape half one bool traced",
    "duration": "shape half one bool traced",
    "tau": "shape half one bool traced",
    "PulseTrain.width": "shape half one bool traced",
    "edge": "shape zero one bool traced",
    "period": "half traced",

}  # fmt: skip
for _name, _good in _STIMULI.items():
    rows(
        f"stimuli.{_name}",
        lambda kind=getattr(stimuli, _name), **o: (kind(**o)(1.0 * u.ms), None)[1],
        _good,
        {n: _STIMULUS_ACCEPTS.get(n, "") for n in _good},
    )
row("stimuli.Feedback.law", lambda v: stimuli.Feedback(v, _node().prefetch("x")), "function")
for _kind in ("Sum", "Product"):
    _good = {"first": stimuli.Constant(1.0), "second": stimuli.Constant(2.0)}
    rows(f"stimuli.{_kind}", getattr(stimuli, _kind), _good, {"first": "", "second": ""})
row("stimuli.site.connectome", lambda v: stimuli.site(v, [0]))
row("stimuli.site.regions", lambda v: stimuli.site(C, v))
row("stimuli.site.weight", lambda v: stimuli.site(C, [0], v), "half one bool zero negative")
