"""Objectives against NumPy and SciPy, and their gradients against central differences."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import welch

from brainmass_delays import ArgumentError, objectives

pytestmark = pytest.mark.usefixtures("strict_promotion")

RNG = np.random.default_rng(3)
PREDICTION, TARGET = RNG.normal(size=(90, 5)).cumsum(axis=0), RNG.normal(size=(90, 5)).cumsum(axis=0)


def _fc(signals):
    return np.corrcoef(signals.T)


def _fc_corr(a, b):
    pairs = np.triu_indices(5, k=1)
    return np.corrcoef(_fc(a)[pairs], _fc(b)[pairs])[0, 1]


def _spectrum(a, b, nperseg=64, low=0.0, high=np.inf, fs=1.0):
    f, p = welch(a, fs, nperseg=nperseg, axis=0)
    _, q = welch(b, fs, nperseg=nperseg, axis=0)
    kept = (f > 0) & (f >= low) & (f <= high)
    return np.sqrt(np.mean((10 * np.log10(p[kept] / q[kept])) ** 2))


CASES = {
    "timeseries_mse": (objectives.timeseries_mse(), lambda a, b: np.mean((a - b) ** 2)),
    "timeseries_rmse": (objectives.timeseries_rmse(), lambda a, b: np.sqrt(np.mean((a - b) ** 2))),
    "fc_corr": (objectives.fc_corr(), _fc_corr),
    "fc_corr_loss": (objectives.fc_corr(as_loss=True), lambda a, b: 1 - _fc_corr(a, b)),
    "fc_rmse": (objectives.fc_rmse(), lambda a, b: np.sqrt(np.mean((_fc(a) - _fc(b)) ** 2))),
    "spectrum": (objectives.spectrum(nperseg=64), _spectrum),
    "spectrum_odd": (objectives.spectrum(nperseg=33), lambda a, b: _spectrum(a, b, 33)),
    "spectrum_band": (
        objectives.spectrum(nperseg=64, dt=2 * u.ms, band=(20 * u.Hz, 100 * u.Hz)),
        lambda a, b: _spectrum(a, b, 64, 20, 100, 500),
    ),
    "combine": (
        objectives.combine((2.0, objectives.timeseries_rmse()), (-0.5, objectives.fc_corr())),
        lambda a, b: 2 * np.sqrt(np.mean((a - b) ** 2)) - 0.5 * _fc_corr(a, b),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_value_agrees_with_numpy(name):
    objective, oracle = CASES[name]
    np.testing.assert_allclose(objective(PREDICTION, TARGET), oracle(PREDICTION, TARGET), rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_gradient_agrees_with_central_differences(name):
    objective, _ = CASES[name]
    gradient = jax.grad(objective)(jnp.asarray(PREDICTION), TARGET)
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=PREDICTION.shape)
        h = 1e-5
        difference = (
            objective(PREDICTION + h * direction, TARGET) - objective(PREDICTION - h * direction, TARGET)
        ) / (2 * h)
        np.testing.assert_allclose(np.sum(gradient * direction), difference, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_identical_series_have_a_finite_gradient(name):
    objective, _ = CASES[name]
    value, gradient = jax.value_and_grad(objective)(jnp.asarray(PREDICTION), PREDICTION)
    assert np.all(np.isfinite(gradient))
    best = {"fc_corr": 1.0, "combine": -0.5}.get(name, 0.0)
    np.testing.assert_allclose(value, best, atol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, -65.3])
@pytest.mark.parametrize("name", ["fc_corr", "fc_rmse", "spectrum"])
def test_constant_regions_give_neither_nan_nor_a_gradient(name, constant):
    objective, _ = CASES[name]
    flat = jnp.asarray(PREDICTION).at[:, 1].set(constant)
    for prediction, target in [
        (flat, TARGET),
        (jnp.full_like(flat, constant), TARGET),
        (flat, flat),
        (jnp.asarray(PREDICTION), np.full_like(TARGET, constant)),
    ]:
        value, gradient = jax.value_and_grad(objective)(prediction, target)
        assert np.isfinite(value) and np.all(np.isfinite(gradient))
    if name != "spectrum":
        np.testing.assert_array_equal(jax.grad(objective)(flat, TARGET)[:, 1], 0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:.*not finite, the first at sample 40 of region 2")
def test_a_diverged_prediction_never_looks_like_a_good_one(name, wrong):
    prediction = PREDICTION.copy()
    prediction[40, 2] = wrong
    assert not np.isfinite(CASES[name][0](prediction, TARGET))


def test_constant_region_counts_as_uncorrelated():
    flat = PREDICTION.copy()
    flat[:, 1] = 0.1
    expected = _fc(PREDICTION)
    expected[1, :] = expected[:, 1] = 0
    expected[1, 1] = 1
    np.testing.assert_allclose(
        objectives.fc_rmse(flat, TARGET), np.sqrt(np.mean((expected - _fc(TARGET)) ** 2)), rtol=1e-9
    )


def test_constant_region_is_recognized_in_single_precision(single_precision):
    flat = jnp.asarray(PREDICTION, jnp.float32).at[:, 1].set(0.1)
    gradient = jax.grad(objectives.fc_rmse())(flat, jnp.asarray(TARGET, jnp.float32))
    assert gradient.dtype == jnp.float32
    np.testing.assert_array_equal(gradient[:, 1], 0)


def test_units_do_not_matter():
    prediction, target = PREDICTION * u.mV, TARGET * 1e-3 * u.volt
    for name, (objective, oracle) in CASES.items():
        np.testing.assert_allclose(
            objective(prediction, target), oracle(PREDICTION, TARGET), rtol=1e-9, err_msg=name
        )


def test_can_be_called_at_once_or_configured_first():
    for function in [
        objectives.timeseries_mse,
        objectives.timeseries_rmse,
        objectives.fc_rmse,
        objectives.fc_corr,
    ]:
        assert function(PREDICTION, TARGET) == function()(PREDICTION, TARGET)


def test_lengths_of_statistics_may_differ():
    assert np.isfinite(objectives.fc_rmse(PREDICTION[:50], TARGET))
    assert np.isfinite(objectives.spectrum(PREDICTION[:70], TARGET))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: objectives.timeseries_rmse(PREDICTION, TARGET[:10]),
            r"timeseries_rmse: prediction must have the shape of target, \(10, 5\); got \(90, 5\)",
        ),
        (
            lambda: objectives.timeseries_mse(PREDICTION, TARGET[:, :2]),
            r"timeseries_mse: prediction must have the shape",
        ),
        (
            lambda: objectives.timeseries_mse(PREDICTION * u.mV, TARGET),
            r"timeseries_mse: .*same dimension; got mV and 1.*Give both a unit",
        ),
        (
            lambda: objectives.spectrum(PREDICTION * u.mV, TARGET * u.ms),
            r"spectrum: .*same dimension; got mV and ms",
        ),
        (
            lambda: objectives.fc_rmse(PREDICTION, TARGET[:, :3]),
            r"fc_rmse: prediction must have the regions of target, 3; got 5. Time is axis 0",
        ),
        (
            lambda: objectives.fc_corr(PREDICTION[:, :2], TARGET[:, :2]),
            r"fc_corr: needs at least 3 regions; got 2. Use fc_rmse",
        ),
        (
            lambda: objectives.fc_corr(PREDICTION[:, 0], TARGET),
            r"fc_corr.prediction: needs time series of shape \(time, region\)",
        ),
        (lambda: objectives.fc_rmse(PREDICTION[:1], TARGET), r"at least 2 samples; got \(1, 5\)"),
        (
            lambda: objectives.spectrum(PREDICTION, TARGET, nperseg=91),
            r"spectrum.nperseg: must not exceed .*90; got 91",
        ),
        (
            lambda: objectives.spectrum(PREDICTION, TARGET, nperseg=1),
            r"spectrum.nperseg: must be a whole number of at least 2",
        ),
        (
            lambda: objectives.spectrum(PREDICTION, TARGET, band=(1, 2)),
            r"spectrum.dt: must be given; got None",
        ),
        (lambda: objectives.spectrum(PREDICTION, TARGET, dt=0.1, band=(1, 2)), r"spectrum.dt: needs a unit"),
        (
            lambda: objectives.spectrum(PREDICTION, TARGET, dt=1 * u.ms, band=(1 * u.mV, 2)),
            r"spectrum.band: must have the dimension of Hz",
        ),
        (
            lambda: objectives.spectrum(PREDICTION, TARGET, dt=1 * u.ms, band=(1 * u.Hz, 2 * u.Hz)),
            r"spectrum.band: must hold a frequency",
        ),
        (lambda: objectives.spectrum(PREDICTION[:, :2], TARGET), r"trailing axes of target"),
        (lambda: objectives.combine(), r"combine: needs at least one"),
        (
            lambda: objectives.combine(objectives.fc_rmse()),
            r"combine: must be given \(weight, objective\) pairs",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_misspelled_option_fails_when_configured():
    with pytest.raises(TypeError, match="as_los"):
        objectives.fc_corr(as_los=True)


def test_scores_are_told_from_losses():
    assert objectives.is_score(objectives.fc_corr) and objectives.is_score(objectives.fc_corr())
    assert not objectives.is_score(objectives.fc_corr(as_loss=True))
    assert not objectives.is_score(objectives.fc_rmse())
    assert objectives.is_likelihood(objectives.gaussian_nll(sigma=1.0))
