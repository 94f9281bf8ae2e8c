"""Inference: relax the activities down the energy by an adaptive solver, every sample in its own time."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_choice, check_count, check_positive
from .._core.status import MAX_STEPS_REACHED, OK, flag, is_traced, raise_if_failed
from ..integrate.border import Border
from ..integrate.control import Controller, resolve_controller
from ..integrate.landing import Gaps
from ..integrate.loops import resolve
from ..integrate.march import March
from ..integrate.radau import Radau
from ..integrate.runge_kutta import ExplicitMethod
from ..integrate.setup import STIFF_METHOD
from ..integrate.sparsity import Coloring
from ..integrate.tableaus import METHODS, Tableau
from ..integrate.tape import Reader
from .arguments import checked
from .layers import as_params
from .partition import as_variables, compile_over_arrays
from .validation import check_labels
from .variants import energy_of


class Inference(NamedTuple):
    """Hold the result of inference.

    Attributes
    ----------
    activities : list of arrays, each (batch, ...)
        At the time reached; the inert last entry as it was.
    t : array, (batch,)
        Time reached by each sample, dimensionless: ``max_t1``, or when the vector field became small.
    converged : bool array, (batch,)
        Whether the vector field was small enough there. A sample that ran out of time has not converged.
    residual : array, (batch,)
        Root mean square of ``dz/dt`` there, over all entries but the inert one.
    n_steps : int array, (batch,)
        Attempts of the solver, accepted and rejected.
    status : int32 array, (batch,)
        0, or flags of a failed solve; set only inside ``jit``, elsewhere it raises.
    ts : array, (time,) or (time, batch), or None
        Recorded times; with ``record_steps`` those of each sample's steps.
    trajectory : list of arrays, each (time, batch, ...), or None
        Activities at those times. A sample that has stopped rests.
    """

    activities: list[jax.Array]
    t: jax.Array
    converged: jax.Array
    residual: jax.Array
    n_steps: jax.Array
    status: jax.Array
    ts: jax.Array | None
    trajectory: list[jax.Array] | None


@checked
def solve_inference(
    params,
    activities,
    y,
    x=None,
    loss_id="MSE",
    *,
    max_t1: float = 20.0,
    method: str = "dopri5",
    rtol: float = 1e-5,
    atol: float = 1e-5,
    controller: str | Controller = "integral",
    dt0: float | None = None,
    max_steps: int = 4096,
    stop_rtol: float = 1e-3,
    stop_atol: float = 1e-6,
    record_at: Any = None,
    record_steps: int | None = None,
    while_loop: Any = "lax",
    **energy_options,
) -> Inference:
    """Follow the gradient flow of the energy until the activities rest.

    Parameters
    ----------
    params, activities, y, x, loss_id
        As for `pc_energy`; ``activities`` is the start. With ``variant='epc'`` they are errors.
    max_t1 : float, default 20.0
        Longest time of a sample, dimensionless: the flow is ``dz/dt = -dE/dz`` with the energy E of one
        sample, so that time means the same in every batch. Times of a flow down the batch mean are N times
        longer.
    method : {'dopri5', 'tsit5', 'bosh3', 'heun21', 'radau5'} or Tableau, default 'dopri5'
        Embedded Runge-Kutta pair, by name or by its coefficients
        (`brainmass_delays.integrate.tableaus.Tableau`), or the implicit 'radau5', which takes few steps where
        the eigenvalues of the Hessian lie far apart, at a cost that grows with the cube of the number of
        activities. For steps of an optimizer instead of a solver see `descend_inference`.
    rtol, atol : float, default 1e-5
        Tolerances of the solver. They also limit how small the vector field can become: an explicit solver at
        rest works at its limit of stability, where the field hovers at the tolerances times the largest
        eigenvalue of the Hessian of the energy. Keep that well below the tolerances of the stop, but not
        below 1e-5 in float32: rounding errors would be taken for errors of the steps.
    controller : {'integral', 'pi', 'pid'} or Controller, default 'integral'
        How steps follow from errors.
    dt0 : float, optional
        First step; chosen automatically by default.
    max_steps : int, default 4096
        Most attempts per sample.
    stop_rtol, stop_atol : float, default 1e-3 and 1e-6
        A sample stops when ``RMS(dz/dt) <= stop_atol + stop_rtol * RMS(z)``, over all entries but the inert
        one. Zeros never stop it early.
    record_at : array, (time,), optional
        Times to record, ascending, between 0 and ``max_t1``; steps land on them.
    record_steps : int, optional
        Record the first so many accepted steps of every sample, at times of its own.
    while_loop : {'lax', 'bounded', 'checkpointed'} or callable, default 'lax'
        Loop over the steps; 'lax' has no reverse mode. See `brainmass_delays.integrate.while_loop`.
    **energy_options
        ``variant``, and the options of `pc_energy`, `epc_energy` or `bpc_energy` that concern activities.

    Returns
    -------
    Inference

    Raises
    ------
    ArgumentError
        As `pc_energy`, and for tolerances and times that make no sense.
    RunError
        If a sample needs more than ``max_steps`` or its activities are not finite.

    Notes
    -----
    Every sample has its own steps, so its result does not depend on the batch it is in; the batch takes as
    many evaluations as its slowest sample. Gradients in activities, data and parameters are those of the
    steps taken, the stopping time being a constant; they need ``while_loop='checkpointed'`` or 'bounded'.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_activities_with_ffwd, make_mlp, solve_inference
    >>> params = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh'), None
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> result = solve_inference(params, init_activities_with_ffwd(params, x), y, x)
    >>> result.converged.tolist(), result.activities[0].shape
    ([True, True, True, True], (4, 5))
    """
    where = "solve_inference"
    check_labels(where, y, loss_id)
    if not isinstance(method, Tableau):
        check_choice(f"{where}.method", method, [*METHODS, STIFF_METHOD])
    check_count(f"{where}.max_steps", max_steps)
    resolve_controller(controller, f"{where}.controller")
    resolve(while_loop, max_steps, f"{where}.while_loop")
    if record_steps is not None:
        check_count(f"{where}.record_steps", record_steps)
        if record_at is not None:
            raise ArgumentError(f"{where}.record_steps", "must be None if record_at is given", record_steps)
    times = {"max_t1": max_t1, "dt0": dt0, "record_at": record_at}
    numbers = {"rtol": rtol, "atol": atol, "stop_rtol": stop_rtol, "stop_atol": stop_atol}
    _check_numbers(where, times, numbers)
    numbers = {
        name: None if value is None else jnp.asarray(value, float)
        for name, value in {**times, **numbers}.items()
    }
    options = _Options(method, controller, max_steps, while_loop, record_steps)
    result = _solve(
        as_params(params), as_variables(activities), y, x, loss_id, options, numbers, energy_options
    )
    raise_if_failed(
        where,
        result.status,
        "Raise max_steps, or, where the field hovers above the stop, lower rtol and atol; values that are "
        "not finite come from the layers or the data.",
    )
    return result


class _Options(NamedTuple):
    """Hold what a solve is compiled for."""

    method: str | Tableau
    controller: str | Controller
    max_steps: int
    while_loop: Any
    record_steps: int | None


@compile_over_arrays
def _solve(params, activities, y, x, loss_id, options, numbers, energy_options):
    """Solve for all samples at once, each with steps of its own."""

    def energy(z, y, x):
        return energy_of(params, z, y, x, loss_id, **energy_options)

    jax.eval_shape(energy, activities, y, x)  # refuses what does not fit, before samples are taken apart
    recorded = 1 if options.record_steps or numbers["record_at"] is not None else None
    times = 1 if options.record_steps else None
    out_axes = Inference([0] * len(activities), 0, 0, 0, 0, 0, times, recorded)
    relax = partial(_relax, energy, options, numbers)
    return jax.vmap(relax, out_axes=out_axes)(activities, y, x)


def _relax(energy, options, numbers, z, y, x):
    """Follow the flow of one sample until it rests or time is up."""
    border, start = Border.of("solve_inference", z, 0.0)
    numbers = jax.tree.map(lambda number: number.astype(border.time_dtype), numbers)
    end = border.time("max_t1", numbers["max_t1"])
    times = None if numbers["record_at"] is None else jnp.minimum(numbers["record_at"], end)
    march = _march(border, _flow_of_sample(energy), (y, x), times, end, options, numbers)
    reader = Reader(())  # nothing of the past is read
    loop = resolve(options.while_loop, options.max_steps, "solve_inference.while_loop")
    rms = partial(_rms, sum(entry.size for entry in z[:-1]))

    def rests(state):
        return rms(state.slope) <= numbers["stop_atol"] + numbers["stop_rtol"] * rms(state.y)

    def run_while(going, state):
        def unfinished(state):
            return going(state) & (state.status == OK) & ~rests(state)

        def cond(state):
            return unfinished(state) & (state.accepted + state.rejected < options.max_steps)

        state = loop(cond, lambda state: march.attempt(state, reader)[0], state)
        return state._replace(status=state.status | flag(unfinished(state), MAX_STEPS_REACHED))

    def record_at(state, time):
        state = run_while(lambda state: state.t < time, state)
        return state, (time, border.unravel(state.y))

    def record_step(state, _):
        before = state.accepted
        state = run_while(lambda state: (state.t < end) & (state.accepted == before), state)
        return state, (state.t, border.unravel(state.y))

    state = march.start(border.time("t0", 0.0), start, jnp.int32(OK), None, None)
    state = march.begin(state, reader, numbers["dt0"])
    recorded = None, None
    if times is not None:
        state, (_, path) = jax.lax.scan(record_at, state, times)
        recorded = times, path
    elif options.record_steps:
        state, recorded = jax.lax.scan(record_step, state, length=options.record_steps)
    state = run_while(lambda state: state.t < end, state)
    return Inference(
        border.unravel(state.y),
        state.t,
        rests(state) & (state.status == OK),
        rms(state.slope),
        state.accepted + state.rejected,
        state.status,
        *recorded,
    )


def _rms(size, vector):
    """Return the root mean square of the first ``size`` entries, all but the inert ones."""
    return jnp.sqrt(jnp.sum(vector[:size] ** 2) / max(size, 1))


def _flow_of_sample(energy):
    """Return the gradient flow of one sample, whose data come without a batch axis."""

    def flow(_, z, data):
        y, x = data
        batch = [entry[None] for entry in z], y[None], None if x is None else x[None]
        return [-slope[0] for slope in jax.grad(energy)(*batch)]

    return flow


def _march(border, flow, data, times, end, options, numbers):
    """Return the solver of one sample, which has no past and meets nothing on the way."""
    slope = border.slopes(flow)
    if options.method == STIFF_METHOD:
        dense = np.ones((border.size, border.size), bool)
        method = Radau(coupled=False, coloring=Coloring.of(dense))
    else:
        pair = options.method if isinstance(options.method, Tableau) else METHODS[options.method]
        method = ExplicitMethod(pair)
    return March(
        rhs=lambda t, y, _: slope(t, y, data),
        method=method,
        controller=resolve_controller(options.controller, "solve_inference.controller"),
        rtol=numbers["rtol"],
        atol=jnp.broadcast_to(numbers["atol"], (border.size,)),
        past=None,
        gaps=Gaps(None, 0, method.order, None, 0, None),
        targets=end[None] if times is None else jnp.append(times, end),
        impulses=None,
        restart=False,
        scale=end,
        shortest=jnp.zeros_like(end),
        strictness=1.0,
        wants=lambda piece: False,
    )


def _check_numbers(where, times, numbers):
    """Refuse times and tolerances that make no sense, where they are known."""
    for name, value in {**times, **numbers}.items():
        if value is None or is_traced(value):
            continue
        if name in ("max_t1", "dt0", "atol"):
            check_positive(f"{where}.{name}", value)
        elif not (np.all(np.asarray(value) >= 0) and np.all(np.isfinite(value))):
            raise ArgumentError(f"{where}.{name}", "must be finite and not negative", value)
    record_at, end = times["record_at"], times["max_t1"]
    if record_at is None or is_traced((record_at, end)):
        return
    if np.max(record_at) > end * (1 + 1e-6) or np.any(np.diff(record_at) < 0):
        raise ArgumentError(
            f"{where}.record_at", f"must ascend and not pass max_t1 = {end}", np.max(record_at)
        )
