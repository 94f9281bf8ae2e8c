"""Delays between regions, seen in their recordings: slopes of cross-spectral phases, lags of correlations.

Entry ``[i, j]`` of every matrix is the time by which region i follows region j.
"""

from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, flag, numbers, time
from .._core.checks import ArgumentError
from .objective import objective
from .series import DATA, SERIES, is_band, is_length, root, samples, seconds, to_series
from .spectra import coherency
from .welch import kept_bins, pair_products, segment_starts, welch

HANN_BANDWIDTH = 1.5  # of the window, in bins: neighboring frequencies are not independent
HANN_OVERLAP = 1 + 2 / 36  # variance of a mean of half-overlapping segments over that of independent ones
SATURATION = 1e-6  # of 1 - coherence**2, so that noise-free signals have finite weights


class GroupDelay(NamedTuple):
    """Delays of all pairs and their standard errors, ``(region, region)``."""

    delay: u.Quantity
    error: u.Quantity


class PhaseDelay(NamedTuple):
    """Delays of all pairs at one frequency, known up to whole cycles, ``(region, region)``.

    ``delay + k * cycle`` is as good for every whole k.
    """

    delay: u.Quantity
    error: u.Quantity
    frequency: u.Quantity
    cycle: u.Quantity


@checked(series=SERIES, dt=time, band=is_band, nperseg=is_length)
def group_delay(series: Any, dt: Any, *, band: tuple, nperseg: Any = 256) -> GroupDelay:
    r"""Estimate by how much each region follows each other: the slope of their cross-spectral phase.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series.
    dt : Quantity
        Sampling interval.
    band : (Quantity, Quantity)
        Frequencies used; plain numbers are Hz. Wide: the error falls with the 1.5th power of the width.
    nperseg : int or Quantity, default 256
        Length of a segment (Hann window, half overlap, mean removed), in samples or in time units; some times
        longer than the delays.

    Returns
    -------
    GroupDelay
        ``delay`` and ``error``, its standard error, both (region, region), in ms. ``delay[i, j]`` is positive
        where i follows j; its diagonal is 0.

    Raises
    ------
    ArgumentError
        If the band holds fewer than 3 frequencies or there are fewer than 2 segments.

    Notes
    -----
    :math:`\tau = -\frac{1}{2\pi} \frac{d \phi}{d f}`, by a straight line through the phases, weighted with
    :math:`c^2 / (1 - c^2)` of the coherence c, the inverse variance of a phase. A constant phase shift, as of
    an inhibitory connection, drops out. The line is laid through phases around the delay at which the
    weighted cross-spectrum adds up best, found on a grid: whole cycles are settled there. In a narrow band
    they are not, and the error, which assumes they are, is too small: use `phase_delay`. The gradient is that
    of the slope, exact.

    Group delays of a network mix all paths between two regions; two regions driven by a third one follow it,
    not each other.

    References
    ----------
    .. [1] Hannan, E. J., Thomson, P. J. (1973). Estimating group delay. Biometrika 60, 241-253.
    .. [2] Carter, G. C. (1987). Coherence and time delay estimation. Proceedings of the IEEE 75, 236-255.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> noise = np.random.default_rng(0).normal(size=5010)
    >>> x = np.stack([noise[10:], noise[:-10]], axis=1)      # the second is 10 samples late
    >>> found = objectives.group_delay(x, 1 * u.ms, band=(1, 200))
    >>> round(float(found.delay[1, 0].to_decimal(u.ms)), 1)
    10.0
    """
    found = _group_delay("group_delay", series, dt, band, nperseg)
    return GroupDelay(*(u.Quantity(x, unit=u.ms) for x in found))


@objective("loss")
@checked(prediction=DATA, target=DATA, dt=time, band=is_band, nperseg=is_length, weighted=flag)
def group_delay_rmse(prediction, target, *, dt: Any, band: tuple, nperseg: Any = 256, weighted: bool = True):
    """Measure the root mean squared difference of two sets of group delays. A loss, in ms.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Time series of the same regions; their lengths may differ. Leave both out to get the callable.
    dt, band, nperseg
        As in `group_delay`.
    weighted : bool, default True
        Weigh every pair with the inverse variance of the two delays, so that pairs without coherence do not
        count.

    Returns
    -------
    jax.Array, shape ()
        Over the pairs of different regions, in ms.

    Raises
    ------
    ArgumentError
        See `group_delay`; or if the numbers of regions differ or there is one only.

    Notes
    -----
    It sees conduction delays directly: where everything else is equal it is the mean difference of delays.
    The gradient is exact, the weights included.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> noise = np.random.default_rng(0).normal(size=5010)
    >>> late = [np.stack([noise[10:], noise[10 - k : -k]], axis=1) for k in (6, 9)]
    >>> round(float(objectives.group_delay_rmse(*late, dt=1 * u.ms, band=(1, 200))), 1)
    3.0
    """
    where = "group_delay_rmse"
    ours, theirs = (
        _group_delay(where, x, dt, band, nperseg, name)
        for name, x in (("prediction", prediction), ("target", target))
    )
    n = len(ours[0])
    if n != len(theirs[0]) or n < 2:
        raise ArgumentError(where, "needs the same regions in both, at least 2", f"{n} and {len(theirs[0])}")
    pairs = np.triu_indices(n, k=1)
    square = (ours[0] - theirs[0])[pairs] ** 2
    if not weighted:
        return root(jnp.mean(square))
    weights = 1 / (ours[1][pairs] ** 2 + theirs[1][pairs] ** 2)
    return root(jnp.sum(weights * square) / jnp.sum(weights))


def _group_delay(where, series, dt, band, nperseg, argument="series"):
    """Return delays and standard errors in ms."""
    cross, f, n_segments, h = _cross(where, series, dt, band, nperseg, argument)
    if len(f) < 3:
        raise ArgumentError(
            f"{where}.band",
            "must hold at least 3 frequencies",
            f"{len(f)}",
            "Use phase_delay, or longer segments",
        )
    coherent = coherency(cross)
    weights = _phase_weights(coherent)  # [frequency, i, j]
    rough = jax.lax.stop_gradient(_best_lag(coherent, weights, f, h))
    turned = coherent * jnp.exp(-2j * jnp.pi * f[:, None, None] * rough)
    # what is left of the phase is small, whatever constant it may contain
    offset = jax.lax.stop_gradient(jnp.sum(weights * turned, axis=0))
    turned = turned * jnp.conj(offset)
    silent = turned == 0
    phase = jnp.where(silent, 0, jnp.angle(jnp.where(silent, 1, turned)))
    total = jnp.sum(weights, axis=0) + jnp.finfo(weights.dtype).tiny
    centered = f[:, None, None] - jnp.sum(weights * f[:, None, None], axis=0) / total
    spread = jnp.sum(weights * centered**2, axis=0)
    known = spread > 0
    slope = jnp.sum(weights * centered * phase, axis=0) / jnp.where(known, spread, 1)
    variance = HANN_BANDWIDTH * HANN_OVERLAP / (2 * n_segments * jnp.where(known, spread, 1))
    delay = rough + slope / (2 * jnp.pi)
    error = jnp.where(known, jnp.sqrt(variance) / (2 * jnp.pi), jnp.inf)
    diagonal = jnp.eye(len(delay), dtype=bool)
    return jnp.where(diagonal, 0, 1e3 * delay), jnp.where(diagonal, 0, 1e3 * error)


@checked(series=SERIES, dt=time, band=is_band, nperseg=is_length)
def phase_delay(series: Any, dt: Any, *, band: tuple, nperseg: Any = 256) -> PhaseDelay:
    """Estimate delays from the phase at the peak of the cross-spectrum, for narrow bands.

    Parameters
    ----------
    series, dt, band, nperseg
        As in `group_delay`; one frequency in the band is enough.

    Returns
    -------
    PhaseDelay
        ``delay``, ``error`` (standard error), ``frequency`` of the peak and ``cycle``, all (region, region).
        The delay is known up to whole cycles: given is the one within half a cycle of 0.

    Raises
    ------
    ArgumentError
        If the band is empty or there are fewer than 2 segments.

    Notes
    -----
    A constant phase shift, e.g. half a cycle of an inhibitory connection, is taken for a delay. The gradient
    is exact but where the peak moves to another frequency.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> t = np.arange(4000) * 1e-3
    >>> x = np.stack([np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 10 * (t - 0.012))], axis=1)
    >>> found = objectives.phase_delay(x, 1 * u.ms, band=(8, 12), nperseg=1000)
    >>> round(float(found.delay[1, 0] / u.ms), 2), float(found.cycle[1, 0] / u.ms)
    (12.0, 100.0)
    """
    cross, f, n_segments, _ = _cross("phase_delay", series, dt, band, nperseg)
    peak = jnp.argmax(jnp.abs(cross), axis=0)[None]
    coherent = jnp.take_along_axis(coherency(cross), peak, axis=0)[0]
    frequency = f[peak[0]]
    silent = coherent == 0
    phase = jnp.where(silent, 0, jnp.angle(jnp.where(silent, 1, coherent)))
    variance = HANN_OVERLAP / (2 * n_segments * _phase_weights(coherent))
    diagonal = jnp.eye(len(coherent), dtype=bool)
    error = jnp.where(diagonal, 0, jnp.sqrt(variance) / (2 * jnp.pi * frequency))
    return PhaseDelay(
        u.Quantity(1e3 * phase / (2 * jnp.pi * frequency), unit=u.ms),
        u.Quantity(1e3 * error, unit=u.ms),
        u.Quantity(frequency, unit=u.Hz),
        u.Quantity(1e3 / frequency, unit=u.ms),
    )


@checked(series=numbers(ndim=2, traced=False), dt=time, max_lag=is_length)
def lag_matrix(series: Any, dt: Any, *, max_lag: Any) -> tuple[u.Quantity, np.ndarray]:
    """Find the lag at which the correlation of each pair of regions is largest in size. A report.

    Parameters
    ----------
    series : array_like or Quantity, shape (time, region)
        Time series.
    dt : Quantity
        Sampling interval.
    max_lag : int or Quantity
        Largest lag looked at, in samples or in time units.

    Returns
    -------
    lags : Quantity, shape (region, region)
        In ms; ``lags[i, j]`` is positive where i follows j. A parabola through the three largest values
        places it between samples. NaN where a region is constant.
    correlations : numpy.ndarray, shape (region, region)
        The correlation there, with its sign.

    Raises
    ------
    ArgumentError
        If the largest lag is not shorter than the series.

    Notes
    -----
    An argmax: no gradient. As a loss use `group_delay_rmse`. Computed in NumPy, in float64.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> noise = np.random.default_rng(0).normal(size=1010)
    >>> x = np.stack([noise[10:], noise[:-10]], axis=1)
    >>> lags, _ = objectives.lag_matrix(x, 1 * u.ms, max_lag=30)
    >>> round(float(lags[1, 0] / u.ms), 1)
    10.0
    """
    x = np.asarray(to_series("lag_matrix", series), dtype=float)
    h, reach = seconds("lag_matrix.dt", dt), samples("lag_matrix.max_lag", max_lag, dt)
    n_samples, n = x.shape
    if reach >= n_samples - 1:
        raise ArgumentError("lag_matrix.max_lag", f"must be shorter than the series of {n_samples}", reach)
    x = x - x.mean(axis=0)
    norm = np.sqrt(np.sum(x**2, axis=0))
    size = 2 ** int(np.ceil(np.log2(n_samples + reach + 2)))
    transform = np.fft.rfft(x, size, axis=0)
    lags, correlations = np.full((n, n), np.nan), np.full((n, n), np.nan)
    shifts = np.arange(-reach, reach + 1)
    for j in np.flatnonzero(norm > 1e-12 * n_samples * np.abs(x).max()):
        cross = np.fft.irfft(transform * np.conj(transform[:, j : j + 1]), size, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = cross[shifts] / (norm * norm[j])  # [shift, i]
        for i in np.flatnonzero(np.isfinite(r).all(axis=0)):
            k = int(np.argmax(np.abs(r[:, i])))
            lags[i, j], correlations[i, j] = 1e3 * h * (shifts[k] + _vertex(np.abs(r[:, i]), k)), r[k, i]
    return lags * u.ms, correlations


def _vertex(values: np.ndarray, k: int) -> float:
    """Return where the parabola through three values is largest, from the middle one."""
    if not 0 < k < len(values) - 1:
        return 0.0
    before, at, after = values[k - 1 : k + 2]
    bend = before - 2 * at + after
    return 0.0 if bend == 0 else 0.5 * (before - after) / bend


def _cross(where, series, dt, band, nperseg, argument="series"):
    """Return cross-spectra, whose phases grow with the delay of the row; frequencies, segments, interval."""
    series = to_series(f"{where}.{argument}", series)
    length = samples(f"{where}.nperseg", nperseg, dt, minimum=4)
    n_segments = len(segment_starts(len(series), length))
    if n_segments < 2:
        rule, got = "must leave room for at least 2 segments", f"{length} of {len(series)} samples"
        raise ArgumentError(f"{where}.nperseg", rule, got)
    h = seconds(f"{where}.dt", dt)
    kept = kept_bins(where, length, dt, band)
    frequencies = jnp.asarray(np.fft.rfftfreq(length, h)[kept], series.dtype)
    return welch(series, length, pair_products)[kept], frequencies, n_segments, h


def _phase_weights(coherent):
    """Return the inverse variance of the phase for one segment, up to a factor of 2."""
    square = jnp.real(coherent) ** 2 + jnp.imag(coherent) ** 2
    return square / (jnp.maximum(1 - square, 0) + SATURATION)


def _best_lag(coherent, weights, f, h):
    """Return the lag in s, on a grid, at which the weighted cross-spectrum adds up best."""
    size2 = jnp.real(coherent) ** 2 + jnp.imag(coherent) ** 2
    units = weights * coherent / jnp.sqrt(jnp.where(size2 == 0, 1, size2))
    resolution = f[1] - f[0]
    n = 2 ** int(np.ceil(np.log2(16 * len(f))))  # 16 lags per resolvable one

    def of_target(row):  # [frequency, j]
        spectrum = jnp.zeros((n, row.shape[1]), row.dtype).at[: len(f)].set(row)
        size = jnp.abs(jnp.fft.fft(spectrum, axis=0))  # at lags k / (n resolution), which repeat
        k = jnp.argmax(size, axis=0)
        return jnp.where(k > n // 2, k - n, k)

    steps = jax.lax.map(of_target, jnp.moveaxis(units, 1, 0))
    return steps / (n * resolution)
