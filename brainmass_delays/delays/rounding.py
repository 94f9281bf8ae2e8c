"""Gradients for delays that are whole steps in the forward pass.

A delay of a whole number of steps shifts a signal exactly, but its derivative is zero almost everywhere.
The rules here keep the exact forward value and put a finite difference of the signal in the backward pass.
All functions are pure.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .interpolation import INTERPOLATIONS, split


class Stencil(NamedTuple):
    """Read three samples, ``nearest + 1``, ``nearest`` and ``nearest - 1`` steps ago.

    ``values`` ``(..., 3)`` weighs them for the signal, ``slopes`` ``(..., 3)`` for its derivative in the lag.
    """

    nearest: jax.Array
    values: jax.Array
    slopes: jax.Array


STENCIL_AGES = (1, 0, -1)
_CENTRAL, _OLDER, _NEWER = (0.5, 0.0, -0.5), (1.0, -1.0, 0.0), (0.0, 1.0, -1.0)


@jax.custom_jvp
def with_slope(value: jax.Array, slope: jax.Array, lag: jax.Array) -> jax.Array:
    """Return ``value`` unchanged and give it the derivative ``slope`` in ``lag``.

    Parameters
    ----------
    value : array
        Result of the forward pass; its own derivatives in anything but ``lag`` are kept.
    slope : array
        Derivative of ``value`` in ``lag``, of the shape of ``value``; a constant for higher derivatives.
    lag : array
        What to differentiate by, broadcastable to ``value``.

    Returns
    -------
    array
        ``value``. Notes: the tangent is ``d value + slope * d lag``, with ``slope`` cut from the graph.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.delays.rounding import with_slope
    >>> float(jax.grad(lambda lag: with_slope(3.0, 0.5, lag))(2.0))
    0.5
    """
    return value


@with_slope.defjvp
def _with_slope_jvp(primals, tangents):
    value, slope, _ = primals
    value_dot, _, lag_dot = tangents
    return value, value_dot + slope * lag_dot


def round_stencil(lag: jax.Array, lower: int, upper: int) -> Stencil:
    """Read the nearest sample; differentiate by the central difference around it.

    Parameters
    ----------
    lag : array
        Delay in steps.
    lower, upper : int
        Bounds of the lag; the stencil never reaches past them, so that nothing outside the history is read
        and the slope at a bound is the one-sided difference that points inward. Between equal bounds a lag
        cannot move, and its slope is zero.

    Returns
    -------
    Stencil
        Of shape ``lag``.
    """
    nearest = jnp.clip(jnp.round(jax.lax.stop_gradient(lag)), lower, upper)
    values = jnp.broadcast_to(jnp.asarray((0.0, 1.0, 0.0), lag.dtype), (*lag.shape, 3))
    return Stencil(nearest.astype(jnp.int32), values, _difference(nearest, lower, upper))


def linear_stencil(lag: jax.Array, lower: int, upper: int) -> Stencil:
    """Read between the two samples around ``lag`` by the weights of `interpolation`; differentiate exactly.

    At a whole lag, where the slope jumps, it is that of the older interval, as `interpolation.split` takes
    it, so that both parts of the library agree; at the upper bound, where there is none, it is that of the
    newer one. Arguments are those of `round_stencil`.
    """
    nearest, fraction = split(jnp.clip(jax.lax.stop_gradient(lag), lower, upper), lower)
    at_nearest, beyond = jnp.split(INTERPOLATIONS["linear"].value_weights(fraction), 2, axis=-1)
    values = jnp.concatenate([beyond, at_nearest, jnp.zeros_like(beyond)], -1)
    newer, older = (_weights(numbers, lag, lower < upper) for numbers in (_NEWER, _OLDER))
    return Stencil(nearest, values, jnp.where((nearest >= upper)[..., None], newer, older))


def _difference(nearest, lower, upper):
    """Choose the central difference inside and the one-sided one at a bound."""
    central, older, newer = (
        _weights(numbers, nearest, lower < upper) for numbers in (_CENTRAL, _OLDER, _NEWER)
    )
    nearest = nearest[..., None]
    return jnp.where(nearest <= lower, older, jnp.where(nearest >= upper, newer, central))


def _weights(numbers, lag, may_move):
    """Return three weights for every lag, or none between equal bounds."""
    return jnp.asarray(np.asarray(numbers) * may_move, lag.dtype).reshape(*[1] * lag.ndim, 3)


STENCILS = {"round": round_stencil, "linear": linear_stencil}
