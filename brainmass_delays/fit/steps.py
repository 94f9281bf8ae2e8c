"""Steps of a traced loss and update, several at a time in one compiled loop."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import brainstate
import jax
import jax.numpy as jnp
import numpy as np

from .._core.parameters import stand, stored
from .._core.trees import select
from ..engine.programs import PROGRAMS
from ..engine.trace import Traced
from ..integrate.lanes import any_lane, lane
from .journal import Journal
from .problem import Evaluation, Problem, fitting

LONGEST = 64  # steps
SHORT = 0.2  # s, which a user waits for the next report or for Ctrl-C
MOST = 2**25  # bytes of parameters kept at a time


class Plan(NamedTuple):
    """Hold how a traced step is run: where in its states the parameters are, where the random key is that
    every step begins with (None if none is), which states change, and how many steps are kept at most."""

    traced: Traced
    moved: tuple[int, ...]
    source: int | None
    changing: tuple[int, ...]
    room: int

    @property
    def key(self) -> tuple:
        """What programs of a plan are compared by."""
        return self.traced.key, self.moved, self.source, self.changing, self.room

    def apart(self, values: Sequence) -> tuple[list, list]:
        """Return the values of the states that change, and of the others."""
        fixed = [value for i, value in enumerate(values) if i not in self.changing]
        return [values[i] for i in self.changing], fixed

    def joined(self, changing: Sequence, fixed: Sequence) -> list:
        """Return the values of all states."""
        rest, places = iter(fixed), dict(zip(self.changing, changing, strict=True))
        return [places[i] if i in places else next(rest) for i in range(len(self.traced.states))]


def plan(problem: Problem, traced: Traced, key: Any, n_lanes: int = 1) -> Plan:
    """Plan the loop of a traced step, of which some run side by side."""
    places = {id(state): i for i, state in enumerate(traced.states)}
    moved = tuple(places[id(parameter.state)] for parameter in problem.parameters.values())
    source = None if key is None else places.get(id(brainstate.random.DEFAULT))
    changing = tuple(i for i, written in enumerate(traced.is_written) if written or i in moved)
    bytes_each = n_lanes * sum(np.asarray(x).nbytes for x in jax.tree.leaves(stored(problem.parameters)))
    return Plan(traced, moved, source, changing, int(np.clip(MOST // max(bytes_each, 1), 1, LONGEST)))


class Pace:
    """Choose how many steps to take at once, so that a user never waits for long."""

    def __init__(self, room: int):
        self.at_once, self._room = 1, room

    def saw(self, seconds: float) -> None:
        """Take fewer steps from now on if the last ones took long, more if they did not."""
        if seconds > SHORT:
            self.at_once = max(1, self.at_once // 2)
        else:
            self.at_once = min(2 * self.at_once, self._room)


class Steps:
    """Take steps of a traced loss and update several at a time, and tell a journal of each."""

    def __init__(self, journal: Journal, problem: Problem):
        self.journal, self.problem = journal, problem
        self.plan = plan(problem, problem.step(journal.target), journal.key)
        self.traced = self.plan.traced
        self.pace = Pace(self.plan.room)
        self._program: Any = None

    def take(self, n_steps: int) -> None:
        """Take some steps; where the journal stops, the parameters stand at the step where it does."""
        begun, start = [state.value for state in self.traced.states], time.perf_counter()
        best = self.journal.best_loss
        ends, prediction, kept = self._run(begun, n_steps)
        self.pace.saw(time.perf_counter() - start)
        kept = jax.tree.map(np.asarray, kept)
        for k in range(n_steps):
            try:
                record(self.journal, self.problem, k, kept, prediction)
            except BaseException:
                if self.journal.best_loss < best:
                    self.journal.best_prediction = self._run(begun, n_best(self.journal, kept), best)[1]
                raise
        self.traced.put(self.plan.joined(ends, self.plan.apart(begun)[1]))

    def look(self) -> Evaluation:
        """Evaluate the loss where the parameters stand."""
        before = [state.value for state in self.traced.states]
        _, prediction, kept = self._run(before, 1, np.inf)
        return evaluation(0, jax.tree.map(np.asarray, kept), prediction)

    def _run(self, begun, n_steps, best=None):
        """Return the states that change after some steps, the best prediction of these, and what is told of
        each."""
        best = float(self.journal.best_loss if best is None else best)
        changing, fixed = self.plan.apart(begun)
        given = fixed, self.traced.consts, self.journal.target, self.journal.key
        arguments = changing, *given, n_steps, best
        if self._program is None:
            self._program = PROGRAMS.get(
                ("steps", *self.plan.key), lambda: fitting(jax.jit(partial(loop, self.plan)), arguments)
            )
        return self._program(*arguments)


def record(journal: Journal, problem: Problem, k: int, kept: Any, prediction: Any) -> None:
    """Tell a journal of step ``k`` of those that were taken; the parameters then stand where it was."""
    stand(problem.parameters, jax.tree.map(lambda x: x[k, ...], kept[0]))
    journal.record(journal.consider(evaluation(k, kept, prediction)))


def n_best(journal: Journal, kept: Any) -> int:
    """Return how many of the steps that were taken lead to the best one that the journal knows."""
    return 1 + int(np.flatnonzero(kept[1] == journal.best_loss)[0])


def evaluation(k: int, kept: Any, prediction: Any) -> Evaluation:
    """Return what was found at step ``k``."""
    _, loss, status, *rest = kept
    scalars, terms, norms = jax.tree.map(lambda x: x[k, ...], rest)
    return Evaluation(float(loss[k]), prediction, int(status[k]), scalars, terms, {}, norms)


def loop(plan: Plan, begun, fixed, consts, target, key, n_steps, best):
    """Take ``n_steps`` steps; return the states that change, the best prediction, and of every step the
    parameters before it and what was found there. Under `jax.vmap` it ends with the lane of most steps; the
    others stand still, and what is told of steps that they did not take means nothing."""

    def step(changing):
        values = plan.joined(changing, fixed)
        if plan.source is not None:
            values[plan.source] = key
        new, (loss, prediction, status, *rest) = plan.traced.call(values, consts, target)
        return plan.apart(new)[0], prediction, ([values[i] for i in plan.moved], loss, status, *rest)

    def body(carry):
        i, values, best, prediction, kept = carry
        active = lane(i < n_steps)
        new, found, told = step(values)
        _, loss, status, *_, norms = told
        is_finite = jnp.all(jnp.isfinite(jnp.array(jax.tree.leaves(norms))))
        is_better = active & (loss < best) & (status == 0) & is_finite
        prediction = jax.tree.map(lambda x, y: jnp.where(is_better, x, y), found, prediction)
        kept = jax.tree.map(lambda all_, one: all_.at[i].set(one), kept, told)
        new = jax.tree.map(lambda x, old: jnp.asarray(x, old.dtype), new, values)
        return i + 1, select(active, new, values), jnp.where(is_better, loss, best), prediction, kept

    begun = jax.tree.map(strong, begun)
    _, prediction, told = jax.eval_shape(step, begun)
    kept = jax.tree.map(lambda x: jnp.zeros((plan.room, *x.shape), x.dtype), told)
    prediction = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), prediction)
    best = jnp.asarray(best, told[1].dtype)
    carry = 0, begun, best, prediction, kept
    _, values, _, prediction, kept = jax.lax.while_loop(
        lambda carry: any_lane(carry[0] < n_steps), body, carry
    )
    return values, prediction, kept


def strong(value):
    """Return a number as an array of a fixed type, which a loop keeps."""
    return jax.lax.convert_element_type(value, jnp.result_type(value))
