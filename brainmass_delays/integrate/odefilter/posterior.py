"""The joint distribution of a solution over several times: marginals, samples and densities of data."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..._core.trees import select
from .gaussian import (
    Gaussian,
    Kernel,
    backward_marginals,
    compose,
    identity_kernel,
    log_density,
    observe,
    predict_and_reverse,
    push,
    stack,
    upper_root,
)
from .prior import Dynamics


class Posterior(NamedTuple):
    """Hold a smoothed path: its last state, and the kernels from each reported time to the one before.

    Attributes
    ----------
    terminal : Gaussian
        The state at the last time: mean (block, n, column), root of the covariance (block, n, n).
    kernels : Kernel
        K - 1 stacked kernels for K reported times.
    """

    terminal: Gaussian
    kernels: Kernel

    def marginals(self) -> Gaussian:
        """Return the state at every time, with a leading axis K."""
        return backward_marginals(*self)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one path of means, shape (K, block, n, column), from its end to its start."""
        n_times = self.kernels.shift.shape[0] + 1
        noise = jax.random.normal(key, (n_times, *self.terminal.mean.shape), self.terminal.mean.dtype)
        last = self.terminal.mean + self.terminal.factor.mT @ noise[-1]

        def body(later, row):
            kernel, white = row
            earlier = kernel.gain @ later + kernel.shift + kernel.factor.mT @ white
            return earlier, earlier

        _, path = jax.lax.scan(body, last, (self.kernels, noise[:-1]), reverse=True)
        return jnp.concatenate([path, last[None]])

    def log_density(self, rows: jax.Array, data: jax.Array, noises: jax.Array) -> jax.Array:
        """Evaluate the density of data (K, block, c, column) on ``rows @ x``; noises (K, block, c, c)."""

        def observed(gaussian, vector, noise):
            residual = rows @ gaussian.mean - vector
            gaussian, upper = observe(gaussian, rows, residual, noise)
            return gaussian, log_density(upper, residual)

        def body(gaussian, row):
            kernel, vector, noise = row
            return observed(push(kernel, gaussian), vector, noise)

        last, density = observed(self.terminal, data[-1], noises[-1])
        _, densities = jax.lax.scan(body, last, (self.kernels, data[:-1], noises[:-1]), reverse=True)
        return density + jnp.sum(densities)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Joint:
    """Hold the values at K reported times as one Gaussian.

    Attributes
    ----------
    mean : array, shape (block, K * c, column)
        Ordered by time.
    factor : array, shape (block, rows, K * c)
        A root of their covariance.
    n_times : int
        K.
    """

    mean: jax.Array
    factor: jax.Array
    n_times: int = dataclasses.field(metadata={"static": True})

    def _by_time(self, values: jax.Array, axis: int) -> jax.Array:
        """Split an axis of K * c variables, and move the times to the front."""
        shape = (*values.shape[:axis], self.n_times, -1, *values.shape[axis + 1 :])
        return jnp.moveaxis(values.reshape(shape), axis, 0)

    def marginals(self) -> Gaussian:
        """Return the value at every time, with a leading axis K."""
        return Gaussian(self._by_time(self.mean, 1), self._by_time(self.factor, 2))

    def rescaled(self, scale: jax.Array) -> "Joint":
        """Return the posterior with all standard deviations of each block multiplied."""
        return dataclasses.replace(self, factor=scale[:, None, None] * self.factor)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw values at all times together, shape (K, block, c, column)."""
        blocks, rows, _ = self.factor.shape
        white = jax.random.normal(key, (blocks, rows, self.mean.shape[-1]), self.mean.dtype)
        return self._by_time(self.mean + self.factor.mT @ white, 1)

    def log_density(self, rows: jax.Array, data: jax.Array, noises: jax.Array) -> jax.Array:
        """Evaluate the density of data (K, block, c, column) on the values; diagonal noises."""
        del rows  # values are all there is
        stds = jnp.moveaxis(jnp.diagonal(noises, axis1=-2, axis2=-1), 0, 1).reshape(len(self.mean), -1)
        noise = stds[..., None] * jnp.eye(stds.shape[-1], dtype=stds.dtype)
        residual = self.mean - jnp.moveaxis(data, 0, 1).reshape(self.mean.shape)
        return log_density(upper_root(stack(self.factor, noise)), residual)


class Track(NamedTuple):
    """Hold what the filter knew at each of its steps, from which any time between them can be reached.

    Attributes
    ----------
    times : array, shape (N,)
        Ends of the steps, the initial time first.
    filtered : Gaussian
        The state at each of them given its past.
    scales : array, shape (N, block)
        Factor of the diffusion of each block in the step that ends there.
    """

    times: jax.Array
    filtered: Gaussian
    scales: jax.Array


def insert(track: Track, dynamics: Dynamics, times: jax.Array) -> tuple[Gaussian, Posterior]:
    """Return the filtering states and the posterior at sorted ``times``.

    A walk over the union of steps and times: at the end of a step the filter's own state is taken up,
    anywhere else the state is extrapolated and nothing is observed. The kernels of what lies between two of
    ``times`` are composed.
    """
    n_steps = len(track.times)
    union = jnp.concatenate([track.times, times])
    order = jnp.argsort(union, stable=True)  # a time at the end of a step comes after it
    # The step that a place belongs to is the next one to end.
    ahead = jax.lax.cummin(jnp.where(order < n_steps, order, n_steps - 1), reverse=True)
    first = jax.tree.map(lambda rows: rows[0], track.filtered)
    identity = identity_kernel(first)

    def body(carry, row):
        before, state, back = carry
        t, place, step = row
        real = t > before
        transition = dynamics.transition(jnp.where(real, t - before, 1.0), track.scales[step])
        state, link = select(real, predict_and_reverse(state, transition), (state, identity))
        is_step = place < n_steps
        state = select(is_step, jax.tree.map(lambda rows: rows[step], track.filtered), state)
        back = compose(back, link)
        return (t, state, select(is_step, back, identity)), (state, back)

    start = (union[order[0]], first, identity)
    (_, end, back), passed = jax.lax.scan(body, start, (union[order][1:], order[1:], ahead[1:]))
    wanted = jnp.argsort(order)[n_steps:] - 1  # the first place is the initial time itself
    states, kernels = jax.tree.map(lambda rows: rows[wanted], passed)
    return states, Posterior(push(back, end), jax.tree.map(lambda rows: rows[1:], kernels))
