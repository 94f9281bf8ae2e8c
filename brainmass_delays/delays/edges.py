"""Which connections exist, and where they sit in memory: in slots, some for every target."""

from typing import NamedTuple

import numpy as np


class Edges(NamedTuple):
    """Hold the connections of every target in slots, ``(target, slot)``.

    ``sources`` says which node a slot reads, ``active`` whether the connection exists. ``shape`` is that of
    an array with one entry per connection, as users give it. Where ``columns`` is None, the table holds all
    its entries in order; otherwise the slots of a target are its sources in ascending order, taken from a
    matrix ``[target, source]`` and padded with inactive slots that name some source."""

    sources: np.ndarray
    active: np.ndarray
    shape: tuple[int, ...]
    columns: np.ndarray | None = None

    @property
    def is_full(self) -> bool:
        """Whether the table is a whole matrix whose slot j is source j."""
        n_targets, width = self.sources.shape
        return self.columns is None and self.shape == (n_targets, width) and self._in_order

    @property
    def _in_order(self):
        return bool((self.sources == np.arange(self.sources.shape[1])).all())

    def pack(self, array):
        """Take the entries of an array of ``shape`` at the slots, ``(target, slot)``."""
        if self.columns is None:
            return array.reshape(self.sources.shape)
        return array[np.arange(len(self.sources))[:, None], self.columns]

    def shaped(self, values):
        """Return values ``(..., target, slot)`` as a read delivers them."""
        if self.columns is not None:
            return values
        return values.reshape(*values.shape[:-2], *self.shape)


def full_edges(active: np.ndarray) -> Edges:
    """Keep a whole matrix ``[target, source]``: slot j is source j."""
    n_targets, n_sources = active.shape
    sources = np.tile(np.arange(n_sources, dtype=np.int32), (n_targets, 1))
    return Edges(sources, active, active.shape)


def packed_edges(active: np.ndarray) -> Edges:
    """Keep only the connections that exist; a matrix almost without gaps stays as it is."""
    n_targets, n_sources = active.shape
    counts = active.sum(1)
    width = max(1, int(counts.max()))
    if width >= 0.9 * n_sources:
        return full_edges(active)
    rows, columns = np.nonzero(active)
    slots = np.arange(rows.size) - np.searchsorted(rows, rows)
    sources = np.repeat((np.arange(n_targets, dtype=np.int32) % n_sources)[:, None], width, axis=1)
    sources[rows, slots] = columns
    return Edges(sources, np.arange(width) < counts[:, None], active.shape, sources)


def read_edges(index: np.ndarray) -> Edges:
    """Arrange a read of any shape, whose entries name their sources, as a table."""
    table = index.reshape(-1, index.shape[-1] if index.ndim > 1 else 1).astype(np.int32)
    return Edges(table, np.ones(table.shape, bool), index.shape)
