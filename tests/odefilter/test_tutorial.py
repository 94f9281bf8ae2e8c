"""The tutorial: y' = y (1 - y) / 2 from 0.1 to time 1, loss dot(u, u), one derivative, tolerance 1e-3."""

import functools

import equinox.internal
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import solve_filter, taylor_coefficients, wiener_prior

EQUINOX = functools.partial(equinox.internal.while_loop, kind="bounded", max_steps=32)


def logistic(t, y, args):
    return 0.5 * y * (1.0 - y)


def loss(prior, while_loop):
    solution = solve_filter(
        logistic, prior, 0.0, 1.0, rtol=1e-3, atol=1e-3, max_steps=32, while_loop=while_loop
    )
    return jnp.dot(solution.ys, solution.ys), solution


def tutorial(while_loop):
    prior = wiener_prior(taylor_coefficients(logistic, jnp.array([0.1]), 0.0, num=1))
    return jax.jit(jax.value_and_grad(functools.partial(loss, while_loop=while_loop), has_aux=True))(prior)


def test_value_and_gradient_are_those_of_the_tutorial_in_double_precision():
    (value, solution), gradient = tutorial("checkpointed")
    assert value == pytest.approx(0.0239214038500586, rel=1e-9)
    np.testing.assert_allclose(
        jnp.concatenate(gradient.mean), [0.44023997912902, 0.02346074844391], rtol=1e-9
    )
    assert abs(gradient.output_scale) < 1e-8
    np.testing.assert_allclose(gradient.cholesky, 0.0, atol=1e-12)
    assert (solution.accepted, solution.rejected, solution.status) == (5, 0, 0)
    assert float(solution.std[0]) == pytest.approx(0.06255531979777151, rel=1e-9)


def test_value_and_gradient_are_those_of_the_tutorial_in_single_precision(single_precision):
    (value, solution), gradient = tutorial("checkpointed")
    assert value.dtype == jnp.float32
    assert value == pytest.approx(0.0239214038500586, rel=2e-5)
    np.testing.assert_allclose(
        jnp.concatenate(gradient.mean), [0.44023997912902, 0.02346074844391], rtol=2e-5
    )
    assert abs(gradient.output_scale) < 1e-8
    assert solution.accepted == 5


@pytest.mark.parametrize("while_loop", ["bounded", EQUINOX], ids=["bounded", "equinox"])
def test_differentiable_loops_agree(while_loop):
    (expected, _), expected_gradient = tutorial("checkpointed")
    (value, _), gradient = tutorial(while_loop)
    assert abs(value - expected) < 1e-12
    for mine, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected_gradient), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)


@pytest.mark.parametrize("while_loop", ["lax", jax.lax.while_loop], ids=["name", "hook"])
def test_lax_loop_refuses_reverse_mode_as_jax_does(while_loop):
    with pytest.raises(
        (ArgumentError, ValueError), match="Reverse-mode differentiation does not work for lax.while_loop"
    ):
        tutorial(while_loop)


def test_lax_loop_has_forward_mode():
    def value(y0):
        return solve_filter(logistic, y0, 0.0, 1.0, num=1).ys[0]

    tangent = jax.jvp(value, (jnp.array([0.1]),), (jnp.array([1.0]),))[1]
    assert 2 * 0.15466545784388502 * float(tangent) == pytest.approx(0.4496242785065786, rel=1e-9)


def test_no_nan_is_met_on_the_way():
    jax.config.update("jax_debug_nans", True)
    try:
        (value, _), gradient = tutorial("checkpointed")
    finally:
        jax.config.update("jax_debug_nans", False)
    assert value == pytest.approx(0.0239214038500586, rel=1e-9)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_first_step_of_one_derivative_is_heuns():
    h, y0 = 0.3, jnp.array([0.1, 0.7])
    solution = solve_filter(logistic, y0, 0.0, h, num=1, rtol=10.0, atol=10.0, dt0=h)
    euler = y0 + h * logistic(0.0, y0, None)
    heun = y0 + 0.5 * h * (logistic(0.0, y0, None) + logistic(h, euler, None))
    assert solution.accepted == 1
    np.testing.assert_allclose(solution.ys, heun, rtol=1e-14)


def test_initial_values_in_a_batch_give_what_a_loop_over_them_gives():
    def value(y0):
        solution = solve_filter(logistic, y0, 0.0, 1.0, num=2, while_loop="checkpointed", max_steps=32)
        return jnp.sum(solution.ys), solution.accepted

    derivative = jax.jit(jax.value_and_grad(value, has_aux=True))
    starts = jnp.array([[0.1], [0.5], [0.9]])
    batch = jax.vmap(derivative)(starts)
    single = [derivative(start) for start in starts]
    for mine, other in zip(
        jax.tree.leaves(batch), zip(*map(jax.tree.leaves, single), strict=True), strict=True
    ):
        np.testing.assert_allclose(mine, jnp.stack(other), rtol=1e-12)
