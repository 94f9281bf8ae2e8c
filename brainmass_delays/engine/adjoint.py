"""Go back over blocks without what plain reverse mode stores.

Plain reverse mode through delayed reads stores every value read, (target, source) per step. Here the
reverse pass keeps the tracks (the trajectory of the coupled variable) and one carry per block, gathers the
windows of a block again, and adds their cotangents to the cotangents of the tracks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._core.trees import is_inexact
from .blocks import Forward, joined

# Connections of a network from which on `jax.vmap` runs networks one after the other.
MANY_SLOTS = 2000


def lean_scan(sizes, carry, tracks, xs, weights, places, calls, values):
    """Run all blocks with the adjoint of this module; ``calls`` are the functions of `scan.block_scan`, with
    the ``values`` that they closed over as a last argument."""
    (carry_d, carry_i, join_carry), (xs_d, xs_i, join_xs), (values_d, values_i, join_values) = map(
        _split, (carry, xs, values)
    )
    passes = _Passes(sizes, calls, join_carry, join_xs, join_values)
    forward, forward_and_keep, backward = (
        jax.custom_batching.sequential_vmap(function) if _fills_a_cache(sizes) else function
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
        values_d, carry_d, tracks, xs_d, weights, (carry_i, xs_i, places, values_i)
    )
    return join_carry(carry_d, carry_i), tracks, passes.join_outs(outs_d, outs_i)


def _as_array(cotangent):
    is_zero = isinstance(cotangent, jax.custom_derivatives.SymbolicZero)
    return jnp.zeros(cotangent.shape, cotangent.dtype) if is_zero else cotangent


def _fills_a_cache(sizes):
    """Tell whether `jax.vmap` should run networks one after the other: what one reads fits into the cache of
    a core, what many read at once does not."""
    n_slots = sum(blocks.reads.n_slots for blocks in sizes.levels)
    return jax.default_backend() == "cpu" and n_slots > MANY_SLOTS


class _Passes:
    """The forward and the reverse pass of a lean scan, on trees split into what has a gradient (``_d``) and
    the rest (``_i``)."""

    def __init__(self, sizes, calls, join_carry, join_xs, join_values):
        self.sizes, self.calls = sizes, calls
        self.join_carry, self.join_xs, self.join_values = join_carry, join_xs, join_values
        self.join_outs = None  # known once the blocks were traced

    def forward(self, values_d, carry_d, tracks, xs_d, weights, ints, *, keeps=False):
        """Return the results, and what the reverse pass needs of every block."""
        carry_i, xs_i, places, values_i = ints
        values, xs = self.join_values(values_d, values_i), self.join_xs(xs_d, xs_i)
        forward = Forward(self.sizes, weights, places, self.calls, values, keeps)
        start = np.int32(self.sizes.done)
        carry, tracks, outs, begun = forward.run(self.join_carry(carry_d, carry_i), tracks, xs, start)
        carry_d, carry_i, _ = _split(carry)
        outs_d, outs_i, self.join_outs = _split(outs)
        return (carry_d, carry_i, tracks, outs_d, outs_i), begun

    def forward_and_keep(self, *args):
        """Run forward and keep what the reverse pass needs: the tracks, and what stood when blocks began.

        The last argument is None if nobody asks for the cotangents of the history."""
        *args, of_past = args
        values_d, _, _, xs_d, weights, ints = args
        result, begun = self.forward(*args, keeps=True)
        return result, (values_d, result[2], xs_d, weights, ints, begun, of_past)

    def backward(self, kept, cotangents):
        """Return the cotangents of the arguments of `forward`."""
        values_d, tracks, xs_d, weights, (_, xs_i, places, values_i), begun, of_past = kept
        carry_bar, final_bar, outs_bar = cotangents
        sizes, reads = self.sizes, [blocks.reads for blocks in self.sizes.levels]
        values, xs = self.join_values(values_d, values_i), self.join_xs(xs_d, xs_i)
        backward = _Backward(sizes, weights, places, self.calls, values, tracks)
        later = sizes.written(final_bar, sizes.done, sizes.n_steps)
        # Columns that are only ever written by their own block need no accumulator, whose updates would be
        # copied.
        accumulates = sizes.n_recent or any(r.scatters for r in reads)
        bars = _Bars(
            [[jnp.zeros_like(x) for x in _split(own)[0]] for own in values],
            carry_bar,
            tuple(map(jnp.zeros_like, final_bar)) if accumulates else (),
            tuple(
                r.begin(own, tracks, sizes.done + sizes.n_steps)
                for r, own in zip(reads, weights, strict=True)
            ),
        )
        bars, xs_bar = backward.run(bars, xs, begun, outs_bar, later, np.int32(sizes.done))
        if accumulates:
            final_bar = tuple(map(jnp.add, final_bar, bars.tracks))
        of_levels = list(zip(reads, bars.totals, weights, places, backward.transposed, strict=True))
        steps = sizes.done, sizes.n_steps
        weights_bar = tuple(r.of_weights(total, w, p, tracks, steps) for r, total, w, p, _ in of_levels)
        tracks_bar = sizes.before(final_bar)
        if of_past is not None:
            for r, total, _, place, transposed in of_levels:
                tracks_bar = r.add_past(tracks_bar, total, transposed, place, sizes.done)
        return sum(bars.values, []), bars.carry, tracks_bar, xs_bar, weights_bar, None


class _Bars(NamedTuple):
    """Hold the cotangents on the way back: of hoisted values by function, of the carry, of the tracks where
    they are accumulated, and by level of what reads served."""

    values: list
    carry: list
    tracks: tuple
    totals: tuple


class _Backward:
    """Go back over the blocks of a scan."""

    def __init__(self, sizes, weights, places, calls, values, tracks):
        self.sizes, self.weights, self.places, self.tracks = sizes, weights, places, tracks
        self.calls, self.values = calls, values
        self.transposed = [
            blocks.reads.transposed(*own) for blocks, *own in zip(sizes.levels, weights, places, strict=True)
        ]

    def run(self, bars, xs, begun, outs_bar, later, start, depth=0):
        """Go back over all blocks of one level from step ``start`` on; ``later`` are the cotangents of the
        columns that they write, as far as they are known outside. Return also the inputs' cotangents."""
        blocks, place = self.sizes.levels[depth], self.places[depth]

        def retreat(bars, inputs):
            b, x, ((carry, seen), within), out_bar = inputs
            first = start + b * blocks.size
            more = blocks.reads.pull(bars.totals[depth], self.transposed[depth], first)
            columns_bar = tuple(
                jax.lax.dynamic_slice_in_dim(bar, b * blocks.size, blocks.size, -1) + more.get(j, 0.0)
                for j, bar in enumerate(later)
            )
            seen = blocks.reads.again(seen, self.weights[depth], place, self.tracks, first)
            served, pull = self._pullback(depth, first, carry, seen, x)
            if depth + 1 < len(self.sizes.levels):
                bars, served_bar = self.run(bars, served, within, out_bar, columns_bar, first, depth + 1)
            else:
                bars, served_bar = self._steps(bars, carry, served, out_bar, columns_bar, first)
            carry_bar, seen_bar, x_bar, values_bar = pull(served_bar)
            carry_bar = list(map(jnp.add, bars.carry, carry_bar))
            bars = _with(bars, carry_bar, depth, values_bar)
            seen_bar = jax.tree.unflatten(jax.tree.structure(seen), seen_bar)
            total, tracks_bar = blocks.reads.push(bars.totals[depth], bars.tracks, place, seen_bar, first)
            totals = (*bars.totals[:depth], total, *bars.totals[depth + 1 :])
            return bars._replace(tracks=tracks_bar, totals=totals), x_bar

        indices = np.arange(blocks.count, dtype=np.int32)
        cut = indices, blocks.cut(xs), begun, blocks.cut(outs_bar)
        bars, xs_bar = jax.lax.scan(retreat, bars, cut, reverse=True)
        return bars, joined(xs_bar)

    def _steps(self, bars, carry, x, out_bar, columns_bar, first):
        """Go back over the steps of a shortest block."""
        sizes = self.sizes
        if bars.tracks:
            own = sizes.written(bars.tracks, first, sizes.levels[-1].size)
            columns_bar = tuple(map(jnp.add, columns_bar, own))
        _, pull = self._pullback(-1, first, carry, sizes.recent(self.tracks, first), x)
        carry_bar, recent_bar, x_bar, values_bar = pull([*bars.carry, *columns_bar, *out_bar])
        bars = _with(bars, carry_bar, -1, values_bar)
        if sizes.n_recent:
            bars = bars._replace(tracks=sizes.add_recent(bars.tracks, recent_bar, first))
        return bars, x_bar

    def _pullback(self, k, first, carry, seen, x):
        """Return the value and the pullback of one function in everything but the index of the step."""
        call = self.calls[k]
        return _pullback(
            lambda carry, seen, x, own: call(carry, seen, x, first, own), carry, seen, x, self.values[k]
        )


def _with(bars, carry_bar, k, values_bar):
    """Take in the cotangents of the carry, and add those of the values of one function."""
    values = list(bars.values)
    values[k] = list(map(jnp.add, values[k], values_bar))
    return bars._replace(values=values, carry=carry_bar)


def _split(tree):
    """Separate the differentiable leaves of a tree from the rest, and return how to join them."""
    leaves, treedef = jax.tree.flatten(tree)
    smooth = [is_inexact(leaf) for leaf in leaves]
    parts = (
        [leaf for leaf, s in zip(leaves, smooth, strict=True) if s],
        [x for x, s in zip(leaves, smooth, strict=True) if not s],
    )

    def join(differentiable, other):
        a, b = iter(differentiable), iter(other)
        return treedef.unflatten([next(a) if s else next(b) for s in smooth])

    return *parts, join


def _pullback(function, *args):
    """Return a function's value, and its pullback: from a list of the cotangents of the value's
    differentiable leaves to such lists for every argument."""
    smooth, others, joins = zip(*map(_split, args), strict=True)
    join_value = None

    def of_smooth(*smooth):
        nonlocal join_value
        parts = zip(joins, smooth, others, strict=True)
        value, other, join_value = _split(function(*[join(*part) for join, *part in parts]))
        return value, other

    value, pull, other = jax.vjp(of_smooth, *smooth, has_aux=True)
    return join_value(value, other), pull
