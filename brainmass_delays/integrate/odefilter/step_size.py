"""Choose the steps of a filter by its error estimate, and stop at checkpoints."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..._core.status import MAX_STEPS_REACHED, NOT_FINITE, OK, STEP_UNDERFLOW, flag
from ..._core.trees import select
from ..control import Controller
from .acceptance import error_power
from .gaussian import Gaussian, compose, identity_kernel, predict, predict_and_reverse, push
from .step import Filter

MOST_FAILURES = 10  # attempts in a row that are not finite, each five times shorter than the one before


class Node(NamedTuple):
    """Hold a filter's state at one time, and the kernel that leads from there back to the last checkpoint."""

    t: jax.Array
    gaussian: Gaussian
    kernel: Any  # Kernel; None without smoothing


class State(NamedTuple):
    """Hold what passes between attempts; ``before`` is where the last accepted step, or its rest, began."""

    now: Node
    before: Node
    step: jax.Array
    scale: jax.Array
    memory: jax.Array
    surprise: jax.Array
    accepted: jax.Array
    attempts: jax.Array
    failures: jax.Array
    status: jax.Array


@dataclasses.dataclass(frozen=True)
class AdaptiveFilter:
    """Run a filter to tolerance; ``loop(cond, body, init)`` repeats the attempts."""

    filter: Filter
    rtol: jax.Array
    atol: jax.Array
    controller: Controller
    tolerance_norm: Callable
    per_unit_step: bool
    clip: bool
    smoothing: bool
    slack: float
    shortest: jax.Array
    max_steps: int
    loop: Callable

    def start(self, first_step: jax.Array) -> State:
        """Return the state at the initial time."""
        gaussian, t0 = self.filter.initial, self.filter.equation.t0
        node = Node(t0, gaussian, identity_kernel(gaussian) if self.smoothing else None)
        one, none = self.filter.no_scale, jnp.int32(0)
        memory = self.controller.start(t0.dtype)
        return State(node, node, first_step, one, memory, 0.0 * one, none, none, none, jnp.int32(OK))

    def unfinished(self, state: State, target: jax.Array) -> jax.Array:
        """Tell whether ``target`` is still ahead."""
        return state.now.t + self.slack < target

    def running(self, state: State, target: jax.Array) -> jax.Array:
        """Tell whether another attempt is due."""
        return self.unfinished(state, target) & (state.status == OK) & (state.attempts < self.max_steps)

    def advance(self, state: State, target: jax.Array) -> State:
        """Attempt steps until ``target`` is reached, or passed where steps are not clipped."""
        state = self.loop(lambda s: self.running(s, target), lambda s: self.attempt(s, target), state)
        early = self.unfinished(state, target) & (state.status == OK)
        return state._replace(status=state.status | flag(early, MAX_STEPS_REACHED))

    def attempt(self, state: State, target: jax.Array) -> State:
        """Try one step, keep it if it is accurate enough, and propose the length of the next one."""
        t, gaussian, kernel = state.now
        step = jnp.minimum(jax.lax.stop_gradient(state.step), self.filter.dynamics.longest)
        last = self.clip & (step >= target - t)
        step = jnp.where(last, target - t, step)
        tried = self.filter.step(gaussian, t, step, smoothing=self.smoothing)
        layout = self.filter.layout
        before, after = (layout.rows(g.mean)[0] for g in (gaussian, tried.gaussian))
        power = error_power(
            tried.error, before, after, step, order=self.filter.equation.order,
            n_coefficients=layout.n_coefficients, tolerance_norm=self.tolerance_norm, rtol=self.rtol,
            atol=self.atol, per_unit_step=self.per_unit_step,
        )  # fmt: skip
        factor, memory = self.controller(power, state.memory)
        accept = power >= 1.0

        choose = functools.partial(select, accept)

        back = compose(kernel, tried.kernel) if self.smoothing else None
        proposal = jax.lax.stop_gradient(factor * step)
        finite = power > 0.0
        failures = jnp.where(finite, 0, state.failures + 1)
        stuck = (proposal < self.shortest) & ~last
        return State(
            now=choose(Node(jnp.where(last, target, t + step), tried.gaussian, back), state.now),
            before=choose(state.now, state.before),
            step=proposal,
            scale=choose(tried.scale, state.scale),
            memory=memory,
            surprise=choose(state.surprise + tried.surprise, state.surprise),
            accepted=state.accepted + accept,
            attempts=state.attempts + 1,
            failures=failures,
            status=flag((failures >= MOST_FAILURES) | (stuck & ~finite), NOT_FINITE)
            | flag(stuck & finite, STEP_UNDERFLOW),
        )

    def checkpoint(self, state: State, target: jax.Array) -> tuple[State, Node]:
        """Return the node at a checkpoint that was reached or passed, and the state to continue from.

        The step that passed the checkpoint is cut in two without another look at the equation: the part
        before it is recorded, the part after it is the first link of the way back to this checkpoint.
        """
        passed = state.now.t > target + self.slack
        before, now = state.before, state.now

        def length(difference):
            return jnp.where(passed, difference, 1.0)  # any length will do for a result that is not used

        up_to = self.filter.transition(length(target - before.t), state.scale)
        onward = self.filter.transition(length(now.t - target), state.scale)
        if self.smoothing:
            there, back = predict_and_reverse(before.gaussian, up_to)
            _, link = predict_and_reverse(there, onward)
            identity = identity_kernel(there)
            between = Node(target, push(link, now.gaussian), compose(before.kernel, back))
        else:
            there, link, identity = predict(before.gaussian, up_to), None, None
            between = Node(target, there, None)

        choose = functools.partial(select, passed)

        state = state._replace(
            now=Node(now.t, now.gaussian, choose(link, identity)),
            before=choose(Node(target, there, identity), Node(now.t, now.gaussian, identity)),
        )
        return state, choose(between, now)
