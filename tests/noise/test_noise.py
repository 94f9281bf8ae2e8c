"""Noise against closed forms at two time steps: strength, correlation, seeds, batch, gradients, messages."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError
from brainmass_delays.nodes import HopfStep, JansenRitStep, LinearStep
from brainmass_delays.noise import OUNoise, WhiteNoise, normals

N = 20_000
STANDARD_ERROR = np.sqrt(2 / N)  # relative, of a variance
two_steps = pytest.mark.parametrize("dt", [0.1, 0.4])


@pytest.fixture(autouse=True)
def _seed():
    brainstate.random.seed(1)


def run(model, n_steps, dt):
    """Return what ``model`` gives in every step."""
    brainstate.nn.init_all_states(model)
    with brainstate.environ.context(dt=dt * u.ms):
        return np.asarray(brainstate.transform.for_loop(lambda _: model(), jnp.arange(n_steps)))


@two_steps
def test_white_noise_has_the_stated_strength(dt):
    samples = run(WhiteNoise(N, 0.3), 2, dt)
    np.testing.assert_allclose(samples.var(1) * dt, 0.09, rtol=4 * STANDARD_ERROR)
    assert abs(np.corrcoef(samples)[0, 1]) < 4 / np.sqrt(N)


@two_steps
@pytest.mark.parametrize("method", ["heun", "rk4", "exp_euler"])
def test_white_noise_gives_the_linear_node_its_variance(method, dt):
    gamma, sigma = 0.5, 0.3
    node = LinearStep(N, gamma=-gamma, init_x=0.0, noise_x=WhiteNoise(N, sigma), method=method)
    variance = run(node, round(16 / dt), dt)[-1].var()
    np.testing.assert_allclose(variance, sigma**2 / (2 * gamma), rtol=4 * STANDARD_ERROR)


@two_steps
def test_euler_has_its_own_first_order_bias(dt):
    gamma, sigma = 0.5, 0.3
    node = LinearStep(N, gamma=-gamma, init_x=0.0, noise_x=WhiteNoise(N, sigma), method="euler")
    variance = run(node, round(16 / dt), dt)[-1].var()
    discrete = sigma**2 * dt / (1 - (1 - gamma * dt) ** 2)
    np.testing.assert_allclose(variance, discrete, rtol=4 * STANDARD_ERROR)


@pytest.mark.parametrize("dt", [0.1, 1.0, 8.0])
def test_ornstein_uhlenbeck_is_exact_in_law_for_every_step(dt):
    samples = run(OUNoise(N, sigma=0.3, tau=4.0 * u.ms, mean=1.5), 4, dt)
    np.testing.assert_allclose(samples.mean(1), 1.5, atol=4 * 0.3 / np.sqrt(N))
    np.testing.assert_allclose(samples.std(1), 0.3, rtol=2 * STANDARD_ERROR)
    for lag in (1, 3):
        correlation = np.corrcoef(samples[0], samples[lag])[0, 1]
        np.testing.assert_allclose(correlation, np.exp(-lag * dt / 4.0), atol=4 / np.sqrt(N))


@two_steps
def test_ornstein_uhlenbeck_gives_the_linear_node_its_variance(dt):
    gamma, tau, sigma = 0.5, 4.0, 0.3
    node = LinearStep(N, gamma=-gamma, init_x=0.0, noise_x=OUNoise(N, sigma, tau), method="exp_euler")
    variance = run(node, round(60 / dt), dt)[-1].var()
    closed = sigma**2 / (gamma * (gamma + 1 / tau))
    np.testing.assert_allclose(variance, closed, rtol=4 * STANDARD_ERROR + 0.05 * dt**2)


@pytest.mark.parametrize("noise", [WhiteNoise(3, 0.3), OUNoise(3, 0.3)])
def test_seeds_reproduce_and_batches_are_independent(noise):
    def draw():
        brainstate.random.seed(7)
        brainstate.nn.init_all_states(noise, batch_size=2)
        with brainstate.environ.context(dt=0.1 * u.ms):
            return np.asarray(noise())

    first = draw()
    assert first.shape == (2, 3)
    assert len(np.unique(first)) == 6
    np.testing.assert_array_equal(first, draw())


def test_parameters_train_through_the_samples():
    noise = OUNoise(5, sigma=Param(0.3, fit=True), tau=Param(4.0 * u.ms, fit=True), mean=Param(0.2, fit=True))
    sigma, tau, mean = noise.sigma.val, noise.tau.val, noise.mean.val

    def loss():
        brainstate.random.seed(3)
        brainstate.nn.init_all_states(noise)
        with brainstate.environ.context(dt=0.5 * u.ms):
            return sum(jnp.sum(jnp.sin((i + 1) * noise())) for i in range(4))

    slopes = brainstate.transform.grad(loss, {"sigma": sigma, "tau": tau, "mean": mean})()
    for name, state in (("sigma", sigma), ("tau", tau), ("mean", mean)):
        middle, step, ends = state.value, 1e-6 * u.get_unit(state.value), []
        for sign in (1, -1):
            state.value = middle + sign * step
            ends.append(float(loss()))
        state.value = middle
        found = float(u.get_mantissa(slopes[name]))
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_units_follow_the_input():
    with brainstate.environ.context(dt=0.25 * u.ms):
        for sigma in (2.0, 2.0 * u.Hz * u.ms**0.5, 0.002 * u.Hz * u.ms**0.5 * 1000):
            brainstate.random.seed(2)
            alone = WhiteNoise(4, 1.0)
            brainstate.nn.init_all_states(alone)
            brainstate.random.seed(2)
            node = JansenRitStep(4, noise_E=WhiteNoise(4, sigma))
            brainstate.nn.init_all_states(node)
            np.testing.assert_allclose(node.sample_noise()[1], 2.0 * alone(), rtol=1e-12)


def test_one_sample_serves_all_stages_of_a_step():
    with brainstate.environ.context(dt=0.25 * u.ms):
        brainstate.random.seed(5)
        alone = WhiteNoise(2, 0.3)
        brainstate.nn.init_all_states(alone)
        brainstate.random.seed(5)
        node = HopfStep(
            2, a=0.0, w=0.0, beta=0.0, noise_x=WhiteNoise(2, 0.3), method="rk4", init_x=0.0, init_y=0.0
        )
        brainstate.nn.init_all_states(node)
        x, _ = node.update()
        np.testing.assert_allclose(x, 0.25 * alone(), rtol=1e-12)


@pytest.mark.parametrize("batch", [None, 3])
def test_numbers_drawn_together_are_those_drawn_one_by_one(batch):
    """Bit for bit, so that blocks, spans and stepping by hand agree; row 0 of a batch is a run without one."""
    key = jax.random.key_data(jax.random.key(7))
    together = normals(key, jnp.int32(5), 6, (3,), batch, jnp.float32)
    for i in range(6):
        np.testing.assert_array_equal(
            together[i], normals(key, jnp.int32(5 + i), 1, (3,), batch, jnp.float32)[0]
        )
    if batch:
        np.testing.assert_array_equal(together[:, 0], normals(key, jnp.int32(5), 6, (3,), None, jnp.float32))
        assert np.unique(np.asarray(together)).size == together.size


BAD = [
    (
        "shape",
        lambda: WhiteNoise(3, np.ones(4)),
        r"WhiteNoise.sigma: must be a number, or an array of shape \(3,\)",
    ),
    ("text", lambda: OUNoise(3, "loud"), "OUNoise.sigma: must be a number"),
    ("negative time", lambda: OUNoise(3, 0.1, tau=-2.0), "OUNoise.tau: must be positive; got -2.0"),
    ("no time", lambda: OUNoise(3, 0.1, tau=2.0 * u.mV), "OUNoise.tau: must have the dimension of ms"),
    ("mean of another dimension", lambda: OUNoise(3, 0.1 * u.mV, mean=1.0 * u.Hz), "OUNoise.mean"),
    ("no step", lambda: WhiteNoise(3, 0.1)(), "WhiteNoise.update.dt: must be known; got None. Run"),
]


@pytest.mark.parametrize("call, message", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_noise_of_another_dimension_is_named():
    node = JansenRitStep(2, noise_E=WhiteNoise(2, 1.0 * u.mV))
    brainstate.nn.init_all_states(node)
    with (
        brainstate.environ.context(dt=0.1 * u.ms),
        pytest.raises(ArgumentError, match="JansenRitStep.noise_E"),
    ):
        node.update()
