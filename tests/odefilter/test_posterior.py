"""States between the steps, samples of the joint distribution, and gradients with Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_smoothing import START, field, rauch_tung_striebel

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import log_likelihood_series, solve_filter, solve_filter_on_grid

GRID = np.array([0.0, 0.2, 0.35, 0.6, 0.8])
TIMES = np.array([0.1, 0.35, 0.41, 0.47, 0.7])


def solution_on_grid(**options):
    return solve_filter_on_grid(field, START, GRID, num=2, **options)


@pytest.fixture
def solution(_double_precision):
    return jax.jit(solution_on_grid)()


def test_states_off_the_grid_are_those_of_a_smoother_with_more_nodes(solution):
    found = jax.jit(lambda: solution_on_grid().at(TIMES))()
    union = np.union1d(GRID, TIMES)
    start = np.stack([np.asarray(row[0]) for row in solution.mean])
    expected = rauch_tung_striebel(union, np.isin(union, GRID), start, 3)
    for k, t in enumerate(TIMES):
        mean, covariance = expected[np.flatnonzero(union == t)[0]]
        np.testing.assert_allclose(np.stack([row[k] for row in found.mean]), mean, rtol=1e-9)
        std = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(np.stack([row[k] for row in found.std])[[0, 2]], std[[0, 2]], rtol=1e-5)
    np.testing.assert_array_equal(found.accepted, [0, 2, 2, 2, 3])


def test_the_derivative_in_time_is_the_first_derivative():
    slope = jax.jit(jax.jacfwd(lambda t: solution_on_grid(calibration="mle").at(t[None]).ys[0]))(0.47)
    found = solution_on_grid(calibration="mle").at(np.array([0.47]))
    np.testing.assert_allclose(slope, found.mean[1][0], rtol=1e-9)


def test_a_filter_off_the_grid_knows_its_past_only(solution):
    filtered = jax.jit(lambda: solution_on_grid(strategy="filter").at(np.array([0.3])))()
    short = jax.jit(lambda: solve_filter_on_grid(field, START, GRID[:2], num=2, strategy="filter"))()
    h, rows = 0.1, [row[-1] for row in short.mean]
    np.testing.assert_allclose(filtered.ys[0], rows[0] + h * rows[1] + h**2 / 2 * rows[2], rtol=1e-12)
    assert filtered.posterior is None


@pytest.mark.parametrize("covariance", ["isotropic", "dense"])
def test_samples_have_the_mean_and_the_covariance_of_the_posterior(covariance):
    found = jax.jit(lambda: solution_on_grid(covariance=covariance, linearization="ts1", output_scale=5.0))()
    n = 4000
    samples = np.asarray(found.sample(jax.random.key(0), n))
    assert samples.shape == (n, 5, 2)
    z = (samples - np.asarray(found.ys))[:, 1:] / np.broadcast_to(
        np.reshape(found.std[0], (5, -1))[1:], (4, 2)
    )
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=4 / np.sqrt(n))
    np.testing.assert_allclose((z**2).mean(axis=0), 1.0, atol=6 / np.sqrt(n))
    # The covariance of the values at two times, from the likelihood of two values: a narrow density at their
    # conditional mean is as wide as the regression of the samples says.
    slope = (z[:, 0] * z[:, 3]).mean(axis=0)
    end = found.posterior.terminal.factor[0]
    gain = np.eye(len(end))
    for kernel in reversed(np.asarray(found.posterior.kernels.gain[1:, 0])):
        gain = kernel @ gain
    cross = (gain @ np.asarray(end.T @ end))[: 2 if covariance == "dense" else 1]
    cross = np.diag(cross[:, :2]) if covariance == "dense" else np.repeat(cross[0, 0], 2)
    stds = np.reshape(found.std[0], (5, -1))
    np.testing.assert_allclose(slope, cross / (stds[1] * stds[4]), atol=6 / np.sqrt(n))


def test_what_cannot_be_read_or_sampled_says_why(solution):
    with pytest.raises(ArgumentError, match="at: needs the steps of the solution"):
        solve_filter(field, START, 0.0, 0.1).at([0.05])
    with pytest.raises(ArgumentError, match=r"at.times: must increase within \[0.0, 0.8\]"):
        solution.at([0.5, 0.9])
    with pytest.raises(ArgumentError, match=r"at.times: must have shape"):
        solution.at(0.5)
    with pytest.raises(ArgumentError, match="sample: needs the solution of a smoother"):
        solution_on_grid(strategy="filter").sample(jax.random.key(0), 2)
    with pytest.raises(ArgumentError, match="n_samples: must be a whole number"):
        solution.sample(jax.random.key(0), 0)


def test_gradients_with_jacobians_and_all_correlations():
    times, data = np.array([0.1, 0.5, 0.75]), np.array([[19.0, 21.0], [15.0, 24.0], [13.0, 25.0]])

    def quantities(p):
        found = solve_filter_on_grid(
            lambda t, u, rate: rate * field(t, u, None), p[1:3], GRID, args=p[0], num=2, linearization="ts1",
            covariance="dense", y0_std=jnp.exp(p[3]), output_scale=jnp.exp(p[4]),
        ).at(times)  # fmt: skip
        likelihood = log_likelihood_series(found, data, obs_std=jnp.exp(p[5]))
        return jnp.concatenate([found.ys.ravel(), found.std[0].ravel(), likelihood[None]])

    point = np.array([1.1, 20.0, 19.0, -1.0, 2.0, -0.5])
    function, got = jax.jit(quantities), jax.jit(jax.jacfwd(quantities))(point)
    for k in range(len(point)):
        shift = 1e-4 * np.eye(len(point))[k]
        near, far = (function(point + s * shift) - function(point - s * shift) for s in (1, 2))
        scale = np.maximum(np.abs(function(point)), 1.0)
        np.testing.assert_allclose(got[:, k] / scale, (8.0 * near - far) / 12e-4 / scale, atol=1e-7)
