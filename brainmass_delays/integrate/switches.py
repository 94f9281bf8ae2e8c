"""Functions whose change of sign a step must land on: where ``f`` switches, where a solve ends."""

from collections.abc import Callable
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import function_of, returned
from .._core.checks import ArgumentError


def are_functions(where: str, value: Any) -> None:
    """Refuse all but a function or a list of them."""
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed or not all(map(callable, listed)):
        raise ArgumentError(where, "must be a function or a list of them", repr(value))


class Switches(NamedTuple):
    """Hold the functions at which the right side switches as one, ``(t, y, values) -> (switch,)``."""

    flat: Callable
    size: int

    @classmethod
    def of(cls, border, switches, args, assemble=None) -> "Switches | None":
        """Return the switches of the caller: one function or a list; with ``assemble`` they also take the
        delayed states."""
        if switches is None:
            return None
        functions = [switches] if callable(switches) else list(switches)
        if not functions or not all(callable(function) for function in functions):
            raise ArgumentError(f"{border.where}.switches", "must be a function or a list of them", switches)
        names = "t, y, args" if assemble is None else "t, y, delayed, args"
        for function in functions:
            function_of(names)(f"{border.where}.switches", function)

        def flat(t, y, values):
            between = () if assemble is None else (assemble(values),)
            at = border.with_time_unit(t), border.unravel(y), *between, args
            return jnp.stack([number(border, "switches", function(*at)) for function in functions])

        return cls(flat, len(functions))


def stop_of(border, event, args) -> Callable | None:
    """Return the function ``(t, y) -> number`` that ends the solve where it changes sign, or None."""
    if event is None:
        return None
    if not callable(event):
        raise ArgumentError(f"{border.where}.event", "must be a function (t, y, args)", event)
    return lambda t, y: number(border, "event", event(border.with_time_unit(t), border.unravel(y), args))


def number(border, name: str, value: Any) -> jax.Array:
    """Return the magnitude of one real number that can change its sign."""
    value = jnp.asarray(u.get_mantissa(returned(f"{border.where}.{name}", value)))
    rule, cure = "must return one real number that changes its sign", ""
    if value.dtype == bool:
        cure = "Return a difference, such as u - threshold, instead of a comparison"
    if cure or value.size != 1 or jnp.iscomplexobj(value):
        raise ArgumentError(f"{border.where}.{name}", rule, f"{value.dtype}{list(value.shape)}", cure)
    return value.reshape(()).astype(border.time_dtype)
