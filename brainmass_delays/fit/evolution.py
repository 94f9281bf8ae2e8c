"""Evolutionary search, each generation in one program."""

import importlib.util
from functools import partial
from typing import Any

import brainunit as u
import numpy as np

from .._core.checks import ArgumentError
from .._core.parameters import search_box
from .backends import options_of
from .journal import Journal
from .problem import Problem
from .side_by_side import Generation

# A loss that ranks last; nevergrad warns of larger ones.
WORST = 1e20


class Nevergrad:
    """Search a box of constrained values with an evolutionary optimizer; no gradient is needed."""

    kind, uses_gradient, tolerant, takes_starts, resumes = "value", False, True, False, False

    def __init__(self, problem: Problem, optimizer: Any, search_space: dict):
        if importlib.util.find_spec("nevergrad") is None:
            raise ArgumentError(
                "Fitter.backend",
                "'nevergrad' needs the nevergrad package",
                None,
                "Run pip install brainmass_delays[nevergrad], or use backend='scipy'",
            )
        self.optimizer = {"method": "DE", "n_sample": 8, "seed": 0, **options_of(optimizer, "nevergrad")}
        self.problem, self._box = problem, search_box(problem.parameters, search_space)

    @property
    def settings(self) -> str:
        """What must be the same when a fit goes on in another process."""
        return repr(self.optimizer)

    def run(self, journal: Journal, n_steps: int) -> dict[str, Any]:
        """Evaluate ``n_steps`` times ``n_sample`` candidates; return nevergrad's recommendation."""
        import nevergrad as ng

        options = dict(self.optimizer)
        method, seed, n_sample = (options.pop(name) for name in ("method", "seed", "n_sample"))
        if method not in ng.optimizers.registry:
            raise ArgumentError(
                "Fitter.optimizer.method",
                "must be a name in nevergrad.optimizers.registry",
                repr(method),
                "Common ones are 'DE', 'TwoPointsDE', 'CMA', 'PSO' and 'OnePlusOne'",
            )
        edges = {
            name: [np.atleast_1d(u.get_magnitude(edge)) for edge in box] for name, box in self._box.items()
        }
        space = ng.p.Dict(
            **{
                name: ng.p.Array(shape=low.shape, lower=low, upper=high)
                for name, (low, high) in edges.items()
            }
        )
        space.random_state.seed(seed)
        kind = ng.optimizers.registry[method]
        at_once = 1 if kind.no_parallelization else n_sample  # some need an answer before they ask again
        generation = Generation.made(journal, self.problem, at_once) if at_once > 1 else None

        def look():  # in the lane where the best candidate was: other lanes may have other last bits
            i = journal.history.index(journal.best_loss) % at_once
            return generation.evaluate([lambda: None] * at_once).with_prediction(i)

        kept = journal.go_on(gradient=False, look=None if generation is None else look)
        journal.replay_gradients(kept, dict)
        search = kind(space, budget=n_steps * n_sample, num_workers=at_once, **options)
        for _ in range(n_steps * n_sample // at_once):
            candidates = [search.ask() for _ in range(at_once)]
            losses = self._evaluate(journal, [candidate.value for candidate in candidates], generation)
            for candidate, loss in zip(candidates, losses, strict=True):
                search.tell(candidate, min(loss, WORST) if np.isfinite(loss) else WORST)
        journal.restore()
        return search.provide_recommendation().value

    def _evaluate(self, journal: Journal, values: list[dict], generation: Any) -> list[float]:
        """Return the losses of candidates, which are those of a journal's next entries."""
        found, losses = None, []
        for i, value in enumerate(values):
            if generation is not None and not journal.replay:
                if found is None:
                    found = generation.evaluate([partial(self._place, each) for each in values])
                self._place(value)
                losses.append(found.tell(journal, i))
            else:
                self._place(value)
                losses.append(journal.step(gradient=False).loss)
            if not journal.replay:
                journal.keep(dict)
        return losses

    def _place(self, value: dict[str, np.ndarray]) -> None:
        """Let the parameters stand at a candidate."""
        for name, numbers in value.items():
            shaped = numbers.reshape(self._box[name][0].shape)
            self.problem.parameters[name].set(shaped, "Fitter.search_space")
