"""Adaptive Runge-Kutta solution of delay differential equations with constant, trainable delays."""

from collections.abc import Callable
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .control import Controller
from .history import Past, tabulate
from .lookup import Reads
from .problem import Problem
from .solution import Solution

HISTORY_PIECES = 256  # of the table that edges read instead of a callable history


def solve_dde(
    f: Callable[[Any, Any, Any, Any], Any],
    history: Any,
    t0: Any,
    t1: Any,
    delays: Any,
    *,
    max_delay: Any = None,
    u0: Any = None,
    coupled: Callable[[Any], Any] | None = None,
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
    kinks: int | None = None,
) -> Solution:
    """Solve ``du/dt = f(t, u(t), u(t - delays), args)`` from ``t0`` to ``t1`` with steps chosen by tolerance.

    Parameters
    ----------
    f : callable
        ``(t, u, delayed, args) -> du/dt`` in the structure, shapes and units of ``u0`` per time.
    history : callable or pytree
        ``history(t)``, the state at times ``t <= t0``, or a constant state.
    t0, t1 : scalar or Quantity
        The time span, ``t0 < t1``. All times carry the unit of ``t0``, or none do.
    delays : array or Quantity, or a pytree of them
        Constant delays of any shape; a leaf may be live: a ``Param`` or a zero-argument callable that returns
        the delay. Exactly 0 reads the current state.
    max_delay : scalar or Quantity, optional
        Largest delay allowed. Needed if ``coupled`` edges read a ``history`` that is a function.
    u0 : pytree, optional
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
    event : callable, optional
        As in `solve_ode`.
    kinks : int, optional
        Generations of kinks that steps land on: sums of up to that many delays after ``t0`` and each
        breakpoint. By default the order of the method, or as many as make at most 1000 targets (none, for a
        large connectome); 0 where the history continues smoothly into the solution.

    Returns
    -------
    Solution
        ``ys`` at ``ts``, ``statistics``, ``status``.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, such as a delay that is negative or above ``max_delay``.
    RunError
        In eager use, as in `solve_ode`; also for a traced delay outside its bounds.

    Notes
    -----
    Steps are never longer than the shortest positive delay, so that every read lies in the recorded past: a
    delay far shorter than the time scale of the solution costs steps, never accuracy. The past is the
    continuous extension of the method (order 4 for 'dopri5' and 'tsit5'), kept for ``max_steps`` attempts.

    The gradient reaches ``history``, ``u0``, ``args``, what ``f`` closes over, and ``delays``. It is the
    exact derivative of the steps taken; steps that land on a kink move with the delays, so that a jump of the
    slope at ``t0 + delay`` enters the derivative in the delay. A delay of exactly 0 is a constant, its
    gradient is 0. With ``while_loop='checkpointed'`` neither the stored states nor a backward step copy the
    past; other loops with a reverse mode do.

    References
    ----------
    .. [1] A. Bellen, M. Zennaro. Numerical Methods for Delay Differential Equations. Oxford, 2003.
    .. [2] L. F. Shampine, S. Thompson. Solving DDEs in MATLAB. Appl. Numer. Math. 37 (2001) 441-458.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.integrate import solve_dde
    >>> def decay(t, u, delayed, args):
    ...     return -delayed
    >>> def end(delay):
    ...     return solve_dde(decay, 1.0, 0.0, 2.0, delay, max_delay=2.0, while_loop='checkpointed').ys
    >>> value, slope = jax.value_and_grad(end)(1.0)        # 1 - t + (t - delay)^2 / 2 at t = 2
    >>> print(f'{value:.4f} {slope:.4f}')
    -0.5000 -1.0000
    """
    initial_state = (history(t0) if callable(history) else history) if u0 is None else u0
    problem = Problem.of(
        "solve_dde", initial_state, t0, t1, args=args, method=method, rtol=rtol, atol=atol,
        controller=controller, dt0=dt0, max_steps=max_steps, while_loop=while_loop, save_at=save_at,
        dense=dense, breakpoints=breakpoints, event=event,
    )  # fmt: skip
    border, start, jumps = problem.border, problem.start, problem.jumps
    bound = None if max_delay is None else border.time("max_delay", max_delay)
    reads = Reads.of(border, delays, bound, coupled, keep_all=problem.keeps_pieces)
    restart = u0 is not None or jumps is not None
    slope = border.slopes(f)

    @jax.jit
    def solve():
        past, tape = _past_and_tape(problem, reads, history, bound, restart)
        roots = start[None] if jumps is None else jnp.append(jumps, start)
        stepper = problem.stepper(
            lambda t, y, values: slope(t, y, reads.assemble(past.with_current(values, y)), args),
            reads.kinks(roots, kinks, problem.tableau.order),
            restart=restart,
            longest=jnp.min(jnp.where(reads.delays > 0, reads.delays, jnp.inf)),
        )
        return problem.solve(
            stepper,
            status=reads.status(bound),
            tape=tape,
            past=past,
            rows=lambda piece: piece._replace(coefficients=piece.coefficients[reads.kept]),
        )

    return solve().check()


class DelayEquation(NamedTuple):
    """State a delay equation in the form that `solve_dde` takes; what ``Network.equation()`` returns.

    Parameters
    ----------
    f : callable
        ``(t, u, delayed, args) -> du/dt``. It closes over the parameters of nodes and couplings.
    history : pytree or callable
        The states before the start, in the structure of ``u``.
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
    equation = network.equation()._asdict()
    f, history, delays = (equation.pop(name) for name in ("f", "history", "delays"))
    return solve_dde(f, history, t0, t1, delays, **equation, **options)


def _past_and_tape(problem, reads, history, bound, restart):
    """Return how the past is read, and the tape, which begins with the history that edges cannot call."""
    tableau, t0 = problem.tableau, problem.start
    initial, table = _initial_values(problem.border, reads, history, t0, bound, tableau.degree)
    tape = problem.tape(len(reads.kept))
    if table is not None:
        tape = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), table, tape)
    nodes = tableau.nodes if restart else tableau.nodes[1:]
    tabulated = 0 if table is None else HISTORY_PIECES
    return Past(reads.delays, reads.component, reads.column, initial, t0, tabulated, nodes), tape


def _initial_values(border, reads, history, t0, bound, degree):
    """Return the history as a function of the times of the reads, or as the first pieces of the tape."""
    if not callable(history):
        constant = _ravel_history(border, history)
        constant = constant[reads.kept if reads.component is None else reads.component]
        return lambda times: constant, None

    def state(t):
        return _ravel_history(border, history(border.with_time_unit(t)))[reads.kept]

    if reads.component is None:
        return lambda times: jax.vmap(state)(times.ravel()).reshape(*times.shape, -1), None
    if bound is None:
        raise ArgumentError(
            f"{border.where}.max_delay", "is needed for edges that read a callable history", None, "Give it"
        )
    return None, tabulate(state, t0, bound, HISTORY_PIECES, degree)


def _ravel_history(border, state):
    return border.like_state("history", state).astype(border.dtype)
