"""The time grid of brainstate's environment."""

import math

import brainunit as u

from .._core.checks import ArgumentError
from .._core.grid import environment_dt, whole_steps
from .._core.units import magnitude


def time_step(where: str) -> u.Quantity:
    """Return the ``dt`` of brainstate's environment, or say how to set it."""
    cure = "Set it: brainstate.environ.set(dt=1 * u.ms), or use brainstate.environ.context(dt=...)"
    return environment_dt(where, "needs the time step", cure)


def steps_at_least(where: str, duration: u.Quantity, dt: u.Quantity, minimum: int) -> int:
    """Return ``duration / dt`` if it is whole, to a relative error of 1e-6, and at least ``minimum``."""
    duration, step = (float(magnitude(where, x, u.ms, plain=False)) for x in (duration, dt))
    ratio = duration / step
    steps, is_whole = map(int, whole_steps(ratio) if math.isfinite(ratio) else (0, False))
    if not is_whole or steps < minimum:
        raise ArgumentError(
            where,
            f"must be a whole number of time steps, at least {minimum}",
            f"{duration:g} ms with dt = {step:g} ms",
            f"Take {max(steps, minimum) * step:g} ms",
        )
    return steps
