"""Build spiking networks from the Neuromorphic Intermediate Representation (NIR); see `nir_export`."""

import math
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.arguments import checked, numbers, optional, time
from .._core.checks import ArgumentError
from .._core.learners import list_of_layers
from .arguments import SPIKES, is_graph
from .delay_layer import DelayLayer
from .grid import time_step
from .lif import LIF, LeakyIntegrator
from .nir_export import import_nir, seconds
from .recurrent_layer import RecurrentLIF

# Relative difference below which a resistance counts as that of one step of ours.
RESISTANCE_TOLERANCE = 1e-5


@checked(graph=is_graph, max_delay=optional(time))
def from_nir(graph: Any, *, max_delay: Any = None) -> list:
    """Build layers from a NIR graph.

    Parameters
    ----------
    graph : nir.NIRGraph
        A chain of Delay, Linear, Affine, LIF and LI nodes, in which a LIF may feed back to itself through a
        Delay and a Linear node, in any order.
    max_delay : Quantity[time], optional
        Bound of the delays; by default the longest delay of each layer, at least one step.

    Returns
    -------
    list of layers
        As for `to_nir`; `run_layers` runs them. Delays are trainable.

    Raises
    ------
    ArgumentError
        Names the node that has no counterpart here, or whose parameters have none; a loop without a Delay
        node is among them, as NIR does not say how long it takes.

    Examples
    --------
    >>> import brainstate, brainunit as u
    >>> from brainmass_delays.spiking import LIF, from_nir, to_nir
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     (lif,) = from_nir(to_nir([LIF(2, tau=7 * u.ms)]))
    ...     print(lif.tau.value()[0])
    7. ms
    """
    nir = import_nir("from_nir")
    following = {}
    for source, target in graph.edges:
        following.setdefault(source, []).append(target)
    name = _only_input(nir, graph)
    layers, seen = [], {name}
    width = _size("from_nir." + name, graph.nodes[name].input_type["input"])
    while True:
        forward = [key for key in following.get(name, []) if key not in seen or key == name]
        loops = [key for key in forward if _leads_to(key, name, following)]
        if loops:
            chain = _chain_of(graph, loops, following, name)
            layers[-1] = RecurrentLIF(layers[-1], _feedback_of(nir, graph, chain, name, max_delay))
            seen.update(chain)
        forward = [key for key in forward if key not in loops]
        if len(forward) != 1:
            raise ArgumentError(f"from_nir.{name}", "must lead to one node", f"{len(forward)} nodes")
        (name,) = forward
        seen.add(name)
        node = graph.nodes[name]
        if isinstance(node, nir.Output):
            break
        layers.append(_layer_of(nir, name, node, max_delay))
        width = _next_width(f"from_nir.{name}", node, width)
    for left in set(graph.nodes) - seen:
        raise ArgumentError(f"from_nir.{left}", "must lie on the way from the input to the output", "none")
    if not layers:
        raise ArgumentError("from_nir.graph", "must hold a node between input and output", "none")
    return layers


@checked(layers=list_of_layers(), spikes=SPIKES)
def run_layers(layers: list, spikes) -> jnp.ndarray:
    """Run layers one after the other over ``spikes`` ``(batch, time, channel)``; return the last output."""
    for layer in layers:
        spikes = layer(spikes)
    return spikes


def _layer_of(nir, name, node, max_delay):
    """Return the layer that stands for one node."""
    where = f"from_nir.{name}"
    if isinstance(node, nir.Delay):
        return _delay_layer(where, node, max_delay, 0 * u.ms)
    if isinstance(node, nir.Linear | nir.Affine):
        numbers(ndim=2, finite=True)(f"{where}.weight", node.weight)
        if isinstance(node, nir.Affine):
            numbers(ndim=1, finite=True)(f"{where}.bias", node.bias)
        layer = brainstate.nn.Linear(*node.weight.shape[::-1], b_init=None)
        layer.weight.value = {"weight": jnp.asarray(node.weight.T, brainstate.environ.dftype())}
        if isinstance(node, nir.Affine):
            layer.weight.value |= {"bias": jnp.asarray(node.bias, brainstate.environ.dftype())}
        return layer
    if isinstance(node, nir.LIF | nir.LI):
        return _neurons(nir, where, node)
    raise ArgumentError(where, "must be a Delay, Linear, Affine, LIF or LI node", type(node).__name__)


def _neurons(nir, where, node):
    """Return neurons, if one step of ours solves their equation."""
    for name in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
        if hasattr(node, name):
            numbers(axes=(0, 1), finite=True, above=0 if name == "tau" else None)(
                f"{where}.{name}", getattr(node, name)
            )
    tau = np.asarray(node.tau, float).reshape(-1) * 1e3
    expected = 1 / (1 - np.exp(-seconds(time_step("from_nir")) * 1e3 / tau))
    resets = node.v_reset if isinstance(node, nir.LIF) else 0.0
    if np.any(node.v_leak) or np.any(resets):
        raise ArgumentError(where, "must rest at zero and reset to zero", f"{node.v_leak} and {resets}")
    if np.any(np.abs(np.reshape(node.r, -1) / expected - 1) > RESISTANCE_TOLERANCE):
        raise ArgumentError(
            f"{where}.r",
            f"must be 1 / (1 - exp(-dt / tau)), {expected[0]:.6g}, so that currents add as they are",
            np.reshape(node.r, -1)[0],
            "Scale the weights before the node, or set the dt of the export",
        )
    if isinstance(node, nir.LI):
        return LeakyIntegrator(len(tau), tau * u.ms)
    threshold = np.unique(node.v_threshold)
    if len(threshold) != 1:
        raise ArgumentError(f"{where}.v_threshold", "must be the same for all neurons", node.v_threshold)
    return LIF(len(tau), tau * u.ms, float(threshold[0]))


def _only_input(nir, graph):
    """Return the name of the input."""
    names = [key for key, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(names) != 1:
        raise ArgumentError("from_nir.graph", "must have one Input node", names or "none")
    return names[0]


def _chain_of(graph, loops, following, name):
    """Return the names of the nodes through which a LIF feeds back to itself."""
    kind = type(graph.nodes[name]).__name__
    if kind != "LIF":
        raise ArgumentError(f"from_nir.{name}", "must be a LIF node to feed back to itself", kind)
    chain = loops[:1]
    while following[chain[-1]] != [name] and len(loops) == 1 and loops != [name]:
        onward = following[chain[-1]]
        if len(onward) != 1 or onward[0] in chain:
            raise ArgumentError(f"from_nir.{chain[-1]}", f"must lead back to {name} alone", onward)
        chain += onward
    kinds = [type(graph.nodes[key]).__name__ for key in chain]
    if len(loops) != 1 or sorted(kinds) != ["Delay", "Linear"]:
        raise ArgumentError(f"from_nir.{name}", "must feed back through one Delay and one Linear node", kinds)
    return chain


def _feedback_of(nir, graph, chain, name, max_delay):
    """Return the feedback of a LIF; a Delay behind the Linear node delays targets, not sources."""
    nodes = {type(graph.nodes[key]).__name__: key for key in chain}
    delay, weight = graph.nodes[nodes["Delay"]], graph.nodes[nodes["Linear"]].weight
    where, dt = f"from_nir.{nodes['Delay']}", time_step("from_nir")
    of_targets = chain[0] != nodes["Delay"]
    return _delay_layer(where, delay, max_delay, dt, weight=weight, of_targets=of_targets)


def _delay_layer(where, node, max_delay, min_delay, weight=None, of_targets=False):
    """Return a layer with the delays of a node, in whole steps."""
    dt = time_step("from_nir")
    numbers(axes=(0, 1), finite=True)(f"{where}.delay", node.delay)
    delay = np.asarray(node.delay, float).reshape(-1)
    steps = np.rint(delay / seconds(dt))
    if np.any(np.abs(delay / seconds(dt) - steps) > 1e-3):
        raise ArgumentError(f"{where}.delay", f"must be whole steps of dt = {dt}", f"{delay} s")
    if np.any(steps * dt < min_delay):
        raise ArgumentError(f"{where}.delay", f"must be at least {min_delay}", f"{delay.min()} s")
    longest = max(steps.max(), 1) * dt if max_delay is None else max_delay
    steps = steps[:, None] if of_targets else steps
    if max_delay is not None and longest < steps.max() * dt:
        raise ArgumentError(f"{where}.delay", f"must not exceed max_delay, {max_delay}", f"{delay.max()} s")
    return DelayLayer(
        len(delay),
        None if weight is None else len(weight),
        min_delay=min_delay,
        max_delay=longest,
        delay=Param(jnp.asarray(steps, brainstate.environ.dftype()) * dt),
        weight=None if weight is None else jnp.asarray(weight, brainstate.environ.dftype()),
    )


def _next_width(where, node, width):
    """Return how many channels leave a node that ``width`` channels enter; refuse another number."""
    shape = next(np.shape(getattr(node, name)) for name in ("weight", "delay", "tau") if hasattr(node, name))
    if math.prod(shape[-1:]) != width:
        raise ArgumentError(where, f"must read {width} channels, what the node before it gives", shape[-1])
    return shape[0] if shape else 1


def _size(where, kind):
    """Return the number of channels of an Input node."""
    numbers(axes=(0, 1), low=1)(where, kind)
    return math.prod(int(n) for n in np.reshape(kind, -1))


def _leads_to(start, goal, following):
    """Tell whether a path leads from ``start`` to ``goal``."""
    todo, seen = [start], set()
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo += following.get(name, [])
    return False
