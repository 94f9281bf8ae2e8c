"""What a call outside of jit refuses, a traced call flags: no solve returns numbers for a question it was not asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, RunError
from brainmass_delays._core.status import ARGUMENT_REFUSED
from brainmass_delays.integrate import (
    solve_dde,
    solve_filter,
    solve_filter_dde,
    solve_filter_on_grid,
    solve_ode,
)


def ode(**options):
    return solve_ode(lambda t, y, args: -y, 1.0, **({"t0": 0.0, "t1": 1.0} | options))


def dde(**options):
    return solve_dde(lambda t, y, d, args: -d, 1.0, delays=0.3, **({"t0": 0.0, "t1": 1.0} | options))


def filtered(**options):
    return solve_filter(lambda t, y, args: -y, 1.0, num=1, **({"t0": 0.0, "t1": 1.0} | options))


def filtered_dde(**options):
    options = {"t0": 0.0, "t1": 1.0} | options
    return solve_filter_dde(lambda t, y, d, args: -d, 1.0, delays=0.3, num=1, **options)


SOLVERS = {"ode": ode, "dde": dde, "filter": filtered, "filter of delays": filtered_dde}
BAD = {
    "t0": [np.nan, 2.0],
    "t1": [np.nan, -1.0, 0.0, np.inf],
    "save_at": [(0.5, np.nan), (0.5, 2.0), (-0.5, 0.5), (0.5, np.inf)],
    "rtol": [np.nan, -1e-3],
    "atol": [np.nan, 0.0],
    "dt0": [np.nan, -0.1],
}


@pytest.mark.parametrize("argument", BAD)
@pytest.mark.parametrize("name", SOLVERS)
def test_a_traced_number_that_cannot_be_used_is_flagged(name, argument):
    solve = SOLVERS[name]
    traced = jax.jit(lambda value: solve(**{argument: value}).status)
    for value in BAD[argument]:
        value = jnp.asarray(value)
        assert traced(value) & ARGUMENT_REFUSED, value
        with pytest.raises(
            ArgumentError, match=rf"^solve_\w+\.{argument if argument != 't0' else r't[01]'}: must"
        ):
            solve(**{argument: value})
    good = {"t0": -0.5, "t1": 0.5, "save_at": (0.5, 1.0), "rtol": 1e-3, "atol": 1e-3, "dt0": 0.1}[argument]
    assert traced(jnp.asarray(good)) == 0


@pytest.mark.parametrize("argument", ["breakpoints", "impulses"])
def test_times_that_would_be_passed_over_are_flagged(argument):
    """An impulse that no step lands on would be lost; breakpoints outside of the span do no harm."""

    def status(times):
        return ode(**{argument: (times, jnp.ones(2)) if argument == "impulses" else times}).status

    bad = [(0.5, np.nan), (0.5, np.inf)] + ([(0.5, 2.0), (0.0, 0.5)] if argument == "impulses" else [])
    for times in bad:
        assert jax.jit(status)(jnp.array(times)) == ARGUMENT_REFUSED
        with pytest.raises(ArgumentError, match=f"solve_ode.{argument}"):
            status(jnp.array(times))
    assert jax.jit(status)(jnp.array([0.2, 0.5])) == 0


def test_rounding_at_the_ends_is_no_error():
    """0.1 + 0.2 is above 0.3 by rounding."""
    times = jnp.array([0.1, 0.1 + 0.2])
    for solve in SOLVERS.values():
        assert jax.jit(lambda times, solve=solve: solve(t1=0.3, save_at=times).status)(times) == 0


def test_a_grid_out_of_order_is_flagged():
    def status(grid):
        return solve_filter_on_grid(lambda t, y, args: -y, 1.0, grid, num=1).status

    for grid in [(0.0, 0.5, 0.4), (0.0, np.nan, 0.4), (0.0, 0.0, 0.4)]:
        assert jax.jit(status)(jnp.array(grid)) & ARGUMENT_REFUSED
        with pytest.raises(ArgumentError, match="solve_filter_on_grid.grid: must"):
            status(jnp.array(grid))


def test_times_of_at_that_are_outside_are_flagged():
    steps = solve_filter_on_grid(lambda t, y, args: -y, 1.0, jnp.linspace(0.0, 1.0, 5), num=1)
    for times in [(0.5, 2.0), (-0.5, 0.5), (0.5, np.nan), (0.5, 0.4)]:
        assert jax.jit(lambda times: steps.at(times).status)(jnp.array(times)) & ARGUMENT_REFUSED
        with pytest.raises(ArgumentError, match="FilterSolution.at.times"):
            steps.at(jnp.array(times))


def test_a_flag_says_how_to_find_the_argument():
    solution = jax.jit(lambda end: ode(t1=end))(jnp.nan)
    with pytest.raises(
        RunError, match="solve_ode: a time or a tolerance is one that a call outside of jit refuses"
    ):
        solution.check()


def test_a_span_below_eps_is_refused():
    """The start would be returned as the solution: seconds, for one, may be that short."""
    with pytest.raises(
        ArgumentError, match=r"solve_filter.t1: must be after t0=0.0 by more than eps=1e-08.*Lower eps"
    ):
        filtered(t1=1e-9)
    assert jax.jit(lambda end: filtered(t1=end).status)(1e-9) == ARGUMENT_REFUSED
    assert filtered(t1=1e-9, eps=0.0).ys < 1.0
