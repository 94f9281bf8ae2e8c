"""Filter on a grid that is given, or replay steps that were accepted before."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ..._core.arguments import checked, flag, function, numbers, optional, tree_of_numbers
from ..._core.checks import ArgumentError, check_choice
from ..._core.memory import check_memory
from ..._core.status import OK, is_traced, refused
from ..programs import as_arrays, as_axis, run_compiled
from .filter_solution import FilterSolution, Run, finish, raised
from .gaussian import identity_kernel
from .step import Filter

GRID_STRATEGIES = ("filter", "fixed-interval")

ONE = numbers(unit=u.UNITLESS, scalar=True, finite=True)


@checked(f=function, correct_underconfidence=flag, damp=ONE, y0_std=optional(tree_of_numbers))
def solve_filter_on_grid(
    f: Callable,
    y0,
    grid,
    *,
    args=None,
    num: int | None = None,
    order: int = 1,
    output_scale=None,
    strategy: str = "fixed-interval",
    calibration: str = "none",
    correct_underconfidence: bool = True,
    damp: Any = 0.0,
    linearization: str = "ts0",
    covariance: str = "isotropic",
    y0_std=None,
) -> FilterSolution:
    """Solve an initial value problem by Bayesian filtering with one step per interval of a grid.

    Parameters
    ----------
    f, y0, args, num, order, output_scale, calibration, correct_underconfidence, damp, linearization
        As in `solve_filter`.
    covariance, y0_std
        As in `solve_filter`.
    grid : array or quantity, shape (K,)
        Increasing times; the first is the initial time.
    strategy : {'fixed-interval', 'filter'}, default 'fixed-interval'
        Whether a state knows the whole interval (needed by `log_likelihood_series`), or its past only.

    Returns
    -------
    FilterSolution
        All K times, the initial one included.

    Raises
    ------
    ArgumentError
        For unusable arguments.
    RunError
        Eagerly, if a value is not finite; under a transformation look at ``status``.

    Notes
    -----
    Cost and memory of K steps; reverse mode as well. No step size is controlled: the error is unknown, its
    order is ``num``. Gradients are exact, also in the times of the grid.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import solve_filter_on_grid
    >>> grid = jnp.linspace(0.0, 1.0, 21)
    >>> solution = solve_filter_on_grid(lambda t, y, args: -y, jnp.array([1.0]), grid, num=2)
    >>> print(solution.ys.shape, round(float(solution.ys[-1, 0]), 3))
    (21, 1) 0.368
    """
    where = "solve_filter_on_grid"
    check_choice(f"{where}.strategy", strategy, GRID_STRATEGIES)
    if np.ndim(u.get_magnitude(grid)) != 1 or len(grid) < 2:
        raise ArgumentError(
            f"{where}.grid", "must have shape (K,) with K > 1", np.shape(u.get_magnitude(grid))
        )

    def prepare(numbers):
        return _prepare(
            where, f, args=args, num=num, order=order, calibration=calibration, linearization=linearization,
            covariance=covariance, **numbers,
        )  # fmt: skip

    def solve(numbers):
        filter, times = prepare(numbers)
        run = march(f"{where}.grid", filter, times, smoothing=strategy == "fixed-interval")
        run = run._replace(status=run.status | refused(jnp.diff(times) > 0, jnp.isfinite(times)))
        return finish(filter, run, correct_underconfidence)

    numbers = {"y0": y0, "grid": as_axis(grid), "output_scale": output_scale, "damp": damp, "y0_std": y0_std}
    prepare(numbers)  # inside a program numbers cannot be checked
    return raised(where, run_compiled(solve, as_arrays(numbers)))


def _prepare(
    where, f, y0, grid, output_scale, damp, y0_std, *, args, num, order, calibration, linearization,
    covariance,
) -> tuple[Filter, jax.Array]:  # fmt: skip
    """Check all arguments; return the filter and the times of the grid."""
    filter = Filter(
        where, f, y0, grid[0], num=num, order=order, args=args, output_scale=output_scale,
        calibration=calibration, damp=damp, linearization=linearization, covariance=covariance, y0_std=y0_std,
    )  # fmt: skip
    times = filter.equation.state.plain_time(f"{where}.grid", grid)
    numbers(finite=True)(f"{where}.grid", times)
    if not is_traced(times) and np.any(np.diff(np.asarray(times, float)) <= 0):
        raise ArgumentError(f"{where}.grid", "must increase", times)
    _check_steps(f"{where}.grid", times, filter.dynamics.longest)
    return filter, filter.equation.state.time(f"{where}.grid", grid)


def _check_steps(where: str, times, longest: jax.Array) -> None:
    """Refuse steps too long for the prior where numbers can be looked at."""
    if is_traced((times, longest)):
        return
    step = float(np.max(np.diff(np.asarray(times, float))))
    if step > longest:
        raise ArgumentError(where, f"must have steps below {longest}, 1024 / rate of the prior", step)


def march(where: str, filter: Filter, times: jax.Array, *, smoothing: bool) -> Run:
    """Take one step per interval; an interval of length zero repeats the state. ``where`` says which argument
    decides how many there are."""
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(filter.initial))
    check_memory(
        where,
        {"states": (1 + smoothing) * len(times) * state},
        "Every step is kept: take fewer",
        on_device=True,
    )
    nothing = (jnp.zeros_like(filter.no_scale), filter.no_scale)

    def body(gaussian, interval):
        t, step = interval
        real = step > 0
        new = filter.step(gaussian, t, jnp.where(real, step, 1.0), smoothing=smoothing)
        rows = jax.tree.map(
            lambda a, b: jnp.where(real, a, b),
            (new.gaussian, new.kernel, new.surprise, new.scale),
            (gaussian, identity_kernel(gaussian) if smoothing else None, *nothing),
        )
        return rows[0], rows

    steps = jnp.diff(times)
    _, (later, kernels, surprises, scales) = jax.lax.scan(body, filter.initial, (times[:-1], steps))
    gaussian, scales = jax.tree.map(
        lambda first, rows: jnp.concatenate([first[None], rows]),
        (filter.initial, filter.no_scale),
        (later, scales),
    )
    accepted = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(steps > 0).astype(jnp.int32)])
    return Run(
        times, gaussian, kernels, scales, accepted, jnp.int32(0), jnp.sum(surprises, axis=0), jnp.int32(OK)
    )
