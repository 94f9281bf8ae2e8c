"""Initial history: what a delayed read sees before the run has produced its own past."""

from typing import Any

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers
from .._core.checks import ArgumentError

DRAWN_TOGETHER = 64  # samples
INITIALIZERS = (braintools.init.Initialization, brainstate.nn.init.Initializer)


def sampled_history(
    where: str, init: Any, initial: jax.Array, unit: u.Unit, n_slots: int, dt: u.Quantity
) -> jax.Array:
    """Sample a history on the grid ``-(n_slots - 1) dt, ..., -dt, 0``; the last sample is the initial state.

    Parameters
    ----------
    where : str
        Name of the argument, for messages.
    init : None, callable, array or initializer
        None: the initial state at all times. A function of time (a Quantity, zero or negative) ->
        ``(channel,)``. An array ``(channel,)`` for constant history or ``(time, channel)`` in steps of
        ``dt``, newest last, at least ``n_slots`` long. A braintools or brainstate initializer, drawn from the
        newest sample backwards, so that one seed gives one past whatever the bound.
    initial : array
        Initial state ``(..., channel)``, magnitude.

    Returns
    -------
    array
        ``(..., channel, n_slots)``, oldest first.
    """
    shape = (n_slots, *initial.shape)
    if init is None:
        past = jnp.broadcast_to(initial, shape)
    elif isinstance(init, INITIALIZERS):
        past = _magnitude(where, _drawn(init, shape), unit)
    elif callable(init):
        times = jnp.arange(-(n_slots - 1), 1) * dt
        past = jax.vmap(lambda t: _broadcast(where, _at(where, init, t, unit), initial.shape))(times)
    else:
        past = _from_array(where, _magnitude(where, init, unit), shape)
    past = jnp.asarray(past, initial.dtype).at[-1].set(initial)
    return jnp.moveaxis(past, 0, -1)


def sampled_slopes(where: str, init: Any, past: jax.Array, unit: u.Unit, dt: u.Quantity) -> jax.Array:
    """Return the history's slopes times the step on the same grid, ``(..., channel, n_slots)``.

    Exact for constant history and for a function of time; fourth-order differences for samples.
    """
    if init is None:
        return jnp.zeros_like(past)
    if callable(init) and not isinstance(init, INITIALIZERS):
        n_slots, shape = past.shape[-1], past.shape[:-1]
        step = jnp.asarray(dt.to_decimal(u.ms), past.dtype)

        def value(t):
            return _broadcast(where, _at(where, init, t * u.ms, unit), shape).astype(past.dtype)

        times = jnp.arange(-(n_slots - 1), 1).astype(past.dtype) * step
        slopes = jax.vmap(lambda t: jax.jvp(value, (t,), (step,))[1])(times)
        return jnp.moveaxis(slopes, 0, -1)
    return _differences(past)


def _drawn(init, shape):
    """Draw a past in pieces of one size from the newest sample backwards, one draw to anybody else."""
    n_slots, *rest = shape
    source = brainstate.random.DEFAULT
    own = source.split_key()
    after = source.value
    source.value = own
    try:
        pieces = [init((DRAWN_TOGETHER, *rest))[::-1] for _ in range(-(-n_slots // DRAWN_TOGETHER))]
    finally:
        source.value = after
    return u.math.concatenate(pieces[::-1], axis=0)[-n_slots:]


def _at(where, init, t, unit):
    """Return a function of time at a time; one that takes it for a plain number is refused."""
    try:
        value = init(t)
    except (TypeError, u.UnitMismatchError) as error:
        cure = "Divide the time by one, as in jnp.cos(t / (3 * brainunit.ms))"
        raise ArgumentError(
            where, "must take a time with a unit", f"{type(error).__name__}: {error}", cure
        ) from error
    return _magnitude(where, value, unit)


def _magnitude(where, value, unit):
    numbers(finite=True)(where, value)
    if isinstance(value, u.Quantity) and not u.have_same_dim(value, unit):
        raise ArgumentError(where, f"must have the unit of the state, {unit}", u.get_unit(value))
    return jnp.asarray(value.to_decimal(unit) if isinstance(value, u.Quantity) else value)


def _broadcast(where, value, shape):
    try:
        return jnp.broadcast_to(value, shape)
    except ValueError:
        raise ArgumentError(where, f"must give values of shape {shape}", value.shape) from None


def _from_array(where, value, shape):
    if value.ndim <= len(shape) - 1 or value.shape[0] == 1:
        return _broadcast(where, value, shape)
    if value.shape[0] < shape[0]:
        raise ArgumentError(
            where,
            f"must cover the bound, {shape[0]} samples in steps of dt",
            f"{value.shape[0]} samples",
            "Give a longer history or lower max_delay",
        )
    newest = value[-shape[0] :].reshape(shape[0], *(1,) * (len(shape) - value.ndim), *value.shape[1:])
    return _broadcast(where, newest, shape)


def _differences(past: jax.Array) -> jax.Array:
    """Differentiate samples along the last axis to fourth order (second order below five samples), per
    step."""
    n = past.shape[-1]
    if n < 5:
        return jnp.gradient(past, axis=-1)
    rows = _STENCILS.astype(past.dtype)
    inner = sum(c * past[..., k : n - 4 + k] for k, c in enumerate(rows[2]) if c)
    return jnp.concatenate([past[..., :5] @ rows[:2].T, inner, past[..., -5:] @ rows[3:].T], axis=-1)


def _stencils() -> np.ndarray:
    """Return weights of five samples in a row for the slope at each of them, ``(place, sample)``."""
    nodes = np.arange(5) - np.arange(5)[:, None]
    powers = nodes[:, None, :] ** np.arange(5)[:, None]  # [place, power, sample]
    return np.linalg.solve(powers.astype(float), np.eye(5)[None, :, 1:2])[..., 0]


_STENCILS = _stencils()
