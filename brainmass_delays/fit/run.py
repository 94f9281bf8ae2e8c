"""One run of a backend: its journal, its random numbers, and what comes of it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.parameters import constrained
from .._core.salvage import attach
from .._core.status import RunError
from .checkpoint import Checkpoint, Keeper
from .explorer import LossExplorer, over_seeds
from .journal import Journal, Stopped, said_of_gaps
from .profile import NoiseFloor
from .result import Context, FitResult
from .starts import run_starts, run_together

# Evaluations with other random numbers that tell how much a loss is worth.
FLOOR_SEEDS = 4


class Run(LossExplorer):
    """What a `Fitter` does for every start."""

    _journal: Journal | None

    @contextmanager
    def _same_random_numbers(self, kept: Checkpoint | None, resume: bool) -> Iterator[None]:
        """Draw one key for all evaluations of a fit; take that of the last one with ``resume``, and that of
        the checkpoint, if there is one."""
        drawn = brainstate.random.split_key()
        self._key = self._key if resume and self._key is not None else drawn
        if kept is not None:
            if kept.read():
                self._key = jax.random.wrap_key_data(jnp.asarray(kept.key))
            kept.key = np.asarray(jax.random.key_data(self._key))
        after = brainstate.random.DEFAULT.value
        try:
            yield
        finally:
            brainstate.random.DEFAULT.value = after

    def _begun(self, target, bar, index: int, kept: Checkpoint | None) -> Journal:
        """Return the journal of the start of an index, which begins where the parameters stand."""
        brainstate.random.DEFAULT.value = self._key
        return Journal(
            self._problem, target, self.callbacks, bar, tolerant=self._backend.tolerant, key=self._key,
            keeper=Keeper(kept, index),
        )  # fmt: skip

    def _run_starts(self, target, n_steps: int, values: list[dict], *, kept=None) -> FitResult:
        """Run the backend from several starts: side by side if it can, or one after the other."""
        bar, parameters = self._bar(n_steps * len(values)), self._problem.parameters
        if len(values) > 1 and not self.callbacks and getattr(self._backend, "side_by_side", False):
            begin = lambda i: self._begun(target, bar, i, kept)  # noqa: E731
            run = lambda journals: self._backend.run_together(journals, n_steps)  # noqa: E731
            if (found := run_together(begin, run, self._result, parameters, values, bar)) is not None:
                return found
        return run_starts(partial(self._run, target, n_steps, kept=kept), parameters, values, bar)

    def _run(self, target, n_steps: int, bar, index: int, *, resume=False, kept=None) -> FitResult:
        """Run the backend once, from the start of an index."""
        journal = self._begun(target, bar, index, kept)
        if resume and self._journal is not None:
            journal.best_loss, journal.best_prediction = (
                self._journal.best_loss,
                self._journal.best_prediction,
            )
        self._journal = journal
        try:
            raw = self._backend.run(journal, n_steps, **({"resume": True} if resume else {}))
        except Stopped:
            journal.restore()
            raw = None
        except BaseException as error:
            journal.restore()
            if journal.history:
                note = f"Fitter.fit: this error's .result holds the {len(journal.history)} steps before it. "
                attach(error, self._result(journal, None), note + "The model keeps the best parameters.")
            raise
        if journal.n_refused:
            if not np.isfinite(journal.best_loss):
                raise RunError(
                    f"Fitter.fit: the loss was finite for none of {len(journal.history)} candidates. "
                    + (said_of_gaps(target) or "Narrow the search space.")
                )
            warnings.warn(
                f"Fitter.fit: the loss was not finite for {journal.n_refused} of {len(journal.history)} "
                "candidates, which were ranked last. Narrow the search space.",
                stacklevel=3,
            )
        return self._result(journal, raw)

    def _result(self, journal: Journal, raw: Any) -> FitResult:
        """Return what a run has found, whose best parameters the model holds."""
        return FitResult(
            best_loss=journal.best_loss,
            best_params=constrained(self._problem.parameters),
            history=journal.history,
            n_steps=len(journal.history),
            prediction=journal.best_prediction,
            model=self.model,
            param_history={name: _course(part) for name, part in journal.scalars.items()},
            terms=journal.terms,
            gradient_norms=journal.norms,
            backend=self.backend,
            optimizer=self.optimizer,
            raw=raw,
            context=Context(self._problem, journal.target, journal.best),
        )

    def _compare_with_noise(self, result: FitResult, target: Any) -> None:
        """Warn where a fit has gained no more than other random numbers would."""
        if self.loss_fn is not None or not self._problem.is_random(target):
            return
        losses = over_seeds(self._problem, target, FLOOR_SEEDS)
        if not np.all(np.isfinite(losses)) or np.ptp(losses) == 0:
            return
        self._floor = result.found["noise_floor"] = NoiseFloor(losses)
        gain = max(run.history[0] for run in result.starts or (result,)) - result.best_loss
        if self._floor.hides(gain):
            warnings.warn(
                f"Fitter.fit: the loss went down by {gain:.3g}, and with other random numbers it differs by "
                f"{self._floor.spread:.3g} (standard deviation of {FLOOR_SEEDS} seeds): the parameters may "
                "mean nothing. Look at Fitter.profile; simulate longer, or fit other features.",
                stacklevel=3,
            )


def _course(values: list[Any]) -> Any:
    """Return numbers of one unit as one array."""
    numbers = np.array([np.asarray(u.get_magnitude(value)) for value in values])
    return u.maybe_decimal(jnp.asarray(numbers).ravel() * u.get_unit(values[0]))
