"""solve_dde: closed forms, jitcdde, order with and without kinks, gradients in the delays, flags, units."""

import functools

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import TIGHT, decay, delayed_logistic, mackey_glass, method_of_steps
from scipy.special import lambertw

from brainmass_delays import ArgumentError, RunError
from brainmass_delays._core.status import DELAY_ABOVE_BOUND, MAX_STEPS_REACHED, NOT_FINITE, STEP_UNDERFLOW
from brainmass_delays.integrate import Controller, solve_dde
from brainmass_delays.integrate.breakpoints import generations, propagate


@jax.jit
def end_of_decay(t1):
    return solve_dde(decay, 1.0, 0.0, t1, 1.0, rtol=1e-10, atol=1e-10).ys


@pytest.mark.parametrize(
    ("t1", "value"), [(1.0, 0.0), (2.0, -0.5), (5.0, 0.1583333333333333), (10.0, 0.0202411265)]
)
def test_method_of_steps(t1, value):
    ys = end_of_decay(t1)
    assert abs(ys - value) < 1e-9
    assert abs(ys - method_of_steps(t1)) < 1e-9


def test_linear_equation_decays_at_its_characteristic_root():
    """y' = a y + b y(t - 1) has solutions exp(s t) with s = a + W(b exp(-a)); take the real root."""
    a, b = -0.5, 0.7
    s = (a + lambertw(b * np.exp(-a))).real
    solution = solve_dde(
        lambda t, y, d, args: a * y + b * d, lambda t: jnp.exp(s * t), 0.0, 10.0, 1.0, kinks=0, **TIGHT
    )  # fmt: skip
    assert abs(solution.ys - np.exp(10 * s)) < 1e-10


def error_and_steps(history, exact, method, tolerances, **options):
    @jax.jit
    def solve(tolerance):
        return solve_dde(
            lambda t, y, d, args: -jnp.pi / 2 * d, history, 0.0, 6.3, 1.0,
            method=method, rtol=tolerance, atol=tolerance, max_steps=20_000, **options,
        )  # fmt: skip

    solutions = [solve(tolerance) for tolerance in tolerances]
    return [abs(s.ys - exact) for s in solutions], [int(s.statistics.accepted) for s in solutions]


def slope(errors, steps):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize(("method", "order"), [("dopri5", 4), ("tsit5", 4), ("bosh3", 3), ("heun21", 2)])
@pytest.mark.parametrize("history", ["smooth", "constant"])
def test_order_with_smooth_and_with_constant_history(history, method, order):
    tolerances = np.logspace(-5, -10, 6) if order == 4 else np.logspace(-3, -7, 5)
    if history == "smooth":
        errors, steps = error_and_steps(
            lambda t: jnp.sin(jnp.pi / 2 * t), np.sin(np.pi / 2 * 6.3), method, tolerances, kinks=0
        )
    else:
        exact = method_of_steps(6.3 * np.pi / 2, np.pi / 2)
        errors, steps = error_and_steps(1.0, exact, method, tolerances)
    assert slope(errors, steps) > (4.0 if order == 4 else order - 0.3), (errors, steps)


@pytest.mark.parametrize(("method", "order"), [("dopri5", 4), ("tsit5", 4), ("bosh3", 3), ("heun21", 2)])
def test_order_at_equal_steps_across_the_kinks_of_a_constant_history(method, order):
    """Steps of constant length that land on the kinks at 1, 2, ...; errors of a nonlinear equation."""

    @jax.jit
    def end(dt0, tolerance=1e9):
        return solve_dde(
            delayed_logistic, 0.5, 0.0, 6.0, 1.0, method=method, rtol=0.0, atol=tolerance, dt0=dt0,
            controller=Controller(shortest=1.0, longest=1.0), max_steps=2000,
        ).ys  # fmt: skip

    exact = solve_dde(delayed_logistic, 0.5, 0.0, 6.0, 1.0, rtol=1e-13, atol=1e-13, max_steps=20_000).ys
    sizes = 1.0 / np.array([4, 8, 16, 32, 64])
    errors = [abs(end(size) - exact) for size in sizes]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] > order - 0.1, errors


def test_kinks_pay():
    exact = method_of_steps(6.3 * np.pi / 2, np.pi / 2)
    landed, steps = error_and_steps(1.0, exact, "dopri5", [1e-9])
    missed, blind_steps = error_and_steps(1.0, exact, "dopri5", [1e-9], kinks=0)
    assert steps[0] < blind_steps[0] and landed[0] < 1e-7


def test_mackey_glass_and_its_gradient_in_the_delay():
    @jax.jit
    def end(delay, tolerance=1e-10):
        return solve_dde(
            mackey_glass, 1.2, 0.0, 60.0, delay, rtol=tolerance, atol=tolerance, while_loop="checkpointed",
            max_steps=1500
        ).ys  # fmt: skip

    assert abs(end(17.0) - 0.82906727588) < 1e-9
    assert abs(end(17.0, 1e-6) - end(17.0)) < 1e-5
    difference = (end(17.0 + 1e-3) - end(17.0 - 1e-3)) / 2e-3
    np.testing.assert_allclose(jax.jit(jax.grad(end))(17.0), difference, rtol=1e-6)


@functools.cache
def gradient_in_the_delay(kinks=1, loop="checkpointed"):
    """Compile, once for all tests, the derivative in the delay (and a tolerance) of x' = -x(t - delay) at 1.7."""

    def end(delay, tolerance):
        options = {"kinks": kinks, "while_loop": loop, "max_steps": 400 if loop == "checkpointed" else 100}
        return solve_dde(decay, 1.0, 0.0, 1.7, delay, rtol=tolerance, atol=tolerance, **options).ys

    return jax.jit(jax.grad(end))


@pytest.mark.parametrize("loop", ["checkpointed", pytest.param("bounded", marks=pytest.mark.slow)])
def test_gradient_in_the_delay_of_the_method_of_steps(loop):
    """x(t) = 1 - t + (t - delay)^2 / 2 on [delay, 2 delay]."""
    np.testing.assert_allclose(gradient_in_the_delay(loop=loop)(1.0, 1e-11), -0.7, rtol=1e-10)


def test_a_jump_at_the_start_enters_the_derivative_in_the_delay():
    """History 0, y0 = 1: x = 1 - (t - d) + (t - 2d)^2 / 2 on [2d, 3d]; the slope jumps at d."""

    def end(delay):
        options = {"y0": 1.0, "while_loop": "checkpointed", "max_steps": 100}
        return solve_dde(decay, 0.0, 0.0, 2.2, delay, **options, **TIGHT).ys

    value, grad = jax.jit(jax.value_and_grad(end))(1.0)
    np.testing.assert_allclose([value, grad], [1 - 1.2 + 0.02, 1 - 2 * 0.2], rtol=1e-10)


def test_gradient_in_history_arguments_and_two_delays_against_differences():
    def loss(amplitude, p, delays):
        solution = solve_dde(
            lambda t, y, d, p: p * jnp.tanh(d["fast"]) - y * d["slow"][0], lambda t: 1 + amplitude *
            jnp.sin(t), 0.0, 4.0, {"fast": delays[0], "slow": delays[1:]}, args=p, while_loop="checkpointed",
            max_steps=600, **TIGHT,
        )  # fmt: skip
        return solution.ys**2

    at = [jnp.asarray(0.3), jnp.asarray(0.8), jnp.array([0.7, 1.1])]
    value, grads = jax.jit(loss), jax.jit(jax.grad(loss, (0, 1, 2)))(*at)
    for i, direction in ((0, 1.0), (1, 1.0), (2, jnp.array([1.0, 0.0])), (2, jnp.array([0.0, 1.0]))):
        ahead, behind = (
            [x + s * 1e-4 * direction if i == j else x for j, x in enumerate(at)] for s in (1, -1)
        )
        difference = (value(*ahead) - value(*behind)) / 2e-4
        np.testing.assert_allclose(jnp.sum(grads[i] * direction), difference, rtol=1e-6)


def logistic_history(p):
    return lambda t: 0.5 + 0.1 * jnp.cos(p * t)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["mackey_glass", "delayed_logistic"])
def test_agreement_with_jitcdde(case, tmp_path, monkeypatch):
    jitcdde = pytest.importorskip("jitcdde")
    monkeypatch.chdir(tmp_path)  # its compiler reads the pyproject.toml of the working directory
    y, t = jitcdde.y, jitcdde.t
    if case == "mackey_glass":
        f, past, t1 = [0.2 * y(0, t - 17) / (1 + y(0, t - 17) ** 10) - 0.1 * y(0)], [1.2], 60.0
        ours = solve_dde(mackey_glass, 1.2, 0.0, t1, 17.0, **TIGHT).ys
    else:
        f, past, t1 = [1.4 * y(0) * (1 - y(0, t - 1))], [0.5], 20.0
        ours = solve_dde(delayed_logistic, 0.5, 0.0, t1, 1.0, **TIGHT).ys
    judge = jitcdde.jitcdde(f, verbose=False)
    judge.constant_past(past)
    judge.set_integration_parameters(rtol=1e-10, atol=1e-10, first_step=1e-3, max_step=0.05)
    judge.step_on_discontinuities(propagations=2)
    np.testing.assert_allclose(np.atleast_1d(ours), judge.integrate(t1), atol=2e-8)


def test_the_gradient_across_a_missed_kink_converges_with_the_tolerance():
    """Steps that do not move with a kink make the gradient less accurate than the value, never wrong."""
    missed, landed = gradient_in_the_delay(kinks=0), gradient_in_the_delay(kinks=1)
    tolerances = np.logspace(-5, -11, 7)
    errors = [abs(missed(1.0, tolerance) + 0.7) for tolerance in tolerances]
    assert np.polyfit(np.log(tolerances), np.log(errors), 1)[0] > 0.4, errors
    assert abs(landed(1.0, 1e-5) + 0.7) < 1e-10


def test_zero_delay_reads_the_current_state():
    solution = solve_dde(decay, 1.0, 0.0, 1.0, 0.0, **TIGHT)
    np.testing.assert_allclose(solution.ys, np.exp(-1.0), rtol=1e-9)


def test_units_and_live_delays():
    delay = brainstate.nn.Param(5.0 * u.ms)

    def f(t, x, delayed, args):
        return {"v": -delayed["v"] / (10.0 * u.ms)}

    solution = solve_dde(
        f, {"v": 2.0 * u.mV}, 0.0 * u.ms, 0.012 * u.second, delay, max_delay=6.0 * u.ms,
        save_at=jnp.array([5.0, 12.0]) * u.ms, **TIGHT,
    )  # fmt: skip
    exact = [2 * method_of_steps(t / 10, 0.5) for t in (5.0, 12.0)]
    np.testing.assert_allclose(solution.ys["v"] / u.mV, exact, rtol=1e-9)
    again = solve_dde(f, {"v": 2.0 * u.mV}, 0.0 * u.ms, 12.0 * u.ms, lambda: 5000.0 * u.us, **TIGHT)
    np.testing.assert_allclose(again.ys["v"] / u.mV, exact[1], rtol=1e-9)


def test_dense_evaluation_and_the_saved_states_agree():
    times = jnp.linspace(0.0, 5.0, 11)
    solution = solve_dde(decay, 1.0, 0.0, 5.0, 1.0, save_at=times, dense=True, **TIGHT)
    np.testing.assert_allclose(solution.ys, [method_of_steps(t) for t in times], atol=1e-9)
    np.testing.assert_allclose(solution.evaluate(times), solution.ys, rtol=1e-14)
    # a solution is a history: continuing equals solving on
    onward = solve_dde(decay, solution.evaluate, 5.0, 7.0, 1.0, **TIGHT)
    np.testing.assert_allclose(onward.ys, method_of_steps(7.0), atol=1e-9)


def test_vmap_over_delays_equals_a_loop():
    delays = jnp.array([0.3, 1.0, 1.7])

    def end(delay):
        return solve_dde(decay, 1.0, 0.0, 3.0, delay, max_delay=2.0, rtol=1e-9, atol=1e-9).ys

    one = jax.jit(end)
    np.testing.assert_allclose(jax.jit(jax.vmap(end))(delays), [one(d) for d in delays], rtol=1e-12)


def test_vmap_of_the_gradient_equals_a_loop():
    delays, one = jnp.array([0.3, 1.0, 1.6]), gradient_in_the_delay()
    together = jax.jit(jax.vmap(one, (0, None)))(delays, 1e-7)
    np.testing.assert_allclose(together, [one(d, 1e-7) for d in delays], rtol=1e-10)


def test_single_precision(single_precision):
    ys = solve_dde(decay, 1.0, 0.0, 5.0, 1.0, rtol=1e-5, atol=1e-5).ys
    assert ys.dtype == jnp.float32
    np.testing.assert_allclose(ys, method_of_steps(5.0), atol=2e-5)


def test_gradient_in_single_precision(single_precision):
    grad = jax.jit(jax.grad(lambda delay: solve_dde(
        decay, 1.0, 0.0, 1.7, delay, while_loop="checkpointed", max_steps=100, rtol=1e-5, atol=1e-5).ys))(1.0)  # fmt: skip
    assert grad.dtype == jnp.float32
    np.testing.assert_allclose(grad, -0.7, rtol=1e-4)


@pytest.mark.parametrize(
    ("loop", "history"),
    [
        pytest.param("bounded", jnp.cos, id="bounded-function", marks=pytest.mark.slow),
        pytest.param("checkpointed", 1.0, id="checkpointed-constant"),
        pytest.param("bounded", 1.0, id="bounded-constant", marks=pytest.mark.slow),
        pytest.param("checkpointed", jnp.cos, id="checkpointed-function", marks=pytest.mark.slow),
    ],
)
def test_clean_under_debug_nans(loop, history):
    with jax.debug_nans(True):
        slope = jax.grad(lambda delay: solve_dde(
            decay, history, 0.0, 1.7, delay, max_delay=2.0, while_loop=loop, max_steps=64).ys)(1.0)  # fmt: skip
    assert np.isfinite(slope)


FAILURES = {
    MAX_STEPS_REACHED: (lambda t, y, d, a: jnp.cos(50 * t) + d, {"max_steps": 5}, "max_steps was reached"),
    STEP_UNDERFLOW: (lambda t, y, d, a: y**2 + 0 * d, {}, "step size underflowed"),
    NOT_FINITE | STEP_UNDERFLOW: (lambda t, y, d, a: jnp.sqrt(0.5 - t) + 0 * d, {}, "became NaN or infinite"),
}


@pytest.mark.parametrize("status", FAILURES)
def test_failures_raise_with_the_time_reached_and_are_visible_inside_jit(status):
    f, options, message = FAILURES[status]

    def solve():
        return solve_dde(f, 1.0, 0.0, 2.0, 0.4, save_at=jnp.array([0.01, 2.0]), **options)

    with pytest.raises(RunError, match=rf"solve_dde: .*{message}.*Reached t = [01]\.\d+"):
        solve()
    solution = jax.jit(solve)()
    assert solution.status == status and solution.t < 1.01
    assert np.isfinite(solution.ys[0]) and np.isnan(solution.ys[1])


def test_traced_delay_above_its_bound_is_a_flag():
    def solve(delay):
        return solve_dde(decay, 1.0, 0.0, 1.0, delay, max_delay=2.0)

    status = jax.jit(lambda d: solve(d).status)
    assert [status(d) for d in (3.0, -1.0, 2.0)] == [DELAY_ABOVE_BOUND, DELAY_ABOVE_BOUND, 0]
    with pytest.raises((RunError, ArgumentError), match="delay"):
        jax.jvp(lambda d: solve(d).ys, (3.0,), (1.0,))


BAD = [
    ({"delays": -1.0}, "solve_dde.delays: must be finite and not negative; got -1"),
    ({"delays": jnp.nan}, "solve_dde.delays: must be finite"),
    ({"delays": 3.0}, "solve_dde.delays: must not exceed max_delay = 2"),
    ({"delays": 1.0 * u.ms}, "solve_dde.delays: must have the dimension"),
    (
        {"coupled": lambda x: 2 * x},
        "solve_dde.coupled: must select entries of the state; got computed values",
    ),
    ({"coupled": lambda x: [x, x]}, "solve_dde.coupled: must return one array per leaf of delays"),
    ({"kinks": -1}, "solve_dde.kinks: must be a whole number"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_arguments_are_checked(arguments, message):
    defaults = {"f": decay, "history": jnp.ones(2), "t0": 0.0, "t1": 1.0, "delays": 1.0, "max_delay": 2.0}
    with pytest.raises(ArgumentError, match=message):
        solve_dde(**defaults | arguments)


def test_kinks_are_sums_of_delays():
    kinks = propagate(jnp.array([0.0, 10.0]), jnp.array([1.0, 0.3]), 2)
    np.testing.assert_allclose(jnp.sort(kinks), sorted(
        [0.0, 1.0, 0.3, 2.0, 1.3, 0.6, 10.0, 11.0, 10.3, 12.0, 11.3, 10.6]))  # fmt: skip
    assert generations(1, 5) == 5 and generations(16, 5) == 3 and generations(7056, 5) == 0
