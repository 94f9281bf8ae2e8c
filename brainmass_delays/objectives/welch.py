"""Welch's method: averages over windowed, half-overlapping segments, and which frequencies are kept."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .series import hertz, samples, seconds


def squared_size(z: jax.Array) -> jax.Array:
    """Return the squared size of complex numbers."""
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2


def pair_products(z: jax.Array) -> jax.Array:
    """Return the products of all pairs of the last axis, the first factor conjugated."""
    return jnp.conj(z)[..., :, None] * z[..., None, :]


def segment_starts(n_samples: int, nperseg: int, overlap: float = 0.5) -> np.ndarray:
    """Return the first sample of every segment."""
    if not 0 <= overlap < 1:
        raise ArgumentError("coherence.overlap", "must lie from 0 to below 1", overlap)
    return np.arange(0, n_samples - nperseg + 1, max(nperseg - int(nperseg * overlap), 1))


def hann(nperseg: int) -> np.ndarray:
    """Return the periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(nperseg) / nperseg)


def welch(
    series: jax.Array, nperseg: int, square: Callable, overlap: float = 0.5, window: Any = None
) -> jax.Array:
    """Average a square of the windowed Fourier transforms of segments: ``[frequency, ...]``."""
    window = hann(nperseg) if window is None else window
    window = jnp.asarray(window, series.dtype).reshape(-1, *[1] * (series.ndim - 1))

    def of_segment(start):
        segment = jax.lax.dynamic_slice_in_dim(series, start, nperseg)
        return square(jnp.fft.rfft((segment - jnp.mean(segment, axis=0, keepdims=True)) * window, axis=0))

    starts = segment_starts(len(series), nperseg, overlap)
    total = jax.lax.scan(
        jax.checkpoint(lambda sum_, start: (sum_ + of_segment(start), None)),
        jnp.zeros_like(of_segment(starts[0])),
        starts,
    )[0]
    return total / len(starts)


def density(where, series, dt, nperseg, band, square, overlap=0.5, window=None):
    """Return a one-sided density per Hz in a band."""
    nperseg = samples(f"{where}.nperseg", nperseg, dt, minimum=2)
    h = seconds(f"{where}.dt", dt)
    if nperseg > len(series):
        raise ArgumentError(
            f"{where}.nperseg", f"must not exceed the length of the series, {len(series)}", nperseg
        )
    window = hann(nperseg) if window is None else np.asarray(window, dtype=float)
    if window.shape != (nperseg,) or not window.any():
        raise ArgumentError(f"{where}.window", f"must be {nperseg} numbers, one per sample", window.shape)
    kept = kept_bins(where, nperseg, dt, band)
    sides = np.where((kept == 0) | (2 * kept == nperseg), 1.0, 2.0)
    scale = jnp.asarray(sides * h / np.sum(window**2), series.dtype)
    power = welch(series, nperseg, square, overlap, window)[kept]
    return power * scale.reshape(-1, *[1] * (power.ndim - 1))


def common_segment(where, prediction, target, nperseg, dt) -> int:
    """Return a length of segments that fits into both series."""
    shorter = min(len(prediction), len(target))
    nperseg = min(256, shorter) if nperseg is None else samples(f"{where}.nperseg", nperseg, dt, minimum=2)
    if nperseg > shorter:
        raise ArgumentError(
            f"{where}.nperseg", f"must not exceed the length of the shorter series, {shorter}", nperseg
        )
    return nperseg


def kept_bins(where: str, nperseg: int, dt: Any, band: tuple | None) -> np.ndarray:
    """Return the indices of the frequency bins inside a band, never the mean (bin 0)."""
    if band is None:
        return np.arange(1, nperseg // 2 + 1)
    low, high = hertz(f"{where}.band", band)
    values = np.fft.rfftfreq(nperseg, seconds(f"{where}.dt", dt))
    slack = 1e-9 * values[1]  # an edge that is a frequency belongs to the band
    kept = np.flatnonzero((values >= low - slack) & (values <= high + slack) & (values > 0))
    if not len(kept):
        raise ArgumentError(
            f"{where}.band",
            "must hold a frequency of the spectrum",
            band,
            "Widen the band or take longer segments",
        )
    return kept
