"""Evolutionary search, each generation in one program."""

from typing import Any

import brainunit as u
import jax
import numpy as np

from .._core.checks import ArgumentError
from .._core.parameters import search_box, stand, stored
from .arguments import check_installed
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
        check_installed("nevergrad", "nevergrad")
        self.optimizer = {"method": "DE", "n_sample": 8, "seed": 0, **options_of(optimizer, "nevergrad")}
        self.problem, self._box = problem, search_box(problem.parameters, search_space)
        self._inverse: Any = None

    @property
    def settings(self) -> str:
        """What must be the same when a fit goes on in another process."""
        return repr(self.optimizer)

    def run(self, journal: Journal, n_steps: int) -> dict[str, Any]:
        """Evaluate ``n_steps`` times ``n_sample`` candidates; return nevergrad's recommendation."""
        import nevergrad as ng

        self._inverse = None  # of the parameters that train now
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
            return generation.evaluate(
                [list(stored(self.problem.parameters).values())] * at_once
            ).with_prediction(i)

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
        found, losses, parameters = None, [], self.problem.parameters
        places = self._unconstrained(values)
        for i, place in enumerate(places):
            stand(parameters, place)
            if generation is not None and not journal.replay:
                found = generation.evaluate(places) if found is None else found
                losses.append(found.tell(journal, i))
            else:
                losses.append(journal.step(gradient=False).loss)
            if not journal.replay:
                journal.keep(dict)
        return losses

    def _unconstrained(self, values: list[dict]) -> list[list]:
        """Return candidates as the states of the parameters store them, those at a bound too."""
        parameters = self.problem.parameters
        shapes = {name: low.shape for name, (low, _) in self._box.items()}
        stacked = {name: np.stack([v[name].reshape(shape) for v in values]) for name, shape in shapes.items()}

        def free(one):
            return [part.unconstrained(one[name], "Fitter.search_space") for name, part in parameters.items()]

        if self._inverse is None:
            self._inverse = jax.jit(jax.vmap(free))
        found = jax.tree.map(np.asarray, self._inverse(stacked))
        return [jax.tree.map(lambda x, i=i: x[i, ...], found) for i in range(len(values))]
