"""Run one span of steps in blocks of prefetched reads, blocks within them, and steps."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..delays import buffer as ring_buffer
from ..noise import normals
from .block_reads import TableReads
from .blocks import Blocks, BlockScan
from .layout import Frame
from .levels import LevelReads
from .scan import block_scan

# Normal numbers to draw for a span at once: a few per block cost four times as much. Of more, every block
# draws its own.
DRAWN = 2**23


class Carry(NamedTuple):
    """Hold what one step hands to the next: the states that it writes, and by group with slopes the jump of
    the slope at the initial time."""

    states: list
    jumps: dict


class Given(NamedTuple):
    """Hold what stands still during a run.

    ``fixed`` are the states that the step does not write; ``consts`` and ``literals`` what it closes over;
    ``featured`` the states and the constants of the features; ``slots`` by level and table what blocks read;
    ``draws`` the key and the count of every noise when the run began; ``lags`` and ``weights`` are by table,
    ``singles`` both of what is read singly; ``left`` and ``age`` by group: the slope before the initial time,
    and how long ago that was when the run began, in steps; ``first`` is the index of the run's first step."""

    fixed: list
    consts: list
    featured: tuple[list, list]
    literals: list
    slots: list
    draws: list
    lags: list
    weights: list
    singles: list
    left: dict
    age: dict
    first: Any


class StepCall(NamedTuple):
    """Hold one traced step: ``call(states, consts, *arguments) -> states, results``, which states it
    writes, what its noises draw, and what is computed from the signals of many steps at once,
    ``features(states, consts, signals) -> states, features``."""

    call: Callable
    is_written: tuple[bool, ...]
    draws: tuple[tuple, ...]
    features: Callable

    def join(self, written, fixed):
        """Return all states from those that the step writes and the rest."""
        written, fixed = iter(written), iter(fixed)
        return [next(written if w else fixed) for w in self.is_written]

    def written(self, states):
        """Return the states that the step writes."""
        return [state for state, w in zip(states, self.is_written, strict=True) if w]


class Span:
    """Advance a model over one span.

    Parameters
    ----------
    frame : Frame
        What is read from where.
    step : StepCall
        One step.
    given : Given
        What stands still.
    base : int array
        Steps of the run before this span.
    lean : bool
        Use the adjoint that recomputes blocks; False for plain autodiff, forward or reverse.
    """

    def __init__(self, frame: Frame, step: StepCall, given: Given, base: Any, lean: bool):
        self.frame, self.step, self.given, self.base, self.lean = frame, step, given, base, lean
        self.levels = [
            {
                k: LevelReads(
                    slots, level.shortest[k], given.lags[k], given.weights[k], table.rule, table.offsets, lean
                )
                for k, (slots, table) in enumerate(zip(of_tables, frame.tables, strict=True))
                if slots is not None
            }
            for level, of_tables in zip(frame.levels, given.slots, strict=True)
        ]

    def run(self, n_steps: int, carry: Carry, pasts: tuple, rows: Any):
        """Advance by ``n_steps``; return the carry, the newest past, and what every step returned."""
        tracks = tuple(with_room(past, n_steps) for past in pasts)
        served = {"rows": rows, "tables": {k: {} for k in range(len(self.frame.tables))}}
        if n_steps * sum(math.prod(shape) * (batch or 1) for shape, batch, _ in self.step.draws) <= DRAWN:
            served["normals"] = self._draw(0, n_steps)
        carry, new, out = self._blocks(carry, tracks, served, n_steps)
        newest = tuple(
            with_room(jnp.concatenate([past[..., : past.shape[-1] - late], more], -1), late)[
                ..., -past.shape[-1] :
            ]
            for past, more, late in zip(pasts, new, self.frame.lateness, strict=True)
        )
        return carry, newest, out

    # ------------------------------------------------------------------------------------------- blocks

    def _blocks(self, carry: Carry, tracks: tuple, xs: dict, n_steps: int):
        """Run all steps in blocks; return the carry, what the steps put into the tracks, and what they
        returned."""
        frame, outs, done = self.frame, [], 0
        # the column of the sample at which the steps begin
        origin, lateness = (tracks[0].shape[-1] - n_steps - 1 if tracks else 0), frame.lateness
        places, taps = (tuple(self._by_table(r, name) for r in self.levels) for name in ("place", "taps"))
        for nested in divide(n_steps, tuple(level.block for level in frame.levels)):
            levels, serves = [], []
            for reads, (block, count) in zip(self.levels, nested, strict=True):
                levels.append(Blocks(block, count, self._table_reads(reads, block, origin)))
                serves.append(partial(self._serve_block, reads, block))
            sizes = BlockScan(tuple(levels), origin, frame.n_recent, lateness, done)
            own = jax.tree.map(lambda x, a=done, b=done + sizes.n_steps: x[a:b], xs)
            steps = partial(self._steps, block)
            carry, tracks, out = block_scan(
                sizes, serves, steps, carry, tracks, own, taps, places, lean=self.lean
            )
            outs.append(out)
            done += sizes.n_steps
        new = tuple(
            t[..., origin + 1 - late : origin + 1 - late + n_steps]
            for t, late in zip(tracks, lateness, strict=True)
        )
        return carry, new, jax.tree.map(lambda *p: p[0] if len(p) == 1 else jnp.concatenate(p), *outs)

    def _serve_block(self, reads, block, carry, seen, xs, first):
        """Add what one level reads, and the normals where no longer block drew them, to a block's inputs."""
        if "normals" not in xs:
            xs = xs | {"normals": self._draw(first, block)}
        return xs | {"tables": self._serve(reads, xs["tables"], seen, carry, first, block)}

    def _by_table(self, reads, name):
        return tuple(getattr(reads[k], name) if k in reads else () for k in range(len(self.frame.tables)))

    def _table_reads(self, reads, block, origin):
        """Return how one level reads the tracks: one entry per table, or per feature of a summed one."""
        entries = []
        for k, level in reads.items():
            for g in self.frame.groups_of[k]:
                tracks = tuple(j for j in self.frame.tracks[g] if j is not None)
                late = tuple(self.frame.lateness[j] for j in tracks)
                entries.append((level.reads(block, origin, late), tracks, k))
        return TableReads(*(zip(*entries, strict=True) if entries else ((), (), ())))

    def _serve(self, reads, served, seen, carry, first, block):
        """Return what this level serves, merged with what longer blocks served, by table and stage."""
        served, seen = dict(served), iter(seen)
        for k, level in reads.items():
            more = {}
            for f, g in enumerate(self.frame.groups_of[k]):
                jump = carry.jumps.get(g)
                age = None if jump is None else self.given.age[g] + self.base + first
                found = level.serve(next(seen), jump, age, block)
                more |= {(f, c): value for c, value in found.items()} if level.is_summed else found
            served[k] = level.merge(served.get(k, {}), more)
        return served

    def _draw(self, first, n_steps):
        """Draw the normal numbers of some steps."""
        draws = zip(self.step.draws, self.given.draws, strict=True)
        return [normals(key, count + self.base + first, n_steps, *d) for d, (key, count) in draws]

    # -------------------------------------------------------------------------------------------- steps

    def _steps(self, n_steps: int, carry: Carry, recent: tuple, served: dict, first: Any):
        """Run ``n_steps`` one by one; return the carry, what they put into the tracks, and what they
        returned."""
        given, frame = self.given, self.frame
        recents = {g: self._recent(g, recent, carry, first) for g in frame.singles}

        def one(state, xs):
            carry, recents = state
            i, served = xs
            at = self.base + i
            ages = {g: age + at for g, age in given.age.items()}
            states, (recents, jumps, new, out) = self.step.call(
                self.step.join(carry.states, given.fixed), given.consts, given.first + at, i - first, served,
                recents, carry.jumps, ages, given.left, given.singles, given.weights, given.literals,
            )  # fmt: skip
            return (Carry(self.step.written(states), jumps), recents), (new, out)

        xs = first + jnp.arange(n_steps, dtype=jnp.int32), served
        # Not unrolled: several steps of a four-stage method per turn cost XLA minutes of compilation.
        (carry, _), (new, out) = jax.lax.scan(one, (carry, recents), xs)
        new |= self._features({g: new[frame.tracks[g][0]] for g in frame.featured})
        return carry, tuple(jnp.moveaxis(new[j], 0, -1) for j in sorted(new)), out

    def _features(self, signals):
        """Return, by track, the features of signals with a leading axis of steps."""
        if not signals:
            return {}
        return jax.vmap(lambda one: self.step.features(*self.given.featured, one)[1])(signals)

    def _recent(self, g, recent, carry, first):
        """Return the newest samples of a group with room for a block as long as planned; its newest slope,
        which no step has found yet, is estimated."""
        values, slopes = self.frame.tracks[g]
        room = self.frame.levels[-1].block
        newest = with_room(recent[values], room)
        if slopes is None:
            return newest, ()
        found = with_room(recent[slopes], room)
        rings = [ring_buffer.Ring(x, jnp.int32(self.frame.n_recent - 1)) for x in (newest, found)]
        age = self.given.age[g] + self.base + first
        # At the initial time the history knows its own slope.
        slope = jnp.where(
            age == 0,
            self.given.left[g],
            ring_buffer.estimate_slope(*rings, ring_buffer.Kink(carry.jumps[g], age)),
        )
        return newest, ring_buffer.replace_newest(rings[1], slope).values


def with_room(track, n_steps):
    """Add empty columns at the end."""
    if not n_steps:
        return track
    return jnp.concatenate([track, jnp.zeros((*track.shape[:-1], n_steps), track.dtype)], -1)


def divide(n_steps: int, blocks: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """Divide steps into blocks, and each into the blocks within it.

    Return one entry per stretch of the run: by level the length of a block, a multiple of the next, and how
    many there are within one block before it. Blocks are up to a half shorter than planned if one stretch is
    enough then; else the remainder is a stretch of its own."""
    if not n_steps:
        return []
    lengths = max(_nested(n_steps, blocks), key=math.prod, default=None)
    if lengths is None:
        lengths = [min(blocks[-1], n_steps)]
        for block in reversed(blocks[:-1]):
            lengths.insert(0, min(block, n_steps) // lengths[0] * lengths[0])
    whole = n_steps - n_steps % lengths[0]
    counts = (a // b for a, b in zip((whole, *lengths), lengths, strict=False))
    return [list(zip(lengths, counts, strict=True)), *divide(n_steps - whole, blocks)]


def _nested(n_steps, blocks):
    """List the lengths of blocks that divide the steps, and one another, without remainder."""
    if not blocks:
        return [()]
    block = min(blocks[0], n_steps)
    sizes = (size for size in range(block, block // 2, -1) if n_steps % size == 0)
    return [(size, *within) for size in sizes for within in _nested(size, blocks[1:])]
