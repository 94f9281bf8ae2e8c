"""From what a user passes to a node model to what its equations need, each mistake named where it is made."""

import difflib
import inspect
import math
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError, check_choice, check_count, check_finite
from .._core.param import constant, value_of
from .._core.status import is_traced
from .._core.units import magnitude
from .declaration import Input, Parameter, StateVariable

MOST = 2**31 - 1  # elements of a population, as many as an index of 32 bits can tell apart


def bind(title: str, signature: inspect.Signature, renamed: dict, args: tuple, kwargs: dict) -> dict:
    """Match arguments with ``signature``, defaults filled in; name the nearest one to an unknown.

    ``renamed`` says what takes the place of arguments that other programs have.
    """
    known = signature.parameters
    for name in set(kwargs) - set(known):
        if name in renamed:
            raise ArgumentError(f"{title}.{name}", "is no argument of this model", cure=renamed[name])
        near = difflib.get_close_matches(name, known, n=1)
        cure = f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(known)}"
        raise ArgumentError(f"{title}.{name}", "is no argument of this model", cure=cure)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(title, str(error)) from None
    bound.apply_defaults()
    return bound.arguments


def size(where: str, in_size: Any) -> tuple[int, ...]:
    """Return ``in_size`` as a tuple of counts."""
    sizes = in_size if isinstance(in_size, tuple | list) else (in_size,)
    if not sizes or not all(isinstance(n, int | np.integer) for n in sizes):
        raise ArgumentError(where, "must be an int or a tuple of int", repr(in_size))
    if math.prod(sizes) > MOST:
        raise ArgumentError(where, f"must be at most {MOST:.3g} in all", repr(in_size))
    return tuple(check_count(where, n) for n in sizes)


def param(where: str, parameter: Parameter, value: Any, shape: tuple[int, ...]) -> Param:
    """Return ``value`` as a Param in the form in which the equations expect it, checked.

    A Module with a ``value()``, such as `Heterogeneous`, serves as a Param.
    """
    if isinstance(value, Param) or (isinstance(value, brainstate.nn.Module) and hasattr(value, "value")):
        _check_form(where, parameter, value.value())
        _check_values(where, parameter, value.value(), shape)
        return value
    given = value(shape) if callable(value) else value
    number = _number(where, given, parameter.plain_unit, parameter.plain)
    given = in_unit(number, parameter.plain_unit) if parameter.carries_unit else number
    _check_values(where, parameter, given, shape)
    return constant(given)


def noise_sources(title: str, noises: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return noises by argument, refused unless each is None or a module of its own for that shape."""
    seen: dict[int, str] = {}
    for name, noise in noises.items():
        where = f"{title}.{name}"
        if noise is None:
            continue
        if not callable(noise) or inspect.isclass(noise):
            raise ArgumentError(where, "must be a noise module", repr(noise), "Use WhiteNoise(n, sigma)")
        if getattr(noise, "varshape", shape) != shape:
            rule = f"must have the shape of the population, {shape}"
            raise ArgumentError(where, rule, noise.varshape, "Smaller ones would give all regions one noise")
        if id(noise) in seen:
            rule = "must be an object of its own"
            raise ArgumentError(where, rule, f"the one of {seen[id(noise)]}", "It would advance twice a step")
        seen[id(noise)] = name
    return noises


def initial_source(where: str, state: StateVariable, value: Any) -> Any:
    """Return an initial value or initializer, its unit and numbers checked as far as they are known."""
    if isinstance(value, Param) or not callable(value):
        number = _number(where, value_of(value), state.unit)
        if not is_traced(number):
            check_finite(where, number)
    return value


def initial_value(where: str, state: StateVariable, source: Any, shape: tuple[int, ...]) -> Any:
    """Return the initial value of one state with ``shape`` and in its unit."""
    value = value_of(source)
    number = _number(where, value(shape) if callable(value) else value, state.unit)
    if not _broadcasts(number.shape, shape):
        raise ArgumentError(where, f"must have shape {shape} or broadcast to it", number.shape)
    return in_unit(jnp.broadcast_to(number, shape).astype(brainstate.environ.dftype()), state.unit)


def input_value(where: str, entry: Input, value: Any, shape: tuple[int, ...]) -> Any:
    """Return the number of the unit of one input of a population of some shape; None is zero."""
    number = 0.0 if value is None else magnitude(where, value, entry.unit)
    given = u.math.shape(number)
    if not _broadcasts(given[-len(shape) :], shape):
        raise ArgumentError(
            where, f"must be a number or have shape (..., {', '.join(map(str, shape))})", given
        )
    return number


def in_order(where: str, entries: tuple[Input, ...], inputs: tuple, named: dict[str, Any]) -> tuple:
    """Return inputs given by position and by name in declared order, None for a missing one."""
    if not named:
        return inputs
    names = [entry.name for entry in entries]
    for name in named:
        check_choice(where, name, names)
        if name in names[: len(inputs)]:
            raise ArgumentError(f"{where}.{name}", "is given twice, by position and by name")
    return (*inputs, *(named.get(name) for name in names[len(inputs) :]))


def in_unit(number: Any, unit: u.Unit) -> Any:
    """Return ``number`` as a Quantity of ``unit``, or as it is if that is no unit."""
    return number if unit.is_unitless else u.Quantity(number, unit=unit)


def _number(where: str, value: Any, unit: u.Unit, plain: bool = True) -> Any:
    """Return the number of ``unit`` in ``value`` as an array; a plain number is refused unless ``plain``."""
    rule = "must be a number, an array, a Quantity, a Param or an initializer"
    try:
        number = jnp.asarray(magnitude(where, value, unit, plain=plain))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(where, rule, repr(value)) from None
    if jnp.issubdtype(number.dtype, jnp.complexfloating):
        raise ArgumentError(where, rule, repr(value), "Complex numbers lose their imaginary part")
    return number


def _check_form(where: str, parameter: Parameter, value: Any) -> None:
    """Refuse a ready-made Param that has a unit where the equations take a plain number, or lacks one."""
    unit = parameter.plain_unit
    if parameter.carries_unit:
        magnitude(where, value, unit, plain=False)
    elif not u.get_unit(value).is_unitless:
        rule = "must be a Param of a plain number" + ("" if unit.is_unitless else f", in {unit}")
        cure = "" if unit.is_unitless else f"Convert it first, with value.to_decimal({unit})"
        raise ArgumentError(where, rule, f"one in {u.get_unit(value)}", cure)


def _check_values(where: str, parameter: Parameter, value: Any, target: tuple[int, ...]) -> None:
    """Refuse a wrong shape, and concrete values that are not finite or out of bounds."""
    shape = u.math.shape(value)
    if not _broadcasts(shape, target):
        raise ArgumentError(where, f"must be a scalar or have shape {target}", shape)
    if is_traced(value):
        return
    number = check_finite(where, magnitude(where, value, parameter.plain_unit))
    low, high = parameter.bounds
    outside = number[~((number > low) & (number < high))]
    if outside.size:
        rule = "must be positive" if (low, high) == (0.0, math.inf) else f"must lie between {low} and {high}"
        raise ArgumentError(where, rule, outside.flat[0])


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether ``shape`` broadcasts to ``target``."""
    try:
        return np.broadcast_shapes(shape, target) == tuple(target)
    except ValueError:
        return False
