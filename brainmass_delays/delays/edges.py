"""Which connections exist, where they sit in memory, and how a run reads them: by windows, step by step, or
at once."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .buffer import slots_needed
from .interpolation import Interpolation

# Longest block: with the end of its last step, a CPU sums 24 samples of a window, three vectors of eight.
# Longer ones save little, and XLA splits the loops over them.
MAX_BLOCK = 23
# What a step costs, in units of one sample summed: a window as many more as its block has steps; one turn of
# a block, and of a block within a block for every node; one connection read singly; and any being read so.
WINDOW, OUTER, INNER, SINGLE, SINGLES = 5.0, 5e3, 250.0, 100.0, 5e3


class Edges(NamedTuple):
    """Hold the connections of every target in slots, ``(target, slot)``.

    ``sources`` says which node a slot reads, ``active`` whether the connection exists. In a full matrix
    slot j is source j; otherwise the slots of a target are its sources in ascending order, padded with
    inactive slots that name the target itself."""

    sources: np.ndarray
    active: np.ndarray
    is_full: bool

    def pack(self, matrix):
        """Take the entries of a ``(target, source)`` matrix at the slots, ``(target, slot)``."""
        if self.is_full:
            return matrix
        return matrix[np.arange(len(self.sources))[:, None], self.sources]


def full_edges(active: np.ndarray) -> Edges:
    """Keep the whole matrix: slot j is source j."""
    n = len(active)
    return Edges(np.tile(np.arange(n, dtype=np.int32), (n, 1)), active, True)


def packed_edges(active: np.ndarray) -> Edges:
    """Keep only the connections that exist; a matrix without gaps stays as it is."""
    counts = active.sum(1)
    width = max(1, int(counts.max()))
    if width >= 0.9 * active.shape[1]:
        return full_edges(active)
    rows, columns = np.nonzero(active)
    slots = np.arange(rows.size) - np.searchsorted(rows, rows)
    sources = np.repeat(np.arange(len(active), dtype=np.int32)[:, None], width, axis=1)
    sources[rows, slots] = columns
    return Edges(sources, np.arange(width) < counts[:, None], False)


class SlotList(NamedTuple):
    """List some slots of every target: ``positions`` ``(target, entry)``; where ``valid`` does not hold, an
    entry is padding and its position is past the last slot. A list as wide as the table keeps its order."""

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
        return self.width == self.n_slots

    def take(self, table, padding: float):
        """Take the listed entries of an array ``(target, slot)``."""
        if not self.is_whole:
            table = jnp.take_along_axis(table, np.minimum(self.positions, self.n_slots - 1), -1)
        return jnp.where(self.valid, table, padding)

    def put(self, table, values):
        """Overwrite the listed entries of an array ``(..., target, slot)``."""
        if self.is_whole:
            return jnp.where(self.valid, values, table)
        rows = np.arange(len(self.positions))[:, None]
        return table.at[..., rows, self.positions].set(values, mode="drop")


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


class Level(NamedTuple):
    """Read the slots whose lag is at least ``shortest`` whole steps by windows of ``block`` steps; finer
    levels need at most the ``n_recent`` newest samples for the rest."""

    block: int
    slots: SlotList
    shortest: int
    n_recent: int


class ReadPlan(NamedTuple):
    """Fix how one run reads: by windows, in blocks and blocks within them (``levels``, long ones first);
    step by step (``short``); or at the stage itself (``instant``), where there is no delay."""

    levels: tuple[Level, ...]
    short: SlotList
    instant: SlotList


def shortest_lag(rule: Interpolation, block: int, last_offset: float) -> int:
    """Return the whole lag from which on a block's values are all known when it starts."""
    return block - 1 + math.ceil(last_offset) + rule.lead + bool(rule.slope_taps)


def plan_reads(
    edges: Edges,
    low: np.ndarray,
    high: np.ndarray,
    rule: Interpolation,
    last_offset: float,
    block: int | None,
) -> ReadPlan:
    """Plan the reads of a run from static bounds of every slot's lag, in steps.

    Parameters
    ----------
    edges : Edges
        The connections.
    low, high : array
        Bounds of the lags, ``(target, slot)``; both zero for a connection without delay.
    rule : Interpolation
        How reads interpolate.
    last_offset : float
        Latest stage at which a step reads: 0 for frozen coupling, 1 for Heun and RK4.
    block : int or None
        Steps per block; None chooses.
    """
    instant = edges.active & (high == 0)
    rest = edges.active & ~instant
    lags = np.floor(low + 1e-6).astype(int)
    levels = []
    spare = shortest_lag(rule, 1, last_offset) - 1
    for size in choose_blocks(lags[rest], spare, len(lags), block):
        shortest = shortest_lag(rule, size, last_offset)
        chosen = rest & (lags >= shortest)
        rest &= ~chosen
        n_recent = slots_needed(float(high.max(where=rest, initial=0.0)), rule) if rest.any() else 0
        levels.append(Level(size, list_slots(edges, chosen, whole=not levels), shortest, n_recent))
    return ReadPlan(tuple(levels), list_slots(edges, rest), list_slots(edges, instant))


def choose_blocks(lags: np.ndarray, spare: int, n_nodes: int, block: int | None) -> list[int]:
    """Choose one or two lengths of blocks, by what they cost, from the whole lags of the delayed connections.

    A block serves the lags that are at least ``spare`` steps longer than itself."""
    longest = np.bincount(np.clip(lags - spare, 0, MAX_BLOCK), minlength=MAX_BLOCK + 1)
    served = np.cumsum(longest[::-1])[::-1]  # how many connections blocks of each length can serve

    def cost(outer, inner):
        total = served[outer] * (1 + WINDOW / outer) + OUTER / outer
        if inner < outer:
            total += (served[inner] - served[outer]) * (1 + WINDOW / inner) + INNER * n_nodes / inner
        n_single = len(lags) - served[inner]
        return total + (SINGLES + SINGLE * n_single if n_single else 0)

    outers = range(1, MAX_BLOCK + 1) if block is None else [min(block, MAX_BLOCK)]
    pairs = [(outer, inner) for outer in outers for inner in (outer, *range(2, outer // 2 + 1))]
    outer, inner = min(pairs, key=lambda pair: cost(*pair))
    sizes = [outer if block is None else block]
    return sizes if inner == outer else [*sizes, inner]
