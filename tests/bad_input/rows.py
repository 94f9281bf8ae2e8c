"""The table of bad inputs: connectomes, nodes, noise, sweeps and fits; see `table.py` for what a row is."""

import inspect
import tempfile
from pathlib import Path

import brainstate
import brainunit as u
import numpy as np
from table import FLAG, C, L, W, row, rows

import brainmass_delays as bd
from brainmass_delays import Connectome, Fitter

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
row("Connectome.synthetic.seed", lambda v: Connectome.synthetic(4, v), "zero")
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
        elif argument == "table":
            kinds = "none"
        elif argument in declared:
            low, high = declared[argument].bounds
            kinds = "half one bool traced" + (" zero negative" if low < 0 else "")
            kinds = kinds if high > 1 else "traced"
            kinds = kinds if declared[argument].plain else ""  # these need a unit
        elif argument in initial:
            kinds = "half one bool zero negative traced"
        else:
            kinds = "none function"
        row(
            f"{name}.{argument}",
            lambda value, argument=argument: _started(node(1, **{argument: value})),
            kinds,
        )


for _name, _node in bd.nodes.NODES.items():
    _node_rows(_node.__name__, _node)
_node_rows("NeuralMass", bd.NeuralMass)

# ---------------------------------------------------------------------------------------------------- noise

_AMOUNT = "zero negative half one bool traced unit"
row("WhiteNoise.in_size", lambda v: bd.WhiteNoise(v, 0.1))
row("WhiteNoise.sigma", lambda v: bd.WhiteNoise(1, v), _AMOUNT)
row("OUNoise.in_size", lambda v: bd.OUNoise(v, 0.1))
row("OUNoise.sigma", lambda v: bd.OUNoise(1, v), _AMOUNT)
row("OUNoise.tau", lambda v: bd.OUNoise(1, 0.1, tau=v), "half one bool traced")
row("OUNoise.mean", lambda v: bd.OUNoise(1, 0.1, mean=v), _AMOUNT.replace(" unit", ""))

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
        "batch": "none",
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
