"""Connectivity as matrix or series, its dynamics, likelihood and combinations; gradients of the losses."""

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from brainmass_delays import ArgumentError, Fitter, Param, objectives

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(70, 4)).cumsum(axis=0), RNG.normal(size=(83, 4)).cumsum(axis=0)
WINDOWS = {"window": 20, "step": 7}


def fcd_loop(series, window, step):
    """Write it out: every window to the last that fits, triangles without the diagonal."""
    triangles = []
    for start in range(0, len(series) - window + 1, step):
        fc = np.corrcoef(series[start : start + window].T)
        triangles.append([fc[i, j] for i in range(len(fc)) for j in range(i + 1, len(fc))])
    return np.corrcoef(triangles)


def above(matrix):
    return matrix[np.triu_indices(len(matrix), k=1)]


def test_a_matrix_counts_like_the_series_it_comes_from():
    fx, fy = np.corrcoef(X.T), np.corrcoef(Y.T)
    for objective in (objectives.fc_corr, objectives.fc_rmse, objectives.fc_corr(fisher=True)):
        expected = objective(X, Y)
        for a, b in ((fx, Y), (X, fy), (fx, fy)):
            np.testing.assert_allclose(objective(a, b), expected, rtol=1e-9)
        np.testing.assert_allclose(jax.jit(objective)(fx, Y), expected, rtol=1e-9)


def test_fisher_z_is_the_inverse_hyperbolic_tangent():
    z = objectives.fisher_z(np.corrcoef(X.T))
    np.testing.assert_allclose(above(np.asarray(z)), np.arctanh(above(np.corrcoef(X.T))))
    np.testing.assert_array_equal(np.diag(z), 0)
    assert np.all(
        np.isfinite(jax.grad(lambda m: objectives.fisher_z(m).sum())(jnp.asarray(np.corrcoef(X.T))))
    )


def test_square_arrays_that_are_no_correlations_are_refused_and_never_look_good_in_a_trace():
    covariance = np.cov(X.T)
    for wrong in (covariance, X[:4], np.corrcoef(X.T) - np.eye(4)):
        with pytest.raises(
            ArgumentError,
            match="fc_rmse.prediction: takes a square array for a correlation matrix.*fill an empty",
        ):
            objectives.fc_rmse(wrong, Y)
        assert np.isnan(jax.jit(objectives.fc_rmse())(wrong, Y))


def test_wrong_orientation_is_noticed():
    with pytest.warns(UserWarning, match="fc: 4 samples of 70 regions. Time is axis 0"):
        objectives.fc(X.T)
    with (
        pytest.warns(UserWarning),
        pytest.raises(ArgumentError, match="regions of target, 83; got 4.*transpose"),
    ):
        objectives.fc_corr(X, Y.T)
    with pytest.raises(
        ArgumentError, match="must have the shape of target.*transpose the one that has regions first"
    ):
        objectives.timeseries_mse(X, X.T)


def test_fcd_is_the_written_out_loop():
    np.testing.assert_allclose(objectives.fcd(X, **WINDOWS), fcd_loop(X, 20, 7), atol=1e-12)
    in_seconds = objectives.fcd(X * u.mV, window=40 * u.second, step=14 * u.second, dt=2 * u.second)
    np.testing.assert_allclose(in_seconds, fcd_loop(X, 20, 7), atol=1e-12)


def test_fcd_distances_are_those_of_scipy():
    a, b = above(fcd_loop(X, 20, 7)), above(fcd_loop(Y, 20, 7))
    assert len(a) != len(b)
    np.testing.assert_allclose(
        objectives.fcd_distance(X, Y, **WINDOWS), wasserstein_distance(a, b), rtol=1e-10
    )
    np.testing.assert_allclose(objectives.fcd_ks(X, Y, **WINDOWS), ks_2samp(a, b).statistic, rtol=1e-12)


def test_likelihood_is_that_of_scipy_and_best_at_the_mean_square():
    from scipy.stats import norm

    sigma = np.array([0.5, 1.0, 2.0, 3.0])
    expected = -norm.logpdf(X, Y[:70], sigma).sum()
    np.testing.assert_allclose(objectives.gaussian_nll(X, Y[:70], sigma=sigma), expected)
    quantity = objectives.gaussian_nll(X * u.mV, Y[:70] * u.mV, sigma=Param(sigma * 1e3 * u.uvolt))
    np.testing.assert_allclose(quantity, expected)
    best = np.sqrt(np.mean((X - Y[:70]) ** 2))
    slope = jax.grad(lambda s: objectives.gaussian_nll(X, Y[:70], sigma=s))
    np.testing.assert_allclose(slope(best), 0, atol=1e-9)
    assert slope(0.9 * best) < 0 < slope(1.1 * best)


LOSSES = {
    "fcd_distance": objectives.fcd_distance(**WINDOWS),
    "fc_corr of matrices": lambda a, b: objectives.fc_corr(objectives.fc(a), b, as_loss=True, fisher=True),
    "fc_rmse fisher": objectives.fc_rmse(fisher=True),
    "gaussian_nll": lambda a, b: objectives.gaussian_nll(a, b[:70], sigma=jnp.exp(a[0, 0])),
    "rmse_of": objectives.rmse_of(objectives.metastability, dt=10 * u.ms, band=(5, 15)),
    "combine": objectives.combine(
        fc=(2.0, objectives.fc_rmse()), d=(0.5, objectives.fcd_distance(**WINDOWS))
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_agrees_with_central_differences(name):
    value_and_grad = jax.jit(jax.value_and_grad(lambda a: LOSSES[name](a, Y)))
    direction, h = np.random.default_rng(1).normal(size=X.shape), 1e-6
    difference = (value_and_grad(X + h * direction)[0] - value_and_grad(X - h * direction)[0]) / (2 * h)
    np.testing.assert_allclose(np.sum(value_and_grad(X)[1] * direction), difference, rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "combine",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("fcd_distance", "fc_corr of matrices", "rmse_of")
        ),
    ],
)
def test_constant_and_diverged_regions(name):
    value_and_grad = jax.jit(jax.value_and_grad(lambda a: LOSSES[name](a, Y)))
    flat = X.copy()
    flat[:, 1] = 0.1
    value, gradient = value_and_grad(flat)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))
    bad = X.copy()
    bad[30, 2] = np.nan
    assert not np.isfinite(value_and_grad(bad)[0])


def test_terms_of_a_combination_have_names():
    both = objectives.combine(
        (1.0, objectives.fc_rmse()), (2.0, objectives.fc_rmse(fisher=True)), mse=(3.0, lambda a, b: 1.0)
    )
    terms = both.terms(X, Y)
    assert set(terms) == {"fc_rmse", "fc_rmse_2", "mse"} and terms["mse"] == 3
    np.testing.assert_allclose(both(X, Y), sum(terms.values()))


def test_a_fit_records_every_term():
    class Scaled(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.k = Param(jnp.array(0.5))

    loss = objectives.combine(mse=(2.0, objectives.timeseries_mse()), fc=(0.5, objectives.fc_rmse()))
    fitter = Fitter(
        Scaled(), braintools.optim.Adam(lr=0.1), predict=lambda model: model.k.value() * X, objective=loss
    )
    result = fitter.fit(X, n_steps=4)
    assert set(result.terms) == {"mse", "fc"} and len(result.terms["fc"]) == 4
    np.testing.assert_allclose(np.add(result.terms["mse"], result.terms["fc"]), result.history)
    np.testing.assert_allclose(result.terms["mse"][0], 2 * np.mean((0.5 * X) ** 2))


def test_what_is_a_loss_and_what_is_not():
    kinds = {
        name: objectives.kind_of(getattr(objectives, name)) for name in ("fc_corr", "fcd_ks", "fcd_distance")
    }
    assert kinds == {"fc_corr": "score", "fcd_ks": "report", "fcd_distance": "loss"}
    assert objectives.kind_of(objectives.fcd_ks(**WINDOWS)) == "report"
    assert objectives.kind_of(lambda a, b: 0) == "loss"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objectives.fcd(X[:, :2], **WINDOWS), r"fcd: needs at least 3 regions; got 2"),
        (lambda: objectives.fcd(X, window=70, step=1), r"fcd.window: must leave room for at least 2 windows; got 70 of 70"),
        (lambda: objectives.fcd(X, window=1, step=1), r"fcd.window: must be a whole number of at least 2"),
        (lambda: objectives.fcd(X, window=2 * u.second, step=1), r"fcd.dt: must be given"),
        (lambda: objectives.fcd(X, window=2 * u.mV, step=1, dt=1 * u.second), r"fcd.window: must have the dimension of s"),
        (lambda: objectives.fc(X[:1]), r"fc: needs time series of shape \(time, region\) with at least 2 samples; got \(1, 4\)"),
        (lambda: objectives.fc(X[None]), r"fc: needs .*Select one batch element"),
        (lambda: objectives.gaussian_nll(X * u.mV, X * u.mV, sigma=1.0), r"gaussian_nll.sigma: needs a unit such as mV"),
        (lambda: objectives.gaussian_nll(X, Y, sigma=1.0), r"gaussian_nll: prediction must have the shape of target"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_numbers_that_are_not_finite_are_named():
    bad = X.copy()
    bad[[30, 31], 2] = np.nan
    for call in (
        lambda: objectives.fc(bad),
        lambda: objectives.fc_corr(bad, Y),
        lambda: objectives.fcd(bad, window=20, step=10),
    ):
        with pytest.warns(UserWarning, match="2 numbers are not finite, the first at sample 30 of region 2"):
            assert not np.all(np.isfinite(call()))
