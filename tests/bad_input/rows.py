"""The table of bad inputs: how to reach every public argument, and which strange values it takes on purpose.

A row is ``owner.argument: (call, accepted)``. ``call(value)`` passes the value to that argument and good ones to all
others, far enough that the value is used; ``accepted`` names the kinds of `values.KINDS` that are no mistake there.
To add a class, add its rows and take it out of `gaps.py`, where stands what has no rows and what is still unclear.
"""

import inspect
import tempfile
from pathlib import Path

import brainstate
import brainunit as u
import numpy as np

import brainmass_delays as bd
from brainmass_delays import Connectome, Fitter, objectives, viz

W = np.array([[0.0, 1.0, 0.5], [2.0, 0.0, 1.0], [0.5, 1.0, 0.0]])
L = np.array([[0.0, 10.0, 20.0], [10.0, 0.0, 30.0], [20.0, 30.0, 0.0]])
C = Connectome(W, L)
SERIES = np.random.default_rng(0).normal(size=(40, 3))
NUMBERS = "zero negative half bool"
ANYTHING = "type mapping function none shape unit nan inf zero negative half huge empty one bool string bytes complex objects traced"
FLAG = "bool"

ROWS = {}


def row(argument, call, accepted=""):
    """Add a row to the table."""
    assert argument not in ROWS, argument
    ROWS[argument] = call, frozenset(accepted.split())


def rows(owner, function, good, accepted):
    """Add a row for every argument in ``accepted``, the others taken from ``good``."""
    for name, kinds in accepted.items():
        row(f"{owner}.{name}", lambda value, name=name: function(**good | {name: value}), kinds)


# ------------------------------------------------------------------------------------------------ connectome

rows(
    "Connectome",
    Connectome,
    {"weights": W, "lengths": L},
    {"weights": "", "lengths": "", "labels": "none", "centres": "none", "signed": FLAG},
)
row("Connectome.delays.speed", lambda v: C.delays(v), "inf half one traced")
row("Connectome.threshold.density", lambda v: C.threshold(density=v), "bool")
row("Connectome.threshold.weight", lambda v: C.threshold(weight=v), "zero half huge bool")
row("Connectome.normalize.how", lambda v: C.normalize(v))
row("Connectome.select.regions", lambda v: C.select(v))
row("Connectome.save.path", lambda v: C.save(v))
row("Connectome.fetch.name", lambda v: Connectome.fetch(v))
row("Connectome.synthetic.n_regions", lambda v: Connectome.synthetic(v))
row("Connectome.synthetic.seed", lambda v: Connectome.synthetic(4, v), "zero huge")
row("Connectome.synthetic.asymmetric", lambda v: Connectome.synthetic(4, asymmetric=v), FLAG)
row("Connectome.synthetic.density", lambda v: Connectome.synthetic(4, density=v), "bool")


def _load(**options):
    """Load two small files."""
    with tempfile.TemporaryDirectory() as folder:
        good = {"path": Path(folder, "w.npz"), "lengths": Path(folder, "l.csv")}
        np.savez(good["path"], weights=W, other=W)
        good["lengths"].write_text("\n".join(",".join(map(str, line)) for line in L))
        return Connectome.load(**good | options)


for _name, _kinds in {
    "path": "",
    "lengths": "",
    "entries": "none",
    "missing": "none nan inf zero negative half huge",
    "symmetric": "none",
    "transpose": FLAG,
    "signed": FLAG,
    "encoding": "",
    "max_memory": "none inf huge",
}.items():
    row(f"Connectome.load.{_name}", lambda value, name=_name: _load(**{name: value}), _kinds)

# ---------------------------------------------------------------------------------------------------- nodes


def _started(model):
    """Initialize the states of a model and return them."""
    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(model)
    return {name: state.value for name, state in model.states().items() if hasattr(state, "value")}


def _node_rows(name, node):
    """Add the rows of one node: a size, parameters, initial values, noise, and the method."""
    declared = {parameter.name: parameter for parameter in node.PARAMETERS}
    initial = {state.argument for state in node.STATES}
    row(f"{name}.in_size", lambda v: _started(node(v)))
    for argument in (a for a in inspect.signature(node).parameters if a != "in_size"):
        if argument == "method":
            kinds = ""
        elif argument in declared:
            low, _ = declared[argument].bounds
            kinds = "half one bool traced" + (" zero negative" if low < 0 else "")
        elif argument in initial:
            kinds = "half one bool zero negative traced"
        else:
            kinds = "none function"
        row(
            f"{name}.{argument}",
            lambda value, argument=argument: _started(node(1, **{argument: value})),
            kinds,
        )


for _name, _node in bd.NODES.items():
    _node_rows(_node.__name__, _node)

# ---------------------------------------------------------------------------------------------------- noise

_AMOUNT = "zero half huge one bool traced"
row("WhiteNoise.in_size", lambda v: bd.WhiteNoise(v, 0.1))
row("WhiteNoise.sigma", lambda v: bd.WhiteNoise(1, v), _AMOUNT)
row("OUNoise.in_size", lambda v: bd.OUNoise(v, 0.1))
row("OUNoise.sigma", lambda v: bd.OUNoise(1, v), _AMOUNT)
row("OUNoise.tau", lambda v: bd.OUNoise(1, 0.1, tau=v), "half huge one bool traced")
row("OUNoise.mean", lambda v: bd.OUNoise(1, 0.1, mean=v), _AMOUNT + " negative")

# ------------------------------------------------------------------------------------------------ objectives

for _name in ("timeseries_mse", "timeseries_rmse", "fc_corr", "fc_rmse", "spectrum"):
    _objective = getattr(objectives, _name)
    row(f"objectives.{_name}.prediction", lambda v, f=_objective: f(v, SERIES))
    row(f"objectives.{_name}.target", lambda v, f=_objective: f(SERIES, v))
row("objectives.fc_corr.as_loss", lambda v: objectives.fc_corr(SERIES, SERIES[::-1], as_loss=v), FLAG)
row("objectives.spectrum.nperseg", lambda v: objectives.spectrum(SERIES, SERIES[::-1], nperseg=v), "none")
row(
    "objectives.spectrum.dt",
    lambda v: objectives.spectrum(SERIES, SERIES[::-1], dt=v),
    "none half huge traced",
)
row(
    "objectives.spectrum.band",
    lambda v: objectives.spectrum(SERIES, SERIES[::-1], dt=1 * u.ms, band=v),
    "none",
)

# ----------------------------------------------------------------------------------------------------- sweep


def _swept(a):
    return a * 2.0


rows(
    "sweep",
    bd.sweep,
    {"predict": _swept, "axes": {"a": np.arange(3.0)}},
    {
        "predict": "",
        "axes": "",
        "product": FLAG,
        "batch": "none huge",
        "max_memory": "none inf huge",
        "devices": "none",
        "executor": "none",
        "progress": FLAG,
    },
)

# ------------------------------------------------------------------------------------------------------ fit


class _Model(brainstate.nn.Module):
    """Hold one parameter."""

    def __init__(self):
        super().__init__()
        self.x = brainstate.nn.Param(1.0)


def _fitter(**options):
    good = {"model": _Model(), "predict": lambda m: m.x.value() * np.ones(4)}
    return Fitter(**good | options)


def _fit(fitter=None, target=0.0, **options):
    fitter = fitter or _fitter()
    return fitter.fit(
        np.zeros(4) if isinstance(target, float) else target, **{"n_steps": 1} | options
    ).best_loss


_FIT = {
    "model": lambda v: _fit(_fitter(model=v)),
    "optimizer": lambda v: _fit(_fitter(optimizer=v)),
    "loss_fn": lambda v: _fit(_fitter(predict=None, loss_fn=v)),
    "objective": lambda v: _fit(_fitter(objective=v)),
    "predict": lambda v: _fit(_fitter(predict=v)),
    "backend": lambda v: _fit(_fitter(backend=v)),
    "callbacks": lambda v: _fit(_fitter(callbacks=v)),
    "transient": lambda v: _fit(_fitter(transient=v)),
    "search_space": lambda v: _fit(_fitter(search_space=v)),
    "progress": lambda v: _fit(_fitter(progress=v)),
}
_FIT_ACCEPTS = {
    "optimizer": "none",
    "objective": "none",
    "callbacks": "none function empty",
    "transient": "none zero",
    "search_space": "none",
    "progress": FLAG,
}
for _name, _call in _FIT.items():
    row(f"Fitter.{_name}", _call, _FIT_ACCEPTS.get(_name, ""))
row("Fitter.fit.target", lambda v: _fitter().fit(v, n_steps=1).best_loss)
row("Fitter.fit.n_steps", lambda v: _fit(n_steps=v), "")
row("Fitter.fit.starts", lambda v: _fit(_fitter(search_space={"x": (0.0, 1.0)}), starts=v), "none")
row("Fitter.sweep.name", lambda v: _fitter().sweep(v, [1.0], np.zeros(4)))
row("Fitter.sweep.values", lambda v: _fitter().sweep("x", v, np.zeros(4)), "one empty")
row("Fitter.sweep.target", lambda v: _fitter().sweep("x", [1.0], v))

# ------------------------------------------------------------------------------------------------------ viz


def _drawn(function, **arguments):
    """Draw, and return nothing of the figure."""
    function(**arguments)


_DRAWINGS = {
    "plot_timeseries": ({"signal": SERIES}, {"signal": "", "ts": "none", "labels": "none", "ax": "none"}),
    "plot_power_spectrum": (
        {"signal": SERIES, "dt": 1 * u.ms},
        {"signal": "", "dt": "half", "nperseg": "none", "labels": "none", "loglog": FLAG, "ax": "none"},
    ),
    "plot_connectivity": (
        {"connectivity": W},
        {"connectivity": "", "labels": "none", "ax": "none", "cmap": "none", "colorbar": FLAG},
    ),
    "plot_functional_connectivity": (
        {"data": SERIES},
        {"data": "", "is_matrix": "none", "labels": "none", "ax": "none"},
    ),
    "plot_loss_landscape": (
        {"values": np.arange(4.0), "losses": np.arange(4.0)},
        {"values": "", "losses": "", "parameter": "string", "true": "none zero negative half", "ax": "none"},
    ),
}
for _name, (_good, _accepted) in _DRAWINGS.items():
    for _argument, _kinds in _accepted.items():
        row(
            f"viz.{_name}.{_argument}",
            lambda value, f=getattr(viz, _name), good=_good, a=_argument: _drawn(f, **good | {a: value}),
            _kinds,
        )
_RESULT = _fitter().fit(np.zeros(4), n_steps=2)
row("viz.plot_fit.result", lambda v: _drawn(viz.plot_fit, result=v))
row("viz.plot_fit.parameter", lambda v: _drawn(viz.plot_fit, result=_RESULT, parameter=v), "none")
row(
    "viz.plot_fit.true",
    lambda v: _drawn(viz.plot_fit, result=_RESULT, parameter="x", true=v),
    "none zero negative half huge",
)
row("viz.plot_fit.ax", lambda v: _drawn(viz.plot_fit, result=_RESULT, ax=v), "none")
