"""The joint distribution of a filter's recent states and of the values it was asked to remember.

A delay equation ties the present to the past, so the present is correlated with it: an error made one delay
ago comes back. A window keeps the states at the last M + 1 *nodes* (ends of steps), newest first, and the
values at K times to be reported, as one Gaussian. Conditioning on the equation then corrects the past too.

Variables are ordered (node, coefficient, component), then (reported time, component).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .bridge import bridge
from .gaussian import Gaussian, stack
from .layout import Layout
from .prior import Dynamics
from .triangular import triangularize


class Window(NamedTuple):
    """Hold the times of the nodes, newest first, (M + 1,), and the joint Gaussian of ``W`` variables."""

    times: jax.Array
    joint: Gaussian


class Read(NamedTuple):
    """Hold "value at a time = weights @ window + noise" for R times.

    ``weights`` (R, q, node, q) gives every coefficient, ``std`` (R,) is for unit diffusion and of the value,
    ``forgotten`` (R,) tells where the time is older than the window.
    """

    weights: jax.Array
    std: jax.Array
    forgotten: jax.Array


@dataclasses.dataclass(frozen=True)
class Memory:
    """Say what a window holds: ``n_nodes`` states in a layout and the values at ``reported`` times."""

    layout: Layout
    n_nodes: int
    reported: jax.Array

    @property
    def node_size(self) -> int:
        """Numbers per block in one node."""
        return self.layout.n_coefficients * self.layout.n_components

    @property
    def size(self) -> int:
        """Numbers per block in all of the window."""
        return self.n_nodes * self.node_size + len(self.reported) * self.layout.n_components

    def start(self, t0: jax.Array, rows: jax.Array) -> Window:
        """Return the window at the initial time, all of whose nodes are the exact initial state."""
        layout = self.layout
        state, value = layout.mean(rows), layout.mean(rows[:1])
        mean = jnp.concatenate([state] * self.n_nodes + [value] * len(self.reported), axis=1)
        size = mean.shape[1]
        root = jnp.zeros((layout.n_blocks, size, size), mean.dtype)
        return Window(jnp.broadcast_to(t0, (self.n_nodes,)), Gaussian(mean, root))

    def newest(self, window: Window) -> Gaussian:
        """Return the state at the newest node."""
        mean, root = window.joint
        return Gaussian(mean[:, : self.node_size], root[..., : self.node_size])

    def values(self, window: Window) -> Gaussian:
        """Return the joint distribution of the values reported."""
        mean, root = window.joint
        start = self.n_nodes * self.node_size
        return Gaussian(mean[:, start:], root[..., start:])

    def locate(self, times: jax.Array, wanted: jax.Array, after: jax.Array) -> Read:
        """Return how to read the states at ``wanted`` times, those at a node from its ``after`` side."""
        places = jax.lax.stop_gradient(wanted + after)
        later = jnp.clip(jnp.sum(times > places[:, None], axis=1) - 1, 0, self.n_nodes - 2)
        start, end = times[later + 1], times[later]
        real = end > start
        length = jnp.where(real, end - start, 1.0)
        since = jnp.where(real, wanted - start, 0.0)
        between = jax.vmap(lambda a, h: bridge(self.layout.n_coefficients - 1, a, h))(since, length)
        pick = jax.nn.one_hot(later, self.n_nodes, dtype=times.dtype)
        pick_earlier = jax.nn.one_hot(later + 1, self.n_nodes, dtype=times.dtype)
        weights = jnp.einsum("rn,rij->rinj", pick, between.later)
        weights += jnp.einsum("rn,rij->rinj", pick_earlier, between.earlier)
        return Read(weights, between.std, places < times[-1])

    def matrix(self, weights: jax.Array) -> jax.Array:
        """Return weights (k, node, q) on coefficients as rows (k * c, W) on the variables of every block."""
        rows = self.layout.lift(weights.reshape(len(weights), -1))
        return jnp.pad(rows, ((0, 0), (0, len(self.reported) * self.layout.n_components)))

    def shift(self, window: Window, t: jax.Array, mean, columns) -> Window:
        """Append a node and forget the oldest one, given its mean and its columns of the root."""
        (old_mean, old_root), end = window.joint, self.n_nodes * self.node_size
        kept = end - self.node_size
        means = jnp.concatenate([mean, old_mean[:, :kept], old_mean[:, end:]], axis=1)
        root = jnp.concatenate([columns, old_root[..., :kept], old_root[..., end:]], axis=-1)
        return Window(jnp.concatenate([t[None], window.times[:-1]]), Gaussian(means, root))

    def extend(self, window: Window, new_time: jax.Array, dynamics: Dynamics, scale: jax.Array) -> Window:
        """Extrapolate to a later time, and remember the values at the reported times on the way."""
        old_time = window.times[0]
        matrix, noise = dynamics.transition(new_time - old_time, scale)
        mean, root = self.newest(window)
        grown = self.shift(window, new_time, matrix @ mean, root @ matrix.mT)
        fresh = jnp.pad(noise, ((0, 0), (0, 0), (0, grown.joint.mean.shape[1] - noise.shape[-1])))
        joint = grown.joint._replace(factor=stack(fresh, grown.joint.factor))
        if len(self.reported):
            joint = self._remember(joint, old_time, new_time, scale[:, None] * dynamics.diffusion)
        return grown._replace(joint=joint._replace(factor=triangularize(joint.factor)))

    def _remember(self, joint: Gaussian, old_time, new_time, diffusion) -> Gaussian:
        """Let the values at the times in (old, new] depend on the nodes at both ends."""
        layout, start = self.layout, self.n_nodes * self.node_size
        passed = (self.reported > old_time) & (self.reported <= new_time)
        since = jnp.where(passed, self.reported - old_time, 0.0)
        between = jax.vmap(lambda a: bridge(layout.n_coefficients - 1, a, new_time - old_time))(since)
        ends = jnp.concatenate([between.later[:, 0], between.earlier[:, 0]], axis=1)  # (K, 2 q)
        rows = layout.lift(ends)
        passed_rows = jnp.repeat(passed, layout.n_components)
        two = slice(0, 2 * self.node_size)
        values = jnp.where(passed_rows[:, None], rows @ joint.mean[:, two], joint.mean[:, start:])
        columns = jnp.where(passed_rows, joint.factor[..., two] @ rows.T, joint.factor[..., start:])
        std = jnp.where(passed, between.std, 0.0)
        own = (std[:, None] * diffusion[:, None, :]).reshape(layout.n_blocks, -1)  # (block, K c)
        noise = own[..., None] * jnp.eye(own.shape[-1], dtype=own.dtype)
        factor = jnp.concatenate([joint.factor[..., :start], columns], axis=-1)
        noise = jnp.pad(noise, ((0, 0), (0, 0), (start, 0)))
        return Gaussian(jnp.concatenate([joint.mean[:, :start], values], axis=1), stack(noise, factor))
