"""The reference experiment: a conduction speed is recovered by gradient descent, and its gradient is the true one."""

from types import SimpleNamespace

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import Param

from brainmass_delays import Generic2dOscillatorStep, Network, Simulator
from brainmass_delays.noise import WhiteNoise

SPEED = u.mm / u.ms


def oscillators(n, noise=None):
    return Generic2dOscillatorStep(
        n, a=-1.5, b=-15.0, d=0.015, tau=4.0, init_V=0.1, init_W=0.1, noise_V=noise
    )


def graph(n):
    rng = np.random.default_rng(7)
    weights, lengths = rng.uniform(0, 0.1, (n, n)), rng.uniform(10, 80, (n, n))
    lengths = (lengths + lengths.T) / 2
    np.fill_diagonal(weights, 0.0)
    np.fill_diagonal(lengths, 0.0)
    return weights, lengths


def experiment(n=8, dt=0.5, noise=None, duration=60.0):
    """Return the network, its speed, and a compiled ``(loss, gradient)`` in the speed against a target made at 3."""
    weights, lengths = graph(n)
    speed = Param(4.5 * SPEED, fit=True)
    net = Network(
        oscillators(n, noise),
        conn=weights,
        lengths=lengths * u.mm,
        speed=speed,
        coupling="additive",
        coupled_var="V",
        k=0.4,
        max_delay=60 * u.ms,
    )
    simulator = Simulator(net, dt=dt * u.ms)

    def trajectory():
        brainstate.random.seed(3)
        return simulator.run(duration * u.ms, monitors=lambda m: m.node.V.value)["output"]

    speed.set_value(3.0 * SPEED)
    target = trajectory()

    def loss():
        return jnp.mean((trajectory() - target) ** 2)

    gradient = brainstate.transform.jit(brainstate.transform.grad(loss, speed.val, return_value=True))

    def at(value):
        speed.set_value(value * SPEED)
        slope, height = gradient()
        return float(height), float(u.get_magnitude(slope))

    return SimpleNamespace(at=at, speed=speed, target=target)


def central(at, value, step=1e-5):
    return (at(value + step)[0] - at(value - step)[0]) / (2 * step)


@pytest.fixture(scope="module")
def reference():
    brainstate.environ.set(precision=64)
    return experiment()


def test_the_target_has_no_loss(reference):
    assert reference.at(3.0)[0] < 1e-28
    assert reference.at(4.5)[0] > 1e-6
    assert np.ptp(np.asarray(reference.target)) > 0.4


def test_the_speed_is_recovered(reference):
    adam = optax.adam(0.03)
    value, state = jnp.asarray(4.5), adam.init(jnp.asarray(4.5))
    for _ in range(150):
        update, state = adam.update(jnp.asarray(reference.at(value)[1]), state)
        value = optax.apply_updates(value, update)
    assert abs(float(value) - 3.0) < 0.005


def test_the_gradient_equals_central_differences(reference):
    speeds = np.array([2.13, 2.47, 2.71, 2.89, 3.17, 3.43, 3.71, 4.09, 4.49, 5.03, 5.57])
    errors = [abs(reference.at(v)[1] / central(reference.at, v) - 1) for v in speeds]
    assert np.median(errors) <= 1e-8


@pytest.mark.parametrize(
    ("n", "dt", "is_noisy"),
    [(2, 0.5, False), (8, 0.25, True), (8, 1.0, False), (32, 0.5, True), (64, 0.5, False)],
)
def test_the_gradient_is_right_at_every_size_step_and_with_noise(n, dt, is_noisy):
    noise = WhiteNoise(n, 0.05) if is_noisy else None
    at = experiment(n, dt, noise, duration=40.0).at
    slope = at(4.37)[1]
    assert slope != 0 and np.isfinite(slope)
    assert slope == pytest.approx(central(at, 4.37), rel=1e-5)


def test_speed_and_offsets_of_a_delay_train_together():
    """tau_ij = length_ij / speed + offset_i."""
    weights, lengths = graph(6)
    speed, offset = Param(4.0 * SPEED, fit=True), Param(np.full(6, 2.0) * u.ms, fit=True)
    net = Network(
        oscillators(6), conn=weights, coupling="additive", coupled_var="V", k=1.0, max_delay=50 * u.ms,
        delay=lambda: lengths * u.mm / speed.value() + offset.value()[:, None],
    )  # fmt: skip
    simulator = Simulator(net, dt=0.5 * u.ms)
    states = {"speed": speed.val, "offset": offset.val}

    def trajectory():
        return simulator.run(40 * u.ms, monitors=lambda m: m.node.V.value)["output"]

    true_offset = np.array([1.0, 3.0, 2.5, 1.5, 2.0, 4.0])
    speed.set_value(3.0 * SPEED)
    offset.set_value(true_offset * u.ms)
    target = trajectory()
    gradient = brainstate.transform.jit(
        brainstate.transform.grad(lambda: jnp.mean((trajectory() - target) ** 2), states, return_value=True)
    )

    def at(v, o):
        speed.set_value(v * SPEED)
        offset.set_value(o * u.ms)
        slopes, height = gradient()
        return (
            float(height),
            float(u.get_magnitude(slopes["speed"])),
            np.asarray(u.get_magnitude(slopes["offset"])),
        )

    v, o, h = 3.63, np.linspace(1.11, 2.93, 6), 1e-5
    _, in_speed, in_offset = at(v, o)
    assert in_speed == pytest.approx((at(v + h, o)[0] - at(v - h, o)[0]) / (2 * h), rel=1e-5)
    for i in range(6):
        shift = h * np.eye(6)[i]
        assert in_offset[i] == pytest.approx((at(v, o + shift)[0] - at(v, o - shift)[0]) / (2 * h), rel=1e-4)

    adam = optax.adam(0.05)
    values = {"v": jnp.asarray(v), "o": jnp.asarray(o)}
    state, first = adam.init(values), at(v, o)[0]
    for _ in range(150):
        height, dv, do = at(values["v"], values["o"])
        update, state = adam.update({"v": jnp.asarray(dv), "o": jnp.asarray(do)}, state)
        values = optax.apply_updates(values, update)
    assert height < 0.02 * first
