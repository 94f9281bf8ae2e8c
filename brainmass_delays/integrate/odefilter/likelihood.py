"""Log-likelihoods of data under the Gaussian posterior of a filter, for fitting parameters."""

import jax
import jax.numpy as jnp

from ..._core.arguments import checked, flag, instance, tree_of_numbers
from ..._core.checks import ArgumentError
from .filter_solution import FilterSolution, check_single
from .gaussian import Gaussian, log_density, stack, upper_root
from .prior import check_unless_traced

SOLUTION = instance(FilterSolution, "a FilterSolution")


@checked(solution=SOLUTION, data=tree_of_numbers, obs_std=tree_of_numbers)
def log_likelihood_terminal(solution: FilterSolution, data, *, obs_std) -> jax.Array:
    """Evaluate the log-density of data on the last state of a solution.

    Parameters
    ----------
    solution : FilterSolution
        From any strategy; the last reported time counts.
    data : pytree like the state
        Observed value at the last time, of every entry of the state.
    obs_std : float, quantity, or pytree like the state
        Standard deviation of the observation noise, positive; one per entry of the state for 'blockdiag' and
        'dense' only.

    Returns
    -------
    array, scalar
        ``log N(data; mean, covariance + obs_std**2 I)`` with the density in the unit of the state.

    Raises
    ------
    ArgumentError
        For data of another structure or shape, or a noise that is not positive.

    Notes
    -----
    A large ``output_scale`` of the prior flattens the likelihood, a small one sharpens it: lowering it during
    a fit ("tempering") leads past local optima [1]_. Use ``calibration='none'`` for it. Gradients are exact.

    References
    ----------
    .. [1] J. Beck, N. Bosch, M. Deistler, K. Kadhim, J. Macke, P. Hennig, P. Berens. Diffusion tempering
       improves parameter estimation with probabilistic integrators for ordinary differential equations. ICML
       2024.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import log_likelihood_terminal, solve_filter
    >>> solution = solve_filter(lambda t, y, args: -y, jnp.array([1.0]), 0.0, 1.0, rtol=1e-6, atol=1e-6)
    >>> print(round(float(log_likelihood_terminal(solution, jnp.array([0.4]), obs_std=0.1)), 3))
    1.332
    """
    where = "log_likelihood_terminal"
    check_single(f"{where}.solution", solution)
    mean, factor = solution.marginal
    last = Gaussian(mean.reshape(-1, *mean.shape[-3:])[-1], factor.reshape(-1, *factor.shape[-3:])[-1])
    layout, state = solution.dynamics.layout, solution.coordinates
    value = layout.coefficient(0, state.dtype)
    vector = layout.mean(state.to_vector(f"{where}.data", data, 0)[None])
    upper = upper_root(stack(last.factor @ value.T, _noise_roots(where, solution, obs_std, 1)[0]))
    return log_density(upper, value @ last.mean - vector)


@checked(solution=SOLUTION, data=tree_of_numbers, obs_std=tree_of_numbers, average=flag)
def log_likelihood_series(solution: FilterSolution, data, *, obs_std, average: bool = True) -> jax.Array:
    """Evaluate the log-density of a time series under the joint distribution of a smoothed solution.

    Parameters
    ----------
    solution : FilterSolution
        From a smoother, reported at the K times of the data: `solve_filter` with ``save_at`` and
        'fixed-point', `solve_filter_on_grid` with 'fixed-interval', either of them followed by
        `FilterSolution.at`, or `solve_filter_dde` with ``save_at``.
    data : pytree like the state, leaves of shape (K, ...)
        Observed values, of every entry of the state.
    obs_std : float, quantity, array of shape (K,), or pytree like the state
        Standard deviation of the observation noise, positive; one per entry of the state for 'blockdiag' and
        'dense' only.
    average : bool, default True
        Divide by K, which keeps losses of series of different lengths comparable. False: the log-likelihood
        itself.

    Returns
    -------
    array, scalar
        The log-density, each value conditioned on those after it.

    Raises
    ------
    ArgumentError
        For a solution without a joint distribution, data of another shape, or a noise that is not positive.

    Notes
    -----
    Cost: K small QR decompositions. Gradients are exact, also in ``output_scale`` and ``obs_std``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import log_likelihood_series, solve_filter_on_grid
    >>> times = jnp.linspace(0.0, 1.0, 11)
    >>> solution = solve_filter_on_grid(lambda t, y, args: -y, jnp.array([1.0]), times)
    >>> print(round(float(log_likelihood_series(solution, jnp.exp(-times)[:, None], obs_std=0.1)), 3))
    1.384
    """
    where = "log_likelihood_series"
    check_single(f"{where}.solution", solution)
    if solution.posterior is None:
        raise ArgumentError(f"{where}.solution", "must come from a smoother", "a filter",
                            "Use save_at and strategy='fixed-point', or solve_filter_on_grid")  # fmt: skip
    layout, state = solution.dynamics.layout, solution.coordinates
    n_times = len(solution.accepted)
    rows = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if rows != {(n_times,)}:
        raise ArgumentError(f"{where}.data", f"must have {n_times} rows, one per reported time", rows)
    vectors = jax.vmap(lambda row: layout.mean(state.to_vector(f"{where}.data", row, 0)[None]))(data)
    noises = _noise_roots(where, solution, obs_std, n_times)
    total = solution.posterior.log_density(layout.coefficient(0, state.dtype), vectors, noises)
    return total / n_times if average else total


def _noise_roots(where: str, solution: FilterSolution, obs_std, n_times: int) -> jax.Array:
    """Return the root of the observation noise at each time, shape (K, block, c, c)."""
    where = f"{where}.obs_std"
    layout, state = solution.dynamics.layout, solution.coordinates
    for leaf in jax.tree.leaves(obs_std):
        check_unless_traced(where, leaf)
    per_time = len(jax.tree.leaves(obs_std)) == 1 and jnp.ndim(obs_std) == 1 and len(obs_std) == n_times
    if jnp.size(jax.tree.leaves(obs_std)[0]) == 1 or per_time:
        stds = jnp.broadcast_to(state.magnitude(where, obs_std), (n_times,))[:, None, None]
    elif layout.shared:
        raise ArgumentError(where, f"must be one number or one per time, {n_times}", "one per entry",
                            "Choose covariance='blockdiag' or 'dense'")  # fmt: skip
    else:
        stds = layout.spread(state.to_vector(where, obs_std, 0))[None]
    stds = jnp.broadcast_to(stds, (n_times, *layout.entries[:2]))
    return stds[..., None] * jnp.eye(layout.n_components, dtype=state.dtype)
