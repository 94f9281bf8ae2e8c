"""Turn the numbers that are written into a function into arguments, so that another number compiles
nothing."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal, Var


def literal_values(function: Callable, *args: Any) -> list:
    """Return the numbers that a function of ``args`` is written with, in the order of their use."""
    return [jnp.asarray(v.val, v.aval.dtype) for v in _literals(jax.make_jaxpr(function)(*args).jaxpr)]


def with_literals(function: Callable, values: list) -> Callable:
    """Return the function with other numbers in the place of those that it is written with."""

    def call(*args):
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        places = _literals(closed.jaxpr)
        if len(places) != len(values):
            return function(*args)  # it depends on something that a first look could not know
        opened = _opened(closed.jaxpr)
        out = jax.core.eval_jaxpr(opened, closed.consts, *jax.tree.leaves(args), *values)
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return call


def _literals(jaxpr) -> list:
    operands = [v for equation in jaxpr.eqns for v in equation.invars]
    return [v for v in [*operands, *jaxpr.outvars] if isinstance(v, Literal)]


def _opened(jaxpr):
    """Return a program whose literals are further arguments."""
    more = []

    def variable(v):
        if not isinstance(v, Literal):
            return v
        more.append(Var(v.aval))
        return more[-1]

    equations = [e.replace(invars=[variable(v) for v in e.invars]) for e in jaxpr.eqns]
    results = [variable(v) for v in jaxpr.outvars]
    return jaxpr.replace(
        eqns=equations,
        outvars=results,
        invars=[*jaxpr.invars, *more],
        debug_info=jaxpr.debug_info.with_unknown_names(),
    )
