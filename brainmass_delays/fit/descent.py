"""Gradient descent, several steps at a time in one compiled loop."""

import time
from typing import Any

import brainstate
import braintools
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._core.checks import ArgumentError
from .._core.parameters import store, stored
from .._core.tracing import TOO_EARLY
from ..engine.programs import PROGRAMS
from ..engine.traced import trace
from .checkpoint import pack, unpack
from .journal import Journal
from .problem import Evaluation, Problem, fitting

LONGEST = 64  # steps
SHORT = 0.2  # s, which a user waits for the next report or for Ctrl-C
MOST = 2**25  # bytes of parameters kept at a time


class GradientDescent:
    """Follow the gradient with an optax optimizer, in the space where parameters have no constraints."""

    kind, uses_gradient, tolerant, takes_starts, resumes = "step", True, False, True, True

    def __init__(self, problem: Problem, optimizer: Any, search_space: dict):
        optimizer = braintools.optim.Adam(lr=1e-2) if optimizer is None else optimizer
        if isinstance(optimizer, optax.GradientTransformation):
            optimizer = braintools.optim.OptaxOptimizer(tx=optimizer)
        if not isinstance(optimizer, braintools.optim.OptaxOptimizer):
            raise ArgumentError(
                "Fitter.optimizer",
                "must be an optimizer of braintools.optim or optax with backend='grad'",
                type(optimizer).__name__,
                "Pass braintools.optim.Adam(lr=0.03)",
            )
        states = {name: parameter.state for name, parameter in problem.parameters.items()}
        foreign = {id(state) for state in optimizer.param_states.unique_states} - {
            id(s) for s in states.values()
        }
        if foreign:
            raise ArgumentError(
                "Fitter.optimizer", "must not be in use for another model", None, "Make a new one"
            )
        self.optimizer, self.problem = optimizer, problem
        self._schedule = optimizer.lr_scheduler.state_dict()
        self._registered: dict[str, int] = {}
        self._register()
        self._follows_loss = not self._is_known_ahead()
        problem.update, problem.prepare = self._update, self._register
        self._end: tuple[dict, dict] | None = None

    def _register(self) -> None:
        """Let the optimizer move what trains now: a Param may have been replaced or fixed."""
        states = {name: parameter.state for name, parameter in self.problem.parameters.items()}
        if self._registered != (now := {name: id(state) for name, state in states.items()}):
            self.optimizer.param_states.clear()
            self.optimizer.param_groups = []
            self.optimizer.register_trainable_weights(states)
            self._registered, self._end = now, None

    @property
    def settings(self) -> str:
        """What must be the same when a fit goes on in another process."""
        schedule = type(self.optimizer.lr_scheduler).__name__
        return f"{type(self.optimizer).__name__} with {schedule}, learning rates {self._schedule['base_lrs']}"

    def run(self, journal: Journal, n_steps: int, *, resume: bool = False) -> None:
        """Take ``n_steps`` steps from where the parameters stand, with a fresh optimizer, or from the
        end of the last run."""
        self._register()
        schedule = self.optimizer.lr_scheduler
        if resume:
            self._go_back_to_the_end()
        else:
            self.optimizer.opt_state.value = self.optimizer.tx.init(stored(self.problem.parameters))
            schedule.load_state_dict(self._schedule)
        for state in self._states().values():
            state.value = jax.tree.map(_strong, state.value)
        steps = Steps(journal, self.problem)
        if (kept := journal.go_on(gradient=True, look=steps.look)) is not None:
            self._load(kept)
        while (done := len(journal.history)) < n_steps:
            at_once = 1 if self._follows_loss else journal.steps_until_kept(steps.at_once)
            steps.take(min(at_once, n_steps - done))
            if isinstance(schedule, braintools.optim.ReduceLROnPlateau):
                schedule.step(journal.history[-1])
            elif self._follows_loss:
                schedule.step()
            journal.keep(self._arrays)
        journal.keep(self._arrays, now=True)
        last = stored(self.problem.parameters)
        journal.finish(steps.look)
        self._end = last, stored(self.problem.parameters)

    def _update(self, gradient: dict[str, Any]) -> None:
        """Move the parameters, and the learning rate where its schedule can be compiled."""
        self.optimizer.step(gradient)
        if not self._follows_loss:
            self.optimizer.lr_scheduler.step()

    def _is_known_ahead(self) -> bool:
        """Tell whether the learning rates of many steps can be computed before these are taken."""
        schedule = self.optimizer.lr_scheduler
        if isinstance(schedule, braintools.optim.ReduceLROnPlateau):
            return False
        before = [(state, state.value) for state in self._states().values()]
        try:
            trace(lambda: schedule.step())
        except TOO_EARLY:
            return False
        finally:
            for state, value in before:
                state.value = value
        return True

    def _states(self) -> dict[str, Any]:
        """Return the states of the optimizer and of its schedule."""
        owners = {"optimizer": self.optimizer, "schedule": self.optimizer.lr_scheduler}
        return {
            f"{kind}.{name}": state
            for kind, owner in owners.items()
            for name, state in vars(owner).items()
            if isinstance(state, brainstate.State)
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return all that a next step depends on."""
        arrays = pack("params", stored(self.problem.parameters))
        for name, state in self._states().items():
            arrays |= pack(name, state.value)
        return arrays

    def _load(self, arrays: dict[str, np.ndarray]) -> None:
        store(self.problem.parameters, unpack("params", arrays, stored(self.problem.parameters)))
        for name, state in self._states().items():
            state.value = unpack(name, arrays, state.value)

    def _go_back_to_the_end(self) -> None:
        """Put the last parameters of the last run back, unless others than its best ones were set since."""
        if self._end is None:
            raise ArgumentError("Fitter.fit.resume", "needs an earlier fit that has ended", True)
        last, best = self._end
        now = stored(self.problem.parameters)
        same = jax.tree.structure(now) == jax.tree.structure(best) and jax.tree.all(
            jax.tree.map(jnp.array_equal, now, best)
        )
        if not same:
            raise ArgumentError(
                "Fitter.fit.resume",
                "must find the parameters as the last fit left them",
                "others",
                "Drop resume",
            )
        store(self.problem.parameters, last)


class Steps:
    """Take steps of a traced loss and update several at a time, and tell a journal of each."""

    def __init__(self, journal: Journal, problem: Problem):
        self.journal, self.problem = journal, problem
        self.traced = problem.step(journal.target)
        self.at_once = 1
        moved = [id(parameter.state) for parameter in problem.parameters.values()]
        places = {id(state): i for i, state in enumerate(self.traced.states)}
        self._moved = [places[each] for each in moved]
        self._source = places.get(id(brainstate.random.DEFAULT))
        bytes_each = sum(np.asarray(x).nbytes for x in jax.tree.leaves(stored(problem.parameters)))
        self._room = int(np.clip(MOST // max(bytes_each, 1), 1, LONGEST))

    def take(self, n_steps: int) -> None:
        """Take some steps; where the journal stops, the parameters stand at the step where it does."""
        begun, start = [state.value for state in self.traced.states], time.perf_counter()
        best = self.journal.best_loss
        ends, prediction, kept = self._run(begun, n_steps)
        if time.perf_counter() - start > SHORT:
            self.at_once = max(1, self.at_once // 2)
        else:
            self.at_once = min(2 * self.at_once, self._room)
        kept = jax.tree.map(np.asarray, kept)
        for k in range(n_steps):
            try:
                self._record(k, kept, prediction)
            except BaseException:
                if self.journal.best_loss < best and k + 1 < n_steps:
                    self.journal.best_prediction = self._run(begun, k + 1, best)[1]
                raise
        self.traced.put(ends)

    def look(self) -> Evaluation:
        """Evaluate the loss where the parameters stand."""
        before = [state.value for state in self.traced.states]
        _, prediction, kept = self._run(before, 1, np.inf)
        return self._evaluation(0, jax.tree.map(np.asarray, kept), prediction)

    def _record(self, k, kept, prediction):
        for parameter, values in zip(self.problem.parameters.values(), kept[0], strict=True):
            parameter.state.value = jax.tree.map(lambda x: x[k, ...], values)
        self.journal.record(self.journal.consider(self._evaluation(k, kept, prediction)))

    @staticmethod
    def _evaluation(k, kept, prediction):
        _, loss, status, *rest = kept
        scalars, terms, finite, zero = jax.tree.map(lambda x: x[k, ...], rest)
        return Evaluation(float(loss[k]), prediction, int(status[k]), scalars, terms, {}, finite, zero)

    def _run(self, begun, n_steps, best=None):
        """Return the states after some steps, the best prediction of these, and what is told of each."""
        traced, journal = self.traced, self.journal
        source = None if journal.key is None else self._source
        best = float(journal.best_loss if best is None else best)
        arguments = begun, traced.consts, journal.target, journal.key, n_steps, best
        program = PROGRAMS.get(
            ("steps", traced.key, self._room, tuple(self._moved), source),
            lambda: fitting(
                jax.jit(lambda *given: _loop(traced, self._moved, source, self._room, *given)), arguments
            ),
        )
        return program(*arguments)


def _loop(traced, moved, source, room, begun, consts, target, key, n_steps, best):
    """Take ``n_steps`` steps; return the states, the best prediction, and of every step the parameters
    before it and what was found there."""

    def step(values):
        values = list(values)
        if source is not None:
            values[source] = key
        new, (loss, prediction, status, *rest) = traced.call(values, consts, target)
        return new, prediction, ([values[i] for i in moved], loss, status, *rest)

    def body(carry):
        i, values, best, prediction, kept = carry
        new, found, told = step(values)
        _, loss, status, _, _, finite, _ = told
        is_better = (loss < best) & (status == 0) & jnp.all(jnp.array(jax.tree.leaves(finite)))
        prediction = jax.tree.map(lambda x, y: jnp.where(is_better, x, y), found, prediction)
        kept = jax.tree.map(lambda all_, one: all_.at[i].set(one), kept, told)
        new = jax.tree.map(lambda x, old: jnp.asarray(x, old.dtype), list(new), values)
        return i + 1, new, jnp.where(is_better, loss, best), prediction, kept

    begun = jax.tree.map(_strong, begun)
    _, prediction, told = jax.eval_shape(step, begun)
    kept = jax.tree.map(lambda x: jnp.zeros((room, *x.shape), x.dtype), told)
    prediction = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), prediction)
    best = jnp.asarray(best, told[1].dtype)
    carry = 0, begun, best, prediction, kept
    _, values, _, prediction, kept = jax.lax.while_loop(lambda carry: carry[0] < n_steps, body, carry)
    return values, prediction, kept


def _strong(value):
    """Return a number as an array of a fixed type, which a loop keeps."""
    return jax.lax.convert_element_type(value, jnp.result_type(value))
