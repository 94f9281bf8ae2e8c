"""Write odefilter_spaces.json: numbers of probdiffeq for every state space, linearization and prior it has.

Needs an environment of its own: ``pip install probdiffeq==0.9.2 jax==0.10.2``; then
``python tests/golden/make_odefilter_spaces.py``.

In its block-diagonal space probdiffeq divides the residual of *each* entry by the square root of the number of
entries, so that tolerances are looser and calibrated standard deviations smaller by that factor. For these
cases the one line is replaced below ("corrected"), and nothing else.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
from probdiffeq import ivpsolve, probdiffeq
from probdiffeq._probdiffeq.ssm_impl_blockdiag import BlockDiagNormal

jax.config.update("jax_enable_x64", True)


def lotka_volterra(u, /, *, t):
    return jnp.stack([0.5 * u[0] - 0.05 * u[0] * u[1], -0.5 * u[1] + 0.05 * u[0] * u[1]])


def fitzhugh_nagumo(u, /, *, t):
    return jnp.stack([u[0] - u[0] ** 3 / 3 - u[1] + 0.5, (u[0] + 0.7 - 0.8 * u[1]) / 12.5])


def van_der_pol(u, /, *, t):
    return jnp.stack([u[1], 100.0 * ((1.0 - u[0] ** 2) * u[1] - u[0])])


def oscillator(u, du, /, *, t):
    return (1.0 - u**2) * du - u[::-1]


PROBLEMS = {
    "lotka_volterra": (lotka_volterra, [[20.0, 20.0]], 2.0),
    "fitzhugh_nagumo": (fitzhugh_nagumo, [[-1.0, 1.0]], 4.0),
    "van_der_pol": (van_der_pol, [[2.0, 0.0]], 0.5),
    "oscillator": (oscillator, [[2.0, 1.0], [0.0, 0.5]], 2.0),
}
SPACES = {
    "isotropic": probdiffeq.state_space_model_isotropic,
    "blockdiag": probdiffeq.state_space_model_blockdiag,
    "dense": probdiffeq.state_space_model_dense,
}
SOLVERS = {"none": "solver", "mle": "solver_mle", "dynamic": "solver_dynamic"}


def corrected(self, u_latent, /):
    """Whiten the residual of each entry, without the division by the square root of their number."""
    return jnp.reshape(self.mean_flat - u_latent, (-1,)) / jnp.reshape(self.cholesky_flat, (-1,))


BlockDiagNormal.residual_whitened_rms_flat = corrected


def prior_of(space, coefficients, options):
    """Build the prior of a case."""
    keys = {k: jnp.array(options[k]) for k in ("output_scale",) if k in options}
    name, rate = options.get("prior", "wiener"), options.get("rate")
    if name == "wiener":
        return space.prior_wiener_integrated(coefficients, **keys)
    if name == "ornstein-uhlenbeck":
        matrix = jnp.array(rate) if jnp.ndim(rate) else rate * jnp.eye(len(coefficients[0]))
        return space.prior_ornstein_uhlenbeck_integrated(lambda x: -matrix @ x, coefficients, **keys)
    q = len(coefficients)
    binomial = [1.0]
    for k in range(q):
        binomial.append(binomial[-1] * (q - k) / (k + 1))
    drift = probdiffeq.ode_autonomous_order_arbitrary(
        lambda *jets: sum(-binomial[k] * rate ** (q - k) * jets[k] for k in range(q)), num_tcoeffs_in_args=q
    )
    return space.prior_exponential(drift, coefficients, **keys)


def run(options):
    """Solve one case."""
    field, inits, t1 = PROBLEMS[options["problem"]]
    inits = [jnp.array(c) for c in inits]
    build = probdiffeq.ode if len(inits) == 1 else probdiffeq.ode_order_two
    ode = build(field, jacobian=probdiffeq.jacobian_materialize())
    coefficients, _ = probdiffeq.jetexpand_ode_unroll(num=options["num"])(ode, inits, t=0.0)
    space = SPACES[options["covariance"]]()
    prior = prior_of(space, coefficients, options)
    constraint = getattr(space, f"constraint_ode_{options['linearization']}")(ode)
    on_grid = "grid" in options
    strategy = probdiffeq.strategy_smoother_fixedinterval() if on_grid else probdiffeq.strategy_filter()
    solver = getattr(probdiffeq, SOLVERS[options.get("calibration", "none")])(
        constraint=constraint, strategy=strategy
    )
    if on_grid:
        solution = jax.jit(ivpsolve.solve_fixed_grid(solver=solver))(prior, grid=jnp.array(options["grid"]))
    else:
        error = probdiffeq.error_residual_std(constraint=constraint)
        solve = ivpsolve.solve_adaptive_terminal_values(solver=solver, error=error)
        tol = options["tol"]
        solution = jax.jit(lambda p: solve(p, t0=0.0, t1=t1, atol=tol, rtol=tol))(prior)
    case = {
        "options": options,
        "mean": [jnp.asarray(row).tolist() for row in solution.u.mean],
        "std": [jnp.asarray(row).tolist() for row in solution.u.std],
        "num_steps": jnp.max(solution.num_steps).tolist(),
        "t1": t1,
    }
    if on_grid and options.get("calibration", "none") == "none":
        data = solution.u.mean[0] + jnp.array(options["shift"])
        std = 0.1 * jnp.ones(jnp.shape(solution.u.std[0]))
        loss = probdiffeq.loss_lml_timeseries(average_pdfs=False)
        case["data"] = data.tolist()
        case["log_likelihood"] = float(loss(data, posterior=solution.solution_full, std=std))
    return case


def cases():
    """List the options of all cases."""
    for problem, num, tol in (("lotka_volterra", 3, 1e-5), ("fitzhugh_nagumo", 3, 1e-5)):
        for covariance in SPACES:
            for linearization in ("ts0", "ts1"):
                yield {
                    "problem": problem,
                    "num": num,
                    "tol": tol,
                    "covariance": covariance,
                    "linearization": linearization,
                }
    stiff = {"problem": "van_der_pol", "num": 4, "tol": 1e-5, "covariance": "dense", "linearization": "ts1"}
    yield stiff
    yield stiff | {"calibration": "mle"}
    for covariance in SPACES:
        second = {
            "problem": "oscillator",
            "num": 2,
            "tol": 1e-4,
            "covariance": covariance,
            "linearization": "ts1",
        }
        yield second
        for calibration in ("mle", "dynamic"):
            yield {"problem": "fitzhugh_nagumo", "num": 2, "tol": 1e-4, "covariance": covariance, "linearization": "ts1",
                       "calibration": calibration}  # fmt: skip
        grid = [0.0, 0.3, 0.5, 1.0, 1.4, 2.0]
        yield {"problem": "fitzhugh_nagumo", "num": 2, "covariance": covariance, "linearization": "ts1", "grid": grid,
                   "shift": [0.05, -0.03]}  # fmt: skip
    scales = {
        "problem": "lotka_volterra",
        "num": 2,
        "tol": 1e-4,
        "linearization": "ts1",
        "output_scale": [3.0, 0.5],
    }
    yield scales | {"covariance": "blockdiag"}
    yield scales | {"covariance": "dense"}
    dense = {
        "problem": "fitzhugh_nagumo",
        "num": 3,
        "tol": 1e-5,
        "covariance": "dense",
        "linearization": "ts1",
    }
    yield dense | {"prior": "ornstein-uhlenbeck", "rate": 2.0}
    yield dense | {"prior": "ornstein-uhlenbeck", "rate": [[1.0, 0.5], [-0.2, 0.1]]}
    yield dense | {"prior": "matern", "rate": 1.5}


if __name__ == "__main__":
    about = "Numbers of probdiffeq 0.9.2 (jax 0.10.2, float64), made by make_odefilter_spaces.py."
    result = {"_about": about, "cases": [run(options) for options in cases()]}
    Path(__file__).with_name("odefilter_spaces.json").write_text(json.dumps(result, indent=0) + "\n")
