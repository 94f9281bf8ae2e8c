"""Is a step accurate enough, and how long is the next one?

A step is judged by its ``power = norm**(-1 / q)``, where ``norm`` is the error over the tolerance and ``q``
the number of coefficients: the factor by which the step could have been longer. It is accepted if the power
is at least one.
"""

import math

import jax
import jax.numpy as jnp

from ..control import scaled_norm, starting_step
from .coordinates import Equation

SAFETY = 0.95


def _rms(values):
    return jnp.sqrt(jnp.mean(values**2))


def _rms_then_scale(error, before, after, rtol, atol):
    """Compare the error with the tolerance of the average entry."""
    return _rms(error) / (atol + rtol * _rms(jnp.maximum(jnp.abs(before), jnp.abs(after))))


ERROR_NORMS = {"scale_then_rms": scaled_norm, "rms_then_scale": _rms_then_scale}


def error_power(
    error, before, after, step, *, order, n_coefficients, tolerance_norm, rtol, atol, per_unit_step
):
    """Return the power of a step; 0 if the error is not finite.

    ``error`` (d,) is that of the observed derivative after a step from an exact state; ``h**order / order!``
    carries it to the state (Schober et al. 2019). It steers only, so nothing is differentiated.
    """
    error, before, after, step = jax.lax.stop_gradient((error, before, after, step))
    exponent = order + per_unit_step
    error = error * step**exponent / math.factorial(exponent)
    norm = tolerance_norm(error, before, after, rtol, atol)
    usable = jnp.isfinite(norm)
    safe = jnp.where(usable, jnp.maximum(norm, jnp.finfo(norm.dtype).tiny), 1.0)
    return jnp.where(usable, safe ** (-1.0 / n_coefficients), 0.0)


def _ratio_rule(equation: Equation, rtol, atol, order: int):
    """Return one percent of the time in which the state would change by its own size."""
    slope = equation.field(equation.t0, equation.initial)
    return 0.01 * jnp.linalg.norm(equation.initial[0]) / (jnp.linalg.norm(slope) + 1e-5)


def _hairer_rule(equation: Equation, rtol, atol, order: int):
    """Compare an Euler step with the slope at its end (see `starting_step`)."""
    state, t0 = equation.initial, equation.t0
    scale = atol + rtol * jnp.abs(state[0])

    def flow(t, state):
        return jnp.concatenate([state[1:], equation.field(t, state)[None]])

    return starting_step(
        flow, t0, state, flow(t0, state), lambda x: _rms(x / scale), power=1 / (order + 1), fallback=1e-6
    )


INITIAL_STEPS = {"ratio": _ratio_rule, "hairer": _hairer_rule}
