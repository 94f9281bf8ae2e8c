"""Solve an initial value problem by filtering, to tolerance or on a grid."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from ..._core.arguments import checked, flag, function, numbers, optional, tree_of_numbers
from ..._core.checks import ArgumentError, check_choice, check_count
from ..._core.memory import check_memory
from ..._core.status import MAX_STEPS_REACHED, OK, refused
from ..._core.status import flag as flagged
from ..control import Controller, resolve_controller
from ..loops import resolve
from ..programs import as_arrays, as_axis, run_compiled
from .acceptance import ERROR_NORMS, INITIAL_STEPS, SAFETY
from .coordinates import Equation, are_increasing, check_increasing, check_span
from .filter_solution import FilterSolution, Run, finish, raised
from .grid import march
from .prior import check_unless_traced
from .step import Filter
from .step_size import AdaptiveFilter, Node, State

ONE, INSTANT = numbers(unit=u.UNITLESS, scalar=True, finite=True), numbers(scalar=True, finite=True)
STRATEGIES = ("filter", "fixed-point", "fixed-interval")


@checked(
    f=function,
    correct_underconfidence=flag,
    clip=optional(flag),
    error_per_unit_step=flag,
    t0=INSTANT,
    t1=INSTANT,
    rtol=ONE,
    damp=ONE,
    y0_std=optional(tree_of_numbers),
    atol=numbers(scalar=True, finite=True),
    eps=numbers(unit=u.UNITLESS, scalar=True, finite=True, low=0),
)
def solve_filter(
    f: Callable,
    y0,
    t0,
    t1,
    *,
    args=None,
    num: int | None = None,
    order: int = 1,
    output_scale=None,
    rtol: Any = 1e-3,
    atol: Any = 1e-3,
    dt0: Any = 0.1,
    controller: str | Controller = "integral",
    strategy: str | None = None,
    calibration: str = "none",
    correct_underconfidence: bool = True,
    save_at=None,
    clip: bool | None = None,
    damp: Any = 0.0,
    linearization: str = "ts0",
    covariance: str = "isotropic",
    y0_std=None,
    error_norm: str = "scale_then_rms",
    error_per_unit_step: bool = False,
    eps: float = 1e-8,
    max_steps: int = 4096,
    while_loop: str | Callable = "lax",
) -> FilterSolution:
    """Solve an initial value problem to tolerance by Bayesian filtering, with an uncertainty and derivatives.

    The prior is an integrated Wiener process, or what a `Prior` says; each step conditions it on the
    equation, linearized at the extrapolated mean.

    Parameters
    ----------
    f : callable
        ``f(t, y, args)``, the derivative of ``y``; for ``order=2`` ``f(t, y, dy, args)``, its second
        derivative.
    y0 : pytree of arrays or quantities, or Prior
        Initial value, for ``order=2`` the tuple ``(y, dy)``. For ``covariance='isotropic'`` all leaves have
        one unit, as they share one variance. A `Prior` instead fixes the process and all initial
        coefficients (to train them, or to make them uncertain).
    t0, t1 : float or quantity
        First and last time, ``t1`` after ``t0``.
    args : pytree, optional
        Passed to ``f``.
    num : int, default 3
        Number of derivatives taken from the equation. The method has order ``num``, for ``order=2`` one more.
    order : int, default 1
        Order of the equation.
    output_scale : float, default 1.0; for 'blockdiag' and 'dense' also a pytree like the state
        Diffusion of the prior. Uncalibrated, a single one scales ``std`` and changes nothing else for an
        exact start.
    rtol, atol : float, default 1e-3
        Relative and absolute tolerance of the error of one step; ``atol`` may have the unit of the state.
    dt0 : float, quantity or {'ratio', 'hairer'}, default 0.1
        First step, or the rule that finds it: one percent of ``|y| / |y'|``, or the rule of Hairer, Nørsett
        and Wanner.
    controller : {'integral', 'pi', 'pid'} or Controller, default 'integral'
        Step-size control; the named ones with safety factor 0.95.
    strategy : {'filter', 'fixed-point', 'fixed-interval'}, optional
        ``'filter'``: a state knows its past only. ``'fixed-point'``: the states at ``save_at`` know the whole
        interval, memory is one state per checkpoint however many steps there are. ``'fixed-interval'``: so
        does every accepted step; all are returned, padded to ``max_steps + 1`` rows by repeating the end.
        Default: 'fixed-point' with ``save_at``, else 'filter'; at the end time all three agree.
    calibration : {'none', 'mle', 'dynamic'}, default 'none'
        What ``std`` is measured by. ``'none'``: the diffusion of the prior (right for likelihoods with a
        tempered ``output_scale``; otherwise no error bar). ``'mle'``: all of it rescaled once by the
        residuals seen (choose this to report ``std``, unless the equation is stiff: its fast start would set
        the scale). ``'dynamic'``: one diffusion per step; changes the steps too.
    correct_underconfidence : bool, default True
        For 'mle': divide the scale by the square root of the number of steps, as solutions are smoother than
        the prior.
    save_at : array or quantity, shape (K,), optional
        Checkpoints, increasing, in ``[t0, t1]``. The solver stops at the last one. Default: ``t1`` alone is
        reported.
    clip : bool, optional
        Shorten steps to end on the checkpoints, instead of stepping over them and interpolating (then ``f``
        is evaluated beyond the last one). Default: True without ``save_at``, else False; 'fixed-interval'
        always clips.
    damp : float, default 0.0
        Standard deviation of noise added to the observation "the residual is zero".
    linearization : {'ts0', 'ts1'}, default 'ts0'
        Order of the Taylor series of ``f`` in a step. ``'ts0'`` ("EK0"): no Jacobian, explicit, cheap.
        ``'ts1'`` ("EK1"): with its Jacobian, by forward mode; A-stable with ``covariance='dense'``, where
        ``std`` also grows and shrinks as errors do. 'blockdiag' uses its diagonal, 'isotropic' the mean of
        that.
    covariance : {'isotropic', 'blockdiag', 'dense'}, default 'isotropic'
        What a filter of ``d`` entries keeps: one covariance that all share (cost ``d``), one for each (cost
        ``d``), or that of all of them jointly (cost ``d**3``).
    y0_std : float, quantity or pytree like ``y0``, optional
        Standard deviation of the initial value, whose entries are independent; its derivatives are uncertain
        with it. Choose ``linearization='ts1'`` to carry it through the equation, an ``output_scale`` well
        above ``y0_std`` times the size of the next derivative (else the prior rules out part of what the
        start allows), and ``calibration='none'``, as 'mle' rescales the initial covariance too.
    error_norm : {'scale_then_rms', 'rms_then_scale'}, default 'scale_then_rms'
        Compare the error with the tolerance entry by entry, or on average.
    error_per_unit_step : bool, default False
        Multiply the error estimate by one more step length over the factorial's next factor.
    eps : float, default 1e-8
        Two times closer than this are the same.
    max_steps : int, default 4096
        Most attempts, rejected ones included, up to the last checkpoint.
    while_loop : {'lax', 'bounded', 'checkpointed'} or callable, default 'lax'
        The loop over attempts. 'lax' has no reverse mode; see `while_loop`. A callable gets ``(cond, body,
        init)``; with ``save_at`` it runs once per checkpoint. 'fixed-interval' replays the accepted steps by
        a scan, which has a reverse mode with every loop.

    Returns
    -------
    FilterSolution

    Raises
    ------
    ArgumentError
        For unusable arguments.
    RunError
        Eagerly, if ``max_steps`` is reached, a value is not finite ten attempts in a row, or the step
        underflows; the message has the time reached. Under ``jit``, ``vmap`` and ``grad`` look at ``status``
        and ``t`` instead.

    Notes
    -----
    Cost per attempt: one evaluation of ``f``, for 'ts1' also of its Jacobian, and one QR decomposition of
    shape (2 n, n) (twice that size for smoothers). With q = ``num + order``, n is q for 'isotropic' whatever
    the size of the state, q for each of ``d`` blocks, or q d.

    The gradient is the exact derivative of the discrete recursion with the accepted steps held constant: in
    ``y0``, ``args``, ``t0``, ``t1``, the prior, ``output_scale`` and ``damp``, of means, standard deviations
    and likelihoods. Two things are constants by choice, the step lengths and the local scales of 'dynamic'.
    For an exactly known start the mean does not depend on ``output_scale``: that gradient is zero up to
    rounding. If ``f`` overflows at an attempt, the attempt is rejected, but its infinite derivative makes the
    gradient NaN (not with 'fixed-interval'); start with a smaller ``dt0`` then.

    References
    ----------
    .. [1] M. Schober, S. Särkkä, P. Hennig. A probabilistic model for the numerical solution of initial value
       problems. Statistics and Computing 29 (2019) 99-122.
    .. [2] N. Bosch, P. Hennig, F. Tronarp. Calibrated adaptive probabilistic ODE solvers. AISTATS 2021.
    .. [3] N. Krämer. Adaptive probabilistic ODE solvers without adaptive memory requirements. ProbNum 2025.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from brainmass_delays.integrate import solve_filter
    >>> def loss(y0):
    ...     solution = solve_filter(lambda t, y, rate: rate * y * (1 - y), y0, 0.0, 1.0, args=0.5,
    ...                             num=1, rtol=1e-3, atol=1e-3, while_loop='checkpointed', max_steps=100)
    ...     return jnp.dot(solution.ys, solution.ys)
    >>> value, gradient = jax.value_and_grad(loss)(jnp.array([0.1]))
    >>> print(f'{value:.5f} {gradient[0]:.4f}')
    0.02392 0.4496
    """
    where = "solve_filter"
    strategy = _check_strategy(strategy, save_at)

    def prepare(numbers):
        return _prepare(
            where, f, args=args, num=num, order=order, calibration=calibration, linearization=linearization,
            covariance=covariance, controller=controller, error_norm=error_norm, slack=eps, strategy=strategy,
            per_unit_step=error_per_unit_step, clip=clip, max_steps=max_steps, loop=while_loop, **numbers,
        )  # fmt: skip

    def solve(numbers):
        adaptive, state, targets = prepare(numbers)
        run = _march(adaptive, state, targets, strategy, only_last=save_at is None)
        return finish(adaptive.filter, run, correct_underconfidence)

    numbers = {
        "y0": y0, "t0": t0, "t1": t1, "output_scale": output_scale, "rtol": rtol, "atol": atol, "dt0": dt0,
        "save_at": as_axis(save_at), "damp": damp, "y0_std": y0_std,
    }  # fmt: skip
    prepare(numbers)  # inside a program numbers cannot be checked
    return raised(where, run_compiled(solve, as_arrays(numbers)))


def _prepare(
    where, f, y0, t0, t1, output_scale, rtol, atol, dt0, save_at, damp, y0_std, *, args, num, order,
    calibration, linearization, covariance, controller, error_norm, slack, strategy, per_unit_step, clip,
    max_steps, loop,
) -> tuple[AdaptiveFilter, State, jax.Array]:  # fmt: skip
    """Check all arguments; return the solver, its first state and the times to stop at."""
    check_choice(f"{where}.error_norm", error_norm, ERROR_NORMS)
    filter = Filter(
        where, f, y0, t0, t1, num=num, order=order, args=args, output_scale=output_scale,
        calibration=calibration, damp=damp, linearization=linearization, covariance=covariance, y0_std=y0_std,
    )  # fmt: skip
    equation = filter.equation
    clip = strategy == "fixed-interval" or (save_at is None if clip is None else clip)
    targets, good = _check_times(where, equation, t0, t1, save_at, slack)
    rtol = check_unless_traced(f"{where}.rtol", rtol)
    atol = equation.state.magnitude(f"{where}.atol", check_unless_traced(f"{where}.atol", atol))
    max_steps = check_count(f"{where}.max_steps", max_steps)
    adaptive = AdaptiveFilter(
        filter,
        rtol=rtol,
        atol=atol,
        controller=resolve_controller(controller, f"{where}.controller", safety=SAFETY),
        tolerance_norm=ERROR_NORMS[error_norm],
        per_unit_step=per_unit_step,
        clip=clip,
        smoothing=strategy == "fixed-point"
        and not (clip and save_at is None),  # else the end needs no way back
        slack=slack,
        shortest=4.0 * jnp.finfo(targets.dtype).eps * jnp.maximum(jnp.abs(equation.t0), jnp.abs(targets[-1])),
        max_steps=max_steps,
        loop=resolve(loop, max_steps, f"{where}.while_loop"),
    )
    first = _first_step(f"{where}.dt0", filter, dt0, rtol, atol)
    status = refused(good, first > 0, jnp.asarray(rtol) > 0, atol > 0)
    return adaptive, adaptive.start(first)._replace(status=status), targets


def _march(adaptive: AdaptiveFilter, state: State, targets: jax.Array, strategy: str, *, only_last) -> Run:
    """Advance to the last target and collect what is to be reported."""
    if strategy == "fixed-interval":
        return _replay(adaptive, state, targets[-1])
    if only_last and adaptive.clip:
        state = adaptive.advance(state, targets[-1])
        return _run(Node(state.now.t, state.now.gaussian, None), state, state.accepted)
    return _stop_at(adaptive, state, targets, only_last=only_last)


def _run(nodes: Node, state: State, accepted) -> Run:
    """Collect what a finished loop knows."""
    rejected = state.attempts - state.accepted
    return Run(nodes.t, nodes.gaussian, nodes.kernel, None, accepted, rejected, state.surprise, state.status)


def _stop_at(adaptive: AdaptiveFilter, state: State, targets: jax.Array, *, only_last: bool) -> Run:
    """Advance from checkpoint to checkpoint; report all of them, or the last one without its leading axis."""

    # Reverse mode keeps one state per checkpoint, and runs the attempts up to the next one again.
    @jax.checkpoint
    def body(state, target):
        state, node = adaptive.checkpoint(adaptive.advance(state, target), target)
        return state, (node, state.accepted)

    state, (nodes, accepted) = jax.lax.scan(body, state, targets)
    if only_last:
        nodes, accepted = jax.tree.map(lambda rows: rows[-1], (nodes._replace(kernel=None), accepted))
        return _run(nodes, state, accepted)
    # The first kernel leads back to t0, which is not reported unless it is a checkpoint itself.
    nodes = nodes._replace(kernel=jax.tree.map(lambda rows: rows[1:], nodes.kernel))
    return _run(nodes, state, accepted)


def _replay(adaptive: AdaptiveFilter, state: State, target: jax.Array) -> Run:
    """Find the accepted steps, then smooth over them as over a grid; step lengths are constants anyway."""

    def body(carry):
        state, times = carry
        state = adaptive.attempt(state, target)
        return state, times.at[state.accepted].set(state.now.t)

    check_memory(
        "solve_filter.max_steps",
        {"times": 8 * adaptive.max_steps},
        "Every step is kept: lower it",
        on_device=True,
    )
    times = jnp.full(adaptive.max_steps + 1, state.now.t)
    state, times = jax.lax.while_loop(lambda carry: adaptive.running(carry[0], target), body, (state, times))
    early = adaptive.unfinished(state, target) & (state.status == OK)
    state = state._replace(status=state.status | flagged(early, MAX_STEPS_REACHED))
    times = jnp.where(jnp.arange(len(times)) > state.accepted, state.now.t, times)
    run = march("solve_filter.max_steps", adaptive.filter, jax.lax.stop_gradient(times), smoothing=True)
    return run._replace(rejected=state.attempts - state.accepted, status=state.status)


def _check_strategy(strategy: str | None, save_at) -> str:
    """Return the strategy, by default the one that fits the output asked for."""
    if strategy is None:
        return "filter" if save_at is None else "fixed-point"
    check_choice("solve_filter.strategy", strategy, STRATEGIES)
    if strategy == "fixed-interval" and save_at is not None:
        raise ArgumentError("solve_filter.strategy", "'fixed-interval' returns the steps, not checkpoints",
                            "save_at", "Choose 'fixed-point', which gives the same values there")  # fmt: skip
    return strategy


def _check_times(where: str, equation: Equation, t0, t1, save_at, slack) -> tuple[jax.Array, jax.Array]:
    """Return the times to stop at, in order, and whether they are."""
    targets = t1 if save_at is None else save_at
    start, end, times = (
        equation.state.plain_time(f"{where}.{name}", value)
        for name, value in (("t0", t0), ("t1", t1), ("save_at", targets))
    )
    check_span(where, start, end, slack)
    good = jnp.isfinite(equation.t0) & (jnp.asarray(end) - start > slack) & jnp.isfinite(jnp.asarray(end))
    if save_at is not None:
        check_increasing(f"{where}.save_at", times, start, end)
        good &= are_increasing(jnp.asarray(times), start, end)
    return jnp.atleast_1d(jnp.asarray(times, equation.state.dtype)), good


def _first_step(where: str, filter: Filter, dt0, rtol, atol) -> jax.Array:
    """Return the first step, or apply the rule that finds it."""
    if isinstance(dt0, str):
        rule = INITIAL_STEPS[check_choice(where, dt0, INITIAL_STEPS)]
        return rule(filter.equation, rtol, atol, filter.layout.n_coefficients - 1)
    numbers(scalar=True, finite=True)(where, dt0)
    return filter.equation.state.time(where, check_unless_traced(where, dt0), plain=True)
