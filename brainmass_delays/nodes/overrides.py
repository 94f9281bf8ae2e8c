"""What a subclass of a node model may redefine: functions that nothing calls are refused."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
from jax.extend.core import Var

from .._core.checks import ArgumentError
from ..delays.context import server
from .arguments import in_unit

# Parts of a rate that users of brainmass override there, besides one ``d<state>`` per state.
PARTS = {"F", "S", "H_e", "H_i", "QV", "QZ", "_f1", "_f2", "_g", "_h", "_transfer", "_x_e", "_x_i"}


LIBRARY = __name__.rpartition(".")[0]


def refuse_uncalled(model: type) -> None:
    """Refuse a class that redefines parts of a rate, but not the ``derivative`` that would call them."""
    parts = PARTS | {f"d{name}" for name in model.STATE_NAMES}
    uncalled = []
    for base in model.__mro__:
        own = vars(base)
        if "derivative" in own and (base is model or not base.__module__.startswith(LIBRARY)):
            return  # a user's derivative may call them
        if base.__module__.startswith(LIBRARY):
            break
        uncalled += sorted(own.keys() & parts)
    if uncalled:
        raise ArgumentError(
            f"{model.__name__}.{uncalled[0]}",
            "is never called: a node model has one function, derivative(self, state, t, drive)",
            cure="Define derivative, and call it from there",
        )


def refuse_ignored(model: Any, names: Iterable[str]) -> None:
    """Refuse, where a run is planned, inputs that something drives and that ``derivative`` does not use."""
    if not getattr(server(), "is_planning", False):
        return
    ignored = set(names) & _ignored(model)
    if ignored:
        raise ArgumentError(
            f"{type(model).__name__}.derivative",
            f"must use the input {min(ignored)} where noise, a projection or inputs= drives it",
            "a function in which nothing depends on it",
            f"Use drive[{[entry.name for entry in model.INPUTS].index(min(ignored))}]",
        )


def _ignored(model):
    """Return the names of the inputs that no rate depends on."""
    drive = tuple(in_unit(jnp.zeros(model.varshape), entry.unit) for entry in model.INPUTS)
    program = jax.make_jaxpr(lambda drive: model.derivative(model.values(), 0.0 * u.ms, drive))(drive).jaxpr
    used = {v for v in program.outvars if isinstance(v, Var)}
    for equation in reversed(program.eqns):
        if not used.isdisjoint(equation.outvars):
            used.update(v for v in equation.invars if isinstance(v, Var))
    return {entry.name for entry, v in zip(model.INPUTS, program.invars, strict=True) if v not in used}


def checked(derivative: Callable) -> Callable:
    """Let ``derivative`` refuse a drive that is not one entry per input, such as a bare array."""

    @wraps(derivative)
    def with_checked_drive(self, state, t, drive):
        if not isinstance(drive, tuple | list) or len(drive) != len(self.INPUTS):
            names = ", ".join(entry.name for entry in self.INPUTS)
            raise ArgumentError(
                f"{type(self).__name__}.derivative.drive",
                f"must be a tuple with one entry per input ({names})",
                f"{len(drive)} entries" if isinstance(drive, tuple | list) else type(drive).__name__,
            )
        return derivative(self, state, t, drive)

    return with_checked_drive
