"""The filter for delay equations in batches, in single precision, and at delays at the edge of use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.integrate import log_likelihood_series, solve_filter_dde

OPTIONS = {"num": 1, "window": 14, "covariance": "isotropic", "max_steps": 64, "dt0": 0.2}


def hutchinson(t, y, delayed, args):
    return 1.5 * y * (1.0 - delayed)


def end(delay, start, tol, **options):
    solution = solve_filter_dde(hutchinson, start, 0.0, 2.0, delay, rtol=tol, atol=tol, **OPTIONS | options)
    return solution.ys, solution.std[0], solution.accepted, solution.status


def test_a_batch_is_its_members():
    """Lanes take different numbers of steps; one of them has no delay."""
    delays, starts, tols = (
        jnp.array([1.0, 0.0, 0.45]),
        jnp.array([0.5, 0.8, 1.2]),
        jnp.array([1e-2, 3e-2, 2e-2]),
    )
    alone = jax.jit(end)
    rows = [alone(*row) for row in zip(delays, starts, tols, strict=True)]
    batch = jax.jit(jax.vmap(end))(delays, starts, tols)
    for got, wanted in zip(batch, zip(*rows, strict=True), strict=True):
        np.testing.assert_allclose(got, np.array(wanted), rtol=1e-9, atol=1e-14)
    assert len({int(n) for n in batch[2]}) > 1


@pytest.mark.slow
def test_gradients_of_a_batch_are_those_of_its_members():
    times, data = np.array([0.5, 1.0, 1.7]), np.array([0.8, 1.1, 1.3])

    def density(delay):
        solution = solve_filter_dde(
            hutchinson, 0.5, 0.0, 2.0, delay, rtol=None, save_at=times, while_loop="checkpointed", **OPTIONS
        )
        return log_likelihood_series(solution, data, obs_std=0.1, average=False)

    delays = jnp.array([0.9, 1.1])
    grad = jax.grad(density)
    np.testing.assert_allclose(jax.jit(jax.vmap(grad))(delays), [jax.jit(grad)(d) for d in delays], rtol=1e-9)


def test_single_precision_is_double_precision_rounded(single_precision):
    single = end(1.0, jnp.float32(0.5), 1e-2)
    assert single[0].dtype == single[1].dtype == jnp.float32
    with jax.enable_x64(True):
        double = end(1.0, jnp.float64(0.5), 1e-2)
        kept = end(1.0, jnp.float32(0.5), 1e-2)  # a state of single precision among doubles
    assert double[0].dtype == jnp.float64
    assert kept[0].dtype == jnp.float32
    for got in (single, kept):
        np.testing.assert_allclose(got[0], double[0], rtol=2e-5)
        np.testing.assert_allclose(got[1], double[1], rtol=2e-3)
        assert got[2] == double[2]
