"""Blocks of steps whose delayed reads are all known when the block starts, shorter blocks within them, and
the pass forward over all."""

from typing import NamedTuple

import jax
import numpy as np

from .block_reads import TableReads, add_columns


class Blocks(NamedTuple):
    """Fix the blocks of one level: ``size`` steps each, ``count`` of them within a longer one, or, of the
    longest, in all; and how they read."""

    size: int
    count: int
    reads: TableReads

    def cut(self, xs):
        """Cut inputs with a leading axis of steps into those of each block."""
        return jax.tree.map(lambda leaf: leaf.reshape(self.count, self.size, *leaf.shape[1:]), xs)


class BlockScan(NamedTuple):
    """Fix the sizes of a scan over blocks.

    Tracks are ``(..., node, time)``; column ``origin`` holds the initial sample and step ``n`` writes
    column ``origin + 1 + n``, or ``lateness`` columns earlier: a slope belongs to the start of its step.
    ``levels`` of blocks lie within each other, the longest first; the steps of the shortest see ``recent``,
    the last ``n_recent`` columns before their block. ``done`` steps precede the first block."""

    levels: tuple[Blocks, ...]
    origin: int
    n_recent: int
    lateness: tuple[int, ...]
    done: int = 0

    @property
    def n_steps(self) -> int:
        """Count the steps of the scan."""
        return self.levels[0].size * self.levels[0].count

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

    def written(self, tracks, first, n_steps):
        """Return the columns that some steps write."""
        return tuple(
            jax.lax.dynamic_slice_in_dim(t, c, n_steps, axis=-1)
            for t, c in zip(tracks, self._written(first), strict=True)
        )

    def add_recent(self, tracks_bar, recent_bar, first):
        """Add cotangents of the newest columns before a block."""
        start = self._oldest_recent(first)
        return tuple(add_columns(t, r, start) for t, r in zip(tracks_bar, recent_bar, strict=True))

    def before(self, tracks_bar):
        """Keep the cotangents of the columns that no block of this scan writes."""
        return tuple(
            t.at[..., c : c + self.n_steps].set(0.0)
            for t, c in zip(tracks_bar, self._written(self.done), strict=True)
        )

    def _oldest_recent(self, first):
        return self.origin + 1 - self.n_recent + first

    def _written(self, first):
        return [self.origin + 1 - late + first for late in self.lateness]


class Forward:
    """Run the blocks of a scan; with ``keeps`` also return, by block, what a reverse pass needs."""

    def __init__(self, sizes, weights, places, calls, values, keeps=False):
        self.sizes, self.weights, self.places, self.keeps = sizes, weights, places, keeps
        *self.serves, self.steps = [
            lambda *args, call=call, own=own: call(*args, own)
            for call, own in zip(calls, values, strict=True)
        ]

    def run(self, carry, tracks, xs, start, depth=0):
        """Run all blocks of one level from step ``start`` on."""
        sizes, blocks, serve = self.sizes, self.sizes.levels[depth], self.serves[depth]

        def advance(state, inputs):
            carry, tracks = state
            b, x = inputs
            first = start + b * blocks.size
            seen = blocks.reads.read(self.weights[depth], self.places[depth], tracks, first)
            kept = (carry, blocks.reads.kept(seen)) if self.keeps else ()
            x = serve(carry, seen, x, first)
            if depth + 1 < len(sizes.levels):
                carry, tracks, out, within = self.run(carry, tracks, x, first, depth + 1)
            else:
                carry, new, out = self.steps(carry, sizes.recent(tracks, first), x, first)
                tracks, within = sizes.write(tracks, new, first), ()
            return (carry, tracks), (out, (kept, within))

        indices = np.arange(blocks.count, dtype=np.int32)
        (carry, tracks), (outs, kept) = jax.lax.scan(advance, (carry, tracks), (indices, blocks.cut(xs)))
        return carry, tracks, joined(outs), kept


def joined(blocks):
    """Join the leading axes of blocks and of their steps."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), blocks)
