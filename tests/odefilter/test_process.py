"""Priors against an independent discretization, their limits, uncertain starts, stiffness, units of leaves."""

import math

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import (
    matern_prior,
    ornstein_uhlenbeck_prior,
    solve_filter,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)
from brainmass_delays.integrate.odefilter.bridge import bridge
from brainmass_delays.integrate.odefilter.process import linear, wiener


def van_loan(drift, diffusion, step):
    """Return exponential and noise covariance of ``dx = drift x dt + diffusion dW`` by one big exponential."""
    n = len(drift)
    big = np.block([[-drift, diffusion @ diffusion.T], [np.zeros((n, n)), drift.T]]) * step
    big = scipy.linalg.expm(big)
    exponential = big[n:, n:].T
    return exponential, exponential @ big[:n, n:]


@pytest.mark.parametrize(("rate", "step"), [(2.0, 0.3), (-1.0, 0.7), (20.0, 0.5), (1e-6, 0.1)])
def test_linear_process_is_that_of_van_loan(rate, step):
    rows = np.array([[[0.3, -0.2, -rate]], [[0.0, 0.0, -rate]]])
    matrix, noise = linear(jnp.array(rows), jnp.array([[1.0], [2.0]]), jnp.asarray(step))
    for block, sigma in enumerate((1.0, 2.0)):
        drift = np.eye(3, k=1)
        drift[2] = rows[block, 0]
        expected, covariance = van_loan(drift, sigma * np.eye(3)[:, 2:], step)
        np.testing.assert_allclose(matrix[block], expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(
            noise[block].T @ noise[block], covariance, rtol=1e-9, atol=1e-9 * covariance.max()
        )


def test_linear_process_without_drift_is_the_wiener_process():
    step = jnp.asarray(0.2)
    matrix, noise = linear(jnp.zeros((1, 1, 4)), jnp.ones((1, 1)), step)
    expected = wiener(3, step)
    root = jnp.sqrt(step) * expected.noise
    np.testing.assert_allclose(matrix[0], expected.matrix, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(noise[0].T @ noise[0], root.T @ root, rtol=1e-11)


def test_bridge_meets_a_polynomial_and_has_the_conditional_variance():
    order, a, length = 2, 0.3, 0.8
    powers = np.arange(6)
    coefficients = np.random.default_rng(0).standard_normal(6)

    def state(t):
        """The value and two derivatives of a polynomial of degree 2 q - 1."""
        return np.array([
            sum(c * math.perm(p, k) * t ** max(p - k, 0) for c, p in zip(coefficients, powers, strict=True) if p >= k)
            for k in range(3)
        ])  # fmt: skip

    found = bridge(order, jnp.asarray(a), jnp.asarray(length))
    between = found.earlier @ state(0.0) + found.later @ state(length)
    np.testing.assert_allclose(between, state(a), rtol=1e-10)

    def covariance(h):
        root = np.sqrt(h) * np.asarray(wiener(order, jnp.asarray(h)).noise)
        return root.T @ root

    cross = covariance(a) @ np.asarray(wiener(order, jnp.asarray(length - a)).matrix).T
    expected = covariance(a) - cross @ np.linalg.solve(covariance(length), cross.T)
    assert float(found.std) ** 2 == pytest.approx(expected[0, 0], rel=1e-6)


def test_bridge_can_be_differentiated_at_the_ends():
    slope = jax.jacfwd(lambda a: bridge(2, a, jnp.asarray(0.5)).earlier[0])(jnp.asarray(0.0))
    np.testing.assert_allclose(slope, [0.0, 1.0, 0.0], atol=1e-12)
    slope = jax.jacfwd(lambda a: bridge(2, a, jnp.asarray(0.5)).later[0])(jnp.asarray(0.5))
    np.testing.assert_allclose(slope, [0.0, 1.0, 0.0], atol=1e-12)


def decay(t, y, args):
    return -y


Y0 = np.array([1.0])
GRID = np.linspace(0.0, 1.0, 9)


def test_slow_priors_are_the_wiener_prior():
    coefficients = taylor_coefficients(decay, Y0, 0.0, num=2)
    expected = solve_filter_on_grid(decay, wiener_prior(coefficients), GRID)
    for prior in (
        ornstein_uhlenbeck_prior(coefficients, rate=1e-9),
        matern_prior(coefficients, length_scale=1e9),
    ):
        solution = solve_filter_on_grid(decay, prior, GRID)
        np.testing.assert_allclose(solution.ys, expected.ys, rtol=1e-8)
        np.testing.assert_allclose(solution.std[0], expected.std[0], rtol=1e-6, atol=1e-12)


def test_priors_that_cannot_be_used_are_named():
    coefficients = taylor_coefficients(decay, Y0, 0.0, num=2)
    with pytest.raises(ArgumentError, match="length_scale: must be positive"):
        matern_prior(coefficients, length_scale=-1.0)
    with pytest.raises(ArgumentError, match="grid: must have steps below"):
        solve_filter_on_grid(decay, ornstein_uhlenbeck_prior(coefficients, rate=1e5), GRID)
    two = taylor_coefficients(decay, np.ones(2), 0.0, num=2)
    with pytest.raises(ArgumentError, match="one number for covariance='isotropic'"):
        solve_filter_on_grid(decay, ornstein_uhlenbeck_prior(two, rate=np.ones(2)), GRID)
    with pytest.raises(ArgumentError, match="output_scale: must be one number"):
        solve_filter_on_grid(decay, np.ones(2), GRID, output_scale=np.ones(2))


TURN = np.array([[-0.2, 1.0], [-1.0, -0.2]])
SPREAD = np.array([0.1, 0.03])


@pytest.mark.parametrize("order", [1, 2])
def test_an_uncertain_start_is_carried_through_a_linear_equation(order):
    if order == 1:

        def field(t, y, args):
            return jnp.asarray(TURN) @ y

        start, spread, flow = np.array([1.0, 0.5]), SPREAD, scipy.linalg.expm(TURN)
    else:  # one oscillator of second order, as (u, u')

        def field(t, y, speed, args):
            return -1.04 * y - 0.4 * speed

        start, spread = (np.array([1.0]), np.array([0.5])), (SPREAD[:1], SPREAD[1:])
        flow = scipy.linalg.expm(np.array([[0.0, 1.0], [-1.04, -0.4]]))
    solution = jax.jit(lambda: solve_filter(
        field, start, 0.0, 1.0, y0_std=spread, linearization="ts1", covariance="dense", num=3, rtol=1e-6,
        atol=1e-6, order=order, output_scale=5.0,
    ))()  # fmt: skip
    expected = flow @ np.diag(SPREAD**2) @ flow.T
    std = np.concatenate([np.ravel(solution.std[k]) for k in range(order)])
    np.testing.assert_allclose(std, np.sqrt(np.diag(expected)), rtol=1e-3)
    factor = solution.marginal.factor[0]
    np.testing.assert_allclose((factor.T @ factor)[:2, :2], expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("covariance", ["isotropic", "blockdiag"])
def test_an_uncertain_start_in_independent_blocks(covariance):
    solution = jax.jit(lambda: solve_filter(
        decay, np.array([1.0, 2.0]), 0.0, 1.0, y0_std=0.1, linearization="ts1", covariance=covariance, num=2,
        rtol=1e-5, atol=1e-5, output_scale=5.0,
    ))()  # fmt: skip
    np.testing.assert_allclose(solution.std[0], 0.1 * np.exp(-1.0), rtol=1e-3)
    assert np.shape(solution.std[0]) == (() if covariance == "isotropic" else (2,))


def test_jacobians_make_a_stiff_equation_cheap():
    """Three hundred attempts are enough, where stability alone costs an explicit method ten thousand."""

    def stiff(t, y, args):
        return -1e4 * (y - jnp.cos(t)) - jnp.sin(t)

    solution = jax.jit(lambda: solve_filter(
        stiff, Y0, 0.0, 2.0, linearization="ts1", covariance="dense", num=2, rtol=1e-4, atol=1e-4, max_steps=300
    ))()  # fmt: skip
    assert solution.status == 0
    assert abs(solution.ys[0] - np.cos(2.0)) < 1e-3


def test_leaves_of_several_units_need_covariances_of_their_own():
    def oscillator(t, y, args):
        return {"x": y["v"], "v": -y["x"] / (1.0 * u.second) ** 2}

    start = {"x": 1.0 * u.meter, "v": 0.0 * u.meter / u.second}
    options = {"num": 2, "dt0": 0.1 * u.second}
    with pytest.raises(ArgumentError, match=r"y0: must have one unit.*covariance='dense'"):
        solve_filter(oscillator, start, 0.0 * u.second, 1.0 * u.second, **options)
    solution = solve_filter(
        oscillator,
        start,
        0.0 * u.second,
        1.0 * u.second,
        covariance="blockdiag",
        rtol=1e-5,
        atol=1e-5,
        **options,
    )
    assert solution.ys["x"].to_decimal(u.meter) == pytest.approx(np.cos(1.0), abs=1e-4)
    assert u.get_unit(solution.std[0]["v"]) == u.meter / u.second
    assert u.get_unit(solution.std[1]["v"]) == u.meter / u.second**2
