"""Shapes of what a kernel receives: weights (N, K), a source (..., N, K) and a target (..., N)."""

from collections.abc import Callable
from math import isqrt
from typing import Any

import brainunit as u
import jax.numpy as jnp

from .._core.arguments import numbers
from .._core.checks import ArgumentError


def weight_matrix(where: str, conn: Any, n_targets: int | None = None):
    """Return weights as a matrix (N, K); flattened ones need ``n_targets`` unless they are square."""
    numbers()(f"{where}.conn", conn)
    conn = u.math.asarray(conn)
    if conn.ndim == 1:
        n = n_targets or isqrt(conn.size)
        if conn.size % n or not (n_targets or n * n == conn.size):
            rule = f"must have {n} rows when flattened" if n_targets else "must be square when flattened"
            raise ArgumentError(f"{where}.conn", rule, f"length {conn.size}", "Pass it with shape (N, K)")
        return conn.reshape(n, -1)
    if conn.ndim != 2:
        raise ArgumentError(f"{where}.conn", "must have shape (N, K) or (N * K,)", conn.shape)
    if n_targets is not None and conn.shape[0] != n_targets:
        rule = f"must have one row per target, {n_targets}"
        raise ArgumentError(f"{where}.conn", rule, conn.shape, "As many as y has")
    return conn


def target_values(where: str, y: Callable | Any):
    """Return the target (..., N)."""
    y = _read(f"{where}.y", y)
    if y.ndim < 1:
        raise ArgumentError(f"{where}.y", "must have shape (..., N)", "a scalar")
    return y


def source_values(where: str, delayed_x: Callable | Any, weights: Any):
    """Return the source (..., N, K); slots of weight 0 that are not finite are set to 0."""
    n, k = weights.shape
    x = _read(f"{where}.delayed_x", delayed_x)
    if x.shape[-2:] != (n, k):
        if x.ndim < 1 or x.shape[-1] != n * k:
            rule = f"must have shape (..., {n}, {k}) or (..., {n * k})"
            cure = "It must fit conn: read it with prefetch_delay(state, (delay, delay_index(N)))"
            raise ArgumentError(f"{where}.delayed_x", rule, x.shape, cure)
        x = x.reshape(*x.shape[:-1], n, k)
    poisoned = aligned(u.get_mantissa(weights) == 0, x) & ~jnp.isfinite(u.get_mantissa(x))
    return u.math.where(poisoned, jnp.zeros((), x.dtype) * u.get_unit(x), x)


def weighted_sum(where: str, delayed_x: Callable | Any, conn: Any):
    """Return ``sum_k conn[i, k] * x[..., i, k]``, shape (..., N)."""
    weights = weight_matrix(where, conn)
    x = source_values(where, delayed_x, weights)
    return (aligned(weights, x) * x).sum(axis=-1)


def aligned(value: Any, like: Any):
    """Return a value with as many axes as ``like``, new ones first: batches are meant, not by chance."""
    return value.reshape(*[1] * (like.ndim - value.ndim), *value.shape) if like.ndim > value.ndim else value


def per_slot(value: Any, like: Any):
    """Return a scalar as it is, and a value per target (N,) to broadcast against the slots of ``like``."""
    value = jnp.asarray(u.get_magnitude(value))
    return aligned(value[..., None], like) if value.ndim else value


def is_array(where: str, value: Any) -> None:
    """Refuse a list, with which nothing can be computed."""
    if isinstance(value, list | tuple):
        raise ArgumentError(
            where, "must be a number or an array", repr(value), "Pass jax.numpy.asarray(value)"
        )


def _read(where: str, value: Callable | Any):
    """Return what a read reads, or the array itself."""
    found = value() if callable(value) else value
    numbers()(where, found)
    return u.math.asarray(found)
