"""Inference per sample, stopped by the vector field; a time limit is no convergence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.predictive import (
    init_activities_from_normal,
    init_activities_with_ffwd,
    make_mlp,
    neg_activity_grad,
    pc_energy,
    solve_inference,
)

SIZES = [4, 8, 6, 3]
PARAMS = make_mlp(jax.random.key(0), SIZES, "tanh"), None


def data(n):
    return jax.random.normal(jax.random.key(1), (n, 3)), jax.random.normal(jax.random.key(2), (n, 4))


def test_a_batch_of_256_gives_what_each_sample_gives_alone():
    y, x = data(256)
    start = init_activities_with_ffwd(PARAMS, x)
    together = solve_inference(PARAMS, start, y, x, max_t1=50.0)
    assert len(np.unique(np.asarray(together.n_steps))) > 3  # samples differ in what they need
    for i in (0, 7, 100, 255):
        one = slice(i, i + 1)
        alone = solve_inference(PARAMS, [z[one] for z in start], y[one], x[one], max_t1=50.0)
        np.testing.assert_allclose(together.t[i], alone.t[0], rtol=1e-9)
        assert together.n_steps[i] == alone.n_steps[0]
        for a, b in zip(together.activities, alone.activities, strict=True):
            np.testing.assert_allclose(a[i], b[0], atol=1e-10)


def test_it_stops_by_the_vector_field_and_says_so():
    y, x = data(5)
    start = init_activities_with_ffwd(PARAMS, x)
    result = solve_inference(PARAMS, start, y, x, max_t1=500.0, stop_rtol=1e-3, stop_atol=0.0)
    assert result.converged.all()
    assert (result.t < 500).all()
    flow = neg_activity_grad(0.0, result.activities, (PARAMS, y, x, "MSE", None))
    rms = np.sqrt(np.mean(np.concatenate([5 * np.asarray(f) for f in flow[:-1]], axis=1) ** 2, axis=1))
    size = np.sqrt(
        np.mean(np.concatenate([np.asarray(z) for z in result.activities[:-1]], axis=1) ** 2, axis=1)
    )
    np.testing.assert_allclose(result.residual, rms, rtol=1e-9)
    assert (rms <= 1e-3 * size).all()
    np.testing.assert_array_equal(result.activities[-1], start[-1])


def test_a_time_limit_is_no_convergence():
    y, x = data(5)
    result = solve_inference(PARAMS, init_activities_with_ffwd(PARAMS, x), y, x, max_t1=0.1)
    np.testing.assert_allclose(result.t, 0.1, rtol=1e-12)
    assert not result.converged.any()
    assert (result.residual > 1e-3).all()


def test_small_activities_do_not_stop_it():
    y, x = data(5)
    for sigma in (1e-4, 1e-8):
        start = init_activities_from_normal(jax.random.key(3), SIZES, "supervised", 5, sigma=sigma)
        result = solve_inference(PARAMS, start, y, x, max_t1=100.0)
        assert (result.t > 1).all()
        assert result.converged.all()
        assert pc_energy(PARAMS, result.activities, y, x) < 0.9 * pc_energy(PARAMS, start, y, x)


@pytest.mark.parametrize(
    "prior, loss_id",
    [
        (True, "MSE"),
        (False, "CE"),
        pytest.param(True, "CE", marks=pytest.mark.slow),
        pytest.param(False, "MSE", marks=pytest.mark.slow),
    ],
)
def test_energy_falls_along_the_recorded_flow(loss_id, prior):
    y, x = data(3)
    y = y if loss_id == "MSE" else jnp.eye(3)
    start = init_activities_from_normal(
        jax.random.key(3), SIZES, "supervised" if prior else "unsupervised", 3, sigma=1.0
    )
    x = x if prior else None
    times = jnp.linspace(0.0, 10.0, 41)
    result = solve_inference(
        PARAMS,
        start,
        y,
        x,
        loss_id,
        max_t1=10.0,
        record_at=times,
        rtol=1e-8,
        atol=1e-8,
        stop_rtol=0.0,
        stop_atol=0.0,
        method="dopri5",
    )
    energies = jax.vmap(lambda *z: pc_energy(PARAMS, list(z), y, x, loss_id))(*result.trajectory)
    assert (np.diff(energies) < 0).all()
    assert result.ts.shape == (41,)
    for recorded, first, last in zip(result.trajectory, start, result.activities, strict=True):
        np.testing.assert_allclose(recorded[0], first, atol=1e-12)
        np.testing.assert_allclose(recorded[-1], last, atol=1e-10)


def test_a_stopped_sample_rests_in_the_record():
    y, x = data(3)
    result = solve_inference(
        PARAMS, init_activities_with_ffwd(PARAMS, x), y, x, max_t1=100.0, record_at=jnp.array([1.0, 100.0])
    )
    assert (result.t < 100).all()
    for recorded, last in zip(result.trajectory, result.activities, strict=True):
        np.testing.assert_allclose(recorded[-1], last, atol=1e-12)


@pytest.mark.parametrize("while_loop", [pytest.param("bounded", marks=pytest.mark.slow), "checkpointed"])
def test_gradients_through_inference(while_loop):
    y, x = data(2)
    start = init_activities_with_ffwd(PARAMS, x)

    def value(y):
        found = solve_inference(
            PARAMS,
            start,
            y,
            x,
            max_t1=2.0,
            rtol=1e-9,
            atol=1e-9,
            method="dopri5",
            stop_rtol=0.0,
            stop_atol=0.0,
            max_steps=64,
            while_loop=while_loop,
        )
        return jnp.sum(found.activities[0] ** 2)

    both, h = jax.jit(jax.value_and_grad(value)), 1e-5
    shift = h * jnp.zeros_like(y).at[0, 1].set(1)
    difference = (both(y + shift)[0] - both(y - shift)[0]) / (2 * h)
    np.testing.assert_allclose(both(y)[1][0, 1], difference, rtol=1e-6)


def test_activity_decay_moves_the_inert_entry_of_every_sample_alike():
    y, x = data(3)
    start = [jnp.ones_like(z) for z in init_activities_with_ffwd(PARAMS, x)]
    result = solve_inference(
        PARAMS,
        start,
        y,
        x,
        max_t1=1.0,
        rtol=1e-8,
        atol=1e-8,
        method="dopri5",
        stop_rtol=0.0,
        stop_atol=0.0,
        activity_decay=0.5,
    )
    np.testing.assert_allclose(result.activities[-1], np.exp(-0.5), rtol=1e-6)


def test_a_changed_tolerance_does_not_recompile():
    y, x = data(3)
    traced = []
    layers = [jax.tree_util.Partial(lambda d, z: traced.append(z) or d(z), layer) for layer in PARAMS[0]]
    start = init_activities_with_ffwd(PARAMS, x)
    solve_inference(layers, start, y, x, max_t1=1.0)
    n_traced = len(traced)
    solve_inference(layers, start, y + 1, x, max_t1=2.0, rtol=1e-2, stop_rtol=1e-2)
    assert len(traced) == n_traced > 0


def test_failures_are_raised_and_named():
    y, x = data(3)
    start = init_activities_with_ffwd(PARAMS, x)
    with pytest.raises(RunError, match="solve_inference: max_steps was reached before the end time"):
        solve_inference(PARAMS, start, y, x, max_t1=100.0, max_steps=3)
    with pytest.raises(RunError, match="solve_inference"):
        solve_inference(PARAMS, start, y.at[1, 1].set(jnp.nan), x)
    status = jax.jit(lambda y: solve_inference(PARAMS, start, y, x, max_t1=100.0, max_steps=3).status)(y)
    assert (status > 0).all()
    for name, value in {
        "max_t1": 0.0,
        "rtol": -1.0,
        "atol": 0.0,
        "stop_rtol": np.nan,
        "dt0": -1.0,
        "max_steps": 0,
        "method": "rk4",
    }.items():
        with pytest.raises(ArgumentError, match=f"solve_inference.{name}: must be"):
            solve_inference(PARAMS, start, y, x, **{name: value})
    with pytest.raises(ArgumentError, match="record_at: must ascend and not pass max_t1 = 20.0"):
        solve_inference(PARAMS, start, y, x, record_at=np.array([1.0, 30.0]))
