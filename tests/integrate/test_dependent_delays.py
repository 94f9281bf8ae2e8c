"""Delays that depend on time and state, delays shorter than a step, impulses: values and gradients."""

from math import factorial

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import TIGHT, decay, method_of_steps
from scipy.special import lambertw

from brainmass_delays import ArgumentError, RunError
from brainmass_delays._core.status import DELAY_ABOVE_BOUND
from brainmass_delays.integrate import solve_dde, solve_ode


def state_dependent(p, amplitude, loop, tolerance=1e-11):
    """y' = -y(t - 1 - p y^2 / 2), history amplitude + 0.3 sin(t); a kink travels with the solution."""
    return solve_dde(
        lambda t, y, d, args: -d, lambda t: amplitude + 0.3 * jnp.sin(t), 0.0, 4.0,
        lambda t, y, args: 1 + 0.5 * args * y**2, args=p, rtol=tolerance, atol=tolerance, while_loop=loop,
        max_steps=700,
    ).ys  # fmt: skip


@pytest.mark.slow
def test_gradients_in_a_state_dependent_delay_and_in_the_history():
    at = jnp.asarray(0.4), jnp.asarray(0.9)
    value = jax.jit(lambda *x: state_dependent(*x, "lax"))
    reverse = jax.jit(jax.grad(lambda *x: state_dependent(*x, "checkpointed"), (0, 1)))(*at)
    for i in (0, 1):
        ahead, behind = ([x + s * 1e-4 * (i == j) for j, x in enumerate(at)] for s in (1, -1))
        difference = (value(*ahead) - value(*behind)) / 2e-4
        np.testing.assert_allclose(reverse[i], difference, rtol=1e-6)
    tangent = jax.jit(lambda p: jax.jvp(lambda p: state_dependent(p, at[1], "lax"), (p,), (1.0,))[1])(at[0])
    np.testing.assert_allclose(tangent, reverse[0], rtol=1e-9)


def test_the_gradient_follows_a_kink_that_was_found_on_the_way():
    """x(t) = 1 - t + (t - d)^2 / 2 on [d, 2 d], of which the method computes every piece exactly."""

    def end(d):
        options = {"method": "bosh3", "while_loop": "checkpointed", "max_steps": 100}
        return solve_dde(decay, 1.0, 0.0, 1.7, lambda t, y, args: args + 0 * y, args=d, **options).ys

    value, grad = jax.jit(jax.value_and_grad(end))(1.0)
    np.testing.assert_allclose([value, grad], [-0.7 + 0.7**2 / 2, -0.7], rtol=1e-9)


def test_a_constant_delay_given_as_a_function_is_that_delay():
    delayed = solve_dde(decay, 1.0, 0.0, 5.0, lambda t, y, args: 1.0 + 0 * t, **TIGHT)
    assert abs(delayed.ys - method_of_steps(5.0)) < 1e-10
    assert delayed.statistics.landings >= 4


@pytest.mark.parametrize("delay", [1e-9, 0.01, 0.3])
def test_steps_longer_than_the_delay_are_iterated(delay):
    """y' = -y(t - d) from exp(s t) on stays exp(s t), s = W(-d) / d."""
    s = (lambertw(-delay) / delay).real
    solution = solve_dde(decay, lambda t: jnp.exp(s * t), 0.0, 1.0, delay, kinks=0, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(solution.ys, np.exp(s), rtol=1e-8)
    assert solution.statistics.accepted < 60
    assert delay > 0.1 or solution.statistics.repeated > 0


S = (lambertw(-0.02) / 0.02).real
HISTORIES = {"constant": 1.0, "cosine": jnp.cos, "one that fits": lambda t: jnp.exp(S * t)}


@pytest.mark.parametrize(
    ("name", "loop"),
    [
        ("constant", "checkpointed"),
        pytest.param("cosine", "checkpointed", marks=pytest.mark.slow),
        pytest.param("one that fits", "checkpointed", marks=pytest.mark.slow),
        pytest.param("constant", "bounded", marks=pytest.mark.slow),
    ],
)
def test_gradient_through_iterated_steps(name, loop):
    """Steps land on kinks: the derivative in a delay has them even where the history fits the solution."""

    def solve(d, loop):
        options = {"while_loop": loop, "max_steps": 400, "rtol": 1e-8, "atol": 1e-8}
        return solve_dde(decay, HISTORIES[name], 0.0, 1.0, d, **options)

    value = jax.jit(lambda d: (lambda s: (s.ys, s.statistics))(solve(d, "lax")))
    near, far = (value(0.02 + h)[0] - value(0.02 - h)[0] for h in (1e-4, 2e-4))
    grad = jax.jit(jax.grad(lambda d: solve(d, loop).ys))(0.02)
    np.testing.assert_allclose(grad, (8 * near - far) / 12e-4, rtol=1e-6)
    assert value(0.02)[1].repeated > 5


def fundamental(t):
    """Solve x' = -x(t - 1) from x = 1 at 0 and 0 before."""
    return sum((-1) ** k * max(t - k, 0.0) ** k / factorial(k) for k in range(int(t) + 1)) if t >= 0 else 0.0


def kicked(time, amount, loop="lax"):
    return solve_dde(
        decay, 1.0, 0.0, 4.0, 1.0, impulses=(jnp.array([0.5, time]), jnp.array([0.2, amount])), while_loop=loop,
        max_steps=300, save_at=jnp.array([0.5, 4.0]), **TIGHT,
    ).ys  # fmt: skip


def test_impulses_add_the_fundamental_solution_and_have_gradients():
    at = jnp.asarray(1.3), jnp.asarray(-0.7)
    before, end = jax.jit(kicked)(*at)
    np.testing.assert_allclose(before, 1 - 0.5 + 0.2, rtol=1e-12)
    exact = method_of_steps(4.0) + 0.2 * fundamental(3.5) - 0.7 * fundamental(2.7)
    np.testing.assert_allclose(end, exact, rtol=1e-9)
    in_time, in_amount = jax.jit(jax.grad(lambda *x: kicked(*x, "checkpointed")[1], (0, 1)))(*at)
    np.testing.assert_allclose(in_amount, fundamental(2.7), rtol=1e-9)
    np.testing.assert_allclose(in_time, -0.7 * fundamental(1.7), rtol=1e-9)  # x'(s) = -x(s - 1)


def test_an_impulse_may_be_a_function_and_carry_units():
    def f(t, v, args):
        return -v / (10.0 * u.ms)

    solution = solve_ode(
        f, 8.0 * u.mV, 0.0 * u.ms, 20.0 * u.ms, impulses=(jnp.array([10.0]) * u.ms, lambda t, v, args: v / 2),
        rtol=1e-10, atol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(solution.ys / u.mV, 4 * np.exp(-2.0), rtol=1e-8)
    added = solve_ode(
        f, 8.0 * u.mV, 0.0 * u.ms, 20.0 * u.ms, impulses=(jnp.array([10.0]) * u.ms, jnp.array([1e-3]) * u.volt),
        rtol=1e-10, atol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(added.ys / u.mV, 8 * np.exp(-2.0) + np.exp(-1.0), rtol=1e-8)


def test_a_jump_of_the_history_costs_no_tolerances():
    """y' = y(t - 1) with history 0 before -0.5 and 1 after: y = 1, then 1 + t - 0.5 on [0.5, 1], then kinks."""
    history = lambda t: jnp.where(t < -0.5, 0.0, 1.0)  # noqa: E731
    solution = solve_dde(
        lambda t, y, d, a: d, history, 0.0, 1.5, 1.0, breakpoints=jnp.array([-0.5]), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(solution.ys, 1.5 + 0.5, rtol=1e-12)


def edges(tolerance, frequency, gain=1.0):
    """Two nodes, two edges, a fast history: y_i' = gain * h_j(t - d_ij), which integrates in closed form."""
    delays = jnp.array([[0.0, 1.0], [0.8, 0.0]])
    return solve_dde(
        lambda t, y, d, args: gain * jnp.stack([d[0, 1], d[1, 0]]),
        lambda t: jnp.stack([jnp.sin(frequency * t), jnp.cos(frequency * t)]), 0.0, 0.5, delays, coupled=lambda y: y,
        max_delay=1.0, rtol=tolerance, atol=tolerance, max_steps=20_000, kinks=0,
    )  # fmt: skip


def test_the_table_of_the_history_keeps_the_tolerance():
    w = 1000.0
    integral = np.array(
        [(np.sin(w * -0.5) - np.sin(w * -1.0)) / w, (np.cos(w * -0.8) - np.cos(w * -0.3)) / w]
    )
    np.testing.assert_allclose(edges(1e-10, w).ys, [integral[0], 1 + integral[1]], atol=1e-9)
    with pytest.raises(RunError, match="history before the start varies too fast.*breakpoints"):
        edges(1e-10, 1e6)


def test_bounds_of_a_delay_that_moves_are_a_flag():
    def end(p):
        return solve_dde(decay, 1.0, 0.0, 2.0, lambda t, y, args: args * t, args=p, max_delay=1.0)

    with pytest.raises(RunError, match="delay passed its static bound.*raise max_delay"):
        end(1.0)
    assert jax.jit(lambda p: end(p).status)(-1.0) & DELAY_ABOVE_BOUND  # an advance
    assert end(0.4).status == 0


BAD = [
    ({"delays": lambda t: t}, r"solve_dde.delays: must be .*function of nothing or of \(t, y, args\).*\(t\)"),
    ({"delays": ()}, "solve_dde.delays: must hold at least one delay"),
    ({"min_delay": 1.5}, "solve_dde.delays: must not be below min_delay = 1.5"),
    ({"save_at": jnp.array([jnp.nan])}, "solve_dde.save_at: must be finite"),
    ({"breakpoints": jnp.array([jnp.nan])}, "solve_dde.breakpoints: must be finite"),
    ({"impulses": jnp.ones(2)}, "solve_dde.impulses: must be"),
    ({"impulses": (jnp.array([2.0]), jnp.ones((1, 2)))}, "solve_dde.impulses: must lie between"),
    (
        {"impulses": (jnp.array([0.2, 0.4]), jnp.ones((1, 2)))},
        "solve_dde.impulses: must have a leading axis of 2 in every leaf",
    ),
    ({"event": lambda t, y, args: y[0] > 0}, "solve_dde.event: must return one real number.*difference"),
    ({"switches": lambda t, y, d, args: y}, "solve_dde.switches: must return one real number"),
    ({"kinks": "all", "delays": jnp.linspace(0.1, 1, 60)}, "solve_dde.kinks: 'all' of a method of order 5"),
    ({"method": "radau"}, "solve_dde.method: must be one of .*'radau5'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_arguments_are_checked(arguments, message):
    defaults = {"f": lambda t, y, d, a: -y, "history": jnp.ones(2), "t0": 0.0, "t1": 1.0, "delays": 1.0}
    with pytest.raises(ArgumentError, match=message):
        solve_dde(**defaults | arguments)


def test_two_crossings_in_one_step_and_an_event_that_is_nan():
    def solve(event):
        return solve_ode(lambda t, y, a: 1.0, 0.0, 0.0, 10.0, dt0=5.0, event=event, rtol=1e-3, atol=1e-3)

    np.testing.assert_allclose(solve(lambda t, y, a: (y - 6.0) * (y - 7.5)).t, 6.0, rtol=1e-9)
    with pytest.raises(RunError, match="not finite|NaN"):
        solve(lambda t, y, a: jnp.sqrt(5.0 - y))


@pytest.mark.parametrize("method", ["dopri5", "radau5"])
def test_a_crossing_exactly_at_the_end_of_a_step_is_seen(method):
    """x = 1 - t up to the kink at 1, where steps end; and a breakpoint."""
    found = solve_dde(decay, 1.0, 0.0, 5.0, 1.0, event=lambda t, y, args: y, method=method)
    np.testing.assert_allclose(found.t, 1.0, rtol=1e-9)
    if method == "dopri5":
        found = solve_ode(
            lambda t, y, args: 1.0, 0.0, 0.0, 10.0, event=lambda t, y, args: y - 4.0, breakpoints=[4.0]
        )
        np.testing.assert_allclose(found.t, 4.0, rtol=1e-12)
