"""Adaptive Runge-Kutta solution of ordinary differential equations."""

from collections.abc import Callable
from typing import Any

from .._core.arguments import checked, function_of, optional
from .._core.choices import ControllerName, LoopName, SolverName
from .control import Controller
from .programs import run_compiled
from .setup import Problem
from .solution import Solution
from .switches import Switches, are_functions, stop_of


@checked(
    f=function_of("t, y, args"), switches=optional(are_functions), event=optional(function_of("t, y, args"))
)
def solve_ode(
    f: Callable[[Any, Any, Any], Any],
    y0: Any,
    t0: Any,
    t1: Any,
    *,
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
) -> Solution:
    """Solve ``dy/dt = f(t, y, args)`` from ``t0`` to ``t1`` with steps chosen by tolerance.

    Parameters
    ----------
    f : callable
        ``(t, y, args) -> dy/dt``, in the structure and shapes of ``y0``; with units, in units of ``y0`` per
        time.
    y0 : pytree of arrays or Quantities
        The state at ``t0``.
    t0, t1 : scalar or Quantity
        The time span, ``t0 < t1``. All times carry the unit of ``t0``, or none do.
    args : pytree, optional
        Handed to ``f``; ``f`` may also close over arrays. Gradients reach both.
    method : {'dopri5', 'tsit5', 'bosh3', 'heun21', 'radau5'}, default 'dopri5'
        Embedded pair of order 5(4), 5(4), 3(2), 2(1), or Radau IIA of order 5, L-stable, for stiff equations:
        Newton's method with Jacobians by forward mode, colored if sparse, and linear systems whose cost grows
        with the cube of the number of components.
    rtol, atol : float, or for atol also a pytree like ``y0``, default 1e-6
        A step is accepted if the root mean square over components of ``error / (atol + rtol |y|)`` is at most
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
    impulses : (times, amounts), optional
        The state jumps at ``times``, shape (impulse,), strictly inside the span: by ``amounts``, a pytree
        like ``y0`` with a leading axis (impulse,), or to what a function ``(t, y, args)`` returns.
        ``Solution.ys`` at such a time is the state after it.
    switches : callable or list of them, optional
        ``(t, y, args) ->`` a real number at whose change of sign ``f`` jumps. Steps land there.
    event : callable, optional
        ``(t, y, args) ->`` a real number. The solve ends where it changes sign; ``Solution.t`` is that time,
        with a gradient. Changes of sign are looked for at 16 points of every step.
    sparsity : {'detect', 'dense'} or array, shape (component, component), default 'detect'
        For 'radau5': which components of the slope depend on which of the state, in the order of
        ``jax.flatten_util.ravel_pytree``, through delays too; found in the program of ``f`` by default.
        Columns of the Jacobian that share no row are probed in one direction. An array without an entry that
        is not 0 at the start is refused; an entry missing later costs Newton iterations and spoils gradients.

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
    step follows ``t1`` and steps that land on a breakpoint, an impulse, a switch or an event follow those. It
    reaches ``y0``, ``args``, everything ``f`` closes over, ``t0``, ``t1``, ``save_at``, ``breakpoints`` and
    ``impulses``. ``dense`` keeps the extension of ``max_steps`` steps, ``degree + 1`` states each (degree 4
    for 'dopri5' and 'tsit5', 3 for the others); ``save_at`` only that of the steps which contain its times.

    A second eager call with the same functions, shapes and settings compiles nothing: every call traces, and
    programs are compared.

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
    problem = Problem.of(
        "solve_ode", y0, t0, t1, args=args, method=method, rtol=rtol, atol=atol, controller=controller,
        dt0=dt0, max_steps=max_steps, while_loop=while_loop, save_at=save_at, dense=dense,
        breakpoints=breakpoints, impulses=impulses, sparsity=sparsity,
    )  # fmt: skip

    def solve(problem):
        border, args = problem.border, problem.args
        slope = border.slopes(f)
        return problem.solve(
            lambda t, y, _: slope(t, y, args),
            switches=Switches.of(border, switches, args),
            stop=stop_of(border, event, args),
        )

    return run_compiled(solve, problem).check()
