"""Log-likelihoods of data under the Gaussian posterior of a filter, for fitting parameters."""

import jax
import jax.numpy as jnp

from ..._core.checks import ArgumentError
from .coordinates import Coordinates
from .gaussian import Gaussian, observe, push, residual_std
from .solution import FilterSolution
from .step import checked_positive


def log_likelihood_terminal(solution: FilterSolution, data, *, obs_std) -> jax.Array:
    """Evaluate the log-density of data on the last state of a solution.

    Parameters
    ----------
    solution : FilterSolution
        From any strategy; the last reported time counts.
    data : pytree like the state
        Observed value at the last time, of every entry of the state.
    obs_std : float or quantity
        Standard deviation of the observation noise, positive.

    Returns
    -------
    array, scalar
        ``log N(data; mean, (std**2 + obs_std**2) I)`` with the density in the unit of the state.

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
    improves
       parameter estimation with probabilistic integrators for ordinary differential equations. ICML 2024.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import log_likelihood_terminal, solve_filter
    >>> solution = solve_filter(lambda t, y, args: -y, jnp.array([1.0]), 0.0, 1.0, rtol=1e-6, atol=1e-6)
    >>> print(round(float(log_likelihood_terminal(solution, jnp.array([0.4]), obs_std=0.1)), 3))
    1.332
    """
    coordinates, noise = _border("log_likelihood_terminal", solution, obs_std)
    mean, factor = solution.marginal
    last = Gaussian(mean.reshape(-1, *mean.shape[-2:])[-1], factor.reshape(-1, *factor.shape[-2:])[-1])
    vector = coordinates.to_vector("log_likelihood_terminal.data", data, 0)
    return _log_density(last.mean[0] - vector, residual_std(last.factor, 0, noise))


def log_likelihood_series(solution: FilterSolution, data, *, obs_std, average: bool = True) -> jax.Array:
    """Evaluate the log-density of a time series under the joint distribution of a smoothed solution.

    Parameters
    ----------
    solution : FilterSolution
        From a smoother, reported at the K times of the data: `solve_filter` with ``save_at`` and
        'fixed-point', or `solve_filter_on_grid` with 'fixed-interval'.
    data : pytree like the state, leaves of shape (K, ...)
        Observed values, of every entry of the state.
    obs_std : float, quantity, or array of shape (K,)
        Standard deviation of the observation noise, positive.
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
    if solution.posterior is None:
        raise ArgumentError(f"{where}.solution", "must come from a smoother", "a filter",
                            "Use save_at and strategy='fixed-point', or solve_filter_on_grid")  # fmt: skip
    coordinates, noise = _border(where, solution, obs_std)
    n_times = len(solution.accepted)
    rows = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if rows != {(n_times,)}:
        raise ArgumentError(f"{where}.data", f"must have {n_times} rows, one per reported time", rows)
    vectors = jax.vmap(lambda row: coordinates.to_vector(f"{where}.data", row, 0))(data)
    noises = jnp.broadcast_to(noise, (n_times,))

    def observed(gaussian, vector, noise):
        residual = gaussian.mean[0] - vector
        gaussian, std = observe(gaussian, 0, residual, noise)
        return gaussian, _log_density(residual, std)

    def body(gaussian, row):
        kernel, vector, noise = row
        return observed(push(kernel, gaussian), vector, noise)

    terminal, kernels = solution.posterior
    last, density = observed(terminal, vectors[-1], noises[-1])
    _, densities = jax.lax.scan(body, last, (kernels, vectors[:-1], noises[:-1]), reverse=True)
    total = density + jnp.sum(densities)
    return total / n_times if average else total


def _border(where: str, solution: FilterSolution, obs_std) -> tuple[Coordinates, jax.Array]:
    """Return the coordinates of one state, and the noise in its unit."""
    example = solution.u
    if jnp.ndim(solution.accepted):
        example = jax.tree.map(lambda rows: rows[0], example)
    coordinates = Coordinates(where, example, None)
    where = f"{where}.obs_std"
    return coordinates, coordinates.magnitude(where, checked_positive(where, obs_std))


def _log_density(residual: jax.Array, std: jax.Array) -> jax.Array:
    """Evaluate the normal log-density of independent entries with one standard deviation."""
    normalization = residual.size * (jnp.log(std) + 0.5 * jnp.log(2.0 * jnp.pi))
    return -0.5 * jnp.sum((residual / std) ** 2) - normalization
