"""Parameters of monitors: Params with a unit, checked once, and their numbers at every use."""

from typing import Any

import brainunit as u
import jax.numpy as jnp
from brainstate.nn import Param

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_finite, check_positive
from .._core.param import constant
from .._core.status import is_traced
from .._core.units import magnitude


def to_param(where: str, value: Any, unit: u.Unit, *, positive: bool = False) -> Param:
    """Return ``value`` as a Param of ``unit``, its concrete numbers checked; plain numbers are in it."""
    check = check_positive if positive else check_finite
    if isinstance(value, Param):
        number = magnitude(where, value.value(), unit, plain=False)
    else:
        number = _real(where, magnitude(where, value, unit))
    if not is_traced(number):
        check(where, number)
    if isinstance(value, Param):
        return value
    return constant(number if unit.is_unitless else u.Quantity(number, unit=unit))


def number(where: str, param: Param, unit: u.Unit, like: Any = None) -> Any:
    """Return the number of ``unit`` in a Param: a scalar or one per region of ``like``, in its precision."""
    value = magnitude(where, param.value(), unit)
    if like is None:
        return value
    regions = tuple(like.shape[-1:])
    if jnp.ndim(value) and jnp.shape(value) != regions:
        raise ArgumentError(where, f"must be a scalar or have shape {regions}", jnp.shape(value))
    return jnp.asarray(value, like.dtype)


def _real(where: str, value: Any) -> Any:
    """Return a real number or an array of them in the precision of JAX."""
    numbers()(where, value)
    refusal = ArgumentError(where, "must be a number, an array, a Quantity or a Param", repr(value))
    if isinstance(value, str):
        raise refusal
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise refusal from None
    if jnp.iscomplexobj(array):
        raise ArgumentError(where, "must be real", "complex numbers")
    return array.astype(float)
