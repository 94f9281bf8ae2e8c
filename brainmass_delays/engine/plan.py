"""Plan how a run reads: by windows in blocks of steps, singly, or at the stage itself."""

import math
from typing import NamedTuple

import numpy as np

from ..delays.buffer import slots_needed
from ..delays.edges import Edges
from ..delays.interpolation import Interpolation

# Longest block: with the end of its last step, a CPU sums 24 samples of a window, three vectors of eight.
# Longer ones save little, and XLA splits the loops over them.
MAX_BLOCK = 23
# What a step costs, in units of one sample summed: a window as many more as its block has steps; one turn of
# a block, and of a block within a block for every target; one connection read singly; and any being read so.
WINDOW, OUTER, INNER, SINGLE, SINGLES = 5.0, 5e3, 250.0, 25.0, 3e3


class Table(NamedTuple):
    """Describe one read of a model, as blocks serve it.

    ``low`` and ``high`` are static bounds of every slot's lag in steps, both zero for a connection without
    delay; ``offsets`` are the stages at which it is read, in steps; ``is_live`` says that its lags are known
    in the step only."""

    edges: Edges
    low: np.ndarray
    high: np.ndarray
    rule: Interpolation
    offsets: tuple[float, ...]
    is_live: bool = False


class SlotList(NamedTuple):
    """List some slots of every target: ``positions`` ``(target, entry)``; where ``valid`` does not hold, an
    entry is padding and its position is past the last slot."""

    positions: np.ndarray
    sources: np.ndarray
    valid: np.ndarray
    n_slots: int

    @property
    def width(self) -> int:
        """Entries per target."""
        return self.positions.shape[1]

    @property
    def is_whole(self) -> bool:
        """Whether the list has the order of the table."""
        in_place = (self.positions == np.arange(self.width)) | ~self.valid
        return self.width == self.n_slots and bool(in_place.all())

    def even(self) -> "SlotList":
        """Return a list of even width, by one more entry of padding where it must be."""
        if self.width % 2 == 0:
            return self
        one = [(0, 0), (0, 1)]
        return self._replace(
            positions=np.pad(self.positions, one, constant_values=self.n_slots),
            sources=np.pad(self.sources, one, mode="edge"),
            valid=np.pad(self.valid, one),
        )


def list_slots(edges: Edges, chosen: np.ndarray, *, whole: bool = False) -> SlotList:
    """List the slots where ``chosen`` ``(target, slot)`` holds, or mark them in a list of the ``whole``
    table."""
    n_slots = chosen.shape[1]
    width = n_slots if whole else int(chosen.sum(1).max(initial=0))
    if width == n_slots:
        positions = np.tile(np.arange(n_slots), (len(chosen), 1))
    else:
        positions = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
    valid = np.take_along_axis(chosen, positions, 1)
    sources = np.take_along_axis(edges.sources, positions, 1)
    return SlotList(np.where(valid, positions, n_slots), sources, valid, n_slots)


class Entries(NamedTuple):
    """List some slots of a table one by one: their ``targets``, ``slots`` and ``sources``, ``(entry,)``."""

    targets: np.ndarray
    slots: np.ndarray
    sources: np.ndarray

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.targets)

    def take(self, table):
        """Take the entries of an array ``(target, slot)``."""
        return table[self.targets, self.slots]

    def put(self, table, values):
        """Overwrite the entries of an array ``(..., target, slot)``."""
        return table.at[..., self.targets, self.slots].set(values)

    def add(self, totals, values):
        """Add to the totals of their targets, ``(..., target)``."""
        return totals.at[..., self.targets].add(values)


def list_entries(edges: Edges, chosen: np.ndarray) -> Entries:
    """List the slots where ``chosen`` ``(target, slot)`` holds."""
    targets, slots = np.nonzero(chosen)
    return Entries(targets, slots, edges.sources[targets, slots])


class Level(NamedTuple):
    """Read some slots of every table by windows of ``block`` steps, whose lags are at least ``shortest``."""

    block: int
    slots: tuple[SlotList, ...]
    shortest: tuple[int, ...]


class ReadPlan(NamedTuple):
    """Fix how one run reads every table: by windows, in blocks and blocks within them (``levels``, long ones
    first), or singly, step by step (``short``), from the ``n_recent`` newest samples. What has no delay is
    read at the stage itself."""

    levels: tuple[Level, ...]
    short: tuple[Entries, ...]
    n_recent: int


def shortest_lag(rule: Interpolation, block: int, last_offset: float) -> int:
    """Return the whole lag from which on a block's values are all known when it starts."""
    return block - 1 + math.ceil(last_offset) + rule.lead + bool(rule.slope_taps)


def plan_reads(tables: list[Table], block: int | None) -> ReadPlan:
    """Plan the reads of a run.

    Parameters
    ----------
    tables : list of Table
        What is read.
    block : int or None
        Steps per block; None chooses.
    """
    rest = [t.edges.active & (t.high > 0) for t in tables]
    windows = [r & (not t.is_live) for t, r in zip(tables, rest, strict=True)]
    lags = [np.floor(t.low + 1e-6).astype(int) for t in tables]
    room = [
        lag[w] - shortest_lag(t.rule, 1, max(t.offsets)) + 1
        for t, lag, w in zip(tables, lags, windows, strict=True)
    ]
    levels = []
    n_targets = sum(len(t.edges.sources) for t in tables)
    for size in choose_blocks(np.concatenate([np.zeros(0, int), *room]), n_targets, block):
        shortest = tuple(shortest_lag(t.rule, size, max(t.offsets)) for t in tables)
        chosen = [w & (lag >= least) for w, lag, least in zip(windows, lags, shortest, strict=True)]
        slots = tuple(list_slots(t.edges, c, whole=not levels) for t, c in zip(tables, chosen, strict=True))
        rest = [r & ~c for r, c in zip(rest, chosen, strict=True)]
        windows = [w & ~c for w, c in zip(windows, chosen, strict=True)]
        levels.append(Level(size, slots, shortest))
    single = list(zip(tables, rest, strict=True))
    needed = (slots_needed(float(t.high.max(where=r, initial=0.0)), t.rule) for t, r in single if r.any())
    return ReadPlan(tuple(levels), tuple(list_entries(t.edges, r) for t, r in single), max(needed, default=0))


def choose_blocks(room: np.ndarray, n_targets: int, block: int | None) -> list[int]:
    """Choose one or two lengths of blocks, by what they cost, from the longest block that can serve each of
    the delayed connections."""
    longest = np.bincount(np.clip(room, 0, MAX_BLOCK), minlength=MAX_BLOCK + 1)
    served = np.cumsum(longest[::-1])[::-1]  # how many connections blocks of each length can serve

    def cost(outer, inner):
        total = served[outer] * (1 + WINDOW / outer) + OUTER / outer
        if inner < outer:
            total += (served[inner] - served[outer]) * (1 + WINDOW / inner) + INNER * n_targets / inner
        n_single = len(room) - served[inner]
        return total + (SINGLES + SINGLE * n_single if n_single else 0)

    outers = range(1, MAX_BLOCK + 1) if block is None else [min(block, MAX_BLOCK)]
    pairs = [(outer, inner) for outer in outers for inner in (outer, *range(2, outer // 2 + 1))]
    outer, inner = min(pairs, key=lambda pair: cost(*pair))
    sizes = [outer if block is None else block]
    return sizes if inner == outer else [*sizes, inner]
