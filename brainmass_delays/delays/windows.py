"""Read many steps at once: the samples one connection needs for a block of steps are one contiguous
window."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .interpolation import Interpolation, split

# Windows worked on at once should stay in a core's second-level cache.
CACHE_BYTES = 192 * 1024


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

    ``offset`` is 0, 0.5 or 1. Half a step moves the stencil of a connection by one sample or not, depending
    on its fraction."""
    if offset in (0.0, 1.0):
        return StageWeights(int(offset), *_ordered(rule, fraction))
    early, late = (_ordered(rule, fraction + shift) for shift in (0.5, -0.5))
    is_late = (fraction >= offset)[..., None]

    def merge(moved, kept):
        if moved is None:
            return None
        return jnp.where(is_late, _padded(kept, 0, 1), _padded(moved, 1, 0))

    return StageWeights(0, *map(merge, early, late))


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


def weigh_and_sum(windows: jax.Array, taps: jax.Array) -> jax.Array:
    """Weigh and sum windows over the slots: ``(..., target, slot, length)``, ``(target, slot, tap)`` ->
    ``(..., target, step)``.

    One product of small matrices per target reads every window once; the taps are added afterwards.
    """
    per_tap = jnp.einsum("ikq,...ikl->...iql", taps, windows)
    n_taps, n_steps = taps.shape[-1], windows.shape[-1] - taps.shape[-1] + 1
    return sum(per_tap[..., q, q : q + n_steps] for q in range(n_taps))


def correlate(windows: jax.Array, values: jax.Array) -> jax.Array:
    """Correlate windows ``(..., node, slot, length)`` with values ``(..., node, step)`` at every shift,
    ``(node, slot, tap)``."""
    n_taps = windows.shape[-1] - values.shape[-1] + 1
    shifted = [jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(q, n_taps - 1 - q)]) for q in range(n_taps)]
    return jnp.einsum("...jkl,...jlq->jkq", windows, jnp.stack(shifted, -1))


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


def window_length(rule: Interpolation, block: int) -> int:
    """Count the samples of a window that serves every stage of ``block`` steps."""
    return block + len(rule.taps)


def window_starts(rule: Interpolation, lag: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return where windows start, relative to the newest sample at the first step, and the fractions of
    their lags."""
    k, fraction = split(lag, rule.lead)
    return -k - rule.tail, fraction
