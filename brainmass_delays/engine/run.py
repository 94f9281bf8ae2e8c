"""Run a model: trace one step, find or compile the program of the whole run, and call it."""

from functools import partial
from typing import Any, NamedTuple

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.states import write
from ..delays.buffer import Kink, Ring, Rings
from ..delays.context import served_by
from ..delays.past import Past
from .layout import Layout
from .literals import literal_values, with_literals
from .memory import check_run
from .program import Progress, RunProgram, Spans
from .programs import PROGRAMS
from .span import Carry, Given, StepCall
from .step import Recorder, StepServer, UnplannedRead, states_before
from .trace import NOTHING, Traced, trace


class Settings(NamedTuple):
    """Fix how a run is computed; its values do not depend on it.

    ``lean`` asks for the adjoint that recomputes blocks and spans; without it the program can be
    differentiated forward. ``cuts`` asks to cut gradients between spans, ``block`` fixes the steps per block
    of reads."""

    lean: bool = True
    cuts: bool = False
    block: int | None = None
    compiled: bool = True


class Outcome(NamedTuple):
    """Hold what a run gives back: ``recorded`` and ``samples``, one list entry per kind of span, each with
    leading axes of spans and of what a span kept; whether all numbers are finite; whether nothing moved."""

    recorded: list
    samples: list
    is_finite: Any
    is_still: Any


class Run:
    """One call of `Simulator.run`.

    Parameters
    ----------
    model : brainstate.nn.Module
        With its states initialized.
    dt : Quantity
        Step size.
    update : callable
        ``update(inputs)`` makes one step of the model and returns its output.
    inputs_at : callable
        ``inputs_at(i, t, row)``, the inputs of step ``i``.
    rows : pytree
        Inputs that are given as numbers, with a leading axis of steps.
    measure : callable
        ``measure(output)``, called after every step, returns what is recorded and a list of what monitors
        watch.
    monitors : list of Monitor
        What follows the run.
    settings : Settings
        How it is computed.
    """

    def __init__(self, model, dt, update, inputs_at, rows, measure, monitors, settings: Settings):
        self.model, self.dt, self.update, self.inputs_at = model, dt, update, inputs_at
        self.rows, self.measure, self.monitors, self.settings = rows, measure, monitors, settings

    def __call__(self, first, spans: Spans, layouts: dict, kept: Any, memory: list, bar: Any = None):
        """Advance the model by ``spans`` from step ``first`` on.

        ``layouts`` remembers what steps read between calls; ``kept`` says per span which steps to record,
        None for all; ``memory`` is that of the monitors. Return an `Outcome` and the monitors' memory."""
        literals = self._literals()
        layout, start, step = self._plan(layouts, literals)
        features = trace(layout.features, *layout.feature_arguments()) if layout.deferred else NOTHING
        _forget_slopes(self.model)
        posts = {size: self._trace_post(size, step, memory) for size in set(spans.sizes)}
        draws = tuple(noise.draw for noise in layout.noises)
        frame = layout.frame()
        key = (
            step.key, features.key, draws, frame, spans, self.settings,
            tuple((size, posts[size].key) for size in sorted(posts)),
        )  # fmt: skip
        calls = {size: post.call for size, post in posts.items()}
        one = StepCall(step.call, step.is_written, draws, features.call)
        lean, cuts, compiled = self.settings.lean, self.settings.cuts, self.settings.compiled
        program = PROGRAMS.get(key, lambda: RunProgram(frame, one, calls, spans, lean, cuts, compiled))
        values = list(zip([state.value for state in step.states], step.is_written, strict=True))
        given = Given(
            [v for v, w in values if not w], step.consts, features.given(), literals, layout.slots,
            [(noise.key.value, noise.count.value) for noise in layout.noises],
            start["lags"], start["weights"], start["singles"], start["left"], start["age"],
            jnp.asarray(first, jnp.int32),
        )  # fmt: skip
        carry = Carry([v for v, w in values if w], start["jump"])
        # each size of span has constants of its own, such as the places of emissions in it
        post_given = {size: post.given() for size, post in posts.items()}
        self._check_memory(layout, spans, given, carry, start["tracks"], step, kept)
        progress = Progress(carry, start["tracks"], memory, jnp.bool_(True), jnp.bool_(True))
        if bar is None:
            end, outs = program.whole(given, post_given, progress, self.rows, kept)
        else:
            end, outs = self._one_by_one(program, given, post_given, progress, kept, bar)
        return self._finish(layout, step, carry, end, outs, sum(spans.sizes))

    def _check_memory(self, layout, spans, given, carry, tracks, step, kept):
        """Refuse what would not fit, before it is compiled."""
        shape = None if kept is None else kept[0].shape
        n_rows = (
            sum(spans.sizes)
            if kept is None
            else shape[0] * shape[1] + (0 if kept[1] is None else len(kept[1]))
        )
        differentiated = any(hasattr(leaf, "primal") for leaf in jax.tree.leaves((given, carry, tracks)))
        keeps = None if not differentiated else "spans" if self.settings.lean else "steps"
        check_run(layout, spans, carry, tracks, step.results[3][0], n_rows, keeps)

    def _one_by_one(self, program, given, post_given, progress, kept, bar):
        """Call the program of one span after the other, so that a user sees progress and can stop it."""
        base, outs = 0, []
        for n, size in enumerate(program.spans.sizes):
            rows = jax.tree.map(lambda x, base=base, size=size: x[base : base + size], self.rows)
            chosen = None if kept is None else (kept[0][n] if n < program.spans.count else kept[1])
            progress, out = program.one(given, post_given, progress, np.int32(base), rows, chosen, size=size)
            jax.block_until_ready(progress.is_finite)
            outs.append(jax.tree.map(lambda x: x[None], out))
            base += size
            bar.update(size)
        return progress, outs

    def _finish(self, layout, step, begun, end, outs, n_steps):
        """Write the final states back."""
        written = [s for s, w in zip(step.states, step.is_written, strict=True) if w]
        pairs = [
            (x, y)
            for old, new, state in zip(begun.states, end.carry.states, written, strict=True)
            for x, y in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
            if isinstance(state, brainstate.HiddenState)
        ]
        moved = jnp.any(jnp.stack([jnp.any(x != y) for x, y in pairs])) if pairs else jnp.bool_(True)
        for state, value in zip(written, end.carry.states, strict=True):
            write(state, value)
        layout.end(end.past, end.carry.jumps, n_steps)
        recorded, samples = [out[0] for out in outs], [out[1] for out in outs]
        return Outcome(recorded, samples, end.is_finite, end.is_still & ~moved), end.memory

    # ------------------------------------------------------------------------------------------ tracing

    def _plan(self, layouts, literals):
        """Find out what a step reads, and trace it with these reads served."""
        key = float(self.dt.to_decimal(u.ms)), self.settings.block
        for _ in range(2):
            if key not in layouts or not layouts[key].is_current():
                layouts.clear()
                layouts[key] = Layout(self._record(), self.dt, self.settings.block)
            layout = layouts[key]
            start = layout.begin()
            try:
                arguments = self._example(layout, start, literals)
                return layout, start, trace(partial(self._served_step, layout), *arguments)
            except UnplannedRead:
                del layouts[key]
        raise RuntimeError("a step reads another past each time it is traced")

    def _literals(self):
        i = jnp.int32(0)
        row = jax.tree.map(lambda x: x[0], self.rows)
        return literal_values(lambda i, row: self._inputs(self.inputs_at, i, row), i, row)

    def _inputs(self, inputs_at, i, row):
        with brainstate.environ.context(i=i, t=i * self.dt, dt=self.dt):
            return inputs_at(i, i * self.dt, row)

    def _step(self, i, row, literals):
        """Make one step and return what is recorded; ``i`` is its index since the initial time."""
        with brainstate.environ.context(i=i, t=i * self.dt, dt=self.dt):
            inputs_at = with_literals(lambda i, row: self._inputs(self.inputs_at, i, row), literals)
            return self.measure(self.update(inputs_at(i, row)))

    def _record(self):
        recorder = Recorder()
        row = jax.tree.map(lambda x: x[0], self.rows)

        def step(i):
            before = states_before(self.model.nodes(Past).values())
            with served_by(recorder):
                measured = self._step(i, row, [])
            recorder.refuse_unpushed(before)
            return measured

        brainstate.transform.StatefulFunction(step).make_jaxpr(jnp.int32(0))
        return recorder

    def _served_step(self, layout, i, s, served, recents, jumps, ages, left, singles, weights, literals):
        """Make one step with served reads; return the newest samples, jumps, columns, and measurements."""
        head = layout.plan.n_recent - 1 + s
        rings = {}
        for g, (values, slopes) in recents.items():
            has_slopes = layout.groups[g].slopes is not None
            kink = Kink(jumps[g], ages[g]) if has_slopes else None
            rings[g] = Rings(Ring(values, head), Ring(slopes, head) if has_slopes else None, kink)
        server = StepServer(layout, served, rings, left, singles, weights)
        with served_by(server):
            measured = self._step(i, served["rows"], literals)
        recents = {
            g: (r.values.values, () if r.slopes is None else r.slopes.values)
            for g, r in server.recents.items()
        }
        jumps = {g: jnp.where(ages[g] == 0, left[g] - server.slopes[g], jump) for g, jump in jumps.items()}
        columns = {}
        for g, new in server.new.items():
            group = layout.groups[g]
            columns |= {group.values: new} | (
                {} if group.slopes is None else {group.slopes: server.slopes[g]}
            )
        return recents, jumps, columns, measured

    def _example(self, layout, start, literals):
        """Return arguments of one step, of the right shapes."""
        lead = {id(p): jax.typeof(p.value()) for p in layout.pasts}
        index, served, recents = jnp.int32(0), {}, {}
        for k, (request, table) in enumerate(zip(layout.requests, layout.tables, strict=True)):
            if all(level[k] is None for level in layout.slots):
                served[k] = {}
                continue
            aval = lead[id(request.read.past)]
            n_targets, width = table.edges.sources.shape
            if not request.is_summed:
                one = jax.ShapeDtypeStruct((*aval.shape[:-1], n_targets, width), aval.dtype)
                served[k] = dict.fromkeys(table.offsets, one)
            else:
                one = jax.ShapeDtypeStruct((*aval.shape[:-1], n_targets), aval.dtype)
                served[k] = {(f, c): one for f in range(request.coupling.n_features) for c in table.offsets}
        n_recent = layout.plan.n_recent + layout.plan.levels[-1].block
        for g in layout.singles:
            aval = lead[id(layout.groups[g].past)]
            one = jax.ShapeDtypeStruct((*aval.shape, n_recent), aval.dtype)
            recents[g] = one, (() if layout.groups[g].slopes is None else one)
        normals = [
            jax.ShapeDtypeStruct(shape if batch is None else (batch, *shape), dtype)
            for shape, batch, dtype in (noise.draw for noise in layout.noises)
        ]
        row = jax.tree.map(lambda x: x[0], self.rows)
        served = {"rows": row, "tables": served, "normals": normals}
        return (
            index, index, served, recents, start["jump"], start["age"], start["left"],
            start["singles"], start["weights"], literals,
        )  # fmt: skip

    def _trace_post(self, size, step, memory) -> Traced:
        """Trace what monitors make of one span."""
        watched = jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype), step.results[3][1])

        def post(memory, watched, i):
            found = [
                monitor.advance(state, values, i, self.dt)
                for monitor, state, values in zip(self.monitors, memory, watched, strict=True)
            ]
            found = jax.tree.map(jnp.asarray, found)
            return [state for state, *_ in found], [sample for _, *sample in found]

        return trace(post, memory, watched, jnp.int32(0))


def _forget_slopes(model):
    """Drop what nodes kept of the step that was traced: it holds no numbers."""
    for node in model.nodes().values():
        getattr(node, "start_step", lambda: None)()
