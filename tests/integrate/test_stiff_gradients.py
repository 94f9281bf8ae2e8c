"""Gradients through 'radau5' in both modes against central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ddetst import robertson

from brainmass_delays.integrate import solve_dde, solve_ode

SLOW = pytest.mark.slow
OPTIONS = {"rtol": 1e-10, "atol": 1e-10, "method": "radau5", "max_steps": 4000}


def sum_of(solution):
    """Return the sum of a solution, or NaN where the solve ended early."""
    return jnp.where(solution.status == 0, solution.ys.sum(), jnp.nan)


def van_der_pol(damping, loop):
    def f(t, y, p):
        return jnp.stack([y[1], p * (1 - y[0] ** 2) * y[1] - y[0]])

    start = jnp.array([2.0, 0.0])
    return sum_of(solve_ode(f, start, 0.0, 1.0, args=damping, while_loop=loop, **OPTIONS))


def reaction(rate, loop):
    """Robertson's reaction, of which the first substance is made at a rate."""

    def f(t, u, p):
        return robertson(t, u, u, None) + p * jnp.array([1.0, 0.0, 0.0])

    options = OPTIONS | {"atol": 1e-10 * jnp.array([1.0, 1e-4, 1.0])}
    solution = solve_ode(f, jnp.array([1.0, 0.0, 0.0]), 0.0, 40.0, args=rate, while_loop=loop, **options)
    return jnp.where(solution.status == 0, solution.ys[0], jnp.nan)


def follower(t, y, delayed, args):
    return -100.0 * (y - jnp.cos(t)) - 60.0 * delayed


def in_the_delay(delay, loop):
    return sum_of(solve_dde(follower, 1.0, 0.0, 1.0, delay, while_loop=loop, **OPTIONS))


def in_the_history(amplitude, loop):
    past = lambda t: amplitude * jnp.cos(3 * t)  # noqa: E731
    return sum_of(solve_dde(follower, past, 0.0, 0.35, 0.3, while_loop=loop, **OPTIONS))


def in_a_state_dependent_delay(p, loop):
    return sum_of(solve_dde(
        lambda t, y, d, args: -d - 10.0 * (y - jnp.sin(t)), lambda t: 0.9 + 0.3 * jnp.sin(t), 0.0, 2.0,
        lambda t, y, args: 0.5 + 0.5 * args * y**2, args=p, while_loop=loop, **OPTIONS,
    ))  # fmt: skip


def in_a_delay_of_another_component(p, loop):
    """The second component reaches the first through the delay alone."""
    return sum_of(solve_dde(
        lambda t, y, d, args: jnp.stack([-d[0] - 10.0 * (y[0] - jnp.sin(t)), -y[1] + jnp.cos(args * t)]),
        lambda t: jnp.stack([0.9 + 0.3 * jnp.sin(t), 1.0 + 0 * t]), 0.0, 1.0,
        lambda t, y, args: 0.3 + 0.5 * y[1] ** 2, args=p, while_loop=loop, **OPTIONS,
    ))  # fmt: skip


# function, where, and the step of the differences
CASES = {
    "ode": (van_der_pol, 50.0, 1e-2),
    "reaction": (reaction, 0.01, 1e-3),
    "delay": (in_the_delay, 0.3, 1e-4),
    "delay shorter than steps": (in_the_delay, 0.01, 1e-5),
    "history": (in_the_history, 0.9, 1e-2),
    "state-dependent delay": (in_a_state_dependent_delay, 0.4, 1e-3),
    "delay of another component": (in_a_delay_of_another_component, 1.5, 1e-3),
}
QUICK = ("ode",)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=SLOW) for n in CASES])
def test_both_modes_are_central_differences(name):
    function, at, h = CASES[name]
    at = jnp.asarray(at)
    value = jax.jit(lambda p: function(p, "lax"))
    reverse = jax.jit(jax.grad(lambda p: function(p, "checkpointed")))(at)
    _, forward = jax.jit(lambda p: jax.jvp(lambda p: function(p, "lax"), (p,), (jnp.ones_like(p),)))(at)
    near, far = (value(at + s * h) - value(at - s * h) for s in (1, 2))
    np.testing.assert_allclose(reverse, (8 * near - far) / (12 * h), rtol=1e-6)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9)
