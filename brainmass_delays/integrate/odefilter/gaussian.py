"""Gaussians and affine Gaussian kernels whose covariances are kept as square roots.

Everything comes in blocks that are independent of each other: a mean of shape (block, n, column) and a root
``R`` of shape (block, rows, n), where ``P = R.T @ R`` is the covariance of each column of the block. The
three state spaces of `layout` differ in nothing but these axes.

All functions use plain coordinates. The usual rescaling by powers of the step size is not needed: QR
decompositions and triangular solves do not change under a scaling of columns, only sums of covariances would.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from .triangular import triangularize


class Gaussian(NamedTuple):
    """Hold a mean, shape (block, n, column), and a root of the covariance, shape (block, rows, n)."""

    mean: jax.Array
    factor: jax.Array


class Transition(NamedTuple):
    """Hold the matrix ``F`` and a root of the noise covariance ``Q`` of one step, both (block, n, n)."""

    matrix: jax.Array
    noise: jax.Array


class Kernel(NamedTuple):
    """Hold ``x | y ~ N(gain y + shift, factor.T factor)``; gain, factor (block, n, n), shift like a mean."""

    gain: jax.Array
    shift: jax.Array
    factor: jax.Array


def column_norms(matrix: jax.Array) -> jax.Array:
    """Return the norm of each column; a zero column has gradient zero, and squares never underflow."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(matrix), axis=-2, keepdims=True))
    positive = largest > 0
    scale = jnp.where(positive, largest, 1.0)
    scaled = jnp.where(positive, matrix / scale, 1.0)
    norms = jnp.where(positive, scale * jnp.sqrt(jnp.sum(scaled**2, axis=-2, keepdims=True)), 0.0)
    return norms[..., 0, :]


def stack(*roots: jax.Array) -> jax.Array:
    """Stack roots of covariances that add up."""
    return jnp.concatenate(roots, axis=-2)


def predict(gaussian: Gaussian, transition: Transition) -> Gaussian:
    """Carry a Gaussian over one step."""
    matrix, noise = transition
    factor = triangularize(stack(gaussian.factor @ matrix.mT, noise))
    return Gaussian(matrix @ gaussian.mean, factor)


def predict_and_reverse(gaussian: Gaussian, transition: Transition) -> tuple[Gaussian, Kernel]:
    """Carry a Gaussian over one step; also return the kernel that leads from its end back to its start."""
    matrix, noise = transition
    size = matrix.shape[-1]
    forward = gaussian.factor @ matrix.mT
    ahead = jnp.concatenate([noise, jnp.zeros_like(noise)], axis=-1)
    joint = triangularize(stack(ahead, jnp.concatenate([forward, gaussian.factor], axis=-1)))
    predicted = Gaussian(matrix @ gaussian.mean, joint[..., :size, :size])
    gain = _solve(predicted.factor, joint[..., :size, size:]).mT
    shift = gaussian.mean - gain @ predicted.mean
    return predicted, Kernel(gain, shift, joint[..., size:, size:])


def _solve(factor: jax.Array, right: jax.Array) -> jax.Array:
    """Solve a triangular system; a pivot of zero (no noise at all) gives a solution of zero."""
    regular = (jnp.diagonal(factor, axis1=-2, axis2=-1) != 0)[..., None]
    solvable = factor + jnp.where(regular, 0.0, 1.0) * jnp.eye(factor.shape[-1], dtype=factor.dtype)
    return solve_triangular(solvable, jnp.where(regular, right, 0.0))


def upper_root(stacked: jax.Array) -> jax.Array:
    """Return the triangular root of a sum of covariances whose pivots are not negative."""
    if stacked.shape[-1] == 1:
        return column_norms(stacked)[..., None]
    factor = triangularize(stacked)
    pivots = jnp.diagonal(factor, axis1=-2, axis2=-1)
    return jnp.where(pivots < 0, -1.0, 1.0)[..., None] * factor


def observe(gaussian: Gaussian, rows: jax.Array, residual: jax.Array, noise: jax.Array):
    """Condition on "``rows @ x`` less its data is ``residual``"; also return a root of its covariance.

    ``rows`` is (block, k, n), ``residual`` (block, k, column), and ``noise`` an upper-triangular root (block,
    k, k) of the covariance of the data, with pivots that are not negative. With ``A = R rows.T`` and ``S =
    A.T A + noise.T noise = U.T U`` the root ``R - A (U + noise)^-1 U^-T A.T R`` of the posterior is exact,
    and needs no decomposition as large as ``R`` (Andrews 1968; Potter's formula for k = 1; a projection
    without noise).
    """
    mean, root = gaussian
    seen = root @ rows.mT
    upper = upper_root(stack(seen, noise))
    safe = _without_zero_pivots(upper)
    cross = solve_triangular(safe, seen.mT, trans="T") @ root  # (block, k, n)
    gain = solve_triangular(safe, cross).mT
    factor = root - seen @ solve_triangular(safe + noise, cross)
    return Gaussian(mean - gain @ residual, factor), upper


def _without_zero_pivots(upper: jax.Array) -> jax.Array:
    """Replace pivots of zero, which belong to what is known exactly and so need no correction, by one."""
    zero = jnp.diagonal(upper, axis1=-2, axis2=-1) == 0
    return upper + jnp.where(zero, 1.0, 0.0)[..., None] * jnp.eye(upper.shape[-1], dtype=upper.dtype)


def whiten(upper: jax.Array, residual: jax.Array) -> jax.Array:
    """Return a residual (block, k, column) in units of its standard deviations, given their root."""
    return solve_triangular(_without_zero_pivots(upper), residual, trans="T")


def log_density(upper: jax.Array, residual: jax.Array) -> jax.Array:
    """Evaluate the normal log-density of residuals (block, k, column) that have the root (block, k, k)."""
    n_columns = residual.shape[-1]
    pivots = jnp.diagonal(upper, axis1=-2, axis2=-1)
    normalization = n_columns * jnp.sum(jnp.log(jnp.abs(pivots))) + 0.5 * residual.size * jnp.log(2 * jnp.pi)
    return -0.5 * jnp.sum(solve_triangular(upper, residual, trans="T") ** 2) - normalization


def identity_kernel(gaussian: Gaussian) -> Kernel:
    """Return the kernel that leaves states like ``gaussian`` as they are."""
    mean, factor = gaussian
    return Kernel(
        jnp.zeros_like(factor) + jnp.eye(factor.shape[-1], dtype=factor.dtype),
        jnp.zeros_like(mean),
        0.0 * factor,
    )


def compose(outer: Kernel, inner: Kernel) -> Kernel:
    """Return the kernel that applies ``inner`` first and ``outer`` after it."""
    return Kernel(
        outer.gain @ inner.gain,
        outer.gain @ inner.shift + outer.shift,
        triangularize(stack(inner.factor @ outer.gain.mT, outer.factor)),
    )


def push(kernel: Kernel, gaussian: Gaussian) -> Gaussian:
    """Send a Gaussian through a kernel."""
    factor = triangularize(stack(gaussian.factor @ kernel.gain.mT, kernel.factor))
    return Gaussian(kernel.gain @ gaussian.mean + kernel.shift, factor)


def rescale(distribution: Any, scale: jax.Array) -> Any:
    """Multiply all standard deviations of each block of a Gaussian or kernel by its ``scale``, (block,)."""
    return distribution._replace(factor=scale[:, None, None] * distribution.factor)


def backward_marginals(terminal: Gaussian, kernels: Kernel) -> Gaussian:
    """Push ``terminal`` back through n stacked kernels; return the n + 1 marginals in order of time."""

    def body(gaussian, kernel):
        gaussian = push(kernel, gaussian)
        return gaussian, gaussian

    _, earlier = jax.lax.scan(body, terminal, kernels, reverse=True)
    return jax.tree.map(lambda rows, last: jnp.concatenate([rows, last[None]]), earlier, terminal)
