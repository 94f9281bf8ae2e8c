"""Correlated, colored and multiplicative noise: their laws, gradients, mistakes, and the names of brainmass."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import brainmass_delays
from brainmass_delays import ArgumentError, ColoredNoise, LinearStep, MultiplicativeNoise, OUNoise, WhiteNoise

C = np.array([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]])


def samples(noise, n=20_000, dt=0.5, batch_size=None):
    brainstate.random.seed(7)
    brainstate.nn.init_all_states(noise, batch_size=batch_size)

    def one(_):
        with brainstate.environ.context(dt=dt * u.ms):
            return noise()

    return np.asarray(brainstate.transform.for_loop(one, np.arange(n)))


@pytest.mark.parametrize(
    "kind", [lambda c: WhiteNoise(3, 0.4, c), lambda c: OUNoise(3, 0.4, 0.5 * u.ms, correlation=c)]
)
def test_samples_have_the_correlation(kind):
    np.testing.assert_allclose(np.corrcoef(samples(kind(C)).T), C, atol=0.04)
    ones = samples(kind(np.ones((3, 3))), 10)
    np.testing.assert_allclose(ones, ones[:, :1] * np.ones(3), rtol=1e-6, err_msg="a singular correlation")


def test_correlations_leave_the_batch_independent():
    found = samples(WhiteNoise(3, 1.0, C), 5_000, batch_size=2)
    assert found.shape == (5_000, 2, 3)
    assert abs(np.corrcoef(found[:, 0, 0], found[:, 1, 0])[0, 1]) < 0.05


def test_colored_noise_has_its_deviation_and_spectrum():
    f = np.linspace(2.0, 80.0, 157)
    x = samples(ColoredNoise(4, f * u.Hz, 1 / f, sigma=0.5), 40_000, dt=1.0)
    np.testing.assert_allclose(x.std(0), 0.5, rtol=0.03)
    power = (np.abs(np.fft.rfft(x, axis=0)) ** 2).mean(1)
    at = np.fft.rfftfreq(len(x), 1e-3)
    assert power[(at < 1.9) | (at > 80.1)].sum() < 0.01 * power.sum()
    bands = [(2, 5), (5, 10), (10, 20), (20, 40), (40, 80)]
    shares = [power[(at >= a) & (at < b)].sum() / power.sum() for a, b in bands]
    np.testing.assert_allclose(shares, [np.log(b / a) / np.log(40) for a, b in bands], rtol=0.05)


def test_colored_noise_trains_its_strength():
    def total(sigma):
        brainstate.random.seed(3)
        noise = ColoredNoise(2, [1.0, 50.0], [1.0, 1.0], sigma)
        brainstate.nn.init_all_states(noise)
        with brainstate.environ.context(dt=1.0 * u.ms):
            return jnp.sum(noise())

    np.testing.assert_allclose(jax.grad(total)(0.7), total(1.0), rtol=1e-12)


def test_multiplicative_noise_is_that_of_ito():
    """Geometric Brownian motion dx = b x dW has the mean of its start after Ito, and exp(b**2 t / 2) after Stratonovich."""
    node = LinearStep(20_000, gamma=0.0, init_x=1.0, method="euler")
    node.noise_x = MultiplicativeNoise(WhiteNoise(20_000, 1.0), lambda x: 0.5 * x, node.prefetch("x"))
    x = samples(_Step(node), 50, dt=0.02)
    np.testing.assert_allclose(x[-1].mean(), 1.0, atol=0.02)
    np.testing.assert_allclose(x[-1].var(), np.exp(0.25) - 1, rtol=0.1)


class _Step(brainstate.nn.Module):
    """A node stepped like a noise."""

    def __init__(self, node):
        super().__init__()
        self.node = node

    def __call__(self):
        return self.node.update()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: WhiteNoise(2, 1.0, C), r"WhiteNoise.correlation: must be symmetric with shape \(2, 2\)"),
        (lambda: WhiteNoise(3, 1.0, 2 * C), "WhiteNoise.correlation: must be symmetric .* 1 on its diagonal"),
        (
            lambda: OUNoise(2, 1.0, correlation=[[1, 2], [2, 1]]),
            "OUNoise.correlation: must have no negative eigenvalue",
        ),
        (
            lambda: ColoredNoise(2, [3.0, 1.0], [1.0, 1.0], 1.0),
            "ColoredNoise.frequencies: must be at least two ascending",
        ),
        (
            lambda: ColoredNoise(2, [1.0, 3.0], [0.0, 0.0], 1.0),
            "ColoredNoise.density: must be one number per frequency",
        ),
        (lambda: MultiplicativeNoise(WhiteNoise(2, 1.0), 3.0), "MultiplicativeNoise.gain: needs a gain"),
        (
            lambda: brainmass_delays.OUProcess(2, 0.1),
            r"OUProcess: means something else .* OUNoise\(n, sigma / 2\*\*0.5, tau\)",
        ),
        (lambda: brainmass_delays.GaussianNoise(2, 0.1), "GaussianNoise: means something else .* WhiteNoise"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
