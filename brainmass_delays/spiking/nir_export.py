"""Describe spiking networks to other programs in the Neuromorphic Intermediate Representation (NIR).

NIR describes neurons in continuous time. Its LIF obeys ``tau v' = v_leak - v + r I``; a step of ours,
``v[t] = a v[t-1] + current[t]`` with ``a = exp(-dt / tau)``, is its exact solution over one step of constant
``I = current`` if ``r = 1 / (1 - a)``. Times are in seconds there.

References
----------
Pedersen et al. (2024): Neuromorphic intermediate representation: a unified instruction set for interoperable
brain-inspired computing. Nature Communications 15, 8122.
"""

import brainstate
import brainunit as u
import numpy as np

from .._core.arguments import checked
from .._core.checks import ArgumentError
from .._core.units import magnitude
from .arguments import is_network
from .base import DelayedSpikes
from .classifier import SpikingClassifier
from .delay_layer import DelayLayer
from .grid import time_step
from .lif import LIF, AdaptiveLIF, LeakyIntegrator
from .recurrent_layer import RecurrentLIF


@checked(network=is_network)
def to_nir(network: brainstate.nn.Module | list):
    """Describe a network as a NIR graph, delays rounded to whole steps.

    Parameters
    ----------
    network : SpikingClassifier, brainstate.nn.Sequential, or list of layers
        Layers follow each other: `DelayLayer` with one delay per input or per output,
        ``brainstate.nn.Linear``, `LIF`, `RecurrentLIF`, `LeakyIntegrator`.

    Returns
    -------
    nir.NIRGraph
        Write it by ``nir.write(path, graph)``. Times in seconds.

    Raises
    ------
    ArgumentError
        Names what NIR cannot hold: a delay per synapse, adaptive neurons, a reset by subtraction, sparse and
        convolutional delays; and layers that do not fit each other.

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
    nir = import_nir("to_nir")
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
    try:
        return nir.NIRGraph(nodes, [*edges, (last, "output")])
    except ValueError as error:
        raise ArgumentError("to_nir.network", "must hold layers that fit each other", error) from error


def _layers(network):
    """Return the layers of a network in order."""
    if isinstance(network, brainstate.nn.Sequential):
        network = list(network.layers)
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
        return _delay_nodes(nir, layer)
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
        masked = values["weight"] if layer.w_mask is None else values["weight"] * layer.w_mask
        weight = np.asarray(masked, float).T
        return [
            nir.Affine(weight, np.asarray(values["bias"], float)) if "bias" in values else nir.Linear(weight)
        ]
    raise _lacks(f"a {type(layer).__name__}", layer, "Export delays, linear maps and LIF neurons")


def _delay_nodes(nir, layer) -> list:
    """Return the nodes of a DelayLayer: delays of inputs come before the weights, those of outputs behind."""
    steps = layer.steps()
    of_outputs = not layer.is_axonal and steps.shape[1] == 1
    if not (layer.is_axonal or of_outputs):
        raise _lacks("a delay per synapse", layer, "Give DelayLayer delays (n_in,), or (n_out, 1)")
    n = layer.n_out if of_outputs else layer.n_in
    delay = nir.Delay(np.broadcast_to(steps.reshape(-1), (n,)) * float(seconds(time_step("to_nir"))))
    if layer.weight is None:
        return [delay]
    linear = nir.Linear(_weights(layer.weight.value(), layer.shape))
    return [linear, delay] if of_outputs else [delay, linear]


def _membrane(layer):
    """Return time constants in seconds and the resistances that one step of ours has, both ``(n,)``."""
    tau = np.broadcast_to(seconds(layer.tau.value()), (layer.n,)).astype(float)
    return tau, 1 / (1 - np.exp(-seconds(time_step("to_nir")) / tau))


def _weights(weight, shape):
    return np.asarray(np.broadcast_to(weight, shape), float)


def seconds(time):
    return np.asarray(magnitude("to_nir", time, u.second), float)


def _lacks(what, layer, cure):
    return ArgumentError(f"to_nir.{type(layer).__name__}", f"NIR has no place for {what}", None, cure)


def import_nir(where):
    try:
        import nir
    except ImportError as error:
        raise ArgumentError(where, "needs the package nir", "none", "pip install nir") from error
    return nir
