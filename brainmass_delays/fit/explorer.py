"""Look at a loss around where the parameters stand: along one parameter, and over random numbers."""

from typing import Any

import brainstate
import brainunit as u
import jax
import numpy as np

from .. import objectives
from .._core.checks import ArgumentError, check_choice, check_count
from .._core.parameters import find_by_name, store, stored
from .._core.progress import tqdm
from .._core.salvage import attach
from .._core.states import alone
from .._core.units import magnitude
from .arguments import as_target
from .density import SPACES, LogDensity
from .journal import Journal, said_of_gaps
from .problem import Problem
from .profile import NoiseFloor, Profile, profile, threshold_of, with_present
from .sampling import Samples, sample


class LossExplorer:
    """What a `Fitter` can tell of its loss without moving the model."""

    _problem: Problem
    progress: bool
    search_space: dict[str, tuple]
    _key: Any
    _floor: NoiseFloor | None

    def _bar(self, n_steps: int) -> tqdm:
        """Return a progress bar, silent unless asked for."""
        return tqdm(total=n_steps, desc="fit", disable=not self.progress)

    @alone
    def sweep(self, name: str, values: Any, target: Any = None) -> np.ndarray:
        """Evaluate the loss along one parameter, all others staying where they stand.

        Parameters
        ----------
        name : str
            Dotted name of the parameter.
        values : sequence or Quantity, shape (n_values, ...)
            Constrained values; plain numbers are in the parameter's unit.
        target : array_like, Quantity or pytree of them, optional
            What the objective compares the prediction with.

        Returns
        -------
        numpy.ndarray, shape (n_values,)
            The loss at each value; NaN where it is not finite, for instance where a delay passes its bound.

        Raises
        ------
        ArgumentError
            If there is no such parameter, or a value has another dimension or shape.
        """
        self._problem.refresh()
        parameter = find_by_name("Fitter.sweep.name", name, self._problem.parameters)
        if np.ndim(u.get_magnitude(values)) == 0 or not hasattr(values, "__len__"):
            raise ArgumentError("Fitter.sweep.values", "must be a sequence", repr(values))
        before = stored(self._problem.parameters)
        with self._bar(len(values)) as bar:
            journal = Journal(self._problem, as_target("Fitter.sweep.target", target), [], bar, tolerant=True)
            try:
                for i, value in enumerate(values):
                    parameter.set(value, f"Fitter.sweep.values[{i}]")
                    journal.step(gradient=False)
            except BaseException as error:
                attach(
                    error, np.array(journal.history), "Fitter.sweep: the losses until then are its .result."
                )
                raise
            finally:
                store(self._problem.parameters, before)
        losses = np.array(journal.history)
        return np.where(np.isfinite(losses), losses, np.nan)

    @alone
    def profile(self, name: str, values: Any, target: Any = None, *, n_steps: int = 50) -> Profile:
        """Fit all other parameters anew at each value of one, so that its valley is seen and not a cut.

        Parameters
        ----------
        name : str
            Name of a scalar parameter.
        values : sequence or Quantity, shape (value,)
            Constrained values in ascending order; plain numbers are in the parameter's unit.
        target : array_like, Quantity or pytree of them, optional
            The data.
        n_steps : int, default 50
            Steps at each value at most, of least squares where the objective is a sum of squares and
            optimistix is installed, otherwise of L-BFGS-B.

        Returns
        -------
        Profile
            Values and losses, and ``interval``, of 95 % for a likelihood. The value where the model stands is
            among them if its loss is the lowest. The model stays as it was.

        Raises
        ------
        ArgumentError
            If there is no such scalar parameter, or values have another dimension or lie out of bounds.

        Notes
        -----
        Fits go outwards from where the parameter stands, each from the end of its neighbor: begin at the
        optimum. Unlike `FitResult.uncertainty` it needs no quadratic loss.
        """
        self._problem.refresh()
        n_steps = check_count("Fitter.profile.n_steps", n_steps)
        part = find_by_name("Fitter.profile.name", name, self._problem.parameters)
        if not part.is_scalar:
            raise ArgumentError("Fitter.profile.name", "must name one number", f"{name!r}")
        target = as_target("Fitter.profile.target", target)
        values = _in_order(part, values)
        key = brainstate.random.DEFAULT.value
        fixed = key if self._key is None else self._key
        try:
            with self._bar(len(values)) as bar:
                losses, params = profile(self._problem, part, values, target, n_steps, bar, fixed)
            brainstate.random.DEFAULT.value = fixed
            now = self._problem.evaluate(target, gradient=False).loss
        finally:
            brainstate.random.DEFAULT.value = key
        if not np.any(np.isfinite(losses)):
            rule = "must hold one with a finite loss"
            raise ArgumentError("Fitter.profile.values", rule, values, said_of_gaps(target))
        loss = self._problem.loss
        size = sum(np.size(leaf) for leaf in jax.tree.leaves(target))
        lowest = float(np.nanmin([*losses, now]))
        if now == lowest:
            values, losses, params = with_present(self._problem, part, values, losses, params, now)
        limit = threshold_of(loss, size, len(params[0]) + 1, lowest, self._floor)
        box = part.box() if part.box() is not None else self.search_space.get(part.name)
        return Profile(part.name, values, losses, params, limit, box)

    @alone
    def noise_floor(self, target: Any = None, *, seeds: int = 5) -> NoiseFloor:
        """Evaluate the loss where the parameters stand with other random numbers.

        Parameters
        ----------
        target : array_like, Quantity or pytree of them, optional
            The data.
        seeds : int, default 5
            How many times, at least 2.

        Returns
        -------
        NoiseFloor
            Losses, and their ``spread``: differences below it say nothing of the parameters.

        Raises
        ------
        ArgumentError
            If the loss draws no random numbers, or sets the seed itself.
        """
        self._problem.refresh()
        seeds = check_count("Fitter.noise_floor.seeds", seeds, 2)
        target = as_target("Fitter.noise_floor.target", target)
        if not self._problem.is_random(target):
            raise ArgumentError(
                "Fitter.noise_floor",
                "needs a loss that draws from brainstate.random",
                "one that draws nothing",
            )
        losses = over_seeds(self._problem, target, seeds)
        if np.ptp(losses) == 0:
            raise ArgumentError(
                "Fitter.noise_floor",
                "needs a loss that leaves the seed alone",
                "the same loss for every seed",
                "Drop brainstate.random.seed from predict: a fit holds the random numbers fixed by itself",
            )
        self._floor = NoiseFloor(losses)
        return self._floor

    @alone
    def log_density(self, target: Any = None, *, space: str = "unconstrained") -> LogDensity:
        """Return the log posterior density of this fit as one pure function of a dict, as `fit.log_density`.

        Parameters
        ----------
        target : array_like, Quantity or pytree of them, optional
            The data.
        space : {'unconstrained', 'constrained'}, default 'unconstrained'
            What the function takes.

        Returns
        -------
        LogDensity
        """
        check_choice("Fitter.log_density.space", space, SPACES)
        loss = self._problem.loss.loss_fn or self._problem.loss.objective
        if not objectives.is_likelihood(loss):
            raise ArgumentError(
                "Fitter.log_density", "needs a likelihood as objective", repr(loss),
                "Pass objective=objectives.gaussian(sigma)",
            )  # fmt: skip
        self._problem.refresh()
        return LogDensity(self._problem, as_target("Fitter.log_density.target", target, traced=True), space)

    @alone
    def sample(
        self,
        target: Any = None,
        n_draws: int = 1000,
        n_chains: int = 4,
        *,
        n_warmup: int = 500,
        seed: int = 0,
    ) -> Samples:
        """Draw parameters from their posterior by NUTS (numpyro, extra ``bayes``).

        Parameters
        ----------
        target : array_like, Quantity or pytree of them, optional
            The data.
        n_draws, n_chains, n_warmup : int, optional
            Draws per chain after as many steps that tune the sampler, and chains, which run side by side.
            They begin near where the parameters stand: fit first.
        seed : int, default 0
            Of the sampler; the random numbers of the model stay what they are.

        Returns
        -------
        Samples
            ``draws`` by name, with units; ``interval``, ``r_hat`` and ``to_arviz``.

        Raises
        ------
        ArgumentError
            If the objective is no likelihood, or numpyro is missing.

        References
        ----------
        Hoffman & Gelman (2014), Journal of Machine Learning Research 15, 1593-1623.
        """
        counts = {"n_draws": n_draws, "n_chains": n_chains, "n_warmup": n_warmup}
        counts = {name: check_count(f"Fitter.sample.{name}", value) for name, value in counts.items()}
        density = self.log_density(target)
        if not np.isfinite(density(density.start)):
            cure = said_of_gaps(target) or " ".join(self._problem.loss.excluded()) or "Fit first"
            raise ArgumentError(
                "Fitter.sample", "needs a density above 0 where the parameters stand", "none", cure
            )
        return sample(
            density, **counts, seed=check_count("Fitter.sample.seed", seed, 0), progress=self.progress
        )


def over_seeds(problem: Problem, target: Any, seeds: int) -> np.ndarray:
    """Return the loss where the parameters stand, with the random numbers of the first few seeds."""
    before = brainstate.random.DEFAULT.value
    losses = []
    try:
        for seed in range(seeds):
            brainstate.random.seed(seed)
            losses.append(problem.evaluate(target, gradient=problem.kind == "gradient").loss)
    finally:
        brainstate.random.DEFAULT.value = before
    return np.array(losses)


def _in_order(part: Any, values: Any) -> Any:
    """Return values in the unit of the parameter, ascending."""
    where, unit = "Fitter.profile.values", u.get_unit(part.value())
    if np.ndim(u.get_magnitude(values)) != 1 or len(values) < 2:
        raise ArgumentError(where, "must be a sequence of at least two numbers", repr(values))
    number = np.sort(np.asarray(magnitude(where, u.math.asarray(values), unit), float))
    return u.maybe_decimal(number * unit)
