"""Scan over blocks of steps whose delayed reads are all known when the block starts, with a lean adjoint.

Plain reverse mode through delayed reads stores every value read, (target, source) per step. Here the reverse pass keeps the
tracks (the trajectory of the coupled variable) and one carry per block, gathers the windows of a block again, and adds
their cotangents to the cotangents of the tracks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..delays.windows import gather_windows, scatter_windows


class BlockScan(NamedTuple):
    """Fix the sizes of a scan over blocks.

    Tracks are ``(..., node, time)``; column ``origin`` holds the initial sample and step ``n`` writes column ``origin + 1 + n``.
    A block sees ``windows`` (one per track, from ``starts`` relative to its first step's newest sample) and ``recent``, the
    last ``n_recent`` columns. ``done`` steps precede the first block. ``lateness`` counts, per track, the columns by which what a block writes lags behind: a slope
    belongs to the start of its step.
    """

    block: int
    n_blocks: int
    origin: int
    n_recent: int
    window: int
    lateness: tuple[int, ...]
    done: int = 0

    def first(self, b):
        """Return the index of the first step of block ``b``."""
        return self.done + b * self.block


def block_scan(sizes: BlockScan, body: Callable, carry: Any, tracks: tuple, xs: Any, windows: tuple, *, lean: bool = True):
    """Run ``body(carry, seen, recent, x, first) -> (carry, new, out)`` over all blocks.

    Parameters
    ----------
    sizes : BlockScan
        Static sizes.
    body : callable
        One block. ``seen`` has one array ``(..., target, slot, window)`` per track, ``recent`` one ``(..., node, n_recent)``,
        ``x`` the block's inputs, ``first`` the index of its first step; ``new`` has one ``(..., node, block)`` per track. It may
        close over traced values: their gradients are kept.
    carry, tracks, xs : pytree
        Initial carry; tracks with their history filled in; inputs with a leading block axis.
    windows : tuple or None
        ``(sources, starts)`` int arrays ``(target, slot)``; None if nothing is read by windows.
    lean : bool
        Use the adjoint of this module (default) or plain autodiff of the same scan.

    Returns
    -------
    tuple
        Final carry, final tracks, and outputs with a leading block axis.

    Notes
    -----
    The gradient is exact for the carry, the tracks' history, the inputs and everything ``body`` closes over. The lean adjoint
    keeps one carry per block and the tracks: O(n_nodes) numbers per step, whatever the number of connections.
    """
    avals = jax.eval_shape(lambda: _inputs(sizes, carry, tracks, xs, windows, 0))
    body, hoisted = _hoist(body, avals)
    scan = _lean_scan if lean else _plain_scan
    return scan(sizes, body, hoisted, carry, tracks, xs, windows)


def _hoist(function, avals):
    """Turn traced values that a function closes over into further arguments, whatever their type."""
    jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*avals)
    tree = jax.tree.structure(shape)
    is_hoisted = [isinstance(const, jax.core.Tracer) for const in jaxpr.consts]

    def call(*args):
        *args, hoisted = args
        hoisted = iter(hoisted)
        consts = [next(hoisted) if h else c for h, c in zip(is_hoisted, jaxpr.consts, strict=True)]
        return tree.unflatten(jax.core.eval_jaxpr(jaxpr.jaxpr, consts, *jax.tree.leaves(args)))

    return call, [const for const, h in zip(jaxpr.consts, is_hoisted, strict=True) if h]


def _inputs(sizes, carry, tracks, xs, windows, b):
    x = jax.tree.map(lambda leaf: leaf[b], xs)
    first = jnp.asarray(sizes.first(b), jnp.int32)
    return carry, _seen(sizes, tracks, windows, first), _recent(sizes, tracks, first), x, first


def _seen(sizes, tracks, windows, first):
    if windows is None:
        return ()
    sources, starts = windows
    return tuple(gather_windows(t, sources, starts + first + sizes.origin, sizes.window) for t in tracks)


def _recent(sizes, tracks, first):
    start = sizes.origin + 1 - sizes.n_recent + first
    return tuple(jax.lax.dynamic_slice_in_dim(t, start, sizes.n_recent, axis=-1) for t in tracks)


def _written(sizes, first, late):
    return sizes.origin + 1 - late + first


def _write(sizes, tracks, new, first):
    return tuple(jax.lax.dynamic_update_slice_in_dim(t, n.astype(t.dtype), _written(sizes, first, late), axis=-1)
                 for t, n, late in zip(tracks, tuple(new), sizes.lateness, strict=True))


def _plain_scan(sizes, body, hoisted, carry, tracks, xs, windows):
    def advance(state, inputs):
        carry, tracks = state
        b, x = inputs
        first = sizes.first(b)
        carry, new, out = body(carry, _seen(sizes, tracks, windows, first), _recent(sizes, tracks, first), x, first, hoisted)
        return (carry, _write(sizes, tracks, new, first)), out

    (carry, tracks), outs = jax.lax.scan(advance, (carry, tracks), (jnp.arange(sizes.n_blocks, dtype=jnp.int32), xs))
    return carry, tracks, outs


def _is_smooth(leaf):
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _split(tree):
    """Separate the differentiable leaves of a tree from the rest, and return how to join them."""
    leaves, treedef = jax.tree.flatten(tree)
    smooth = [_is_smooth(leaf) for leaf in leaves]
    parts = [leaf for leaf, s in zip(leaves, smooth, strict=True) if s], [x for x, s in zip(leaves, smooth, strict=True) if not s]

    def join(differentiable, other):
        a, b = iter(differentiable), iter(other)
        return treedef.unflatten([next(a) if s else next(b) for s in smooth])

    return *parts, join


def _lean_scan(sizes, body, hoisted, carry, tracks, xs, windows):
    carry_d, carry_i, join_carry = _split(carry)
    xs_d, xs_i, join_xs = _split(xs)
    hoisted_d, hoisted_i, join_hoisted = _split(hoisted)
    indices = np.arange(sizes.n_blocks, dtype=np.int32)  # concrete: the reverse pass is traced on its own

    def block(hoisted_d, carry_d, seen, recent, x_d, carry_i, x_i, first, hoisted_i):
        hoisted = join_hoisted(hoisted_d, hoisted_i)
        carry, new, out = body(join_carry(carry_d, carry_i), seen, recent, join_xs(x_d, x_i), first, hoisted)
        out_d, out_i, _ = _split(out)
        new_d, new_i, _ = _split(carry)
        return (new_d, new, out_d), (new_i, out_i)

    def forward(hoisted, carry_d, tracks, xs_d, ints):
        carry_i, xs_i, windows, hoisted_i = ints

        def advance(state, inputs):
            carry_d, carry_i, tracks = state
            b, x_d, x_i = inputs
            first = sizes.first(b)
            (new_d, new, out_d), (new_i, out_i) = block(
                hoisted, carry_d, _seen(sizes, tracks, windows, first), _recent(sizes, tracks, first), x_d, carry_i, x_i, first, hoisted_i)
            return (new_d, new_i, _write(sizes, tracks, new, first)), (out_d, out_i, carry_d, carry_i)

        last, (outs_d, outs_i, starts_d, starts_i) = jax.lax.scan(advance, (carry_d, carry_i, tracks), (indices, xs_d, xs_i))
        return (*last, outs_d, outs_i), (starts_d, starts_i)

    @jax.custom_vjp
    def run(hoisted, carry_d, tracks, xs_d, ints):
        return forward(hoisted, carry_d, tracks, xs_d, ints)[0]

    def run_forward(hoisted, carry_d, tracks, xs_d, ints):
        result, starts = forward(hoisted, carry_d, tracks, xs_d, ints)
        return result, (hoisted, result[2], xs_d, ints, starts)

    def run_backward(kept, cotangents):
        hoisted, tracks, xs_d, (carry_i, xs_i, windows, hoisted_i), (starts_d, starts_i) = kept
        carry_bar, _, tracks_bar, outs_bar, _ = cotangents

        def retreat(state, inputs):
            hoisted_bar, carry_bar, tracks_bar = state
            b, x_d, x_i, start_d, start_i, out_bar = inputs
            first = sizes.first(b)
            seen, recent = _seen(sizes, tracks, windows, first), _recent(sizes, tracks, first)
            new_bar = tuple(
                jax.lax.dynamic_slice_in_dim(t, _written(sizes, first, late), sizes.block, axis=-1)
                for t, late in zip(tracks_bar, sizes.lateness, strict=True))
            tracks_bar = _write(sizes, tracks_bar, map(jnp.zeros_like, new_bar), first)  # what stood there had no effect
            _, pull, _ = jax.vjp(lambda *args: block(*args, start_i, x_i, first, hoisted_i), hoisted, start_d, seen, recent, x_d,
                                 has_aux=True)
            hoisted_more, carry_bar, seen_bar, recent_bar, x_bar = pull((carry_bar, new_bar, out_bar))
            if windows is not None:
                sources, starts = windows
                tracks_bar = tuple(scatter_windows(t, sources, starts + first + sizes.origin, s)
                                   for t, s in zip(tracks_bar, seen_bar, strict=True))
            tracks_bar = _add_recent(sizes, tracks_bar, recent_bar, first)
            hoisted_bar = jax.tree.map(jnp.add, hoisted_bar, hoisted_more)
            return (hoisted_bar, carry_bar, tracks_bar), x_bar

        zeros = jax.tree.map(jnp.zeros_like, hoisted)
        (hoisted_bar, carry_bar, tracks_bar), xs_bar = jax.lax.scan(
            retreat, (zeros, carry_bar, tracks_bar), (indices, xs_d, xs_i, starts_d, starts_i, outs_bar), reverse=True)
        return hoisted_bar, carry_bar, tracks_bar, xs_bar, None

    run.defvjp(run_forward, run_backward)
    out_shape = jax.eval_shape(lambda: body(*_inputs(sizes, carry, tracks, xs, windows, 0), hoisted)[2])
    join_outs = _split(out_shape)[2]
    carry_d, carry_i, tracks, outs_d, outs_i = run(
        hoisted_d, carry_d, tracks, xs_d, (carry_i, xs_i, windows, hoisted_i))
    return join_carry(carry_d, carry_i), tracks, join_outs(outs_d, outs_i)


def _add_recent(sizes, tracks_bar, recent_bar, first):
    if not sizes.n_recent:
        return tracks_bar
    start = sizes.origin + 1 - sizes.n_recent + first

    def add(track, piece):
        old = jax.lax.dynamic_slice_in_dim(track, start, sizes.n_recent, axis=-1)
        return jax.lax.dynamic_update_slice_in_dim(track, old + piece, start, axis=-1)

    return tuple(add(t, r) for t, r in zip(tracks_bar, recent_bar, strict=True))
