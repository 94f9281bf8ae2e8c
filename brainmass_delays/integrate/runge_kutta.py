"""One attempt of an embedded explicit Runge-Kutta pair."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .solution import Pieces
from .tableaus import Tableau


class Trial(NamedTuple):
    """Hold where an attempt leads: the state and slope at its end, the continuous extension, the margin of
    its error (``norm**(-1 / order)``, NaN if it failed), and the evaluations that it took."""

    y: jax.Array
    slope: jax.Array
    piece: Pieces
    power: jax.Array
    evaluations: Any


@dataclass(frozen=True)
class ExplicitMethod:
    """Attempt steps by a pair; a stage that reads beyond the step before reads the last row of the tape."""

    tableau: Tableau

    solves_overlap = False

    @property
    def order(self) -> int:
        """Order of the solution, and of the error in the step."""
        return self.tableau.order

    @property
    def error_order(self) -> int:
        """The error of an attempt of length h is of the size ``h**error_order``."""
        return self.tableau.order

    @property
    def degree(self) -> int:
        """Degree of the continuous extension."""
        return self.tableau.degree

    @property
    def nodes(self) -> tuple:
        """Times of the stages, in units of the step."""
        return self.tableau.nodes

    def trial(self, state, reader, slope: Callable, norm: Callable, restart: bool) -> Trial:
        """Try one step; ``slope(reader, c, y, direction)`` evaluates a stage, near which ``direction`` is the
        slope."""
        y, h = state.y, state.end - state.t
        slopes = [slope(reader, 0.0, y, state.slope) if restart else state.slope]
        new = y
        for c, weights in zip(self.nodes[1:], self.tableau.stages, strict=True):
            new = y + h * _combine(weights, slopes)
            slopes.append(slope(reader, c, new, slopes[-1]))
        error = lax.stop_gradient(h * _combine(self.tableau.error, slopes))
        powers = [h * _combine(weights, slopes) for weights in zip(*self.tableau.dense, strict=True)]
        piece = Pieces(state.t, h, jnp.stack([y, *powers], axis=-1))
        power = margin(norm(error, y, new), self.error_order)
        return Trial(new, slopes[-1], piece, power, jnp.int32(len(slopes) - (not restart)))


def margin(norm, order):
    """Return ``norm**(-1 / order)``: at least 1 for an error within the tolerances."""
    return jnp.maximum(norm, jnp.finfo(norm.dtype).tiny) ** (-1 / order)


def _combine(weights, slopes):
    """Return the weighted sum of the slopes without the zero weights."""
    terms = [w * k for w, k in zip(weights, slopes, strict=False) if w]
    return sum(terms[1:], terms[0])
