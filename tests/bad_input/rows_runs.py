"""Rows of networks, projections, simulations, reads and what is drawn."""

import contextlib
import tempfile
from pathlib import Path

import brainstate
import brainunit as u
import numpy as np
from table import FLAG, C, W, row, rows

import brainmass_delays as bd

NUMBER = "zero negative half huge bool traced one"


def _node():
    return bd.HopfStep(3, a=-0.1, init_x=0.1)


def _run(net, **options):
    """Simulate a few steps."""
    sim = {
        name: options.pop(name)
        for name in ("dt", "grad_horizon", "gradient", "checkpoint")
        if name in options
    }
    good = {"dt": 0.5 * u.ms, "duration": 2 * u.ms, "monitors": "x"} | sim | options
    return bd.Simulator(net, **{k: good.pop(k) for k in ("dt", *[s for s in sim if s != "dt"])}).run(**good)


def _network(**options):
    nodes = options.pop("populations", None) or _node()
    good = {"conn": C, "coupled_var": "x", "speed": 10 * u.mm / u.ms, "k": 0.1, "max_delay": 50 * u.ms}
    for name in ("delay", "lengths"):
        if name in options and options[name] is not None:
            good = {k: v for k, v in good.items() if k not in ("speed", "conn", "max_delay")} | {"conn": W}
            good |= {"speed": 10 * u.mm / u.ms} if name == "lengths" else {}
    return bd.Network(nodes, **good | options)


for _name, _kinds in {
    "conn": "",
    "lengths": "none",
    "speed": "none inf half bool one traced",
    "delay": "none",
    "coupling": "",
    "coupled_var": "",
    "k": "zero negative half bool one traced",
    "interpolation": "",
    "max_delay": "none",
    "min_delay": "none",
    "delay_init": "none zero negative half bool one traced",
    "self_connection": "none bool",
    "noise": "none",
    "stimulus": "none",
    "stages": "none",
    "block": "none",
    "projections": "none",
    "regions": "none",
}.items():
    row(f"Network.{_name}", lambda v, n=_name: _run(_network(**{n: v}))["status"], _kinds)
row("Network.populations", lambda v: bd.Network(v, conn=C, coupled_var="x", speed=10 * u.mm / u.ms))
row("Network.delay.projection", lambda v: (_network().delay(v), None)[1], "none")


def _projected(**options):
    good = {"source": "node.x", "target": "node.x_inp", "conn": C, "speed": 10 * u.mm / u.ms, "k": 0.1}
    good |= {"max_delay": 50 * u.ms} if "speed" in options else {}
    if options.get("weights") is not None:
        good.pop("conn"), good.pop("speed")
    for name in ("delay", "lengths"):
        if options.get(name) is not None:
            good = good | {"conn": W}
            good.pop("speed") if name == "delay" else None
    return _run(bd.Network({"node": _node()}, projections=[bd.Projection(**good | options)]))["status"]


for _name, _kinds in {
    "source": "",
    "target": "",
    "conn": "",
    "weights": "none",
    "lengths": "none",
    "speed": "none inf half bool one traced",
    "delay": "none",
    "coupling": "",
    "k": "zero negative half bool one traced",
    "compared": "none function string",
    "max_delay": "none",
    "min_delay": "none",
    "delay_init": "none zero negative half bool one traced",
    "self_connection": "none bool",
}.items():
    row(f"Projection.{_name}", lambda v, n=_name: _projected(**{n: v}), _kinds)

_NET = _network()
for _name, _kinds in {"dt": "", "grad_horizon": "none", "gradient": "", "checkpoint": FLAG}.items():
    row(f"Simulator.{_name}", lambda v, n=_name: _run(_NET, **{n: v})["status"], _kinds)
row("Simulator.model", lambda v: _run(v))
for _name, _kinds in {
    "duration": "",
    "inputs": "none zero negative half bool traced",
    "impulses": "none",
    "monitors": "none empty",
    "transient": "none zero",
    "sample_every": "none",
    "batch_size": "none",
    "init_states": FLAG,
    "jit": FLAG,
    "progress": FLAG,
}.items():
    row(
        f"Simulator.run.{_name}",
        lambda v, n=_name: _run(bd.HopfStep(3, init_x=0.1) if n != "inputs" else bd.LinearStep(3), **{n: v})[
            "status"
        ],
        _kinds,
    )
row("Simulator.function.duration", lambda v: bd.Simulator(_NET, dt=0.5 * u.ms).function(v)()["status"])


def _saved(path):
    sim = bd.Simulator(_node(), dt=0.5 * u.ms)
    sim.run(1 * u.ms)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        sim.save(path)


row("Simulator.save.path", _saved, "string")
row("Simulator.load.path", lambda v: bd.Simulator(_node(), dt=0.5 * u.ms).load(v))

# ------------------------------------------------------------------------------------------------ reads


def _read(**options):
    good = {"node": _node(), "state": "x", "delay": 2 * u.ms}
    read = bd.prefetch_delay(**good | options)
    with brainstate.environ.context(dt=0.5 * u.ms):
        brainstate.nn.init_all_states(read.past.signal.node)
        brainstate.nn.init_all_states(read)
        return read()


def _prefetched(state="x", **options):
    """Read through the method of a node, which takes the delay by position."""
    _node().prefetch_delay(state, 2 * u.ms, **options)


for _name, _kinds in {
    "node": "",
    "state": "",
    "delay": "none",
    "init": "none zero negative half bool traced one",
    "interpolation": "",
    "max_delay": "none",
    "min_delay": "none",
}.items():
    row(f"prefetch_delay.{_name}", lambda v, n=_name: _read(**{n: v}), _kinds)
    if _name not in ("node", "delay"):
        row(
            f"NeuralMass.prefetch_delay.{_name}",
            lambda v, n=_name: _prefetched(**{n: v}),
            "function string"
            if _name == "state"
            else _kinds
            if _name != "init"
            else "type mapping function none shape unit nan inf zero negative half huge empty one bool string bytes complex objects traced",
        )
row("prefetch.node", lambda v: bd.prefetch(v, "x"))
row("prefetch.state", lambda v: bd.prefetch(_node(), v), "function string")
row("NeuralMass.prefetch.state", lambda v: _node().prefetch(v), "function string")
rows("Delay", bd.Delay, {"delay": 2 * u.ms}, {"delay": "function", "max_delay": "none", "min_delay": "none"})
rows(
    "PlasticDelay",
    bd.PlasticDelay,
    {"initial": 2 * u.ms, "rule": lambda tau, x, y: 0.0, "max_delay": 5 * u.ms},
    {"initial": "", "rule": "function", "max_delay": "", "min_delay": "none"},
)


def _plastic(**options):
    return bd.PlasticDelay(1 * u.ms, lambda tau, x, y: 0.0, max_delay=5 * u.ms, **options)


row("PlasticDelay.where", lambda v: _plastic(where=v), "string")
row("PlasticDelay.method", lambda v: _network(delay=_plastic(method=v), lengths=None, speed=None), "none")
row("Delay.where", lambda v: bd.Delay(2 * u.ms, where=v), "string")
row("describe.model", bd.describe)

# --------------------------------------------------------------------------------------- regions, noise

row("Grouped.values", lambda v: bd.Grouped(v, ["a", "b", "a"]))
row("Grouped.groups", lambda v: bd.Grouped({"a": 1.0, "b": 2.0}, v))


def _maps(**options):
    """Read maps from a small table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "maps.csv")
        path.write_text("region,myelin\nV1,1.5\n")
        return bd.read_maps(**{"path": path, "labels": ["V1"]} | options)


row("read_maps.path", lambda v: _maps(path=v))
row("read_maps.labels", lambda v: _maps(labels=v))
rows(
    "Heterogeneous",
    bd.Heterogeneous,
    {"base": 1.0, "maps": {"myelin": np.arange(3.0)}, "coefficients": [0.1]},
    {"base": "zero negative half bool one traced unit", "maps": "", "coefficients": "one", "link": ""},
)
row("WhiteNoise.correlation", lambda v: bd.WhiteNoise(3, 0.1, correlation=v), "none")
row("OUNoise.correlation", lambda v: bd.OUNoise(3, 0.1, correlation=v), "none")
rows(
    "ColoredNoise",
    bd.ColoredNoise,
    {
        "in_size": 3,
        "frequencies": np.array([1.0, 10.0]) * u.Hz,
        "density": np.array([1.0, 0.1]),
        "sigma": 0.1,
    },
    {
        "in_size": "",
        "frequencies": "",
        "density": "",
        "sigma": "zero negative half one bool traced unit",
        "n_waves": "",
    },
)
rows(
    "MultiplicativeNoise",
    lambda noise, gain: bd.MultiplicativeNoise(noise, gain, _node().prefetch("x")),
    {"noise": bd.WhiteNoise(3, 0.1), "gain": lambda x: 1.0},
    {"noise": "", "gain": "function"},
)
for _name in ("regions", "edges", "weight", "speed_factor"):
    _kinds = {"weight": "zero half huge bool", "speed_factor": "half huge bool"}.get(_name, "")
    row(
        f"Connectome.lesion.{_name}",
        lambda v, n=_name: C.lesion(**({"regions": [0]} if n not in ("regions", "edges") else {}) | {n: v}),
        _kinds,
    )
row("Connectome.resect.regions", lambda v: C.resect(v))
row("Connectome.resections.regions", lambda v: C.resections(v), "none")
row("Connectome.rescale.weights", lambda v: C.rescale(weights=v), "half bool zero one")
row("Connectome.rescale.lengths", lambda v: C.rescale(lengths=v), "half bool one")
row("nodes.CascadeTable.read.path", lambda v: bd.nodes.CascadeTable.read(v))
row("nodes.feedback_inhibition.node", lambda v: bd.nodes.feedback_inhibition(v, W))
row("nodes.feedback_inhibition.weights", lambda v: bd.nodes.feedback_inhibition(bd.WongWangExcInhStep(3), v))
row(
    "nodes.feedback_inhibition.rate",
    lambda v: bd.nodes.feedback_inhibition(bd.WongWangExcInhStep(3), W, v),
    "half one bool traced",
)
_TUNE = {"measure": lambda J: np.full(3, 3.0), "J_i": np.ones(3), "rounds": 1}
for _name, _kinds in {
    "measure": "",
    "J_i": "zero negative half one bool shape",
    "rate": "zero negative half one bool",
    "step": "half bool",
    "tolerance": "half bool",
    "rounds": "",
}.items():
    row(
        f"nodes.tune_inhibition.{_name}",
        lambda v, n=_name: bd.nodes.tune_inhibition(**_TUNE | {n: v}),
        _kinds,
    )
