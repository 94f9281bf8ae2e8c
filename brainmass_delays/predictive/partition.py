"""Pytrees that hold both arrays and callables: split them, and compile functions of them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_array(leaf: Any) -> bool:
    """Tell whether ``leaf`` is a JAX or NumPy array."""
    return _is_array_type(type(leaf))


def is_trainable(leaf: Any) -> bool:
    """Tell whether ``leaf`` is an array of real or complex floating-point numbers."""
    return is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact)


def as_variables(values) -> list[jax.Array]:
    """Return what can be moved by a gradient as a list of floating-point arrays."""
    return [value if is_trainable(value) else jnp.asarray(value, float) for value in values]


def split(tree: Any, keep=is_trainable) -> tuple[Any, Any]:
    """Return two trees like ``tree``: the leaves that ``keep`` accepts, and the others; None elsewhere.

    `trees.fill` undoes it."""
    kept = jax.tree.map(lambda leaf: leaf if keep(leaf) else None, tree)
    rest = jax.tree.map(lambda leaf: None if keep(leaf) else leaf, tree)
    return kept, rest


def compile_over_arrays(function):
    """Compile ``function`` over the arrays of its arguments; every other leaf must be hashable and is static.

    A call whose static leaves cannot be hashed runs without compilation.
    """

    @functools.partial(jax.jit, static_argnums=0)
    def compiled(static, arrays):
        treedef, others = static
        leaves = iter(arrays)
        args, kwargs = jax.tree.unflatten(treedef, [next(leaves) if o is _ARRAY else o for o in others])
        return function(*args, **kwargs)

    @functools.wraps(function)
    def call(*args, **kwargs):
        leaves, treedef = jax.tree.flatten((args, kwargs))
        arrays, others = [], []
        for leaf in leaves:
            if is_array(leaf):
                arrays.append(leaf)
                leaf = _ARRAY
            others.append(leaf)
        static = treedef, tuple(others)
        try:
            hash(static)
        except TypeError:
            return function(*args, **kwargs)
        return compiled(static, arrays)

    return call


@functools.cache
def _is_array_type(kind: type) -> bool:
    """Tell whether ``kind`` is a type of arrays; the answer is kept, as asking JAX costs a microsecond."""
    return issubclass(kind, jax.Array | jax.core.Tracer | np.ndarray | np.generic)


class _ArrayPlace:
    """Mark the place of an array among static leaves."""


_ARRAY = _ArrayPlace()
