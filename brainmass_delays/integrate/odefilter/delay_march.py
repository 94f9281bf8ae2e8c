"""March through a delay equation from kink to kink, with steps chosen by tolerance or equal ones."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..._core.status import DELAY_ABOVE_BOUND, MAX_STEPS_REACHED, NOT_FINITE, OK, STEP_UNDERFLOW, flag
from ..control import Controller, scaled_norm
from .acceptance import error_power
from .delay_step import DelayFilter
from .step_size import MOST_FAILURES
from .window import Window


class State(NamedTuple):
    """Hold what passes between attempts."""

    window: Window
    step: jax.Array
    memory: jax.Array
    surprise: jax.Array
    accepted: jax.Array
    attempts: jax.Array
    failures: jax.Array
    status: jax.Array


@dataclasses.dataclass(frozen=True)
class March:
    """Run a filter from kink to kink, to tolerance, or in equal steps without a controller."""

    filter: DelayFilter
    rtol: jax.Array | float
    atol: jax.Array | float
    controller: Controller | None
    shortest: jax.Array
    max_steps: int
    loop: Callable

    def run(self, first_step: jax.Array, targets: jax.Array, status: jax.Array) -> State:
        """Advance to every target, unless a flag is set; all but the last one are kinks."""
        window, none = self.filter.start(), jnp.int32(0)
        dtype = window.times.dtype
        memory = jnp.zeros(()) if self.controller is None else self.controller.start(dtype)
        surprise = jnp.zeros(self.filter.memory.layout.n_blocks, dtype)
        delays = self.filter.equation.delays
        usable = jnp.all((delays >= 0) & jnp.isfinite(delays))  # known to be so unless they are traced
        status = status | flag(~usable, DELAY_ABOVE_BOUND)
        state = State(window, first_step, memory, surprise, none, none, none, status)

        # Reverse mode keeps one state per kink, and runs the attempts up to the next one again.
        @jax.checkpoint
        def body(state, target):
            new = self.advance(state, target)
            moved = target > state.window.times[0] + self.filter.side
            here = moved & (target < targets[-1]) & (new.status == OK)
            window = jax.tree.map(
                lambda a, b: jnp.where(here, a, b), self.filter.restart(new.window), new.window
            )
            return new._replace(window=window), None

        if len(targets) == 1:
            return self.advance(state, targets[0])
        return jax.lax.scan(body, state, targets)[0]

    def advance(self, state: State, target: jax.Array) -> State:
        """Attempt steps until ``target`` is reached."""

        def ahead(state):
            return state.window.times[0] + self.filter.side < target

        def running(state):
            return ahead(state) & (state.status == OK) & (state.attempts < self.max_steps)

        state = self.loop(running, lambda state: self.attempt(state, target), state)
        early = ahead(state) & (state.status == OK)
        return state._replace(status=state.status | flag(early, MAX_STEPS_REACHED))

    def attempt(self, state: State, target: jax.Array) -> State:
        """Try one step, keep it if it is accurate enough, and propose the length of the next one.

        The rest of the way is divided into equal steps, so that none is tiny and all move with the target.
        """
        t = state.window.times[0]
        n_left = jnp.maximum(jnp.ceil(jax.lax.stop_gradient((target - t) / state.step) - 1e-3), 1.0)
        end = jnp.where(n_left > 1, t + (target - t) / n_left, target)
        tried = self.filter.step(state.window, end)
        step = jax.lax.stop_gradient(end - t)
        power, proposal, memory = self._judge(state, tried, step)
        accept, finite = power >= 1.0, power > 0.0
        window, surprise = jax.tree.map(
            lambda a, b: jnp.where(accept, a, b),
            (tried.window, state.surprise + tried.surprise),
            (state.window, state.surprise),
        )
        failures = jnp.where(finite, 0, state.failures + 1)
        stuck = (proposal < self.shortest) & ~accept
        return State(
            window=window,
            step=proposal,
            memory=memory,
            surprise=surprise,
            accepted=state.accepted + accept,
            attempts=state.attempts + 1,
            failures=failures,
            status=flag((failures >= MOST_FAILURES) | (stuck & ~finite), NOT_FINITE)
            | flag(stuck & finite, STEP_UNDERFLOW)
            | flag(accept & tried.forgotten, DELAY_ABOVE_BOUND),
        )

    def _judge(self, state: State, tried, step):
        """Return the power of a step, the next step and the controller's memory."""
        if self.controller is None:
            power = jnp.where(jnp.all(jnp.isfinite(tried.after)), 1.0, 0.0)
            return power, state.step, state.memory
        power = error_power(
            tried.error, tried.before, tried.after, step, order=1,
            n_coefficients=self.filter.memory.layout.n_coefficients, tolerance_norm=scaled_norm,
            rtol=self.rtol, atol=self.atol, per_unit_step=False,
        )  # fmt: skip
        factor, memory = self.controller(power, state.memory)
        return power, jax.lax.stop_gradient(factor * step), memory
