"""What drives a model from outside in one run: numbers by step, constants, and functions of time."""

import inspect
from collections.abc import Mapping
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers, takes
from .._core.checks import ArgumentError
from .._core.units import magnitude
from ..network import Network
from ..network.inputs import InputNames
from ..nodes.base import NeuralMass


class Stimulation:
    """Turn the ``inputs`` of `Simulator.run` into what one step gets.

    Parameters
    ----------
    model : brainstate.nn.Module
        What is driven.
    inputs : None, dict, array or callable
        As in `Simulator.run`.
    n_steps : int
        Length of the run.

    Attributes
    ----------
    rows : dict
        By input, what is given as numbers, with a leading axis of steps.
    uses_time : bool
        Whether any input is a function.
    """

    def __init__(self, model: brainstate.nn.Module, inputs: Any, n_steps: int):
        self.model = model
        named = self._named(inputs)
        self.functions = {name: _function(name, f) for name, f in named.items() if callable(f)}
        self.rows, self.constants = {}, {}
        for name, value in named.items():
            if not callable(value):
                self._take_numbers(name, value, n_steps)
        self.uses_time = bool(self.functions)

    def _named(self, inputs):
        """Return inputs by name; ``None`` is the name of what a model takes by position."""
        if inputs is None:
            return {}
        nodes = self._populations()
        if nodes is None or not any(getattr(node, "INPUTS", ()) for node in nodes.values()):
            if isinstance(inputs, Mapping):
                return dict(inputs)
            return {None: inputs}
        names = InputNames(nodes)
        if isinstance(inputs, Mapping):
            found = {names.find("Simulator.run.inputs", name): value for name, value in inputs.items()}
            if len(found) < len(inputs):
                rule = "must name every input once"
                raise ArgumentError("Simulator.run.inputs", rule, list(inputs), "Add the values up")
            return found
        known = [(p, n) for p, of_one in names.names.items() for n in of_one]
        if len(known) != 1:
            listed = ", ".join(n for p in names.names for n in names.full_names(p))
            raise ArgumentError(
                "Simulator.run.inputs", "must be a dict by name for a model of several inputs",
                "a function" if callable(inputs) else f"shape {np.shape(u.get_magnitude(inputs))}",
                f"Pass inputs={{name: value}} with a name of {listed}",
            )  # fmt: skip
        return {known[0]: inputs}

    def _populations(self):
        if isinstance(self.model, Network):
            return self.model.populations
        return {"node": self.model} if isinstance(self.model, NeuralMass) else None

    def _take_numbers(self, name, value, n_steps):
        where = "Simulator.run.inputs" if name is None else f"Simulator.run.inputs[{_title(name)!r}]"
        if not isinstance(value, u.Quantity):
            numbers()(where, value)
            try:
                value = jnp.asarray(value)
            except (TypeError, ValueError):
                raise ArgumentError(where, "must be an array, a number or a function", repr(value)) from None
        if value.ndim == 0 and name is not None:
            self._check_columns(where, name, value, first_axis=0)
            self.constants[name] = value
            return
        if not value.ndim or len(value) != n_steps:
            raise ArgumentError(
                where, f"must have one row for each of {n_steps} steps", np.shape(u.get_magnitude(value))
            )
        self._check_columns(where, name, value)
        self.rows[_key(name)] = value

    def _check_columns(self, where, name, value, first_axis=1):
        if not isinstance(name, tuple):
            return
        node = self._populations()[name[0]]
        entry = next((e for e in node.INPUTS if e.name == name[1]), None)
        if entry is not None:
            magnitude(where, value, entry.unit)
        size = node.varshape
        shape = u.math.shape(value)[first_axis:]
        if shape and shape[-1] not in (1, *size[-1:]):
            rule = (
                f"must return a number or shape (..., {size[-1]})",
                f"must have shape (time,) or (time, ..., {size[-1]})",
            )
            raise ArgumentError(where, rule[first_axis], u.math.shape(value))

    def at(self, i: Any, t: u.Quantity, row: dict) -> dict:
        """Return the inputs of step ``i`` by name."""
        found = {name: f(i, t) for name, f in self.functions.items()}
        for name, value in found.items():
            where = f"Simulator.run.inputs[{_title(name)!r}]"
            if value is None:
                raise ArgumentError(where, "must return a number or an array", "None", "Add a return")
            self._check_columns(where, name, value, first_axis=0)
        for name in self.constants:
            found[name] = self.constants[name]
        for key, value in row.items():
            found[_name(key)] = value
        return {_key(name): value for name, value in found.items()}

    def update(self, inputs: dict) -> Any:
        """Make one step of the model."""
        given = {_name(key): value for key, value in inputs.items()}
        if isinstance(self.model, Network):
            if None in given:
                value = given.pop(None)
                return self.model.update(*(value if isinstance(value, tuple) else (value,)))
            return self.model.update(given)
        if isinstance(self.model, NeuralMass):
            return self.model.update(*(given.get(("node", entry.name)) for entry in self.model.INPUTS))
        if None in given:
            value = given.pop(None)
            return self.model.update(*(value if isinstance(value, tuple) else (value,)))
        return self.model.update(**given)


def _key(name):
    """Return a name as a key that sorts with others."""
    return "" if name is None else ".".join(name) if isinstance(name, tuple) else name


def _name(key):
    return None if key == "" else tuple(key.split(".", 1)) if "." in key else key


def _title(name):
    return name[1] if isinstance(name, tuple) else name


def _function(name, function):
    """Return a function of step and time from one of both or of time alone."""
    if isinstance(function, brainstate.nn.Module):
        return lambda i, t: function(t)
    if inspect.isclass(function):
        where, cure = f"Simulator.run.inputs[{_title(name)!r}]", f"Write {function.__name__}(...)"
        raise ArgumentError(where, "must be an object, not its class", function, cure)
    if not (takes(function, 1) or takes(function, 2)):
        got = f"a function {inspect.signature(function)}"
        raise ArgumentError(
            f"Simulator.run.inputs[{_title(name)!r}]", "must be a function f(t) or f(i, t)", got
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    takes_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(needed) == 1 and not takes_more:
        return lambda i, t: function(t)
    return function
