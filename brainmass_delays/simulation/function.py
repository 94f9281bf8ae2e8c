"""A run as a pure function of parameters, initial states and a key."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import mapping, numbers, optional
from .._core.checks import ArgumentError
from .._core.parameters import find_by_name, find_parameters, unique_ending
from .._core.states import LOCK, holding, present_key, untouched
from .._core.units import magnitude
from ..delays.past import Past
from ..engine.clock import clock_of
from ..network import Network
from ..nodes.base import NeuralMass
from ..observe import Trajectory
from .recording import streams


def run_function(simulator: Any, duration: Any, options: dict) -> Callable[..., Trajectory]:
    """Return ``simulator.run(duration, **options)`` as `Simulator.function` promises it."""
    model = simulator.model

    def run(params: dict | None = None, *, states: dict | None = None, key: Any = None) -> Trajectory:
        params = params or {}
        optional(mapping)("Simulator.function.states", states)
        for name, value in (states or {}).items():
            numbers()(f"Simulator.function.states[{name!r}]", value)
        known = find_parameters(model)
        chosen = [find_by_name("Simulator.function.params", name, known) for name in params]
        values = [
            part.unconstrained(value, f"Simulator.function.params[{part.name!r}]")
            for part, value in zip(chosen, params.values(), strict=True)
        ]
        now = present_key()  # made in any case, before a trace looks at it
        now = now if key is None else jax.random.key_data(key)

        def call(values, starts, key):
            with holding([part.state for part in chosen], values):
                brainstate.random.DEFAULT.value = key
                return simulator._run_from(starts, duration, **options)

        clock = clock_of(model)
        with LOCK, clock.kept(), untouched(model, *streams(options.get("monitors")).values()):
            stateful = brainstate.transform.StatefulFunction(call)
            found = stateful.get_states(values, states, now, compile_if_miss=True)
            return stateful.jaxpr_call([state.value for state in found], values, states, now)[1]

    return run


def states_by_name(model: brainstate.nn.Module) -> dict[str, brainstate.State]:
    """Return the states of nodes by name, with that of the population in a network, or with the path to a
    part of any other model."""
    nodes = model.populations if isinstance(model, Network) else {"": model}
    found = {
        f"{name}.{key}".lstrip("."): state
        for name, node in nodes.items()
        for key, state in vars(node).items()
        if isinstance(state, brainstate.State)
    }
    if isinstance(model, Network | NeuralMass):
        return found
    deep = model.states(brainstate.HiddenState)
    return {".".join(map(str, path)): state for path, state in deep.items()} | found


def start_from(model, states):
    """Put other initial values into the states of the nodes, and let the histories follow."""
    where = "Simulator.function.states"
    known = states_by_name(model)
    for name, value in states.items():
        full = unique_ending(where, name, known)
        state = known[full]
        number = jnp.asarray(magnitude(f"{where}[{name!r}]", value, u.get_unit(state.value)))
        shape = u.math.shape(state.value)
        try:
            number = jnp.broadcast_to(number, shape).astype(u.get_magnitude(state.value).dtype)
        except ValueError:
            raise ArgumentError(f"{where}[{name!r}]", f"must have shape {shape}", number.shape) from None
        state.value = u.maybe_decimal(number * u.get_unit(state.value))
    for past in model.nodes(Past).values() if states else ():
        past.init_state()
