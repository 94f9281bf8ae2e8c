"""The one loop over attempts that every adaptive Runge-Kutta solve runs.

Step sizes are constants of differentiation, except that a step which lands on a target (a breakpoint, the
end) follows that target: the gradient is the exact derivative of the steps taken, on a grid that moves with
its targets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .._core.status import NOT_FINITE, OK, STEP_UNDERFLOW, flag
from .control import Controller, scaled_norm, starting_step
from .solution import Pieces
from .tableaus import Tableau


class State(NamedTuple):
    """Hold one attempt to come, from ``t`` to ``end``, and what the steps before have left."""

    t: jax.Array
    end: jax.Array
    y: jax.Array  # [component]
    slope: jax.Array  # at t, from the last stage of the step before
    memory: jax.Array
    accepted: jax.Array
    rejected: jax.Array
    status: jax.Array


@dataclass(frozen=True)
class Stepper:
    """Advance ``y' = rhs(t, y, delayed)`` by attempts of an embedded pair.

    Parameters
    ----------
    rhs : callable
        ``(t, y, delayed) -> slope``, flat; ``delayed`` is what the past holds for one stage.
    tableau, controller, rtol, atol
        The method and its control; tolerances are scalars or ``(component,)``.
    targets : array, shape (target,)
        Times that steps must land on, ascending; the last is the end.
    longest : scalar array
        The longest step allowed.
    restart : bool
        Evaluate the first stage anew in each step, just inside it: for slopes that jump at targets.
    span : scalar array
        Length of the solve, the scale of its rounding errors.
    """

    rhs: Callable
    tableau: Tableau
    controller: Controller
    rtol: jax.Array
    atol: jax.Array
    targets: jax.Array
    longest: jax.Array
    restart: bool
    span: jax.Array

    def resolution(self, t):
        """Return the shortest time that can be told from rounding errors at ``t``."""
        t, span = lax.stop_gradient((t, self.span))
        return 16 * jnp.finfo(t.dtype).eps * jnp.maximum(jnp.abs(t), span)

    def start(self, t0, y0, delayed, dt0) -> tuple[State, int]:
        """Return the state before the first attempt, and the evaluations spent on it."""
        slope = self.rhs(t0, y0, delayed)
        h = self.first_step(t0, y0, slope, delayed) if dt0 is None else dt0
        zero = jnp.zeros((), jnp.int32)
        memory = self.controller.start(t0.dtype)
        end = self.end(t0, h)
        return State(t0, end, y0, slope, memory, zero, zero, flag(False, OK)), 1 + (dt0 is None)

    def first_step(self, t0, y0, slope, delayed):
        """Guess the first step; the past stands still over it."""
        t0, y0, slope, delayed = lax.stop_gradient((t0, y0, slope, delayed))
        return starting_step(
            lambda t, y: self.rhs(t, y, delayed),
            t0,
            y0,
            slope,
            lambda x: scaled_norm(x, y0, y0, self.rtol, self.atol),
            power=1 / self.tableau.order,
            fallback=1e-6 * self.span,
            longest=self.longest,
        )

    def end(self, t, h):
        """Return the end of an attempt of length ``h``: the next target, or half way there, if near."""
        target = self._target_after(t)
        h = lax.stop_gradient(jnp.minimum(h, self.longest))
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

    @property
    def nodes(self) -> tuple:
        """Times of the stages that an attempt evaluates, in units of the step."""
        return self.tableau.nodes if self.restart else self.tableau.nodes[1:]

    def attempt(self, state: State, delayed) -> tuple[State, Pieces]:
        """Try one step; return the next attempt and the piece of the continuous extension."""
        t, y, h = state.t, state.y, state.end - state.t
        stages = iter(zip(self.nodes, delayed, strict=True))

        def slope(y):
            c, past = next(stages)
            return self.rhs(self._stage_time(state, c), y, past)

        slopes = [slope(y) if self.restart else state.slope]
        new = y
        for weights in self.tableau.stages:
            new = y + h * _combine(weights, slopes)
            slopes.append(slope(new))
        power = self._power(h, y, new, slopes)
        accept = power >= 1
        factor, memory = self.controller(power, state.memory)
        proposed = lax.stop_gradient(h) * factor
        lost = ~accept & (proposed <= self.resolution(t))
        status = flag(lost, STEP_UNDERFLOW) | flag(lost & jnp.isnan(power), NOT_FINITE)
        moved = State(
            t=jnp.where(accept, state.end, t),
            end=state.end,
            y=jnp.where(accept, new, y),
            slope=jnp.where(accept, slopes[-1], state.slope),
            memory=memory,
            accepted=state.accepted + accept,
            rejected=state.rejected + ~accept,
            status=state.status | status,
        )
        moved = moved._replace(end=self.end(moved.t, proposed))
        return moved, Pieces(t, h, self._coefficients(h, y, slopes))

    def _stage_time(self, state, c):
        """Return the time of the stage at ``c``, strictly inside the step if slopes may jump at its ends."""
        t = state.end if c == 1 else state.t + c * (state.end - state.t)
        if not self.restart:
            return t
        inset = self.resolution(t)
        return t + (inset if c == 0 else -inset if c == 1 else 0.0)

    def _power(self, h, y, new, slopes):
        """Return ``error_norm**(-1 / order)``: at least 1 for an error within the tolerances."""
        h, y, new, slopes = lax.stop_gradient((h, y, new, slopes))
        error = h * _combine(self.tableau.error, slopes)
        norm = scaled_norm(error, y, new, self.rtol, self.atol)
        smallest = jnp.finfo(norm.dtype).tiny
        return jnp.maximum(norm, smallest) ** (-1 / self.tableau.order)

    def _coefficients(self, h, y, slopes):
        """Return the continuous extension as powers of theta, shape (component, power)."""
        powers = [h * _combine(weights, slopes) for weights in zip(*self.tableau.dense, strict=True)]
        return jnp.stack([y, *powers], axis=-1)


def _combine(weights, slopes):
    """Return the weighted sum of the slopes without the zero weights."""
    terms = [w * k for w, k in zip(weights, slopes, strict=False) if w]
    return sum(terms[1:], terms[0])
