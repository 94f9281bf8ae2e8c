"""What a filter returns."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..._core.status import NOT_FINITE, flag, is_traced, raise_if_failed
from .gaussian import Gaussian, Kernel, backward_marginals, rescale
from .step import Filter


class Posterior(NamedTuple):
    """Hold a smoothed path: its last state, and the kernels from each reported time to the one before.

    Attributes
    ----------
    terminal : Gaussian
        The state at the last time: mean (q, d), root of the covariance (q, q), shared by the d entries.
    kernels : Kernel
        K - 1 stacked kernels for K reported times.
    """

    terminal: Gaussian
    kernels: Kernel


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FilterSolution:
    """Hold the times, means and standard deviations a filter found, and how it got there.

    A pytree. With K reported times every array has the leading axis K; without ``save_at`` there is none.

    Attributes
    ----------
    t : array or quantity
        Reported times. The time *reached* where ``status`` is not zero.
    mean : tuple of q pytrees
        The solution and its derivatives, each like the state.
    std : tuple of q arrays or quantities
        Standard deviation of each derivative, **one number for all entries of the state**. It measures what
        the model of the solver has not resolved, in units of its diffusion: without calibration it says
        nothing about the size of the error (400 times too large and 35 times too small both occur), with
        ``calibration='mle'`` or ``'dynamic'`` it has the order of magnitude of the local error, averaged over
        the entries. It is never a bound, and it does not contain the uncertainty of parameters or data.
    output_scale : array
        The diffusion behind ``std``: the prior's, times the calibrated factor for ``calibration='mle'``.
    accepted : array of int
        Steps accepted up to each reported time.
    rejected : array of int
        Attempts rejected in all.
    status : array of int
        0, or the flags spelled out by ``brainmass_delays._core.status.describe``.
    marginal : Gaussian
        Mean (q, d) and root of the covariance (q, q) behind ``mean`` and ``std``, raveled and without units.
    posterior : Posterior or None
        The joint distribution over the reported times; only smoothers have one.
    """

    t: Any
    mean: tuple
    std: tuple
    output_scale: jax.Array
    accepted: jax.Array
    rejected: jax.Array
    status: jax.Array
    marginal: Gaussian
    posterior: Posterior | None

    @property
    def u(self):
        """The solution itself: ``mean[0]``."""
        return self.mean[0]


class Run(NamedTuple):
    """Hold the filtering states at the reported times, the kernels between them, and the counts of a run."""

    t: jax.Array
    gaussian: Gaussian
    kernels: Kernel | None
    accepted: jax.Array
    rejected: jax.Array
    surprise: jax.Array
    status: jax.Array


def finish(where: str, filter: Filter, run: Run, correct_underconfidence: bool) -> FilterSolution:
    """Calibrate, smooth, restore structure and units, and raise what went wrong if it can be seen."""
    gaussian, kernels, output_scale = run.gaussian, run.kernels, filter.output_scale
    if filter.calibration == "mle":
        scale = calibrated_scale(run.surprise, jnp.max(run.accepted), correct_underconfidence)
        gaussian, output_scale = rescale(gaussian, scale), scale * output_scale
        kernels = None if kernels is None else rescale(kernels, scale)
    posterior = None
    if kernels is not None:
        posterior = Posterior(jax.tree.map(lambda rows: rows[-1], gaussian), kernels)
        gaussian = backward_marginals(*posterior)
    equation, state = filter.equation, filter.equation.state
    status = run.status | flag(~jnp.all(jnp.isfinite(gaussian.mean)), NOT_FINITE)
    solution = FilterSolution(
        t=equation.with_time_unit(run.t),
        mean=tuple(state.to_tree(gaussian.mean[..., k, :], k) for k in range(filter.n_coefficients)),
        std=tuple(state.with_unit(gaussian.std[..., k], k) for k in range(filter.n_coefficients)),
        output_scale=output_scale,
        accepted=run.accepted,
        rejected=run.rejected,
        status=status,
        marginal=gaussian,
        posterior=posterior,
    )
    if not is_traced((status, run.t)):
        raise_if_failed(where, status, _story(run))
    return solution


def calibrated_scale(surprise: jax.Array, accepted: jax.Array, correct_underconfidence: bool) -> jax.Array:
    """Return the factor of the diffusion under which the residuals are most likely."""
    count = jnp.maximum(accepted, 1).astype(surprise.dtype)
    seen = surprise > 0
    root = jnp.where(seen, jnp.sqrt(jnp.where(seen, surprise, 1.0)), 0.0)
    return root / (count if correct_underconfidence else jnp.sqrt(count))


def _story(run: Run) -> str:
    """Say how far a run came and what may help."""
    reached, accepted, rejected = float(jnp.max(run.t)), int(jnp.max(run.accepted)), int(run.rejected)
    return (
        f"Reached t = {reached:.6g} with {accepted} steps accepted and {rejected} rejected. "
        "Raise max_steps or loosen rtol and atol; if values explode, look at f near that time"
    )
