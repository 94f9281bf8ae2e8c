"""Power and cross-spectra by Welch's method, coherence, and distances between them."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .objective import objective
from .series import hertz, in_one_unit, root, samples, seconds, to_series


def frequencies(nperseg: int, dt: Any, band: tuple | None = None) -> u.Quantity:
    """Return the frequencies of `psd`, `csd` and `coherence`.

    Parameters
    ----------
    nperseg : int or Quantity
        Length of a segment, in samples or in time units.
    dt : Quantity
        Sampling interval.
    band : (Quantity, Quantity), optional
        Lowest and highest frequency kept; plain numbers are Hz. By default every frequency but 0.

    Returns
    -------
    Quantity, shape (frequency,)
        In Hz.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import objectives
    >>> objectives.frequencies(100, 10 * u.ms, (2, 4)).to_decimal(u.Hz).tolist()
    [2.0, 3.0, 4.0]
    """
    nperseg = samples("frequencies.nperseg", nperseg, dt, minimum=2)
    kept = _bins("frequencies", nperseg, dt, band)
    return np.fft.rfftfreq(nperseg, seconds("frequencies.dt", dt))[kept] * u.Hz


def psd(series: Any, dt: Any, *, nperseg: int = 256, band: tuple | None = None) -> Any:
    """Estimate power spectral densities by Welch's method.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, ...)
        Time series.
    dt : Quantity
        Sampling interval.
    nperseg : int or Quantity, default 256
        Length of a segment (Hann window, half overlap, mean removed), in samples or in time units.
    band : (Quantity, Quantity), optional
        Lowest and highest frequency kept; plain numbers are Hz. By default every frequency but 0.

    Returns
    -------
    jax.Array or Quantity, shape (frequency, ...)
        One-sided, in the squared unit per Hz, at the `frequencies`; equal to `scipy.signal.welch`.

    Raises
    ------
    ArgumentError
        If a segment is longer than the series or the band is empty.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.sin(2 * np.pi * 20 * np.arange(1000) * 1e-3)
    >>> power = objectives.psd(x, 1 * u.ms, nperseg=500, band=(5, 45))
    >>> int(objectives.frequencies(500, 1 * u.ms, (5, 45))[power.argmax()] / u.Hz)
    20
    """
    density = _density("psd", jnp.asarray(u.get_magnitude(series)), dt, nperseg, band, _size2)
    return _with_unit(density, series)


def csd(series: Any, dt: Any, *, nperseg: int = 256, band: tuple | None = None) -> Any:
    """Estimate the cross-spectral densities of all pairs of regions by Welch's method.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series.
    dt, nperseg, band
        As in `psd`.

    Returns
    -------
    jax.Array or Quantity, shape (frequency, region, region)
        Complex, one-sided; ``[f, i, j]`` is the mean of ``conj(X_i) X_j``, as `scipy.signal.csd` of x_i and
        x_j.

    Raises
    ------
    ArgumentError
        If a segment is longer than the series or the band is empty.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> objectives.csd(np.random.default_rng(0).normal(size=(512, 3)), 1 * u.ms, nperseg=64).shape
    (32, 3, 3)
    """
    return _with_unit(_density("csd", to_series("csd", series), dt, nperseg, band, _products), series)


def coherence(
    series: Any, dt: Any, *, nperseg: int = 256, band: tuple | None = None, overlap: float = 0.5
) -> jax.Array:
    r"""Measure how constant the relation of two regions is: :math:`|S_{ij}| / \sqrt{S_{ii} S_{jj}}`.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series.
    dt, nperseg, band
        As in `psd`.
    overlap : float, default 0.5
        Share of a segment that the next one repeats, 0 to below 1.

    Returns
    -------
    jax.Array, shape (frequency, region, region)
        0 to 1, ones on the diagonal; not squared. A constant region is coherent with nothing.

    Raises
    ------
    ArgumentError
        If the series has fewer than 2 segments, where coherence is always 1, or the band is empty.

    Notes
    -----
    Differentiable where it is not 0. Of K independent segments without relation it is about :math:`K^{-1/2}`.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(4000, 2))
    >>> float(objectives.coherence(x, 1 * u.ms, nperseg=100)[:, 0, 1].mean()) < 0.2
    True
    """
    series = to_series("coherence", series)
    length = samples("coherence.nperseg", nperseg, dt, minimum=2)
    if len(_starts(len(series), length, overlap)) < 2:
        raise ArgumentError(
            "coherence.nperseg",
            "must leave room for at least 2 segments",
            f"{length} of {len(series)} samples",
        )
    cross = _density("coherence", series, dt, nperseg, band, _products, overlap)
    return jnp.abs(coherency(cross))


def coherency(cross: jax.Array) -> jax.Array:
    """Return cross-spectra over the root of both powers, complex, 1 on the diagonal; 0 without power."""
    power = jnp.real(jnp.diagonal(cross, axis1=-2, axis2=-1))
    silent = power <= 0
    scale = jnp.where(silent, 0, 1 / jnp.sqrt(jnp.where(silent, 1, power)))
    normalized = cross * scale[..., :, None] * scale[..., None, :]
    return jnp.where(jnp.eye(cross.shape[-1], dtype=bool), 1, normalized)


@objective("loss")
def spectrum(prediction, target, *, nperseg=None, dt=None, band=None):
    r"""Measure the log-spectral distance of two time series, in decibels. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, ...)
        Two sets of time series with the same trailing axes; their lengths may differ. Leave both out to get
        the callable itself.
    nperseg : int or Quantity, optional
        Length of a segment of the averaged periodograms (Hann window, half overlap, mean removed), in samples
        or in time units. By default 256, or the length of the shorter series.
    dt : Quantity, optional
        Sampling interval; needed with ``band`` or times only.
    band : (Quantity, Quantity), optional
        Lowest and highest frequency compared; plain numbers are Hz. By default every frequency but 0.

    Returns
    -------
    jax.Array, shape ()
        :math:`\sqrt{\mathrm{mean}\,(10 \log_{10} P / T)^2}` over frequencies and trailing axes, with the
        power spectral densities P of the prediction and T of the target, in decibels.

    Raises
    ------
    ArgumentError
        If trailing axes or units disagree, a segment is longer than a series, or the band is empty.

    Notes
    -----
    It does not see the phase, so it changes more slowly with a conduction speed than a point-by-point loss
    does. A floor of 1e-12 of the mean target power keeps the logarithm finite. The gradient is exact, and 0
    where the distance is 0.

    References
    ----------
    .. [1] Welch, P. D. (1967). The use of fast Fourier transform for the estimation of power spectra. IEEE
       Transactions on Audio and Electroacoustics 15(2), 70-73.
    .. [2] Gray, A. H., Markel, J. D. (1976). Distance measures for speech processing. IEEE Transactions on
       Acoustics, Speech, and Signal Processing 24(5), 380-391.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> signals = np.random.default_rng(0).normal(size=(512, 3))
    >>> round(float(objectives.spectrum(10 * signals, signals)), 3)
    20.0
    """
    prediction, target = in_one_unit("spectrum", prediction, target)
    if prediction.shape[1:] != target.shape[1:] or prediction.ndim == 0:
        raise ArgumentError(
            "spectrum",
            f"prediction must have the trailing axes of target, (time, *{target.shape[1:]})",
            prediction.shape,
        )
    nperseg = _common_segment("spectrum", prediction, target, nperseg, dt)
    kept = _bins("spectrum", nperseg, dt, band)
    ours, theirs = (_welch(x, nperseg, _size2)[kept] for x in (prediction, target))
    decibels = 10 * (_log10(ours, theirs) - _log10(theirs, theirs))
    return root(jnp.mean(decibels**2))


@objective("loss")
def cross_spectrum(prediction, target, *, nperseg=None, dt=None, band=None):
    r"""Measure the distance of two sets of cross-spectra, in sizes and phases. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Two sets of time series of the same regions; their lengths may differ. Leave both out to get the
        callable itself.
    nperseg, dt, band
        As in `spectrum`.

    Returns
    -------
    jax.Array, shape ()
        :math:`\sqrt{\mathrm{mean}\,|\ln (P_{ij} / T_{ij})|^2}` over frequencies and all pairs i <= j: the
        real part of the logarithm is the ratio of sizes in nepers (8.7 dB), the imaginary part the difference
        of phases in rad, between -pi and pi.

    Raises
    ------
    ArgumentError
        If regions or units disagree, a segment is longer than a series, or the band is empty.

    Notes
    -----
    Phases see delays directly, unlike powers; where coherence is low they are noise: choose the band. A floor
    of 1e-6 of the mean target power keeps the logarithm finite. The gradient is exact but where a phase
    difference jumps by a cycle, and 0 where the distance is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(512, 3))
    >>> round(float(objectives.cross_spectrum(np.e * x, x)), 3)
    2.0
    """
    prediction, target = in_one_unit("cross_spectrum", prediction, target)
    prediction, target = (to_series("cross_spectrum", x) for x in (prediction, target))
    if prediction.shape[1] != target.shape[1]:
        raise ArgumentError(
            "cross_spectrum",
            f"prediction must have the regions of target, {target.shape[1]}",
            prediction.shape[1],
        )
    nperseg = _common_segment("cross_spectrum", prediction, target, nperseg, dt)
    kept = _bins("cross_spectrum", nperseg, dt, band)
    pairs = (slice(None), *np.triu_indices(target.shape[1]))
    ours, theirs = (_welch(x, nperseg, _products)[kept][pairs] for x in (prediction, target))
    scale = jnp.mean(jnp.abs(jax.lax.stop_gradient(theirs)))
    floor = (1e-6 * scale) ** 2 + jnp.finfo(scale.dtype).tiny
    sizes = 0.5 * (jnp.log(_size2(ours) + floor) - jnp.log(_size2(theirs) + floor))
    ratio = ours * jnp.conj(theirs)
    silent = _size2(ratio) == 0
    phases = jnp.where(silent, 0, jnp.angle(jnp.where(silent, 1, ratio)))
    return root(jnp.mean(sizes**2 + phases**2))


def _size2(z: jax.Array) -> jax.Array:
    """Return the squared size of complex numbers."""
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2


def _products(z: jax.Array) -> jax.Array:
    """Return the products of all pairs of the last axis, the first factor conjugated."""
    return jnp.conj(z)[..., :, None] * z[..., None, :]


def _starts(n_samples: int, nperseg: int, overlap: float = 0.5) -> np.ndarray:
    """Return the first sample of every segment."""
    if not 0 <= overlap < 1:
        raise ArgumentError("coherence.overlap", "must lie from 0 to below 1", overlap)
    return np.arange(0, n_samples - nperseg + 1, max(nperseg - int(nperseg * overlap), 1))


def _welch(series: jax.Array, nperseg: int, square: Callable, overlap: float = 0.5) -> jax.Array:
    """Average a square of the Hann-windowed Fourier transforms of segments: ``[frequency, ...]``."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(nperseg) / nperseg)
    window = jnp.asarray(window, series.dtype).reshape(-1, *[1] * (series.ndim - 1))

    def of_segment(start):
        segment = jax.lax.dynamic_slice_in_dim(series, start, nperseg)
        return square(jnp.fft.rfft((segment - jnp.mean(segment, axis=0)) * window, axis=0))

    starts = _starts(len(series), nperseg, overlap)
    total = jax.lax.scan(
        jax.checkpoint(lambda sum_, start: (sum_ + of_segment(start), None)),
        jnp.zeros_like(of_segment(starts[0])),
        starts,
    )[0]
    return total / len(starts)


def _density(where, series, dt, nperseg, band, square, overlap=0.5):
    """Return a one-sided density per Hz in a band."""
    nperseg = samples(f"{where}.nperseg", nperseg, dt, minimum=2)
    h = seconds(f"{where}.dt", dt)
    if nperseg > len(series):
        raise ArgumentError(
            f"{where}.nperseg", f"must not exceed the length of the series, {len(series)}", nperseg
        )
    kept = _bins(where, nperseg, dt, band)
    sides = np.where((kept == 0) | (2 * kept == nperseg), 1.0, 2.0)
    scale = jnp.asarray(sides * h / (0.375 * nperseg), series.dtype)  # 0.375: mean square of the window
    density = _welch(series, nperseg, square, overlap)[kept]
    return density * scale.reshape(-1, *[1] * (density.ndim - 1))


def _common_segment(where, prediction, target, nperseg, dt) -> int:
    """Return a length of segments that fits into both series."""
    shorter = min(len(prediction), len(target))
    nperseg = min(256, shorter) if nperseg is None else samples(f"{where}.nperseg", nperseg, dt, minimum=2)
    if nperseg > shorter:
        raise ArgumentError(
            f"{where}.nperseg", f"must not exceed the length of the shorter series, {shorter}", nperseg
        )
    return nperseg


def _bins(where: str, nperseg: int, dt: Any, band: tuple | None) -> np.ndarray:
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


def _log10(power: jax.Array, reference: jax.Array) -> jax.Array:
    """Return the decimal logarithm with a floor of 1e-12 of the mean reference."""
    # tiny: two silent series have the distance 0, not NaN
    floor = 1e-12 * jnp.mean(jax.lax.stop_gradient(reference)) + jnp.finfo(reference.dtype).tiny
    return jnp.log10(power + floor)


def _with_unit(density: jax.Array, series: Any) -> Any:
    """Return a density in the squared unit of the series per Hz."""
    unit = u.get_unit(series)
    return density if unit.is_unitless else density * (unit * unit / u.Hz)
