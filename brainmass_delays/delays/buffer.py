"""The past of one state: a ring of samples with a static number of slots.

Time is the last axis, so that the samples one connection needs lie side by side. All functions are pure.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .interpolation import NEWEST_SLOPE_SLOPES, NEWEST_SLOPE_VALUES, Interpolation, split


class Ring(NamedTuple):
    """Hold the last samples of a state, ``values`` ``(..., channel, slot)``; slot ``head`` is the newest."""

    values: jax.Array
    head: jax.Array

    @property
    def n_slots(self) -> int:
        """Static number of samples kept."""
        return self.values.shape[-1]


class Kink(NamedTuple):
    """Mark the initial time, where the slope jumps from the history's to the equation's.

    The slope stored there is the later one; an interval that ends there adds ``jump`` ``(..., channel)``,
    the earlier slope less the later one. ``age`` counts the steps since."""

    jump: jax.Array
    age: jax.Array


def fill(history: jax.Array) -> Ring:
    """Build a ring from ``history`` ``(..., channel, slot)``, oldest sample first.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.delays.buffer import fill, push, sample
    >>> ring = push(fill(jnp.zeros((2, 3))), jnp.array([1., 2.]))
    >>> [float(x) for x in sample(ring, jnp.array([0, 1]), jnp.array([0, 0]))]
    [1.0, 2.0]
    """
    return Ring(history, jnp.int32(history.shape[-1] - 1))


def push(ring: Ring, value: jax.Array) -> Ring:
    """Add the newest sample ``(..., channel)`` over the oldest one."""
    head = (ring.head + 1) % ring.n_slots
    return Ring(_put(ring.values, value, head), head)


def replace_newest(ring: Ring, value: jax.Array) -> Ring:
    """Overwrite the newest sample ``(..., channel)``."""
    return Ring(_put(ring.values, value, ring.head), ring.head)


def _put(values, value, slot):
    return jax.lax.dynamic_update_slice_in_dim(values, value[..., None].astype(values.dtype), slot, axis=-1)


def sample(ring: Ring, channels: jax.Array, age: jax.Array) -> jax.Array:
    """Return the samples of ``channels`` that are ``age`` whole steps old, ``(..., *channels.shape)``."""
    return ring.values.at[..., channels, (ring.head - age) % ring.n_slots].get(mode="promise_in_bounds")


def unroll(ring: Ring) -> jax.Array:
    """Return the samples in order of time, oldest first, ``(..., channel, slot)``."""
    return jnp.roll(ring.values, -(ring.head + 1), axis=-1)


def slots_needed(bound_lag: float, rule: Interpolation) -> int:
    """Count the samples that a read needs whose lag is at most ``bound_lag`` steps."""
    # 0.3 / 0.1 is a little below 3: a lag within rounding of a whole number is that number.
    whole = math.ceil(bound_lag - 1e-6 * max(1.0, bound_lag))
    return whole + rule.tail + rule.lead + (4 if rule.slope_taps else 2)


class Rings(NamedTuple):
    """Hold all that a read needs of one signal: its samples, and, for a rule that uses them, the slopes times
    the step at the same slots and the kink at the initial time."""

    values: Ring
    slopes: Ring | None = None
    kink: Kink | None = None


def read(rings: Rings, channels: jax.Array, lag: jax.Array, rule: Interpolation) -> jax.Array:
    """Read ``channels`` at ``lag`` steps into the past of the newest sample.

    Parameters
    ----------
    rings : Rings
        Samples ``(..., channel, slot)``, and slopes for a rule that uses them.
    channels : int array
        Which channel each read takes, any shape.
    lag : array
        Delay in steps, broadcastable to ``channels``; at most the bound the ring was sized for.
    rule : Interpolation
        How to read between samples.

    Returns
    -------
    array
        ``(..., *channels.shape)``. The gradient with respect to ``lag`` is the interpolant's own; at a
        sample it is the one towards the past.
    """
    values, slopes, kink = rings
    k, fraction = split(lag, rule.lead)
    weights = rule.value_weights(fraction)
    result = sum(weights[..., p] * sample(values, channels, k - tap) for p, tap in enumerate(rule.taps))
    if rule.slope_taps:
        weights = rule.slope_weights(fraction)
        result += sum(
            weights[..., p] * sample(slopes, channels, k - tap) for p, tap in enumerate(rule.slope_taps)
        )
        if kink is not None:
            result += jnp.where(k == kink.age, weights[..., 0], 0) * kink.jump[..., channels]
            # Before the first step is made, nothing but the tangent leads beyond the initial time.
            is_ahead = (kink.age == 0) & (fraction < 0)
            tangent = sample(values, channels, k) - fraction * sample(slopes, channels, k)
            result = jnp.where(is_ahead, tangent, result)
    return result


def with_slope(rings: Rings, slope: jax.Array, left_slope: jax.Array) -> Rings:
    """Put the slope at the newest sample, now that a step knows it, and note its jump at the initial time.

    ``left_slope`` is that of the history at the initial time; all slopes are times the step."""
    jump = jnp.where(rings.kink.age == 0, left_slope - slope, rings.kink.jump)
    slopes = replace_newest(rings.slopes, slope)
    return Rings(rings.values, slopes, Kink(jump, rings.kink.age))


def pushed(rings: Rings, value: jax.Array) -> Rings:
    """Add the newest sample, and an estimate of its slope until the next step knows it."""
    values = push(rings.values, value)
    if rings.slopes is None:
        return Rings(values)
    slopes = push(rings.slopes, jnp.zeros_like(value))
    kink = Kink(rings.kink.jump, rings.kink.age + 1)
    return Rings(values, replace_newest(slopes, estimate_slope(values, slopes, kink)), kink)


def of_feature(feature: Callable, rings: Rings, slope_known: bool = True) -> Rings:
    """Return the rings of a function of a signal from those of the signal, slopes by the chain rule.

    A newest slope that no step has found yet is estimated from the function, not from the signal."""

    def columns(samples):
        return jnp.moveaxis(feature(jnp.moveaxis(samples, -1, 0)), 0, -1)

    values, slopes, kink = rings
    if slopes is None:
        return Rings(Ring(columns(values.values), values.head))
    new, new_slopes = jax.jvp(columns, (values.values,), (slopes.values,))
    at_kink = _column(values, jnp.minimum(kink.age, values.n_slots - 1))
    jump = jax.jvp(feature, (at_kink,), (kink.jump,))[1]
    new, new_slopes = Ring(new, values.head), Ring(new_slopes, slopes.head)
    if not slope_known:
        newest = jnp.where(
            kink.age == 0, _column(new_slopes, 0), estimate_slope(new, new_slopes, Kink(jump, kink.age))
        )
        new_slopes = replace_newest(new_slopes, newest)
    return Rings(new, new_slopes, Kink(jump, kink.age))


def newest_slope(
    values: tuple[jax.Array, jax.Array, jax.Array], slopes: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """Estimate the slope at the newest sample from the last three samples and the two slopes before it.

    The slope is that of the quartic through all five; its error is of fourth order in the step. ``values``
    and ``slopes`` run from old to new; slopes are multiplied by the step."""
    return sum(w * x for w, x in zip(NEWEST_SLOPE_VALUES, values, strict=True)) + sum(
        w * s for w, s in zip(NEWEST_SLOPE_SLOPES, slopes, strict=True)
    )


def estimate_slope(values: Ring, slopes: Ring, kink: Kink) -> jax.Array:
    """Estimate the newest slope ``(..., channel)`` from earlier samples and slopes, until the next step knows
    it.

    One step after the initial time only that step counts, if the slope has jumped there."""
    smooth = newest_slope(
        [_column(values, back) for back in (2, 1, 0)], [_column(slopes, back) for back in (2, 1)]
    )
    begun = _column(slopes, 1)
    has_jumped = jnp.abs(kink.jump) > 1e-6 * (jnp.abs(begun) + jnp.abs(kink.jump))
    after_kink = 2 * (_column(values, 0) - _column(values, 1)) - begun
    return jnp.where((kink.age == 1) & has_jumped, after_kink, smooth)


def _column(ring, age):
    slot = (ring.head - age) % ring.n_slots
    return jax.lax.dynamic_index_in_dim(ring.values, slot, axis=-1, keepdims=False)
