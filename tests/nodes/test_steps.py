"""Fixed-step methods: measured order, exactness, the contract about stages, units."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from brainmass_delays.integrate.steps import STEPS

pytestmark = pytest.mark.usefixtures("strict_promotion")
every_method = pytest.mark.parametrize("method", STEPS)


def rate(c, state, inputs):
    """Return the rates of a damped, forced, nonlinear oscillator."""
    x, y = state
    return y - 0.3 * x**3, -x - 0.2 * y + inputs


def error(method, dt, end=5.0):
    """Return the largest error over the trajectory against a solution to 1e-12."""
    n = round(end / dt)
    step = STEPS[method].advance

    def one(state, i):
        new = step(rate, lambda c, s: jnp.sin((i + c) * dt), state, dt)
        return new, new

    _, found = jax.lax.scan(one, (jnp.array(1.0), jnp.array(0.0)), jnp.arange(n, dtype=float))

    def exact(t, s):
        return rate(0, s, np.sin(t))

    times = dt * np.arange(1, n + 1)
    solution = solve_ivp(exact, (0, end), [1.0, 0.0], "DOP853", times, rtol=1e-12, atol=1e-13)
    return np.abs(np.stack(found) - solution.y).max()


@every_method
def test_measured_order_is_the_declared_one(method):
    steps = 0.2 / 2.0 ** np.arange(5)
    slope = np.polyfit(np.log(steps), np.log([error(method, dt) for dt in steps]), 1)[0]
    assert abs(slope - STEPS[method].order) < 0.1, slope


@pytest.mark.parametrize("dt", [0.1, 2.0, 50.0])
def test_exponential_euler_is_exact_for_linear_decay(dt):
    decay = STEPS["exp_euler"].advance(
        lambda c, s, i: (-s[0] / 3.0 + i,), lambda c, s: 0.5, (jnp.array(4.0),), dt
    )
    np.testing.assert_allclose(decay[0], 1.5 + 2.5 * np.exp(-dt / 3.0), rtol=1e-14)


def test_exponential_euler_without_a_slope_is_euler_gradient_included():
    def step(x):
        return STEPS["exp_euler"].advance(lambda c, s, i: (2.0 + 0.0 * s[0],), lambda c, s: (), (x,), 0.1)[0]

    assert jax.value_and_grad(step)(1.0) == (1.2, 1.0)


@every_method
def test_the_first_rate_is_known_before_a_later_drive(method):
    calls = []

    def watched(c, state, inputs):
        calls.append(("rate", c))
        return rate(c, state, inputs)

    def drive(c, state):
        calls.append(("drive", c))
        return 0.0

    STEPS[method].advance(watched, drive, (1.0 * jnp.ones(2), jnp.zeros(2)), 0.1)
    assert calls[:2] == [("drive", 0.0), ("rate", 0.0)]
    offsets = [c for kind, c in calls if kind == "drive"]
    assert tuple(sorted(set(offsets))) == STEPS[method].offsets
    assert offsets == sorted(offsets)


@every_method
def test_units_change_nothing(method):
    step = STEPS[method].advance
    expected = step(lambda c, s, i: (-0.2 * s[0] ** 2 + i,), lambda c, s: 1.0, (jnp.array(4.0),), 0.5)[0]
    forms = [
        (lambda c, s, i: ((-0.2 * s[0] ** 2 / u.mV + i) / u.ms,), 1.0 * u.mV, 0.5 * u.ms),
        (
            lambda c, s, i: ((-200.0 * s[0] ** 2 / u.mV + 1000 * i) / u.second,),
            0.001 * u.volt,
            0.0005 * u.second,
        ),
        (lambda c, s, i: (-0.2 * (s[0] / u.mV) ** 2 + i,), 1.0, 0.5),
    ]
    for form, inputs, dt in forms:
        found = step(form, lambda c, s, inputs=inputs: inputs, (jnp.array(4.0) * u.mV,), dt)[0]
        np.testing.assert_allclose(found.to_decimal(u.mV), expected, rtol=1e-14)


def test_a_rate_of_another_dimension_is_refused():
    with pytest.raises(ValueError, match="rate: must have the dimension of"):
        STEPS["euler"].advance(lambda c, s, i: (s[0] / u.mm,), lambda c, s: (), (jnp.array(1.0) * u.mV,), 0.1)
