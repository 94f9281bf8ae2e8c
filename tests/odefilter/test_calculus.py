"""Derivatives of all quantities against central differences, Taylor coefficients, orders of convergence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.integrate import (
    Controller,
    log_likelihood_series,
    log_likelihood_terminal,
    solve_filter,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)
from brainmass_delays.integrate.odefilter import triangularize

TIMES = np.linspace(0.0, 2.0, 6)
DATA = np.array([[0.1, 0.3], [0.15, 0.4], [0.12, 0.5], [0.2, 0.45], [0.22, 0.6], [0.27, 0.66]])
NAMES = ["theta", "y0", "y0", "log output scale", "log observation std", "log initial std"]
POINTS = {
    "wide prior": np.array([0.6, 0.1, 0.3, 2.0, -3.0, np.log(1e-2)]),
    "narrow prior": np.array([0.6, 0.1, 0.3, -1.0, -2.0, np.log(1e-2)]),
    "nearly exact start": np.array([0.6, 0.1, 0.3, 0.5, -2.0, np.log(1e-5)]),
}


def logistic(t, y, rate):
    return rate * y * (1.0 - y)


def quantities(p, steps, calibration, exact):
    """Return means, stds of all coefficients at an inner and the last time, and both likelihoods."""
    coefficients = taylor_coefficients(logistic, p[1:3], 0.0, num=2, args=p[0])
    prior = wiener_prior(
        coefficients, output_scale=jnp.exp(p[3]), initial_std=0.0 if exact else jnp.exp(p[5])
    )
    if steps == "grid":
        solution = solve_filter_on_grid(logistic, prior, TIMES, args=p[0], calibration=calibration)
    else:  # steps of a constant length that never meet the checkpoints
        solution = solve_filter(
            logistic, prior, 0.0, 2.0, args=p[0], save_at=TIMES, rtol=1e9, atol=1e9, dt0=0.17, max_steps=32,
            controller=Controller(shortest=1.0, longest=1.0), calibration=calibration,
            while_loop="checkpointed",
        )  # fmt: skip
    noise = jnp.exp(p[4])
    return jnp.concatenate([
        *(jnp.ravel(row[jnp.array([2, -1])]) for row in solution.mean),
        *(row[jnp.array([2, -1])] for row in solution.std),
        log_likelihood_series(solution, DATA, obs_std=noise)[None],
        log_likelihood_terminal(solution, DATA[-1], obs_std=noise)[None],
    ])  # fmt: skip


def check_derivatives(steps, calibration="none", exact=False, points=POINTS):
    function = jax.jit(lambda p: quantities(p, steps, calibration, exact))
    derivative = jax.jit(jax.jacrev(lambda p: quantities(p, steps, calibration, exact)))
    for name, point in points.items():
        got = derivative(point)
        assert np.isfinite(got).all(), name
        for k, parameter in enumerate(NAMES):
            shift = 1e-4 * np.eye(len(point))[k]  # fourth-order differences
            near, far = (function(point + s * shift) - function(point - s * shift) for s in (1, 2))
            expected = (8.0 * near - far) / 12e-4
            # The floor is for the std of the derivative the equation fixes, zero but for rounding.
            scale = np.maximum(np.maximum(np.abs(function(point)), np.abs(expected)), 1e-3)
            np.testing.assert_allclose(
                got[:, k] / scale, expected / scale, atol=1e-7, err_msg=f"{name}: {parameter}"
            )


def test_gradients_on_a_grid():
    check_derivatives("grid")


def test_gradients_with_an_exact_start():
    check_derivatives("grid", exact=True)


def test_gradients_through_checkpoints():
    check_derivatives("adaptive", points={"wide prior": POINTS["wide prior"]})


def test_gradients_of_calibrated_solutions():
    check_derivatives("grid", calibration="mle", points={"wide prior": POINTS["wide prior"]})


@pytest.mark.parametrize("shape", [(3, 3), (6, 3), (8, 4)])
def test_triangular_factor_has_the_right_derivative_block_by_block(shape):
    matrix, change = np.random.default_rng(0).standard_normal((2, *shape))
    factor, tangent = jax.jvp(triangularize, (matrix,), (change,))
    np.testing.assert_allclose(factor.T @ factor, matrix.T @ matrix, atol=1e-12)
    difference = (triangularize(matrix + 1e-6 * change) - triangularize(matrix - 1e-6 * change)) / 2e-6
    np.testing.assert_allclose(tangent, difference, atol=1e-8)


def test_triangular_factor_of_a_singular_matrix_keeps_the_derivative_of_the_product():
    matrix, change = np.random.default_rng(1).standard_normal((2, 6, 3))
    matrix[:, 1] = 0.0
    matrix[:, 2] = 2.0 * matrix[:, 0]
    factor, tangent = jax.jvp(triangularize, (matrix,), (change,))
    product = change.T @ matrix
    np.testing.assert_allclose(tangent.T @ factor + factor.T @ tangent, product + product.T, atol=1e-12)


@pytest.mark.parametrize("method", ["jet", "jvp"])
def test_taylor_coefficients_differentiate_through_time(method):
    rows = taylor_coefficients(lambda t, y, args: jnp.sin(3 * t), jnp.zeros(1), 0.0, num=3, method=method)
    np.testing.assert_allclose(np.ravel(rows), [0.0, 0.0, 3.0, 0.0], atol=1e-14)


@pytest.mark.parametrize("method", ["jet", "jvp"])
def test_taylor_coefficients_of_lotka_volterra(method):
    def field(t, u, args):
        x, y = u["prey"], u["predator"]
        return {"prey": 0.5 * x - 0.05 * x * y, "predator": -0.5 * y + 0.05 * x * y}

    start = {"prey": jnp.array(20.0), "predator": jnp.array(15.0)}
    rows = taylor_coefficients(field, start, 0.0, num=4, method=method)
    expected = [[20, 15], [-5, 7.5], [-6.25, 0], [5.3125, -8.4375], [14.140625, -7.265625]]
    np.testing.assert_allclose([[row["prey"], row["predator"]] for row in rows], expected, atol=1e-12)


def test_taylor_coefficients_of_a_function_without_taylor_rule():
    def field(t, y, args):
        return jax.nn.softplus(-y) + jnp.arctan(t)

    rows = taylor_coefficients(field, jnp.array([0.3]), 0.5, num=3)
    np.testing.assert_allclose(rows, taylor_coefficients(field, jnp.array([0.3]), 0.5, num=3, method="jvp"))


def test_taylor_coefficients_of_a_second_order_equation():
    start = (jnp.array([1.0]), jnp.array([0.0]))
    rows = taylor_coefficients(lambda t, u, du, args: -4.0 * u + t * du, start, 0.0, num=3, order=2)
    # u''' = -4 u' + u' + t u'' and u'''' = -3 u'' + u'' + t u''' at t = 0
    np.testing.assert_allclose(np.ravel(rows), [1.0, 0.0, -4.0, 0.0, 8.0], atol=1e-14)


@pytest.mark.parametrize(
    "num", [1, pytest.param(2, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_order_of_convergence(num):
    exact = 0.1 / (0.1 + 0.9 * np.exp(-0.5 * np.linspace(0.0, 1.0, 11)))

    def error(n_steps):
        grid = np.linspace(0.0, 1.0, n_steps + 1)
        solution = solve_filter_on_grid(
            logistic, jnp.array([0.1]), grid, args=0.5, num=num, strategy="filter"
        )
        return np.abs(np.ravel(solution.ys)[:: n_steps // 10] - exact).max()

    sizes = np.array([10, 20, 40, 80, 160][: 3 if num == 4 else 5])
    slope = -np.polyfit(np.log(sizes), np.log([error(n) for n in sizes]), 1)[0]
    assert slope > num + 0.5
