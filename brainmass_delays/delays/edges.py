"""Which connections exist, where they sit in memory, and how a run reads them: by windows, step by step, or
at once."""

import math
from typing import NamedTuple

import numpy as np

from .buffer import slots_needed
from .interpolation import Interpolation

# Longest block worth gathering at once: beyond it the windows leave the cache and save no more overhead.
MAX_BLOCK = 32
# Share of the connections that may be read step by step so that the others can use a longer block.
SHORT_SHARE = 0.03


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
    """List some slots of every target: ``positions`` ``(target, entry)``; padding points past the last
    slot."""

    positions: np.ndarray
    sources: np.ndarray
    valid: np.ndarray

    @property
    def width(self) -> int:
        """Entries per target."""
        return self.positions.shape[1]


def list_slots(edges: Edges, chosen: np.ndarray) -> SlotList:
    """List the slots where ``chosen`` ``(target, slot)`` holds."""
    n_slots = chosen.shape[1]
    width = int(chosen.sum(1).max(initial=0))
    positions = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
    valid = np.take_along_axis(chosen, positions, 1)
    sources = np.take_along_axis(edges.sources, positions, 1)
    return SlotList(np.where(valid, positions, n_slots), np.where(valid, sources, 0), valid)


class ReadPlan(NamedTuple):
    """Fix how one run reads: the block length, and which slots are read by windows, step by step, or at the
    stage itself.

    ``windows`` ``(target, slot)`` marks slots whose lag is at least ``shortest`` whole steps; ``short``
    lists slots that may be shorter, and need at most the ``n_recent`` newest samples; ``instant`` those
    without any delay."""

    block: int
    windows: np.ndarray
    short: SlotList
    instant: SlotList
    shortest: int
    n_recent: int


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
    delayed = edges.active & ~instant
    whole = np.floor(low + 1e-6).astype(int)
    if block is None:
        block = choose_block(whole[delayed], rule, last_offset)
    shortest = shortest_lag(rule, block, last_offset)
    windows = delayed & (whole >= shortest)
    short = list_slots(edges, delayed & ~windows)
    is_short = delayed & ~windows
    n_recent = slots_needed(float(high.max(where=is_short, initial=0.0)), rule) if short.width else 0
    return ReadPlan(block, windows, short, list_slots(edges, instant), shortest, n_recent)


def choose_block(whole_lags: np.ndarray, rule: Interpolation, last_offset: float) -> int:
    """Choose the block length from the whole lags of the delayed connections."""
    if not whole_lags.size:
        return MAX_BLOCK
    spare = shortest_lag(rule, 1, last_offset) - 1
    every = int(whole_lags.min()) - spare
    most = int(np.quantile(whole_lags, SHORT_SHARE, method="lower")) - spare
    best = every if every >= MAX_BLOCK // 2 else most
    return int(np.clip(best, 1, MAX_BLOCK))
