"""Gradient descent, several steps at a time in one compiled loop."""

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
from ..engine.trace import trace
from .checkpoint import digest_of, named, pack, unpack
from .journal import Journal
from .problem import Problem
from .side_by_side import Lanes
from .steps import Steps, strong

# What a schedule is told by, beside its states.
PLAIN = (int, float, str, bool, tuple, list)


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
            self._fix_types()

    @property
    def settings(self) -> str:
        """What must be the same when a fit goes on in another process."""
        schedule, free = self.optimizer.lr_scheduler, stored(self.problem.parameters)
        rates = f"{type(schedule).__name__}, learning rates {self._schedule['base_lrs']}"
        plain = {k: v for k, v in vars(schedule).items() if isinstance(v, PLAIN) and not k.startswith("_")}
        update = jax.make_jaxpr(self.optimizer.tx.update)(free, self.optimizer.tx.init(free), free)
        digest = digest_of([named(update).encode(), *update.consts])
        return f"{type(self.optimizer).__name__} with {rates} {plain or ''}, update {digest}"

    def run(self, journal: Journal, n_steps: int, *, resume: bool = False) -> None:
        """Take ``n_steps`` steps from where the parameters stand, with a fresh optimizer, or from the
        end of the last run."""
        self._register()
        schedule = self.optimizer.lr_scheduler
        if resume:
            self._go_back_to_the_end()
        else:
            self._begin()
        steps = Steps(journal, self.problem)
        if (kept := journal.go_on(gradient=True, look=steps.look)) is not None:
            self._load(kept)
        while (done := len(journal.history)) < n_steps:
            at_once = 1 if self._follows_loss else journal.steps_until_kept(steps.pace.at_once)
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

    def _begin(self) -> None:
        """Make the optimizer fresh, for where the parameters stand."""
        self.optimizer.opt_state.value = self.optimizer.tx.init(stored(self.problem.parameters))
        self.optimizer.lr_scheduler.load_state_dict(self._schedule)
        self._fix_types()

    def _fix_types(self) -> None:
        """Give the numbers of the optimizer the types that they have after a step: what is traced now is then
        what is traced later."""
        for state in self._states().values():
            state.value = jax.tree.map(strong, state.value)

    @property
    def side_by_side(self) -> bool:
        """Whether several starts can go down together."""
        return not self._follows_loss

    def run_together(self, journals: list[Journal], n_steps: int) -> list[Exception | None] | None:
        """Take ``n_steps`` steps from where each journal begins, side by side; return what ended those that
        diverged. None if two do not fit in the memory, or cannot be traced together."""
        self._register()
        lanes = Lanes.made(journals, self.problem)
        if lanes is None:
            return None
        for i, journal in enumerate(journals):
            journal.restore()
            self._begin()
            if (kept := journal.go_on(gradient=True, look=lambda i=i: lanes.look(i))) is not None:
                self._load(kept)
            lanes.place(i)
        while lanes.take(n_steps):
            lanes.keep(self._arrays)
        lanes.keep(self._arrays, now=True)
        lanes.finish()
        self._end = None  # which of many is to go on is not known
        return lanes.failures

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
            raise ArgumentError(
                "Fitter.fit.resume", "needs an earlier fit from one start that has ended", True
            )
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
