"""Orders of convergence where delays move, and where a coupling is evaluated once, in the middle of a step."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import Coupling, LinearStep, Network, NeuralMass, Simulator
from brainmass_delays.couplings import signed_power
from brainmass_delays.nodes import StateVariable


def slope(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


class Ramp(NeuralMass):
    """Decay by the own past, beside a delay that is a state and grows."""

    STATES = (StateVariable("x", 1.0), StateVariable("tau", 0.0))

    def derivative(self, state, t, drive):
        """Return the rates."""
        x, tau = state
        return drive[0], jnp.full_like(tau, 0.5)


def test_a_delay_of_a_state_is_that_of_the_time():
    """x' = -x(t/2), the delay written as a state with slope 1/2 or as a function of time."""

    def end(dt, method, rule, as_state):
        node = Ramp(1, method=method)
        if as_state:
            delay = lambda: node.tau.value[:, None] * u.ms  # noqa: E731
        else:
            delay = lambda: 0.5 * brainstate.environ.get("t") * jnp.ones((1, 1))  # noqa: E731
        net = Network(
            node,
            conn=-np.ones((1, 1)),
            delay=delay,
            coupled_var="x",
            coupling="additive",
            max_delay=2 * u.ms,
            self_connection=True,
            interpolation=rule,
        )
        return float(Simulator(net, dt=dt * u.ms).run(2 * u.ms, monitors=["x"])["x"][-1, 0])

    # sum over n of (-t)^n / (n! 2^(n (n - 1) / 2)), at t = 2
    exact = sum(
        (-2.0) ** n / (np.prod(np.arange(1, n + 1, dtype=float)) * 2.0 ** (n * (n - 1) / 2))
        for n in range(20)
    )
    for method, rule, order in (("heun", "linear", 1.9), ("rk4", "hermite", 2.9)):
        steps = (0.1, 0.05, 0.025)
        errors = [abs(end(dt, method, rule, False) - exact) for dt in steps]
        assert slope(errors).min() > order, (method, errors)
        assert end(0.1, method, rule, True) == pytest.approx(end(0.1, method, rule, False), abs=1e-12)


class Forced(NeuralMass):
    """Follow sin t, if what arrives is minus the own past 1.2 + 0.3 sin t ago."""

    STATES = (StateVariable("x", 0.0),)

    def derivative(self, state, t, drive):
        """Return the rate."""
        t = t / u.ms
        return (drive[0] + jnp.cos(t) + jnp.sin(t - 1.2 - 0.3 * jnp.sin(t)),)


def test_a_delay_that_follows_time_keeps_the_fourth_order():
    def error(dt):
        delay = lambda: (1.2 + 0.3 * jnp.sin(brainstate.environ.get("t") / u.ms)) * jnp.ones((1, 1)) * u.ms  # noqa: E731
        net = Network(
            Forced(1, method="rk4"),
            conn=-np.ones((1, 1)),
            delay=delay,
            coupled_var="x",
            coupling="additive",
            max_delay=2 * u.ms,
            self_connection=True,
            interpolation="hermite",
            delay_init=lambda t: jnp.sin(t / u.ms)[None],
        )
        found = Simulator(net, dt=dt * u.ms).run(4 * u.ms, monitors=["x"])
        return np.abs(found["x"][:, 0] - np.sin(found["ts"].to_decimal(u.ms))).max()

    errors = [error(dt) for dt in (0.2, 0.1, 0.05)]
    assert slope(errors).min() > 3.5, errors


class Power(Coupling):
    """Couple by a power of the difference, which needs every delayed value."""

    def __init__(self, x, y, conn, k=1.0):
        super().__init__({"x": x, "y": y}, conn, k=k)

    def update(self):
        """Return the drive."""
        return self.k.value() * (self.weights() * signed_power(self.x() - self.y()[..., None], 1.5)).sum(-1)


@pytest.mark.parametrize(
    ("method", "stages", "order"),
    [("heun", "each", 1.8), ("heun", "middle", 1.8), ("exp_euler", "middle", 1.8), ("heun", "frozen", 0.9)],
)
def test_order_of_one_evaluation_per_step(method, stages, order):
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 0.5, (4, 4)) * (1 - np.eye(4))
    delays = rng.uniform(0.33, 2.0, (4, 4))
    phase = np.arange(4.0)

    def end(dt, how):
        net = Network(
            LinearStep(4, gamma=-1.0, init_x=np.sin(phase), method=method),
            conn=weights,
            delay=delays * u.ms,
            coupled_var="x",
            coupling=Power,
            interpolation="cubic",
            stages=how,
            delay_init=lambda t: jnp.sin(1.3 * t / u.ms + phase),
        )
        return np.asarray(Simulator(net, dt=dt * u.ms).run(3 * u.ms, monitors=["x"])["x"][-1])

    reference = end(0.003125, "each" if method != "exp_euler" else "middle")
    errors = [np.abs(end(dt, stages) - reference).max() for dt in (0.1, 0.05, 0.025)]
    assert slope(errors).mean() > order, errors
    if stages == "frozen":
        assert slope(errors).mean() < 1.3
