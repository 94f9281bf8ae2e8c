"""Delays seen in recordings: known lags, their errors, gradients, and what narrow bands cannot tell."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from brainmass_delays import ArgumentError, objectives

DT = 2 * u.ms


def late(noise, lag, h=0.002):
    """Delay a periodic series by any time."""
    f = np.fft.rfftfreq(len(noise), h)
    return np.fft.irfft(np.fft.rfft(noise) * np.exp(-2j * np.pi * f * lag), len(noise))


def recording(seed, lag=0.0103, seconds=60, snr=10.0, band=None):
    """Two sensors: a signal and the same a little later, each with noise of its own."""
    rng = np.random.default_rng(seed)
    source = rng.normal(size=int(seconds / 0.002))
    if band is not None:
        source = sosfiltfilt(butter(4, band, "band", fs=500, output="sos"), source)
        source /= source.std()
    clean = np.stack([source, late(source, lag)], axis=1)
    return clean + rng.normal(size=clean.shape) / np.sqrt(snr)


@pytest.fixture(scope="module")
def estimate():
    """Compile once for all recordings of a minute."""
    return jax.jit(lambda x: objectives.group_delay(x, DT, band=(1, 100), nperseg=512))


@pytest.fixture(scope="module")
def found(estimate):
    return [estimate(recording(seed)) for seed in range(20)]


def test_group_delay_finds_a_lag_that_is_no_whole_number_of_steps(found):
    delays = np.array([f.delay.to_decimal(u.ms)[1, 0] for f in found])
    assert np.median(np.abs(delays - 10.3)) < 0.01 * 10.3
    for f in found[:1]:
        np.testing.assert_allclose(f.delay.to_decimal(u.ms), -f.delay.to_decimal(u.ms).T, atol=1e-9)


def test_its_standard_error_is_the_scatter(found):
    delays = np.array([f.delay.to_decimal(u.ms)[1, 0] for f in found])
    errors = np.array([f.error.to_decimal(u.ms)[1, 0] for f in found])
    assert 0.6 < delays.std() / errors.mean() < 1.6


def test_inhibition_does_not_shift_the_group_delay(estimate, found):
    delay = estimate(recording(0) * [1, -1]).delay
    np.testing.assert_allclose(delay / u.ms, found[0].delay / u.ms, atol=1e-9)


def test_narrow_bands_take_the_phase_and_say_what_they_cannot_know():
    x = recording(1, lag=0.0103 + 0.1, band=(9.5, 10.5))
    found = jax.jit(lambda x: objectives.phase_delay(x, DT, band=(8, 12), nperseg=1000))(x)
    delay, error, cycle = (float(v[1, 0].to_decimal(u.ms)) for v in (found.delay, found.error, found.cycle))
    cycles = round((110.3 - delay) / cycle)
    assert cycles != 0 and abs(delay + cycles * cycle - 110.3) < 5 * error < 10
    np.testing.assert_allclose(cycle, 1e3 / found.frequency.to_decimal(u.Hz)[1, 0])


def test_lag_matrix_finds_the_peak_of_the_correlation():
    x = recording(2, seconds=10) * [1, -1]
    lags, r = objectives.lag_matrix(x, DT, max_lag=40 * u.ms)
    assert abs(lags.to_decimal(u.ms)[1, 0] - 10.3) < 0.5 and r[1, 0] < -0.7
    np.testing.assert_allclose(lags.to_decimal(u.ms), -lags.to_decimal(u.ms).T, atol=1e-6)
    shifts = np.arange(-20, 21)
    centered = x - x.mean(axis=0)
    full = [
        np.sum(centered[max(0, s) : len(x) + min(0, s), 1] * centered[max(0, -s) : len(x) - max(0, s), 0])
        for s in shifts
    ]
    full /= np.sqrt(np.prod(np.sum(centered**2, axis=0)))
    np.testing.assert_allclose(r[1, 0], full[np.argmax(np.abs(full))], rtol=1e-9)
    flat = x.copy()
    flat[:, 1] = 3.0
    assert np.all(np.isnan(objectives.lag_matrix(flat, DT, max_lag=10)[1][1]))


@pytest.mark.parametrize("weighted", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_gradient_of_the_loss_agrees_with_central_differences(weighted):
    a, b = recording(3, seconds=2), recording(4, lag=0.006, seconds=2)
    a, b = (np.concatenate([x, x[::-1, :1]], axis=1) for x in (a, b))
    options = {"dt": DT, "band": (1, 100), "nperseg": 100, "weighted": weighted}
    value_and_grad = jax.jit(jax.value_and_grad(lambda x: objectives.group_delay_rmse(x, b, **options)))
    direction, h = np.random.default_rng(1).normal(size=a.shape), 1e-6
    difference = (value_and_grad(a + h * direction)[0] - value_and_grad(a - h * direction)[0]) / (2 * h)
    np.testing.assert_allclose(np.sum(value_and_grad(a)[1] * direction), difference, rtol=1e-6)
    flat = a.copy()
    flat[:, 1] = 0.1
    value, gradient = value_and_grad(flat)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_gradient_finds_the_delay():
    """One sensor is a live shift of the other: the loss falls to the true lag along its gradient."""
    source = np.random.default_rng(0).normal(size=4000)
    f = np.fft.rfftfreq(4000, 0.002)
    target = np.stack([source, late(source, 0.0103)], axis=1)

    @jax.jit
    @jax.value_and_grad
    def loss(lag):
        moved = jnp.fft.irfft(jnp.fft.rfft(source) * jnp.exp(-2j * jnp.pi * f * lag), 4000)
        prediction = jnp.stack([jnp.asarray(source), moved], axis=1)
        return objectives.group_delay_rmse(prediction, target, dt=DT, band=(1, 100), nperseg=200)

    for lag, sign in ((0.004, -1), (0.016, 1)):
        value, slope = loss(lag)
        np.testing.assert_allclose(value, abs(1e3 * (lag - 0.0103)), rtol=0.05)
        np.testing.assert_allclose(slope, sign * 1e3, rtol=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: objectives.group_delay(x, DT, band=(1, 2)), r"group_delay.band: must hold a freq|at least 3 frequencies"),
        (lambda x: objectives.group_delay(x, DT, band=(1, 100), nperseg=1000), r"group_delay.nperseg: must leave room for at least 2"),
        (lambda x: objectives.group_delay_rmse(x, x[:, :1], dt=DT, band=(1, 100)), r"group_delay_rmse: needs the same regions"),
        (lambda x: objectives.lag_matrix(x, DT, max_lag=1000), r"lag_matrix.max_lag: must be shorter than the series"),
        (lambda x: objectives.lag_matrix(x, DT, max_lag=0.1 * u.ms), r"lag_matrix.max_lag: must be a whole number of at least 1"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call(recording(0, seconds=2))
