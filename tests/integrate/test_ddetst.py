"""solve_dde on the DDETST collection and on stiff equations: errors in tolerances, steps, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ddetst import DDETST, STIFF, robertson

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import solve_dde, solve_ode

TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10)
SLOW = pytest.mark.slow
QUICK = ("B2", "D1")


def solve(case, tolerance, **options):
    options = {"max_steps": 20_000} | case.options | options
    return solve_dde(
        case.f, case.history, case.t0, case.t1, case.delays, rtol=tolerance, atol=tolerance, **options
    )


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=SLOW) for n in DDETST])
def test_errors_stay_within_ten_tolerances(name):
    """Against the closed form, or another method at 1e-12."""
    case = DDETST[name]
    exact = case.exact if case.exact is not None else solve(case, 1e-12, method="tsit5", max_steps=60_000).ys
    for tolerance in TOLERANCES:
        solution = solve(case, tolerance)
        error = np.max(np.abs(solution.ys - exact) / (1 + np.abs(exact))) / tolerance
        count = solution.statistics
        print(
            f"{name} at {tolerance:g}: {error:.2f} tolerances, {count.accepted} steps, {count.rejected} rejected, "
            f"{count.repeated} repeated, {count.evaluations} evaluations, {count.landings} landings"
        )
        assert error <= 10, tolerance


@SLOW
def test_a_switch_is_landed_on():
    """B2 jumps where the delayed value changes sign, at t = 2 ln 2 and 2 ln 6; the slope of u jumps there."""
    solution = solve(DDETST["B2"], 1e-8, dense=True)
    for time in (2 * np.log(2.0), 2 * np.log(6.0)):
        starts = np.asarray(solution.pieces.start)
        assert np.abs(starts[np.isfinite(starts)] - time).min() < 1e-8
    blind = solve(DDETST["B2"], 1e-8, switches=None)
    assert blind.statistics.rejected > solution.statistics.rejected


@pytest.mark.parametrize("n_arguments", [5, 6])
def test_neutral_equations_are_refused(n_arguments):
    """E1 to H4 read slopes of the past: f(t, u, delayed, delayed_slope, args)."""
    names = ", ".join("abcdefg"[:n_arguments])
    f = eval(f"lambda {names}: a")
    with pytest.raises(
        ArgumentError, match=r"solve_dde.f: must be a function of \(t, y, delayed, args\).*Neutral"
    ):
        solve_dde(f, 1.0, 0.0, 1.0, 1.0)


# E. Hairer, G. Wanner's problem at t = 1e11, as the Test Set for IVP Solvers of Bari University prints it
ROBERTSON = np.array([0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050])
SCALES = np.array([1e-2, 1e-8, 1e-2])  # of the three substances


def test_robertson_to_1e11():
    solution = solve_ode(
        lambda t, u, args: robertson(t, u, u, args), jnp.array([1.0, 0.0, 0.0]), 0.0, 1e11, method="radau5",
        rtol=1e-6, atol=1e-6 * SCALES,
    )  # fmt: skip
    np.testing.assert_allclose(solution.ys, ROBERTSON, rtol=1e-5)
    assert solution.statistics.accepted < 500


@pytest.mark.slow
def test_robertson_with_a_delay_to_1e10():
    """Steps grow to 1e9 delays; what is left of the delay there is nothing, so the equation without one judges."""
    case = STIFF["robertson"]
    options = {"method": "radau5", "rtol": 1e-7, "atol": 1e-7 * SCALES}
    solution = solve_dde(case.f, case.history, 0.0, case.t1, case.delays, **options)
    without = solve_ode(lambda t, u, args: robertson(t, u, u, args), case.history, 0.0, case.t1, **options)
    np.testing.assert_allclose(solution.ys, without.ys, rtol=1e-4)
    tight = solve_dde(
        case.f,
        case.history,
        0.0,
        case.t1,
        case.delays,
        method="radau5",
        rtol=1e-9,
        atol=1e-9 * SCALES,
        max_steps=8192,
    )
    np.testing.assert_allclose(solution.ys, tight.ys, rtol=1e-6)
    assert solution.statistics.accepted < 1000


@pytest.mark.slow
def test_oregonator():
    case = STIFF["oregonator"]

    def end(tolerance, t1):
        return solve_dde(
            case.f, case.history, 0.0, t1, case.delays, method="radau5", rtol=tolerance,
            atol=tolerance * jnp.array([1e-8, 1e-5]), max_steps=40_000,
        )  # fmt: skip

    assert end(1e-6, 10.0).statistics.accepted <= 1000
    exact = end(1e-9, case.t1).ys
    for tolerance in (1e-4, 1e-6):
        solution = end(tolerance, case.t1)
        print(f"oregonator at {tolerance:g}: {solution.statistics.accepted} steps")
        np.testing.assert_allclose(solution.ys, exact, rtol=500 * tolerance)  # oscillations shift their phase


@pytest.mark.slow
def test_a_stiff_delay_equation_that_the_explicit_method_cannot_afford():
    """y' = -1000 (y - cos t) + 500 (y(t - d) - cos(t - d)), whose solution from cos on is near cos."""

    def f(t, y, delayed, args):
        return -1000 * (y - jnp.cos(t)) + 500 * (delayed - jnp.cos(t - 1e-3)) - jnp.sin(t)

    stiff, explicit = (
        solve_dde(f, jnp.cos, 0.0, 10.0, 1e-3, method=method, rtol=1e-6, atol=1e-6, kinks=0, max_steps=20_000)
        for method in ("radau5", "dopri5")
    )
    np.testing.assert_allclose([stiff.ys, explicit.ys], np.cos(10.0), atol=1e-6)
    assert 10 * stiff.statistics.accepted < explicit.statistics.accepted


@pytest.mark.parametrize("kind", ["ode", pytest.param("dde", marks=SLOW)])
def test_order_of_radau_at_equal_steps(kind):
    """Order 5 without a delay; with one, the collocation polynomial of order 3 leaves 4."""
    from brainmass_delays.integrate import Controller

    fixed = {
        "method": "radau5",
        "rtol": 0.0,
        "atol": 1e9,
        "controller": Controller(shortest=1.0, longest=1.0),
    }

    @jax.jit
    def end(dt0):
        if kind == "ode":
            return solve_ode(lambda t, y, a: y * jnp.cos(t), 1.0, 0.0, 3.0, dt0=dt0, **fixed).ys
        return solve_dde(
            lambda t, y, d, a: -jnp.pi / 2 * d, lambda t: jnp.sin(jnp.pi / 2 * t), 0.0, 3.0, 1.0, dt0=dt0, kinks=0,
            **fixed,
        ).ys  # fmt: skip

    sizes = 3.0 / np.array([8, 16, 32, 64])  # no divisors of the delay
    exact = np.exp(np.sin(3.0)) if kind == "ode" else -1.0
    errors = np.abs(np.array([end(size) for size in sizes]) - exact)
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope > (4.7 if kind == "ode" else 3.7), errors
