"""Pytrees: what their leaves are, and one tree of two, leaf by leaf."""

from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp


def is_quantity(leaf: Any) -> bool:
    """Tell whether ``leaf`` is a number with a unit, which `jax.tree` would take apart."""
    return isinstance(leaf, u.Quantity)


def is_inexact(leaf: Any) -> bool:
    """Tell whether ``leaf`` can carry a derivative."""
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def inexact(tree: Any) -> Any:
    """Replace every leaf that carries no derivative by None."""
    return jax.tree.map(lambda x: x if is_inexact(x) else None, tree)


def fill(part: Any, whole: Any) -> Any:
    """Fill the None leaves of ``part`` from ``whole``."""
    return jax.tree.map(lambda p, w: w if p is None else p, part, whole, is_leaf=lambda x: x is None)


def select(condition: Any, new: Any, old: Any) -> Any:
    """Return ``new`` where ``condition`` holds, else ``old``, leaf by leaf."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)
