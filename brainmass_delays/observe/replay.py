"""Run a monitor afterwards on a stored trajectory."""

from collections.abc import Mapping
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, count, instance, numbers, time, tree_of_numbers
from .._core.checks import ArgumentError, check_count, check_positive
from .._core.units import magnitude
from .monitor import Monitor

MONITOR, STEP = (
    instance(Monitor, "a monitor"),
    numbers(unit=u.UNITLESS, scalar=True, finite=True, traced=False),
)


@checked(monitor=MONITOR, trajectory=tree_of_numbers, dt=time, start=count(0))
def apply(monitor: Monitor, trajectory: Any, dt: Any, *, start: int = 0) -> tuple[u.Quantity, Any]:
    """Return what a monitor or a chain emits for a stored trajectory.

    Parameters
    ----------
    monitor : Monitor
        The monitor; its source is used only to look up a mapping.
    trajectory : array_like, Quantity or mapping, shape (time, ..., n_nodes)
        The value of every step, or a result of a run that holds it under the name of the monitor's source.
    dt : Quantity
        Interval of the values.
    start : int, default 0
        Number of the step before the first value, for a trajectory that begins later.

    Returns
    -------
    ts : Quantity, shape (n_emissions,) or ()
        Times of the emissions; without a period that of the last value.
    samples : array or Quantity, shape (n_emissions, ...) or (...)
        What was emitted.

    Raises
    ------
    ArgumentError
        If ``dt`` is no time, there is no value, or a mapping lacks the source.

    Notes
    -----
    The same code runs in a simulation, so the results agree to rounding. Differentiable in the values and in
    the Params of the monitor.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import TemporalAverage, apply
    >>> ts, means = apply(TemporalAverage(period=2 * u.ms), jnp.arange(6.0)[:, None], dt=1 * u.ms)
    >>> means[:, 0].tolist(), ts.to_decimal(u.ms).tolist()
    ([0.5, 2.5, 4.5], [2.0, 4.0, 6.0])
    """
    check_positive("apply.dt", magnitude("apply.dt", dt, u.ms, plain=False))
    start = check_count("apply.start", start, minimum=0)
    values = _values(monitor, trajectory)
    n_steps = jax.tree.leaves(values)[0].shape[0]
    steps = emission_steps(monitor, start, start + n_steps, dt)

    @jax.jit
    def run(values):
        state = monitor.init(jax.eval_shape(lambda v: v[0], values), dt)
        state, samples, _ = monitor.advance(state, values, start, dt)
        if monitor.period is None:
            return monitor.sample(state)
        if samples is None:
            samples = jax.tree.map(lambda leaf: leaf[None], monitor.sample(state))
        return jax.tree.map(lambda leaf: leaf[: len(steps)], samples)

    return steps * (1.0 * dt), run(values)


@checked(monitor=MONITOR, start=STEP, stop=STEP, dt=time)
def emission_steps(monitor: Monitor, start: int, stop: int, dt: Any) -> np.ndarray:
    """Return the steps after ``start`` to ``stop`` at which a monitor emits; without a period, ``stop``."""
    if monitor.period is None:
        return np.asarray(stop)
    plan = monitor.schedule(dt)
    return plan.step(np.arange(plan.count(start) + 1, plan.count(stop) + 1))


def _values(monitor: Monitor, trajectory: Any) -> Any:
    """Return the values as an array or Quantity with at least one row."""
    if isinstance(trajectory, Mapping):
        if monitor.source not in trajectory:
            cure = "Pass one of its entries" if monitor.source is None or callable(monitor.source) else ""
            rule = f"must hold the source of the monitor, {monitor.source!r}"
            raise ArgumentError("apply.trajectory", rule, sorted(trajectory), cure)
        trajectory = trajectory[monitor.source]
    values = trajectory if isinstance(trajectory, u.Quantity) else jnp.asarray(trajectory)
    if not values.ndim or not values.shape[0]:
        raise ArgumentError(
            "apply.trajectory", "must have a first axis of time with a value in it", values.shape
        )
    return values
