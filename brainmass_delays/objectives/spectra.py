"""Power and cross-spectra by Welch's method, and coherence."""

from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, numbers, optional, time
from .._core.checks import ArgumentError
from .._core.units import with_unit_of_power
from .series import SERIES, is_band, is_length, samples, seconds, to_series
from .welch import density, kept_bins, pair_products, segment_starts, squared_size


@checked(nperseg=is_length, dt=time, band=optional(is_band))
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
    kept = kept_bins("frequencies", nperseg, dt, band)
    return u.Quantity(np.fft.rfftfreq(nperseg, seconds("frequencies.dt", dt))[kept], unit=u.Hz)


@checked(series=SERIES, dt=time, nperseg=is_length, band=optional(is_band))
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
    power = density("psd", jnp.asarray(u.get_magnitude(series)), dt, nperseg, band, squared_size)
    return with_unit_of_power(power, series)


@checked(series=SERIES, dt=time, nperseg=is_length, band=optional(is_band))
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
    return with_unit_of_power(
        density("csd", to_series("csd", series), dt, nperseg, band, pair_products), series
    )


@checked(
    series=SERIES,
    dt=time,
    nperseg=is_length,
    band=optional(is_band),
    overlap=numbers(unit=u.UNITLESS, scalar=True, low=0.0, traced=False),
    window=optional(numbers(ndim=1, finite=True, traced=False)),
)
def coherence(
    series: Any,
    dt: Any,
    *,
    nperseg: int = 256,
    band: tuple | None = None,
    overlap: float = 0.5,
    window: Any = None,
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
    window : array_like, shape (nperseg,), optional
        Taper of a segment. Default: the periodic Hann window; MNE-Python has the symmetric `numpy.hanning`.

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
    if len(segment_starts(len(series), length, overlap)) < 2:
        raise ArgumentError(
            "coherence.nperseg",
            "must leave room for at least 2 segments",
            f"{length} of {len(series)} samples",
        )
    cross = density("coherence", series, dt, nperseg, band, pair_products, overlap, window)
    return jnp.abs(coherency(cross))


def coherency(cross: jax.Array) -> jax.Array:
    """Return cross-spectra over the root of both powers, complex, 1 on the diagonal; 0 without power."""
    power = jnp.real(jnp.diagonal(cross, axis1=-2, axis2=-1))
    silent = power <= 0
    scale = jnp.where(silent, 0, 1 / jnp.sqrt(jnp.where(silent, 1, power)))
    normalized = cross * scale[..., :, None] * scale[..., None, :]
    return jnp.where(jnp.eye(cross.shape[-1], dtype=bool), 1, normalized)
