"""Brainstate Modules as layers: their parameters as arrays for the pure functions, and back."""

import functools
from dataclasses import dataclass
from typing import Any

import brainstate
import jax

from .layers import as_layer, with_updates


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["parameters", "fixed"], meta_fields=["module"]
)
@dataclass(frozen=True)
class ModuleLayer:
    """Call a brainstate Module with given values of its states.

    Parameters
    ----------
    module : brainstate.nn.Module
        Layer on one sample. Its own states keep their values.
    parameters : dict of str to pytree
        Values of its ``ParamState``, by dotted name.
    fixed : dict of str to pytree
        Values of its other states; they are not trained.

    Examples
    --------
    >>> import brainstate
    >>> from brainmass_delays.predictive.modules import ModuleLayer
    >>> layer = ModuleLayer.of(brainstate.nn.Linear(3, 2))
    >>> list(layer.parameters)
    ['weight']
    """

    parameters: dict[str, Any]
    fixed: dict[str, Any]
    module: brainstate.nn.Module

    @classmethod
    def of(cls, module):
        """Read the values of all states of ``module``."""
        named = _named_states(module)
        values = {name: state.value for name, state in named.items()}
        trained = {name for name, state in named.items() if isinstance(state, brainstate.ParamState)}
        return cls(
            {n: v for n, v in values.items() if n in trained},
            {n: v for n, v in values.items() if n not in trained},
            module,
        )

    def __call__(self, z):
        states = _named_states(self.module)
        before = {name: state.value for name, state in states.items()}
        # `restore_value` sets a value without recording a write, which a raw JAX transformation would refuse.
        try:
            for name, value in {**self.parameters, **jax.lax.stop_gradient(self.fixed)}.items():
                states[name].restore_value(value)
            return self.module(z)
        finally:
            for name, value in before.items():
                states[name].restore_value(value)


@as_layer.register
def _(layer: brainstate.nn.Module):
    return ModuleLayer.of(layer)


@with_updates.register
def _(layer: brainstate.nn.Module, updated: ModuleLayer):
    states = _named_states(layer)
    for name, value in updated.parameters.items():
        states[name].value = value
    return layer


def _named_states(module) -> dict[str, brainstate.State]:
    """Return all states of ``module`` by dotted name."""
    return {".".join(map(str, path)): state for path, state in module.states().items()}
