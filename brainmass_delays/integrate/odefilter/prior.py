"""The integrated Wiener process: the prior over a solution and its derivatives."""

import functools
import math
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ..._core.checks import ArgumentError, check_count, check_positive
from ..._core.status import is_traced
from .gaussian import Transition


class WienerPrior(NamedTuple):
    """Describe a solution before its equation is used: initial coefficients, their covariance, the diffusion.

    A pytree: differentiate with respect to all of it, or to one field. `wiener_prior` builds one.

    Attributes
    ----------
    mean : tuple of ``q`` pytrees like the state
        The solution and its first ``q - 1`` derivatives at the initial time (not divided by factorials).
    cholesky : array, shape (q, q)
        A factor ``L`` of the initial covariance ``L @ L.T``, shared by all entries of the state. Zero:
        exactly known.
    output_scale : float
        The diffusion ``sigma`` of the process, in units of the state and of time.
    """

    mean: tuple
    cholesky: jax.Array
    output_scale: Any


def wiener_prior(
    coefficients,
    *,
    output_scale=1.0,
    initial_std=0.0,
    diffuse_derivatives: int = 0,
    diffuse_std: float = 1.0,
) -> WienerPrior:
    """Build the prior of a filter from initial coefficients, so that these can be trained or made uncertain.

    Parameters
    ----------
    coefficients : sequence of pytrees like the state
        The solution and its derivatives at the initial time, e.g. from `taylor_coefficients`; at least two.
    output_scale : float, default 1.0
        Diffusion ``sigma`` of the prior; positive.
    initial_std : float or sequence of one float per coefficient, default 0.0
        Standard deviation of the coefficients; 0 means exactly known, 1e-6 is a usual choice for "nearly".
    diffuse_derivatives : int, default 0
        Number of further derivatives, of mean zero and standard deviation ``diffuse_std``.
    diffuse_std : float, default 1.0
        Standard deviation of the further derivatives.

    Returns
    -------
    WienerPrior
        To be given to `solve_filter` or `solve_filter_on_grid` in place of the initial value.

    Raises
    ------
    ArgumentError
        For fewer than two coefficients, a scale that is not positive, or a negative standard deviation.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import solve_filter, taylor_coefficients, wiener_prior
    >>> decay = lambda t, y, args: -y
    >>> prior = wiener_prior(taylor_coefficients(decay, jnp.array([1.0]), 0.0, num=2), initial_std=1e-3)
    >>> round(float(solve_filter(decay, prior, 0.0, 1.0, rtol=1e-4, atol=1e-4).u[0]), 3)
    0.368
    """
    diffuse = check_count("wiener_prior.diffuse_derivatives", diffuse_derivatives, minimum=0)
    coefficients = tuple(coefficients)
    if len(coefficients) + diffuse < 2:
        raise ArgumentError("wiener_prior.coefficients", "must be at least 2 with the diffuse ones",
                            len(coefficients), "Give the solution and its first derivative")  # fmt: skip
    if not is_traced(output_scale):
        check_positive("wiener_prior.output_scale", output_scale)
    std = _coefficient_stds(initial_std, len(coefficients), diffuse, diffuse_std)
    zero = jax.tree.map(jnp.zeros_like, coefficients[0])
    return WienerPrior((*coefficients, *[_derivative_like(zero)] * diffuse), jnp.diag(std), output_scale)


def _derivative_like(zero):
    """Drop the unit of a zero state: without one it fits a derivative of any order."""
    return jax.tree.map(u.get_magnitude, zero, is_leaf=lambda leaf: isinstance(leaf, u.Quantity))


def _coefficient_stds(initial_std, known: int, diffuse: int, diffuse_std) -> jax.Array:
    """Return one standard deviation per coefficient, the diffuse ones last."""
    for value in (*jax.tree.leaves(initial_std), diffuse_std):
        if not is_traced(value) and not np.all(np.asarray(value) >= 0):
            raise ArgumentError("wiener_prior.initial_std", "must not be negative, nor diffuse_std", value)
    std = jnp.asarray(initial_std, float)
    if std.shape not in ((), (known,)):
        raise ArgumentError("wiener_prior.initial_std", f"must be one number or one per coefficient, {known}",
                            f"shape {std.shape}")  # fmt: skip
    return jnp.concatenate([jnp.broadcast_to(std, (known,)), jnp.full(diffuse, diffuse_std, std.dtype)])


@functools.lru_cache
def _unit_process(order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``1 / (j - i)!`` for j >= i, a root of the scaled noise, and its scales ``1 / (order - i)!``."""
    row, column = np.indices((order + 1, order + 1))
    factorial = np.vectorize(math.factorial, otypes=[float])
    taylor = np.triu(1.0 / factorial(np.abs(column - row)))
    noise = np.linalg.cholesky(1.0 / (2 * order + 1 - row - column)).T
    return taylor, noise, 1.0 / factorial(order - np.arange(order + 1))


def transition(order: int, step: jax.Array, scale: jax.Array) -> Transition:
    """Discretize the integrated Wiener process of some order and diffusion over a positive step."""
    taylor, noise, scales = _unit_process(order)
    powers = jnp.stack([step**k for k in range(order + 1)])
    row, column = np.indices(taylor.shape)
    stretch = jnp.sqrt(step) * powers[::-1] * jnp.asarray(scales, powers.dtype)
    return Transition(
        powers[np.maximum(column - row, 0)] * jnp.asarray(taylor, powers.dtype),
        scale * jnp.asarray(noise, powers.dtype) * stretch,
    )
