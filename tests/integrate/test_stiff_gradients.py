"""Gradients through 'radau5' in both modes against central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ddetst import robertson

from brainmass_delays.integrate import solve_dde, solve_ode

SLOW = pytest.mark.slow
OPTIONS = {"rtol": 1e-10, "atol": 1e-10, "method": "radau5", "max_steps": 1000}


def van_der_pol(damping, loop):
    def f(t, y, p):
        return jnp.stack([y[1], p * (1 - y[0] ** 2) * y[1] - y[0]])

    start = jnp.array([2.0, 0.0])
    return solve_ode(f, start, 0.0, 1.0, args=damping, while_loop=loop, **OPTIONS).ys.sum()


def reaction(rate, loop):
    """Robertson's reaction, of which the first substance is made at a rate."""

    def f(t, u, p):
        return robertson(t, u, u, None) + p * jnp.array([1.0, 0.0, 0.0])

    options = OPTIONS | {"atol": 1e-10 * jnp.array([1.0, 1e-4, 1.0])}
    return solve_ode(f, jnp.array([1.0, 0.0, 0.0]), 0.0, 40.0, args=rate, while_loop=loop, **options).ys[0]


def follower(t, y, delayed, args):
    return -100.0 * (y - jnp.cos(t)) - 60.0 * delayed


def in_the_delay(delay, loop):
    return solve_dde(follower, 1.0, 0.0, 1.0, delay, while_loop=loop, **OPTIONS).ys


def in_the_history(amplitude, loop):
    return solve_dde(
        follower, lambda t: amplitude * jnp.cos(3 * t), 0.0, 0.35, 0.3, while_loop=loop, **OPTIONS
    ).ys


def in_a_state_dependent_delay(p, loop):
    return solve_dde(
        lambda t, y, d, args: -d - 10.0 * (y - jnp.sin(t)), lambda t: 0.9 + 0.3 * jnp.sin(t), 0.0, 2.0,
        lambda t, y, args: 0.5 + 0.5 * args * y**2, args=p, while_loop=loop, **OPTIONS,
    ).ys  # fmt: skip


# function, where, and the step of the differences
CASES = {
    "ode": (van_der_pol, 50.0, 1e-2),
    "reaction": (reaction, 0.01, 1e-3),
    "delay": (in_the_delay, 0.3, 1e-4),
    "delay shorter than steps": (in_the_delay, 0.01, 1e-5),
    "history": (in_the_history, 0.9, 1e-2),
    "state-dependent delay": (in_a_state_dependent_delay, 0.4, 1e-3),
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
