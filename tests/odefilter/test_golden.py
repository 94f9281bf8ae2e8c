"""Numbers of probdiffeq 0.9.2; odefilter.json and odefilter_variants.json say how they were made."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.integrate import (
    log_likelihood_series,
    log_likelihood_terminal,
    solve_filter,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)

FOLDER = Path(__file__).parent.parent / "golden"
GOLDEN = json.loads((FOLDER / "odefilter.json").read_text())
VARIANTS = json.loads((FOLDER / "odefilter_variants.json").read_text())["cases"]


def logistic(t, y, theta):
    return theta[0] * y * (1.0 - y)


def lotka_volterra(t, u, theta):
    x, y = u
    return jnp.stack([theta[0] * x - theta[1] * x * y, -theta[2] * y + theta[3] * x * y])


def van_der_pol(t, u, theta):
    return jnp.stack([u[1], theta[0] * (1.0 - u[0] ** 2) * u[1] - u[0]])


def forced(t, y, theta):
    return -theta[0] * y + jnp.sin(theta[1] * t)


FIELDS = {
    "theta0*y*(1-y)": logistic,
    "[th0*x-th1*x*y, -th2*y+th3*x*y]": lotka_volterra,
    "[v, mu*(1-x^2)*v-x]": van_der_pol,
    "-th0*y+sin(th1*t)": forced,
}


@functools.cache
def solver(field, num, controller, calibration):
    """Return value, gradients, solution; the shift of the prior's mean has the gradient of the tutorial."""

    def loss(y0, theta, shift, t0, t1, rtol, atol):
        coefficients = taylor_coefficients(FIELDS[field], y0, t0, num=num, args=theta)
        prior = wiener_prior([c + s for c, s in zip(coefficients, shift, strict=True)])
        solution = solve_filter(
            FIELDS[field], prior, t0, t1, args=theta, rtol=rtol, atol=atol, controller=controller,
            calibration=calibration, while_loop="checkpointed", max_steps=512,
        )  # fmt: skip
        return jnp.dot(solution.ys, solution.ys), solution

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_terminal_values_steps_and_gradients(case):
    calibration = {"solver": "none"}.get(case["solver"], case["solver"])
    run = solver(case["vector_field"], case["num"], case["control"], calibration)
    y0, theta = jnp.array(case["inits"][0]), jnp.array(case["theta"])
    times = (case["t0"], case["t1"], case["rtol"], case["atol"])
    (value, solution), gradient = run(y0, theta, jnp.zeros((case["nu"] + 1, len(y0))), *times)
    assert solution.accepted == case["num_steps"]
    assert solution.accepted + solution.rejected == case["num_attempts"]
    mean, std = np.array(case["mean"]), np.array(case["std"])
    np.testing.assert_allclose(solution.ys, mean[0], atol=1e-10, rtol=1e-10)
    np.testing.assert_allclose(jnp.stack(solution.mean), mean, rtol=1e-8 if case["nu"] <= 3 else 1e-4)
    np.testing.assert_allclose(solution.std, std, rtol=1e-6, atol=1e-14 * std.max())
    np.testing.assert_allclose(value, case["value"], rtol=1e-10)
    np.testing.assert_allclose(gradient[0], case["grad_inits"][0], rtol=1e-8)
    np.testing.assert_allclose(gradient[1], case["grad_theta"], rtol=1e-8)
    expected = np.array(case["grad_prior_mean"])
    np.testing.assert_allclose(gradient[2], expected, rtol=1e-8, atol=1e-13 * np.abs(expected).max())


def test_accepted_steps_one_by_one():
    case = next(c for c in GOLDEN["cases"] if c["name"] == "logistic_nu3_1e-06")
    solution = solve_filter(
        logistic, jnp.array([0.1]), 0.0, 1.0, args=jnp.array([0.5]), num=3, rtol=1e-6, atol=1e-6,
        strategy="fixed-interval", max_steps=16,
    )  # fmt: skip
    steps = [h for h, power in zip(case["dts"], case["error_powers"], strict=True) if power >= 1]
    np.testing.assert_allclose(np.diff(solution.ts)[: len(steps)], steps, atol=1e-10)
    np.testing.assert_array_equal(solution.ts[len(steps) :], 1.0)
    assert solution.rejected == len(case["dts"]) - len(steps)
    np.testing.assert_allclose(solution.ys[-1], case["mean"][0], rtol=1e-10)
    np.testing.assert_allclose(solution.std[0][-1], case["std"][0], rtol=1e-6)


def problem(name):
    """Return field, initial value and order of a problem of the variants."""
    theta = jnp.array([0.5, 0.05, 0.5, 0.05])
    one = jnp.array([2.0]), jnp.array([0.0])
    two = jnp.array([1.0, 0.5]), jnp.array([0.0, 0.2])
    return {
        "lotka_volterra": (lambda t, u, args: lotka_volterra(t, u, theta), jnp.array([20.0, 20.0]), 1),
        "logistic": (lambda t, y, args: 0.5 * y * (1.0 - y), jnp.array([0.1]), 1),
        "forced": (lambda t, y, args: -y + jnp.sin(3.0 * t), jnp.array([0.5]), 1),
        "vanderpol_second_order": (lambda t, u, du, args: (1.0 - u**2) * du - u, one, 2),
        "forced_oscillator_second_order": (lambda t, u, du, args: -4.0 * u + jnp.cos(t), two, 2),
    }[name]


def run_variant(options, y0=None):
    """Translate the options of a golden case."""
    options = dict(options)
    f, start, order = problem(options.pop("problem"))
    y0, tol, num = start if y0 is None else y0, options.pop("tol", 1e-3), options.pop("num")
    scale, exact, diffuse = (
        options.pop(k, d) for k, d in (("output_scale", 1.0), ("is_exact", True), ("diffuse", 0))
    )
    prior = wiener_prior(
        taylor_coefficients(f, y0, 0.0, num=num, order=order), output_scale=scale,
        initial_std=0.0 if exact else 1e-6, diffuse_derivatives=diffuse,
    )  # fmt: skip
    names = {"correct": "correct_underconfidence", "norm": "error_norm", "epus": "error_per_unit_step"}
    options = {names.get(name, name): value for name, value in options.items()}
    if "grid" in options:
        return solve_filter_on_grid(f, prior, options.pop("grid"), order=order, **options)
    options = {"rtol": tol, "atol": tol, "strategy": "fixed-point"} | options
    t1 = options.pop("t1", None) or options["save_at"][-1]
    return solve_filter(f, prior, 0.0, t1, order=order, **options)


def name_of(case):
    return "-".join(f"{k}={v}" for k, v in case["options"].items() if k not in ("grid", "save_at"))


@pytest.mark.parametrize("case", VARIANTS, ids=name_of)
def test_variants(case):
    options = case["options"]
    solution = jax.jit(lambda: run_variant(options))()
    rows = "save_at" in options or "grid" in options
    np.testing.assert_array_equal(solution.accepted[1:] if rows else solution.accepted, case["num_steps"])
    np.testing.assert_allclose(solution.ts, case["t"], atol=1e-12)
    for k, (mean, std) in enumerate(zip(case["mean"], case["std"], strict=True)):
        np.testing.assert_allclose(solution.mean[k], mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(solution.std[k], std, rtol=1e-6, atol=1e-12 * np.max(np.abs(case["std"])))
    expected = options.get("output_scale", 1.0) * np.max(case["output_scale"])
    assert float(solution.output_scale) == pytest.approx(expected, rel=1e-8)
    if "jacobian_inits" in case:
        start = problem(options["problem"])[1]
        jacobian = jax.jit(jax.jacfwd(lambda y0: run_variant(options, y0).ys))(start)
        for mine, other in zip(jax.tree.leaves(jacobian), case["jacobian_inits"], strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-8)


def test_checkpoints_and_fixed_grid():
    golden = GOLDEN["save_at_and_fixed_grid"]
    f, y0, _ = problem("lotka_volterra")
    case = golden["save_at_solver"]
    solution = jax.jit(lambda: solve_filter(f, y0, 0.0, 3.0, save_at=case["grid"], num=2))()
    np.testing.assert_array_equal(solution.accepted[1:], case["num_steps"])
    assert solution.accepted[-1] + solution.rejected == case["attempts"]
    np.testing.assert_allclose(np.moveaxis(np.stack(solution.mean), 0, 1), case["mean"], rtol=1e-8)
    np.testing.assert_allclose(np.stack(solution.std, -1), case["std"], rtol=1e-6, atol=1e-15)
    case = golden["fixed_grid_filter"]
    solution = jax.jit(lambda: solve_filter_on_grid(f, y0, case["grid"], num=2, strategy="filter"))()
    np.testing.assert_allclose(np.moveaxis(np.stack(solution.mean), 0, 1), case["mean"], rtol=1e-8)
    np.testing.assert_allclose(np.stack(solution.std, -1), case["std"], rtol=1e-6, atol=1e-15)


@functools.cache
def likelihoods():
    """Return the quantities of the likelihood block and their Jacobian, given parameters and initial std."""
    block = GOLDEN["log_marginal_likelihood"]
    grid, data, noise = jnp.array(block["grid"]), jnp.array(block["data"])[:, None], block["obs_std"]

    def quantities(p, initial_std):
        theta, scale = p[:1], jnp.exp(p[1])
        coefficients = taylor_coefficients(logistic, jnp.array([0.1]), 0.0, num=2, args=theta)
        prior = wiener_prior(coefficients, output_scale=scale, initial_std=initial_std)
        solution = solve_filter_on_grid(logistic, prior, grid, args=theta)
        return {
            "lml_timeseries_mean": log_likelihood_series(solution, data, obs_std=noise),
            "lml_timeseries_sum": log_likelihood_series(solution, data, obs_std=noise, average=False),
            "lml_terminal": log_likelihood_terminal(solution, data[-1], obs_std=noise),
            "terminal_mean": solution.ys[-1, 0],
        }

    return jax.jit(lambda p, std: (quantities(p, std), jax.jacrev(quantities)(p, std)))


@pytest.mark.parametrize("initial_std", [0.0, 0.01])
def test_likelihoods_and_their_gradients(initial_std):
    block = GOLDEN["log_marginal_likelihood"]
    values, gradients = likelihoods()(jnp.array(block["p"]), initial_std)
    for row in (row for row in block["rows"] if row["init_std"] == initial_std):
        assert float(values[row["quantity"]]) == pytest.approx(row["value"], rel=1e-10)
        # Central differences: the reference's own gradients in the output scale are wrong.
        expected = row["grad_finite_difference"]
        np.testing.assert_allclose(gradients[row["quantity"]], expected, rtol=1e-6, atol=2e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_prior_is_the_preconditioned_one_in_plain_coordinates(order):
    from brainmass_delays.integrate.odefilter.process import wiener

    step, golden = 0.3, GOLDEN["iwp_preconditioned"][str(order)]
    matrix, noise = wiener(order, jnp.asarray(step))
    noise = jnp.sqrt(step) * noise
    i = np.arange(order + 1)
    scale = step ** (order - i + 0.5) / np.cumprod([1.0, *range(1, order + 1)])[::-1]
    np.testing.assert_allclose(matrix * scale / scale[:, None], golden["A"], atol=1e-12)
    np.testing.assert_allclose(noise.T / scale[:, None], golden["Qsqrt"], atol=1e-12)
