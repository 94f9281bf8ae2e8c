"""What every adaptive Runge-Kutta solve shares: checked arguments, and the way from them to a `Solution`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_choice, check_count
from .._core.status import is_traced
from .border import Border, check_span
from .control import Controller, resolve_controller
from .history import Past
from .loops import resolve
from .solution import Pieces, Solution, Statistics, evaluate_at
from .stepping import Stepper, run
from .tableaus import METHODS, Tableau

CAUTIOUS = {"safety": 0.8, "longest": 5.0}  # halves the error of safety 0.9 at an eighth more steps


@dataclass(frozen=True)
class Problem:
    """Hold the arguments that `solve_ode` and `solve_dde` share, as magnitudes."""

    border: Border
    y0: jax.Array
    start: jax.Array
    end: jax.Array
    tableau: Tableau
    controller: Controller
    rtol: Any
    atol: jax.Array
    first: jax.Array | None
    max_steps: int
    loop: str | Callable
    times: jax.Array | None
    dense: bool
    jumps: jax.Array | None
    event: Callable | None

    @classmethod
    def of(
        cls, where, u0, t0, t1, *, args, method, rtol, atol, controller, dt0, max_steps, while_loop, save_at,
        dense, breakpoints, event,
    ) -> "Problem":  # fmt: skip
        """Check the arguments of the caller named ``where`` and bring them across the border."""
        border, y0 = Border.of(where, u0, t0)
        start, end = border.time("t0", t0), border.time("t1", t1)
        check_span(where, start, end)
        max_steps = check_count(f"{where}.max_steps", max_steps)
        resolve(while_loop, max_steps, f"{where}.while_loop")
        return cls(
            border, y0, start, end, METHODS[check_choice(f"{where}.method", method, METHODS)],
            resolve_controller(controller, f"{where}.controller", **CAUTIOUS),
            _relative_tolerance(where, rtol), _absolute_tolerance(border, atol), _first_step(border, dt0),
            max_steps, while_loop, _save_times(border, save_at, start, end), dense,
            None if breakpoints is None else jnp.atleast_1d(border.time("breakpoints", breakpoints)),
            border.event(event, args),
        )  # fmt: skip

    @property
    def keeps_pieces(self) -> bool:
        """Whether the continuous extension of the whole state is needed after the solve."""
        return self.dense or self.times is not None

    def tape(self, size: int) -> Pieces:
        """Return room for the continuous extension of ``size`` components over all steps."""
        return Pieces.blank(
            self.max_steps, size, self.tableau.degree, self.border.time_dtype, self.border.dtype
        )

    def stepper(self, rhs: Callable, targets: Any, *, restart: bool, longest: Any = jnp.inf) -> Stepper:
        """Return the stepper of ``y' = rhs(t, y, delayed)`` that lands on those targets inside the span."""
        targets = landing_times(targets, self.start, self.end)
        return Stepper(
            rhs, self.tableau, self.controller, self.rtol, self.atol, targets, longest, restart,
            span=self.end - self.start,
        )  # fmt: skip

    def solve(self, stepper: Stepper, *, status=0, tape=(), past: Past | None = None, rows=None) -> Solution:
        """Take the steps and report; ``rows(piece)`` goes on the tape, from which ``past`` reads."""
        first_row = past.tabulated if past else 0
        delayed = past.at_start(tape) if past else None
        state, spent = stepper.start(self.start, self.y0, delayed, self.first)
        state, tape = run(
            stepper,
            state._replace(status=state.status | status),
            max_steps=self.max_steps,
            loop=self.loop,
            tape=tape,
            plan=past and past.plan,
            delayed=past and past.delayed,
            rows=rows,
            first_row=first_row,
            event=self.event,
        )
        evaluations = spent + len(stepper.nodes) * (state.accepted + state.rejected)
        return self._report(state, evaluations, jax.tree.map(lambda x: x[first_row:], tape))

    def _report(self, state, evaluations, pieces) -> Solution:
        """Turn the last state and the recorded pieces into a `Solution`."""
        ts, ys = state.t, state.y
        if self.times is not None:
            ts, ys = self.times, evaluate_at(pieces, self.times, state.accepted, self.start, state.t)
        return Solution(
            ts=self.border.with_time_unit(ts),
            ys=self.border.unravel(ys),
            t=self.border.with_time_unit(state.t),
            statistics=Statistics(state.accepted, state.rejected, evaluations),
            status=state.status,
            t0=self.start,
            pieces=pieces if self.dense else None,
            border=self.border,
        )


def landing_times(times, t0, t1):
    """Return the times that steps must land on: those strictly inside the span, ascending, then ``t1``."""
    if times is None:
        return t1[None]
    inside = jnp.where((times > t0) & (times < t1), times, t1)
    return jnp.append(jnp.sort(inside), t1)


def _relative_tolerance(where, rtol):
    if not is_traced(rtol) and not (np.ndim(rtol) == 0 and 0 <= rtol < 1):
        raise ArgumentError(f"{where}.rtol", "must be a number in [0, 1)", rtol)
    return rtol


def _absolute_tolerance(border, atol):
    """Return ``atol`` as a flat vector in the units of the state."""
    atol = border.like_state("atol", atol).astype(border.time_dtype)
    if not is_traced(atol) and not bool(jnp.all((atol > 0) & (atol < jnp.inf))):
        raise ArgumentError(f"{border.where}.atol", "must be positive and finite", jnp.min(atol))
    return atol


def _first_step(border, dt0):
    if dt0 is None:
        return None
    dt0 = border.time("dt0", dt0)
    if not is_traced(dt0) and not dt0 > 0:
        raise ArgumentError(f"{border.where}.dt0", "must be positive", dt0)
    return dt0


def _save_times(border, save_at, t0, t1):
    """Return the times of ``save_at``, checked to lie in the span where known."""
    if save_at is None:
        return None
    times = border.time("save_at", save_at)
    if times.ndim != 1:
        raise ArgumentError(f"{border.where}.save_at", "must be one axis of times", f"shape {times.shape}")
    if not is_traced((times, t0, t1)) and not bool(jnp.all((times >= t0) & (times <= t1))):
        rule = f"must lie between t0 = {t0} and t1 = {t1}"
        raise ArgumentError(f"{border.where}.save_at", rule, f"{times.min()} to {times.max()}")
    return times
