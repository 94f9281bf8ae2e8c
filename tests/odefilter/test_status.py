"""A run that fails says so: eagerly by an error, under jit by a flag, always with the time reached."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays._core.status import MAX_STEPS_REACHED, NOT_FINITE, STEP_UNDERFLOW, RunError
from brainmass_delays.integrate import solve_filter, solve_filter_on_grid


def logistic(t, y, args):
    return 0.5 * y * (1.0 - y)


Y0 = np.array([0.1])


def test_too_few_steps_raise_with_the_time_reached():
    with pytest.raises(RunError, match=r"max_steps was reached.*Reached t = 0\.57.* 3 steps accepted"):
        solve_filter(logistic, Y0, 0.0, 1.0, num=1, max_steps=3)


@pytest.mark.parametrize("strategy", ["filter", "fixed-interval"])
def test_too_few_steps_are_visible_under_jit(strategy):
    solution = jax.jit(lambda: solve_filter(logistic, Y0, 0.0, 1.0, num=1, max_steps=3, strategy=strategy))()
    assert solution.status == MAX_STEPS_REACHED
    assert float(np.ravel(solution.ts)[-1]) == pytest.approx(0.570023869, rel=1e-8)


def test_too_few_steps_for_the_later_checkpoints():
    times = np.array([0.2, 0.9, 1.0])
    solution = jax.jit(lambda: solve_filter(logistic, Y0, 0.0, 1.0, num=1, save_at=times, max_steps=3))()
    assert solution.status == MAX_STEPS_REACHED
    assert float(solution.ts[0]) == pytest.approx(0.2, abs=1e-15)
    np.testing.assert_allclose(solution.ts[1:], 0.570023869, rtol=1e-8)


def test_a_hook_that_stops_early_is_noticed():
    def three_times(cond, body, init):
        return jax.lax.fori_loop(0, 3, lambda _, state: body(state), init)

    with pytest.raises(RunError, match="max_steps was reached"):
        solve_filter(logistic, Y0, 0.0, 1.0, num=1, while_loop=three_times)


def test_blow_up_is_flagged_before_the_end():
    with pytest.raises(RunError, match=r"max_steps was reached.*Reached t = 1 "):
        solve_filter(lambda t, y, args: y**2, jnp.array([1.0]), 0.0, 2.0, num=2, rtol=1e-6, atol=1e-6)


def test_nan_of_the_field_is_flagged():
    def field(t, y, args):
        return jnp.where(t > 0.5, jnp.nan, -y)

    solution = jax.jit(lambda: solve_filter(field, Y0, 0.0, 1.0, num=1))()
    assert solution.status == NOT_FINITE
    assert 0.4 < solution.ts <= 0.5
    assert np.isfinite(solution.ys).all()


def test_nan_at_the_start_is_flagged():
    with pytest.raises(RunError, match="NaN or infinite"):
        solve_filter(logistic, jnp.array([jnp.nan]), 0.0, 1.0)


def test_underflow_of_the_step_is_flagged():
    solution = jax.jit(lambda: solve_filter(logistic, Y0, 0.0, 1.0, num=1, rtol=1e-40, atol=1e-40))()
    assert solution.status == STEP_UNDERFLOW
    assert solution.ts < 1.0


def test_nan_on_a_grid_is_flagged():
    with pytest.raises(RunError, match="NaN or infinite"):
        solve_filter_on_grid(lambda t, y, args: jnp.sqrt(y - 1.0), Y0, [0.0, 0.5, 1.0])


@pytest.mark.parametrize("calibration", ["none", "mle", "dynamic"])
def test_a_solution_at_rest_stays_finite(calibration):
    def value(y0):
        solution = solve_filter(
            lambda t, y, args: 0.0 * y, y0, 0.0, 1.0, calibration=calibration, while_loop="checkpointed",
            max_steps=16,
        )  # fmt: skip
        return jnp.sum(solution.ys) + solution.std[0], solution

    (_, solution), gradient = jax.jit(jax.value_and_grad(value, has_aux=True))(Y0)
    assert solution.status == 0
    np.testing.assert_allclose(solution.ys, Y0)
    np.testing.assert_allclose(gradient, 1.0)
