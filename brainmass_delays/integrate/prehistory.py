"""What a delay equation reads before its start: a constant state, a function of time, or a table of one.

Edges read one component each. Calling a function of time for every edge would compute the whole state for
each of them; they read a table of polynomials instead, whose pieces are halved until the table is as exact as
the solve asks for.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._core.checks import ArgumentError
from .tape import frozen

DEGREE = 8  # of the table: pieces of an oscillation are about as long as its radian
FIRST_PIECES, MOST_PIECES = 16, 4096
SHARE = 0.1  # of the tolerance that the table may take
NODES = np.cos(np.pi * np.arange(DEGREE, -1, -1) / DEGREE)  # from -1 to 1
BETWEEN = 0.5 * (NODES[1:] + NODES[:-1])
TO_POWERS = np.linalg.inv(np.vander(NODES, increasing=True))
TO_BETWEEN = np.vander(BETWEEN, DEGREE + 1, increasing=True) @ TO_POWERS


class Table(NamedTuple):
    """Hold ``x(middle + half * s) = sum_j coefficients[..., j] s**j``, s in [-1, 1], shape (piece, component,
    power); pieces that are not used start at infinity."""

    start: jax.Array
    half: jax.Array
    coefficients: jax.Array

    def __call__(self, times, column):
        """Return component ``column[read]`` at ``times[..., read]``."""
        piece = jnp.clip(jnp.searchsorted(self.start, lax.stop_gradient(times), side="right") - 1, 0)
        s = (times - self.start[piece]) / self.half[piece] - 1
        coefficients = self.coefficients[piece, column]
        value = coefficients[..., -1]
        for j in reversed(range(DEGREE)):
            value = value * s + coefficients[..., j]
        return value


def prehistory(border, reads, history, t0, tolerances, jumps) -> tuple[Callable, jax.Array]:
    """Return ``times (..., read) -> values`` before ``t0``, and whether they are as exact as asked for.

    Values are broadcastable to (..., read) for edges and to (..., read, component) for snapshots.
    """
    good = jnp.asarray(True)
    if not callable(history):
        constant = _ravel(border, history)
        constant = constant[reads.kept if reads.component is None else reads.component]
        return lambda times: constant, good

    def state(t):
        return _ravel(border, history(border.with_time_unit(t)))[reads.kept]

    if reads.component is None:
        return lambda times: jax.vmap(state)(times.ravel()).reshape(*times.shape, -1), good
    if reads.high is None:
        rule = "is needed for edges that read a callable history"
        raise ArgumentError(f"{border.where}.max_delay", rule, None, "Give it")
    rtol, atol = tolerances
    mesh, good = frozen(lambda *args: _mesh(state, *args))(t0, reads.high, rtol, atol[reads.kept], jumps)
    table = _table(state, mesh, t0)
    return lambda times: table(times, reads.column), good


def _mesh(state, t0, longest, rtol, atol, jumps):
    """Return where pieces start, so that each is as exact as asked for, and whether all are."""
    first = jnp.linspace(t0 - longest, t0, FIRST_PIECES + 1)[:-1]
    inside = (jumps > first[0]) & (jumps < t0)
    starts = jnp.concatenate([first, jnp.where(inside, jumps, jnp.inf)])
    room = jnp.full((MOST_PIECES - starts.size,), jnp.inf, starts.dtype)
    starts = jnp.sort(jnp.concatenate([starts, room]))
    shortest = 64 * jnp.finfo(t0.dtype).eps * jnp.maximum(jnp.abs(t0), longest)

    def coarse(starts):
        start, half, exact = _samples(state, starts, t0, NODES)
        _, _, between = _samples(state, starts, t0, BETWEEN)
        error = jnp.abs(jnp.einsum("sn,pnc->psc", jnp.asarray(TO_BETWEEN, start.dtype), exact) - between)
        scale = atol + rtol * jnp.max(jnp.abs(exact), axis=1, keepdims=True)
        bad = jnp.max(error / scale, axis=(1, 2)) > SHARE
        return bad & jnp.isfinite(starts) & (half > shortest), start + half

    def going(carry):
        starts, bad, _ = carry
        used = jnp.sum(jnp.isfinite(starts))
        return jnp.any(bad) & (used + jnp.sum(bad) <= MOST_PIECES)

    def split(carry):
        starts, bad, middle = carry
        starts = jnp.sort(jnp.concatenate([starts, jnp.where(bad, middle, jnp.inf)]))[:MOST_PIECES]
        return starts, *coarse(starts)

    starts, bad, _ = lax.while_loop(going, split, (starts, *coarse(starts)))
    return starts, ~jnp.any(bad)


def _samples(state, starts, t0, nodes):
    """Return start and half length of every piece, and the state at its nodes, (piece, node, component)."""
    ends = jnp.append(starts[1:], jnp.inf)
    ends = jnp.where(jnp.isfinite(ends), ends, t0)
    start = jnp.where(jnp.isfinite(starts), starts, t0 - 1)  # any time will do for a piece that is not used
    half = 0.5 * (ends - start)
    inside = 1 - 8 * jnp.finfo(t0.dtype).eps  # a jump at the end of a piece belongs to the next
    times = start[:, None] + half[:, None] * (1 + inside * jnp.asarray(nodes, t0.dtype))
    return start, half, jax.vmap(jax.vmap(state))(times)


def _table(state, starts, t0):
    start, half, values = _samples(state, starts, t0, NODES)
    coefficients = jnp.einsum("jn,pnc->pcj", jnp.asarray(TO_POWERS, half.dtype), values)
    return Table(jnp.where(jnp.isfinite(starts), start, jnp.inf), half, coefficients)


def _ravel(border, state):
    return border.like_state("history", state).astype(border.dtype)
