"""Turn what a function closes over into an argument, so that a custom derivative can see it."""

from collections.abc import Callable
from typing import Any

import jax

from .status import is_traced


def hoist(function: Callable, *avals: Any) -> tuple[Callable, list[Any], Any]:
    """Turn traced values that a function closes over into a further, last argument, whatever their type.

    Return the function of that argument, the values, and the shape of its result."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*avals)
    tree = jax.tree.structure(shape)
    is_hoisted = [is_traced(const) for const in closed.consts]

    def call(*args):
        *args, hoisted = args
        hoisted = iter(hoisted)
        consts = [next(hoisted) if h else c for h, c in zip(is_hoisted, closed.consts, strict=True)]
        return tree.unflatten(jax.core.eval_jaxpr(closed.jaxpr, consts, *jax.tree.leaves(args)))

    return call, [const for const, h in zip(closed.consts, is_hoisted, strict=True) if h], shape
