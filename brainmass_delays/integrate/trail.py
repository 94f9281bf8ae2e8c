"""The past of a delay equation: what was given before the start and what the solve has recorded since.

Two kinds of read share one flat form. A *snapshot* reads the whole state at ``t - delay``: values ``(read,
component)``. An *edge* reads one component, that of its source: values ``(read,)``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .lookup import Reads
from .solution import Pieces, evaluate_piece


class Stages(NamedTuple):
    """Hold the past at all stages of an attempt, if it could be read at once, and how far reads go beyond
    the start of the step."""

    times: dict
    values: dict


@dataclass(frozen=True)
class Past:
    """Read a delayed state at the stages of an attempt.

    The tape holds the pieces of the solution in the order in which they were found; a later piece with the
    same start replaces an earlier one. Its last row also answers for times beyond its end.

    Parameters
    ----------
    reads : Reads
    before : callable
        ``times (..., read) -> values`` before ``t0``, broadcastable to (..., read) for edges and to
        (..., read, component) for snapshots.
    t0 : scalar array
        Start of the solve.
    """

    reads: Reads
    before: Callable
    t0: jax.Array

    def prefetch(self, state, reader, stage_time, nodes):
        """Return the past at every node of an attempt in one read, for delays that are constant."""
        distinct = tuple(dict.fromkeys(nodes))
        c = jnp.asarray(distinct, state.t.dtype)[:, None]
        delays = self.reads.delays(state.t, state.y)
        times = jnp.stack([stage_time(state, c) for c in distinct])[:, None] - delays
        nudge = jnp.sqrt(jnp.finfo(times.dtype).eps) * (0.5 - c) * (state.end - state.t)
        values = self._values(state, reader, delays, times, lax.stop_gradient(times + nudge))
        return Stages(dict(zip(distinct, times, strict=True)), dict(zip(distinct, values, strict=True)))

    def at(self, state, reader, t, y, piece=None):
        """Return the past seen from ``t`` and ``y`` and the times read; ``piece``, if given, answers for
        times beyond the start of the step."""
        delays = self.reads.delays(t, y)
        times = t - delays
        values = self._values(state, reader, delays, times, lax.stop_gradient(times))
        return self.complete(state, values, delays, times, y, piece), times

    def complete(self, state, values, delays, times, y, piece):
        """Put the current piece and, for delays of exactly 0, the current state into values of the past."""
        component = self.reads.component
        now, ahead = delays == 0, times > state.t
        inside = jnp.where(ahead, times, state.t)
        if component is None:
            now, ahead, inside = now[:, None], ahead[:, None], inside[:, None]
        if piece is not None:
            rows = piece.coefficients[None] if component is None else piece.coefficients[component]
            values = jnp.where(ahead, evaluate_piece(Pieces(piece.start, piece.length, rows), inside), values)
        return jnp.where(now, y if component is None else y[component], values)

    def ahead(self, state, delays, times):
        """Return how far beyond the start of the step the furthest read goes, 0 if none does."""
        return jnp.max(jnp.where(delays == 0, 0.0, jnp.maximum(times - state.t, 0.0)))

    def _values(self, state, reader, delays, times, located):
        column = self.reads.column

        def index(tape):
            piece = tape.locate(located, state.rows)
            of_component = piece if column is None else (piece, jnp.broadcast_to(column, piece.shape))
            return piece, piece, of_component

        start, length, coefficients = reader.rows(index)
        recorded = (delays != 0) & (located >= self.t0)
        # pieces whose value is then discarded must not put NaN into a gradient
        start, length = jnp.where(recorded, start, times), jnp.where(recorded, length, 1.0)
        value = evaluate_piece(Pieces(start, length, coefficients), times)
        initial = self.before(jnp.where(recorded, self.t0, times))
        return jnp.where(recorded if column is not None else recorded[..., None], value, initial)


def first_guess(t0, y0, slope, kept, degree) -> Pieces:
    """Return the row from which the first attempt reads times after ``t0``: a straight line."""
    higher = [jnp.zeros_like(y0)] * (degree - 1)
    return Pieces(t0, jnp.ones_like(t0), jnp.stack([y0, slope, *higher], axis=-1)[kept])
