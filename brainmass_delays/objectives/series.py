"""Time series as arguments: time is axis 0; shapes, units and windows are checked here."""

import warnings
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_count
from .._core.status import is_traced
from .._core.units import magnitude

DATA = numbers(axes=(1, 8))
SERIES = numbers(is_complex=True, axes=(1, 8))


def is_length(where: str, value: Any) -> None:
    """Refuse all but a time, or a number of samples."""
    if isinstance(value, u.Quantity):
        value = magnitude(where, value, u.second)
        numbers(scalar=True, finite=True, above=0, traced=False)(where, value)
    else:
        check_count(where, value)


def is_band(where: str, value: Any) -> None:
    """Refuse all but a pair of frequencies."""
    hertz(where, value)


def same_shape(where: str, prediction: Any, target: Any) -> None:
    """Refuse a prediction and a target of different shapes."""
    ours, theirs = jnp.shape(prediction), jnp.shape(target)
    if ours != theirs:
        turned = len(ours) == 2 and ours == theirs[::-1]
        raise ArgumentError(
            where,
            f"prediction must have the shape of target, {theirs}",
            ours,
            "Time is axis 0: transpose the one that has regions first"
            if turned
            else "Simulate as many samples as were recorded, or drop a transient from both",
        )


def in_one_unit(where: str, prediction: Any, target: Any) -> tuple[jax.Array, jax.Array]:
    """Return both magnitudes in the unit of the prediction."""
    ours, theirs = u.get_unit(prediction), u.get_unit(target)
    if not u.have_same_dim(ours, theirs):
        raise ArgumentError(
            where,
            "prediction and target must have the same dimension",
            f"{ours} and {theirs}",
            "Give both a unit, or strip it from both with brainunit.get_magnitude",
        )
    return jnp.asarray(u.get_magnitude(prediction)), jnp.asarray(magnitude(where, target, ours))


def to_series(where: str, signals: Any, minimum: int = 2) -> jax.Array:
    """Return the numbers of time series of shape (time, region)."""
    signals = jnp.asarray(u.get_magnitude(signals))
    if signals.ndim != 2 or signals.shape[0] < minimum:
        raise ArgumentError(
            where,
            f"needs time series of shape (time, region) with at least {minimum} samples",
            signals.shape,
            "Select one batch element first" if signals.ndim > 2 else "",
        )
    if not is_traced(signals) and not np.all(np.isfinite(signals)):
        places = np.argwhere(~np.isfinite(signals))
        warnings.warn(
            f"{where}: {len(places)} numbers are not finite, the first at sample {places[0, 0]} of region "
            f"{places[0, 1]}; so is the result. Leave such samples or regions out.",
            stacklevel=3,
        )
    if signals.shape[0] < signals.shape[1]:
        warnings.warn(
            f"{where}: {signals.shape[0]} samples of {signals.shape[1]} regions. Time is axis 0: if the "
            "regions come first, transpose.",
            stacklevel=3,
        )
    return signals


def samples(where: str, length: Any, dt: Any, minimum: int = 1) -> int:
    """Return a length as a number of samples: a whole number of them, or a time, which needs ``dt``."""
    if isinstance(length, u.Quantity):
        count = magnitude(where, length, u.second) / seconds(where.rpartition(".")[0] + ".dt", dt)
        return check_count(where, round(float(count)), minimum)
    return check_count(where, length, minimum)


def seconds(where: str, dt: Any) -> float:
    """Return a sampling interval in seconds."""
    if dt is None:
        raise ArgumentError(where, "must be given", "None", "Pass the sampling interval")
    number = float(magnitude(where, dt, u.second, plain=False))
    if not number > 0 or not np.isfinite(number):
        raise ArgumentError(where, "must be one positive time", dt)
    return number


def hertz(where: str, band: Any) -> tuple[float, float]:
    """Return the two edges of a frequency band in Hz."""
    try:
        low, high = (float(magnitude(where, edge, u.Hz)) for edge in band)
    except (TypeError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(where, "must be a pair of frequencies", repr(band)) from None
    if not 0 <= low < high:
        raise ArgumentError(where, "must be a lower and a higher frequency", f"{low} and {high} Hz")
    return low, high


def root(square: jax.Array) -> jax.Array:
    """Return the square root with the derivative 0 at 0, where the true one is infinite; NaN stays NaN."""
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def unit_columns(signals: jax.Array) -> jax.Array:
    """Center columns and scale them to norm 1; constant ones become 0 with derivative 0; NaN stays NaN."""
    centered = signals - jnp.mean(signals, axis=0, keepdims=True)
    square = jnp.sum(centered**2, axis=0, keepdims=True)
    # The mean of equal numbers is off by a rounding error, so a constant column has a small norm, not zero.
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(signals)), axis=0, keepdims=True)
    rounding = 8 * jnp.finfo(signals.dtype).eps * largest
    constant = square <= signals.shape[0] * rounding**2
    return jnp.where(constant, 0, centered / jnp.sqrt(jnp.where(constant, 1, square)))


def upper(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column indices above the diagonal."""
    return np.triu_indices(n, k=1)
