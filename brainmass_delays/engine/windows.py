"""Read many steps at once: the samples one connection needs for a block of steps are one contiguous
window."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..delays.interpolation import Interpolation, split

# Windows worked on at once should stay in a core's second-level cache.
CACHE_BYTES = 192 * 1024
# Numbers in one turn of a loop: with more, XLA no longer compiles it as a whole.
NUMBERS_PER_TURN = 256
# Numbers that a CPU multiplies at once.
LANES = 8
# Steps to correlate at once.
MAX_PIECE = 256


class StageWeights(NamedTuple):
    """Weigh the samples of a window for one stage: the value at step ``s`` is ``sum_q weights[..., q]
    window[s + base + q]``."""

    base: int
    values: jax.Array  # (..., tap)
    slopes: jax.Array | None


def gather_windows(track: jax.Array, sources: jax.Array, starts: jax.Array, length: int) -> jax.Array:
    """Gather ``length`` samples from ``starts`` on: track ``(..., node, time)`` -> ``(..., target, slot,
    length)``."""
    numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=(2,), collapsed_slice_dims=(0,), start_index_map=(0, 1)
    )
    index = jnp.stack([sources, starts], -1)

    def gather(one):
        return jax.lax.gather(one, index, numbers, (1, length), mode="promise_in_bounds")

    for _ in range(track.ndim - 2):
        gather = jax.vmap(gather)
    return gather(track)


def scatter_windows(track: jax.Array, sources: jax.Array, starts: jax.Array, windows: jax.Array) -> jax.Array:
    """Add windows ``(..., target, slot, length)`` onto a track: the transpose of `gather_windows`."""
    numbers = jax.lax.ScatterDimensionNumbers(
        update_window_dims=(2,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0, 1)
    )
    index = jnp.stack([sources, starts], -1)

    def scatter(one, update):
        return jax.lax.scatter_add(one, index, update, numbers, mode="promise_in_bounds")

    for _ in range(track.ndim - 2):
        scatter = jax.vmap(scatter)
    return scatter(track, windows)


def stage_weights(rule: Interpolation, fraction: jax.Array, offset: float) -> StageWeights:
    """Weigh a window whose first sample is the oldest tap of step 0, for the stage ``offset`` steps into
    each step.

    A stage inside a step moves the stencil of a connection by one sample or not, depending on its
    fraction."""
    base, part = int(offset // 1), offset % 1
    if part == 0:
        return StageWeights(base, *_ordered(rule, fraction))
    early, late = (_ordered(rule, fraction + shift) for shift in (1 - part, -part))
    is_late = (fraction >= part)[..., None]

    def merge(moved, kept):
        if moved is None:
            return None
        return jnp.where(is_late, _padded(kept, 0, 1), _padded(moved, 1, 0))

    return StageWeights(base, *map(merge, early, late))


def _ordered(rule, fraction):
    """Return value and slope weights with the oldest tap first."""
    values = rule.value_weights(fraction)[..., ::-1]
    return values, rule.slope_weights(fraction)[..., ::-1] if rule.slope_taps else None


def _padded(weights, before, after):
    return jnp.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(before, after)])


def blend(windows: jax.Array, weights: jax.Array, base: int, n_steps: int) -> jax.Array:
    """Interpolate every step of a block: ``(..., target, slot, length)`` -> ``(..., target, slot, step)``."""
    return sum(
        weights[..., q, None] * windows[..., base + q : base + q + n_steps] for q in range(weights.shape[-1])
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def blend_in_reverse(windows: jax.Array, weights: jax.Array, base: int, n_steps: int) -> jax.Array:
    """Do what `blend` does, for reverse mode alone, of which the pass back takes a quarter of the time."""
    return blend(windows, weights, base, n_steps)


def _blend_and_keep(windows, weights, base, n_steps):
    return blend(windows, weights, base, n_steps), (windows, weights)


def _blend_back(base, n_steps, kept, bar):
    """Shift by concatenation and sum step by step: a CPU is slow at fused padding and at short sums."""
    windows, weights = kept
    n_taps, length = weights.shape[-1], windows.shape[-1]
    before, after = (
        jnp.zeros((*bar.shape[:-1], n), bar.dtype) for n in (base + n_taps - 1, length - base - n_steps)
    )
    windows_bar = blend(jnp.concatenate([before, bar, after], -1), weights[..., ::-1], 0, length)
    weights_bar = sum(windows[..., base + s : base + s + n_taps] * bar[..., s, None] for s in range(n_steps))
    return windows_bar, weights_bar.sum(tuple(range(weights_bar.ndim - weights.ndim)))


blend_in_reverse.defvjp(_blend_and_keep, _blend_back)


def sum_windows(
    tracks: Sequence[jax.Array],
    sources: jax.Array,
    starts: Sequence[jax.Array],
    taps: Sequence[jax.Array],
    n_steps: int,
    *,
    used: jax.Array | None = None,
    room: int = 0,
    differentiable: bool = False,
) -> jax.Array:
    """Weigh and sum the windows of every target's slots.

    Parameters
    ----------
    tracks : sequence of arrays
        Samples, ``(..., node, time)`` each.
    sources : int array
        The node that each slot reads, ``(target, slot)``.
    starts : sequence of int arrays
        Where windows start, ``(target, slot)``, one per track.
    taps : sequence of arrays
        Weights ``(target, slot, tap)``, one per track.
    n_steps : int
        Steps to sum for.
    used : int array, optional
        How many slots of every target count, ``(target,)``: those behind weigh nothing. It pays if some
        targets have many fewer than others. An even width is faster by far.
    room : int
        How many samples more every track has behind any window: a CPU sums whole vectors faster.
    differentiable : bool
        Whether autodiff must get through; on a CPU that costs about half the speed.

    Returns
    -------
    array
        ``(..., target, step)``.
    """
    if differentiable or jax.default_backend() != "cpu":
        return _sum_gathered(tracks, sources, starts, taps, n_steps)
    summed = _summed_in_place(_whole_vectors(n_steps, room))
    for _ in range(tracks[0].ndim - 2):
        summed = jax.vmap(summed, in_axes=(0, None, None, None, None))
    sources = jnp.asarray(sources, starts[0].dtype)
    used = () if used is None else jnp.asarray(used, int)
    return summed(tuple(tracks), sources, tuple(starts), tuple(taps), used)[..., :n_steps]


def _whole_vectors(n_steps, room):
    """Round up to whole vectors; one more number costs little."""
    return n_steps if n_steps % LANES == 1 else n_steps + min(-n_steps % LANES, room)


def _sum_gathered(tracks, sources, starts, taps, n_steps):
    """Gather the windows of a few targets and multiply them with the weights as small matrices."""

    def total(row):
        sources, starts, taps = row
        result = 0.0
        for track, start, weights in zip(tracks, starts, taps, strict=True):
            n_taps = weights.shape[-1]
            windows = gather_windows(track, sources, start, n_steps + n_taps - 1)
            per_tap = jnp.einsum("ikq,...ikl->...iql", weights, windows)
            result += sum(per_tap[..., q, q : q + n_steps] for q in range(n_taps))
        return jnp.moveaxis(result, -2, 0)

    n_batch = int(np.prod(tracks[0].shape[:-2], dtype=int))
    n_bytes = 4 * sources.shape[-1] * n_steps * len(tracks) * max(1, n_batch)
    rows = jnp.asarray(sources), tuple(starts), tuple(taps)
    return jnp.moveaxis(map_rows(total, rows, n_bytes), 0, -2)


def _summed_in_place(n_steps: int):
    """Return a sum of windows that a CPU runs without ever storing one; a batch becomes one larger sum."""

    @jax.custom_batching.custom_vmap
    def summed(tracks, sources, starts, taps, used):
        return _sum_in_place(tracks, sources, starts, taps, used, n_steps)

    @summed.def_vmap
    def batched(size, is_batched, *arrays):
        def stacked(array, has_axis):
            array = array if has_axis else jnp.broadcast_to(array, (size, *array.shape))
            return array.reshape(-1, *array.shape[2:])

        n_nodes = arrays[0][0].shape[-2]
        tracks, sources, starts, taps, used = jax.tree.map(stacked, arrays, tuple(is_batched))
        first_node = n_nodes * jnp.arange(size, dtype=sources.dtype)
        sources = sources + jnp.repeat(first_node, len(sources) // size)[:, None]
        total = _summed_in_place(n_steps)(tracks, sources, starts, taps, used)
        return total.reshape(size, -1, n_steps), True

    return summed


def _slots_per_turn(width, n_steps, taps, whole_turns):
    """Choose how many slots to work on per turn, so that all loops, or at least the inner one, are compiled
    as a whole; ``whole_turns`` must divide the width."""
    counts = [count for count in (4, 3, 2, 1) if not (whole_turns and width % count)]
    for count in counts:
        if n_steps * (6 + 2 * len(taps) * (count + width % count)) < NUMBERS_PER_TURN:
            return count
    most = max(1, NUMBERS_PER_TURN // (2 * n_steps * sum(w.shape[-1] for w in taps)))
    return next(count for count in counts if count <= most)


def _sum_in_place(tracks, sources, starts, taps, used, n_steps):
    """Loop over targets and slots, of every target those that are ``used``, or all.

    XLA compiles loops of few instructions into one function, so few slots are worked on per turn."""
    n_targets, width = sources.shape
    is_ragged = not isinstance(used, tuple)
    per_turn = _slots_per_turn(width, n_steps, taps, is_ragged)
    n_turns, rest = divmod(width, per_turn)

    def piece(array, corner, shape):
        return jax.lax.dynamic_slice(array, corner, shape, allow_negative_indices=False)

    def add(result, i, k):
        node = piece(sources, (i, k), (1, 1))[0, 0]
        for track, start, weights in zip(tracks, starts, taps, strict=True):
            n_taps = weights.shape[-1]
            first, factors = piece(start, (i, k), (1, 1))[0, 0], piece(weights, (i, k, 0), (1, 1, n_taps))
            window = piece(track, (node, first), (1, n_steps + n_taps - 1))[0]
            for q in range(n_taps):
                result += factors[0, 0, q] * window[q : q + n_steps]
        return result

    def target(i, totals):
        def turn(j, result, count=per_turn):
            for k in range(count):
                result = add(result, i, j * per_turn + k)
            return result

        turns = (piece(used, (i,), (1,))[0] + per_turn - 1) // per_turn if is_ragged else n_turns
        result = jax.lax.fori_loop(0, turns, turn, jnp.zeros(n_steps, tracks[0].dtype))
        result = turn(n_turns, result, rest)
        return jax.lax.dynamic_update_slice(totals, result[None], (i, 0), allow_negative_indices=False)

    return jax.lax.fori_loop(0, n_targets, target, jnp.zeros((n_targets, n_steps), tracks[0].dtype))


def correlate_windows(
    track: jax.Array, sources: jax.Array, starts: jax.Array, values: jax.Array, n_taps: int
) -> jax.Array:
    """Correlate windows with ``values`` ``(..., target, step)`` at every shift: ``(target, slot, tap)``.

    It is the transpose of `sum_windows` in its weights. Long pieces of the run are worked on at once, which
    costs a fraction of what blocks would.
    """
    n_pieces = -(-values.shape[-1] // MAX_PIECE)
    size = -(-values.shape[-1] // n_pieces)
    more = n_pieces * size - values.shape[-1]
    values, track = (
        jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, m)]) for x, m in ((values, more), (track, more + n_taps))
    )
    n_bytes = 4 * sources.shape[-1] * size * max(1, int(np.prod(track.shape[:-2], dtype=int)))

    def piece(total, first):
        def products(row):
            sources, starts, values = row
            windows = gather_windows(track, sources, starts, size + n_taps - 1)
            values = jnp.moveaxis(values, 0, -2)
            before = [(0, 0)] * (values.ndim - 1)
            shifted = [jnp.pad(values, [*before, (q, n_taps - 1 - q)]) for q in range(n_taps)]
            return jnp.einsum("...jkl,...jlq->jkq", windows, jnp.stack(shifted, -1))

        at = jax.lax.dynamic_slice_in_dim(values, first, size, axis=-1)
        rows = jnp.asarray(sources), starts + first, jnp.moveaxis(at, -2, 0)
        return total + map_rows(products, rows, n_bytes), None

    zeros = jnp.zeros((*sources.shape, n_taps), values.dtype)
    return jax.lax.scan(piece, zeros, size * np.arange(n_pieces, dtype=np.int32))[0]


def map_rows(function, rows, n_bytes: int):
    """Apply ``function`` to ``rows``, arrays with a leading axis of nodes, a few at a time so that windows
    stay in the cache.

    ``n_bytes`` is what one row needs; results have the axis of nodes in front.
    """
    n = jax.tree.leaves(rows)[0].shape[0]
    size = max(1, CACHE_BYTES // n_bytes)
    if size >= n:
        return function(rows)
    n_chunks = -(-n // size)
    size = -(-n // n_chunks)

    def chunk(leaf):
        padding = [(0, n_chunks * size - n)] + [(0, 0)] * (leaf.ndim - 1)
        return jnp.pad(leaf, padding).reshape(n_chunks, size, *leaf.shape[1:])

    results = jax.lax.map(function, jax.tree.map(chunk, rows))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:n], results)


def window_length(rule: Interpolation, block: int, last_offset: float) -> int:
    """Count the samples of a window that serves every stage of ``block`` steps."""
    return block - 1 + len(rule.taps) + max(1, math.ceil(last_offset))


def window_starts(rule: Interpolation, lag: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return where windows start, relative to the newest sample at the first step, and the fractions of
    their lags."""
    k, fraction = split(lag, rule.lead)
    return -k - rule.tail, fraction
