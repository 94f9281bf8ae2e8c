"""Solve a delay equation by filtering, with steps that land on its kinks."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ..._core.arguments import checked, flag, function, if_function, numbers, optional, tree_of_numbers
from ..._core.checks import ArgumentError, check_choice, check_count
from ..._core.memory import check_memory
from ..._core.status import is_traced, refused
from ..control import Controller, resolve_controller
from ..lookup import check_right_side
from ..loops import resolve
from ..programs import as_arrays, as_axis, run_compiled
from .acceptance import SAFETY
from .coordinates import are_increasing, check_increasing, check_span
from .delay_equation import DelayedField, live
from .delay_march import March, State
from .delay_step import DelayFilter
from .filter_solution import FilterSolution, Run, calibrated_scale, finish_with, raised
from .layout import COVARIANCES, Layout
from .posterior import Joint
from .prior import Dynamics, check_scale, check_unless_traced, wiener_prior
from .step import LINEARIZATIONS
from .window import Memory

DELAY_CALIBRATIONS = ("none", "mle")
ONE, INSTANT = numbers(unit=u.UNITLESS, scalar=True, finite=True), numbers(scalar=True, finite=True)
WINDOWS = 3  # copies of the root of the covariance in one step: before, after, and the stack between


@checked(
    f=function,
    history=if_function("t"),
    t0=INSTANT,
    t1=INSTANT,
    y0=optional(tree_of_numbers),
    correct_underconfidence=flag,
    rtol=optional(ONE),
    atol=INSTANT,
    dt0=INSTANT,
    damp=ONE,
)
def solve_filter_dde(
    f: Callable[[Any, Any, Any, Any], Any],
    history: Any,
    t0: Any,
    t1: Any,
    delays: Any,
    *,
    y0: Any = None,
    args: Any = None,
    num: int = 3,
    output_scale=None,
    rtol: Any = 1e-3,
    atol: Any = 1e-3,
    dt0: Any = 0.1,
    controller: str | Controller = "integral",
    calibration: str = "mle",
    correct_underconfidence: bool = True,
    save_at=None,
    window: int = 48,
    kinks: int | None = None,
    linearization: str = "ts1",
    covariance: str = "dense",
    damp: Any = 0.0,
    max_steps: int = 4096,
    while_loop: str | Callable = "lax",
) -> FilterSolution:
    """Solve ``dy/dt = f(t, y(t), y(t - delays), args)`` by Bayesian filtering, with an uncertainty.

    The delayed value is read from the filter's own posterior: its mean, its covariance, and its correlation
    with the present, as an error made one delay ago comes back. For this the filter keeps the joint
    distribution of its last states.

    Parameters
    ----------
    f : callable
        ``f(t, y, delayed, args)``, the derivative of ``y``.
    history : callable or pytree
        ``history(t)``, the state at times ``t <= t0``, or a constant state; exactly known.
    t0, t1 : float or quantity
        First and last time, ``t1`` after ``t0``.
    delays : float, array of shape (J,) or quantity
        Constant delays, not negative; may be live: a ``Param`` or a zero-argument callable. ``delayed`` is
        the state at ``t - delays``, with an axis J in front unless there is one delay without an axis.
    y0 : pytree, optional
        The state at ``t0`` if it differs from ``history(t0)``.
    args : pytree, optional
        Passed to ``f``.
    num : int, default 3
        Number of derivatives, and order of the method.
    output_scale : float or pytree like the state, default 1.0
        Diffusion of the prior, an integrated Wiener process.
    rtol, atol : float, default 1e-3
        Tolerances of the error of one step, as in `solve_filter`. ``rtol=None``: no error is estimated, the
        stretches between kinks are divided into equal steps of at most ``dt0``.
    dt0 : float or quantity, default 0.1
        First step.
    controller, damp, max_steps, while_loop
        As in `solve_filter`.
    calibration : {'mle', 'none'}, default 'mle'
        As in `solve_filter`.
    correct_underconfidence : bool, default True
        As in `solve_filter`.
    save_at : array or quantity, shape (K,), optional
        Increasing times in ``[t0, t1]`` whose values are reported together with their joint distribution.
        Default: the state at ``t1``, with its derivatives.
    window : int, default 48
        Number of states kept, one per step and one per kink; the longest delay must be shorter than that.
    kinks : int, optional
        Generations of kinks where a step ends and the derivatives are taken from the equation anew: sums of
        up to that many delays after ``t0``. Default ``num - 1``, as jumps in higher derivatives than ``num``
        do not lower the order; 0 where the history continues smoothly into the solution.
    linearization : {'ts1', 'ts0'}, default 'ts1'
        'ts1' sees ``f`` through its Jacobians, in the present and in the past. 'ts0' reads the means only, so
        that its ``std`` knows nothing of how errors are carried on.
    covariance : {'dense', 'blockdiag', 'isotropic'}, default 'dense'
        As in `solve_filter`.

    Returns
    -------
    FilterSolution
        With ``save_at`` of the values alone, and ready to be sampled and to be compared with data.

    Raises
    ------
    ArgumentError
        For unusable arguments.
    RunError
        Eagerly, as in `solve_filter`, and if a delay reaches back further than the window. Under a
        transformation look at ``status``.

    Notes
    -----
    Cost per attempt: a QR decomposition of about W columns, ``W = (window + 1) (num + 1) + K``, times ``d``
    for 'dense', and once per entry for 'blockdiag'. A delay shorter than a step is read from the extrapolated
    state, so that steps may be longer than delays.

    The gradient reaches ``history``, ``y0``, ``args``, ``delays``, ``t1``, ``output_scale`` and ``save_at``.
    It is the exact derivative of the recursion with a fixed number of steps between kinks; kinks, and the
    steps before them, move with the delays.

    The history is exact and the present depends on it: this is Gaussian filtering on a state that contains
    its own past, to first order. It is the method of steps for the linearization of reference [1]_.

    References
    ----------
    .. [1] F. Tronarp, H. Kersting, S. Särkkä, P. Hennig. Probabilistic solutions to ordinary differential
       equations as nonlinear Bayesian filtering. Statistics and Computing 29 (2019) 1297-1315.
    .. [2] A. Bellen, M. Zennaro. Numerical Methods for Delay Differential Equations. Oxford, 2003.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import solve_filter_dde
    >>> def decay(t, y, delayed, args):
    ...     return -delayed
    >>> solution = solve_filter_dde(decay, 1.0, 0.0, 2.0, 1.0, rtol=None, dt0=0.5)
    >>> print(f'{solution.ys:.6f}')                     # 1 - t + (t - 1)^2 / 2 at t = 2
    -0.500000
    """
    where = "solve_filter_dde"
    check_right_side(where, f)

    def prepare(numbers):
        past, rest = numbers["history"], {k: v for k, v in numbers.items() if k != "history"}
        return _prepare(
            where, f, history if past is None else past, **rest, args=args, num=num, calibration=calibration,
            linearization=linearization, covariance=covariance, window=window, kinks=kinks,
            controller=controller, max_steps=max_steps, loop=while_loop,
        )  # fmt: skip

    def solve(numbers):
        march, first, targets, status = prepare(numbers)
        state = march.run(first, targets, status)
        return _finish(march.filter, state, calibration, correct_underconfidence)

    numbers = {
        "history": None if callable(history) else history, "t0": t0, "t1": t1, "y0": y0, "rtol": rtol,
        "delays": as_axis(live(f"{where}.delays", delays)), "output_scale": output_scale, "atol": atol,
        "dt0": dt0, "save_at": as_axis(save_at), "damp": damp,
    }  # fmt: skip
    prepare(numbers)  # inside a program numbers cannot be checked
    return raised(where, run_compiled(solve, as_arrays(numbers)))


def _prepare(
    where, f, history, t0, t1, delays, y0, output_scale, rtol, atol, dt0, save_at, damp, *, args, num,
    calibration, linearization, covariance, window, kinks, controller, max_steps, loop,
) -> tuple[March, jax.Array, jax.Array, jax.Array]:  # fmt: skip
    """Check all arguments; return the march, its first step, its targets and a flag of bad numbers."""
    check_choice(f"{where}.calibration", calibration, DELAY_CALIBRATIONS)
    check_choice(f"{where}.linearization", linearization, LINEARIZATIONS)
    check_choice(f"{where}.covariance", covariance, COVARIANCES)
    num = check_count(f"{where}.num", num)
    equation = DelayedField(where, f, history, t0, delays, t1, args=args, y0=y0)
    end, reported = _check_times(where, equation, t1, save_at)
    filter = _filter(
        where, equation, end, reported, num=num, window=window, output_scale=output_scale, damp=damp,
        linearization=linearization, covariance=covariance,
    )  # fmt: skip
    kinks = num - 1 if kinks is None else check_count(f"{where}.kinks", kinks, 0)
    constant = rtol is None
    march = March(
        filter,
        rtol=1.0 if constant else check_unless_traced(f"{where}.rtol", rtol),
        atol=1.0
        if constant
        else equation.state.magnitude(f"{where}.atol", check_unless_traced(f"{where}.atol", atol)),
        controller=None if constant else resolve_controller(controller, f"{where}.controller", safety=SAFETY),
        shortest=4.0 * filter.side,
        max_steps=check_count(f"{where}.max_steps", max_steps),
        loop=resolve(loop, max_steps, f"{where}.while_loop"),
    )
    first = equation.state.time(f"{where}.dt0", check_unless_traced(f"{where}.dt0", dt0), plain=True)
    good = [jnp.isfinite(equation.t0) & (equation.t0 < end) & (end < jnp.inf), first > 0]
    good += [jnp.asarray(march.rtol) > 0, jnp.asarray(march.atol) > 0]
    if len(reported):
        good.append(are_increasing(reported, equation.t0, end))
    return march, first, _targets(equation, end, kinks), refused(*good)


def _filter(
    where, equation, end, reported, *, num, window, output_scale, damp, linearization, covariance
) -> DelayFilter:
    """Put the filter together."""
    state = equation.state
    layout = Layout.of(covariance, num + 1, state.size)
    if layout.shared:
        state.check_one_unit(f"{where}.history")
    output_scale = 1.0 if output_scale is None else output_scale
    check_scale(f"{where}.output_scale", output_scale)
    prior = wiener_prior([0.0, 0.0], output_scale=output_scale)
    dynamics = Dynamics.of(where, prior, layout, state, state.time_unit)
    if not is_traced(damp) and not np.all(np.asarray(damp) >= 0):
        raise ArgumentError(f"{where}.damp", "must not be negative", damp)
    n_nodes = check_count(f"{where}.window", window, 2) + 1
    memory = Memory(layout, n_nodes, reported)
    need = WINDOWS * layout.n_blocks * memory.size**2 * reported.dtype.itemsize
    check_memory(
        f"{where}.window", {"joint covariance": need}, "It grows with the square: lower it", on_device=True
    )
    horizon = jnp.maximum(jnp.maximum(jnp.abs(equation.t0), jnp.abs(end)), end - equation.t0)
    return DelayFilter(
        equation,
        dynamics,
        memory,
        jacobians=linearization == "ts1",
        damp=jnp.asarray(damp, state.dtype),
        side=jax.lax.stop_gradient(64.0 * jnp.finfo(state.dtype).eps * horizon),
    )


def _check_times(where: str, equation: DelayedField, t1, save_at) -> tuple[jax.Array, jax.Array]:
    """Return the end and the times to report."""
    end = equation.state.time(f"{where}.t1", t1)
    check_span(where, equation.t0, end)
    if save_at is None:
        return end, jnp.zeros(0, end.dtype)
    times = equation.state.time(f"{where}.save_at", save_at)
    check_increasing(f"{where}.save_at", times, equation.t0, end)
    return end, times


def _targets(equation: DelayedField, end: jax.Array, n_generations: int) -> jax.Array:
    """Return the kinks up to the end in order, and the end: sums of up to n delays after the start."""
    n_delays = len(equation.delays)
    sums = [
        np.bincount(chosen, minlength=n_delays)
        for g in range(1, n_generations + 1)
        for chosen in itertools.combinations_with_replacement(range(n_delays), g)
    ]
    if not sums:
        return end[None]
    kinks = equation.t0 + jnp.asarray(np.array(sums), end.dtype) @ equation.delays
    return jnp.append(jnp.sort(jnp.minimum(kinks, end)), end)


def _finish(filter, state: State, calibration, correct_underconfidence) -> FilterSolution:
    """Report the last state, or the values asked for."""
    memory, dynamics = filter.memory, filter.dynamics
    reported = memory.reported
    scale = jnp.ones_like(state.surprise)
    if calibration == "mle":
        scale = calibrated_scale(state.surprise, state.accepted, correct_underconfidence)
    t, accepted, joint = state.window.times[0], state.accepted, None
    gaussian = memory.newest(state.window)
    gaussian = gaussian._replace(factor=scale[:, None, None] * gaussian.factor)
    if len(reported):
        values = memory.values(state.window)
        joint = Joint(values.mean, values.factor, len(reported)).rescaled(scale)
        gaussian, t = joint.marginals(), jnp.minimum(reported, t)
        accepted = jnp.broadcast_to(accepted, t.shape)
        dynamics = dataclasses.replace(dynamics, layout=dataclasses.replace(memory.layout, n_coefficients=1))
    run = Run(
        t, gaussian, None, None, accepted, state.attempts - state.accepted, state.surprise, state.status
    )
    return finish_with(run, joint, scale, dynamics, filter.equation.state)
