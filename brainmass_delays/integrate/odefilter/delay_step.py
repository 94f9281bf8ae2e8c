"""One step of the filter for delay equations, and its new start at a kink."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .delay_equation import DelayedField
from .gaussian import column_norms, observe, stack, upper_root, whiten
from .prior import Dynamics
from .step import rms
from .triangular import triangularize
from .window import Memory, Read, Window


class DelayStep(NamedTuple):
    """Hold the window at the end of a step, its state before and after, and what steering it needs."""

    window: Window
    before: jax.Array
    after: jax.Array
    error: jax.Array
    surprise: jax.Array
    forgotten: jax.Array


@dataclasses.dataclass(frozen=True)
class DelayFilter:
    """Take steps in a delay equation whose delayed values are read from the filter's own posterior."""

    equation: DelayedField
    dynamics: Dynamics
    memory: Memory
    jacobians: bool
    damp: jax.Array
    side: jax.Array  # how far after a node is surely on its later side

    def start(self) -> Window:
        """Return the window at the initial time, with derivatives from the equation and its history."""
        equation, q = self.equation, self.memory.layout.n_coefficients
        past = equation.history(equation.t0 - equation.delays, q - 1)
        return self.memory.start(equation.t0, equation.coefficients(equation.t0, equation.initial, past))

    def read(self, window: Window, t: jax.Array) -> tuple[Read, jax.Array, jax.Array]:
        """Return how the delayed states at ``t`` depend on the window, whether they do, and their means.

        Of the sides of a kink the later one is read; times before the start are the history's.
        """
        equation, layout = self.equation, self.memory.layout
        wanted = t - equation.delays
        recorded = jax.lax.stop_gradient(wanted + self.side) >= equation.t0
        read = self.memory.locate(window.times, jnp.where(recorded, wanted, equation.t0), self.side)
        mean = window.joint.mean[:, : self.memory.n_nodes * self.memory.node_size]
        nodes = layout.rows(mean).reshape(self.memory.n_nodes, layout.n_coefficients, -1)
        inside = jnp.einsum("rinj,njd->rid", read.weights, nodes)
        past = equation.history(wanted, layout.n_coefficients - 1)
        return read, recorded, jnp.where(recorded[:, None, None], inside, past)

    def step(self, window: Window, t: jax.Array) -> DelayStep:
        """Step to ``t``, the equation linearized at the extrapolated mean and the mean of its past."""
        layout = self.memory.layout
        scale = jnp.ones(layout.n_blocks, window.times.dtype)
        before = self.memory.newest(window).mean
        predicted = self.memory.extend(window, t, self.dynamics, scale)
        read, recorded, delayed = self.read(predicted, t)
        rows = layout.rows(self.memory.newest(predicted).mean)
        residual = layout.mean((rows[1] - self.equation.field(t, rows[0], delayed[:, 0]))[None])
        linear, noise = self._linear_part(t, rows[0], delayed[:, 0], read, recorded)
        joint, root = observe(predicted.joint, linear, residual, noise)
        new = self.dynamics.transition(t - window.times[0], scale).noise
        local = upper_root(stack(new @ linear[..., : self.memory.node_size].mT, self._damp()))
        error = (rms(whiten(local, residual))[:, None] * column_norms(local))[..., None]
        after = layout.rows(joint.mean[:, : self.memory.node_size])[0]
        return DelayStep(
            predicted._replace(joint=joint),
            layout.rows(before)[0],
            after,
            jnp.broadcast_to(error, residual.shape).reshape(-1),
            rms(whiten(root, residual)) ** 2,
            jnp.any(recorded & read.forgotten),
        )

    def _damp(self):
        blocks, components, _ = self.memory.layout.entries
        eye = jnp.eye(components, dtype=self.damp.dtype)
        return jnp.broadcast_to(self.damp * eye, (blocks, components, components))

    def _linear_part(self, t, value, delayed, read, recorded) -> tuple[jax.Array, jax.Array]:
        """Return "derivative less field" as rows (block, c, W) on the window, and the root of its noise.

        The noise is that of a delayed value between two nodes, seen through the Jacobian.
        """
        memory, layout = self.memory, self.memory.layout
        newest = jnp.zeros((layout.n_coefficients, memory.n_nodes, layout.n_coefficients), value.dtype)
        newest = newest.at[:, 0].set(jnp.eye(layout.n_coefficients, dtype=value.dtype))
        linear = jnp.broadcast_to(
            memory.matrix(newest[1:2]), (layout.n_blocks, layout.n_components, memory.size)
        )
        if not self.jacobians:
            return linear, self._damp()
        now, past = jax.jacfwd(self.equation.field, argnums=(1, 2))(t, value, delayed)
        linear -= layout.coupling(now) @ memory.matrix(newest[:1])
        past = jnp.where(recorded[None, :, None], past, 0.0)
        noises = [self._damp()]
        for j in range(len(self.equation.delays)):
            coupling = layout.coupling(past[:, j])
            linear -= coupling @ memory.matrix(read.weights[j, :1])
            noises.append((read.std[j] * self.dynamics.diffusion)[..., None] * coupling.mT)
        return linear, upper_root(stack(*noises))

    def restart(self, window: Window) -> Window:
        """Append a node at the same time with the derivatives to the right of a kink.

        They follow from the value and the delayed states by the equation, linearized at the means; the noise
        of a delayed state between two nodes is left out.
        """
        memory, layout, t = self.memory, self.memory.layout, window.times[0]
        read, recorded, delayed = self.read(window, t)
        value = layout.rows(memory.newest(window).mean)[0]
        rows = self.equation.coefficients(t, value, delayed)
        linear = self._restart_rows(t, value, delayed, read, recorded)
        columns = window.joint.factor @ linear.mT
        window = memory.shift(window, t, layout.mean(rows), columns)
        return window._replace(joint=window.joint._replace(factor=triangularize(window.joint.factor)))

    def _restart_rows(self, t, value, delayed, read, recorded) -> jax.Array:
        """Return the derivatives to the right of a kink as rows (block, n, W) on the window."""
        memory, layout = self.memory, self.memory.layout
        q = layout.n_coefficients
        newest = jnp.zeros((1, memory.n_nodes, q), value.dtype).at[0, 0, 0].set(1.0)
        own = memory.matrix(newest)
        if not self.jacobians:
            rows = jnp.zeros((memory.node_size, memory.size), value.dtype)
            rows = rows.at[: layout.n_components].set(own)
            return jnp.broadcast_to(rows, (layout.n_blocks, *rows.shape))
        now, past = jax.jacfwd(self.equation.coefficients, argnums=(1, 2))(t, value, delayed)
        past = jnp.where(recorded[None, None, :, None, None], past, 0.0)
        parts = []
        for i in range(q):
            part = layout.coupling(now[i]) @ own
            for j in range(len(self.equation.delays)):
                for k in range(i):  # a derivative depends on lower ones of the past
                    part += layout.coupling(past[i, :, j, k]) @ memory.matrix(read.weights[j, k : k + 1])
            parts.append(part)
        return jnp.concatenate(parts, axis=1)
