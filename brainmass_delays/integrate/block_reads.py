"""How a block reads the tracks, and the transpose of that: by scatter for any coupling, by a mirrored
gather for sums.

A sum over connections, ``total_i(s) = sum_k w_ik x_k(s - lag_ik)``, has a transpose of the same form that
runs backwards in time: ``xbar_k(t) = sum_i w_ik totalbar_i(t + lag_ik)``. It is a gather again, from the
cotangents of the totals, with the same windows; the gradients in the weights are products with those
windows. No scatter is needed, and nothing is stored per connection."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..delays.windows import correlate, gather_windows, map_rows, scatter_windows, weigh_and_sum


class ScatteredReads(NamedTuple):
    """Serve the windows themselves, ``(..., target, slot, length)`` per track; their cotangents are
    scattered back."""

    sources: np.ndarray
    length: int
    block: int
    origin: int
    keeps_seen: bool = False  # windows are many: gather them again in the reverse pass

    def read(self, weights, starts, tracks, first):
        """Gather the windows of a block."""
        return tuple(
            gather_windows(t, self.sources, starts + first + self.origin, self.length) for t in tracks
        )

    def begin(self, weights, tracks, n_steps):
        """Return the state of the transposed pass."""
        return ()

    def pull(self, adjoint, weights, starts, tracks, first):
        """Return the cotangents of what a block wrote that are still to come, per track: none."""
        return adjoint, tuple(0.0 for _ in tracks)

    def push(self, adjoint, tracks_bar, starts, seen_bar, first):
        """Take in the cotangents of what a block saw."""
        columns = starts + first + self.origin
        return adjoint, tuple(
            scatter_windows(t, self.sources, columns, s) for t, s in zip(tracks_bar, seen_bar, strict=True)
        )

    def finish(self, adjoint, weights, starts, tracks, tracks_bar, done):
        """Return the cotangents of the weights and the tracks."""
        return (), tracks_bar


class MirroredReads(NamedTuple):
    """Serve weighted sums over the slots, ``(step, ..., target)`` per stage.

    ``weights`` holds, for the stages on the grid (0 and 1) and for the half-way stage, one array ``(target,
    slot, tap)`` per track. ``lateness`` is that of the block scan."""

    sources: np.ndarray
    length: int
    block: int
    origin: int
    offsets: tuple[float, ...]
    lateness: tuple[int, ...]
    keeps_seen: bool = True  # sums are few: keep them for the reverse pass

    def read(self, weights, starts, tracks, first):
        """Gather the windows of a block and sum them for every stage."""

        def sums(rows):
            sources, columns, weights = rows
            windows = [gather_windows(t, sources, columns, self.length) for t in tracks]
            return {
                kind: jnp.moveaxis(sum(map(weigh_and_sum, windows, taps)), -2, 0)
                for kind, taps in weights.items()
            }

        rows = jnp.asarray(self.sources), starts + first + self.origin, weights
        served = {}
        for kind, total in map_rows(sums, rows, self._row_bytes(tracks)).items():
            total = jnp.moveaxis(total, 0, -2)
            served |= {
                c: jnp.moveaxis(total[..., shift : shift + self.block], -1, 0)
                for c, shift in self._stages(kind)
            }
        return served

    def begin(self, weights, tracks, n_steps):
        """Return zero cotangents of all totals, with room for the past and for lags beyond the end, and of
        the weights."""
        lead = tracks[0].shape[:-1]
        totals = {
            kind: jnp.zeros((*lead, n_steps + 2 * self._pad + self.block), tracks[0].dtype)
            for kind in weights
        }
        return totals, jax.tree.map(lambda w: jnp.zeros_like(self._by_source(w)), weights)

    def push(self, adjoint, tracks_bar, starts, seen_bar, first):
        """Add the cotangents of a block's totals."""
        totals, weights_bar = dict(adjoint[0]), adjoint[1]
        for kind in totals:
            for c, shift in self._stages(kind):
                totals[kind] = add_columns(
                    totals[kind], jnp.moveaxis(seen_bar[c], 0, -1), self._pad + first + shift
                )
        return (totals, weights_bar), tracks_bar

    def pull(self, adjoint, weights, starts, tracks, first):
        """Gather the cotangents of what a block wrote from those of all later totals; collect those of the
        weights."""
        values = [
            jax.lax.dynamic_slice_in_dim(t, self.origin + 1 - late + first, self.block, axis=-1)
            for t, late in zip(tracks, self.lateness, strict=True)
        ]
        return self._mirror(adjoint, weights, starts, values, first)

    def finish(self, adjoint, weights, starts, tracks, tracks_bar, done):
        """Go on into what precedes step ``done``, as far as the longest lag reaches.

        Return the cotangents of weights and tracks.
        """
        m, width = self.block, self.origin + 1 + done
        pasts = [jnp.pad(t[..., :width], [(0, 0)] * (t.ndim - 1) + [(m, 0)]) for t in tracks]
        n_blocks = jnp.minimum((jnp.max(-starts) + 2 + m) // m, -(-width // m))

        def step(b, state):
            adjoint, past_bars = state
            first = done - (b + 1) * m
            columns = [m + self.origin + 1 - late + first for late in self.lateness]
            values = [
                jax.lax.dynamic_slice_in_dim(p, c, m, axis=-1) for p, c in zip(pasts, columns, strict=True)
            ]
            adjoint, bars = self._mirror(adjoint, weights, starts, values, first)
            return adjoint, tuple(
                add_columns(p, bar, c) for p, bar, c in zip(past_bars, bars, columns, strict=True)
            )

        (_, weights_bar), past_bars = jax.lax.fori_loop(
            0, n_blocks, step, (adjoint, tuple(map(jnp.zeros_like, pasts)))
        )
        tracks_bar = tuple(add_columns(t, p[..., m:], 0) for t, p in zip(tracks_bar, past_bars, strict=True))
        return jax.tree.map(self._by_target, weights_bar), tracks_bar

    def _mirror(self, adjoint, weights, starts, values, first):
        """Gather from the totals what reaches ``values``, what stood at the columns of block ``first``."""
        totals, weights_bar = adjoint
        targets, valid = self._targets()
        oldest = self._pad + first + 1 - self._by_source(starts)
        flipped = jax.tree.map(
            lambda taps: jnp.where(valid[..., None], self._by_source(taps), 0.0)[..., ::-1], weights
        )

        def mirror(rows):
            targets, oldest, flipped, values = rows
            bars, products = [0.0] * len(values), {}
            for kind, per_track in flipped.items():
                products[kind] = []
                for r, (taps, late) in enumerate(zip(per_track, self.lateness, strict=True)):
                    more = taps.shape[-1] - 1
                    window = gather_windows(totals[kind], targets, oldest - late - more, self.block + more)
                    bars[r] += jnp.moveaxis(weigh_and_sum(window, taps), -2, 0)
                    products[kind].append(correlate(window, jnp.moveaxis(values[r], 0, -2))[..., ::-1])
                products[kind] = tuple(products[kind])
            return bars, products

        rows = jnp.asarray(targets), oldest, flipped, [jnp.moveaxis(v, -2, 0) for v in values]
        bars, products = map_rows(mirror, rows, self._row_bytes(values))
        weights_bar = jax.tree.map(jnp.add, weights_bar, products)
        return (totals, weights_bar), tuple(jnp.moveaxis(bar, 0, -2) for bar in bars)

    def _stages(self, kind):
        """Return the stages that a kind of weights serves, and by how many steps each is shifted."""
        return [(c, int(c)) for c in self.offsets if (c == 0.5) == (kind == "half")]

    def _row_bytes(self, tracks):
        n_batch = int(np.prod(tracks[0].shape[:-2], dtype=int))
        return 4 * self.sources.shape[-1] * self.length * len(tracks) * max(1, n_batch)

    @property
    def _pad(self):
        return self.origin + self.block + 8

    # The connections listed by source instead of by target. A full matrix is transposed; lists are regrouped.

    @property
    def _is_full(self):
        n, width = self.sources.shape
        return n == width and np.array_equal(self.sources, np.tile(np.arange(n), (n, 1)))

    def _targets(self):
        """Return the target of every connection of every source, and which entries are not padding."""
        if self._is_full:
            return np.tile(np.arange(len(self.sources)), (len(self.sources), 1)), np.ones(
                self.sources.shape, bool
            )
        rows, _, valid = self._regrouped()
        return rows, valid

    def _regrouped(self):
        """List the slots by source: their targets, their slots, and which entries are valid."""
        n, width = self.sources.shape
        flat = self.sources.ravel()
        order = np.argsort(flat, kind="stable")
        rank = np.arange(flat.size) - np.searchsorted(flat[order], flat[order])
        rows = np.zeros((n, int(rank.max()) + 1), int)
        slots, valid = np.zeros_like(rows), np.zeros(rows.shape, bool)
        rows[flat[order], rank], slots[flat[order], rank] = order // width, order % width
        valid[flat[order], rank] = True
        return rows, slots, valid

    def _by_source(self, array):
        if self._is_full:
            return jnp.swapaxes(array, 0, 1)
        rows, slots, _ = self._regrouped()
        return array[rows, slots]

    def _by_target(self, array):
        if self._is_full:
            return jnp.swapaxes(array, 0, 1)
        rows, slots, valid = self._regrouped()
        by_source = np.zeros((2, *self.sources.shape), int)
        by_source[:, rows[valid], slots[valid]] = np.nonzero(valid)
        return array[by_source[0], by_source[1]]


def add_columns(track: jax.Array, piece: jax.Array, column) -> jax.Array:
    """Add ``piece`` onto a track from ``column`` on."""
    old = jax.lax.dynamic_slice_in_dim(track, column, piece.shape[-1], axis=-1)
    return jax.lax.dynamic_update_slice_in_dim(track, old + piece, column, axis=-1)
