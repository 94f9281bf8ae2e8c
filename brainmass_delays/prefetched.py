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
from .integrate.blocks import BlockScan, block_scan
from .integrate.levels import LevelReads
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


def _divide(n_steps: int, block: int, multiple: int) -> list[tuple[int, int]]:
    """Divide steps into equal blocks, a little shorter than planned if that avoids a remainder, here or of
    the blocks within them."""
    block = min(block, n_steps)
    even = [b for b in range(block, (2 * block) // 3, -1) if n_steps % b == 0]
    if even:
        block = next((b for b in even if b % multiple == 0), even[0])
    n_blocks, rest = divmod(n_steps, block)
    return [(block, n_blocks), *([(rest, 1)] if rest else [])]


class _PrefetchedRun:
    """Hold what every block of one run shares."""

    def __init__(self, net: Network, plan: ReadPlan, lag, dt, inputs_at, measure, start):
        self.net, self.plan, self.dt, self.inputs_at, self.measure = net, plan, dt, inputs_at, measure
        self.start = start  # index of the first step of the span at hand
        self.rule, self.edges, self.buffer = net.rule, net.edges, net.source_read.buffer
        self.state = getattr(net.node, net.coupled_var)
        self.has_slopes = bool(self.rule.slope_taps)
        lag = jnp.asarray(lag, self.state_magnitude().dtype)
        self.weights = None
        if net.is_linear:
            weights = net.coupling.weights()
            self.weight_unit, weights = u.get_unit(weights), u.get_magnitude(weights)
            self.weights = jnp.where(self.edges.active, weights, 0.0)
        self.levels = [LevelReads(level, lag, self.weights, self.rule, net.offsets) for level in plan.levels]
        self.reads_short, self.short_lag = plan.short.width > 0, plan.short.take(lag, 0.0)

    def span(self, n_steps: int, lean: bool):
        """Advance by ``n_steps`` and return the measurements."""
        self.lean = lean
        tracks, kink = self.tracks(n_steps), self.kink()
        written = self.trace_step(tracks, n_steps)
        carry = [state.value for state in written], kink
        (values, kink), new, out = self.advance(0, carry, tracks, {}, np.int32(0), n_steps)
        for state, value in zip(written, values, strict=True):
            state.value = value
        self.store(tracks, new, kink, n_steps)
        self.start += n_steps
        return out

    def cut_gradients(self) -> None:
        """Make every state a constant for what follows."""
        for state in self.net.states().values():
            if not isinstance(state, brainstate.ParamState):
                state.value = jax.lax.stop_gradient(state.value)

    def state_magnitude(self):
        """Return the coupled variable without its unit."""
        return u.get_magnitude(self.state.value)

    # -------------------------------------------------------------------------------------------- past

    def tracks(self, n_steps: int) -> tuple:
        """Lay out the past and room for the run: values, and slopes if the rule uses them."""
        rings = [self.buffer.values, *([self.buffer.slopes] if self.has_slopes else [])]
        pasts = [ring_buffer.unroll(ring.value) for ring in rings]
        self.n_past = pasts[0].shape[-1]
        return tuple(_with_room(past, n_steps) for past in pasts)

    def kink(self):
        """Return the slope before the initial time, the jump there, and the age of that time when the run
        starts."""
        if not self.has_slopes:
            return ()
        kink = self.buffer.kink.value
        self.kink_age = kink.age
        return self.buffer.left_slope.value, kink.jump

    def store(self, tracks: tuple, new: tuple, kink: tuple, n_steps: int) -> None:
        """Put the newest samples back into the buffer, so that a further run continues."""
        newest = [
            _with_room(jnp.concatenate([t[..., : self.n_past - late], n], -1), late)[..., -self.n_past :]
            for t, n, late in zip(tracks, new, LATENESS, strict=False)
        ]
        self.buffer.values.value = ring_buffer.fill(newest[0])
        if self.has_slopes:
            values, slopes = map(ring_buffer.fill, newest)
            slope = ring_buffer.estimate_slope(values, slopes)
            self.buffer.slopes.value = ring_buffer.replace_newest(slopes, slope)
            self.buffer.kink.value = ring_buffer.Kink(kink[1], self.kink_age + n_steps)

    # -------------------------------------------------------------------------------------------- blocks

    def trace_step(self, tracks, n_steps):
        """Trace one step for every length of the finest blocks, and return the states that it writes."""
        self.step = brainstate.transform.StatefulFunction(self._step, return_only_write=False)
        for length in self._finest_lengths(0, n_steps):
            example = self._step_example(tracks, length)
            self.step.make_jaxpr(*example)
        trace = self.step.get_state_trace(*example)
        self.is_written = trace.been_writen
        written = [s for s, w in zip(trace.states, self.is_written, strict=True) if w]
        self.fixed = [None if w else s.value for s, w in zip(trace.states, self.is_written, strict=True)]
        return written

    def _finest_lengths(self, depth, n_steps):
        """List the lengths of the finest blocks of a run."""
        if depth == len(self.levels):
            return {n_steps}
        return set().union(
            *(self._finest_lengths(depth + 1, block) for block, _ in self._blocks(depth, n_steps))
        )

    def _blocks(self, depth, n_steps):
        """Divide steps into the blocks of one level: their lengths and how many of each."""
        lengths = [*(level.block for level in self.plan.levels), 1]
        return _divide(n_steps, lengths[depth], lengths[depth + 1])

    def advance(self, depth, carry, tracks, served, first, n_steps):
        """Run ``n_steps`` from step ``first`` on, in blocks of one level and all finer ones.

        ``tracks`` hold the past that is needed and room for the run, ``served`` what longer blocks read,
        step axis first. Return the carry, what the steps put into the tracks, and the measurements."""
        if depth == len(self.levels):
            return self.steps(carry, tracks, served, first, n_steps)
        level, lateness = self.levels[depth], LATENESS[: len(tracks)]
        n_recent, origin = level.level.n_recent, tracks[0].shape[-1] - n_steps - 1
        outs, done = [], 0
        for block, n_blocks in self._blocks(depth, n_steps):
            def body(carry, seen, recent, served, at, block=block):
                jump, age = (carry[1][1], first + at + self.kink_age) if self.has_slopes else (None, None)
                served = level.merge(served, level.serve(seen, jump, age, block))
                recent = tuple(_with_room(track, block) for track in recent)
                return self.advance(depth + 1, carry, recent, served, first + at, block)

            reads = level.reads(block, origin, lateness, self.lean)
            sizes = BlockScan(block, n_blocks, origin, n_recent, lateness, reads, done)
            carry, tracks, out = block_scan(
                sizes, body, carry, tracks, sizes.cut(served), level.taps, level.starts, lean=self.lean
            )
            outs.append(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), out))
            done += block * n_blocks
        new = tuple(
            t[..., origin + 1 - late : origin + 1 - late + n_steps]
            for t, late in zip(tracks, lateness, strict=True)
        )
        return carry, new, jax.tree.map(lambda *p: p[0] if len(p) == 1 else jnp.concatenate(p), *outs)

    def steps(self, carry, recent, served, first, n_steps):
        """Run ``n_steps`` one by one."""

        def one(state, xs):
            values, recent, kink = state
            i, served = xs
            rest = iter(values)
            full = [next(rest) if w else f for w, f in zip(self.is_written, self.fixed, strict=True)]
            new, (recent, kink, x, slope, out) = self.step.jaxpr_call(
                full, i, i - first, served, recent, kink
            )
            values = [v for v, w in zip(new, self.is_written, strict=True) if w]
            return (values, recent, kink), (x, slope, out)

        xs = first + jnp.arange(n_steps, dtype=jnp.int32), served
        # Not unrolled: several steps of a four-stage method per turn cost XLA minutes of compilation.
        (values, _, kink), (x, slope, out) = jax.lax.scan(one, (carry[0], recent, carry[1]), xs)
        new = tuple(jnp.moveaxis(t, 0, -1) for t in ((x, slope) if self.has_slopes else (x,)))
        return (values, kink), new, out

    def _step_example(self, tracks, n_steps):
        """Describe the arguments of one step of ``n_steps`` in a row."""
        lead, dtype = tracks[0].shape[:-1], tracks[0].dtype
        index = jax.ShapeDtypeStruct((), jnp.int32)
        slots = () if self.net.is_linear else (self.edges.sources.shape[-1],)
        served = {}
        if any(level.has_any for level in self.levels):
            served = {c: jax.ShapeDtypeStruct((*lead, *slots), dtype) for c in self.net.offsets}
        n_recent = self.plan.levels[-1].n_recent + n_steps
        recent = tuple(jax.ShapeDtypeStruct((*lead, n_recent), dtype) for _ in tracks)
        kink = tuple(jax.ShapeDtypeStruct(lead, dtype) for _ in range(2)) if self.has_slopes else ()
        return index, index, served, recent, kink

    # -------------------------------------------------------------------------------------------- one step

    def _step(self, i, s, served, recent, kink):
        """Advance the network by step ``i``, the ``s``-th of its block."""
        t = (self.start + i) * self.dt
        rings = [ring_buffer.Ring(track, self.plan.levels[-1].n_recent - 1 + s) for track in recent]
        if self.reads_short and self.has_slopes:
            at_kink = i + self.kink_age == 0  # the history knows its own slope
            slope = jnp.where(at_kink, kink[0], ring_buffer.estimate_slope(*rings))
            rings[1] = ring_buffer.replace_newest(rings[1], slope)

        def current(c):
            short = self._read_short(rings, kink, i, c) if self.reads_short else None
            return self._couple(served.get(c), short)

        with brainstate.environ.context(i=self.start + i, t=t, dt=self.dt):
            out = self.net.advance(current, self.inputs_at(self.start + i, t), skip=self.buffer)
            measured = self.measure(out)
        x, slope = self.state_magnitude(), jnp.zeros(())
        if self.has_slopes:
            slope, kink = self.buffer.step_slope(), (kink[0], self._jump(kink, i))
        if self.reads_short:
            rings[0] = ring_buffer.push(rings[0], x)
            if self.has_slopes:
                rings[1] = ring_buffer.replace_newest(rings[1], slope)
        return tuple(ring.values for ring in rings), kink, x, slope, measured

    def _jump(self, kink, i):
        """Return the jump of the slope at the initial time, known from the first step on."""
        return jnp.where(i + self.kink_age == 0, kink[0] - self.buffer.step_slope(), kink[1])

    def _read_short(self, rings, kink, i, c):
        """Read the slots that no block serves, ``(..., target, entry)``; after its first stage, a step knows
        the newest slope."""
        values, slopes, jump = rings[0], None, None
        if self.has_slopes:
            slopes, jump = rings[1], kink[1]
            if c > 0:
                slopes = ring_buffer.replace_newest(slopes, self.buffer.step_slope())
                jump = self._jump(kink, i)
            jump = ring_buffer.Kink(jump, i + self.kink_age)
        return ring_buffer.read(
            values, slopes, self.plan.short.sources, self.short_lag - c, self.rule, kink=jump
        )

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
            state = self.state_magnitude()
            source = jnp.zeros((*state.shape, self.edges.sources.shape[-1]), state.dtype)
        if short is not None:
            source = self.plan.short.put(source, short)
        if instant.width and self.edges.is_full and instant.is_whole:
            source = instant.put(source, here[..., None, :])
        elif instant.width:
            source = instant.put(source, here[..., instant.sources])
        return net.drive(u.maybe_decimal(source * unit))

    def _instant_sum(self, here):
        """Sum what connections without delay carry."""
        if self.edges.is_full:
            weights = jnp.where(self.net.bounds[1] == 0, self.weights, 0.0)
            return jnp.einsum("ik,...k->...i", weights, here)
        return _weighted(self.weights, self.plan.instant, here[..., self.plan.instant.sources])


def _weighted(weights, slots, values):
    """Sum listed slots with their weights."""
    return (slots.take(weights, 0.0) * values).sum(-1)


def _with_room(track, n_steps):
    return jnp.concatenate([track, jnp.zeros((*track.shape[:-1], n_steps), track.dtype)], -1)
