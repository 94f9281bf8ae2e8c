"""The past of a delay equation: what was given before the start and what the solve has recorded since.

Two kinds of read share one flat form. A *snapshot* reads the whole state at ``t - delay``: values ``(read,
component)``. An *edge* reads one component, that of its source: values ``(read,)``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from .solution import Pieces, evaluate_piece
from .tape import read


@dataclass(frozen=True)
class Past:
    """Read a delayed state at the stages of an attempt.

    Parameters
    ----------
    delays : array, shape (read,)
        Delays as magnitudes; 0 reads the current state.
    component : array of int, shape (read,), or None
        The component of the state that each edge reads; None for snapshots.
    column : array of int, shape (read,), or None
        The same as a column of the tape.
    initial : callable or None
        ``times (..., read) -> values`` before ``t0``, broadcastable to (..., read) for edges and to
        (..., read, component) for snapshots. None if the tape begins with the initial history.
    t0 : scalar array
        Start of the solve.
    tabulated : int
        Pieces of the tape that hold the initial history.
    nodes : tuple of float
        Times ``c`` of the stages that are evaluated in every attempt, in units of the step.
    """

    delays: jax.Array
    component: np.ndarray | None
    column: np.ndarray | None
    initial: Callable | None
    t0: jax.Array
    tabulated: int
    nodes: tuple

    def at_start(self, tape: Pieces):
        """Return the past seen at ``t0``."""
        times = self.t0 - self.delays
        return self._values(times, times, read(tape, self._index(times, tape, self.tabulated)))

    def plan(self, state, tape: Pieces):
        """Return where the tape holds the past of every distinct stage time of an attempt."""
        _, located = self._times(state)
        return self._index(located, tape, self.tabulated + state.accepted)

    def delayed(self, state, values):
        """Return the past at every node, from the rows of the tape that `plan` asked for."""
        distinct = self._values(*self._times(state), values)
        position = {c: i for i, c in enumerate(self._distinct())}
        return [distinct[position[c]] for c in self.nodes]

    def with_current(self, past, y):
        """Return the past of one stage with the current state where the delay is exactly 0."""
        now = self.delays == 0
        if self.component is None:
            return jnp.where(now[:, None], y, past)
        return jnp.where(now, y[self.component], past)

    def _distinct(self):
        return tuple(dict.fromkeys(self.nodes))

    def _times(self, state):
        """Return the times read, and the same a trifle inside the step, where pieces are looked up."""
        c = jnp.asarray(self._distinct(), state.t.dtype)[:, None]
        h = state.end - state.t
        times = jnp.where(c == 1, state.end, state.t + c * h) - self.delays
        nudge = jnp.sqrt(jnp.finfo(times.dtype).eps) * (0.5 - c) * h
        return times, jax.lax.stop_gradient(times + nudge)

    def _index(self, located, tape, count):
        piece = tape.locate(located, count)
        return (
            piece,
            piece,
            piece if self.column is None else (piece, jnp.broadcast_to(self.column, piece.shape)),
        )

    def _values(self, times, located, rows):
        start, length, coefficients = rows
        recorded = self.delays > 0
        if self.initial is not None:
            recorded &= located >= self.t0
        # unwritten pieces, read where the value is then discarded, must not put NaN into a gradient
        start, length = jnp.where(recorded, start, times), jnp.where(recorded, length, 1.0)
        value = evaluate_piece(start, length, coefficients, times)
        if self.initial is None:
            return value
        initial = self.initial(jnp.where(recorded, self.t0, times))
        return jnp.where(recorded if self.column is not None else recorded[..., None], value, initial)


def tabulate(initial: Callable, t0, max_delay, n_pieces: int, degree: int) -> Pieces:
    """Interpolate ``initial(t) -> (component,)`` on ``[t0 - max_delay, t0]`` by ``n_pieces`` polynomials."""
    theta = 0.5 - 0.5 * np.cos(np.pi * np.arange(degree + 1) / degree)
    to_powers = jnp.asarray(np.linalg.inv(np.vander(theta, increasing=True)), t0.dtype)
    ends = jnp.linspace(t0 - max_delay, t0, n_pieces + 1)
    start, length = ends[:-1], jnp.diff(ends)
    values = jax.vmap(jax.vmap(initial))(start[:, None] + length[:, None] * theta)  # [piece, node, component]
    return Pieces(start, length, jnp.einsum("jn,pnc->pcj", to_powers, values))
