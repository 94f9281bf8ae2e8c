"""States with units and structure, and arguments that cannot be used."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import (
    log_likelihood_series,
    log_likelihood_terminal,
    solve_filter,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)


def decay(t, y, args):
    return -y


Y0 = np.array([1.0])


def test_units_of_time_and_state_are_those_of_the_input():
    def membrane(t, v, tau):
        return (-60.0 * u.mV - v) / tau

    solution = solve_filter(
        membrane, jnp.array([-50.0]) * u.mV, 0.0 * u.ms, 20.0 * u.ms, args=10.0 * u.ms, num=2, dt0=1.0 * u.ms,
        save_at=np.array([10.0, 20.0]) * u.ms, rtol=1e-6, atol=1e-6 * u.mV, calibration="mle",
    )  # fmt: skip
    expected = -60.0 + 10.0 * np.exp(-np.array([1.0, 2.0]))
    np.testing.assert_allclose(np.ravel(solution.ys.to_decimal(u.mV)), expected, atol=1e-4)
    np.testing.assert_allclose(solution.ts.to_decimal(u.ms), [10.0, 20.0])
    slope = -np.exp(-np.array([1.0, 2.0]))
    np.testing.assert_allclose(np.ravel(solution.mean[1].to_decimal(u.mV / u.ms)), slope, atol=1e-4)
    assert u.get_unit(solution.std[0]) == u.mV
    density = log_likelihood_terminal(solution, solution.ys[-1] + 1.0 * u.mV, obs_std=1.0 * u.mV)
    assert float(density) == pytest.approx(-0.5 - 0.5 * np.log(2 * np.pi), abs=1e-4)


def test_states_are_pytrees_and_keep_their_structure():
    def field(t, state, args):
        return {"x": state["y"], "y": -state["x"]}

    start = {"x": jnp.ones((2, 2)), "y": jnp.zeros((2, 2))}
    solution = solve_filter_on_grid(field, start, np.linspace(0.0, 1.0, 21))
    assert solution.ys["x"].shape == (21, 2, 2)
    np.testing.assert_allclose(solution.ys["x"][-1], np.cos(1.0), atol=1e-5)
    data = jax.tree.map(lambda rows: rows + 0.0, solution.ys)
    assert np.isfinite(log_likelihood_series(solution, data, obs_std=0.1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve_filter(decay, Y0, 1.0, 0.0), "solve_filter.t1: must be after"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, rtol=0.0), "solve_filter.rtol: must be positive"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, dt0=-1.0), "solve_filter.dt0: must be positive"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, damp=-1.0), "solve_filter.damp: must not be negative"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, num=0), "solve_filter.num: must be a whole number"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, controller="pee"), "solve_filter.controller: .* 'pi'"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, calibration="max"), "calibration: must be one of"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, save_at=[0.5, 0.2]), "save_at: must increase"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, save_at=[2.0]), "save_at: must increase within"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, save_at=[1.0], strategy="fixed-interval"), "checkpoints"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, output_scale=0.0), "output_scale: must be positive"),
        (lambda: solve_filter(decay, Y0, 0.0, 1.0, order=2), "y0: must be a tuple of 2 states"),
        (lambda: solve_filter(lambda t, y, args: jnp.zeros(3), Y0, 0.0, 1.0), "f: must have the structure"),
        (lambda: solve_filter(decay, wiener_prior([Y0, -Y0]), 0.0, 1.0, num=2), "num: must be left out"),
        (lambda: solve_filter(decay, wiener_prior([Y0, -Y0]), 0.0, 1.0, order=2), "at least 3 coefficients"),
        (lambda: solve_filter(decay, (Y0 * u.mV, Y0 * u.ms), 0.0, 1.0), "y0: must have one unit"),
        (lambda: solve_filter_on_grid(decay, Y0, [0.0]), "grid: must have shape"),
        (lambda: solve_filter_on_grid(decay, Y0, [0.0, 0.0]), "grid: must increase"),
        (lambda: wiener_prior([Y0]), "coefficients: must be at least 2"),
        (lambda: wiener_prior([Y0, Y0], initial_std=-1.0), "initial_std: must be at least 0"),
        (lambda: wiener_prior([Y0, Y0], initial_std=[0.1]), "initial_std: must be one number or one per"),
        (lambda: taylor_coefficients(decay, Y0, 0.0, num=1, method="fit"), "method: must be one of"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_likelihoods_name_what_they_cannot_use():
    filtered = solve_filter_on_grid(decay, Y0, [0.0, 0.5, 1.0], strategy="filter")
    with pytest.raises(ArgumentError, match="must come from a smoother"):
        log_likelihood_series(filtered, filtered.ys, obs_std=0.1)
    with pytest.raises(ArgumentError, match="obs_std: must be positive"):
        log_likelihood_terminal(filtered, Y0, obs_std=0.0)
    smoothed = solve_filter_on_grid(decay, Y0, [0.0, 0.5, 1.0])
    with pytest.raises(ArgumentError, match="data: must have 3 rows"):
        log_likelihood_series(smoothed, smoothed.ys[:2], obs_std=0.1)


@pytest.mark.parametrize("rule", ["ratio", "hairer"])
def test_rules_for_the_first_step(rule):
    solution = solve_filter(
        decay, Y0, 0.0, 1.0, dt0=rule, rtol=1e-5, atol=1e-5, strategy="fixed-interval", max_steps=64
    )
    # |u| = |u'| = 1, so that the first rule and the trial step of the second are both 0.01
    assert float(solution.ts[1]) == pytest.approx(0.01 / (1 + 1e-5) if rule == "ratio" else 0.02115, rel=1e-3)
    np.testing.assert_allclose(solution.ys[-1], np.exp(-1.0), atol=1e-4)
