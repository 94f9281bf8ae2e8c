"""Lay out what a model reads: tables of edges, and the tracks that hold the past of its signals."""

from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.states import varies, write
from ..delays import buffer as ring_buffer
from ..delays.interpolation import Interpolation
from ..delays.past import Past
from .plan import Table, plan_reads
from .slots import Slots
from .step import SAMPLES, Group, Recorder, Request


class Layout:
    """Fix for one model and one step size which tables are read, from which tracks, and in which blocks.

    A table is one read: of single values, or of sums for a coupling. A group is a signal, or a feature of it
    for a coupling; it has one track of values and, for rules that use them, one of slopes.

    Parameters
    ----------
    recorder : Recorder
        What one step was seen to do.
    dt : Quantity
        The step size.
    block : int or None
        Steps per block; None chooses.
    """

    def __init__(self, recorder: Recorder, dt: u.Quantity, block: int | None):
        self.dt, self.pasts, self.noises = dt, recorder.pasts, recorder.noises
        pushed = set(map(id, self.pasts))
        self.requests = [r for r in recorder.requests if id(r.read.past) in pushed]
        self.unserved = {r.read for r in recorder.requests if id(r.read.past) not in pushed}
        self._numbers = {(r.read, r.coupling): k for k, r in enumerate(self.requests)}
        self.tables = [self._table(r) for r in self.requests]
        self.plan = plan_reads(self.tables, block)
        self.groups: list[Group] = []
        self.n_tracks = 0
        raw = {id(past): self._add_group(past) for past in self.pasts}
        self.groups_of = [
            self._features(request) if self._has_features(k) else (raw[id(request.read.past)],)
            for k, request in enumerate(self.requests)
        ]
        self.slots = [
            [self._slots(k, listed) for k, listed in enumerate(level.slots)] for level in self.plan.levels
        ]
        singles = {g for k, groups in enumerate(self.groups_of) if self._reads_singly(k) for g in groups}
        self.singles = tuple(sorted(singles))
        self.deferred = tuple(g for g, group in enumerate(self.groups) if self._may_wait(g, group))
        self._raw_of = {g: raw[id(self.groups[g].past)] for g in self.deferred}

    def _table(self, request: Request) -> Table:
        step = self.dt.to_decimal(u.ms)
        low, high = (bound / step for bound in request.read.bounds)
        return Table(request.read.edges, low, high, request.read.rule, request.offsets, _is_live(request))

    def is_current(self) -> bool:
        """Tell whether what stands still during a run is still what did when this was laid out."""
        return all(_is_live(r) == t.is_live for r, t in zip(self.requests, self.tables, strict=True))

    def _slots(self, k, listed):
        request = self.requests[k]
        return Slots.of(listed, request.read.past.value().shape[-1], request.is_summed)

    def _has_features(self, k):
        request = self.requests[k]
        return request.is_summed and not self.tables[k].is_live and not request.coupling.is_linear

    def _features(self, request):
        return tuple(
            self._add_group(request.read.past, request.coupling, f)
            for f in range(request.coupling.n_features)
        )

    def _add_group(self, past: Past, coupling: Any = None, feature: int = 0) -> int:
        has_slopes = bool(past.rule.slope_taps)
        slopes = self.n_tracks + 1 if has_slopes else None
        self.groups.append(Group(past, coupling, feature, self.n_tracks, slopes))
        self.n_tracks += 1 + has_slopes
        return len(self.groups) - 1

    def _reads_singly(self, k):
        return self.tables[k].is_live or self.plan.short[k].count > 0

    def _may_wait(self, g, group):
        """Tell whether no step needs this feature: many steps at once cost a fraction of one by one."""
        return group.coupling is not None and group.slopes is None and g not in self.singles

    def features(self, raws: dict) -> dict:
        """Return, by track, the features that no step computes, from the signals by their group."""
        return {
            self.groups[g].values: self.groups[g].function()(raws[raw]) for g, raw in self._raw_of.items()
        }

    def feature_arguments(self) -> tuple[dict]:
        """Return arguments of `features` for one step, of the right shapes."""
        return ({raw: jax.typeof(self.groups[raw].past.value()) for raw in self._raw_of.values()},)

    def number(self, read: Any, coupling: Any) -> int | None:
        """Return the number of the table of a read; None if it was not planned."""
        return self._numbers.get((read, coupling))

    def noise_number(self, noise: Any) -> int | None:
        """Return the number of a noise; None if its numbers are drawn in the step."""
        return next((n for n, known in enumerate(self.noises) if known is noise), None)

    def begin(self) -> dict:
        """Evaluate what stands still during a run, and look up the past.

        Returns
        -------
        dict
            ``'lags'`` and ``'weights'`` by table, and both of the connections that are read singly,
            ``'singles'``; ``'tracks'``, the past ``(..., node, sample)`` of all
            tracks in equal length; by group with slopes, ``'left'``, the slope before the initial time,
            ``'jump'``, that of the slope there, and ``'age'``, the steps since."""
        lags, weights = [], []
        for request, table in zip(self.requests, self.tables, strict=True):
            lags.append(None if table.is_live else self._lag(request))
            is_summed = request.is_summed and not table.is_live
            weights.append(request.read.active_weights(request.coupling) if is_summed else None)
        singles = [
            tuple(None if table is None else short.take(table) for table in pair)
            for short, *pair in zip(self.plan.short, lags, weights, strict=True)
        ]
        start = {"lags": lags, "weights": weights, "singles": singles}
        start |= {"tracks": [], "left": {}, "jump": {}, "age": {}}
        n_past = max((past.rings.value.values.n_slots for past in self.pasts), default=2)
        for g, group in enumerate(self.groups):
            self._add_past(start, g, group, n_past)
        return start | {"tracks": tuple(start["tracks"])}

    def _lag(self, request):
        read = request.read
        lag, n_outside = read.lag(self.dt)
        read.past.flag(n_outside)
        return jnp.asarray(lag, request.read.past.rings.value.values.values.dtype)

    def _add_past(self, start, g, group, n_past):
        rings, function = group.past.rings.value, group.function()
        if group.coupling is not None:
            rings = ring_buffer.of_feature(function, rings)
        start["tracks"].append(_lengthened(ring_buffer.unroll(rings.values), n_past))
        if group.slopes is None:
            return
        start["tracks"].append(_lengthened(ring_buffer.unroll(rings.slopes), n_past))
        left = group.past.left_slope.value
        if group.coupling is not None:
            left = jax.jvp(function, (group.past.value(),), (left,))[1]
        start["left"][g], start["jump"][g], start["age"][g] = left, rings.kink.jump, rings.kink.age

    def end(self, tracks: tuple, jumps: dict, n_steps: int) -> None:
        """Put the newest samples back into the buffers, so that a further run, or a step by hand,
        continues."""
        for past in self.pasts:
            g = next(
                g for g, group in enumerate(self.groups) if group.past is past and group.coupling is None
            )
            group, n_slots = self.groups[g], past.rings.value.values.n_slots
            values = ring_buffer.fill(tracks[group.values][..., -n_slots:])
            slopes = kink = None
            if group.slopes is not None:
                slopes = ring_buffer.fill(tracks[group.slopes][..., -n_slots:])
                kink = ring_buffer.Kink(jumps[g], past.rings.value.kink.age + n_steps)
                newest = ring_buffer.estimate_slope(values, slopes, kink)
                slopes = ring_buffer.replace_newest(slopes, newest)
            write(past.rings, ring_buffer.Rings(values, slopes, kink))

    def frame(self) -> "Frame":
        """Return all that a program needs to know, without the model."""
        late = [0] * self.n_tracks
        for group in self.groups:
            if group.slopes is not None:
                late[group.slopes] = 1
        return Frame(
            tuple(TableFrame(t.rule, t.offsets) for t in self.tables),
            tuple(LevelFrame(level.block, level.shortest) for level in self.plan.levels),
            tuple(self.groups_of),
            tuple((group.values, group.slopes) for group in self.groups),
            tuple(late),
            self.singles,
            tuple(sorted(set(self._raw_of.values()))),
            self.plan.n_recent,
        )


class TableFrame(NamedTuple):
    """How one table is read; see `Table`."""

    rule: Interpolation
    offsets: tuple[float, ...]


class LevelFrame(NamedTuple):
    """How long the blocks of one level are; see `Level`."""

    block: int
    shortest: tuple[int, ...]


class Frame(NamedTuple):
    """Fix what a program reads from where, in a form that can be compared: tables and levels of blocks, the
    groups that each table reads, the tracks of values and slopes of every group, by track whether it is late
    (a step's value is known at its end, its slope belongs to its start), the groups that are read singly,
    the groups of which blocks compute features, and how many of the newest samples a step needs by itself."""

    tables: tuple[TableFrame, ...]
    levels: tuple[LevelFrame, ...]
    groups_of: tuple[tuple[int, ...], ...]
    tracks: tuple[tuple[int, int | None], ...]
    lateness: tuple[int, ...]
    singles: tuple[int, ...]
    featured: tuple[int, ...]
    n_recent: int


def _is_live(request):
    """Tell whether a delay, or weights or features of a coupling, change during a run."""
    read, coupling = request.read, request.coupling
    return read.delay.varies() or coupling is SAMPLES or (request.is_summed and _changes(read, coupling))


def _changes(read, coupling):
    """Tell whether weights or features of a coupling change during a run."""
    example = jnp.zeros_like(read.past.value())
    return varies(coupling.weights) or varies(lambda: coupling.features_of(example, read.past.unit))


def _lengthened(past, n_past):
    """Add older samples, which nobody reads, so that all tracks are of one length."""
    missing = n_past - past.shape[-1]
    return jnp.pad(past, [(0, 0)] * (past.ndim - 1) + [(missing, 0)]) if missing else past
