"""The slots that one level of blocks reads, as arrays that a program takes: networks whose tables have equal
shapes share their programs."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .plan import SlotList

# Share of slots in use below which every target loops over its own number of them.
RAGGED = 0.95


class BySource(NamedTuple):
    """List slots by their source: the ``targets`` ``(source, entry)``, their ``slots``, None where the list
    is the table with its axes swapped, which are ``valid``, and how many are ``used``; see `Slots`."""

    targets: Any
    slots: Any
    valid: Any
    used: Any

    def take(self, table):
        """Take the listed entries of an array ``(target, slot, ...)``."""
        return jnp.swapaxes(table, 0, 1) if self.slots is None else table[self.targets, self.slots]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["positions", "sources", "valid", "used", "by_source"],
    meta_fields=["n_slots", "is_whole"],
)
@dataclass(frozen=True)
class Slots:
    """Hold the arrays of a `SlotList`: ``positions``, ``sources`` and ``valid`` ``(target, entry)``;
    ``used``, how many entries of every target count, ``(target,)``, or None for about all; for sums, the
    list ``by_source``."""

    positions: Any
    sources: Any
    valid: Any
    used: Any
    by_source: BySource | None
    n_slots: int
    is_whole: bool

    @classmethod
    def of(cls, slots: SlotList, n_sources: int, is_summed: bool) -> "Slots | None":
        """Return the arrays of a list, or None if nothing is listed."""
        if not slots.valid.any():
            return None
        slots = slots.even() if is_summed else slots
        with jax.ensure_compile_time_eval():
            return cls(
                _index(slots.positions),
                _index(slots.sources),
                jnp.asarray(slots.valid),
                _used(slots.valid),
                _by_source(slots, n_sources) if is_summed else None,
                slots.n_slots,
                slots.is_whole,
            )

    def take(self, table, padding: float):
        """Take the listed entries of an array ``(target, slot)``."""
        if not self.is_whole:
            table = jnp.take_along_axis(table, jnp.minimum(self.positions, self.n_slots - 1), -1)
        return jnp.where(self.valid, table, padding)

    def put(self, table, values):
        """Overwrite the listed entries of an array ``(..., target, slot)``."""
        if self.is_whole:
            return jnp.where(self.valid, values, table)
        rows = np.arange(len(self.positions))[:, None]
        return table.at[..., rows, self.positions].set(values, mode="drop")


def _by_source(slots, n):
    """List the valid entries by source, an even number for each."""
    n_targets, width = slots.sources.shape
    if n == width == n_targets and np.array_equal(slots.sources, np.tile(np.arange(n), (n, 1))):
        return BySource(_index(slots.sources), None, jnp.ones((n, n), bool), None)
    flat = slots.sources.ravel()
    chosen = np.flatnonzero(slots.valid)
    order = chosen[np.argsort(flat[chosen], kind="stable")]
    rank = np.arange(order.size) - np.searchsorted(flat[order], flat[order])
    most = int(rank.max(initial=0)) + 1
    targets = np.zeros((n, most + most % 2), int)
    places, valid = np.zeros_like(targets), np.zeros(targets.shape, bool)
    targets[flat[order], rank], places[flat[order], rank] = order // width, order % width
    valid[flat[order], rank] = True
    return BySource(_index(targets), _index(places), jnp.asarray(valid), _used(valid))


def _used(valid):
    used = last_marked(valid)
    return _index(used) if used.sum() < RAGGED * valid.size else None


def last_marked(marks: np.ndarray) -> np.ndarray:
    """Return for every row how many entries there are up to the last one marked."""
    return np.max(np.where(marks, np.arange(1, marks.shape[1] + 1), 0), axis=1, initial=0)


def _index(array):
    return jnp.asarray(array, jnp.int32)
