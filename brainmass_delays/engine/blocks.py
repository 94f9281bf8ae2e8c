"""Scan over blocks of steps whose delayed reads are all known when the block starts, with a lean adjoint.

Plain reverse mode through delayed reads stores every value read, (target, source) per step. Here the
reverse pass keeps the tracks (the trajectory of the coupled variable) and one carry per block, gathers the
windows of a block again, and adds their cotangents to the cotangents of the tracks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .block_reads import TableReads, add_columns

# Connections of a network from which on `jax.vmap` runs networks one after the other.
MANY_SLOTS = 2000


class BlockScan(NamedTuple):
    """Fix the sizes of a scan over blocks.

    Tracks are ``(..., node, time)``; column ``origin`` holds the initial sample and step ``n`` writes
    column ``origin + 1 + n``, or ``lateness`` columns earlier: a slope belongs to the start of its step. A
    block sees what ``reads`` serve, and ``recent``, the last ``n_recent`` columns. ``done`` steps precede
    the first block."""

    block: int
    n_blocks: int
    origin: int
    n_recent: int
    lateness: tuple[int, ...]
    reads: TableReads
    done: int = 0

    def first(self, b):
        """Return the index of the first step of block ``b``."""
        return self.done + b * self.block

    def cut(self, xs):
        """Cut inputs with a leading axis of steps into those of each block."""
        end = self.first(self.n_blocks)
        shape = self.n_blocks, self.block
        return jax.tree.map(lambda leaf: leaf[self.done : end].reshape(*shape, *leaf.shape[1:]), xs)

    def see(self, weights, places, tracks, first):
        """Return what the reads serve for a block."""
        return self.reads.read(weights, places, tracks, first)

    def recent(self, tracks, first):
        """Return the newest columns before a block."""
        return tuple(
            jax.lax.dynamic_slice_in_dim(t, self._oldest_recent(first), self.n_recent, axis=-1)
            for t in tracks
        )

    def write(self, tracks, new, first):
        """Put what a block computed into the tracks."""
        return tuple(
            jax.lax.dynamic_update_slice_in_dim(t, n.astype(t.dtype), c, axis=-1)
            for t, n, c in zip(tracks, tuple(new), self._written(first), strict=True)
        )

    def written(self, tracks, first):
        """Return the columns that a block writes."""
        return tuple(
            jax.lax.dynamic_slice_in_dim(t, c, self.block, axis=-1)
            for t, c in zip(tracks, self._written(first), strict=True)
        )

    def add_recent(self, tracks_bar, recent_bar, first):
        """Add cotangents of the newest columns before a block."""
        start = self._oldest_recent(first)
        return tuple(add_columns(t, r, start) for t, r in zip(tracks_bar, recent_bar, strict=True))

    def before(self, tracks_bar):
        """Keep the cotangents of the columns that no block of this scan writes."""
        start = self.first(0)
        return tuple(
            t.at[..., c : c + self.block * self.n_blocks].set(0.0)
            for t, c in zip(tracks_bar, self._written(start), strict=True)
        )

    def _oldest_recent(self, first):
        return self.origin + 1 - self.n_recent + first

    def _written(self, first):
        return [self.origin + 1 - late + first for late in self.lateness]


def block_scan(
    sizes: BlockScan,
    body: Callable,
    carry: Any,
    tracks: tuple,
    xs: Any,
    weights: Any,
    places: Any,
    *,
    lean: bool = True,
):
    """Run ``body(carry, seen, recent, x, first) -> (carry, new, out)`` over all blocks.

    Parameters
    ----------
    sizes : BlockScan
        Static sizes, and how blocks read.
    body : callable
        One block. ``seen`` is what the reads serve, ``recent`` has one array ``(..., node, n_recent)`` per
        track, ``x`` are the block's inputs, ``first`` is the index of its first step; ``new`` has one
        ``(..., node, block)`` per track. It may close over traced values: their gradients are kept.
    carry, tracks, xs : pytree
        Initial carry; tracks with their history filled in; inputs with a leading block axis.
    weights, places : tuple
        What the reads of each table need: weights, differentiable, and its `Place`.
    lean : bool
        Use the adjoint of this module (default) or plain autodiff of the same scan.

    Returns
    -------
    tuple
        Final carry, final tracks, and outputs with a leading block axis.

    Notes
    -----
    The gradient is exact for the carry, the tracks' history, the inputs, the weights and everything
    ``body`` closes over. The lean adjoint keeps one carry per block and the tracks: O(n_nodes) numbers per
    step, whatever the number of connections."""
    x = jax.tree.map(lambda leaf: leaf[0], xs)
    first = jnp.asarray(sizes.done, jnp.int32)
    avals = jax.eval_shape(
        lambda: (carry, sizes.see(weights, places, tracks, first), sizes.recent(tracks, first), x, first)
    )
    body, hoisted = _hoist(body, avals)
    scan = _lean_scan if lean else _plain_scan
    return scan(sizes, body, hoisted, carry, tracks, xs, weights, places)


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


def _plain_scan(sizes, body, hoisted, carry, tracks, xs, weights, places):
    def advance(state, inputs):
        carry, tracks = state
        b, x = inputs
        first = sizes.first(b)
        seen, recent = sizes.see(weights, places, tracks, first), sizes.recent(tracks, first)
        carry, new, out = body(carry, seen, recent, x, first, hoisted)
        return (carry, sizes.write(tracks, new, first)), out

    (carry, tracks), outs = jax.lax.scan(
        advance, (carry, tracks), (np.arange(sizes.n_blocks, dtype=np.int32), xs)
    )
    return carry, tracks, outs


def _is_smooth(leaf):
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _split(tree):
    """Separate the differentiable leaves of a tree from the rest, and return how to join them."""
    leaves, treedef = jax.tree.flatten(tree)
    smooth = [_is_smooth(leaf) for leaf in leaves]
    parts = (
        [leaf for leaf, s in zip(leaves, smooth, strict=True) if s],
        [x for x, s in zip(leaves, smooth, strict=True) if not s],
    )

    def join(differentiable, other):
        a, b = iter(differentiable), iter(other)
        return treedef.unflatten([next(a) if s else next(b) for s in smooth])

    return *parts, join


def _lean_scan(sizes, body, hoisted, carry, tracks, xs, weights, places):
    carry_d, carry_i, join_carry = _split(carry)
    xs_d, xs_i, join_xs = _split(xs)
    hoisted_d, hoisted_i, join_hoisted = _split(hoisted)
    passes = _Passes(sizes, body, join_carry, join_xs, join_hoisted)
    forward, forward_and_keep, backward = (
        jax.custom_batching.sequential_vmap(function) if _fills_a_cache(sizes.reads) else function
        for function in (lambda *args: passes.forward(*args)[0], passes.forward_and_keep, passes.backward)
    )

    def keep(*args):
        values = [jax.tree.map(lambda leaf: leaf.value, arg) for arg in args]
        of_past = () if any(track.perturbed for track in args[2]) else None
        return forward_and_keep(*values, of_past)

    def go_back(kept, cotangents):
        carry_bar, _, final_bar, outs_bar, _ = cotangents
        return backward(kept, jax.tree.map(_as_array, (carry_bar, final_bar, outs_bar)))

    run = jax.custom_vjp(forward)
    run.defvjp(keep, go_back, symbolic_zeros=True)
    carry_d, carry_i, tracks, outs_d, outs_i = run(
        hoisted_d, carry_d, tracks, xs_d, weights, (carry_i, xs_i, places, hoisted_i)
    )
    return join_carry(carry_d, carry_i), tracks, passes.join_outs(outs_d, outs_i)


def _as_array(cotangent):
    is_zero = isinstance(cotangent, jax.custom_derivatives.SymbolicZero)
    return jnp.zeros(cotangent.shape, cotangent.dtype) if is_zero else cotangent


def _fills_a_cache(reads):
    """Tell whether `jax.vmap` should run networks one after the other: what one reads fits into the cache of
    a core, what many read at once does not."""
    return jax.default_backend() == "cpu" and reads.n_slots > MANY_SLOTS


class _Passes:
    """The forward and the reverse pass of a lean scan, on trees split into what has a gradient (``_d``) and
    the rest (``_i``)."""

    def __init__(self, sizes, body, join_carry, join_xs, join_hoisted):
        self.sizes, self.body, self.reads = sizes, body, sizes.reads
        self.join_carry, self.join_xs, self.join_hoisted = join_carry, join_xs, join_hoisted
        self.join_outs = None  # known once a block was traced
        self.indices = np.arange(sizes.n_blocks, dtype=np.int32)  # concrete: the passes are traced apart
        # Columns that are only ever written by their own block need no accumulator, whose updates would be
        # copied.
        self.accumulates = sizes.n_recent or self.reads.scatters

    def block(self, hoisted_d, carry_d, seen, recent, x_d, carry_i, x_i, first, hoisted_i):
        """Run one block: what has a gradient, then the rest."""
        carry, x = self.join_carry(carry_d, carry_i), self.join_xs(x_d, x_i)
        carry, new, out = self.body(carry, seen, recent, x, first, self.join_hoisted(hoisted_d, hoisted_i))
        out_d, out_i, self.join_outs = _split(out)
        new_d, new_i, _ = _split(carry)
        return (new_d, new, out_d), (new_i, out_i)

    def forward(self, hoisted_d, carry_d, tracks, xs_d, weights, ints):
        """Return the results, and per block the carry at its start and, if they are few, what it saw."""
        sizes, (carry_i, xs_i, places, hoisted_i) = self.sizes, ints

        def advance(state, inputs):
            carry_d, carry_i, tracks = state
            b, x_d, x_i = inputs
            first = sizes.first(b)
            seen, recent = sizes.see(weights, places, tracks, first), sizes.recent(tracks, first)
            (new_d, new, out_d), (new_i, out_i) = self.block(
                hoisted_d, carry_d, seen, recent, x_d, carry_i, x_i, first, hoisted_i
            )
            begun = carry_d, carry_i, self.reads.kept(seen)
            return (new_d, new_i, sizes.write(tracks, new, first)), (out_d, out_i, *begun)

        last, (outs_d, outs_i, *begun) = jax.lax.scan(
            advance, (carry_d, carry_i, tracks), (self.indices, xs_d, xs_i)
        )
        return (*last, outs_d, outs_i), tuple(begun)

    def forward_and_keep(self, hoisted_d, carry_d, tracks, xs_d, weights, ints, of_past):
        """Run forward and keep what the reverse pass needs: the tracks, and what stood when blocks began.

        ``of_past`` is None if nobody asks for the cotangents of the history."""
        result, begun = self.forward(hoisted_d, carry_d, tracks, xs_d, weights, ints)
        return result, (hoisted_d, result[2], xs_d, weights, ints, begun, of_past)

    def backward(self, kept, cotangents):
        """Return the cotangents of the arguments of `forward`."""
        hoisted_d, tracks, xs_d, weights, (_, xs_i, places, _), begun, of_past = kept
        carry_bar, final_bar, outs_bar = cotangents
        sizes, reads = self.sizes, self.reads
        adjoint = reads.begin(weights, tracks, sizes.first(sizes.n_blocks))
        transposed = reads.transposed(weights, places)
        tracks_bar = tuple(map(jnp.zeros_like, final_bar)) if self.accumulates else ()
        zeros = jax.tree.map(jnp.zeros_like, hoisted_d)
        (hoisted_bar, carry_bar, tracks_bar, adjoint), xs_bar = jax.lax.scan(
            lambda state, inputs: self._retreat(kept, final_bar, transposed, state, inputs),
            (zeros, carry_bar, tracks_bar, adjoint),
            (self.indices, xs_d, xs_i, begun, outs_bar),
            reverse=True,
        )
        if self.accumulates:
            final_bar = tuple(map(jnp.add, final_bar, tracks_bar))
        steps = sizes.done, sizes.block * sizes.n_blocks
        weights_bar = reads.of_weights(adjoint, weights, places, tracks, steps)
        tracks_bar = sizes.before(final_bar)
        if of_past is not None:
            tracks_bar = reads.add_past(tracks_bar, adjoint, transposed, places, sizes.done)
        return hoisted_bar, carry_bar, tracks_bar, xs_bar, weights_bar, None

    def _retreat(self, kept, final_bar, transposed, state, inputs):
        """Go back over one block."""
        sizes, reads = self.sizes, self.reads
        hoisted_d, tracks, _, weights, (_, _, places, hoisted_i), *_ = kept
        hoisted_bar, carry_bar, tracks_bar, adjoint = state
        b, x_d, x_i, (begin_d, begin_i, kept_seen), out_bar = inputs
        first = sizes.first(b)
        recent = sizes.recent(tracks, first)
        seen = reads.again(kept_seen, weights, places, tracks, first)
        new_bar = sizes.written(final_bar, first)
        if self.accumulates:
            new_bar = tuple(map(jnp.add, new_bar, sizes.written(tracks_bar, first)))
        later = reads.pull(adjoint, transposed, first)
        new_bar = tuple(bar + later[j] if j in later else bar for j, bar in enumerate(new_bar))
        _, pull, _ = jax.vjp(
            lambda *args: self.block(*args, begin_i, x_i, first, hoisted_i),
            hoisted_d,
            begin_d,
            seen,
            recent,
            x_d,
            has_aux=True,
        )
        hoisted_more, carry_bar, seen_bar, recent_bar, x_bar = pull((carry_bar, new_bar, out_bar))
        adjoint, tracks_bar = reads.push(adjoint, tracks_bar, places, seen_bar, first)
        if sizes.n_recent:
            tracks_bar = sizes.add_recent(tracks_bar, recent_bar, first)
        return (jax.tree.map(jnp.add, hoisted_bar, hoisted_more), carry_bar, tracks_bar, adjoint), x_bar
