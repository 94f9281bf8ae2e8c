"""Response kernels against nilearn and their formulas; the convolution against a sum in NumPy."""

from math import gamma, pi

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, Param
from brainmass_delays.observe import HRF, apply

DT = 20 * u.ms
TR = 0.72 * u.second
X = np.abs(np.random.default_rng(0).normal(size=(600, 2))).cumsum(axis=0) % 3


@pytest.mark.parametrize("name", ["spm", "glover"])
def test_kernel_is_that_of_nilearn(name):
    models = pytest.importorskip("nilearn.glm.first_level.hemodynamic_models")
    step, length = 0.1, 32.0
    theirs = getattr(models, f"{name}_hrf")(step * 50, 50, length)
    stamps = np.linspace(0, length, round(length / step))
    h = np.asarray(HRF(period=TR, kernel=name).response(stamps - step))
    np.testing.assert_allclose(h / h.sum(), theirs, atol=1e-10)


W = np.sqrt(1 / 0.4 - 1 / (4 * 0.64))
FORMULAS = {  # observation.md of TVB, written out; and the peak
    "volterra": (lambda t: np.exp(-t / 1.6) * np.sin(W * t) / W / 3, 0.80),
    "gamma": (lambda t: (t / 1.08) ** 2 * np.exp(-t / 1.08) / (1.08 * 2), 2.16),
    "mixture_of_gammas": (
        lambda t: t**5 * np.exp(-t) / gamma(6) - 0.4 * t**12 * np.exp(-t) / gamma(13),
        4.95,
    ),
    "damped_sines": (
        lambda t: (
            0.1 * np.exp(-t / 7.22) * np.sin(2 * pi * 0.03 * t)
            - 0.1 * np.exp(-t / 7.4) * np.sin(2 * pi * 0.12 * t)
        ),
        5.94,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_kernel_follows_its_formula(name):
    formula, peak = FORMULAS[name]
    t = np.arange(0, 40, 0.01)
    h = np.asarray(HRF(period=TR, kernel=name).response(t))
    np.testing.assert_allclose(h, formula(t), atol=1e-12)
    assert abs(t[h.argmax()] - peak) < 0.011
    assert not np.any(np.asarray(HRF(period=TR, kernel=name).response(-t[1:])))


@pytest.mark.parametrize("normalize", ["area", "peak", "none", "tvb"])
def test_convolution_is_the_written_out_sum(normalize):
    monitor = HRF(period=TR, kernel="gamma", normalize=normalize, duration=4 * u.second, step=2 * DT)
    ts, bold = apply(monitor, X, DT)
    h, n = 0.04, 100
    means = X.reshape(-1, 2, 2).mean(axis=1)
    age = np.arange(n) * h + (0 if normalize == "tvb" else h / 2)
    w = FORMULAS["gamma"][0](age)
    w = {"area": w / w.sum(), "peak": w / w.max() * h, "none": w * h, "tvb": w}[normalize]
    for t, row in zip(ts.to_decimal(u.second), np.asarray(bold), strict=True):
        k = round(t / h)
        expected = sum(w[a] * means[k - 1 - a] for a in range(min(n, k)))
        np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_amplitude_does_not_depend_on_the_interim_step():
    x = np.zeros((8000, 1))
    x[1000:2000] = 1
    for kernel, how in (("spm", "area"), ("volterra", "none"), ("glover", "peak")):
        fine, coarse = (
            HRF(period=2 * u.second, kernel=kernel, normalize=how, duration=10 * u.second, step=step * u.ms)
            for step in (1, 16)
        )
        np.testing.assert_allclose(
            apply(coarse, x, 1 * u.ms)[1][2:], apply(fine, x, 1 * u.ms)[1][2:], rtol=0.01
        )


def test_constant_activity_is_its_own_response():
    _, bold = apply(HRF(period=1 * u.second, duration=2 * u.second), np.full((200, 2), 3.0) * u.mV, DT)
    np.testing.assert_allclose(bold[-1].to_decimal(u.mV), 3.0)


def test_tvb_convention_of_the_volterra_kernel():
    _, sums = apply(HRF(period=TR, kernel=HRF(period=TR, kernel="volterra").response, normalize="tvb"), X, DT)
    _, bold = apply(HRF(period=TR, kernel="volterra", normalize="tvb", duration=32 * u.second), X, DT)
    np.testing.assert_allclose(bold, 5.6 * 0.02 * (sums - 1), rtol=1e-12)


def test_gradient_reaches_the_parameters_of_every_region():
    @jax.jit
    def loss(delay, ratio):
        monitor = HRF(period=TR, delay=Param(delay * u.second), ratio=Param(ratio), duration=10 * u.second)
        return jnp.sum(apply(monitor, X, DT)[1] ** 2)

    delay, ratio = jnp.array([5.0, 6.0]), jnp.array(0.2)
    (by_delay, by_ratio), step = jax.grad(loss, (0, 1))(delay, ratio), 1e-5
    for region in range(2):
        up, down = delay.at[region].add(step), delay.at[region].add(-step)
        np.testing.assert_allclose(
            by_delay[region], (loss(up, ratio) - loss(down, ratio)) / (2 * step), rtol=1e-6
        )
    difference = (loss(delay, ratio + step) - loss(delay, ratio - step)) / (2 * step)
    np.testing.assert_allclose(by_ratio, difference, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HRF(period=TR, kernel="smp"), r"HRF.kernel: must be one of .*Did you mean 'spm'"),
        (lambda: HRF(), r"HRF.period: must be a time"),
        (lambda: HRF(period=1 * u.mm), r"HRF.period: must be a time or None; got Quantity\(1, \"mm\"\)\.$"),
        (lambda: HRF(period=TR, tau=2.0), r"HRF.parameters: must be one of 'delay'"),
        (lambda: HRF(period=TR, delay=6 * u.Hz), r"HRF.delay: must have the dimension of s"),
        (lambda: HRF(period=TR, kernel="volterra", tau_s=0.2), r"HRF.tau_f: must be below 4 tau_s"),
        (
            lambda: apply(HRF(period=TR, kernel=lambda t: t[:3]), X, DT),
            r"HRF.kernel: must return one value per",
        ),
        (
            lambda: apply(HRF(period=TR, kernel=lambda t: t[:, None] * jnp.ones(3)), X, DT),
            r"HRF.kernel: must return one value per time, .*or per time and region; got",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
