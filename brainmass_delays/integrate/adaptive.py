"""Adaptive Runge-Kutta solution of ordinary differential equations."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_choice, check_count
from .._core.status import is_traced
from .border import Border, check_span
from .control import Controller, resolve_controller
from .solution import Pieces, Solution, Statistics, evaluate_at
from .stepping import Stepper, run
from .tableaus import METHODS

CAUTIOUS = {"safety": 0.8, "longest": 5.0}  # halves the error of safety 0.9 at an eighth more steps


def solve_ode(
    f: Callable[[Any, Any, Any], Any],
    u0: Any,
    t0: Any,
    t1: Any,
    *,
    args: Any = None,
    method: str = "dopri5",
    rtol: float = 1e-6,
    atol: Any = 1e-6,
    controller: str | Controller = "integral",
    dt0: Any = None,
    max_steps: int = 4096,
    while_loop: str | Callable = "lax",
    save_at: Any = None,
    dense: bool = False,
    breakpoints: Any = None,
    event: Callable[[Any, Any, Any], Any] | None = None,
) -> Solution:
    """Solve ``du/dt = f(t, u, args)`` from ``t0`` to ``t1`` with steps chosen by tolerance.

    Parameters
    ----------
    f : callable
        ``(t, u, args) -> du/dt``, in the structure and shapes of ``u0``; with units, in units of ``u0`` per
        time.
    u0 : pytree of arrays or Quantities
        The state at ``t0``.
    t0, t1 : scalar or Quantity
        The time span, ``t0 < t1``. All times carry the unit of ``t0``, or none do.
    args : pytree, optional
        Handed to ``f``; ``f`` may also close over arrays. Gradients reach both.
    method : {'dopri5', 'tsit5', 'bosh3', 'heun21'}, default 'dopri5'
        Embedded pair of order 5(4), 5(4), 3(2), 2(1).
    rtol, atol : float, or for atol also a pytree like ``u0``, default 1e-6
        A step is accepted if the root mean square over components of ``error / (atol + rtol |u|)`` is at most
        1. A plain ``atol`` is in the unit of each component.
    controller : {'integral', 'pi', 'pid'} or Controller, default 'integral'
        How the next step follows from the errors.
    dt0 : scalar or Quantity, optional
        First attempt; chosen from ``f`` if not given.
    max_steps : int, default 4096
        Most attempts, accepted or rejected.
    while_loop : {'lax', 'bounded', 'checkpointed'} or callable, default 'lax'
        The loop over attempts; 'lax' has no reverse mode. See `while_loop`.
    save_at : array or Quantity, shape (time,), optional
        Times at which to report the state, in ``[t0, t1]``. They do not change the steps.
    dense : bool, default False
        Keep the continuous extension for `Solution.evaluate`.
    breakpoints : array or Quantity, shape (breakpoint,), optional
        Times where ``f`` jumps, such as the onset of a stimulus. Steps land on them, and ``f`` is evaluated
        strictly on the side of the step.

    event : callable, optional
        ``(t, u, args) ->`` a real number. The solve ends where it changes sign; ``Solution.t`` is that time,
        with a gradient.

    Returns
    -------
    Solution
        ``ys`` at ``ts``, ``statistics``, ``status``.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used.
    RunError
        In eager use, if ``max_steps`` is reached, the step underflows or no finite step exists; the message
        holds the time reached. Inside ``jit`` and ``vmap`` the same is a flag in ``Solution.status``.

    Notes
    -----
    The gradient is the exact derivative of the steps taken: step sizes are constants, except that the last
    step follows ``t1`` and steps to breakpoints follow those. It reaches ``u0``, ``args``, everything ``f``
    closes over, ``t0``, ``t1``, ``save_at`` and ``breakpoints``. ``save_at`` and ``dense`` keep the extension
    of ``max_steps`` steps: ``max_steps * (degree + 1)`` states, degree 4 for 'dopri5' and 'tsit5', 3 and 3
    for the others.

    References
    ----------
    .. [1] J. R. Dormand, P. J. Prince. A family of embedded Runge-Kutta formulae.
       J. Comput. Appl. Math. 6 (1980) 19-26.

    Examples
    --------
    >>> import jax
    >>> import brainunit as u
    >>> from brainmass_delays.integrate import solve_ode
    >>> def membrane(t, v, tau):
    ...     return (-65.0 * u.mV - v) / tau
    >>> def voltage(tau):
    ...     solution = solve_ode(membrane, -55.0 * u.mV, 0.0 * u.ms, 20.0 * u.ms, args=tau * u.ms,
    ...                          while_loop='checkpointed')
    ...     return solution.ys / u.mV
    >>> value, slope = jax.value_and_grad(voltage)(10.0)       # -65 + 10 exp(-2), 2 exp(-2)
    >>> print(f'{value:.3f} mV, {slope:.3f} mV/ms')
    -63.647 mV, 0.271 mV/ms
    """
    where = "solve_ode"
    border, y0 = Border.of(where, u0, t0)
    start, end = border.time("t0", t0), border.time("t1", t1)
    check_span(where, start, end)
    max_steps = check_count(f"{where}.max_steps", max_steps)
    tableau = METHODS[check_choice(f"{where}.method", method, METHODS)]
    controller = resolve_controller(controller, f"{where}.controller", **CAUTIOUS)
    tolerance = tolerances(border, rtol, atol)
    first = first_step(border, dt0)
    times = save_times(border, save_at, start, end)
    jumps = None if breakpoints is None else border.time("breakpoints", breakpoints)
    slope = border.slopes(f)
    watched = border.event(event, args)

    @jax.jit
    def solve():
        stepper = Stepper(
            rhs=lambda t, y, _: slope(t, y, args),
            tableau=tableau,
            controller=controller,
            **tolerance,
            targets=landing_times(jumps, start, end),
            longest=jnp.inf,
            restart=jumps is not None,
            span=end - start,
        )
        tape, rows = (), None
        if dense or times is not None:
            tape = Pieces.blank(max_steps, y0.size, tableau.degree, border.time_dtype, border.dtype)
            rows = _whole
        state, spent = stepper.start(start, y0, None, first)
        state, tape = run(
            stepper, state, max_steps=max_steps, loop=while_loop, tape=tape, rows=rows, event=watched
        )
        evaluations = spent + len(stepper.nodes) * (state.accepted + state.rejected)
        return report(border, evaluations, start, state, tape, times, dense)

    return solve().check()


def _whole(piece):
    return piece


def tolerances(border: Border, rtol: Any, atol: Any) -> dict:
    """Return ``rtol`` and ``atol`` as scalars or flat vectors, checked where their numbers are known."""
    where = border.where
    if not is_traced(rtol) and not (np.ndim(rtol) == 0 and 0 <= rtol < 1):
        raise ArgumentError(f"{where}.rtol", "must be a number in [0, 1)", rtol)
    atol = border.like_state("atol", atol).astype(border.time_dtype)
    if not is_traced(atol) and not bool(jnp.all((atol > 0) & (atol < jnp.inf))):
        raise ArgumentError(f"{where}.atol", "must be positive and finite", jnp.min(atol))
    return {"rtol": rtol, "atol": atol}


def first_step(border: Border, dt0: Any):
    """Return the first attempt asked for, or None."""
    if dt0 is None:
        return None
    dt0 = border.time("dt0", dt0)
    if not is_traced(dt0) and not dt0 > 0:
        raise ArgumentError(f"{border.where}.dt0", "must be positive", dt0)
    return dt0


def landing_times(times, t0, t1):
    """Return the times that steps must land on: those strictly inside the span, ascending, then ``t1``."""
    if times is None:
        return t1[None]
    inside = jnp.where((times > t0) & (times < t1), times, t1)
    return jnp.append(jnp.sort(inside), t1)


def save_times(border: Border, save_at: Any, t0, t1):
    """Return the times of ``save_at``, checked to lie in the span where known."""
    if save_at is None:
        return None
    times = border.time("save_at", save_at)
    if times.ndim != 1:
        raise ArgumentError(f"{border.where}.save_at", "must be one axis of times", f"shape {times.shape}")
    if not is_traced((times, t0, t1)) and not bool(jnp.all((times >= t0) & (times <= t1))):
        rule = f"must lie between t0 = {t0} and t1 = {t1}"
        raise ArgumentError(f"{border.where}.save_at", rule, f"{times.min()} to {times.max()}")
    return times


def report(border, evaluations, t0, state, pieces, times, dense) -> Solution:
    """Turn the last state and the recorded pieces into a `Solution`."""
    ts, ys = state.t, state.y
    if times is not None:
        ts, ys = times, evaluate_at(pieces, times, state.accepted, t0, state.t)
    return Solution(
        ts=border.with_time_unit(ts),
        ys=border.unravel(ys),
        t=border.with_time_unit(state.t),
        statistics=Statistics(state.accepted, state.rejected, evaluations),
        status=state.status,
        t0=t0,
        pieces=pieces if dense else None,
        border=border,
    )
