"""Times of a run in whole steps, and whether the precision can tell them apart."""

import math
import threading
import warnings
from typing import Any

import brainstate
import brainunit as u
import jax
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.grid import whole_steps
from .._core.status import is_traced
from .._core.units import magnitude


def one_time(where, value):
    number = magnitude(where, value, u.ms, plain=False)
    if is_traced(number) or np.ndim(number) or not np.isfinite(number) or number <= 0:
        raise ArgumentError(
            where, "must be one positive time", "a traced value" if is_traced(number) else value
        )
    return value


def count_steps(where: str, duration: Any, dt: u.Quantity) -> int:
    """Return how many steps a duration has; anything but a whole number raises."""
    one_time(where, duration)
    ratio = float(magnitude(where, duration, u.ms) / dt.to_decimal(u.ms))
    whole, is_whole = whole_steps(ratio)
    if whole < 1 or not is_whole:
        raise ArgumentError(
            where,
            f"must be a whole number of steps of {dt}",
            f"{duration}, {ratio:.6g} steps",
            f"Use {max(1, math.ceil(ratio)) * dt}",
        )
    return int(whole)


def transient_steps(transient, dt, n_steps):
    if transient is None:
        return 0
    if isinstance(transient, u.Quantity):
        n = (
            0
            if float(u.get_magnitude(transient)) == 0
            else count_steps("Simulator.run.transient", transient, dt)
        )
    else:
        n = check_count("Simulator.run.transient", transient, minimum=0)
    if n >= n_steps:
        raise ArgumentError(
            "Simulator.run.transient", f"must be shorter than the run of {n_steps} steps", f"{n} steps"
        )
    return n


def check_precision():
    """Warn where JAX computes in 64 bits and states would be made in 32; refuse it in a thread that does not
    know what the main one has set."""
    if jax.config.jax_enable_x64 and brainstate.environ.get_precision() == 32:
        if threading.current_thread() is not threading.main_thread():
            raise ArgumentError(
                "Simulator.run",
                "needs the precision of this thread, which brainstate keeps for each thread by itself",
                "32 bits, and jax_enable_x64",
                "Call brainstate.environ.set(precision=64) in the thread too",
            )
        warnings.warn(
            "Simulator.run: jax_enable_x64 is set, but states are made with 32 bits. Use "
            "brainstate.environ.set(precision=64), which sets both.",
            stacklevel=4,
        )


def check_time(stimulation, first, n_steps, dt):
    """Refuse functions of time where 32 bits no longer tell one step from the next."""
    if not stimulation.uses_time or brainstate.environ.get_precision() != 32 or is_traced(first):
        return
    step = float(dt.to_decimal(u.ms))
    end = (int(first) + n_steps) * step
    if np.spacing(np.float32(end)) > 0.01 * step:
        raise ArgumentError(
            "Simulator.run.inputs",
            f"functions of time need more precision at {end:g} ms in steps of {step:g} ms",
            "32 bits",
            "Use brainstate.environ.set(precision=64)",
        )
