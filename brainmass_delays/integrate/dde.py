"""Adaptive Runge-Kutta solution of delay differential equations with trainable delays, constant or not."""

from collections.abc import Callable
from typing import Any, NamedTuple

import brainunit as u

from .._core.arguments import checked, function, function_of, if_function, numbers, optional, tree_of_numbers
from .._core.checks import ArgumentError
from .._core.choices import ControllerName, LoopName, SolverName
from .._core.units import magnitude
from .breakpoints import distinct_constants
from .control import Controller
from .equation import Equation
from .lookup import Reads, check_delays, check_right_side, resolve
from .programs import as_arrays, run_compiled
from .setup import Problem
from .solution import Solution
from .switches import Switches, are_functions, stop_of

# Now and then one estimate passes through 0, and a step five times too long is read by all that follow. For
# ordinary equations the same bound raises errors (DETEST, 'tsit5': from 1.55 tolerances to 1.75).
SUDDEN = 2.0


@checked(
    f=function,
    history=if_function("t"),
    coupled=optional(function_of("y")),
    y0=optional(tree_of_numbers),
    switches=optional(are_functions),
    event=optional(function_of("t, y, args")),
)
def solve_dde(
    f: Callable[[Any, Any, Any, Any], Any],
    history: Any,
    t0: Any,
    t1: Any,
    delays: Any,
    *,
    max_delay: Any = None,
    min_delay: Any = None,
    y0: Any = None,
    coupled: Callable[[Any], Any] | None = None,
    args: Any = None,
    method: SolverName = "dopri5",
    rtol: float = 1e-6,
    atol: Any = 1e-6,
    controller: ControllerName | Controller = "integral",
    dt0: Any = None,
    max_steps: int = 4096,
    while_loop: LoopName | Callable = "lax",
    save_at: Any = None,
    dense: bool = False,
    breakpoints: Any = None,
    impulses: tuple[Any, Any] | None = None,
    switches: Any = None,
    event: Callable[[Any, Any, Any], Any] | None = None,
    sparsity: Any = "detect",
    kinks: int | str | None = None,
) -> Solution:
    """Solve ``dy/dt = f(t, y(t), y(t - delays), args)`` from ``t0`` to ``t1`` with steps chosen by tolerance.

    Parameters
    ----------
    f : callable
        ``(t, y, delayed, args) -> dy/dt`` in the structure, shapes and units of ``y0`` per time.
    history : callable or pytree
        ``history(t)``, the state at times ``t <= t0``, or a constant state.
    t0, t1 : scalar or Quantity
        The time span, ``t0 < t1``. All times carry the unit of ``t0``, or none do.
    delays : array or Quantity, or a pytree of them
        Delays of any shape; a leaf may be live: a ``Param`` or a zero-argument callable that returns the
        delay; or a function ``(t, y, args)`` for a delay that depends on time or state and may vanish.
        Exactly 0 reads the current state.
    max_delay, min_delay : scalar or Quantity, optional
        Largest and smallest delay allowed; a delay must not be negative in any case. ``max_delay`` is needed
        if ``coupled`` edges read a ``history`` that is a function.
    y0 : pytree, optional
        The state at ``t0`` if it differs from ``history(t0)``.
    coupled : callable, optional
        Without it every delay reads the whole state: ``delayed`` has the structure of ``delays``, each leaf
        replaced by a state with the axes of the delay leading. With it delays belong to edges: ``coupled(u)``
        selects an array ``(..., source)`` of the state (or a pytree of them in the structure of ``delays``),
        and a matrix ``delays[target, source]`` reads ``delayed[i, j] = coupled(u(t - delays[i, j]))[j]``.
    args, method, rtol, atol, controller, dt0, max_steps, while_loop, save_at, dense
        As in `solve_ode`.
    breakpoints : array or Quantity, shape (breakpoint,), optional
        Times where ``f`` or ``history`` jumps. Their kinks are carried on by the delays as that of ``t0`` is.
    impulses : (times, amounts), optional
        As in `solve_ode`. Delays read the jumps as they read all of the past.
    switches : callable or list of them, optional
        ``(t, y, delayed, args) ->`` a real number at whose change of sign ``f`` jumps. Steps land there.
    event, sparsity
        As in `solve_ode`.
    kinks : int or 'all', optional
        Generations of kinks that steps land on: sums of up to that many constant delays after ``t0`` and
        each breakpoint and impulse. By default the order of the method, or as many as make at most 1000
        kinks (none, for a large connectome); 'all' insists on the order of the method, if that makes at most
        ``max_steps`` kinks; 0 where the history continues smoothly into the solution. Kinks that reach the
        solution through delays which depend on time or state are found on the way, for up to 64 delays or
        where ``kinks`` asks for it.

    Returns
    -------
    Solution
        ``ys`` at ``ts``, ``statistics``, ``status``.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, such as a delay that is negative or above ``max_delay``, or a right
        side that wants slopes of the past: neutral equations are not solved.
    RunError
        In eager use, as in `solve_ode`; also for a delay that leaves its bounds on the way, and for a
        ``history`` that varies too fast for its table.

    Notes
    -----
    A step may be longer than a delay. It then reads a past that only it finds, and is repeated until that no
    longer changes (`Statistics.repeated`); steps of up to three shortest delays are cut to one instead. The
    past is the continuous extension of the method (order 4 for 'dopri5' and 'tsit5'), kept for ``max_steps``
    attempts. A callable ``history`` that edges read is tabulated to a tenth of the tolerance.

    The error estimate does not see the whole error, so each step keeps a part of the tolerance: a sixth for
    methods of order 5, as the past is known to a lower order; a tenth with delays that depend on time or
    state; a twentieth where kinks of the first generation alone are landed on, and a fiftieth where none are,
    as in a large network.

    The gradient reaches ``history``, ``y0``, ``args``, what ``f`` closes over, and ``delays``. It is the
    exact derivative of the steps taken; steps that land on a kink or a switch move with it, so that a jump of
    the slope at ``t0 + delay`` enters the derivative in the delay. A delay of exactly 0 is a constant, its
    gradient is 0. With ``while_loop='checkpointed'`` neither the stored states nor a backward step copy the
    past; other loops with a reverse mode do.

    References
    ----------
    .. [1] A. Bellen, M. Zennaro. Numerical Methods for Delay Differential Equations. Oxford, 2003.
    .. [2] L. F. Shampine, S. Thompson. Solving DDEs in MATLAB. Appl. Numer. Math. 37 (2001) 441-458.
    .. [3] N. Guglielmi, E. Hairer. Computing breaking points in implicit delay differential equations.
       Adv. Comput. Math. 29 (2008) 229-247.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.integrate import solve_dde
    >>> def decay(t, y, delayed, args):
    ...     return -delayed
    >>> def end(delay):
    ...     return solve_dde(decay, 1.0, 0.0, 2.0, delay, max_delay=2.0, while_loop='checkpointed').ys
    >>> value, slope = jax.value_and_grad(end)(1.0)        # 1 - t + (t - delay)^2 / 2 at t = 2
    >>> print(f'{value:.4f} {slope:.4f}')
    -0.5000 -1.0000
    """
    check_right_side("solve_dde", f)
    before = history(t0) if callable(history) else history
    tree_of_numbers("solve_dde.history", before)
    problem = Problem.of(
        "solve_dde", before if y0 is None else y0, t0, t1, args=args, method=method, rtol=rtol, atol=atol,
        controller=controller, dt0=dt0, max_steps=max_steps, while_loop=while_loop, save_at=save_at,
        dense=dense, breakpoints=breakpoints, impulses=impulses, sparsity=sparsity, sudden=SUDDEN,
    )  # fmt: skip
    functions = Functions(f, coupled, switches, event)
    return _solve(problem, functions, history, delays, (min_delay, max_delay), kinks, y0 is not None)


class Functions(NamedTuple):
    """Hold the functions of the caller."""

    f: Callable
    coupled: Callable | None
    switches: Any
    event: Callable | None


def _solve(problem: Problem, functions: Functions, history, delays, bounds, kinks, jumps: bool) -> Solution:
    """Solve a checked problem; ``jumps`` tells whether the state jumps at the start."""
    f, coupled, switches, event = functions
    structure, leaves, bounds = _checked_delays(problem.border, delays, *bounds)
    constants = distinct_constants(leaves, problem.start)

    def solve(arguments):
        problem, leaves, constants, bounds, history = arguments
        border, start = problem.border, (problem.start, problem.y0)
        reads = Reads.of(border, structure, leaves, bounds, coupled, problem.args, start, problem.dense)
        return problem.solve(
            lambda t, y, values: border.slopes(f)(t, y, reads.assemble(values), problem.args),
            equation=Equation.of(problem, reads, history, constants, kinks, jumps),
            switches=Switches.of(border, switches, problem.args, reads.assemble),
            stop=stop_of(border, event, problem.args),
        )

    return run_compiled(solve, (problem, leaves, constants, bounds, as_arrays(history))).check()


class DelayEquation(NamedTuple):
    """State a delay equation in the form that `solve_dde` takes; what ``Network.equation()`` returns.

    Parameters
    ----------
    f : callable
        ``(t, y, delayed, args) -> dy/dt``. It closes over the parameters of nodes and couplings.
    history : pytree or callable
        The states before the start, in the structure of ``y``.
    delays : pytree of Quantities
        One matrix ``[target, source]`` per coupled variable; 0 for absent edges (their value is not used).
    coupled : callable or None
        ``u ->`` pytree of the arrays ``(source,)`` that the matrices read, in the structure of ``delays``.
    max_delay : Quantity or None
        The bound.
    args : pytree
        Handed to ``f``.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import DelayEquation, solve_network
    >>> class Pair:
    ...     def equation(self):
    ...         delays = jnp.array([[0.0, 5.0], [8.0, 0.0]]) * u.ms
    ...         weights = jnp.array([[0.0, 0.5], [0.3, 0.0]])
    ...         def f(t, x, delayed, args):
    ...             return (-x + (weights * delayed).sum(axis=1)) / (10.0 * u.ms)
    ...         return DelayEquation(f, jnp.ones(2), delays, coupled=lambda x: x, max_delay=10.0 * u.ms)
    >>> first, second = solve_network(Pair(), 20.0 * u.ms).ys
    >>> print(f'{first:.3f} {second:.3f}')
    0.410 0.341
    """

    f: Callable
    history: Any
    delays: Any
    coupled: Callable | None = None
    max_delay: Any = None
    args: Any = None


def solve_network(network: Any, t1: Any, *, t0: Any = 0.0 * u.ms, **options: Any) -> Solution:
    """Solve a network to tolerance instead of on a grid.

    Parameters
    ----------
    network : object with a method ``equation()``
        ``equation()`` returns a `DelayEquation`; a `Network` has it.
    t1, t0 : Quantity
        The time span; ``t0`` is 0 ms by default.
    **options
        Of `solve_dde`: ``rtol``, ``atol``, ``method``, ``while_loop``, ``save_at``, ...

    Returns
    -------
    Solution
        The states of the nodes, in the structure of ``DelayEquation.history``.

    Raises
    ------
    ArgumentError
        If the network states no equation, and as `solve_dde`.

    Notes
    -----
    ``equation()`` is called inside the solve, so gradients reach every ``Param`` that it reads.

    Examples
    --------
    See `DelayEquation`.
    """
    if not callable(getattr(network, "equation", None)):
        cure = "Pass a Network, or any object whose equation() returns a DelayEquation"
        raise ArgumentError(
            "solve_network.network", "must have a method equation()", type(network).__name__, cure
        )
    for name, time in (("t0", t0), ("t1", t1)):
        where = f"solve_network.{name}"
        numbers(scalar=True)(where, magnitude(where, time, u.ms, plain=False))
    equation = network.equation()._asdict()
    f, history, delays = (equation.pop(name) for name in ("f", "history", "delays"))
    return solve_dde(f, history, t0, t1, delays, **equation, **options)


def _checked_delays(border, delays, low, high):
    """Return the structure of the delays, each of them, and their bounds as magnitudes."""
    for name, bound in (("min_delay", low), ("max_delay", high)):
        if bound is not None:
            numbers(scalar=True)(f"{border.where}.{name}", bound)
    bounds = tuple(
        None if bound is None else border.time(name, bound)
        for name, bound in (("min_delay", low), ("max_delay", high))
    )
    for name, bound in zip(("min_delay", "max_delay"), bounds, strict=True):
        if bound is not None:
            numbers(scalar=True)(f"{border.where}.{name}", bound)
    structure, leaves = resolve(border, delays)
    check_delays(border, leaves, *bounds)
    return structure, leaves, bounds
