"""How a block reads the tracks, and the transpose of that: by scatter for any coupling, by a mirrored
gather for sums.

A sum over connections, ``total_i(s) = sum_k w_ik x_k(s - lag_ik)``, has a transpose of the same form that
runs backwards in time: ``xbar_k(t) = sum_i w_ik totalbar_i(t + lag_ik)``. It is a gather again, from the
cotangents of the totals, with the same windows; the gradients in the weights are products with those
windows. No scatter is needed, and nothing is stored per connection."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .slots import Slots
from .windows import correlate_windows, gather_windows, scatter_windows, sum_windows

# Steps of the history to go back over at once, where blocks are shorter.
PAST_PIECE = 16


class Place(NamedTuple):
    """Say what a table reads in a level: its slots, and where their windows start: ``(target, slot)``."""

    starts: jax.Array
    slots: Slots


class ScatteredReads(NamedTuple):
    """Serve the windows themselves, ``(..., target, slot, length)`` per track; their cotangents are
    scattered back."""

    n_slots: int
    length: int
    block: int
    origin: int
    keeps_seen: bool = False  # windows are many: gather them again in the reverse pass

    def read(self, weights, place, tracks, first):
        """Gather the windows of a block."""
        sources, columns = place.slots.sources, place.starts + first + self.origin
        return tuple(gather_windows(t, sources, columns, self.length) for t in tracks)

    def begin(self, weights, tracks, n_steps):
        """Return the state of the transposed pass."""
        return ()

    def transposed(self, weights, place):
        """Return what every block's `pull` needs."""
        return ()

    def pull(self, adjoint, transposed, first):
        """Return the cotangents of what a block wrote that are still to come, per track: none."""
        return ()

    def push(self, adjoint, tracks_bar, place, seen_bar, first):
        """Take in the cotangents of what a block saw."""
        sources, columns = place.slots.sources, place.starts + first + self.origin
        return adjoint, tuple(
            scatter_windows(t, sources, columns, s) for t, s in zip(tracks_bar, seen_bar, strict=True)
        )

    def of_weights(self, adjoint, weights, place, tracks, steps):
        """Return the cotangents of the weights: there are none."""
        return ()

    def add_past(self, tracks_bar, adjoint, transposed, place, done):
        """Add the cotangents of the history that `push` did not know: none."""
        return tracks_bar


class MirroredReads(NamedTuple):
    """Serve weighted sums over the slots, ``(step, ..., target)`` per stage; what is not valid weighs zero.

    ``weights`` holds, for every fraction of a step at which stages lie, one array ``(target, slot, tap)`` per
    track. ``lateness`` is that of these tracks in the block scan; ``differentiable`` asks for a `read` that
    autodiff gets through."""

    n_slots: int
    length: int
    block: int
    origin: int
    offsets: tuple[float, ...]
    lateness: tuple[int, ...]
    differentiable: bool = False
    keeps_seen: bool = True  # sums are few: keep them for the reverse pass

    def read(self, weights, place, tracks, first):
        """Sum the windows of a block for every stage."""
        columns = [place.starts + first + self.origin] * len(tracks)
        served = {}
        for kind, taps in weights.items():
            n_steps = self.length - taps[0].shape[-1] + 1
            # All known samples lie behind the block that is to come: there is room for its steps.
            total = sum_windows(
                tracks,
                place.slots.sources,
                columns,
                taps,
                n_steps,
                used=place.slots.used,
                room=self.block - 1,
                differentiable=self.differentiable,
            )
            served |= {
                c: jnp.moveaxis(total[..., shift : shift + self.block], -1, 0)
                for c, shift in self._stages(kind)
            }
        return served

    def begin(self, weights, tracks, n_steps):
        """Return zero cotangents of all totals, with room for the past and for lags beyond the end."""
        lead, n_targets = tracks[0].shape[:-2], jax.tree.leaves(weights)[0].shape[0]
        shape = (*lead, n_targets, n_steps + 2 * self._pad + 2 * self.block)
        return {kind: jnp.zeros(shape, tracks[0].dtype) for kind in weights}

    def transposed(self, weights, place):
        """List the connections by source: their targets, which of them count, where their windows of totals
        start at step 0, and their weights."""
        listed = place.slots.by_source
        flipped = jax.tree.map(
            lambda taps: jnp.where(listed.valid[..., None], listed.take(taps), 0.0)[..., ::-1], weights
        )
        return listed.targets, listed.used, self._pad + 1 - listed.take(place.starts), flipped

    def push(self, adjoint, tracks_bar, place, seen_bar, first):
        """Add the cotangents of a block's totals."""
        totals = dict(adjoint)
        for kind in totals:
            for c, shift in self._stages(kind):
                totals[kind] = add_columns(
                    totals[kind], jnp.moveaxis(seen_bar[c], 0, -1), self._pad + first + shift
                )
        return totals, tracks_bar

    def pull(self, adjoint, transposed, first, n_steps=None):
        """Gather the cotangents of what stands at the columns of some steps, by default a block, from those
        of all later totals."""
        n_steps = n_steps or self.block
        targets, used, oldest, flipped = transposed
        bars = [0.0] * len(self.lateness)
        for kind, per_track in flipped.items():
            for r, (taps, late) in enumerate(zip(per_track, self.lateness, strict=True)):
                start = oldest + first - late - taps.shape[-1] + 1
                bars[r] += sum_windows(
                    [adjoint[kind]], targets, [start], [taps], n_steps, used=used, room=self.block
                )
        return bars

    def of_weights(self, adjoint, weights, place, tracks, steps):
        """Return the cotangents of the weights."""
        done, n_steps = steps
        columns = place.starts + done + self.origin
        weights_bar = {}
        for kind, taps in weights.items():
            end = self._pad + done + n_steps + max(shift for _, shift in self._stages(kind))
            total = adjoint[kind][..., self._pad + done : end]
            weights_bar[kind] = tuple(
                correlate_windows(track, place.slots.sources, columns, total, t.shape[-1])
                for track, t in zip(tracks, taps, strict=True)
            )
        return weights_bar

    def add_past(self, tracks_bar, adjoint, transposed, place, done):
        """Add the cotangents of the tracks as far as the longest lag reaches back from the step ``done``."""
        m, width = self._past, self.origin + 1 + done
        pasts = tuple(jnp.zeros((*t.shape[:-1], m + width), t.dtype) for t in tracks_bar)

        def step(b, past_bars):
            first = done - (b + 1) * m
            bars = self.pull(adjoint, transposed, first, m)
            return tuple(
                add_columns(p, bar, m + self.origin + 1 - late + first)
                for p, bar, late in zip(past_bars, bars, self.lateness, strict=True)
            )

        n_blocks = jnp.minimum((jnp.max(-place.starts) + 2 + m) // m, -(-width // m))
        past_bars = jax.lax.fori_loop(0, n_blocks, step, pasts)
        return tuple(add_columns(t, p[..., m:], 0) for t, p in zip(tracks_bar, past_bars, strict=True))

    def _stages(self, kind):
        """Return the stages that a kind of weights serves, and by how many steps each is shifted."""
        return [(c, int(c // 1)) for c in self.offsets if c % 1 == kind]

    @property
    def _past(self):
        """Count the steps of the past to pull at once."""
        return max(self.block, PAST_PIECE)

    @property
    def _pad(self):
        return self.origin + self._past + 8


class TableReads(NamedTuple):
    """Serve what several tables read of the tracks; each entry has its own reads, the tracks that these read,
    and the number of its table, whose weights and place it uses."""

    reads: tuple
    tracks: tuple[tuple[int, ...], ...]
    tables: tuple[int, ...]

    @property
    def n_slots(self) -> int:
        """Count what is read."""
        return sum(r.n_slots for r in self.reads)

    @property
    def scatters(self) -> bool:
        """Whether any cotangents are scattered onto the tracks."""
        return not all(r.keeps_seen for r in self.reads)

    def read(self, weights, places, tracks, first):
        """Return what every entry reads for a block."""
        return tuple(
            r.read(weights[k], places[k], [tracks[j] for j in own], first) for r, own, k in self._entries()
        )

    def kept(self, seen):
        """Return what the reverse pass keeps of what was seen."""
        return tuple(x if r.keeps_seen else () for x, r in zip(seen, self.reads, strict=True))

    def again(self, kept, weights, places, tracks, first):
        """Return what was seen from what was kept of it."""
        return tuple(
            x if r.keeps_seen else r.read(weights[k], places[k], [tracks[j] for j in own], first)
            for x, (r, own, k) in zip(kept, self._entries(), strict=True)
        )

    def begin(self, weights, tracks, n_steps):
        """Return the state of the transposed pass."""
        return tuple(r.begin(weights[k], [tracks[j] for j in own], n_steps) for r, own, k in self._entries())

    def transposed(self, weights, places):
        """Return what every block's `pull` needs."""
        return tuple(r.transposed(weights[k], places[k]) for r, _, k in self._entries())

    def pull(self, adjoint, transposed, first):
        """Return the cotangents of what a block wrote that are still to come, by track."""
        bars = {}
        for (r, own, _), a, t in zip(self._entries(), adjoint, transposed, strict=True):
            for j, bar in zip(own, r.pull(a, t, first), strict=False):
                bars[j] = bars[j] + bar if j in bars else bar
        return bars

    def push(self, adjoint, tracks_bar, places, seen_bar, first):
        """Take in the cotangents of what a block saw."""
        new, tracks_bar = [], list(tracks_bar)
        for (r, own, k), a, seen in zip(self._entries(), adjoint, seen_bar, strict=True):
            given = tuple(tracks_bar[j] for j in own) if tracks_bar else ()
            a, changed = r.push(a, given, places[k], seen, first)
            for j, bar in zip(own, changed, strict=False):
                tracks_bar[j] = bar
            new.append(a)
        return tuple(new), tuple(tracks_bar)

    def of_weights(self, adjoint, weights, places, tracks, steps):
        """Return the cotangents of the weights of all tables."""
        bars = jax.tree.map(jnp.zeros_like, weights)
        for (r, own, k), a in zip(self._entries(), adjoint, strict=True):
            more = r.of_weights(a, weights[k], places[k], [tracks[j] for j in own], steps)
            bars = (*bars[:k], jax.tree.map(jnp.add, bars[k], more), *bars[k + 1 :])
        return bars

    def add_past(self, tracks_bar, adjoint, transposed, places, done):
        """Add the cotangents of the tracks as far as the longest lag reaches back from the step ``done``."""
        tracks_bar = list(tracks_bar)
        for (r, own, k), a, t in zip(self._entries(), adjoint, transposed, strict=True):
            changed = r.add_past([tracks_bar[j] for j in own], a, t, places[k], done)
            for j, bar in zip(own, changed, strict=True):
                tracks_bar[j] = bar
        return tuple(tracks_bar)

    def _entries(self):
        return zip(self.reads, self.tracks, self.tables, strict=True)


def add_columns(track: jax.Array, piece: jax.Array, column) -> jax.Array:
    """Add ``piece`` onto a track from ``column`` on."""
    old = jax.lax.dynamic_slice_in_dim(track, column, piece.shape[-1], axis=-1)
    return jax.lax.dynamic_update_slice_in_dim(track, old + piece, column, axis=-1)
