"""Run a network over blocks of prefetched reads: the same steps as `Network.update`, several times faster
and leaner."""

from collections.abc import Callable

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .delays import buffer as ring_buffer
from .delays.edges import ReadPlan
from .delays.interpolation import split
from .delays.windows import blend, stage_weights, window_length, window_starts
from .integrate.block_reads import MirroredReads, ScatteredReads
from .integrate.blocks import BlockScan, block_scan
from .network import Network

LATENESS = (0, 1)  # a step's value is known at its end, its slope belongs to its start


def run_network(
    net: Network,
    n_steps: int,
    dt: u.Quantity,
    inputs_at: Callable,
    measure: Callable,
    *,
    start: int = 0,
    lean: bool = True,
    horizon: int | None = None,
):
    """Advance ``net`` by ``n_steps`` and return what ``measure`` saw after every step, stacked.

    Parameters
    ----------
    net : Network
        With its states initialized; they hold the final state afterwards.
    n_steps : int
        Number of steps.
    dt : Quantity
        Step size.
    inputs_at : callable
        ``inputs_at(i, t)`` gives the node's further inputs at step ``i`` as a tuple.
    measure : callable
        ``measure(output)``, called after every step, returns a pytree.
    start : int
        Index of the first step.
    lean : bool
        Use the adjoint that recomputes blocks (default) or plain autodiff.
    horizon : int, optional
        Cut gradients every so many steps.

    Returns
    -------
    pytree
        Measurements with a leading axis of steps.
    """
    plan = net.read_plan(dt)
    buffer = net.source_read.buffer
    lag, n_outside = net.source_read.lag(dt)
    buffer.n_outside.value = jnp.maximum(buffer.n_outside.value, n_outside)
    run = _PrefetchedRun(net, plan, lag, dt, inputs_at, measure, start)
    if horizon is None or horizon >= n_steps:
        return run.span(n_steps, lean)
    spans = [horizon] * (n_steps // horizon) + ([n_steps % horizon] if n_steps % horizon else [])
    outs = []
    for i, span in enumerate(spans):
        if i:
            run.cut_gradients()
        outs.append(run.span(span, lean))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *outs)


def _blocks(n_steps: int, block: int) -> list[tuple[int, int]]:
    """Divide steps into equal blocks, a little shorter than planned if that avoids a remainder of its own."""
    block = min(block, n_steps)
    for shorter in range(block, (2 * block) // 3, -1):
        if n_steps % shorter == 0:
            return [(shorter, n_steps // shorter)]
    n_blocks, rest = divmod(n_steps, block)
    return [(block, n_blocks), (rest, 1)]


class _PrefetchedRun:
    """Hold what every block of one run shares."""

    def __init__(self, net: Network, plan: ReadPlan, lag, dt, inputs_at, measure, start):
        self.net, self.plan, self.dt, self.inputs_at, self.measure = net, plan, dt, inputs_at, measure
        self.start = start  # index of the first step of the span at hand
        self.rule, self.edges, self.buffer = net.rule, net.edges, net.source_read.buffer
        self.state = getattr(net.node, net.coupled_var)
        self.has_slopes = bool(self.rule.slope_taps)
        self.lag = jnp.asarray(lag, self.state_magnitude().dtype)
        self.window_lag = jnp.where(plan.windows, self.lag, plan.shortest)
        self.has_windows = bool(plan.windows.any())
        self.short_lag = None
        if plan.short.width:
            positions = np.minimum(plan.short.positions, self.lag.shape[-1] - 1)
            self.short_lag = jnp.where(plan.short.valid, jnp.take_along_axis(self.lag, positions, -1), 0.0)
        if net.is_linear:
            weights = net.coupling.weights()
            self.weight_unit, weights = u.get_unit(weights), u.get_magnitude(weights)
            self.weights = jnp.where(self.edges.active, weights, 0.0)

    def span(self, n_steps: int, lean: bool):
        """Advance by ``n_steps`` and return the measurements."""
        tracks, kink = self.tracks(n_steps), self.kink()
        outs, done = [], 0
        for block, n_blocks in _blocks(n_steps, self.plan.block):
            tracks, kink, out = self.advance(tracks, kink, done, block, n_blocks, lean)
            outs.append(out)
            done += block * n_blocks
        self.store(tracks, kink, n_steps)
        self.start += n_steps
        return jax.tree.map(lambda *parts: parts[0] if len(parts) == 1 else jnp.concatenate(parts), *outs)

    def cut_gradients(self) -> None:
        """Make every state a constant for what follows."""
        for state in self.net.states().values():
            if not isinstance(state, brainstate.ParamState):
                state.value = jax.lax.stop_gradient(state.value)

    def state_magnitude(self):
        """Return the coupled variable without its unit."""
        return u.get_magnitude(self.state.value)

    # -------------------------------------------------------------------------------------------- t

    def tracks(self, n_steps: int) -> tuple:
        """Lay out the past and room for the run: values, and slopes if the rule uses them."""
        rings = [self.buffer.values, *([self.buffer.slopes] if self.has_slopes else [])]
        pasts = [ring_buffer.unroll(ring.value) for ring in rings]
        self.n_past = pasts[0].shape[-1]
        return tuple(jnp.concatenate([p, jnp.zeros((*p.shape[:-1], n_steps), p.dtype)], -1) for p in pasts)

    def kink(self):
        """Return the slope before the initial time, the jump there, and the age of that time when the run
        starts."""
        if not self.has_slopes:
            return ()
        kink = self.buffer.kink.value
        self.kink_age = kink.age
        return self.buffer.left_slope.value, kink.jump

    def store(self, tracks: tuple, kink: tuple, n_steps: int) -> None:
        """Put the newest samples back into the buffer, so that a further run continues."""
        self.buffer.values.value = ring_buffer.fill(tracks[0][..., -self.n_past :])
        if self.has_slopes:
            channels = np.arange(tracks[0].shape[-2])
            values, slopes = (ring_buffer.fill(t[..., -self.n_past :]) for t in tracks)
            self.buffer.slopes.value = ring_buffer.predict_slope(values, slopes, channels)
            self.buffer.kink.value = ring_buffer.Kink(kink[1], self.kink_age + n_steps)

    # -------------------------------------------------------------------------------------------- blocks

    def advance(self, tracks, kink, done, block, n_blocks, lean):
        """Run ``n_blocks`` blocks from step ``done`` on."""
        step = brainstate.transform.StatefulFunction(self._step, return_only_write=False)
        example = self._step_example(tracks, block)
        step.make_jaxpr(*example)
        trace = step.get_state_trace(*example)
        states, written = trace.states, trace.been_writen
        fixed = [None if w else s.value for s, w in zip(states, written, strict=True)]
        carry = [s.value for s, w in zip(states, written, strict=True) if w]

        def body(carry, seen, recent, _, first):
            values, kink = carry

            def one(state, xs):
                values, recent, kink = state
                i, served = xs
                rest = iter(values)
                full = [next(rest) if w else f for w, f in zip(written, fixed, strict=True)]
                new, (recent, kink, x, slope, out) = step.jaxpr_call(full, i, i - first, served, recent, kink)
                return ([v for v, w in zip(new, written, strict=True) if w], recent, kink), (x, slope, out)

            served = self._served(seen, kink, first, block)
            recent = tuple(
                jnp.concatenate([r, jnp.zeros((*r.shape[:-1], block), r.dtype)], -1) for r in recent
            )
            xs = (first + jnp.arange(block, dtype=jnp.int32), served)
            # Not unrolled: several steps of a four-stage method per turn cost XLA minutes of compilation.
            (values, _, kink), (x, slope, out) = jax.lax.scan(one, (values, recent, kink), xs)
            new = tuple(jnp.moveaxis(t, 0, -1) for t in ((x, slope) if self.has_slopes else (x,)))
            return (values, kink), new, out

        reads, weights, starts = self._reads(block, len(tracks), lean)
        sizes = BlockScan(
            block, n_blocks, self.n_past - 1, self.plan.n_recent, LATENESS[: len(tracks)], reads, done
        )
        xs = jnp.zeros((n_blocks, 0))
        (values, kink), tracks, outs = block_scan(
            sizes, body, (carry, kink), tracks, xs, weights, starts, lean=lean
        )
        for state, value in zip([s for s, w in zip(states, written, strict=True) if w], values, strict=True):
            state.value = value
        return tracks, kink, jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outs)

    def _step_example(self, tracks, block):
        """Describe the arguments of one step."""
        lead, dtype = tracks[0].shape[:-1], tracks[0].dtype
        index = jax.ShapeDtypeStruct((), jnp.int32)
        slots = () if self.net.is_linear else (self.lag.shape[-1],)
        served = (
            {c: jax.ShapeDtypeStruct((*lead, *slots), dtype) for c in self.net.offsets}
            if self.has_windows
            else {}
        )
        n_recent = self.plan.n_recent + block
        recent = tuple(jax.ShapeDtypeStruct((*lead, n_recent), dtype) for _ in tracks)
        kink = tuple(jax.ShapeDtypeStruct(lead, dtype) for _ in range(2)) if self.has_slopes else ()
        return index, index, served, recent, kink

    def _reads(self, block, n_tracks, lean):
        """Choose how blocks read: sums for a linear coupling, the values themselves for any other."""
        if not self.has_windows:
            return None, (), ()
        length, origin = window_length(self.rule, block), self.n_past - 1
        starts, fraction = window_starts(self.rule, self.window_lag)
        if not self.net.is_linear:
            return ScatteredReads(self.edges.sources, length, block, origin), (), starts
        reads = MirroredReads(
            self.edges.sources,
            self.plan.windows,
            length,
            block,
            origin,
            self.net.offsets,
            LATENESS[:n_tracks],
            not lean,
        )
        kinds = {"half" if c == 0.5 else "grid": c for c in reversed(self.net.offsets)}
        return reads, {kind: self._tap_weights(fraction, c) for kind, c in kinds.items()}, starts

    def _tap_weights(self, fraction, c):
        """Return the weights of every sample, the coupling's times the interpolation's, one array per
        track."""
        stage = stage_weights(self.rule, fraction, c)
        taps = (stage.values, stage.slopes) if self.has_slopes else (stage.values,)
        return tuple(t * self._window_weights()[..., None] for t in taps)

    def _window_weights(self):
        return jnp.where(self.plan.windows, self.weights, 0.0)

    def _served(self, seen, kink, first, block):
        """Return what every stage of every step of a block gets from the windows, step axis first."""
        if not self.has_windows:
            return {}
        served = seen if self.net.is_linear else self._blended(seen, block)
        if not self.has_slopes:
            return served
        return {
            c: value + jnp.moveaxis(self._kink_term(kink, c, first, block), -1, 0)
            for c, value in served.items()
        }

    def _blended(self, seen, block):
        """Interpolate the windows of a block for every stage."""
        _, fraction = window_starts(self.rule, self.window_lag)
        served = {}
        for c in self.net.offsets:
            stage = stage_weights(self.rule, fraction, c)
            value = blend(seen[0], stage.values, stage.base, block)
            if self.has_slopes:
                value += blend(seen[1], stage.slopes, stage.base, block)
            served[c] = jnp.moveaxis(value, -1, 0)
        return served

    def _kink_term(self, kink, c, first, block):
        """Correct the one interval that ends at the initial time by the slope before it."""
        k, fraction = split(self.window_lag - c, self.rule.lead)
        ends_there = k[..., None] == first + self.kink_age + jnp.arange(block)
        weight = self.rule.slope_weights(fraction)[..., 0] * kink[1][..., self.edges.sources]
        term = jnp.where(ends_there, weight[..., None], 0.0)
        if not self.net.is_linear:
            return term
        return jnp.einsum("ik,...ikm->...im", self._window_weights(), term)

    # -------------------------------------------------------------------------------------------- one step

    def _step(self, i, s, served, recent, kink):
        """Advance the network by step ``i``, the ``s``-th of its block."""
        t = (self.start + i) * self.dt
        recent = list(recent)
        newest = self.plan.n_recent - 1 + s
        reads_short = self.short_lag is not None
        if reads_short and self.has_slopes:
            at_kink = i + self.kink_age == 0  # the history knows its own slope
            slope = jnp.where(at_kink, kink[0], _estimated_slope(recent, newest))
            recent[1] = _put(recent[1], slope, newest)

        def current(c):
            if reads_short and self.has_slopes and c > 0:
                recent[1] = _put(recent[1], self.buffer.step_slope(), newest)
            kink_now = (
                (self._jump(kink, i), i + self.kink_age)
                if self.has_slopes and c > 0
                else ((kink[1], i + self.kink_age) if self.has_slopes else None)
            )
            short = self._read_short(recent, newest, c, kink_now) if reads_short else None
            return self._couple(served.get(c), short)

        with brainstate.environ.context(i=self.start + i, t=t, dt=self.dt):
            out = self.net.advance(current, self.inputs_at(self.start + i, t), skip=self.buffer)
            measured = self.measure(out)
        x = self.state_magnitude()
        slope = self.buffer.step_slope() if self.has_slopes else jnp.zeros(())
        if self.has_slopes:
            kink = (kink[0], self._jump(kink, i))
        if reads_short:
            recent[0] = _put(recent[0], x, newest + 1)
            if self.has_slopes:
                recent[1] = _put(recent[1], slope, newest)
        return tuple(recent), kink, x, slope, measured

    def _jump(self, kink, i):
        """Return the jump of the slope at the initial time, known from the first step on."""
        return jnp.where(i + self.kink_age == 0, kink[0] - self.buffer.step_slope(), kink[1])

    def _read_short(self, recent, newest, c, kink):
        """Read the slots that may be shorter than a block, ``(..., target, entry)``."""
        sources = self.plan.short.sources
        k, fraction = split(self.short_lag - c, self.rule.lead)
        weights = self.rule.value_weights(fraction), *(
            [self.rule.slope_weights(fraction)] if self.has_slopes else []
        )
        total = 0.0
        for track, taps, w in zip(recent, (self.rule.taps, self.rule.slope_taps), weights, strict=False):
            for p, tap in enumerate(taps):
                known = track.at[..., sources, newest - k + tap].get(mode="promise_in_bounds")
                total += w[..., p] * known
        if kink is not None:
            jump, age = kink
            total += jnp.where(k == age, weights[1][..., 0], 0.0) * jump[..., sources]
        return total

    def _couple(self, served, short):
        """Evaluate the coupling from what windows, short reads and the stage itself give."""
        net, instant = self.net, self.plan.instant
        unit = self.buffer.unit
        here = u.get_magnitude(net.stage_value()) if instant.width else None
        if net.is_linear:
            total = 0.0 if served is None else served
            if short is not None:
                total += _weighted(self.weights, self.plan.short, short)
            if instant.width:
                total += self._instant_sum(here)
            total = jnp.broadcast_to(total, self.state_magnitude().shape)
            return net.coupling.combine(u.maybe_decimal(total * self.weight_unit * unit), net.stage_value())
        source = served
        if source is None:
            source = jnp.zeros((*self.state_magnitude().shape, self.lag.shape[-1]), self.lag.dtype)
        rows = np.arange(net.n_nodes)[:, None]
        if short is not None:
            source = source.at[..., rows, self.plan.short.positions].set(short, mode="drop")
        if instant.width == source.shape[-1] and self.edges.is_full and instant.valid.all():
            source = jnp.broadcast_to(here[..., None, :], source.shape)
        elif instant.width:
            source = source.at[..., rows, instant.positions].set(here[..., instant.sources], mode="drop")
        return net.drive(u.maybe_decimal(source * unit))

    def _instant_sum(self, here):
        """Sum what connections without delay carry."""
        if self.edges.is_full:
            weights = jnp.where(self.net.bounds[1] == 0, self.weights, 0.0)
            return jnp.einsum("ik,...k->...i", weights, here)
        return _weighted(self.weights, self.plan.instant, here[..., self.plan.instant.sources])


def _weighted(weights, slots, values):
    """Sum listed slots with their weights."""
    positions = np.minimum(slots.positions, weights.shape[-1] - 1)
    chosen = jnp.where(slots.valid, jnp.take_along_axis(weights, positions, -1), 0.0)
    return (chosen * values).sum(-1)


def _put(track, value, column):
    return jax.lax.dynamic_update_slice_in_dim(track, value[..., None].astype(track.dtype), column, axis=-1)


def _estimated_slope(recent, newest):
    def column(track, age):
        return jax.lax.dynamic_index_in_dim(track, newest - age, axis=-1, keepdims=False)

    return ring_buffer.newest_slope(
        [column(recent[0], a) for a in (2, 1, 0)], [column(recent[1], a) for a in (2, 1)]
    )
