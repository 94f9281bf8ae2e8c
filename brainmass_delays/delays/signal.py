"""What travels between nodes: a state, a named signal of the model, or a function of its states."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError, check_choice
from .._core.functions import Portable
from .._core.parameters import params_behind
from .._core.states import holding
from .._core.units import magnitude


def not_started(where: str) -> ArgumentError:
    """Return the refusal of a model that has no states yet."""
    cure = "Run the model first, or call brainstate.nn.init_all_states(model) in a context with dt"
    return ArgumentError(where, "must be initialized before it is read", "a model without states", cure)


class Signal(Portable, brainstate.graph.Node):
    """Name what is read of a node, one row per region.

    Parameters
    ----------
    where : str
        Whose argument this is, for messages.
    node : brainstate.nn.Dynamics
        Any dynamics, of this library or of another.
    item : str or callable
        Name of a state, name of an entry of the model's ``SIGNALS``, or ``f(node)`` that returns one value
        per region from the node's states.
    argument : str
        Name of the argument.
    """

    def __init__(
        self, where: str, node: brainstate.nn.Dynamics, item: str | Callable, argument: str = "state"
    ):
        if not isinstance(node, brainstate.nn.Dynamics):
            raise ArgumentError(f"{where}.node", "must be a brainstate.nn.Dynamics", type(node).__name__)
        self.where, self.node, self.item = f"{where}.{argument}", node, item
        if not (isinstance(item, str) or callable(item)):
            raise ArgumentError(self.where, "must be a name or a function of the node", repr(item))
        self.params = params_behind(item) if callable(item) else {}

    def check(self) -> None:
        """Refuse a name that a node of this library does not declare."""
        known = (*getattr(self.node, "STATE_NAMES", ()), *getattr(self.node, "SIGNALS", ()))
        if isinstance(self.item, str) and known:
            check_choice(self.where, self.item, known)

    def __call__(self) -> Any:
        """Return the present value, ``(..., *varshape)``."""
        node, item = self.node, self.item
        if callable(item):
            return item(node)
        if item in getattr(node, "SIGNALS", {}):
            states = tuple(getattr(node, name).value for name in node.STATE_NAMES)
            return node.SIGNALS[item](node, states)
        state = getattr(node, item, None)
        if not isinstance(state, brainstate.State):
            names = [name for name, value in vars(node).items() if isinstance(value, brainstate.State)]
            if not names:
                raise not_started(self.where)
            raise ArgumentError(
                self.where, f"must be a state of {type(node).__name__}, one of {names}", repr(item)
            )
        return state.value

    def slope(self) -> Any:
        """Return the rate of change at the start of the last step, in the unit of the signal per ms.

        It is the derivative along the rates of the states, which a node of this library stores."""
        node, item = self.node, self.item
        if isinstance(item, str) and item in node.slopes:
            return magnitude("slope", node.slopes[item], u.get_unit(self()) / u.ms)
        states = [getattr(node, name) for name in node.STATE_NAMES]
        values = [u.get_magnitude(value) for value in node.start_values]
        units = [u.get_unit(value) for value in node.start_values]
        rates = [
            jnp.broadcast_to(magnitude("slope", node.slopes[name], unit / u.ms), value.shape)
            for name, unit, value in zip(node.STATE_NAMES, units, values, strict=True)
        ]

        def value(*numbers):
            held = [u.maybe_decimal(x * unit) for x, unit in zip(numbers, units, strict=True)]
            with holding(states, held):
                return u.get_magnitude(self())

        return jax.jvp(value, values, rates)[1]
