"""Times that steps must land on: known ones, and those where something crosses zero on the way.

A time that depends on the solution is found on the continuous extension of an attempt; the attempt is then
repeated so that it ends there, until the time found is its end. What can cross zero are *gaps*: a delayed
time minus the time of a kink, the functions at which ``f`` switches, and the one that ends the solve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .solution import Pieces, evaluate_piece

BISECTIONS = 50
NEWTON_STEPS = 3
MOST_TRIES = 8  # attempts to land on one time
FIRST_SHORT, THEN_SHORT = 1e-2, 1e-3  # how far attempts stay short of a jump: of the step, of the last move
SAMPLES_OF_KINKS, SAMPLES_OF_EVENTS = 4, 16  # per attempt


class Aim(NamedTuple):
    """Hold what the next attempt tries to land on: the gap (-1 for none), and how often it has tried; and
    the kinks known so far, with the number of continuous derivatives plus one."""

    gap: jax.Array
    tries: jax.Array
    kinks: jax.Array
    orders: jax.Array
    n_kinks: jax.Array
    lost: jax.Array  # kinks for which there was no room


class Landing(NamedTuple):
    """Hold the outcome for one attempt: whether it must be cut, where it must end, whether it has landed on
    ``gap``."""

    cut: jax.Array
    end: jax.Array
    landed: jax.Array
    gap: jax.Array
    bad: jax.Array  # whether a gap is NaN


@dataclass(frozen=True)
class Gaps:
    """Find where gaps cross zero.

    Parameters
    ----------
    past : Past or None
    n_slots : int
        Kinks that can be followed through delays that depend on time or state; 0 follows none.
    order : int
        Kinks of higher order do not matter to the method.
    switches : callable or None
        ``(t, y, values) -> (switch,)``, values being the delayed states.
    stop : callable or None
        ``(t, y) -> number``; its change of sign ends the solve.
    """

    past: Any
    n_slots: int
    order: int
    switches: Callable | None
    n_switches: int
    stop: Callable | None

    @property
    def any(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.n_slots or self.switches or self.stop)

    def start(self, roots, orders) -> Aim:
        """Return the aim before the first attempt; ``roots`` are the kinks known then."""
        none = jnp.int32(-1)
        zero = jnp.int32(0)
        if not self.n_slots:
            return Aim(none, zero, roots[:0], orders[:0], zero, zero)
        kinks = jnp.full((self.n_slots,), jnp.inf, roots.dtype).at[: roots.size].set(roots[: self.n_slots])
        levels = jnp.full((self.n_slots,), self.order, jnp.int32).at[: roots.size].set(orders[: self.n_slots])
        return Aim(none, zero, kinks, levels, jnp.int32(min(roots.size, self.n_slots)), zero)

    def values(self, state, reader, t, y, piece):
        """Return every gap at one time, shape (gap,): delayed times minus kinks, switches, the stop."""
        parts = []
        if self.n_slots:
            delayed = t - self.past.reads.delays(t, y)
            parts.append((delayed[:, None] - state.aim.kinks).ravel())
        if self.switches:
            past = None
            if self.past is not None:
                past, _ = self.past.at(state, reader, t, y, piece)
            parts.append(self.switches(t, y, past))
        if self.stop:
            parts.append(jnp.ravel(self.stop(t, y)))
        return jnp.concatenate(parts)

    def land(self, state, reader, piece: Pieces, precision) -> Landing:
        """Decide for an attempt whether it has landed, must be cut, or met nothing."""

        gap, found, time, speed, bad = reader.fixed(
            lambda reader: self._search(state, reader, piece, precision)
        )
        exact = self.values(state, reader, time, evaluate_piece(piece, time), piece)[gap]
        # a Newton step of length 0 carries the derivative of the time
        offset = exact - lax.stop_gradient(exact)
        time = time - offset / jnp.where(speed == 0, 1.0, speed)
        move = lax.stop_gradient(time - state.end)
        tired = (state.aim.gap >= 0) & (state.aim.tries >= MOST_TRIES)
        landed = found & ((jnp.abs(move) <= precision) | tired)
        # a stage beyond a jump would spoil the polynomial on which the jump is sought
        short = jnp.where(move < 0, FIRST_SHORT * lax.stop_gradient(time - state.t), THEN_SHORT * move)
        end = time - jnp.where(self._jumps(state, gap) & ~landed, short, 0.0)
        return Landing(found & ~landed, end, landed, gap, bad)

    def _jumps(self, state, gap):
        """Tell whether ``f`` may jump where a gap closes: at a switch, or where a delay reads a jump."""
        if not self.n_slots:
            return jnp.asarray(bool(self.switches)) & (gap < self.n_switches)
        n_kinks = self.past.reads.n_reads * self.n_slots
        reads_jump = (gap < n_kinks) & (state.aim.orders[gap % self.n_slots] == 0)
        return reads_jump | ((gap >= n_kinks) & (gap < n_kinks + self.n_switches))

    def _search(self, state, reader, piece, precision):
        """Return the gap that closes first, whether one does, when, and its rate of change there."""
        t, h = state.t, state.end - state.t
        n_samples = SAMPLES_OF_EVENTS if self.switches or self.stop else SAMPLES_OF_KINKS

        def at(t):
            return self.values(state, reader, t, evaluate_piece(piece, t), piece)

        # from past what the last step has landed on to past the end, so that no crossing is between two steps
        past = jnp.minimum(4 * precision, 0.1 * h / n_samples)
        thetas = jnp.arange(n_samples + 1, dtype=t.dtype) / n_samples
        times = (t + thetas * h).at[-1].set(state.end) + jnp.where((thetas == 0) | (thetas == 1), past, 0.0)
        signs = jnp.sign(jax.vmap(at)(times))  # [sample, gap]
        changes = (signs[:-1] * signs[1:] < 0) | ((signs[1:] == 0) & (signs[:-1] != 0))
        which = jnp.argmax(changes.any(1))
        crossed = changes.any()
        gap = jnp.where(crossed, jnp.argmax(changes[which]), jnp.maximum(state.aim.gap, 0))
        low, high, before = times[which], times[which + 1], signs[which, gap]

        def bisect(carry):
            n, low, high = carry
            middle = 0.5 * (low + high)
            same = jnp.sign(at(middle)[gap]) * before > 0
            return n + 1, jnp.where(same, middle, low), jnp.where(same, high, middle)

        steps = jnp.where(crossed, BISECTIONS, 0)
        _, _, high = lax.while_loop(lambda carry: carry[0] < steps, bisect, (jnp.int32(0), low, high))

        def rate(time):
            return jax.jvp(lambda t: at(t)[gap], (time,), (jnp.ones_like(time),))

        def newton(_, time):
            value, speed = rate(time)
            return time - value / jnp.where(speed == 0, 1.0, speed)

        # an attempt that was cut may end a little before what it aims at
        aimed = ~crossed & (state.aim.gap >= 0)
        close = lax.fori_loop(0, jnp.where(aimed, NEWTON_STEPS, 0), newton, state.end)
        reached = aimed & (jnp.abs(close - state.end) < 0.1 * h)
        time = jnp.where(crossed, high, jnp.where(reached, close, state.end))
        return gap, crossed | reached, time, rate(time)[1], jnp.isnan(signs).any()

    def follow(self, aim: Aim, landing: Landing, accepted, cut, t, y) -> Aim:
        """Return the aim of the next attempt, with the kink at ``t`` if this one has landed there."""
        tries = jnp.where(cut, jnp.where(landing.gap == aim.gap, aim.tries + 1, 1), 0)
        gap = jnp.where(cut, landing.gap, -1).astype(jnp.int32)
        aim = aim._replace(gap=gap, tries=tries.astype(jnp.int32))
        if not self.n_slots:
            return aim
        is_kink = landing.gap < self.past.reads.n_reads * self.n_slots
        order = jnp.where(is_kink, aim.orders[landing.gap % self.n_slots] + 1, 1).astype(jnp.int32)
        add = accepted & landing.landed & (order < self.order)
        slot = aim.n_kinks % self.n_slots  # the oldest makes room
        ahead = aim.kinks[slot] > jnp.min(t - self.past.reads.delays(t, y))
        lost = add & ahead & (aim.n_kinks >= self.n_slots)
        slot = jnp.where(add, slot, self.n_slots)  # beyond the end: dropped
        return aim._replace(
            kinks=aim.kinks.at[slot].set(t), orders=aim.orders.at[slot].set(order),
            n_kinks=aim.n_kinks + add, lost=aim.lost + lost,
        )  # fmt: skip

    def is_stop(self, landing: Landing):
        """Tell whether an attempt has landed on the end of the solve."""
        if not self.stop:
            return jnp.asarray(False)
        size = self.n_slots * (self.past.reads.n_reads if self.n_slots else 0)
        return landing.landed & (landing.gap >= size + self.n_switches)


def landing_times(times, t0, t1):
    """Return the times that steps must land on: those strictly inside the span, ascending, then ``t1``."""
    if times is None:
        return t1[None]
    inside = jnp.where((times > t0) & (times < t1), times, t1)
    return jnp.append(jnp.sort(inside), t1)
