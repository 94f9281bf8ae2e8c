"""What a spiking network consists of, in one table."""

import brainstate
import brainunit as u
import jax
import numpy as np

from .._core.arguments import checked
from .arguments import (
    is_module,
)
from .base import DelayedSpikes
from .lif import LIF, LeakyIntegrator


@checked(network=is_module)
def summarize(network: brainstate.nn.Module) -> str:
    """Describe the layers of a network: sizes, trained parameters, and where the delays are.

    Parameters
    ----------
    network : Module or list of layers
        A `SpikingClassifier`, or anything that contains layers of delays, neurons and linear maps.

    Returns
    -------
    str
        One line per layer, and the number of layers and of trained parameters.

    Examples
    --------
    >>> import brainstate, brainunit as u
    >>> from brainmass_delays.spiking import DelayLayer, SpikingClassifier, summarize
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     print(summarize(SpikingClassifier(DelayLayer(5, max_delay=9 * u.ms, delay=4 * u.ms), 3, 2)))
    delays      DelayLayer       5 -> 5     1 delay, 4 to 4 ms, 0 % at a bound     1 parameters
    hidden      LIF              3                                                  0 parameters
    input       Linear           5 -> 3                                            15 parameters
    integrators LeakyIntegrator  2                                                  0 parameters
    readout     Linear           3 -> 2                                             6 parameters
    5 layers, 22 parameters
    """
    if isinstance(network, list | tuple):
        network = brainstate.nn.Sequential(*network)
    kinds = (DelayedSpikes, LIF, LeakyIntegrator, brainstate.nn.Linear)
    layers = {
        ".".join(map(str, path)) or type(node).__name__: node
        for path, node in network.nodes().items()
        if isinstance(node, kinds)
    }
    lines = [
        f"{name:<15s} {type(layer).__name__:<16s} {_size(layer):<10s} {_delays(layer):<44s} "
        f"{count_parameters(layer):>6d} parameters"
        for name, layer in layers.items()
    ]
    count = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    return "\n".join([*lines, f"{count}, {count_parameters(network)} parameters"])


def _size(layer):
    """Return what goes in and comes out, or the number of neurons."""
    if isinstance(layer, DelayedSpikes):
        n_out = getattr(layer, "n_out", None)
        shape_out = getattr(layer, "shape_out", (n_out or layer.n_in,))
        return " -> ".join("x".join(map(str, shape)) for shape in (layer.shape_in, shape_out))
    if isinstance(layer, brainstate.nn.Linear):
        return f"{layer.in_size[-1]} -> {layer.out_size[-1]}"
    return str(layer.n)


def _delays(layer):
    """Return number, range and saturation of the delays."""
    if not isinstance(layer, DelayedSpikes):
        return ""
    lag, (lower, upper) = np.asarray(layer.lag()), layer.bounds_in_steps()
    delay = np.asarray(layer.delay.value().to_decimal(u.ms))
    share = np.mean((lag <= lower + 0.5) | (lag >= upper - 0.5))
    number = "1 delay" if lag.size == 1 else f"{lag.size} delays"
    return f"{number}, {delay.min():.3g} to {delay.max():.3g} ms, {100 * share:.0f} % at a bound"


def count_parameters(module: brainstate.nn.Module) -> int:
    """Return the number of trained numbers in ``module``."""
    values = [state.value for state in module.states(brainstate.ParamState).values()]
    return sum(np.size(x) for x in jax.tree.leaves(values))
