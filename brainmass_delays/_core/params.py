"""Params: what bounds they keep, and which ones a function uses."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
from brainstate.nn import Param

from .checks import ArgumentError
from .status import is_traced
from .units import magnitude


def bounds_of(param: Param) -> tuple[Any, Any]:
    """Return the lower and upper bound that a Param's transform keeps; None where none is known."""
    transform = param.t
    low = getattr(transform, "lower", None)
    high = getattr(transform, "upper", low + transform.width if hasattr(transform, "width") else None)
    low, high = (None if is_traced(bound) else bound for bound in (low, high))
    return (high, low) if isinstance(transform, brainstate.nn.NegSoftplusT) else (low, high)


def params_behind(function: Callable) -> dict[str, Param]:
    """Find the Params that a function uses: in its closure, globals, defaults, its partial arguments, the
    object it is a method of, and in functions and containers among those.

    Names are those under which the function knows them, with a number where two Params share one.
    """
    found: dict[int, tuple[str, Param]] = {}
    _collect("param", function, found, set())
    names: dict[str, Param] = {}
    for name, param in found.values():
        unique, count = name, 1
        while unique in names:
            count += 1
            unique = f"{name}_{count}"
        names[unique] = param
    return names


def _collect(name, value, found, seen):
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Param):
        found[id(value)] = name, value
    elif isinstance(value, brainstate.graph.Node):
        for path, param in value.nodes(Param).items():
            found.setdefault(id(param), (str(path[-1]) if path else name, param))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _collect(str(key) if isinstance(key, str) and key.isidentifier() else name, item, found, seen)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(name, item, found, seen)
    elif isinstance(value, functools.partial):
        for item in (value.func, value.args, value.keywords):
            _collect(name, item, found, seen)
    elif inspect.ismethod(value):
        _collect(name, value.__self__, found, seen)
        _collect(name, value.__func__, found, seen)
    elif inspect.isfunction(value):
        variables = inspect.getclosurevars(value)
        defaults = {
            key: parameter.default
            for key, parameter in inspect.signature(value).parameters.items()
            if parameter.default is not parameter.empty
        }
        for key, item in {**variables.globals, **variables.nonlocals, **defaults}.items():
            _collect(key, item, found, seen)
    elif not inspect.ismodule(value) and not inspect.isclass(value) and hasattr(value, "__dict__"):
        for key, item in vars(value).items():
            if isinstance(item, Param):
                found.setdefault(id(item), (key, item))


class HoldsParams:
    """Let ``module.name = number`` set the Param that is found there, so that none is replaced."""

    def __setattr__(self, name, value):
        now = vars(self).get(name)
        if isinstance(now, Param) and not isinstance(value, Param):
            set_param(f"{type(self).__name__}.{name}", now, value)
        else:
            super().__setattr__(name, value)


def set_param(where: str, param: Param, value: Any) -> None:
    """Store a constrained value, which may be a plain number in the unit of the present one."""
    now = param.value()
    unit = u.get_unit(now)
    number = jnp.asarray(magnitude(where, value, unit))
    if number.ndim and number.shape != jnp.shape(u.get_magnitude(now)):
        raise ArgumentError(
            where, f"must have the shape of the parameter, {jnp.shape(u.get_magnitude(now))}", number.shape
        )
    number = jnp.broadcast_to(number, jnp.shape(u.get_magnitude(now))).astype(u.get_magnitude(now).dtype)
    param.set_value(u.maybe_decimal(number * unit))
