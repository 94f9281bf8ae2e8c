"""The three-stage Radau IIA method: order 5, L-stable, for stiff equations with and without delays.

Its continuous extension is the collocation polynomial, which passes through the stages: a delay shorter than
the step reads the polynomial that is being sought, and Newton's method sees that dependence. Jacobians are
computed by forward mode, in one direction for all columns that share no row.

References
----------
.. [1] E. Hairer, G. Wanner. Solving Ordinary Differential Equations II. Springer, 1996. Section IV.8.
.. [2] N. Guglielmi, E. Hairer. Implementing Radau IIA methods for stiff delay differential equations.
   Computing 67 (2001) 1-12.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .runge_kutta import Trial, margin
from .solution import Pieces, evaluate_piece
from .sparsity import Coloring

ROOT6 = 6**0.5
NODES = ((4 - ROOT6) / 10, (4 + ROOT6) / 10, 1.0)
STAGES = np.array([
    [(88 - 7 * ROOT6) / 360, (296 - 169 * ROOT6) / 1800, (-2 + 3 * ROOT6) / 225],
    [(296 + 169 * ROOT6) / 1800, (88 + 7 * ROOT6) / 360, (-2 - 3 * ROOT6) / 225],
    [(16 - ROOT6) / 36, (16 + ROOT6) / 36, 1 / 9],
])  # fmt: skip
INVERSE = np.linalg.inv(STAGES)
TO_POWERS = np.linalg.inv(np.asarray(NODES)[:, None] ** np.arange(1, 4))  # of theta, from the stages
REAL = 3 + 3 ** (2 / 3) - 3 ** (1 / 3)  # the real eigenvalue of INVERSE
ERROR = np.array([-13 - 7 * ROOT6, -13 + 7 * ROOT6, -1]) / 3
MOST_ITERATIONS = 8
CLOSE = 1e-2  # of the tolerance: the last correction of Newton's method


class Iterate(NamedTuple):
    """Hold an iterate of Newton's method: the stages, its last correction in tolerances, the matrix."""

    stages: jax.Array  # [stage, component], relative to the state at the start
    change: jax.Array
    matrix: jax.Array  # d residual / d stages
    last: jax.Array  # d slope / d state of the last stage
    iteration: jax.Array


@dataclass(frozen=True)
class Radau:
    """Attempt steps by collocation; ``coupled`` tells whether a stage may read the others by a delay, and
    ``coloring`` which entries the Jacobian of the slope has, those through delays included."""

    coupled: bool
    coloring: Coloring

    solves_overlap = True
    order = 5
    error_order = 4
    degree = 3
    nodes = (0.0, *NODES)

    def trial(self, state, reader, slope: Callable, norm: Callable, restart: bool) -> Trial:
        """Try one step; the gradient is that of the stages that solve the collocation equations."""
        found = reader.fixed(lambda reader: self._solve(state, reader, slope, norm))
        h = state.end - state.t
        slopes = self._slopes(state, reader, slope, found.stages)
        residual = found.stages - h * jnp.asarray(STAGES, h.dtype) @ slopes
        # a last correction, of which d stages = -(d residual / d stages)^-1 d residual is the derivative
        stages = found.stages - jnp.linalg.solve(found.matrix, residual.ravel()).reshape(residual.shape)
        piece = self._piece(state, stages)
        ends = jnp.asarray(INVERSE[2], h.dtype) @ stages / h
        power = reader.fixed(lambda reader: self._power(state, reader, slope, norm, found, stages, restart))
        directions = self.coloring.n_colors * (3 if self.coupled else 1)
        evaluations = 3 * (found.iteration * (1 + directions) + 1) + 2
        return Trial(state.y + stages[2], ends, piece, power, evaluations)

    def _piece(self, state, stages):
        powers = (jnp.asarray(TO_POWERS, stages.dtype) @ stages).T
        h = state.end - state.t
        return Pieces(state.t, h, jnp.concatenate([state.y[:, None], powers], axis=-1))

    def _slopes(self, state, reader, slope, stages):
        """Return the slopes at the stages, shape (stage, component)."""
        piece = self._piece(state, stages) if self.coupled else None
        rows = [slope(reader, c, state.y + stages[i], state.slope, piece) for i, c in enumerate(NODES)]
        return jnp.stack(rows)

    def _solve(self, state, reader, slope, norm) -> Iterate:
        """Find the stages by Newton's method, starting from the polynomial of the step before."""
        h, n = state.end - state.t, state.y.size
        times = jnp.stack([state.t + c * h for c in NODES])
        last = state.last
        guess = jax.vmap(lambda t: evaluate_piece(last, t))(times) - state.y
        guess = jnp.where(jnp.all(jnp.isfinite(guess)), guess, 0.0)
        collocation = jnp.asarray(STAGES, h.dtype)

        def correct(iterate):
            stages = iterate.stages
            slopes, derivative = self._linearize(state, reader, slope, stages)
            mixed = jnp.einsum("ij,jakb->iakb", collocation, derivative).reshape(3 * n, 3 * n)
            matrix = jnp.eye(3 * n, dtype=h.dtype) - h * mixed
            residual = stages - h * collocation @ slopes
            change = jnp.linalg.solve(matrix, residual.ravel()).reshape(stages.shape)
            size = jnp.max(jax.vmap(lambda x: norm(x, state.y, state.y + stages[2]))(change))
            return Iterate(stages - change, size, matrix, derivative[2, :, 2], iterate.iteration + 1)

        def going(iterate):
            return (iterate.change > CLOSE) & (iterate.iteration < MOST_ITERATIONS)

        blank = Iterate(
            guess, jnp.asarray(jnp.inf, h.dtype), jnp.zeros((3 * n, 3 * n), state.y.dtype),
            jnp.zeros((n, n), state.y.dtype), jnp.int32(0),
        )  # fmt: skip
        return lax.while_loop(going, correct, blank)

    def _linearize(self, state, reader, slope, stages):
        """Return the slopes and their derivative, shape (stage, component, stage, component)."""
        seeds = self.coloring.directions(stages.dtype)
        if self.coupled:
            basis = jnp.einsum("ij,ca->icja", jnp.eye(3, dtype=stages.dtype), seeds)
            basis = basis.reshape(-1, *stages.shape)
        else:  # all stages at once, as none depends on another
            basis = jnp.broadcast_to(seeds[:, None], (len(seeds), *stages.shape))
        slopes, push = jax.linearize(lambda z: self._slopes(state, reader, slope, z), stages)
        pushed = jnp.moveaxis(jax.vmap(push)(basis), 0, -1)  # [stage, component, direction]
        if not self.coupled:
            own = self.coloring.expand(jnp.moveaxis(pushed, 1, 0))  # [component, stage, component]
            return slopes, jnp.einsum("aib,ij->iajb", own, jnp.eye(3, dtype=stages.dtype))
        pushed = pushed.reshape(*stages.shape, 3, -1)  # [stage, component, stage, color]
        return slopes, jnp.moveaxis(self.coloring.expand(jnp.moveaxis(pushed, 1, 0)), 0, 1)

    def _power(self, state, reader, slope, norm, found, stages, restart):
        """Return the margin of the error estimate of [1]_, filtered twice where the first is above 1."""
        h, new = state.end - state.t, state.y + stages[2]
        drift = jnp.asarray(ERROR, h.dtype) @ stages / h
        matrix = REAL / h * jnp.eye(state.y.size, dtype=h.dtype) - found.last
        start = slope(reader, 0.0, state.y, state.slope) if restart else state.slope
        once = jnp.linalg.solve(matrix, start + drift)
        again = jnp.linalg.solve(matrix, slope(reader, 0.0, state.y + once, state.slope) + drift)
        size = norm(once, state.y, new)
        size = jnp.where(size > 1, jnp.minimum(size, norm(again, state.y, new)), size)
        failed = ~(found.change <= CLOSE) | ~jnp.all(jnp.isfinite(stages))
        return jnp.where(failed, jnp.nan, margin(size, self.error_order))
