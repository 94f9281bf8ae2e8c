"""The prior over a solution and its derivatives, before the equation is used."""

import dataclasses
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ..._core.arguments import checked, count, each, numbers, tree_of_numbers
from ..._core.checks import ArgumentError, check_count, check_positive
from ..._core.status import is_traced
from ..._core.trees import is_quantity
from ..._core.units import magnitude
from .gaussian import Transition
from .layout import Layout
from .process import DRIFTS, LONGEST, linear, wiener
from .triangular import triangularize


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prior:
    """Describe a solution before its equation is used: initial coefficients, their covariance, the process.

    A pytree: differentiate with respect to all of it, or to one field. `wiener_prior`,
    `ornstein_uhlenbeck_prior` and `matern_prior` build one.

    Attributes
    ----------
    mean : tuple of ``q`` pytrees like the state
        The solution and its first ``q - 1`` derivatives at the initial time (not divided by factorials).
    cholesky : array
        A factor ``L`` of the initial covariance ``L @ L.T``; zero: exactly known. Of shape (q, q): each entry
        of the state has it, independently of the others. Or one factor per block of the filter's covariance:
        (d, q, q) for 'blockdiag', (q d, q d) for 'dense', ordered by derivative.
    output_scale : float or pytree like the state
        The diffusion ``sigma`` of the process, in units of the state and of time.
    rate : float, quantity, pytree like the state or array of shape (d, d)
        How fast the process forgets, per time; not used by the Wiener process.
    process : {'wiener', 'ornstein-uhlenbeck', 'matern'}
        What the derivatives do between the points where the equation is looked at.
    """

    mean: tuple
    cholesky: jax.Array
    output_scale: Any
    rate: Any = 0.0
    process: str = dataclasses.field(default="wiener", metadata={"static": True})


@checked(
    coefficients=each(tree_of_numbers, object),
    initial_std=numbers(unit=u.UNITLESS, axes=(0, 1), low=0),
    diffuse_derivatives=count(0),
    diffuse_std=numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False),
)
def wiener_prior(
    coefficients,
    *,
    output_scale: Any = 1.0,
    initial_std: Any = 0.0,
    diffuse_derivatives: int = 0,
    diffuse_std: float = 1.0,
) -> Prior:
    """Let the last derivative be a Wiener process, with initial coefficients that can be trained or
    uncertain.

    Parameters
    ----------
    coefficients : sequence of pytrees like the state
        The solution and its derivatives at the initial time, e.g. from `taylor_coefficients`; at least two.
    output_scale : float or pytree like the state, default 1.0
        Diffusion ``sigma`` of the prior, positive. One per entry needs a filter with
        ``covariance='blockdiag'`` or 'dense'.
    initial_std : float or sequence of one float per coefficient, default 0.0
        Standard deviation of the coefficients; 0 means exactly known, 1e-6 is a usual choice for "nearly". To
        make the initial value uncertain and its derivatives with it, see ``y0_std`` of `solve_filter`.
    diffuse_derivatives : int, default 0
        Number of further derivatives, of mean zero and standard deviation ``diffuse_std``.
    diffuse_std : float, default 1.0
        Standard deviation of the further derivatives.

    Returns
    -------
    Prior
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
    >>> round(float(solve_filter(decay, prior, 0.0, 1.0, rtol=1e-4, atol=1e-4).ys[0]), 3)
    0.368
    """
    where = "wiener_prior"
    diffuse = check_count(f"{where}.diffuse_derivatives", diffuse_derivatives, minimum=0)
    coefficients = tuple(coefficients)
    if len(coefficients) + diffuse < 2:
        raise ArgumentError(f"{where}.coefficients", "must be at least 2 with the diffuse ones",
                            len(coefficients), "Give the solution and its first derivative")  # fmt: skip
    check_scale(f"{where}.output_scale", output_scale)
    std = _coefficient_stds(initial_std, len(coefficients), diffuse, diffuse_std)
    zero = jax.tree.map(jnp.zeros_like, coefficients[0])
    return Prior((*coefficients, *[_derivative_like(zero)] * diffuse), jnp.diag(std), output_scale)


@checked(coefficients=each(tree_of_numbers, object), rate=tree_of_numbers)
def ornstein_uhlenbeck_prior(coefficients, *, rate, **options) -> Prior:
    """Let the last derivative decay at a rate while it diffuses: an integrated Ornstein-Uhlenbeck process.

    With the linear part of a stiff equation as ``rate`` the filter is a probabilistic exponential integrator.

    Parameters
    ----------
    coefficients, **options
        As in `wiener_prior`.
    rate : float or quantity, pytree like the state, or array of shape (d, d)
        ``d u^(q-1) = -rate u^(q-1) dt + sigma dW``: one number, one per entry ('blockdiag' and 'dense'), or a
        matrix ('dense'). Negative rates grow. Steps are kept below ``1024 / |rate|``.

    Returns
    -------
    Prior

    Raises
    ------
    ArgumentError
        As in `wiener_prior`.

    References
    ----------
    .. [1] N. Bosch, P. Hennig, F. Tronarp. Probabilistic exponential integrators. NeurIPS 2023.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import ornstein_uhlenbeck_prior, solve_filter, taylor_coefficients
    >>> stiff = lambda t, y, args: -50.0 * y
    >>> start = taylor_coefficients(stiff, jnp.array([1.0]), 0.0, num=2)
    >>> prior = ornstein_uhlenbeck_prior(start, rate=50.0)
    >>> solution = solve_filter(stiff, prior, 0.0, 1.0)
    >>> print(abs(float(solution.ys[0])) < 1e-3)
    True
    """
    for leaf in jax.tree.leaves(rate, is_leaf=is_quantity):
        numbers(finite=True)("ornstein_uhlenbeck_prior.rate", leaf)
    return dataclasses.replace(wiener_prior(coefficients, **options), rate=rate, process="ornstein-uhlenbeck")


@checked(coefficients=each(tree_of_numbers, object), length_scale=tree_of_numbers)
def matern_prior(coefficients, *, length_scale, **options) -> Prior:
    """Let the solution be a Matern process, of as many derivatives as there are coefficients less one.

    Parameters
    ----------
    coefficients, **options
        As in `wiener_prior`.
    length_scale : float or quantity, or pytree like the state
        Time over which the process forgets, positive; the rate is ``sqrt(2 q - 1) / length_scale``, where
        ``q`` is the number of coefficients and ``q - 1/2`` the smoothness. Very long, it is the Wiener
        process.

    Returns
    -------
    Prior

    Raises
    ------
    ArgumentError
        As in `wiener_prior`, and for a length scale that is not positive.

    References
    ----------
    .. [1] S. Särkkä, A. Solin. Applied Stochastic Differential Equations. Cambridge, 2019. Section 12.3.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import matern_prior, solve_filter, taylor_coefficients
    >>> decay = lambda t, y, args: -y
    >>> prior = matern_prior(taylor_coefficients(decay, jnp.array([1.0]), 0.0, num=2), length_scale=3.0)
    >>> round(float(solve_filter(decay, prior, 0.0, 1.0, rtol=1e-4, atol=1e-4).ys[0]), 3)
    0.368
    """
    prior = wiener_prior(coefficients, **options)
    for leaf in jax.tree.leaves(length_scale, is_leaf=is_quantity):
        check_unless_traced("matern_prior.length_scale", leaf)
    root = np.sqrt(2.0 * len(prior.mean) - 1.0)
    rate = jax.tree.map(lambda leaf: root / leaf, length_scale, is_leaf=is_quantity)
    return dataclasses.replace(prior, rate=rate, process="matern")


def check_unless_traced(where: str, value):
    """Return ``value`` unless it is concrete and not positive."""
    plain = u.get_magnitude(value)
    if not is_traced(plain):
        check_positive(where, plain)
    return value


def check_scale(where: str, output_scale) -> None:
    """Refuse diffusions that are not positive, or have a unit: they are in units of the state and of time."""
    tree_of_numbers(where, output_scale)
    for leaf in jax.tree.leaves(output_scale, is_leaf=is_quantity):
        numbers(unit=u.UNITLESS, finite=True, above=0)(where, leaf)


def _derivative_like(zero):
    """Drop the unit of a zero state: without one it fits a derivative of any order."""
    return jax.tree.map(u.get_magnitude, zero, is_leaf=is_quantity)


def _coefficient_stds(initial_std, known: int, diffuse: int, diffuse_std) -> jax.Array:
    """Return one standard deviation per coefficient, the diffuse ones last."""
    std = jnp.asarray(initial_std, float)
    if std.shape not in ((), (known,)):
        raise ArgumentError("wiener_prior.initial_std", f"must be one number or one per coefficient, {known}",
                            f"shape {std.shape}")  # fmt: skip
    return jnp.concatenate([jnp.broadcast_to(std, (known,)), jnp.full(diffuse, diffuse_std, std.dtype)])


def initial_root(where: str, prior: Prior, layout: Layout, dtype) -> jax.Array:
    """Return the root of the initial covariance in blocks, (block, n, n)."""
    factor = jnp.asarray(prior.cholesky, dtype)
    q, n = layout.n_coefficients, layout.n_coefficients * layout.n_components
    if factor.shape == (q, q):
        factor = layout.lift(factor)
    elif factor.shape not in ((layout.n_blocks, n, n), (n, n)):
        raise ArgumentError(f"{where}.y0", f"must have a cholesky of shape {(q, q)}", factor.shape)
    return jnp.broadcast_to(factor.mT, (layout.n_blocks, n, n))


def covariance_root(layout: Layout, factors: jax.Array) -> jax.Array:
    """Return the root in blocks of the covariance whose factors are rows of coefficients (factor, q, d).

    Correlations that a layout cannot hold are dropped; a block that entries share gets their mean.
    """
    n = layout.n_coefficients * layout.n_components
    rows = jnp.moveaxis(jax.vmap(layout.mean)(factors), 0, 1)  # (block, factor, n, column)
    rows = jnp.moveaxis(rows, -1, -2).reshape(layout.n_blocks, -1, n) / np.sqrt(layout.n_columns)
    padding = max(0, n - rows.shape[1])
    return triangularize(jnp.pad(rows, ((0, 0), (0, padding), (0, 0))))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Dynamics:
    """Hold the process of a prior in the blocks of a layout.

    ``diffusion`` is (block, c), ``drift`` (block, c, n) or None for the Wiener process, and ``longest`` the
    longest step over which it is discretized accurately.
    """

    layout: Layout = dataclasses.field(metadata={"static": True})
    output_scale: jax.Array
    diffusion: jax.Array
    drift: jax.Array | None
    longest: jax.Array

    @classmethod
    def of(cls, where: str, prior: Prior, layout: Layout, state, time_unit) -> "Dynamics":
        """Check and convert the numbers of a prior."""
        scale = _per_entry(f"{where}.output_scale", prior.output_scale, layout, state)
        drift, longest = None, jnp.asarray(jnp.inf, state.dtype)
        if prior.process != "wiener":
            rate = _rate_blocks(f"{where}.rate", prior, layout, state, time_unit)
            drift = jnp.concatenate(DRIFTS[prior.process](layout.n_coefficients, rate), axis=-1)
            largest = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(rate), axis=-1)))
            longest = LONGEST / jnp.maximum(largest, jnp.finfo(state.dtype).tiny)
        return cls(layout, scale, layout.spread(scale), drift, longest)

    def transition(self, step: jax.Array, scale: jax.Array) -> Transition:
        """Discretize over a positive step, the diffusion of each block multiplied by ``scale``, (block,)."""
        diffusion = scale[:, None] * self.diffusion
        if self.drift is not None:
            return linear(self.drift, diffusion, step)
        layout = self.layout
        unit = wiener(layout.n_coefficients - 1, step)
        columns = jnp.tile(diffusion, (1, layout.n_coefficients))
        noise = layout.lift(jnp.sqrt(step) * unit.noise) * columns[:, None, :]
        return Transition(jnp.broadcast_to(layout.lift(unit.matrix), noise.shape), noise)


def _rate_blocks(where: str, prior: Prior, layout: Layout, state, time_unit) -> jax.Array:
    """Return the rate as matrices (block, c, c)."""
    unit, size = u.UNITLESS if time_unit is None else 1 / time_unit, layout.n_components
    rate = jax.tree.map(
        lambda leaf: jnp.asarray(magnitude(where, leaf, unit), state.dtype), prior.rate, is_leaf=is_quantity
    )
    if not (isinstance(rate, jax.Array) and size > 1 and rate.shape == (size, size)):
        values = layout.spread(_per_entry(where, rate, layout, state))
        return values[..., None] * jnp.eye(size, dtype=state.dtype)
    if prior.process == "matern":
        raise ArgumentError(where, "must be one number or one per entry for a Matern process", rate.shape)
    return rate[None]


def _per_entry(where: str, value, layout: Layout, state) -> jax.Array:
    """Return a number, or one number per entry of the state, as an array of shape () or (d,)."""
    if jax.tree_util.treedef_is_leaf(jax.tree.structure(value)) and jnp.size(value) == 1:
        return jnp.asarray(value, state.dtype).reshape(())
    flat = state.to_vector(where, jax.tree.map(jnp.asarray, value), 0)
    if flat.size == 1:
        return flat[0]
    if layout.shared:
        raise ArgumentError(where, "must be one number for covariance='isotropic'", f"{flat.size} numbers",
                            "Choose covariance='blockdiag' or 'dense'")  # fmt: skip
    return flat
