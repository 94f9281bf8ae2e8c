"""Numbers of probdiffeq for every state space, linearization and prior (tests/golden/make_odefilter_spaces.py)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.integrate import (
    log_likelihood_series,
    matern_prior,
    ornstein_uhlenbeck_prior,
    solve_filter,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)

CASES = json.loads((Path(__file__).parent.parent / "golden" / "odefilter_spaces.json").read_text())["cases"]


def lotka_volterra(t, u, args):
    return jnp.stack([0.5 * u[0] - 0.05 * u[0] * u[1], -0.5 * u[1] + 0.05 * u[0] * u[1]])


def fitzhugh_nagumo(t, u, args):
    return jnp.stack([u[0] - u[0] ** 3 / 3 - u[1] + 0.5, (u[0] + 0.7 - 0.8 * u[1]) / 12.5])


def van_der_pol(t, u, args):
    return jnp.stack([u[1], 100.0 * ((1.0 - u[0] ** 2) * u[1] - u[0])])


def oscillator(t, u, du, args):
    return (1.0 - u**2) * du - u[::-1]


PROBLEMS = {
    "lotka_volterra": (lotka_volterra, np.array([20.0, 20.0])),
    "fitzhugh_nagumo": (fitzhugh_nagumo, np.array([-1.0, 1.0])),
    "van_der_pol": (van_der_pol, np.array([2.0, 0.0])),
    "oscillator": (oscillator, (np.array([2.0, 1.0]), np.array([0.0, 0.5]))),
}


def prior_of(options, coefficients):
    scale = jnp.array(options.get("output_scale", 1.0))
    kind, rate = options.get("prior", "wiener"), options.get("rate")
    if kind == "ornstein-uhlenbeck":
        return ornstein_uhlenbeck_prior(coefficients, rate=jnp.array(rate), output_scale=scale)
    if kind == "matern":
        length = np.sqrt(2 * len(coefficients) - 1) / rate
        return matern_prior(coefficients, length_scale=length, output_scale=scale)
    return wiener_prior(coefficients, output_scale=scale)


def solve(case):
    options = case["options"]
    f, y0 = PROBLEMS[options["problem"]]
    order = 2 if isinstance(y0, tuple) else 1
    prior = prior_of(options, taylor_coefficients(f, y0, 0.0, num=options["num"], order=order))
    shared = {k: options[k] for k in ("covariance", "linearization", "calibration") if k in options}
    shared["order"] = order
    if "grid" in options:
        return solve_filter_on_grid(f, prior, jnp.array(options["grid"]), **shared)
    tol = options["tol"]
    return solve_filter(f, prior, 0.0, case["t1"], rtol=tol, atol=tol, **shared)


def name_of(case):
    return "-".join(str(v) for k, v in case["options"].items() if k not in ("grid", "num", "tol", "shift"))


QUICK = {
    "fitzhugh_nagumo-isotropic-ts1-mle", "fitzhugh_nagumo-blockdiag-ts1-mle", "fitzhugh_nagumo-dense-ts1",
    "van_der_pol-dense-ts1", "oscillator-dense-ts1",
}  # fmt: skip


def lanes(cases):
    for case in cases:
        # of two cases of one name the shorter one has a grid
        quick = name_of(case) in QUICK and ("grid" in case["options"] or case["options"]["num"] != 3)
        yield pytest.param(case, id=name_of(case), marks=[] if quick else pytest.mark.slow)


@pytest.mark.parametrize("case", list(lanes(CASES)))
def test_numbers_of_probdiffeq(case):
    solution = jax.jit(lambda: solve(case))()
    assert np.max(solution.accepted) == case["num_steps"]
    for k, (mean, std) in enumerate(zip(case["mean"], case["std"], strict=True)):
        # High derivatives, of little weight in a step, lose digits in either program.
        digits = 1e-9 if k <= 1 else 2e-8
        atol = digits * np.max(np.abs(mean))
        np.testing.assert_allclose(solution.mean[k], mean, rtol=digits, atol=atol, err_msg=f"mean {k}")
        tiny = 1e-9 * np.max(np.abs(std)) + 1e-12 * np.max(np.abs(mean))
        np.testing.assert_allclose(solution.std[k], std, rtol=1e-6, atol=tiny, err_msg=f"std {k}")
    if "log_likelihood" in case:
        got = log_likelihood_series(solution, jnp.array(case["data"]), obs_std=0.1, average=False)
        assert float(got) == pytest.approx(case["log_likelihood"], rel=1e-9)
