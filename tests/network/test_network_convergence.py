"""Orders of convergence of delayed networks: method, interpolation, stages and history together, off the grid."""

import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

from brainmass_delays import LinearStep, Network, Simulator

END = 4.0
DAMPING = -1.0
WEIGHTS = np.array(
    [[0.0, -0.8, 0.5, 0.9], [0.6, 0.0, -1.0, 0.4], [-0.7, 0.8, 0.0, 0.5], [0.9, -0.6, 0.8, 0.0]]
)
DELAYS = np.array(
    [
        [0.0, 0.3391, 1.2103, 1.8877],
        [0.5639, 0.0, 0.9241, 1.3917],
        [0.7757, 1.5583, 0.0, 0.4463],
        [1.3469, 1.0213, 1.9681, 0.0],
    ]
)
# From the linear equation of an eigenmode exp(rate t) v: rate v = DAMPING v + (WEIGHTS * exp(-rate DELAYS)) v.


def characteristic(rate):
    return WEIGHTS * np.exp(-rate * DELAYS) + (DAMPING - rate) * np.eye(4)


def _eigenmode():
    def residual(parts):
        value = np.linalg.det(characteristic(complex(*parts)))
        return [value.real, value.imag]

    rate = complex(*root(residual, [0.1, 1.5], tol=1e-14).x)
    return rate, np.linalg.svd(characteristic(rate))[2][-1].conj()


RATE, MODE = _eigenmode()


def exact(t):
    """Return the eigenmode at times in ms, ``(..., 4)``."""
    return jnp.real(jnp.exp(RATE * jnp.asarray(t)[..., None]) * MODE)


def trajectory(dt, method, rule, stages, history):
    start = np.asarray(exact(0.0))
    net = Network(
        LinearStep(4, gamma=DAMPING, init_x=start, method=method),
        conn=WEIGHTS,
        delay=DELAYS * u.ms,
        coupling="additive",
        coupled_var="x",
        interpolation=rule,
        stages=stages,
        delay_init=(lambda t: exact(t.to_decimal(u.ms))) if history == "smooth" else None,
    )
    return np.asarray(Simulator(net, dt=dt * u.ms).run(END * u.ms)["output"])


def errors(steps, reference, *scheme):
    """Return the largest error over nodes and steps for every step size."""
    return np.array([np.abs(trajectory(dt, *scheme) - reference(dt)).max() for dt in steps])


def slope(steps, errors):
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


def mode(dt):
    return np.asarray(exact(dt * np.arange(1, round(END / dt) + 1)))


def test_the_mode_solves_the_equation():
    assert np.abs(characteristic(RATE) @ MODE).max() < 1e-12
    assert abs(RATE.imag) > 0.5


SMOOTH = [
    ("rk4", "hermite", "each", 3.8, 4.5),
    ("rk4", "cubic", "each", 3.6, 5.0),
    ("heun", "linear", "each", 1.85, 2.2),
    ("euler", "linear", "each", 0.95, 1.1),
    ("heun", "linear", "frozen", 0.9, 1.1),
]
# The lower of the orders of method and interpolation: quick is what limits one and the other.
SLOW = [
    ("rk4", "linear", "each", 1.8, 2.3),
    ("heun", "hermite", "each", 1.9, 2.2),
    ("rk4", "hermite", "frozen", 0.9, 1.1),
]
SMOOTH += [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]


@pytest.mark.parametrize(("method", "rule", "stages", "low", "high"), SMOOTH)
def test_order_with_smooth_history(method, rule, stages, low, high):
    steps = (
        np.array([0.1, 0.08, 0.05, 0.04, 0.025])
        if method != "euler"
        else np.array([0.05, 0.04, 0.025, 0.02, 0.0125])
    )
    found = errors(steps, mode, method, rule, stages, "smooth")
    assert low <= slope(steps, found) <= high, found


def test_fourth_order_is_accurate_too():
    """At the step of everyday use, against the field's usual scheme."""
    usual, best = (
        errors([0.1], mode, *scheme, "each", "smooth")[0]
        for scheme in (("heun", "linear"), ("rk4", "hermite"))
    )
    assert best <= 1e-6
    assert best <= usual / 3000


def test_order_with_constant_history():
    """The kink at the initial time limits every scheme."""
    fine = 0.0025
    reference = trajectory(fine, "rk4", "hermite", "each", "constant")

    def at(dt):
        every = round(dt / fine)
        return reference[every - 1 :: every]

    steps = np.array([0.1, 0.08, 0.05, 0.04, 0.025])
    found = errors(steps, at, "rk4", "hermite", "each", "constant")
    assert slope(steps, found) >= 1.8, found
