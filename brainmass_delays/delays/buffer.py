"""The past of one state: a ring of samples with a static number of slots.

Time is the last axis, so that the samples one connection needs lie side by side. All functions are pure.
"""

import math
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


def read(
    values: Ring,
    slopes: Ring | None,
    channels: jax.Array,
    lag: jax.Array,
    rule: Interpolation,
    *,
    newest: int | None = None,
    kink: "Kink | None" = None,
) -> jax.Array:
    """Read ``channels`` at ``lag`` steps into the past of the newest sample.

    Parameters
    ----------
    values : Ring
        Samples, ``(..., channel, slot)``.
    slopes : Ring or None
        Slopes times the step at the same slots, for a rule that uses them.
    channels : int array
        Which channel each read takes, any shape.
    lag : array
        Delay in steps, broadcastable to ``channels``; at most the bound the ring was sized for.
    rule : Interpolation
        How to read between samples.
    newest : int, optional
        Smallest whole lag whose stencil is known; by default the rule's lead.
    kink : Kink, optional
        Where the slope jumps, for a rule that uses slopes.

    Returns
    -------
    array
        ``(..., *channels.shape)``. The gradient with respect to ``lag`` is the interpolant's own; at a
        sample it is the one towards the past.
    """
    k, fraction = split(lag, rule.lead if newest is None else newest)
    weights = rule.value_weights(fraction)
    result = sum(weights[..., p] * sample(values, channels, k - tap) for p, tap in enumerate(rule.taps))
    if rule.slope_taps:
        weights = rule.slope_weights(fraction)
        result += sum(
            weights[..., p] * sample(slopes, channels, k - tap) for p, tap in enumerate(rule.slope_taps)
        )
        if kink is not None:
            result += jnp.where(k == kink.age, weights[..., 0], 0) * kink.jump[..., channels]
    return result


def newest_slope(
    values: tuple[jax.Array, jax.Array, jax.Array], slopes: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """Estimate the slope at the newest sample from the last three samples and the two slopes before it.

    The slope is that of the quartic through all five; its error is of fourth order in the step. ``values``
    and ``slopes`` run from old to new; slopes are multiplied by the step."""
    return sum(w * x for w, x in zip(NEWEST_SLOPE_VALUES, values, strict=True)) + sum(
        w * s for w, s in zip(NEWEST_SLOPE_SLOPES, slopes, strict=True)
    )


def estimate_slope(values: Ring, slopes: Ring) -> jax.Array:
    """Estimate the newest slope ``(..., channel)`` from earlier samples and slopes, until the next step knows
    it."""
    return newest_slope(
        [_column(values, age) for age in (2, 1, 0)], [_column(slopes, age) for age in (2, 1)]
    )


def _column(ring, age):
    slot = (ring.head - age) % ring.n_slots
    return jax.lax.dynamic_index_in_dim(ring.values, slot, axis=-1, keepdims=False)
