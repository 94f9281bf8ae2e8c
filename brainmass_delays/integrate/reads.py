"""How a block reads the tracks, and the transpose of that: by scatter for any coupling, by a mirrored gather for sums.

A sum over connections, ``total_i(s) = sum_k w_ik x_k(s - lag_ik)``, has a transpose of the same form that runs backwards in time:
``xbar_k(t) = sum_i w_ik totalbar_i(t + lag_ik)``. It is a gather again, from the cotangents of the totals, with the same
windows; the gradients in the weights are products with those windows. No scatter is needed, and nothing is stored per connection.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..delays.windows import blend_sum, gather_windows, scatter_windows


class ScatteredReads(NamedTuple):
    """Serve the windows themselves, ``(..., target, slot, length)`` per track; their cotangents are scattered back."""

    sources: np.ndarray
    length: int
    block: int
    origin: int

    def read(self, weights, starts, tracks, first):
        """Gather the windows of a block."""
        return tuple(gather_windows(t, self.sources, starts + first + self.origin, self.length) for t in tracks)

    def begin(self, weights, tracks, n_steps):
        """Return the state of the transposed pass."""
        return ()

    def pull(self, adjoint, weights, starts, tracks, first):
        """Return the cotangents of what a block wrote that are still to come, per track: none."""
        return adjoint, tuple(0.0 for _ in tracks)

    def push(self, adjoint, tracks_bar, starts, seen_bar, first):
        """Take in the cotangents of what a block saw."""
        columns = starts + first + self.origin
        return adjoint, tuple(scatter_windows(t, self.sources, columns, s) for t, s in zip(tracks_bar, seen_bar, strict=True))

    def finish(self, adjoint, weights, starts, tracks, tracks_bar):
        """Return the cotangents of the weights and the tracks."""
        return (), tracks_bar


class MirroredReads(NamedTuple):
    """Serve weighted sums over the slots, ``(step, ..., target)`` per stage.

    ``weights`` holds, for the stages on the grid (0 and 1) and for the half-way stage, one array ``(target, slot, tap)`` per
    track. ``lateness`` is that of the block scan.
    """

    sources: np.ndarray
    length: int
    block: int
    origin: int
    offsets: tuple[float, ...]
    lateness: tuple[int, ...]

    def read(self, weights, starts, tracks, first):
        """Gather the windows of a block and sum them for every stage."""
        windows = [gather_windows(t, self.sources, starts + first + self.origin, self.length) for t in tracks]
        served = {}
        for kind, per_track in weights.items():
            n = self.block + (kind == "grid" and 1.0 in self.offsets)
            total = sum(blend_sum(w, taps, 0, n) for w, taps in zip(windows, per_track, strict=True))
            served |= {c: jnp.moveaxis(total[..., shift : shift + self.block], -1, 0) for c, shift in self._stages(kind)}
        return served

    def _stages(self, kind):
        """Return the stages that a kind of weights serves, and by how many steps each is shifted."""
        return [(c, int(c)) if kind == "grid" else (c, 0) for c in self.offsets if (c == 0.5) == (kind == "half")]

    @property
    def _pad(self):
        return self.origin + self.block + 8

    def begin(self, weights, tracks, n_steps):
        """Return zero cotangents of all totals, with room for the past and for lags beyond the end, and of the weights."""
        lead = tracks[0].shape[:-1]
        length = n_steps + 2 * self._pad + self.block
        totals = {kind: jnp.zeros((*lead, length), tracks[0].dtype) for kind in weights}
        return totals, jax.tree.map(lambda w: jnp.zeros_like(self._by_source(w)), weights)

    def push(self, adjoint, tracks_bar, starts, seen_bar, first):
        """Add the cotangents of a block's totals."""
        totals, weights_bar = adjoint
        totals = dict(totals)
        for kind in totals:
            for c, shift in self._stages(kind):
                totals[kind] = add_columns(totals[kind], jnp.moveaxis(seen_bar[c], 0, -1), self._pad + first + shift)
        return (totals, weights_bar), tracks_bar

    def pull(self, adjoint, weights, starts, tracks, first):
        """Gather the cotangents of what a block wrote from those of all later totals; collect those of the weights."""
        values = tuple(jax.lax.dynamic_slice_in_dim(t, self.origin + 1 - late + first, self.block, axis=-1)
                       for t, late in zip(tracks, self.lateness, strict=True))
        return self._mirror(adjoint, weights, starts, values, first)

    def _mirror(self, adjoint, weights, starts, values, first):
        totals, weights_bar = adjoint
        starts = self._by_source(starts)
        targets, valid = self._targets()
        bars, collected = [0.0] * len(values), {}
        for kind, per_track in weights.items():
            collected[kind] = []
            for r, (taps, late) in enumerate(zip(per_track, self.lateness, strict=True)):
                n_taps = taps.shape[-1]
                columns = self._pad + first + 1 - late - starts - (n_taps - 1)
                window = gather_windows(totals[kind], targets, columns, self.block + n_taps - 1)
                flipped = jnp.where(valid[..., None], self._by_source(taps), 0.0)[..., ::-1]
                bars[r] += blend_sum(window, flipped, 0, self.block)
                collected[kind].append(weights_bar[kind][r] + _tap_products(window, values[r], n_taps))
            collected[kind] = tuple(collected[kind])
        return (totals, collected), tuple(bars)

    def finish(self, adjoint, weights, starts, tracks, tracks_bar):
        """Go on into the history, as far as the longest lag reaches; return the cotangents of weights and tracks."""
        m, width = self.block, self.origin + 1
        pasts = [jnp.pad(t[..., :width], [(0, 0)] * (t.ndim - 1) + [(m, 0)]) for t in tracks]
        n_blocks = jnp.minimum((jnp.max(-starts) + 2 + m) // m, -(-width // m))

        def step(b, state):
            adjoint, past_bars = state
            first = -(b + 1) * m
            columns = [m + width - late + first for late in self.lateness]
            values = tuple(jax.lax.dynamic_slice_in_dim(p, c, m, axis=-1) for p, c in zip(pasts, columns, strict=True))
            adjoint, bars = self._mirror(adjoint, weights, starts, values, first)
            return adjoint, tuple(add_columns(p, bar, c) for p, bar, c in zip(past_bars, bars, columns, strict=True))

        (_, weights_bar), past_bars = jax.lax.fori_loop(0, n_blocks, step, (adjoint, tuple(map(jnp.zeros_like, pasts))))
        tracks_bar = tuple(add_columns(t, p[..., m:], 0) for t, p in zip(tracks_bar, past_bars, strict=True))
        return jax.tree.map(self._by_target, weights_bar), tracks_bar

    # The connections listed by source instead of by target. A full matrix is transposed; lists are regrouped.

    @property
    def _is_full(self):
        n, width = self.sources.shape
        return n == width and np.array_equal(self.sources, np.tile(np.arange(n), (n, 1)))

    def _targets(self):
        """Return the target of every connection of every source, and which entries are padding."""
        if self._is_full:
            return np.tile(np.arange(len(self.sources)), (len(self.sources), 1)), np.ones(self.sources.shape, bool)
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
        source, rank = np.nonzero(valid)
        by_source[:, rows[valid], slots[valid]] = source, rank
        return array[by_source[0], by_source[1]]


def add_columns(track: jax.Array, piece: jax.Array, column) -> jax.Array:
    """Add ``piece`` onto a track from ``column`` on."""
    old = jax.lax.dynamic_slice_in_dim(track, column, piece.shape[-1], axis=-1)
    return jax.lax.dynamic_update_slice_in_dim(track, old + piece, column, axis=-1)


def _tap_products(windows, values, n_taps):
    """Correlate windows ``(..., source, slot, length)`` with values ``(..., source, step)``: one product per tap."""
    n = values.shape[-1]
    products = [jnp.einsum("...jkm,...jm->jk", windows[..., n_taps - 1 - q : n_taps - 1 - q + n], values)
                for q in range(n_taps)]
    return jnp.stack(products, -1)
