"""The one loop over attempts that every adaptive solve runs.

Step sizes are constants of differentiation, except that a step which lands on a time (a breakpoint, a kink,
an event, the end) follows that time: the gradient is the exact derivative of the steps taken, on a grid that
moves with what it lands on.

An attempt ends in one of four ways. It is *accepted*; *rejected*, as its error is too large; *iterated*, as
it read a past that it has only now found; or *cut*, as something that it must land on lies inside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .._core.status import DELAY_ABOVE_BOUND, MAX_STEPS_REACHED, NOT_FINITE, OK, STEP_UNDERFLOW, flag
from .control import Controller, scaled_norm, starting_step
from .landing import Gaps, Landing
from .loops import tape_loop
from .radau import Radau
from .runge_kutta import ExplicitMethod
from .solution import Pieces, evaluate_piece
from .trail import Past

RESTART = 0.1  # of the proposed step, behind a kink: what follows may be faster than all before
MOST_ITERATIONS = 10  # of one step
ITERATED = 0.02  # of the tolerance: the last change of the step that is iterated
WORTH_ITERATING = 3.0  # steps of fewer shortest delays than that do not pass the shortest delay


class State(NamedTuple):
    """Hold one attempt to come, from ``t`` to ``end``, and what the steps before have left."""

    t: jax.Array
    end: jax.Array
    y: jax.Array  # [component]
    slope: jax.Array  # at t, from the last stage of the step before
    memory: jax.Array
    accepted: jax.Array
    rejected: jax.Array
    repeated: jax.Array  # attempts that were iterated or cut
    evaluations: jax.Array
    landings: jax.Array
    status: jax.Array
    finished: jax.Array
    iteration: jax.Array
    change: jax.Array  # of the step that is iterated, in tolerances
    rows: jax.Array  # of the past that have been written
    saved: jax.Array
    last: Any  # Pieces, or nothing
    aim: Any  # Aim, or nothing


@dataclass(frozen=True)
class March:
    """Advance ``y' = rhs(t, y, values)`` to the last target.

    Parameters
    ----------
    rhs : callable
        ``(t, y, values) -> slope``, flat; ``values`` is what the past holds for one stage.
    method, controller, rtol, atol
        The method and its control; tolerances are scalars or ``(component,)``.
    past : Past or None
    gaps : Gaps
    targets : array, shape (target,)
        Times that steps must land on, ascending; the last is the end.
    impulses : tuple or None
        Times ``(impulse,)`` and a function ``(hit, t, y) -> y`` that applies those of them that are hit.
    restart : bool
        Evaluate the first stage anew in each step, just inside it: for slopes that jump.
    scale : scalar array
        Times far smaller than that are rounding errors.
    shortest : scalar array
        The shortest positive delay, where delays are constant; else 0.
    strictness : float
        What errors are multiplied by before they are compared with the tolerance.
    wants : callable
        ``(piece, state) -> bool``: whether the piece of an accepted step is kept.
    """

    rhs: Callable
    method: ExplicitMethod | Radau
    controller: Controller
    rtol: Any
    atol: jax.Array
    past: Past | None
    gaps: Gaps
    targets: jax.Array
    impulses: tuple | None
    restart: bool
    scale: jax.Array
    shortest: jax.Array
    strictness: float
    wants: Callable

    def resolution(self, t):
        """Return the shortest time that can be told from rounding errors at ``t``."""
        t, scale = lax.stop_gradient((t, self.scale))
        return 16 * jnp.finfo(t.dtype).eps * jnp.maximum(jnp.abs(t), scale)

    def precision(self, t):
        """Return how exactly steps land on what is found on the way."""
        return 8 * self.resolution(t)

    def inset(self, t):
        """Return how far inside a step its ends are evaluated, where slopes may jump."""
        return 2 * self.precision(t) if self.gaps.any else self.resolution(t)

    def start(self, t0, y0, status, roots, orders) -> State:
        """Return the state at the start, where nothing has been evaluated yet."""
        zero = jnp.int32(0)
        no_past = Pieces(t0, jnp.ones_like(t0), jnp.zeros((y0.size, self.method.degree + 1), y0.dtype))
        return State(
            t0, t0, y0, jnp.zeros_like(y0), self.controller.start(t0.dtype), zero, zero, zero, zero, zero,
            status, jnp.asarray(False), zero, jnp.asarray(jnp.inf, t0.dtype), zero + 1, zero,
            no_past._replace(coefficients=no_past.coefficients.at[:, 0].set(y0)) if self._keeps_last else (),
            self.gaps.start(roots, orders) if self.gaps.any else (),
        )  # fmt: skip

    @property
    def _keeps_last(self):
        return self.method.solves_overlap

    def begin(self, state, reader, dt0) -> State:
        """Evaluate the first slope and guess the first step, over which the past stands still."""
        values = self.past.at(state, reader, state.t, state.y)[0] if self.past else None
        slope = self.rhs(state.t, state.y, values)
        spent = 1
        if dt0 is None:
            t, y, frozen_slope, past = lax.stop_gradient((state.t, state.y, slope, values))
            dt0 = starting_step(
                lambda t, y: self.rhs(t, y, past), t, y, frozen_slope, lambda x: self.norm(x, y, y),
                power=1 / self.method.order, fallback=1e-6 * (self.targets[-1] - t),
                longest=self.targets[-1] - t,
            )  # fmt: skip
            spent = 2
        return state._replace(slope=slope, end=self.end(state.t, dt0), evaluations=jnp.int32(spent))

    def norm(self, error, before, after, component: Any = slice(None)):
        """Measure an error in tolerances."""
        return scaled_norm(error, before, after, self.rtol, self.atol[component])

    def _error_norm(self, error, before, after):
        """Measure the error of an attempt, more strictly where no estimate sees all of it."""
        return self.strictness * self.norm(error, before, after)

    def end(self, t, h):
        """Return the end of an attempt of length ``h``: the next target, or half way there, if near."""
        target = self._target_after(t)
        h = lax.stop_gradient(h)
        h = jnp.where(h < WORTH_ITERATING * self.shortest, jnp.minimum(h, self.shortest), h)
        left = lax.stop_gradient(target - t)
        lands = (h >= (1 - 1e-6) * left) | (left <= self.resolution(t))
        if len(self.targets) > 1:
            h = jnp.where(2 * h > left, 0.5 * left, h)
        return jnp.where(lands, target, t + h)

    def _target_after(self, t):
        """Return the first target that can be told from ``t``, or the last one."""
        if len(self.targets) == 1:
            return self.targets[0]
        passed = jnp.sum(self.targets <= t + self.resolution(t))  # faster than a search in a loop
        return self.targets[jnp.minimum(passed, len(self.targets) - 1)]

    def stage_time(self, state, c):
        """Return the time of the stage at ``c``, strictly inside the step if slopes may jump at its ends."""
        t = state.end if c == 1 else state.t + c * (state.end - state.t)
        if not self.restart:
            return t
        inset = self.inset(t)
        return t + (inset if c == 0 else -inset if c == 1 else 0.0)

    def _slopes(self, state, reader, reach: list):
        """Return ``slope(reader, c, y, direction, piece=None)``; ``reach`` collects how far reads went beyond
        the start of the step."""
        past = self.past
        ready = None
        if past is not None and past.reads.constant:
            ready = past.prefetch(state, reader, self.stage_time, self.method.nodes)

        def slope(reader, c, y, direction, piece=None):
            t = self.stage_time(state, c)
            if self.gaps.any and c in (0, 1):
                y = y + lax.stop_gradient((t - (state.end if c == 1 else state.t)) * direction)
            if past is None:
                return self.rhs(t, y, None)
            delays = past.reads.delays(t, y)
            if ready is not None:
                times = ready.times[c]
                values = past.complete(state, ready.values[c], delays, times, y, piece)
            else:
                values, times = past.at(state, reader, t, y, piece)
            reach.append(past.ahead(state, delays, times))
            return self.rhs(t, y, values)

        return slope

    def attempt(self, state: State, reader) -> tuple[State, Pieces, jax.Array, jax.Array]:
        """Try one step; return the next attempt, its piece, and whether the past takes it and it stands."""
        reach = []
        slope = self._slopes(state, reader, reach)
        trial = self.method.trial(state, reader, slope, self._error_norm, self.restart)
        power, piece = lax.stop_gradient(trial.power), trial.piece
        finite = jnp.isfinite(power) & jnp.all(jnp.isfinite(trial.y))
        power = jnp.where(finite, power, jnp.nan)
        iterate, stuck, change = self._must_iterate(state, reader, reach, piece, power)
        landing = self._landing(state, reader, piece, finite & ~iterate & ~stuck)
        factor, memory = self.controller(power, state.memory)
        factor = jnp.where(stuck, jnp.minimum(factor, 0.5), factor)
        proposed = lax.stop_gradient(state.end - state.t) * factor
        # what must be landed on counts only where the error would let a step go that far
        wanted = landing.end - state.t <= jnp.maximum(proposed, 0.5 * (state.end - state.t))
        cut = landing.cut & ((power >= 1) | wanted) & ~iterate & ~stuck
        accept = (power >= 1) & ~iterate & ~stuck & ~cut
        again = iterate | cut
        t = jnp.where(accept, state.end, state.t)
        y = self._impulse(jnp.where(accept, trial.y, state.y), t, accept)
        proposed = jnp.where(accept & landing.landed, RESTART * proposed, proposed)
        lost = ~accept & ~again & (proposed <= self.resolution(t))
        status = flag(lost, STEP_UNDERFLOW) | flag(lost & jnp.isnan(power), NOT_FINITE)
        status |= self._bounds(state.end, trial.y, accept) | flag(accept & landing.bad, NOT_FINITE)
        end = jnp.where(iterate, state.end, jnp.where(cut, landing.end, self.end(t, proposed)))
        on_target = jnp.any(self.targets[:-1] == state.end) & (state.end < self.targets[-1])
        row = accept | iterate
        new = State(
            t=t,
            end=end,
            y=y,
            slope=jnp.where(accept, trial.slope, state.slope),
            memory=jnp.where(again, state.memory, memory),
            accepted=state.accepted + accept,
            rejected=state.rejected + ~(accept | again),
            repeated=state.repeated + again,
            evaluations=state.evaluations + trial.evaluations,
            landings=state.landings + (accept & (landing.landed | on_target)),
            status=state.status | status,
            finished=accept & self.gaps.is_stop(landing),
            iteration=jnp.where(iterate, state.iteration + 1, 0),
            change=jnp.where(iterate, change, jnp.inf),
            rows=state.rows + row,
            saved=state.saved,
            last=self._last(state, piece, accept),
            aim=state.aim,
        )
        if self.gaps.any:
            new = new._replace(aim=self.gaps.follow(state.aim, landing, accept, cut, state.end, trial.y))
        return new, piece, row, accept

    def _last(self, state, piece, accept):
        if not self._keeps_last:
            return ()
        return jax.tree.map(lambda a, b: lax.stop_gradient(jnp.where(accept, a, b)), piece, state.last)

    def _must_iterate(self, state, reader, reach, piece, power):
        """Return whether the attempt is to be repeated with the past that it has found, whether that leads
        nowhere, and how much the step has changed."""
        no = jnp.asarray(False)
        if self.past is None or self.method.solves_overlap:
            return no, no, state.change
        overlap = lax.stop_gradient(jnp.max(jnp.stack(reach))) > 2 * self.inset(state.end)
        kept = self.past.reads.kept
        guess: Pieces = reader.fixed(lambda reader: reader.rows(lambda tape: (state.rows - 1,) * 3))
        found: Pieces = lax.stop_gradient(piece._replace(coefficients=piece.coefficients[kept]))
        h = found.length

        def difference(theta):
            t = found.start + theta * h
            before, now = evaluate_piece(guess, t), evaluate_piece(found, t)
            return self.norm(now - before, before, now, kept)

        change = jnp.max(jax.vmap(difference)(jnp.asarray([0.5, 1.0], h.dtype)))
        open_ = overlap & ~(change <= ITERATED)
        hopeless = (
            jnp.isnan(power)
            | ~jnp.isfinite(change)
            | ((power < 1) & (state.iteration > 0))
            | ((change > 0.9 * state.change) & (state.iteration > 1))
            | (state.iteration >= MOST_ITERATIONS)
        )
        return open_ & ~hopeless, open_ & hopeless, change

    def _landing(self, state, reader, piece, usable) -> Landing:
        no = jnp.asarray(False)
        if not self.gaps.any:
            return Landing(no, state.end, no, jnp.int32(-1), no)
        found = self.gaps.land(state, reader, piece, self.precision(state.end))
        return found._replace(
            cut=found.cut & usable,
            landed=found.landed & usable,
            end=jnp.where(usable, jnp.minimum(found.end, self.targets[-1]), state.end),
        )

    def _impulse(self, y, t, accept):
        """Return the state after the impulses at ``t``."""
        if self.impulses is None:
            return y
        times, jump = self.impulses
        hit = accept & (jnp.abs(lax.stop_gradient(times - t)) <= self.resolution(t))
        return jump(hit, t, y)

    def _bounds(self, t, y, accept):
        """Return the flag of a delay that has left its bounds; a vanishing one may do so by a rounding or
        tolerance error."""
        if self.past is None or self.past.reads.constant:
            return flag(False, OK)
        slack = 100 * self.rtol * jnp.maximum(jnp.abs(t), self.scale) + self.precision(t)
        return flag(accept & self.past.reads.outside(t, y, lax.stop_gradient(slack)), DELAY_ABOVE_BOUND)


def run(march: March, state: State, *, max_steps, loop, tapes=()):
    """Attempt steps until the last target, a flag or an event; return the last state and the tapes.

    The first tape, if there is a past, takes every piece that may be read; the last one those that
    ``march.wants``.
    """
    t1 = march.targets[-1]
    past = march.past

    def unfinished(state):
        return (state.t < t1) & (state.status == OK) & ~state.finished

    def cond(state):
        return unfinished(state) & (state.accepted + state.rejected + state.repeated < max_steps)

    def body(state, reader):
        new, piece, row, accept = march.attempt(state, reader)
        rows, slots = [], []
        if past is not None:
            rows.append(piece._replace(coefficients=piece.coefficients[past.reads.kept]))
            slots.append(jnp.where(row, state.rows, tapes[0].start.size))  # beyond the end: dropped
        if len(tapes) > len(rows):
            keep = accept & march.wants(piece)
            slots.append(jnp.where(keep, state.saved, tapes[-1].start.size))
            rows.append(piece)
            new = new._replace(saved=state.saved + keep)
        return new, tuple(rows), tuple(slots)

    state, tapes = tape_loop(cond, body, state, tapes, loop=loop, max_steps=max_steps)
    state = state._replace(status=state.status | flag(unfinished(state), MAX_STEPS_REACHED))
    return state, tapes
