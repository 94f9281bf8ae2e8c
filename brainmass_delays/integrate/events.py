"""Ending a solve where a function of the state changes sign."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .solution import Pieces, evaluate_piece

BISECTIONS = 60


class Watch(NamedTuple):
    """Hold the event function after the last accepted step, whether its sign changed, and that step."""

    value: jax.Array
    crossed: jax.Array
    piece: Pieces


def start_watch(event, t, y, degree) -> Watch:
    """Return the watch before the first step."""
    piece = Pieces(t, jnp.ones_like(t), jnp.zeros((y.size, degree + 1), y.dtype))
    return Watch(event(t, y), jnp.asarray(False), piece)


def watch(event, state, new, piece) -> Watch:
    """Return the watch after an attempt that led from ``state`` to ``new``."""
    accepted = new.accepted > state.accepted
    value = jnp.where(accepted, event(new.t, new.y), state.watch.value)
    crossed = accepted & ((value * state.watch.value < 0) | (value == 0))
    kept = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), piece, state.watch.piece)
    return Watch(value, crossed, kept)


def crossing(event, piece: Pieces):
    """Return the time and state at which ``event`` changes sign in ``piece``.

    Bisection finds the time; a Newton step of length 0 carries its derivative.
    """

    def at(piece, theta):
        t = piece.start + theta * piece.length
        y = evaluate_piece(*piece, t)
        return event(t, y), t, y

    fixed = lax.stop_gradient(piece)
    before = at(fixed, 0.0)[0]

    def bisect(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        same = at(fixed, middle)[0] * before > 0
        return jnp.where(same, middle, low), jnp.where(same, high, middle)

    zero = jnp.zeros_like(piece.start)
    theta = lax.stop_gradient(lax.fori_loop(0, BISECTIONS, bisect, (zero, zero + 1))[1])
    slope = lax.stop_gradient(jax.jvp(lambda x: at(fixed, x)[0], (theta,), (jnp.ones_like(theta),))[1])
    value = at(piece, theta)[0]
    theta = theta - (value - lax.stop_gradient(value)) / jnp.where(slope == 0, 1.0, slope)
    return at(piece, theta)[1:]
