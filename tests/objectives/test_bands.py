"""Filters, envelopes, phases and spectra against SciPy and MNE-Connectivity."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from brainmass_delays import ArgumentError, objectives

DT = 5 * u.ms
RNG = np.random.default_rng(2)
X = RNG.normal(size=(800, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0.2, 1]])
ALPHA = (8.0, 13.0)
FILTERED = signal.sosfiltfilt(signal.butter(4, ALPHA, "band", fs=200, output="sos"), X, axis=0)
Z = signal.hilbert(FILTERED, axis=0)


def off(matrix):
    return np.asarray(matrix)[~np.eye(3, dtype=bool)]


def test_bandpass_is_a_butterworth_filter_forward_and_backward():
    ours = np.asarray(objectives.bandpass(X * u.mV, DT, ALPHA).to_decimal(u.mV))
    butter = signal.butter(4, ALPHA, "band", fs=200, output="sos")
    theirs = signal.sosfiltfilt(butter, X, axis=0, padlen=200)  # continued at the ends as far as ours
    np.testing.assert_allclose(ours, theirs, atol=0.02 * X.std())
    np.testing.assert_allclose(ours[100:-100], theirs[100:-100], atol=1e-3 * X.std())


@pytest.mark.parametrize("n", [800, 799])
def test_analytic_signal_is_that_of_scipy(n):
    np.testing.assert_allclose(objectives.analytic_signal(X[:n]), signal.hilbert(X[:n], axis=0), atol=1e-12)


@pytest.mark.parametrize("orthogonalize", [False, True])
def test_envelope_correlation_is_that_of_mne(orthogonalize):
    connectivity = pytest.importorskip("mne_connectivity")
    theirs = connectivity.envelope_correlation(
        Z.T[None], orthogonalize="pairwise" if orthogonalize else False, absolute=True, verbose=False
    )
    ours = objectives.envelope_correlation(Z, orthogonalize=orthogonalize)
    theirs = theirs.get_data("dense")[0, ..., 0]
    np.testing.assert_allclose(off(jnp.abs(ours)), off(np.abs(theirs)), rtol=1e-6)
    np.testing.assert_array_equal(np.diag(ours), 1)


def test_orthogonalization_removes_what_is_shared_at_once():
    source = RNG.normal(size=(4000, 1))
    mixed = source @ [[1.0, 0.9]] + 1e-3 * RNG.normal(size=(4000, 2))
    plain, freed = (
        objectives.envelope_correlation(mixed, DT, ALPHA, orthogonalize=o)[0, 1] for o in (False, True)
    )
    assert plain > 0.99 and freed < 0.2


def test_phase_measures_are_written_out():
    phase = np.angle(Z)
    expected = np.abs([[np.mean(np.exp(1j * (a - b))) for a in phase.T] for b in phase.T])
    np.testing.assert_allclose(objectives.plv(Z), expected, atol=1e-12)
    order = np.abs(np.exp(1j * phase).mean(axis=1))
    np.testing.assert_allclose(objectives.kuramoto_order(Z), order, atol=1e-12)
    np.testing.assert_allclose(objectives.synchrony(Z), order.mean())
    np.testing.assert_allclose(objectives.metastability(Z), order.std())
    np.testing.assert_allclose(objectives.synchrony(FILTERED), order.mean(), rtol=1e-3)


def test_spectra_are_those_of_scipy():
    f, expected = signal.welch(X, 200, nperseg=64, axis=0)
    np.testing.assert_allclose(objectives.psd(X, DT, nperseg=64), expected[1:], rtol=1e-9)
    power = objectives.psd(X * u.mV, DT, nperseg=0.32 * u.second, band=(10, 50 * u.Hz))
    kept = (f >= 10) & (f <= 50)
    np.testing.assert_allclose(power.to_decimal(u.mV**2 / u.Hz), expected[kept], rtol=1e-9)
    np.testing.assert_allclose(objectives.frequencies(64, DT, (10, 50)).to_decimal(u.Hz), f[kept])
    _, pairs = signal.csd(X[:, :, None], X[:, None, :], 200, nperseg=63, axis=0)
    np.testing.assert_allclose(objectives.csd(X, DT, nperseg=63), pairs[1:], rtol=1e-9, atol=1e-18)


def test_coherence_is_that_of_mne_on_the_same_segments():
    connectivity = pytest.importorskip("mne_connectivity")
    segments = X.reshape(8, 100, 3).transpose(0, 2, 1)
    theirs = connectivity.spectral_connectivity_epochs(
        segments - segments.mean(axis=-1, keepdims=True), method="coh", mode="fourier", sfreq=200.0, fmin=10, fmax=90, verbose=False
    )  # fmt: skip
    ours = objectives.coherence(X, DT, nperseg=100, overlap=0, band=(10, 90), window=np.hanning(100))
    assert len(ours) == len(theirs.freqs)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        np.testing.assert_allclose(ours[:, i, j], theirs.get_data("dense")[i, j], rtol=1e-6)


LOSSES = {
    "envelopes": objectives.rmse_of(objectives.envelope_correlation, dt=DT, band=ALPHA),
    "orthogonalized": objectives.rmse_of(
        objectives.envelope_correlation, dt=DT, band=ALPHA, orthogonalize=True
    ),
    "plv": objectives.rmse_of(objectives.plv, dt=DT, band=ALPHA),
    "metastability": objectives.rmse_of(objectives.metastability, dt=DT, band=ALPHA),
    "coherence": objectives.rmse_of(objectives.coherence, dt=DT, nperseg=50),
    "csd": objectives.rmse_of(objectives.csd, dt=DT, nperseg=50),
    "spectrum": objectives.spectrum(nperseg=0.25 * u.second, dt=DT),
    "cross_spectrum": objectives.cross_spectrum(nperseg=50, dt=DT, band=(5, 60)),
}
SHORT, OTHER = X[:200], X[300:520]


QUICK = {"orthogonalized", "coherence", "cross_spectrum"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in LOSSES]
)
def test_gradient_agrees_with_central_differences(name):
    value_and_grad = jax.jit(jax.value_and_grad(lambda a: LOSSES[name](a, OTHER)))
    direction, h = np.random.default_rng(1).normal(size=SHORT.shape), 1e-6
    difference = (value_and_grad(SHORT + h * direction)[0] - value_and_grad(SHORT - h * direction)[0]) / (
        2 * h
    )
    np.testing.assert_allclose(np.sum(value_and_grad(SHORT)[1] * direction), difference, rtol=1e-6)
    flat = SHORT.copy()
    flat[:, 1] = 0.1
    for series in (flat, OTHER[:200]):
        value, gradient = value_and_grad(series)
        assert np.isfinite(value) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", ["plv", "cross_spectrum"])
def test_identical_series_have_no_distance(name):
    assert float(jax.jit(LOSSES[name])(OTHER, OTHER)) < 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objectives.bandpass(X, DT, (8, 100)), r"bandpass.band: must lie between 0 and half the sampling rate, 100 Hz"),
        (lambda: objectives.bandpass(X, DT, (12, 8)), r"bandpass.band: must be a lower and a higher frequency"),
        (lambda: objectives.bandpass(X, DT, 8), r"bandpass.band: must be a pair of frequencies; got 8"),
        (lambda: objectives.plv(X, band=ALPHA), r"plv.dt: must be given"),
        (lambda: objectives.plv(Z, DT, ALPHA), r"plv.band: must be None for complex signals"),
        (lambda: objectives.coherence(X, DT, nperseg=800), r"coherence.nperseg: must leave room for at least 2 segments"),
        (lambda: objectives.coherence(X, DT, nperseg=9, window=np.ones(8)), r"coherence.window: must be 9 numbers"),
        (lambda: objectives.coherence(X, DT, overlap=1), r"coherence.overlap: must lie from 0 to below 1"),
        (lambda: objectives.psd(X, DT, nperseg=801), r"psd.nperseg: must not exceed the length of the series, 800"),
        (lambda: objectives.psd(X, DT, band=(0.1, 0.2)), r"psd.band: must hold a frequency of the spectrum"),
        (lambda: objectives.cross_spectrum(X, X[:, :2]), r"cross_spectrum: prediction must have the regions of target, 2; got 3"),
        (lambda: objectives.rmse_of(objectives.plv)(X, X[:, :2]), r"rmse_of\(plv\): prediction must have the shape of target"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
