"""Exchange spiking networks with other programs in the Neuromorphic Intermediate Representation (NIR).

NIR describes neurons in continuous time. Its LIF obeys ``tau v' = v_leak - v + r I``; a step of ours,
``v[t] = a v[t-1] + current[t]`` with ``a = exp(-dt / tau)``, is its exact solution over one step of constant
``I = current`` if ``r = 1 / (1 - a)``. Times are in seconds there.

References
----------
Pedersen et al. (2024): Neuromorphic intermediate representation: a unified instruction set for interoperable
brain-inspired computing. Nature Communications 15, 8122.
"""

from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.arguments import checked, optional, time
from .._core.checks import ArgumentError
from .._core.units import magnitude
from .arguments import SPIKES, is_graph, is_layers, is_network
from .base import DelayedSpikes
from .classifier import SpikingClassifier
from .delay_layer import DelayLayer
from .grid import time_step
from .lif import LIF, AdaptiveLIF, LeakyIntegrator
from .recurrent import RecurrentLIF

# Relative difference below which a resistance counts as that of one step of ours.
RESISTANCE_TOLERANCE = 1e-5


@checked(network=is_network)
def to_nir(network: brainstate.nn.Module | list):
    """Describe a network as a NIR graph, delays rounded to whole steps.

    Parameters
    ----------
    network : SpikingClassifier, or list of layers
        Layers follow each other: `DelayLayer` with one delay per input, ``brainstate.nn.Linear``, `LIF`,
        `RecurrentLIF`, `LeakyIntegrator`.

    Returns
    -------
    nir.NIRGraph
        Write it by ``nir.write(path, graph)``. Times in seconds.

    Raises
    ------
    ArgumentError
        Names what NIR cannot hold: delays that differ between the synapses of an input, adaptive neurons, a
        reset by subtraction, sparse and convolutional delays.

    Notes
    -----
    ``dt`` is read from ``brainstate.environ``; the resistances carry it, so that a program with the same
    step finds our neurons again. NIR says nothing about the order within a step.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import LIF, DelayLayer, to_nir
    >>> layers = [DelayLayer(2, max_delay=9 * u.ms, delay=jnp.array([1., 4.]) * u.ms), LIF(2)]
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     graph = to_nir(layers)
    >>> list(graph.nodes), [round(float(d), 4) for d in graph.nodes['delay'].delay]
    (['input', 'delay', 'lif', 'output'], [0.001, 0.004])
    """
    nir = _nir("to_nir")
    nodes, edges = {}, []
    last = "input"

    def add(node, name=None, after=None):
        base = name or type(node).__name__.lower()
        taken = sum(key == base or key.startswith(f"{base}_") for key in nodes)
        key = f"{base}_{taken}" if taken else base
        nodes[key] = node
        edges.append((after, key))
        return key

    for layer in _layers(network):
        neurons = layer.neurons if isinstance(layer, RecurrentLIF) else layer
        for node in _nodes_of(nir, neurons):
            last = add(node, after=last)
        if isinstance(layer, RecurrentLIF):
            back = last
            for node in _nodes_of(nir, layer.feedback):
                back = add(node, f"feedback_{type(node).__name__.lower()}", after=back)
            edges.append((back, last))
    first = next(iter(nodes.values()))
    nodes = {
        "input": nir.Input(input_type={"input": np.asarray(first.input_type["input"])}),
        **nodes,
        "output": nir.Output(output_type={"output": np.asarray(nodes[last].output_type["output"])}),
    }
    return nir.NIRGraph(nodes, [*edges, (last, "output")])


@checked(graph=is_graph, max_delay=optional(time))
def from_nir(graph: Any, *, max_delay: u.Quantity | None = None) -> list:
    """Build layers from a NIR graph.

    Parameters
    ----------
    graph : nir.NIRGraph
        A chain of Delay, Linear, Affine, Scale-free LIF and LI nodes, in which a LIF may feed back to itself
        through a Delay and a Linear node.
    max_delay : Quantity[time], optional
        Bound of the delays; by default the longest delay of each layer, at least one step.

    Returns
    -------
    list of layers
        As for `to_nir`; `run_layers` runs them. Delays are trainable.

    Raises
    ------
    ArgumentError
        Names the node that has no counterpart here, or whose parameters have none.

    Examples
    --------
    >>> import brainstate, brainunit as u
    >>> from brainmass_delays.spiking import LIF, from_nir, to_nir
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     (lif,) = from_nir(to_nir([LIF(2, tau=7 * u.ms)]))
    ...     print(lif.tau.value()[0])
    7. ms
    """
    nir = _nir("from_nir")
    following = {}
    for source, target in graph.edges:
        following.setdefault(source, []).append(target)
    (name,) = [key for key, node in graph.nodes.items() if isinstance(node, nir.Input)]
    layers, seen = [], {name}
    while True:
        forward = [key for key in following.get(name, []) if key not in seen]
        loops = [key for key in forward if _leads_to(key, name, following)]
        if loops:
            layers[-1] = RecurrentLIF(
                layers[-1], _feedback_of(nir, graph, loops, following, name, max_delay, seen)
            )
        forward = [key for key in forward if key not in loops]
        if len(forward) != 1:
            raise ArgumentError(f"from_nir.{name}", "must lead to one node", f"{len(forward)} nodes")
        (name,) = forward
        seen.add(name)
        node = graph.nodes[name]
        if isinstance(node, nir.Output):
            return layers
        layers.append(_layer_of(nir, name, node, max_delay))


@checked(layers=is_layers, spikes=SPIKES)
def run_layers(layers: list, spikes) -> jnp.ndarray:
    """Run layers one after the other over ``spikes`` ``(batch, time, channel)``; return the last output."""
    for layer in layers:
        spikes = layer(spikes)
    return spikes


def _layers(network):
    """Return the layers of a network in order."""
    if isinstance(network, list | tuple):
        if not network:
            raise ArgumentError("to_nir.network", "must hold at least one layer", "none")
        return list(network)
    if isinstance(network, SpikingClassifier):
        parts = (network.delays, network.input, network.hidden, network.readout, network.integrators)
        return [part for part in parts if part is not None]
    return [network]


def _nodes_of(nir, layer) -> list:
    """Return the nodes that stand for one layer, in order."""
    if isinstance(layer, DelayLayer):
        if not layer.is_axonal:
            raise _lacks(
                "delays that differ between the synapses of an input", layer, "Give DelayLayer delays (n_in,)"
            )
        delay = np.broadcast_to(layer.steps().reshape(-1), (layer.n_in,)) * _seconds(time_step("to_nir"))
        nodes = [nir.Delay(np.asarray(delay, float))]
        return (
            nodes
            if layer.weight is None
            else [*nodes, nir.Linear(_weights(layer.weight.value(), layer.shape))]
        )
    if isinstance(layer, DelayedSpikes):
        raise _lacks(f"the delays of a {type(layer).__name__}", layer, "Use DelayLayer with delays (n_in,)")
    if isinstance(layer, AdaptiveLIF):
        raise _lacks("neurons whose threshold adapts", layer, "Use LIF")
    if isinstance(layer, LIF):
        if layer.reset != "zero":
            raise _lacks("a reset by subtraction", layer, "Use LIF(..., reset='zero')")
        tau, r = _membrane(layer)
        return [nir.LIF(tau, r, np.zeros_like(tau), np.full_like(tau, layer.threshold), np.zeros_like(tau))]
    if isinstance(layer, LeakyIntegrator):
        tau, r = _membrane(layer)
        return [nir.LI(tau, r, np.zeros_like(tau))]
    if isinstance(layer, brainstate.nn.Linear):
        values = layer.weight.value
        weight = np.asarray(values["weight"], float).T
        return [
            nir.Affine(weight, np.asarray(values["bias"], float)) if "bias" in values else nir.Linear(weight)
        ]
    raise _lacks(f"a {type(layer).__name__}", layer, "Export delays, linear maps and LIF neurons")


def _layer_of(nir, name, node, max_delay):
    """Return the layer that stands for one node."""
    where = f"from_nir.{name}"
    if isinstance(node, nir.Delay):
        return _delay_layer(where, node, max_delay, 0 * u.ms)
    if isinstance(node, nir.Linear | nir.Affine):
        if node.weight.ndim != 2:
            raise ArgumentError(f"{where}.weight", "must have two axes", node.weight.shape)
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
    tau = np.asarray(node.tau, float).reshape(-1) * 1e3
    expected = 1 / (1 - np.exp(-_seconds(time_step("from_nir")) * 1e3 / tau))
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


def _feedback_of(nir, graph, loops, following, name, max_delay, seen):
    """Return the feedback of a LIF: one Delay node and one Linear node."""
    chain = [loops[0]]
    while following.get(chain[-1], [None])[0] != name:
        chain.append(following[chain[-1]][0])
    kinds = [type(graph.nodes[key]).__name__ for key in chain]
    if len(loops) != 1 or kinds != ["Delay", "Linear"]:
        raise ArgumentError(f"from_nir.{name}", "must feed back through a Delay and a Linear node", kinds)
    seen.update(chain)
    delay, linear = (graph.nodes[key] for key in chain)
    dt = time_step("from_nir")
    return _delay_layer(f"from_nir.{chain[0]}", delay, max_delay, dt, weight=linear.weight)


def _delay_layer(where, node, max_delay, min_delay, weight=None):
    """Return a layer with the delays of a node, in whole steps."""
    dt = time_step("from_nir")
    delay = np.asarray(node.delay, float).reshape(-1)
    steps = np.rint(delay / _seconds(dt))
    if np.any(np.abs(delay / _seconds(dt) - steps) > 1e-3):
        raise ArgumentError(f"{where}.delay", f"must be whole steps of dt = {dt}", f"{delay} s")
    if np.any(steps * dt < min_delay):
        raise ArgumentError(f"{where}.delay", f"must be at least {min_delay}", f"{delay.min()} s")
    longest = max(steps.max(), 1) * dt if max_delay is None else max_delay
    return DelayLayer(
        len(delay),
        None if weight is None else len(weight),
        min_delay=min_delay,
        max_delay=longest,
        delay=Param(steps * dt),
        weight=None if weight is None else jnp.asarray(weight, brainstate.environ.dftype()),
    )


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


def _membrane(layer):
    """Return time constants in seconds and the resistances that one step of ours has, both ``(n,)``."""
    tau = np.broadcast_to(_seconds(layer.tau.value()), (layer.n,)).astype(float)
    return tau, 1 / (1 - np.exp(-_seconds(time_step("to_nir")) / tau))


def _weights(weight, shape):
    return np.asarray(np.broadcast_to(weight, shape), float)


def _seconds(time):
    return np.asarray(magnitude("to_nir", time, u.second), float)


def _lacks(what, layer, cure):
    return ArgumentError(f"to_nir.{type(layer).__name__}", f"NIR has no place for {what}", None, cure)


def _nir(where):
    try:
        import nir
    except ImportError as error:
        raise ArgumentError(where, "needs the package nir", "none", "pip install nir") from error
    return nir
