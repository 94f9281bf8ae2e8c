"""One step of a model as a run takes it: its reads are served, not looked up in the model's own buffers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from ..delays import buffer as ring_buffer
from ..delays.context import stage
from ..delays.past import Past

SAMPLES = "samples"


class Request(NamedTuple):
    """Note one read of a step: of single values, of sums for a coupling, or, with `SAMPLES` in its place, of
    the samples themselves; and at which stages."""

    read: Any
    coupling: Any
    offsets: tuple[float, ...]

    @property
    def is_summed(self) -> bool:
        """Whether sums are read."""
        return self.coupling is not None and self.coupling is not SAMPLES


class Recorder:
    """Note what a step reads, pushes and draws while it runs as if stepped by hand.

    Attributes
    ----------
    requests : tuple of Request
    pasts : list of Past
        Those that are pushed once per step, so that blocks can serve them.
    noises : list
        Modules that draw normal numbers.
    """

    is_planning = True

    def __init__(self):
        self._reads, self._pushes, self._noises = {}, {}, {}

    def read(self, read, coupling=None):
        """Note a read; the read itself then looks into the model's buffers."""
        pushes = self._pushes.get(id(read.past), (None, 0))[1]
        key = id(read), id(coupling) if coupling is not None else 0
        _, _, offsets = self._reads.setdefault(key, (read, coupling, set()))
        offsets.add(stage().offset + pushes)

    def sums(self, read, coupling):
        """Note a read of sums."""
        return self.read(read, coupling)

    def rings(self, read):
        """Note a read of samples."""
        return self.read(read, SAMPLES)

    def push(self, past) -> bool:
        """Note that a past was pushed, which then happens."""
        self._pushes[id(past)] = past, self._pushes.get(id(past), (past, 0))[1] + 1
        return False

    def normal(self, noise):
        """Note a draw."""
        if id(noise) in self._noises:
            raise ArgumentError(
                f"{type(noise).__name__}.update",
                "may be called once per step",
                "a second call",
                "Give every input a noise object of its own",
            )
        self._noises[id(noise)] = noise

    def refuse_unpushed(self, before: dict) -> None:
        """Refuse a read of a past that did not get the new states of its node, whose states before the step
        are given by past."""
        for read, *_ in self._reads.values():
            past, node = read.past, read.past.signal.node
            if id(past) not in self._pushes and any(
                new is not old for new, old in zip(_values(node), before.get(past, ()), strict=False)
            ):
                name = type(node).__name__
                raise ArgumentError(
                    past.signal.where,
                    f"must be of a node that stores its past when it is called, the {name}",
                    "a step that calls its update, by which nothing is stored",
                    "Write self.node(...) where the model writes self.node.update(...)",
                )

    @property
    def requests(self):
        return tuple(Request(r, c, tuple(sorted(offsets))) for r, c, offsets in self._reads.values())

    @property
    def pasts(self):
        return [past for past, count in self._pushes.values() if count == 1]

    @property
    def noises(self):
        return list(self._noises.values())


def states_before(pasts: Any) -> dict:
    """Return the values of the states behind some pasts."""
    return {past: _values(past.signal.node) for past in pasts}


def _values(node):
    return [state.value for state in node.states().values()]


class Group(NamedTuple):
    """One signal, or one feature of it for a coupling, in the tracks of a run: where its values are, and its
    slopes."""

    past: Past
    coupling: Any
    feature: int
    values: int
    slopes: int | None

    def function(self) -> Callable:
        """Return the feature as a function of plain numbers."""
        if self.coupling is None:
            return lambda x: x
        return lambda x: self.coupling.features_of(x, self.past.unit)[self.feature]


class UnplannedRead(Exception):
    """Signal that a step reads what it did not read when it was planned."""


class StepServer:
    """Serve the reads of one step.

    Parameters
    ----------
    layout : Layout
        The tables and tracks of the run.
    served : dict
        What blocks served for this step: ``'tables'`` by table and stage, ``'normals'`` by noise.
    recents : dict of int to Rings
        By group, the newest samples, of those groups that are read singly.
    left_slopes : dict of int to array
        By group, the slope before the initial time.
    singles : list of tuple
        By table, lags and weights of what is read singly, ``(entry,)``.
    weights : list of array
        By table, all of them.
    """

    def __init__(
        self, layout: Any, served: dict, recents: dict, left_slopes: dict, singles: list, weights: list
    ):
        self.layout, self.served, self.recents = layout, served, dict(recents)
        self.left_slopes, self.singles, self.weights = left_slopes, singles, weights
        self.before = {id(past): past.value() for past in layout.pasts}
        self.new: dict[int, Any] = {}  # by group
        self.slopes: dict[int, Any] = {}
        self._pushed: set[int] = set()

    def _locate(self, read, coupling):
        """Return the number of a table and the offset at which blocks served it."""
        k = self.layout.number(read, coupling)
        offset = stage().offset + (id(read.past) in self._pushed)
        if k is None or offset not in self.layout.tables[k].offsets:
            raise UnplannedRead
        return k, offset

    def _rings(self, g):
        """Return the newest samples of a group, with the newest slope in place if the step has found it."""
        rings, group = self.recents[g], self.layout.groups[g]
        if group.slopes is None or not stage().slope_known or id(group.past) in self._pushed:
            return rings
        return ring_buffer.with_slope(rings, self._slope(group), self.left_slopes[g])

    def _slope(self, group):
        """Return the slope of a group at the start of the step, times the step."""
        slope = group.past.slope()
        if group.coupling is None:
            return slope
        return jax.jvp(group.function(), (self.before[id(group.past)],), (slope,))[1]

    def read(self, read):
        """Return single values, ``(..., target, slot)``; None where the read must look for itself."""
        if read in self.layout.unserved:
            return None
        k, offset = self._locate(read, None)
        (g,), table = self.layout.groups_of[k], self.layout.tables[k]
        if table.is_live:
            return read.values(self._rings(g), read.flagged_lag() - stage().offset)
        found = self.served["tables"][k].get(offset)
        if found is None:
            before = self.before[id(read.past)]
            found = jnp.zeros((*before.shape[:-1], *read.edges.sources.shape), before.dtype)
        short = self.layout.plan.short[k]
        return short.put(found, self._single(k, g, short)) if short.count else found

    def rings(self, read):
        """Return the samples that a read looks into; None where it must look for itself."""
        if read in self.layout.unserved:
            return None
        k, _ = self._locate(read, SAMPLES)
        return self._rings(self.layout.groups_of[k][0])

    def _single(self, k, g, short):
        """Read the slots that no block serves, ``(..., entry)``."""
        lag = self.singles[k][0] - stage().offset
        return ring_buffer.read(self._rings(g), short.sources, lag, self.layout.tables[k].rule)

    def sums(self, read, coupling):
        """Return the sums of all features, ``(..., target)`` each; None where the read must look for
        itself."""
        if read in self.layout.unserved:
            return None
        k, offset = self._locate(read, coupling)
        groups, table = self.layout.groups_of[k], self.layout.tables[k]
        if table.is_live:
            return read.sums_of(self._rings(groups[0]), read.flagged_lag() - stage().offset, coupling)
        short, totals = self.layout.plan.short[k], []
        for f, g in enumerate(groups):
            total = self._instant_sum(k, read, g) + self.served["tables"][k].get((f, offset), 0.0)
            if short.count:
                total = short.add(total, self.singles[k][1] * self._single(k, g, short))
            totals.append(total)
        return totals

    def _instant_sum(self, k, read, g):
        """Sum what connections without delay carry."""
        now = self.layout.groups[g].function()(read.past.value())
        if not read.instant.any():
            return jnp.zeros((*now.shape[:-1], len(read.instant)), now.dtype)
        weights = jnp.where(read.instant, self.weights[k], 0.0)
        if read.edges.is_full:
            return jnp.einsum("ik,...k->...i", weights, now)
        return (weights * now[..., read.edges.sources]).sum(-1)

    def push(self, past) -> bool:
        """Take in the newest sample of a past, for all of its groups that a step computes."""
        if id(past) not in self.before:
            return False
        value = past.value()
        for g, group in enumerate(self.layout.groups):
            if group.past is not past or g in self.layout.deferred:
                continue
            self.new[g] = group.function()(value)
            self.slopes[g] = None if group.slopes is None else self._slope(group)
            if g in self.recents:
                rings = self.recents[g]
                if group.slopes is not None:
                    rings = ring_buffer.with_slope(rings, self.slopes[g], self.left_slopes[g])
                self.recents[g] = ring_buffer.pushed(rings, self.new[g])
        self._pushed.add(id(past))
        return True

    def normal(self, noise):
        """Return the normal numbers of this step; None if they must be drawn."""
        number = self.layout.noise_number(noise)
        return None if number is None else self.served["normals"][number]
