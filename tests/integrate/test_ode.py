"""solve_ode: accuracy against SciPy, gradients against differences, flags, units, shapes."""

import functools

import brainunit as u
import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import PROBLEMS

from brainmass_delays import ArgumentError, RunError
from brainmass_delays._core.status import MAX_STEPS_REACHED, NOT_FINITE, STEP_UNDERFLOW
from brainmass_delays.integrate import Controller, solve_ode
from brainmass_delays.integrate.tableaus import METHODS

DIFFRAX = {"dopri5": diffrax.Dopri5, "tsit5": diffrax.Tsit5, "bosh3": diffrax.Bosh3}
TOLERANCES = {
    "dopri5": 10.0 ** -np.arange(3, 10),
    "tsit5": 10.0 ** -np.arange(3, 10),
    "bosh3": 10.0 ** -np.arange(3, 8),  # low orders need too many steps beyond
    "heun21": 10.0 ** -np.arange(3, 6),
}


def solver(problem, method, **options):
    """Compile one solve for every tolerance."""

    @jax.jit
    def solve(tolerance):
        return solve_ode(
            problem.jax, jnp.array(problem.y0), 0.0, problem.t1, args=problem.args, method=method,
            rtol=tolerance, atol=tolerance, max_steps=200_000, **options,
        )  # fmt: skip

    return solve


def peer_attempts(problem, method):
    """Compile one solve by diffrax, with its integral controller, for every tolerance."""

    @jax.jit
    def attempts(tolerance):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(problem.jax), DIFFRAX[method](), 0.0, problem.t1, None, jnp.array(problem.y0),
            problem.args, stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=200_000,
        ).stats["num_steps"]  # fmt: skip

    return attempts


def every_pair(names, methods):
    """Pair all names with all methods; the quick lane takes each name with one method, in turn."""
    for i, name in enumerate(names):
        for j, method in enumerate(methods):
            quick = i % len(methods) == j
            yield pytest.param(name, method, id=f"{name}-{method}", marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize(("name", "method"), list(every_pair(PROBLEMS, TOLERANCES)))
def test_error_stays_within_a_few_tolerances_of_scipy(name, method):
    problem = PROBLEMS[name]
    reference, solve = problem.reference(), solver(problem, method)
    bound = 10 if METHODS[method].order == 5 else 15  # the same safety factor is less cautious at low order
    for tolerance in TOLERANCES[method]:
        solution = solve(tolerance)
        assert solution.status == 0
        error = np.sqrt(np.mean(((solution.ys - reference) / (1 + np.abs(reference))) ** 2))
        assert error <= bound * tolerance, f"{error / tolerance:.1f} tolerances at {tolerance:g}"


@pytest.mark.slow
@pytest.mark.parametrize("method", DIFFRAX)
@pytest.mark.parametrize("name", PROBLEMS)
def test_work_is_that_of_the_same_method_of_diffrax(name, method):
    problem = PROBLEMS[name]
    solve, peer = solver(problem, method), peer_attempts(problem, method)
    stages = len(METHODS[method].nodes) - 1
    for tolerance in TOLERANCES[method]:
        # both evaluate each new stage once per attempt, and the first slope and its guess once
        evaluations = 2 + stages * peer(tolerance)
        assert solve(tolerance).statistics.evaluations <= 1.3 * evaluations, tolerance


@pytest.mark.parametrize(("method", "order"), [("dopri5", 5), ("tsit5", 5), ("bosh3", 3), ("heun21", 2)])
def test_order_of_convergence(method, order):
    """Error against steps, over five tolerances: the slope is the order of the method."""
    problem = PROBLEMS["forced_oscillator"]
    reference, solve = problem.reference(), solver(problem, method)
    tolerances = np.logspace(-5, -9, 5) if order == 5 else np.logspace(-3, -7, 5)
    solutions = [solve(tolerance) for tolerance in tolerances]
    errors = [np.abs(s.ys - reference).max() for s in solutions]
    steps = [int(s.statistics.accepted) for s in solutions]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope > order - 0.3


@pytest.mark.parametrize(("method", "order"), [("dopri5", 4), ("tsit5", 4), ("bosh3", 3), ("heun21", 2)])
def test_order_of_the_continuous_extension_over_the_whole_trajectory(method, order):
    times = jnp.linspace(0.0, 5.0, 101)
    problem = PROBLEMS["forced_oscillator"]
    exact = solver(problem, "tsit5", save_at=times)(1e-12).ys
    solve = solver(problem, method, save_at=times)
    errors, steps = [], []
    for tolerance in np.logspace(-4, -8, 5) if order == 4 else np.logspace(-3, -6, 5):
        solution = solve(tolerance)
        errors.append(np.abs(solution.ys - exact).max())
        steps.append(int(solution.statistics.accepted))
    assert -np.polyfit(np.log(steps), np.log(errors), 1)[0] > order - 0.3


@pytest.mark.parametrize("controller", ["integral", "pi", "pid", Controller(integral=1.0, safety=0.8)])
def test_every_controller_keeps_the_tolerance_at_similar_work(controller):
    problem = PROBLEMS["van_der_pol_1"]
    solution = solver(problem, "dopri5", controller=controller)(1e-6)
    np.testing.assert_allclose(solution.ys, problem.reference(), atol=1e-5)
    assert solution.statistics.evaluations < 700


def squares(p, y0, t1, loop, **options):
    """Return a loss of Lotka-Volterra in a parameter, the initial state and the end time."""
    problem = PROBLEMS["lotka_volterra"]
    solution = solve_ode(
        lambda t, y, a: problem.jax(t, y, (p, *a)), y0, 0.0, t1, args=problem.args[1:],
        rtol=1e-11, atol=1e-11, max_steps=1000, while_loop=loop, **options,
    )  # fmt: skip
    return jnp.sum(solution.ys**2)


@functools.cache
def value_and_gradients():
    """Compile, once for all tests, the loss by 'lax' and its gradients in all three arguments by 'checkpointed'."""
    return jax.jit(lambda *x: squares(*x, "lax")), gradients("checkpointed")


def gradients(loop):
    return jax.jit(jax.grad(lambda *x: squares(*x, loop), (0, 1, 2)))


@pytest.mark.parametrize("loop", [pytest.param("bounded", marks=pytest.mark.slow), "checkpointed"])
def test_gradient_against_central_differences(loop):
    at = jnp.asarray(0.5), jnp.array([20.0, 20.0]), jnp.asarray(3.0)
    value, gradient = value_and_gradients()
    p, y0, t1 = (gradient if loop == "checkpointed" else gradients(loop))(*at)

    def difference(i, direction, h):
        ahead, behind = ([x + s * h * direction if i == j else x for j, x in enumerate(at)] for s in (1, -1))
        return (value(*ahead) - value(*behind)) / (2 * h)

    np.testing.assert_allclose(p, difference(0, 1.0, 1e-5), rtol=1e-6)
    np.testing.assert_allclose(y0[1], difference(1, jnp.array([0.0, 1.0]), 1e-3), rtol=1e-6)
    np.testing.assert_allclose(t1, difference(2, 1.0, 1e-4), rtol=1e-6)


def test_gradient_through_saved_states_equals_that_of_separate_solves():
    times = jnp.array([1.0, 2.5])
    y0, p = jnp.array([20.0, 20.0]), jnp.asarray(0.5)
    saved = jax.jit(jax.grad(lambda p: squares(p, y0, 2.5, "checkpointed", save_at=times)))(p)
    _, gradient = value_and_gradients()
    np.testing.assert_allclose(saved, sum(gradient(p, y0, t)[0] for t in times), rtol=1e-7)


def test_lax_refuses_reverse_mode_and_has_forward_mode():
    y0, t1, p = jnp.array([20.0, 20.0]), jnp.asarray(2.0), jnp.asarray(0.5)
    with pytest.raises(ValueError, match="Reverse-mode.*'checkpointed'"):
        jax.grad(lambda p: squares(p, y0, t1, "lax"))(p)
    value, gradient = value_and_gradients()
    _, forward = jax.jvp(lambda p: value(p, y0, t1), (p,), (jnp.ones(()),))
    np.testing.assert_allclose(forward, gradient(p, y0, t1)[0], rtol=1e-12)


def test_units_and_pytrees():
    def f(t, x, tau):
        return {"v": (-65.0 * u.mV - x["v"]) / tau, "w": (x["v"] / u.mV - x["w"]) / (50.0 * u.ms)}

    y0 = {"v": jnp.array([-50.0, -60.0]) * u.mV, "w": jnp.zeros(2)}
    solution = solve_ode(
        f, y0, 0.0 * u.second, 20.0 * u.ms, args=10.0 * u.ms, rtol=1e-9,
        atol={"v": 1e-9 * u.volt, "w": 1e-9}, save_at=jnp.array([0.0, 20.0]) * u.ms,
    )  # fmt: skip
    exact = -65 + np.array([15.0, 5.0]) * np.exp(-2.0)
    np.testing.assert_allclose(solution.ys["v"][1] / u.mV, exact, rtol=1e-7)
    np.testing.assert_allclose(solution.ys["w"][0], 0.0)
    assert u.get_unit(solution.ts) == u.second


def test_state_of_one_number_complex_numbers_and_integers():
    assert np.isclose(solve_ode(lambda t, y, a: -y, 1, 0.0, 1.0, rtol=1e-9, atol=1e-9).ys, np.exp(-1))
    turned = solve_ode(lambda t, y, a: 1j * y, 1.0 + 0.0j, 0.0, np.pi, rtol=1e-9, atol=1e-9).ys
    assert abs(turned + 1) < 1e-7


def test_breakpoints_recover_the_order_at_a_stimulus():
    def f(t, y, args):
        return jnp.where(t < 1.0, 0.0, 1.0) - y

    exact = 1 - np.exp(-1.0)
    options = {"rtol": 1e-9, "atol": 1e-9}
    told = solve_ode(f, 0.0, 0.0, 2.0, breakpoints=jnp.array([1.0]), **options)
    blind = solve_ode(f, 0.0, 0.0, 2.0, dt0=0.3, **options)
    assert abs(told.ys - exact) < 1e-9
    assert told.statistics.rejected < 3 < blind.statistics.rejected


def test_an_event_ends_the_solve_and_has_a_gradient():
    """A leaky neuron reaches threshold at tau ln(drive / (drive - threshold))."""

    def spike(drive, loop="checkpointed"):
        return solve_ode(
            lambda t, v, a: (drive - v) / (10.0 * u.ms),
            0.0 * u.mV,
            0.0 * u.ms,
            100.0 * u.ms,
            event=lambda t, v, a: v - 15.0 * u.mV,
            while_loop=loop,
            max_steps=200,
            rtol=1e-9,
            atol=1e-9,
        )

    time, slope = jax.jit(jax.value_and_grad(lambda drive: spike(drive * u.mV).t / u.ms))(20.0)
    np.testing.assert_allclose(time, 10 * np.log(20 / 5), rtol=1e-7)
    np.testing.assert_allclose(slope, 10 * (1 / 20 - 1 / 5), rtol=1e-6)
    solve = jax.jit(lambda drive: spike(drive * u.mV, "lax"))
    solution = solve(20.0)
    assert solution.status == 0 and np.isclose(solution.ys / u.mV, 15.0)
    never = solve(10.0)
    assert never.status == 0 and np.isclose(never.t / u.ms, 100.0)


def test_vmap_equals_a_loop():
    problem = PROBLEMS["van_der_pol_1"]
    starts = jnp.array([[2.0, 0.0], [0.1, 0.3], [-1.0, 2.0]])

    def end(y0, loop):
        return solve_ode(problem.jax, y0, 0.0, 3.0, args=(1.0,), while_loop=loop, max_steps=200).ys

    one = jax.jit(lambda y0: end(y0, "lax"))
    together = jax.jit(jax.vmap(lambda y0: end(y0, "lax")))(starts)
    np.testing.assert_allclose(together, jnp.stack([one(x) for x in starts]), rtol=1e-12)
    grad_one = jax.jit(jax.grad(lambda y0: end(y0, "checkpointed").sum()))
    grads = jax.jit(jax.vmap(grad_one))(starts)
    np.testing.assert_allclose(grads, jnp.stack([grad_one(x) for x in starts]), rtol=1e-10)


def test_single_precision(single_precision):
    problem = PROBLEMS["fitzhugh_nagumo"]
    solution = solve_ode(
        problem.jax, jnp.array(problem.y0, jnp.float32), 0.0, 20.0, args=problem.args, rtol=1e-5, atol=1e-5
    )
    assert solution.ys.dtype == jnp.float32
    np.testing.assert_allclose(solution.ys, problem.reference(), atol=1e-4)


def test_clean_under_debug_nans():
    with jax.debug_nans(True):
        squares(0.5, jnp.array([20.0, 20.0]), 1.0, "bounded")
        jax.grad(lambda p: squares(p, jnp.array([20.0, 20.0]), 1.0, "checkpointed"))(0.5)


FAILURES = {
    MAX_STEPS_REACHED: (lambda t, y, a: jnp.cos(50 * t), {"max_steps": 5}, "max_steps was reached"),
    STEP_UNDERFLOW: (lambda t, y, a: y**2, {}, "step size underflowed"),
    NOT_FINITE | STEP_UNDERFLOW: (lambda t, y, a: jnp.sqrt(0.5 - t), {}, "became NaN or infinite"),
}


@pytest.mark.parametrize("status", FAILURES)
def test_failures_raise_with_the_time_reached_and_are_visible_inside_jit(status):
    f, options, message = FAILURES[status]

    def solve():
        return solve_ode(f, 1.0, 0.0, 2.0, save_at=jnp.array([0.01, 2.0]), **options)

    with pytest.raises(RunError, match=rf"solve_ode: .*{message}.*Reached t = [01]\.\d+"):
        solve()
    solution = jax.jit(solve)()
    assert solution.status == status
    assert solution.t < 1.01
    assert np.isfinite(solution.ys[0]) and np.isnan(solution.ys[1])
    with pytest.raises(RunError, match=message):
        solution.check()


def test_failure_raises_in_an_eager_gradient():
    with pytest.raises(RunError, match=r"max_steps was reached.*Reached t = 0\.\d+ "):
        jax.grad(
            lambda a: (
                solve_ode(lambda t, y, _: a * y, 1.0, 0.0, 9.0, max_steps=3, while_loop="checkpointed").ys
            )
        )(1.0)


def test_solution_is_evaluated_inside_its_span_only():
    solution = solve_ode(lambda t, y, a: -y, 1.0, 0.0, 1.0, rtol=1e-8, atol=1e-8, dense=True)
    np.testing.assert_allclose(solution.evaluate(jnp.array([0.0, 0.37])), np.exp([0.0, -0.37]), rtol=1e-7)
    assert np.isnan(solution.evaluate(1.1))
    assert np.isclose(jax.grad(solution.evaluate)(0.5), -np.exp(-0.5), rtol=1e-6)
    with pytest.raises(ArgumentError, match="Solution.evaluate: needs a solve with dense=True"):
        solve_ode(lambda t, y, a: -y, 1.0, 0.0, 1.0).evaluate(0.5)


BAD = [
    ({"t1": -1.0}, "solve_ode.t1: must be later than t0"),
    ({"method": "dopri"}, "solve_ode.method: must be one of .* Did you mean 'dopri5'"),
    ({"rtol": -1.0}, "solve_ode.rtol: must be a number in"),
    ({"atol": 0.0}, "solve_ode.atol: must be positive"),
    ({"atol": {"v": 1.0}}, "solve_ode.atol: must be a number or have the structure"),
    ({"atol": jnp.ones(3)}, r"solve_ode.atol: must be a number or have the shape of the state, \(2,\)"),
    ({"dt0": -0.1}, "solve_ode.dt0: must be positive"),
    ({"max_steps": 0}, "solve_ode.max_steps: must be a whole number"),
    ({"controller": "PI"}, "solve_ode.controller: must be one of"),
    ({"while_loop": "scan"}, "solve_ode.while_loop: must be one of"),
    ({"save_at": jnp.array([2.0])}, "solve_ode.save_at: must lie between"),
    ({"t1": 1.0 * u.ms}, "solve_ode.t1: must have the dimension"),
    ({"y0": ()}, "solve_ode.y0: must hold at least one number"),
    ({"f": lambda t, y, a: jnp.zeros(3)}, r"solve_ode.f: must return slopes of the shape of y0, \(2,\)"),
    ({"f": lambda t, y, a: {"v": y}}, "solve_ode.f: must return the structure of y0"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_arguments_are_checked(arguments, message):
    defaults = {"f": lambda t, y, a: -y, "y0": jnp.ones(2), "t0": 0.0, "t1": 1.0}
    with pytest.raises(ArgumentError, match=message):
        solve_ode(**defaults | arguments)


@pytest.mark.parametrize("method", ["dopri5", pytest.param("radau5", marks=pytest.mark.slow)])
def test_save_at_at_the_ends_of_steps_is_the_dense_solution(method):
    def solve(**options):
        return solve_ode(
            lambda t, y, args: jnp.stack([y[1], 30 * (1 - y[0] ** 2) * y[1] - y[0]]), jnp.array([2.0, 0.0]),
            0.0, 30.0, method=method, breakpoints=jnp.array([1.0, 1.0 + 1e-9]), **options,
        )  # fmt: skip

    dense = solve(dense=True)
    starts = dense.pieces.start[: dense.n_pieces]
    times = jnp.concatenate(
        [starts, jnp.nextafter(starts[1:], 0.0), jnp.nextafter(starts, 99.0), starts[-1:] + 0.1]
    )
    times = jnp.sort(jnp.minimum(times, 30.0))
    np.testing.assert_allclose(solve(save_at=times).ys, dense.evaluate(times), rtol=1e-12, atol=1e-12)
    every = solve(save_at=times[::7]).ys
    np.testing.assert_allclose(every, dense.evaluate(times[::7]), rtol=1e-12, atol=1e-12)
