"""What a filter returns."""

import dataclasses
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp

from ..._core.checks import ArgumentError, check_count
from ..._core.status import (
    DELAY_ABOVE_BOUND,
    MAX_STEPS_REACHED,
    NOT_FINITE,
    STEP_UNDERFLOW,
    flag,
    is_traced,
    raise_if_failed,
    refused,
)
from .coordinates import Coordinates, are_increasing, check_increasing
from .gaussian import Gaussian, column_norms, rescale
from .posterior import Posterior, Track, insert
from .prior import Dynamics
from .step import Filter


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FilterSolution:
    """Hold the times, means and standard deviations a filter found, and how it got there.

    A pytree. With K reported times every array has the leading axis K; without ``save_at`` there is none.

    Attributes
    ----------
    ts : array or quantity
        Reported times. The time *reached* where ``status`` is not zero.
    mean : tuple of q pytrees
        The solution and its derivatives, each like the state.
    std : tuple of q pytrees
        Standard deviation of each derivative: like the state for ``covariance='blockdiag'`` and 'dense',
        **one number for all entries** for 'isotropic'. It measures what the model of the solver has not
        resolved, in units of its diffusion: without calibration it says nothing about the size of the error
        (400 times too large and 35 times too small both occur), with ``calibration='dynamic'``, or ``'mle'``
        unless the equation is stiff, it has the order of magnitude of the error. It is never a bound, and it
        does not contain the uncertainty of parameters or data.
    output_scale : array
        The diffusion behind ``std``: the prior's, times the calibrated factor for ``calibration='mle'``.
    accepted : array of int
        Steps accepted up to each reported time.
    rejected : array of int
        Attempts rejected in all.
    status : array of int
        0, or the flags spelled out by ``brainmass_delays._core.status.describe``.
    marginal : Gaussian
        Mean and root of the covariance behind ``mean`` and ``std``, in blocks and without units.
    posterior : Posterior or None
        The joint distribution over the reported times; only smoothers have one.
    track : Track or None
        What the filter knew at every step, where the steps are reported; `at` needs it.
    """

    ts: Any
    mean: tuple
    std: tuple
    output_scale: jax.Array
    accepted: jax.Array
    rejected: jax.Array
    status: jax.Array
    marginal: Gaussian
    posterior: Any
    track: Track | None
    dynamics: Dynamics
    coordinates: Coordinates = dataclasses.field(metadata={"static": True})

    @property
    def ys(self):
        """The solution itself: ``mean[0]``."""
        return self.mean[0]

    def at(self, times) -> "FilterSolution":
        """Return the solution at any times, whether or not steps ended there.

        Parameters
        ----------
        times : array or quantity, shape (K,)
            Increasing, within the interval of the solution.

        Returns
        -------
        FilterSolution
            Smoothed states where the solution is smoothed, with a joint distribution (so that it can be
            sampled, and compared with data at ``times``); else states extrapolated from the step before.

        Raises
        ------
        ArgumentError
            If the steps were not kept (choose ``strategy='fixed-interval'`` or `solve_filter_on_grid`), or
            for times that do not increase or lie outside.

        Notes
        -----
        Cost: one QR decomposition per step and time. Gradients are exact, also in ``times``. Under a
        transformation times outside, or that do not increase, give NaN and set ``status``.

        Examples
        --------
        >>> import jax.numpy as jnp
        >>> from brainmass_delays.integrate import solve_filter_on_grid
        >>> solution = solve_filter_on_grid(lambda t, y, args: -y, jnp.array([1.0]), jnp.linspace(0, 1, 11))
        >>> values = solution.at(jnp.array([0.123, 0.777])).ys[:, 0]
        >>> [round(value, 4) for value in values.tolist()]    # exp(-t)
        [0.8843, 0.4598]
        """
        where = "FilterSolution.at"
        check_single(where, self)
        if self.track is None:
            raise ArgumentError(where, "needs the steps of the solution", "a solution without them",
                                "Use strategy='fixed-interval', a grid, or longer save_at")  # fmt: skip
        inner = self.coordinates.time(f"{where}.times", times)
        start, end = self.track.times[0], self.track.times[-1]
        check_increasing(f"{where}.times", inner, start, end)
        good = are_increasing(inner, start, end)
        filtered, posterior = insert(self.track, self.dynamics, jnp.where(good, inner, jnp.nan))
        smooth = self.posterior is not None
        passed = jnp.sum(self.track.times[1:] <= inner[:, None], axis=1)
        fields = _reported(
            self.dynamics.layout,
            self.coordinates,
            self.status | refused(good),
            self.coordinates.with_time_unit(inner),
            posterior.marginals() if smooth else filtered,
            posterior if smooth else None,
            jnp.minimum(passed, self.accepted[-1]),
        )
        return dataclasses.replace(self, **fields)

    def sample(self, key, n_samples: int):
        """Draw paths of the solution over the reported times.

        Parameters
        ----------
        key : jax.random.key
            Random key.
        n_samples : int
            Number of paths.

        Returns
        -------
        pytree like the state, leaves of shape (n_samples, K, ...)

        Raises
        ------
        ArgumentError
            For a solution without a joint distribution.

        Notes
        -----
        Exact samples of the Gaussian posterior; entries are independent for 'isotropic' and 'blockdiag'.
        Differentiable in everything but ``key``.

        Examples
        --------
        >>> import jax, jax.numpy as jnp
        >>> from brainmass_delays.integrate import solve_filter_on_grid
        >>> solution = solve_filter_on_grid(lambda t, y, args: -y, jnp.array([1.0]), jnp.linspace(0, 1, 11))
        >>> solution.sample(jax.random.key(0), 5).shape
        (5, 11, 1)
        """
        check_single("FilterSolution.sample", self)
        if self.posterior is None:
            raise ArgumentError("FilterSolution.sample", "needs the solution of a smoother", "a filter",
                                "Use save_at and strategy='fixed-point', or a grid")  # fmt: skip
        keys = jax.random.split(key, check_count("FilterSolution.sample.n_samples", n_samples))
        layout = self.dynamics.layout
        return self.coordinates.to_tree(
            jax.vmap(lambda key: layout.rows(self.posterior.sample(key))[:, 0])(keys), 0
        )


def check_single(where: str, solution: FilterSolution) -> None:
    """Refuse a batch of solutions, whose axes would be taken for those of time."""
    if batch := jnp.shape(solution.status):
        raise ArgumentError(where, "needs one solution", f"a batch of shape {batch}", "Map it with jax.vmap")


class Run(NamedTuple):
    """Hold the filtering states at the reported times, the kernels between them, and the counts of a run.

    ``scales`` are those of the steps that end at the reported times, if every step is reported.
    """

    t: jax.Array
    gaussian: Gaussian
    kernels: Any
    scales: jax.Array | None
    accepted: jax.Array
    rejected: jax.Array
    surprise: jax.Array
    status: jax.Array


def finish(filter: Filter, run: Run, correct_underconfidence: bool) -> FilterSolution:
    """Calibrate and smooth what a filter found."""
    scale = filter.no_scale
    if filter.calibration == "mle":
        scale = calibrated_scale(run.surprise, jnp.max(run.accepted), correct_underconfidence)
    gaussian = run.gaussian._replace(factor=scale[:, None, None] * run.gaussian.factor)
    scales = None if run.scales is None else scale * run.scales
    posterior = None
    if run.kernels is not None:
        last = Gaussian(*(rows[-1] for rows in gaussian))
        posterior = Posterior(last, rescale(run.kernels, scale))
    run = run._replace(gaussian=gaussian, scales=scales)
    return finish_with(run, posterior, scale, filter.dynamics, filter.equation.state)


def finish_with(run: Run, posterior, scale, dynamics, coordinates) -> FilterSolution:
    """Restore structure and units."""
    gaussian = run.gaussian if posterior is None else posterior.marginals()
    ts = coordinates.with_time_unit(run.t)
    return FilterSolution(
        output_scale=dynamics.output_scale * (scale[0] if len(scale) == 1 else scale),
        rejected=run.rejected,
        track=None if run.scales is None else Track(run.t, run.gaussian, run.scales),
        dynamics=dynamics,
        coordinates=coordinates,
        **_reported(dynamics.layout, coordinates, run.status, ts, gaussian, posterior, run.accepted),
    )


def raised(where: str, solution: FilterSolution) -> FilterSolution:
    """Return a solution that succeeded; raise what went wrong if it can be seen."""
    if not is_traced((solution.status, solution.ts)):
        raise_if_failed(where, solution.status, _story(solution))
    return solution


def _reported(layout, state, status, ts, gaussian: Gaussian, posterior, accepted) -> dict[str, Any]:
    """Return the fields of a solution that say what is known at some times."""
    rows, stds = layout.rows(gaussian.mean), layout.std_rows(column_norms(gaussian.factor))
    tree_of = state.with_unit if layout.shared else state.to_tree
    return {
        "ts": ts,
        "mean": tuple(state.to_tree(rows[..., k, :], k) for k in range(layout.n_coefficients)),
        "std": tuple(
            tree_of(stds[..., k] if layout.shared else stds[..., k, :], k)
            for k in range(layout.n_coefficients)
        ),
        "accepted": accepted,
        "marginal": gaussian,
        "posterior": posterior,
        "status": status | flag(~jnp.all(jnp.isfinite(gaussian.mean)), NOT_FINITE),
    }


def calibrated_scale(surprise: jax.Array, accepted: jax.Array, correct_underconfidence: bool) -> jax.Array:
    """Return the factor of the diffusion of each block under which its residuals are most likely."""
    count = jnp.maximum(accepted, 1).astype(surprise.dtype)
    seen = surprise > 0
    root = jnp.where(seen, jnp.sqrt(jnp.where(seen, surprise, 1.0)), 0.0)
    return root / (count if correct_underconfidence else jnp.sqrt(count))


CURES = {
    DELAY_ABOVE_BOUND: "A delay reaches back further than the states that are kept: raise window.",
    NOT_FINITE: "Look at f near that time, or begin with a smaller dt0.",
    MAX_STEPS_REACHED: "Raise max_steps, or loosen rtol and atol.",
    STEP_UNDERFLOW: "Look for a singularity near that time, or loosen rtol and atol.",
}


def _story(solution: FilterSolution) -> str:
    """Say how far a run came and what may help."""
    reached = float(jnp.max(u.get_magnitude(solution.ts)))
    accepted, rejected = int(jnp.max(solution.accepted)), int(jnp.max(solution.rejected))
    return f"Reached t = {reached:.6g} with {accepted} steps accepted and {rejected} rejected. " + " ".join(
        cure for bit, cure in CURES.items() if int(jnp.max(solution.status)) & bit
    )
