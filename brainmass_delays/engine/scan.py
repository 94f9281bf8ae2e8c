"""Scan over blocks of steps: the functions of a block become programs without closures, and the scan is run
plainly or with its own adjoint."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .._core.hoisting import hoist
from .adjoint import lean_scan
from .blocks import BlockScan, Forward


def block_scan(
    sizes: BlockScan,
    serves: list[Callable],
    steps: Callable,
    carry: Any,
    tracks: tuple,
    xs: Any,
    weights: Any,
    places: Any,
    *,
    lean: bool = True,
):
    """Run all blocks.

    Parameters
    ----------
    sizes : BlockScan
        Static sizes, and how blocks read.
    serves : list of callable
        By level, ``serve(carry, seen, x, first) -> x``, the inputs of a block, joined by what it reads:
        ``seen`` is what the reads serve, ``first`` is the index of its first step.
    steps : callable
        ``steps(carry, recent, x, first) -> (carry, new, out)``, the steps of a shortest block. ``recent`` has
        one array ``(..., node, n_recent)`` per track, ``new`` one ``(..., node, block)``. All these functions
        may close over traced values: their gradients are kept.
    carry, tracks, xs : pytree
        Initial carry; tracks with their history filled in; inputs with a leading axis of steps.
    weights, places : tuple of tuple
        By level, what the reads of each table need: weights, differentiable, and its `Place`.
    lean : bool
        Use the adjoint of this module (default) or plain autodiff of the same scan.

    Returns
    -------
    tuple
        Final carry, final tracks, and outputs with a leading axis of steps.

    Notes
    -----
    The gradient is exact for the carry, the tracks' history, the inputs, the weights and everything
    the functions close over. The lean adjoint keeps one carry per block and the tracks: O(n_nodes) numbers
    per step, whatever the number of connections."""
    calls, values = _hoist_all(sizes, serves, steps, carry, tracks, xs, weights, places)
    if lean:
        return lean_scan(sizes, carry, tracks, xs, weights, places, calls, values)
    forward = Forward(sizes, weights, places, calls, values)
    carry, tracks, outs, _ = forward.run(carry, tracks, xs, np.int32(sizes.done))
    return carry, tracks, outs


def _hoist_all(sizes, serves, steps, carry, tracks, xs, weights, places):
    """Hoist the functions of all levels, and of the steps, by example; return functions and values."""
    first, calls, values = jax.ShapeDtypeStruct((), np.int32), [], []
    for level, serve, *own in zip(sizes.levels, serves, weights, places, strict=True):
        xs = jax.tree.map(lambda x, n=level.size: jax.ShapeDtypeStruct((n, *x.shape[1:]), x.dtype), xs)
        seen = jax.eval_shape(level.reads.read, *own, tracks, first)
        call, hoisted, xs = hoist(serve, carry, seen, xs, first)
        calls.append(call)
        values.append(hoisted)
    recent = jax.eval_shape(sizes.recent, tracks, first)
    call, hoisted, _ = hoist(steps, carry, recent, xs, first)
    return [*calls, call], [*values, hoisted]
