"""What a delay equation has beside an ordinary one: its past, and the kinks that delays carry on."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from .._core.status import DELAY_ABOVE_BOUND, HISTORY_UNRESOLVED, flag
from .breakpoints import count_generations, propagate
from .lookup import Reads
from .prehistory import prehistory
from .trail import Past

MOST_WATCHED = 64  # delays whose kinks are looked for in every attempt, unless asked for
# where the past is known to a lower order than the method has, unseen by any estimate: measured on A1
STRICT_PAST = 6.0
STRICT_READS = 10.0  # where reads depend on a delay that has an error of its own
# where no kinks, or the first generation alone, are landed on: measured on networks, whose errors then add up
STRICT_KINKS = {0: 50.0, 1: 20.0}
SLOTS = 64  # for kinks that are found on the way, beside those known at the start


@dataclass(frozen=True)
class Equation:
    """Hold the past and the kinks of a delay equation.

    Parameters
    ----------
    past : Past
    targets : array, shape (target,)
        Times known before the solve that steps land on.
    kinks : tuple of arrays, each (kink,)
        Times and orders of the kinks known at the start: how many derivatives are continuous, plus one.
    n_slots : int
        Room for kinks that are found on the way; 0 if none are looked for.
    jumpy : bool
        Whether the solution or its slope may jump at a target.
    longest, shortest : scalar arrays
        Delays at the start: the largest, and the smallest that is positive if all are constant, else 0.
    strictness : float
        What errors are multiplied by, as no estimate sees them whole.
    missed : int array
        Kinks of the first generation that are not looked for.
    status : int array
        Flags of the delays and of the history.
    """

    past: Past
    targets: jax.Array
    kinks: tuple
    n_slots: int
    jumpy: bool
    longest: jax.Array
    shortest: jax.Array
    strictness: float
    missed: jax.Array
    status: jax.Array

    @classmethod
    def of(cls, problem, reads: Reads, history: Any, constants, kinks, jumps: bool) -> "Equation":
        """Prepare a solve; ``constants`` are the distinct constant delays, ``jumps`` tells whether the
        state jumps at the start."""
        start, end, roots = problem.start, problem.end, problem.roots
        tolerances = problem.rtol, problem.atol
        before, good = prehistory(problem.border, reads, history, start, tolerances, roots)
        now = reads.delays(start, problem.y0)
        outside = reads.outside(start, problem.y0)
        status = flag(outside, DELAY_ABOVE_BOUND) | flag(~good, HISTORY_UNRESOLVED)
        where, order = f"{problem.border.where}.kinks", problem.order
        all_roots = jnp.append(roots, start)
        orders = jnp.append(jnp.zeros(roots.size, jnp.int32), jnp.int32(0 if jumps else 1))
        positive = jnp.where(now > 0, now, jnp.inf)
        n_slots, targets, strictness = 0, roots, STRICT_READS
        if not reads.constant:
            follow = reads.n_reads <= MOST_WATCHED if kinks is None else kinks != 0
            n_slots = SLOTS + all_roots.size if follow else 0
            shortest, followed = jnp.zeros_like(start), follow
        else:
            shortest = jnp.min(positive)
            n_generations = count_generations(where, kinks, constants.size, order, problem.max_steps)
            targets = propagate(all_roots, constants, n_generations)
            strictness = STRICT_PAST if order > problem.degree else 1.0
            strictness = strictness if kinks == 0 else STRICT_KINKS.get(n_generations, strictness)
            followed = n_generations > 0
        first = (all_roots[:, None] + (constants if reads.constant else now)).ravel()
        passed = jnp.sum((first > start) & (first < end), dtype=jnp.int32)
        missed = jnp.int32(0) if followed else passed
        longest = jax.lax.stop_gradient(jnp.max(jnp.where(jnp.isfinite(now), jnp.abs(now), 0.0)))
        return cls(
            Past(reads, before, start), targets, (all_roots, orders), n_slots, jumps or roots.size > 0,
            longest, jax.lax.stop_gradient(shortest), strictness, missed, status,
        )  # fmt: skip
