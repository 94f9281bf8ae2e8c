"""What every adaptive solve shares: checked arguments, and the way from them to a `Solution`."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import function_of, numbers, tree_of_numbers
from .._core.checks import ArgumentError, check_choice, check_count, check_flag
from .._core.memory import check_memory
from .._core.status import ENTRY_MISSING, flag, is_traced, refused
from .border import Border, check_span
from .control import Controller, resolve_controller
from .landing import Gaps, landing_times
from .loops import resolve
from .march import March, run
from .radau import Radau
from .runge_kutta import ExplicitMethod
from .solution import Pieces, Solution, Statistics, evaluate_at, is_inside
from .sparsity import check_sparsity, coloring
from .tableaus import METHODS
from .tape import Reader, write
from .trail import first_guess

# a safety of 0.8 halves the error of 0.9 at an eighth more steps
CAUTIOUS = {"safety": 0.8, "longest": 5.0}
STIFF_METHOD = "radau5"


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["y0", "start", "end", "rtol", "atol", "first", "times", "jumps", "impulses", "args"],
    meta_fields=["border", "method", "controller", "max_steps", "loop", "dense", "jump", "sparsity"],
)
@dataclass(frozen=True)
class Problem:
    """Hold the arguments that `solve_ode` and `solve_dde` share, as magnitudes."""

    border: Border
    y0: jax.Array
    start: jax.Array
    end: jax.Array
    method: str
    controller: Controller
    rtol: jax.Array
    atol: jax.Array
    first: jax.Array | None
    max_steps: int
    loop: str | Callable
    times: jax.Array | None
    dense: bool
    jumps: jax.Array | None
    impulses: Any  # times, and amounts (impulse, component) or None
    jump: Any  # a function, or None
    args: Any
    sparsity: Any = "detect"

    @classmethod
    def of(
        cls, where, y0, t0, t1, *, args, method, rtol, atol, controller, dt0, max_steps, while_loop, save_at,
        dense, breakpoints, impulses, sparsity, sudden=float("inf"),
    ) -> "Problem":  # fmt: skip
        """Check the arguments of the caller named ``where`` and bring them across the border."""
        border, y0 = Border.of(where, y0, t0)
        start, end = border.time("t0", t0), border.time("t1", t1)
        check_span(where, start, end)
        check_flag(f"{where}.dense", dense)
        max_steps = check_count(f"{where}.max_steps", max_steps)
        resolve(while_loop, max_steps, f"{where}.while_loop")
        check_choice(f"{where}.method", method, [*METHODS, STIFF_METHOD])
        if method == STIFF_METHOD and jnp.issubdtype(border.dtype, jnp.complexfloating):
            raise ArgumentError(f"{where}.method", "'radau5' needs a real state", border.dtype)
        impulses, jump = _impulses(border, impulses, start, end)
        return cls(
            border, y0, start, end, method,
            resolve_controller(controller, f"{where}.controller", sudden=sudden, **CAUTIOUS),
            _relative_tolerance(where, rtol, border.time_dtype), _absolute_tolerance(border, atol),
            _first_step(border, dt0), max_steps, while_loop, _save_times(border, save_at, start, end), dense,
            None if breakpoints is None else _times(border, "breakpoints", breakpoints), impulses, jump, args,
            check_sparsity(f"{where}.sparsity", sparsity, border.size, method == STIFF_METHOD),
        )  # fmt: skip

    @property
    def order(self) -> int:
        """Order of the method."""
        return Radau.order if self.method == STIFF_METHOD else METHODS[self.method].order

    @property
    def degree(self) -> int:
        """Degree of the continuous extension."""
        return Radau.degree if self.method == STIFF_METHOD else METHODS[self.method].degree

    @property
    def status(self) -> jax.Array:
        """Flag of numbers that would be refused if they could be seen."""
        start, end = self.start, self.end
        good = [jnp.isfinite(start) & (start < end) & (end < jnp.inf)]
        good += [(self.rtol >= 0) & (self.rtol < 1), (self.atol > 0) & (self.atol < jnp.inf)]
        if self.first is not None:
            good.append((self.first > 0) & (self.first < jnp.inf))
        if self.times is not None:
            good.append(is_inside(self.times, start, end))
        if self.jumps is not None:
            good.append(jnp.isfinite(self.jumps))
        if self.impulses is not None:
            good.append((self.impulses[0] > start) & (self.impulses[0] < end))
        return refused(*good)

    @property
    def roots(self) -> jax.Array:
        """Times at which the solution is not smooth whatever it is, but for the start."""
        parts = [] if self.jumps is None else [self.jumps]
        if self.impulses is not None:
            parts.append(self.impulses[0])
        return jnp.concatenate([*parts, self.start[None][:0]])

    def solve(self, rhs: Callable, *, equation=None, switches=None, stop=None) -> Solution:
        """Take the steps and report; ``equation`` holds what only a delay equation has."""
        past = equation and equation.past
        method, complete = self._method(rhs, past)
        gaps = Gaps(
            past, equation.n_slots if equation else 0, self.order, switches and switches.flat,
            switches.size if switches else 0, stop,
        )  # fmt: skip
        targets = self.roots if equation is None else equation.targets
        march = self._march(rhs, method, past, gaps, targets, equation)
        status = self.status | flag(~complete, ENTRY_MISSING)
        state = march.start(
            self.start, self.y0, status | (equation.status if equation else 0),
            *(equation.kinks if equation else (self.start[None], jnp.zeros(1, jnp.int32))),
        )  # fmt: skip
        tapes = self._tapes(past)
        state = march.begin(state, Reader(tapes[0] if tapes else ()), self.first)
        if past is not None:
            row = first_guess(self.start, self.y0, state.slope, past.reads.kept, march.method.degree)
            tapes = (write(tapes[0], 0, row), *tapes[1:])
        state, tapes = run(march, state, max_steps=self.max_steps, loop=self.loop, tapes=tapes)
        return self._report(state, tapes, past, equation)

    def _method(self, rhs, past):
        """Return the method, and whether the pattern of the Jacobian that it was given is complete."""
        if self.method != STIFF_METHOD:
            return ExplicitMethod(METHODS[self.method]), jnp.asarray(True)

        def slope(y):  # where every delay reads the present, all that may depend on the state does
            return rhs(self.start, y, None if past is None else past.reads.present(self.start, y))

        found, complete = coloring(self.sparsity, slope, self.y0)
        return Radau(coupled=past is not None, coloring=found), jnp.asarray(complete)

    def _march(self, rhs, method, past, gaps, targets, equation):
        jumpy = self.roots.size or gaps.n_slots or gaps.switches or (equation and equation.jumpy)
        scale = jnp.maximum(jnp.abs(self.start), 1e-6 * (self.end - self.start))
        shortest = jnp.zeros_like(scale)
        if equation is not None:
            scale = jnp.maximum(scale, equation.longest)
            shortest = shortest if method.solves_overlap else equation.shortest
        return March(
            rhs, method, self.controller, self.rtol, self.atol, past, gaps,
            landing_times(targets if targets.size else None, self.start, self.end), self._impulse_rule(),
            bool(jumpy), scale, shortest, equation.strictness if equation else 1.0, self._wants,
        )  # fmt: skip

    def _impulse_rule(self):
        """Return the times of the impulses and what they do to the state."""
        if self.impulses is None:
            return None
        times, amounts = self.impulses
        if self.jump is None:
            return times, lambda hit, t, y: y + jnp.where(hit[:, None], amounts, 0.0).sum(0)

        def jumped(hit, t, y):
            new = self.jump(self.border.with_time_unit(t), self.border.unravel(y), self.args)
            return jnp.where(jnp.any(hit), self.border.like_state("impulses", new).astype(y.dtype), y)

        return times, jumped

    def _wants(self, piece):
        """Tell whether a piece is needed after the solve."""
        if self.dense:
            return jnp.asarray(True)
        end = piece.start + piece.length
        rounding = 8 * jnp.finfo(end.dtype).eps * jnp.maximum(jnp.abs(piece.start), jnp.abs(end))
        return jnp.any((self.times >= piece.start) & (self.times <= end + rounding))

    def _tapes(self, past):
        """Return room for the past, and for the pieces that are kept."""
        parts = {
            name: sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(part))
            for name, part in jax.eval_shape(lambda: self._blank(past)).items()
        }
        cure = f"Room for max_steps={self.max_steps} is taken before the first step: lower it"
        check_memory(f"{self.border.where}.max_steps", parts, cure, on_device=True)
        return tuple(self._blank(past).values())

    def _blank(self, past):
        """Return empty tapes by what they hold, the past first."""
        tapes = {}

        def pieces(n, size):
            return Pieces.blank(n, size, self.degree, self.border.time_dtype, self.border.dtype)

        if past is not None:
            tape = pieces(self.max_steps + 2, len(past.reads.kept))
            tapes["past"] = tape._replace(start=tape.start.at[0].set(self.start))
        if self.dense and past is None:
            tapes["dense solution"] = pieces(self.max_steps + 1, self.border.size)
        elif self.times is not None and not self.dense:
            # a time may end one piece, start the next, and be within rounding of a third
            tapes["save_at"] = pieces(min(self.max_steps, 3 * self.times.size) + 1, self.border.size)
        return tapes

    def _report(self, state, tapes, past, equation) -> Solution:
        """Turn the last state and the recorded pieces into a `Solution`."""
        ts, ys, pieces = state.t, state.y, tapes[-1] if tapes else None
        n_pieces = state.rows if self.dense and past is not None else state.saved
        if self.times is not None:
            ts, ys = self.times, evaluate_at(tapes[-1], self.times, n_pieces, self.start, state.t)
            # the state after an impulse at the end of the last piece
            ys = jnp.where((ts == state.t)[:, None], state.y, ys)
        missed = equation.missed if equation else jnp.int32(0)
        if state.aim:
            missed = missed + state.aim.lost
        return Solution(
            ts=self.border.with_time_unit(ts),
            ys=self.border.unravel(ys),
            t=self.border.with_time_unit(state.t),
            statistics=Statistics(
                state.accepted, state.rejected, state.evaluations, state.repeated, state.landings, missed
            ),
            status=state.status,
            t0=self.start,
            pieces=pieces if self.dense else None,
            n_pieces=n_pieces,
            border=self.border,
        )


def _relative_tolerance(where, rtol, dtype):
    numbers(unit=u.UNITLESS, scalar=True)(f"{where}.rtol", rtol)
    if not is_traced(rtol) and not (np.ndim(rtol) == 0 and 0 <= rtol < 1):
        raise ArgumentError(f"{where}.rtol", "must be a number in [0, 1)", rtol)
    return jnp.asarray(rtol, dtype)


def _absolute_tolerance(border, atol):
    """Return ``atol`` as a flat vector in the units of the state."""
    tree_of_numbers(f"{border.where}.atol", atol)
    atol = border.like_state("atol", atol)
    if jnp.iscomplexobj(atol):
        raise ArgumentError(f"{border.where}.atol", "must be real", atol)
    atol = atol.astype(border.time_dtype)
    if not is_traced(atol) and not bool(jnp.all((atol > 0) & (atol < jnp.inf))):
        raise ArgumentError(f"{border.where}.atol", "must be positive and finite", jnp.min(atol))
    return atol


def _first_step(border, dt0):
    if dt0 is None:
        return None
    dt0 = border.time("dt0", dt0)
    if dt0.ndim:
        raise ArgumentError(f"{border.where}.dt0", "must be one time", f"shape {dt0.shape}")
    if not is_traced(dt0) and not 0 < dt0 < jnp.inf:
        raise ArgumentError(f"{border.where}.dt0", "must be positive and finite", dt0)
    return dt0


def _times(border, name, times):
    """Return times on one axis, finite where known."""
    times = border.time(name, times)
    if times.ndim != 1:
        raise ArgumentError(f"{border.where}.{name}", "must be one axis of times", f"shape {times.shape}")
    if not is_traced(times) and not np.isfinite(np.asarray(times)).all():
        raise ArgumentError(f"{border.where}.{name}", "must be finite", times)
    return times


def _save_times(border, save_at, t0, t1):
    """Return the times of ``save_at``, checked to lie in the span where known."""
    if save_at is None:
        return None
    times = _times(border, "save_at", save_at)
    known = (
        None if is_traced((times, t0, t1)) else np.asarray(times)
    )  # a trace would swallow JAX's comparisons
    if known is not None and not ((known >= np.asarray(t0)) & (known <= np.asarray(t1))).all():
        rule = f"must lie between t0 = {t0} and t1 = {t1}"
        raise ArgumentError(f"{border.where}.save_at", rule, f"{known.min()} to {known.max()}")
    return times


def _impulses(border, impulses, t0, t1):
    """Return ``(times, amounts or None)`` and the function of the caller, if it is one."""
    if impulses is None:
        return None, None
    where = f"{border.where}.impulses"
    if not (isinstance(impulses, tuple | list) and len(impulses) == 2):
        rule = "must be (times, amounts) or (times, function of (t, y, args))"
        raise ArgumentError(where, rule, type(impulses).__name__)
    times = _times(border, "impulses", impulses[0])
    known = None if is_traced((times, t0, t1)) else np.asarray(times)
    if known is not None and not ((known > np.asarray(t0)) & (known < np.asarray(t1))).all():
        cure = "Put an impulse at the start into y0"
        raise ArgumentError(where, f"must lie between t0 = {t0} and t1 = {t1}", times, cure)
    if callable(impulses[1]):
        function_of("t, y, args")(where, impulses[1])
        return (times, None), impulses[1]
    for leaf in jax.tree.leaves(impulses[1]):
        if np.shape(leaf)[:1] != times.shape:
            rule = f"must have a leading axis of {times.size} in every leaf of the amounts, one per time"
            raise ArgumentError(where, rule, f"shape {np.shape(leaf)}")
    amounts = [
        border.like_state("impulses", jax.tree.map(lambda x, i=i: jnp.asarray(x)[i], impulses[1]))
        for i in range(times.size)
    ]
    amounts = jnp.stack(amounts) if amounts else jnp.zeros((0, border.size))
    return (times, amounts.astype(border.dtype)), None
