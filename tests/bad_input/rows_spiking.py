"""Rows of layers of delays, spiking neurons and their training."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import optax
from table import FLAG, generate, row

from brainmass_delays import spiking

NUMBER = "zero negative half huge bool traced one"
SPIKES = np.zeros((2, 30, 3))


def _layer(**options):
    return spiking.DelayLayer(**{"n_in": 3, "max_delay": 4 * u.ms, "delay": 2.0 * u.ms} | options)


def _net(**options):
    return spiking.SpikingClassifier(**{"delays": _layer(), "n_hidden": 4, "n_classes": 2} | options)


def _in_steps(part):
    """Return a call with a step size set."""

    def call(*args, **kwargs):
        with brainstate.environ.context(dt=1 * u.ms):
            return part(*args, **kwargs)

    call.__signature__ = __import__("inspect").signature(part)
    return call


def _used(layer, spikes=SPIKES):
    """Let spikes pass."""
    with brainstate.environ.context(dt=1 * u.ms):
        layer(jnp.asarray(spikes))


FIXED = 2.0 * u.ms  # drawn delays would be traced inside a trace
_DELAYS = {
    "max_delay": "",
    "min_delay": "",
    "interpolation": "",
    "delay": "none",
    "weight": "none zero negative half one bool traced",
    "width": "none",
    "mode": "",
}
for _name, _kinds in (_DELAYS | {"n_in": "", "n_out": "none", "method": ""}).items():
    _more = {} if _name == "n_out" else {"n_out": 2}
    _more |= {"interpolation": "gaussian"} if _name == "width" else {}
    row(f"spiking.DelayLayer.{_name}", lambda v, n=_name, m=_more: _used(_layer(**m | {n: v})), _kinds)
_SPARSE = {
    "n_in": 3,
    "n_out": 2,
    "connections": np.array([[0, 1], [1, 2]]),
    "max_delay": 4 * u.ms,
    "delay": FIXED,
}
for _name, _kinds in (_DELAYS | {"n_in": "", "n_out": "", "connections": "", "method": ""}).items():
    _more = {"interpolation": "gaussian"} if _name == "width" else {}
    row(
        f"spiking.SparseDelayLayer.{_name}",
        lambda v, n=_name, m=_more: _used(spiking.SparseDelayLayer(**_SPARSE | m | {n: v})),
        _kinds,
    )
_CONV = {"shape_in": (5, 3), "n_out": 2, "kernel_size": 3, "max_delay": 4 * u.ms, "delay": FIXED}
for _name, _kinds in (
    _DELAYS | {"shape_in": "", "n_out": "", "kernel_size": "one", "strides": "one", "padding": ""}
).items():
    _more = {"interpolation": "gaussian"} if _name == "width" else {}
    row(
        f"spiking.ConvDelayLayer.{_name}",
        lambda v, n=_name, m=_more: _used(
            spiking.ConvDelayLayer(**_CONV | m | {n: v}), np.zeros((2, 9, 5, 3))
        ),
        _kinds,
    )
for _name, _neuron in {n: getattr(spiking, n) for n in ("LIF", "AdaptiveLIF", "LeakyIntegrator")}.items():
    _kinds = {"n": "", "tau": "", "threshold": "half", "reset": "", "spike": ""}
    _kinds |= {"tau_adaptation": "", "strength": "zero half one bool traced"}
    for _argument in __import__("surface").names(_neuron):
        row(
            f"spiking.{_name}.{_argument}",
            lambda v, c=_neuron, a=_argument: _used(c(**{"n": 3} | {a: v})),
            _kinds[_argument],
        )
row("spiking.RecurrentLIF.neurons", lambda v: spiking.RecurrentLIF(v, _layer(n_out=3)))
row("spiking.RecurrentLIF.feedback", lambda v: spiking.RecurrentLIF(spiking.LIF(3), v))
for _name, _kinds in {
    "delays": "",
    "n_hidden": "",
    "n_classes": "",
    "tau": "",
    "feedback": "none",
    "settle": "none",
}.items():
    row(f"spiking.SpikingClassifier.{_name}", lambda v, n=_name: _used(_net(**{n: v})), _kinds)
row("spiking.FrozenDelays.layers", lambda v: spiking.FrozenDelays(v, None))
row("spiking.FrozenDelays.loss", lambda v: _in_steps(spiking.FrozenDelays)({"a": _layer()}, v), "none")


class _Trials:
    spikes, label = SPIKES, np.zeros(2, int)


class _Task:
    dt = 1 * u.ms


def _graph():
    """Return a graph of NIR."""
    with brainstate.environ.context(dt=1 * u.ms):
        return spiking.to_nir([_layer(n_out=2, interpolation="round")])


GOOD = {
    "layer": _layer(interpolation="gaussian"),
    "schedule": lambda n: 2.0,
    "network": _net(),
    "n_updates": 3,
    "module": _net(),
    "groups": {"delay": optax.sgd(0.1)},
    "default": optax.sgd(0.1),
    "spikes": SPIKES,
    "dt": 1 * u.ms,
    "lower": 0 * u.ms,
    "upper": 4 * u.ms,
    "n_in": 3,
    "n_out": 2,
    "share": 0.5,
    "seed": 0,
    "layers": [_layer()],
    "trials": _Trials(),
    "task": _Task(),
    "train.n_epochs": 1,
    "train.progress": False,
    "graph": _graph(),
}
ACCEPTS = {
    "freeze_delays.loss": "none",
    "default_optimizer.weight_rate": "half bool",
    "default_optimizer.width": "none",
    "default_optimizer.frozen": "empty",
    "parameter_groups.groups": "",
    "project_to_grid.dt": "half",
    "project_to_grid.lower": "none zero negative half one bool shape",
    "project_delays.lower": "",
    "project_to_grid.upper": "none zero negative half one bool shape",
    "random_connections.share": "bool",
    "random_connections.seed": "huge",
    "from_nir.max_delay": "none",
    "train.optimizer": "none",
    "train.lengths": "none",
    "train.seed": "huge",
    "progress": FLAG,
    "anneal_width.schedule": "function",
}
FUNCTIONS = {
    name: _in_steps(getattr(spiking, name))
    for name in (
        "anneal_width", "default_optimizer", "freeze_delays", "from_nir", "parameter_groups", "predict", "project_delays",
        "project_to_grid", "random_connections", "run_layers", "saturation", "summarize", "to_nir", "train",
    )
}  # fmt: skip
generate("spiking.", FUNCTIONS, GOOD, ACCEPTS, use=lambda made: None)
