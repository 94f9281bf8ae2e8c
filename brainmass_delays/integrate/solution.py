"""What a solve returns: times, states, counts, a status, and the continuous extension."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .._core.status import (
    ARGUMENT_REFUSED,
    DELAY_ABOVE_BOUND,
    ENTRY_MISSING,
    HISTORY_UNRESOLVED,
    MAX_STEPS_REACHED,
    NOT_FINITE,
    STEP_UNDERFLOW,
    is_traced,
    raise_if_failed,
)
from .border import Border


class Statistics(NamedTuple):
    """Count the work of a solve.

    Attributes
    ----------
    accepted, rejected : int array
        Attempts that became steps, and attempts whose error was too large.
    evaluations : int array
        Calls of the vector field; a direction in which a Jacobian is probed at a stage counts as one.
    repeated : int array
        Attempts made again with the same start and tolerable error: because they had read a past that only
        they found (a delay shorter than the step), or to land on a time inside them.
    landings : int array
        Steps that ended exactly on a breakpoint, an impulse, a kink or a switch.
    kinks_missed : int array
        Kinks of the first generation (a delay after the start, a breakpoint or an impulse) that lie in the
        span and were not looked for; those of delays which depend on time or state are counted with the
        delays at the start, and kinks that did not fit on the list of those to follow are added.
    """

    accepted: jax.Array
    rejected: jax.Array
    evaluations: jax.Array
    repeated: jax.Array
    landings: jax.Array
    kinks_missed: jax.Array


class Pieces(NamedTuple):
    """Hold a piecewise polynomial: ``y(start + theta * length) = sum_j coefficients[..., j] theta**j``.

    ``start`` and ``length`` have the shape ``(piece,)``, ``coefficients`` ``(piece, component, power)``.
    Pieces that do not exist yet start at infinity.
    """

    start: jax.Array
    length: jax.Array
    coefficients: jax.Array

    @classmethod
    def blank(cls, n_pieces, size, degree, time_dtype, dtype):
        """Return room for ``n_pieces`` pieces of a state of ``size`` components."""
        return cls(
            jnp.full((n_pieces,), jnp.inf, time_dtype),
            jnp.ones((n_pieces,), time_dtype),
            jnp.zeros((n_pieces, size, degree + 1), dtype),
        )

    def locate(self, t, count):
        """Return the piece that holds ``t``, among the first ``count``."""
        return jnp.clip(jnp.searchsorted(self.start, t, side="right") - 1, 0, jnp.maximum(count, 1) - 1)


def evaluate_piece(piece: Pieces, t: Any):
    """Evaluate one piece at ``t`` by Horner's rule; the powers are the last axis of the coefficients."""
    start, length, coefficients = piece
    theta = (t - start) / length
    theta = theta.reshape(theta.shape + (1,) * (coefficients.ndim - 1 - theta.ndim))
    value = coefficients[..., -1]
    for j in reversed(range(coefficients.shape[-1] - 1)):
        value = value * theta + coefficients[..., j]
    return value


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["ts", "ys", "t", "statistics", "status", "t0", "pieces", "n_pieces"],
    meta_fields=["border"],
)
@dataclass(frozen=True)
class Solution:
    """Hold the result of an adaptive solve.

    Parameters
    ----------
    ts : array or Quantity
        ``save_at``, or without it the time reached: ``t1``, or the time of the event or failure that ended
        the solve.
    ys : pytree
        The states at ``ts``, in the structure and units of the initial state; ``save_at`` leads every leaf.
        NaN at times after the one reached.
    t : scalar array or Quantity
        The time reached.
    statistics : Statistics
        Counts of attempts, evaluations and landings.
    status : int32 array
        0, or the sum of the flags ``NOT_FINITE``, ``MAX_STEPS_REACHED``, ``STEP_UNDERFLOW``,
        ``DELAY_ABOVE_BOUND``, ``ARGUMENT_REFUSED`` of a solve whose result must not be used. Eager solves
        raise instead; inside ``jit`` and ``vmap`` look at it, or call `check` on the result outside.
    t0 : scalar array
        The start.
    pieces : Pieces or None
        The continuous extension, of ``dense=True``.
    n_pieces : int array
        How many of them are in use.

    Examples
    --------
    >>> from brainmass_delays.integrate import solve_ode
    >>> solution = solve_ode(lambda t, y, args: -y, 1.0, 0.0, 2.0, rtol=1e-6, atol=1e-6, dense=True)
    >>> print(f'{solution.ys:.4f} {solution.evaluate(1.0):.4f} {int(solution.status)}')
    0.1353 0.3679 0
    """

    ts: Any
    ys: Any
    t: Any
    statistics: Statistics
    status: jax.Array
    t0: jax.Array
    pieces: Pieces | None
    n_pieces: jax.Array
    border: "Border"

    def evaluate(self, t: Any) -> Any:
        """Return the state at ``t`` from the continuous extension of the method.

        Parameters
        ----------
        t : array or Quantity, shape (...)
            Times between ``t0`` and the time reached; elsewhere the result is NaN.

        Returns
        -------
        pytree
            The axes of ``t`` lead every leaf.

        Raises
        ------
        ArgumentError
            If the solve did not record its extension, or for a batch of solves.

        Notes
        -----
        The order is 4 for 'dopri5' and 'tsit5', 3 for 'bosh3' and 'heun21'. The gradient reaches ``t`` and
        everything that the states depend on.
        """
        if self.pieces is None:
            raise ArgumentError("Solution.evaluate", "needs a solve with dense=True", "dense=False")
        if (batch := self.pieces.start.shape[:-1]) != ():
            cure = "Map it: jax.vmap(lambda s: s.evaluate(t))(solution)"
            raise ArgumentError("Solution.evaluate", "needs one solve", f"a batch of shape {batch}", cure)
        t = self.border.time("evaluate", t)
        value = evaluate_at(self.pieces, t, self.n_pieces, self.t0, self._reached())
        return self.border.unravel(value)

    def check(self) -> "Solution":
        """Return the solution if its status is 0 (in every lane); else raise `RunError` with the time
        reached.

        Raises
        ------
        RunError
            If a flag is set.
        """
        count = self.statistics
        attempts = count.accepted + count.rejected + count.repeated
        cures = "" if is_traced(self.status) else _cures(int(jnp.max(self.status)))
        detail = f"Reached t = {jax.lax.stop_gradient(self.t)} after {attempts} attempts. {cures}"
        raise_if_failed(self.border.where, self.status, detail)
        return self

    def _reached(self):
        return self.border.time("t", self.t)


CURES = {
    DELAY_ABOVE_BOUND: "It must not be NaN or negative, nor leave its bounds: mend it, or raise max_delay.",
    NOT_FINITE: "The right side or an event is not finite near that time.",
    MAX_STEPS_REACHED: "Raise max_steps, loosen rtol and atol, or take method='radau5' for a stiff equation.",
    STEP_UNDERFLOW: "Look for a singularity near that time, or name the times at which f jumps.",
    ARGUMENT_REFUSED: "Call outside of jit: the message names the argument.",
    ENTRY_MISSING: "Leave sparsity='detect', or add the entry.",
    HISTORY_UNRESOLVED: "Name the jumps of history in breakpoints, or loosen rtol and atol.",
}


def _cures(status):
    return " ".join(cure for bit, cure in CURES.items() if status & bit)


def is_inside(t, start, end):
    """Tell which times lie in a span, up to rounding."""
    slack = 8 * jnp.finfo(t.dtype).eps * jnp.maximum(jnp.abs(start), jnp.abs(end))
    return (t >= start - slack) & (t <= end + slack)


def evaluate_at(pieces: Pieces, t, count, t0, reached):
    """Evaluate the extension at times ``t`` of any shape; NaN outside ``[t0, reached]``."""
    inside = is_inside(t, t0, reached)
    t = jnp.where(inside, t, t0)
    piece = pieces.locate(t, count)
    value = evaluate_piece(Pieces(*(x[piece] for x in pieces)), t)
    return jnp.where(inside.reshape(inside.shape + (1,)), value, jnp.nan)
