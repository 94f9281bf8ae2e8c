"""The three while loops: same values, same gradients, the bounds kept and the memory small."""

import functools
import math

import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import resolve, while_loop
from brainmass_delays.integrate.checkpointing import store_size

KINDS = ["bounded", "checkpointed"]


def relax(w, y, n, kind="lax", max_steps=None):
    """n steps of y += 0.1 tanh(w y), with the closed-over matrix w and an integer in the state."""

    def body(state):
        i, y = state
        return i + 1, y + 0.1 * jnp.tanh(w @ y)

    return while_loop(lambda state: state[0] < n, body, (0, y), kind=kind, max_steps=max_steps)[1]


def unrolled(w, y, n):
    for _ in range(n):
        y = y + 0.1 * jnp.tanh(w @ y)
    return y


W = np.random.default_rng(0).normal(size=(3, 3))
Y = np.array([0.3, -0.2, 0.5])


@functools.cache
def value_and_gradients(kind, max_steps):
    """Compile, once for every number of steps, the sum of squares and its gradients in matrix and state."""
    return jax.jit(jax.value_and_grad(lambda w, y, n: jnp.sum(relax(w, y, n, kind, max_steps) ** 2), (0, 1)))


@functools.cache
def expected_value_and_gradients(n):
    return jax.value_and_grad(lambda w, y: jnp.sum(unrolled(w, y, n) ** 2), (0, 1))(W, Y)


@pytest.mark.parametrize("n", [0, 1, 7, 40])
@pytest.mark.parametrize("max_steps", [40, 41, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient_are_those_of_the_unrolled_loop(kind, max_steps, n):
    value, grads = value_and_gradients(kind, max_steps)(W, Y, n)
    expected, expected_grads = expected_value_and_gradients(n)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    for grad, other in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(grad, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n", [1, 5, 6, 25, 63, 64, 99, 100])
def test_every_stride_of_the_checkpoint_store_is_replayed_exactly(n):
    slots, stride = store_size(100)
    assert slots * stride >= 100 and slots % 2 == 1
    _, (_, grad) = value_and_gradients("checkpointed", 100)(W, Y, n)
    _, (_, expected) = expected_value_and_gradients(n)
    np.testing.assert_allclose(grad, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["lax", *KINDS])
def test_stop_after_max_steps(kind):
    np.testing.assert_allclose(relax(W, Y, 99, kind, 20), unrolled(W, Y, 20), rtol=1e-13)


@pytest.mark.parametrize("kind", ["lax", *KINDS])
def test_vmap_equals_a_loop_when_lanes_end_at_different_steps(kind):
    counts = jnp.array([0, 3, 18, 30])
    batched = jax.vmap(lambda n: relax(W, Y, n, kind, 32))(counts)
    np.testing.assert_allclose(batched, jnp.stack([unrolled(W, Y, int(n)) for n in counts]), rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_under_vmap_and_jit(kind):
    counts = jnp.array([0, 3, 18, 30])
    grad = jax.jit(jax.grad(lambda w: jax.vmap(lambda n: relax(w, Y, n, kind, 32))(counts).sum()))(W)
    expected = jax.grad(lambda w: sum(unrolled(w, Y, int(n)).sum() for n in counts))(W)
    np.testing.assert_allclose(grad, expected, rtol=1e-12)
    per_lane = jax.jit(jax.vmap(jax.grad(lambda y, n: relax(W, y, n, kind, 32).sum()), (None, 0)))(Y, counts)
    expected = [jax.grad(lambda y, n=int(n): unrolled(W, y, n).sum())(Y) for n in counts]
    np.testing.assert_allclose(per_lane, jnp.stack(expected), rtol=1e-12)


def test_finished_lanes_keep_their_gradient_where_the_body_would_divide_by_zero():
    def remaining(x, kind="lax"):
        def halve(left):
            return left - jnp.minimum(left, 0.3 / jnp.sqrt(left))

        return while_loop(lambda left: left > 1e-3, halve, x, kind=kind, max_steps=20)

    for kind in KINDS:
        grad = jax.vmap(jax.grad(functools.partial(remaining, kind=kind)))(jnp.array([0.2, 1.0, 5.0]))
        assert np.all(np.isfinite(grad))


def test_lax_has_forward_mode_and_its_reverse_mode_names_the_cure():
    direction = jnp.ones_like(Y)
    _, tangent = jax.jvp(lambda y: relax(W, y, 9), (Y,), (direction,))
    _, expected = jax.jvp(lambda y: unrolled(W, y, 9), (Y,), (direction,))
    np.testing.assert_allclose(tangent, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="Reverse-mode differentiation.*'checkpointed'.*'bounded'"):
        jax.grad(lambda y: relax(W, y, 9).sum())(Y)


def test_bounded_has_second_derivatives_and_checkpointed_forward_over_reverse():
    def loss(x, kind):
        return while_loop(lambda y: y < 50.0, lambda y: x * y, x, kind=kind, max_steps=30)  # 2^6

    assert math.isclose(jax.grad(jax.grad(lambda x: loss(x, "bounded")))(2.0), 6 * 5 * 2**4)
    _, second = jax.jvp(jax.grad(lambda x: loss(x, "checkpointed")), (2.0,), (1.0,))
    assert math.isclose(second, 6 * 5 * 2**4)


@pytest.mark.parametrize(
    "hook", [jax.lax.while_loop, lambda *a: eqxi.while_loop(*a, kind="bounded", max_steps=64)]
)
def test_any_callable_is_a_loop(hook):
    np.testing.assert_allclose(relax(W, Y, 12, hook), unrolled(W, Y, 12), rtol=1e-13)


def test_only_parameters_that_are_trained_are_differentiated():
    """An integer and a constant matrix in the closure of the body must not break or cost a gradient."""
    grad = jax.jit(jax.grad(lambda y, w, n: relax(w, y, n, "checkpointed", 64).sum()))(Y, W, 11)
    np.testing.assert_allclose(grad, jax.grad(lambda y: unrolled(W, y, 11).sum())(Y), rtol=1e-12)


def test_single_precision(single_precision):
    w, y = jnp.asarray(W, jnp.float32), jnp.asarray(Y, jnp.float32)
    for kind in KINDS:
        grad = jax.grad(lambda y, kind=kind: relax(w, y, 20, kind, 64).sum())(y)
        assert grad.dtype == jnp.float32
        np.testing.assert_allclose(grad, jax.grad(lambda y: unrolled(w, y, 20).sum())(y), rtol=1e-5)


def test_memory_of_checkpointed_grows_like_the_square_root_of_max_steps():
    def temporary(max_steps):
        loss = jax.grad(lambda y: relax(jnp.eye(100), y, 30, "checkpointed", max_steps).sum())
        return jax.jit(loss).lower(jnp.ones(100)).compile().memory_analysis().temp_size_in_bytes

    sizes = [temporary(m) for m in (256, 4096, 65536)]
    assert sizes[1] / sizes[0] < 5 and sizes[2] / sizes[1] < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "boundd", "max_steps": 3}, "while_loop.kind: must be one of .* Did you mean 'bounded'"),
        ({"kind": "bounded"}, "while_loop.max_steps: is needed by kind 'bounded'"),
        (
            {"kind": "checkpointed", "max_steps": 0},
            "while_loop.max_steps: must be a whole number of at least 1",
        ),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        while_loop(lambda n: n < 3, lambda n: n + 1, 0, **arguments)


def test_resolve_takes_callables():
    assert resolve(jax.lax.while_loop)(lambda n: n < 3, lambda n: n + 1, 0) == 3
