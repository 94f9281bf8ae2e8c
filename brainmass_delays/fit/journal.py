"""What a run of an optimizer leaves: losses, the best parameters, a clear message where it must stop."""

import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .._core.parameters import constrained, store, stored
from .._core.status import DELAY_ABOVE_BOUND, RunError, describe
from .checkpoint import Keeper, history_arrays, load_history
from .problem import Evaluation, Problem

# What stands for the prediction of an evaluation that was read and not made.
REPLAYED = object()
# How well losses of two programs agree, with 64 and with 32 bits.
RTOL = 1e-4
ROUNDINGS = 100


class Stopped(Exception):
    """Leave an optimizer because a callback asked for it."""


class Journal:
    """Evaluate the loss for an optimizer, record every step, and keep the best parameters seen.

    With a ``key`` every evaluation draws the same random numbers. A gradient of zero is refused where a user
    ``begins`` a fit, not where one goes on from an optimum.

    ``tolerant`` ranks candidates with a non-finite loss last, for searches that look at many; else they stop
    the run.
    """

    def __init__(
        self, problem: Problem, target: Any, callbacks: list[Callable], bar, *, tolerant: bool = False,
        key: Any = None, begins: bool = True, keeper: Keeper | None = None,
    ):  # fmt: skip
        self.problem, self.target, self.callbacks, self.bar, self.tolerant = (
            problem,
            target,
            callbacks,
            bar,
            tolerant,
        )
        self.key, self.begins, self.keeper = key, begins, keeper or Keeper(None, 0)
        self.replay: deque[Evaluation] = deque()
        self.gradients: list[np.ndarray] = []
        self.history: list[float] = []
        self.scalars: dict[str, list] = {}
        self.terms: dict[str, list[float]] = {}
        self.norms: dict[str, list[float]] = {}
        self.best_loss, self.best_prediction, self.n_refused = np.inf, None, 0
        self.best = stored(problem.parameters)

    def step(self, *, gradient: bool) -> Evaluation:
        """Evaluate the loss where the parameters stand, as one entry of the history."""
        return self.record(self._evaluate(gradient), gradient=gradient)

    def record(self, evaluation: Evaluation, *, gradient: bool = True) -> Evaluation:
        """Make an evaluation where the parameters stand one entry of the history."""
        replayed = evaluation.prediction is REPLAYED
        if gradient and self.begins and not self.history and not replayed:
            self.problem.check_gradient(evaluation)
        self.history.append(evaluation.loss)
        for name, value in evaluation.scalars.items():
            self.scalars.setdefault(name, []).append(value)
        for name, value in evaluation.terms.items():
            self.terms.setdefault(name, []).append(float(value))
        for name, value in evaluation.norms.items():
            self.norms.setdefault(name, []).append(float(value))
        self._tell(evaluation.loss, silent=replayed)
        return evaluation

    def keep(self, engine: Callable[[], dict], *, now: bool = False, write: bool = True) -> None:
        """Write the journal, and what the engine needs to go on, if it is time; without ``write`` it is only
        noted for a later writing."""
        if self.keeper.is_due(len(self.history)) or (now and self.keeper.checkpoint is not None):
            engine = {f"engine/{name}": value for name, value in engine().items()}
            self.keeper.keep(history_arrays(self) | engine, write=write)

    def go_on(
        self, *, gradient: bool, look: Callable[[], Evaluation] | None = None
    ) -> dict[str, np.ndarray] | None:
        """Read back what was written, look whether it is of this model, and return the engine's part."""
        arrays = self.keeper.found()
        if arrays is None:
            return None
        before = stored(self.problem.parameters)
        load_history(self, arrays)
        self.bar.update(len(self.history))
        if np.isfinite(self.best_loss):
            store(self.problem.parameters, self.best)
            self._draw_the_same()
            now = self.problem.evaluate(self.target, gradient=gradient) if look is None else look()
            # A loss of 0 is rounding, of the size of the terms that it is made of.
            size = np.max(np.abs(self.history), initial=0, where=np.isfinite(self.history))
            rounding = ROUNDINGS * np.finfo(jnp.result_type(float)).eps * size
            if not np.isclose(now.loss, self.best_loss, rtol=RTOL, atol=rounding):
                raise ArgumentError(
                    "Fitter.fit.checkpoint",
                    f"must be of this model, whose loss at the best parameters is {now.loss:.8g}",
                    f"{self.best_loss:.8g}",
                    "Delete it to begin anew, or name another file",
                )
            self.best_prediction = now.prediction
            store(self.problem.parameters, before)
        return {name[7:]: array for name, array in arrays.items() if name.startswith("engine/")}

    def replay_gradients(self, engine: dict[str, np.ndarray] | None, unravel: Callable) -> None:
        """Let the evaluations of a journal that was read back be made again without simulating: an engine
        that cannot be stopped and continued then comes to where it was by itself."""
        if engine is None:
            return
        history, scalars, terms, norms = self.history, self.scalars, self.terms, self.norms
        self.history, self.scalars, self.terms, self.norms, self.n_refused = [], {}, {}, {}, 0
        self.bar.update(-len(history))
        for i, loss in enumerate(history):
            gradient = unravel(engine["gradients"][i]) if "gradients" in engine else {}
            self.replay.append(
                Evaluation(
                    loss, REPLAYED, 0, {name: values[i] for name, values in scalars.items()},
                    {name: values[i] for name, values in terms.items()}, gradient,
                    {name: values[i] for name, values in norms.items()},
                )
            )  # fmt: skip

    def _draw_the_same(self) -> None:
        if self.key is not None:
            brainstate.random.DEFAULT.value = self.key

    def steps_until_kept(self, wanted: int) -> int:
        """Return how many steps may be taken at once: one where each is reported, none past a writing."""
        return 1 if self.callbacks else self.keeper.steps_until_due(len(self.history), wanted)

    def finish(self, look: Callable[[], Evaluation] | None = None) -> None:
        """Look at the parameters after the last update too, then restore the best ones."""
        try:
            if look is None:
                self._evaluate(True)
            else:
                self.consider(look())
        except RunError as error:  # every step before was good
            warnings.warn(f"{error} It came after the last update.", stacklevel=5)
        self.restore()

    def restore(self) -> None:
        """Put the best parameters seen back into the model."""
        store(self.problem.parameters, jax.tree.map(jnp.asarray, self.best))

    def _evaluate(self, gradient: bool) -> Evaluation:
        """Evaluate the loss, stop where it must not be used, and remember the best."""
        if self.replay:
            return self.consider(self.replay.popleft())
        self._draw_the_same()
        return self.consider(self.problem.evaluate(self.target, gradient=gradient))

    def consider(self, evaluation: Evaluation) -> Evaluation:
        """Stop if an evaluation cannot be used, and remember the parameters if it is the best."""
        self._check_usable(evaluation)
        if evaluation.loss < self.best_loss:
            self.best_loss = evaluation.loss
            self.best_prediction = evaluation.prediction
            self.best = stored(self.problem.parameters)
        return evaluation

    def _check_usable(self, evaluation: Evaluation) -> None:
        """Stop at flags of the simulation, and at a loss or a gradient that is not finite."""
        wrong = ", ".join(name for name, norm in evaluation.norms.items() if not np.isfinite(norm))
        if evaluation.status:
            reason = describe(evaluation.status)
        elif not np.isfinite(evaluation.loss):
            reason = f"the loss became {evaluation.loss}"
        elif wrong:
            reason = f"the gradient with respect to {wrong} is not finite"
        else:
            return
        if self.tolerant and not np.isfinite(evaluation.loss):
            self.n_refused += 1
            return
        raise self._failure(f"{reason}. " + " ".join(self._cures(evaluation)))

    def _cures(self, evaluation: Evaluation) -> list[str]:
        """Say what helps against what has happened."""
        if outside := self.problem.delays_outside():
            return outside
        if gap := said_of_gaps(self.target):
            return [gap]
        if excluded := self.problem.loss.excluded():
            return [*excluded, "Start where they allow."]
        if evaluation.status & DELAY_ABOVE_BOUND:
            return ["Raise max_delay."]
        if len(self.history) == 0:
            return ["It is so where the fit starts: start from other values, or lower dt."]
        return ["Lower the learning rate, or bound the Param, e.g. t=SigmoidT(low, high)."]

    def _failure(self, reason: str) -> RunError:
        """Restore the best parameters and return an error that says where the run stood."""
        reached = spell(constrained(self.problem.parameters))
        best_known = np.isfinite(self.best_loss)
        self.restore()
        best = spell(constrained(self.problem.parameters))
        kept = (
            f"the best ones seen, of loss {self.best_loss:.6g} ({best})"
            if best_known
            else "those of the start"
        )
        return RunError(
            f"Fitter.fit: step {len(self.history)}, at {reached}: {reason} The model keeps {kept}."
        )

    def _tell(self, loss: float, silent: bool = False) -> None:
        """Move the progress bar and call the callbacks; any of them may stop the run by returning True."""
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.4g}", best=f"{self.best_loss:.4g}", refresh=False)
        if silent or not self.callbacks:
            return
        info = {
            "step": len(self.history) - 1,
            "loss": loss,
            "best_loss": self.best_loss,
            "params": constrained(self.problem.parameters),
            "model": self.problem.model,
        }
        if True in [callback(info) for callback in self.callbacks]:
            raise Stopped


def said_of_gaps(target: Any) -> str:
    """Say where data are not finite, if they are not."""
    gaps = [at for leaf in jax.tree.leaves(target) if (at := _first_gap(leaf)) is not None]
    return (
        f"The target is not finite at {gaps[0]}: leave gaps out, or let the objective mask them."
        if gaps
        else ""
    )


def _first_gap(values: Any) -> tuple[int, ...] | None:
    """Return the place of the first value that is not finite."""
    gaps = np.argwhere(~np.isfinite(np.asarray(values)))
    return tuple(int(i) for i in gaps[0]) if len(gaps) else None


def spell(values: dict[str, Any]) -> str:
    """Spell out parameter values in one line, arrays by their range."""

    def one(value):
        number, unit = np.asarray(u.get_magnitude(value)), u.get_unit(value)
        text = f"{number.item():.6g}" if number.size == 1 else f"{number.min():.4g} .. {number.max():.4g}"
        return text if unit.is_unitless else f"{text} {unit}"

    return ", ".join(f"{name}={one(value)}" for name, value in values.items())
