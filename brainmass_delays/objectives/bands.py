"""Rhythms: band-pass filters, analytic signals, envelopes, and the synchrony of phases."""

from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, flag, optional, time
from .._core.checks import ArgumentError, check_count
from .connectivity import correlations
from .series import DATA, SERIES, hertz, is_band, root, seconds, to_series


@checked(series=DATA, dt=time, band=is_band)
def bandpass(series: Any, dt: Any, band: tuple, *, order: int = 4) -> Any:
    """Keep a band of frequencies, without shifting phases.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, ...)
        Time series.
    dt : Quantity
        Sampling interval.
    band : (Quantity, Quantity)
        Edges, where the amplitude is halved; plain numbers are Hz.
    order : int, default 4
        Order of the Butterworth filter.

    Returns
    -------
    jax.Array or Quantity, shape (time, ...)
        In the unit of the series.

    Raises
    ------
    ArgumentError
        If the band does not lie between 0 and half the sampling rate.

    Notes
    -----
    The gain is that of a digital Butterworth filter run forward and backward, applied to the Fourier
    transform of the series, which is continued at both ends by its point reflection. Linear and exact to
    differentiate. About one period of the lower edge is disturbed at both ends.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> t = np.arange(2000) * 1e-3
    >>> wave = np.sin(2 * np.pi * 10 * t)
    >>> alpha = objectives.bandpass(wave + np.sin(2 * np.pi * 50 * t), 1 * u.ms, (8, 12))
    >>> bool(abs(alpha[1000] - wave[1000]) < 1e-3)
    True
    """
    return _bandpass("bandpass", series, dt, band, order)


def _bandpass(where, series, dt, band, order=4):
    h, (low, high) = seconds(f"{where}.dt", dt), hertz(f"{where}.band", band)
    order = check_count(f"{where}.order", order)
    if low == 0 or high >= 0.5 / h:
        rule = f"must lie between 0 and half the sampling rate, {0.5 / h:.6g} Hz"
        raise ArgumentError(f"{where}.band", rule, f"{low:.6g} to {high:.6g} Hz")
    x = jnp.asarray(u.get_magnitude(series))
    n = len(x)
    pad = min(n - 1, int(np.ceil(2 * order / (low * h))))
    x = jnp.concatenate([2 * x[0] - x[pad:0:-1], x, 2 * x[-1] - x[-2 : -pad - 2 : -1]])
    warped, a, b = (np.tan(np.pi * f * h) for f in (np.fft.rfftfreq(len(x), h), low, high))
    with np.errstate(divide="ignore"):
        gain = 1 / (1 + ((warped**2 - a * b) / (warped * (b - a))) ** (2 * order))
    gain = jnp.asarray(gain, x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    passed = jnp.fft.irfft(jnp.fft.rfft(x, axis=0) * gain, len(x), axis=0)[pad : pad + n]
    unit = u.get_unit(series)
    return passed if unit.is_unitless else passed * unit


@checked(series=DATA)
def analytic_signal(series: Any) -> Any:
    """Complete real time series to complex ones whose size is the envelope and whose angle is the phase.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, ...)
        Real time series, of one band of frequencies if the phase is to mean something.

    Returns
    -------
    jax.Array or Quantity, shape (time, ...)
        Complex, in the unit of the series; equal to `scipy.signal.hilbert`.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> wave = np.cos(2 * np.pi * np.arange(100) / 20)
    >>> bool(abs(abs(objectives.analytic_signal(wave)) - 1).max() < 1e-5)
    True
    """
    x = jnp.asarray(u.get_magnitude(series))
    n = len(x)
    weights = np.zeros(n)
    weights[0] = 1
    weights[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        weights[n // 2] = 1
    weights = jnp.asarray(weights, x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    z = jnp.fft.ifft(jnp.fft.fft(x, axis=0) * weights, axis=0)
    unit = u.get_unit(series)
    return z if unit.is_unitless else z * unit


@checked(series=SERIES, dt=optional(time), band=optional(is_band), orthogonalize=flag)
def envelope_correlation(
    series: Any, dt: Any = None, band: tuple | None = None, *, orthogonalize: bool = False
) -> jax.Array:
    """Correlate the amplitude envelopes of all pairs of regions.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series, real, or complex analytic signals.
    dt, band : Quantity and (Quantity, Quantity), optional
        Sampling interval and band to filter first; without, the series are taken as filtered already.
    orthogonalize : bool, default False
        Remove from one of a pair what is in phase with the other, which volume conduction explains; then take
        the size of the correlation, averaged over both directions.

    Returns
    -------
    jax.Array, shape (region, region)
        Pearson correlations of envelopes, ones on the diagonal, symmetric, dimensionless.

    Raises
    ------
    ArgumentError
        If it is no time series, or ``band`` comes without ``dt`` or does not fit it.

    Notes
    -----
    Differentiable, orthogonalized ones where they are not 0; cost of these n_regions**2 series. A constant
    region correlates with nothing.

    References
    ----------
    .. [1] Hipp, J. F., Hawellek, D. J., Corbetta, M., Siegel, M., Engel, A. K. (2012). Large-scale cortical
       correlation structure of spontaneous oscillatory activity. Nature Neuroscience 15, 884-890.
    .. [2] Cabral, J., et al. (2014). Exploring mechanisms of spontaneous functional connectivity in MEG.
       NeuroImage 90, 423-435.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(3000, 3))
    >>> objectives.envelope_correlation(x, 2 * u.ms, (8, 12)).shape
    (3, 3)
    """
    z = _analytic("envelope_correlation", series, dt, band)
    if not orthogonalize:
        return correlations(_size(z))

    def with_one(seed):  # the correlations of all others, freed of what is in phase with the seed
        envelope = _size(seed)
        zero = envelope == 0
        direction = jnp.conj(seed) / jnp.where(zero, 1, envelope)
        freed = jnp.abs(jnp.imag(z * direction[:, None]))
        return correlations(jnp.concatenate([envelope[:, None], freed], axis=1))[0, 1:]

    matrix = jnp.abs(jax.lax.map(jax.checkpoint(with_one), z.T))
    matrix = (matrix + matrix.T) / 2
    return jnp.where(jnp.eye(len(matrix), dtype=bool), 1, matrix)


@checked(series=SERIES, dt=optional(time), band=optional(is_band))
def plv(series: Any, dt: Any = None, band: tuple | None = None) -> jax.Array:
    """Measure the phase locking of all pairs of regions: the size of their mean phase difference.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series, real, or complex analytic signals, e.g. ``exp(1j * theta)`` of phases.
    dt, band : Quantity and (Quantity, Quantity), optional
        Sampling interval and band to filter first; without, the series are taken as filtered already.

    Returns
    -------
    jax.Array, shape (region, region)
        0 to 1, ones on the diagonal.

    Raises
    ------
    ArgumentError
        If it is no time series, or ``band`` comes without ``dt`` or does not fit it.

    References
    ----------
    Lachaux, J.-P., Rodriguez, E., Martinerie, J., Varela, F. J. (1999). Measuring phase synchrony in brain
    signals. Human Brain Mapping 8, 194-208.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> theta = np.linspace(0, 50, 400)[:, None] * np.array([1.0, 1.0, 1.7])
    >>> [round(float(value), 1) for value in objectives.plv(np.exp(1j * theta))[0]]
    [1.0, 1.0, 0.1]
    """
    e = _phasors(_analytic("plv", series, dt, band))
    return _size(jnp.conj(e).T @ e / len(e))


@checked(series=SERIES, dt=optional(time), band=optional(is_band))
def kuramoto_order(series: Any, dt: Any = None, band: tuple | None = None) -> jax.Array:
    r"""Measure how aligned the phases of all regions are: :math:`R(t) = |\langle e^{i \phi(t)} \rangle|`.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series, real, or complex analytic signals, e.g. ``exp(1j * theta)`` of phases.
    dt, band : Quantity and (Quantity, Quantity), optional
        Sampling interval and band to filter first; without, the series are taken as filtered already.

    Returns
    -------
    jax.Array, shape (time,)
        0 to 1.

    Raises
    ------
    ArgumentError
        If it is no time series, or ``band`` comes without ``dt`` or does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> objectives.kuramoto_order(np.exp(1j * np.array([[0.0, 0.0], [0.0, np.pi]]))).round(3).tolist()
    [1.0, 0.0]
    """
    return _size(jnp.mean(_phasors(_analytic("kuramoto_order", series, dt, band)), axis=1))


@checked(series=SERIES, dt=optional(time), band=optional(is_band))
def synchrony(series: Any, dt: Any = None, band: tuple | None = None) -> jax.Array:
    """Average the Kuramoto order over time.

    Parameters
    ----------
    series, dt, band
        As in `kuramoto_order`.

    Returns
    -------
    jax.Array, shape ()
        0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> float(objectives.synchrony(np.exp(1j * np.zeros((5, 3)))))
    1.0
    """
    return jnp.mean(kuramoto_order(series, dt, band))


@checked(series=SERIES, dt=optional(time), band=optional(is_band))
def metastability(series: Any, dt: Any = None, band: tuple | None = None) -> jax.Array:
    """Measure how much the Kuramoto order varies in time: its standard deviation.

    Parameters
    ----------
    series, dt, band
        As in `kuramoto_order`.

    Returns
    -------
    jax.Array, shape ()
        The standard deviation over time (divided by the number of samples), 0 to 0.5.

    References
    ----------
    Shanahan, M. (2010). Metastable chimera states in community-structured oscillator networks. Chaos 20,
    013108.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> round(float(objectives.metastability(np.exp(1j * np.array([[0, 0], [0, np.pi]])))), 3)
    0.5
    """
    order = kuramoto_order(series, dt, band)
    return root(jnp.mean((order - jnp.mean(order)) ** 2))


def _analytic(where: str, series: Any, dt: Any, band: tuple | None) -> jax.Array:
    """Return analytic signals (time, region), filtered if a band is given."""
    x = to_series(where, series)
    if band is not None:
        if jnp.iscomplexobj(x):
            raise ArgumentError(f"{where}.band", "must be None for complex signals", band)
        x = _bandpass(where, x, dt, band)
    return x if jnp.iscomplexobj(x) else analytic_signal(x - jnp.mean(x, axis=0))


def _size(z: jax.Array) -> jax.Array:
    """Return the absolute value with the derivative 0 at 0."""
    return root(jnp.real(z) ** 2 + jnp.imag(z) ** 2)


def _phasors(z: jax.Array) -> jax.Array:
    """Return numbers of size 1 with the same angle; 0 stays 0."""
    size = _size(z)
    return z / jnp.where(size == 0, 1, size)
