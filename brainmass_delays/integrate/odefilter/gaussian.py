"""Gaussians and affine Gaussian kernels whose covariances are kept as square roots.

A state of ``d`` entries and its derivatives share one covariance over the ``q`` coefficients: ``P = R.T @
R``, the same for every entry. All functions use plain coordinates. The usual rescaling by powers of the step
size is not needed: QR decompositions and triangular solves do not change under a scaling of columns, only
sums of covariances would.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from .triangular import triangularize


class Gaussian(NamedTuple):
    """Hold a mean, shape (q, d), and a root of the covariance, shape (q, q)."""

    mean: jax.Array
    factor: jax.Array

    @property
    def std(self) -> jax.Array:
        """The standard deviation of each coefficient, shape (q,)."""
        return column_norms(self.factor)


class Transition(NamedTuple):
    """Hold the matrix ``F`` and a root of the noise covariance ``Q`` of one step, both of shape (q, q)."""

    matrix: jax.Array
    noise: jax.Array


class Kernel(NamedTuple):
    """Hold ``x | y ~ N(gain y + shift, factor.T factor)``; gain and factor (q, q), shift (q, d)."""

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


def residual_std(factor: jax.Array, row: int, noise_std: jax.Array) -> jax.Array:
    """Return the standard deviation of coefficient ``row`` seen through noise."""
    return column_norms(jnp.append(factor[:, row], noise_std)[:, None])[0]


def predict(gaussian: Gaussian, transition: Transition) -> Gaussian:
    """Carry a Gaussian over one step."""
    matrix, noise = transition
    factor = triangularize(jnp.concatenate([gaussian.factor @ matrix.T, noise]))
    return Gaussian(matrix @ gaussian.mean, factor)


def predict_and_reverse(gaussian: Gaussian, transition: Transition) -> tuple[Gaussian, Kernel]:
    """Carry a Gaussian over one step; also return the kernel that leads from its end back to its start."""
    matrix, noise = transition
    size = len(matrix)
    joint = triangularize(
        jnp.block([[noise, jnp.zeros_like(noise)], [gaussian.factor @ matrix.T, gaussian.factor]])
    )
    predicted = Gaussian(matrix @ gaussian.mean, joint[:size, :size])
    gain = _solve(predicted.factor, joint[:size, size:]).T
    shift = gaussian.mean - gain @ predicted.mean
    return predicted, Kernel(gain, shift, joint[size:, size:])


def _solve(factor: jax.Array, right: jax.Array) -> jax.Array:
    """Solve a triangular system; a pivot of zero (no noise at all) gives a solution of zero."""
    regular = jnp.diagonal(factor) != 0
    solvable = factor + jnp.diag(jnp.where(regular, 0.0, 1.0))
    return solve_triangular(solvable, jnp.where(regular[:, None], right, 0.0))


def observe(
    gaussian: Gaussian, row: int, residual: jax.Array, noise_std: jax.Array
) -> tuple[Gaussian, jax.Array]:
    """Condition on "coefficient ``row`` less its data is ``residual``"; also return the std of that.

    The root is updated without a decomposition: with ``v`` the column of the root and ``S = v.v + noise^2``,
    ``R - c v (v.R) / S`` is the exact root of the posterior (Potter's formula; a projection without noise).
    """
    column = gaussian.factor[:, row]
    std = residual_std(gaussian.factor, row, noise_std)
    safe = jnp.where(std > 0, std, 1.0)
    white = column / safe
    cross = white @ gaussian.factor
    mean = gaussian.mean - jnp.outer(cross / safe, residual)
    factor = gaussian.factor - jnp.outer(white, cross) / (1.0 + noise_std / safe)
    return Gaussian(mean, factor), std


def identity_kernel(gaussian: Gaussian) -> Kernel:
    """Return the kernel that leaves states like ``gaussian`` as they are."""
    mean, factor = gaussian
    return Kernel(jnp.eye(len(mean), dtype=mean.dtype), jnp.zeros_like(mean), jnp.zeros_like(factor))


def compose(outer: Kernel, inner: Kernel) -> Kernel:
    """Return the kernel that applies ``inner`` first and ``outer`` after it."""
    return Kernel(
        outer.gain @ inner.gain,
        outer.gain @ inner.shift + outer.shift,
        triangularize(jnp.concatenate([inner.factor @ outer.gain.T, outer.factor])),
    )


def push(kernel: Kernel, gaussian: Gaussian) -> Gaussian:
    """Send a Gaussian through a kernel."""
    factor = triangularize(jnp.concatenate([gaussian.factor @ kernel.gain.T, kernel.factor]))
    return Gaussian(kernel.gain @ gaussian.mean + kernel.shift, factor)


def rescale(distribution: Gaussian | Kernel, scale: jax.Array) -> Gaussian | Kernel:
    """Multiply all standard deviations by ``scale``."""
    return distribution._replace(factor=scale * distribution.factor)


def backward_marginals(terminal: Gaussian, kernels: Kernel) -> Gaussian:
    """Push ``terminal`` back through n stacked kernels; return the n + 1 marginals in order of time."""

    def body(gaussian, kernel):
        gaussian = push(kernel, gaussian)
        return gaussian, gaussian

    _, earlier = jax.lax.scan(body, terminal, kernels, reverse=True)
    return jax.tree.map(lambda rows, last: jnp.concatenate([rows, last[None]]), earlier, terminal)
