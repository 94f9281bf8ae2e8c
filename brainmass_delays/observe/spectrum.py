"""Running power and cross-spectra by Welch's method, without keeping more than one segment."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import time
from .._core.checks import check_count
from .._core.units import with_unit_of_power
from .average import zeros_like
from .monitor import Monitor
from .schedule import NEVER


class Spectrum(Monitor):
    """Average the power spectral densities of half-overlapping segments, by Welch's method.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    nperseg : int
        Values per segment (Hann window, half overlap, mean removed). The resolution is their rate over this.
    period : Quantity, optional
        Emit the average so far every so often. By default once, at the end.

    Raises
    ------
    ArgumentError
        If ``nperseg`` is no whole number of at least 2.

    Notes
    -----
    Emitted ``(n_frequencies, ..., n_nodes)``: one-sided density at `frequencies`, in the squared unit per Hz,
    equal to that of `scipy.signal.welch`. Before the first whole segment it is NaN. A segment starts with
    every ``nperseg - nperseg // 2`` values, the first with the first value. Average activity of 0.1 ms to 1
    or 2 ms first: ``TemporalAverage('x', 2 * u.ms) >> Spectrum(nperseg=1000)``.

    References
    ----------
    Welch, P. D. (1967). The use of fast Fourier transform for the estimation of power spectra. IEEE
    Transactions on Audio and Electroacoustics 15, 70-73.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import Spectrum, apply
    >>> monitor, dt = Spectrum(nperseg=500), 1 * u.ms
    >>> ts, power = apply(monitor, jnp.sin(2 * jnp.pi * 40e-3 * jnp.arange(2000.0))[:, None], dt)
    >>> int(monitor.frequencies(dt)[power[:, 0].argmax()] / u.Hz)
    40
    """

    def __init__(self, source: str | Callable | None = None, nperseg: int = 256, period: Any = None):
        super().__init__(source, period)
        self.nperseg = check_count(f"{type(self).__name__}.nperseg", nperseg, minimum=2)

    def frequencies(self, dt: Any) -> u.Quantity:
        """Return the frequencies of the emissions, for values at the interval ``dt``, in Hz."""
        time(f"{type(self).__name__}.frequencies.dt", dt)
        return np.fft.rfftfreq(self.nperseg, dt.to_decimal(u.second)) * u.Hz

    def init(self, value, dt):
        """Return the last values, how many there were, the number of segments, and their mean density."""
        zero = zeros_like(value)
        ring = jax.tree.map(lambda z: jnp.zeros((self.nperseg, *z.shape), z.dtype), zero)
        density = jax.eval_shape(lambda x: self._density(x, dt), ring)
        return ring, jnp.int32(0), jnp.int32(0), jax.tree.map(lambda d: jnp.zeros(d.shape, d.dtype), density)

    def update(self, state, value, i, dt):
        """Take one value."""
        return self._take(state, value[None], 1, dt)

    def sample(self, state):
        """Return the mean density so far."""
        _, _, count, total = state
        mean = total / jnp.maximum(count, 1)
        return u.math.where(count > 0, mean, jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), mean))

    def advance(self, state, values, i, dt, n=None):
        """Take a whole stretch at once, or value by value if spectra are emitted on the way."""
        if self.schedule(dt) is not NEVER:
            return super().advance(state, values, i, dt, n)
        return self._take(state, values, len(values) if n is None else n, dt), None, 0

    def _take(self, state, values, n, dt):
        """Add the segments that end in a stretch of which the first ``n`` values count."""
        ring, seen, count, total = state
        n_rows, hop = len(values), self.nperseg - self.nperseg // 2
        buffer = u.math.concatenate([ring, values])
        # The m-th segment ends after nperseg + m hop values.
        first = jnp.maximum(0, -(-(seen + 1 - self.nperseg) // hop))
        ends = self.nperseg + (first + np.arange(1 + (n_rows - 1) // hop)) * hop
        valid = ends <= seen + n

        def add(total, segment):
            end, valid = segment
            # row of the buffer that follows the last value of the segment, and then its first row
            start = jnp.clip(end - seen, 0, n_rows)
            window = jax.tree.map(lambda b: jax.lax.dynamic_slice_in_dim(b, start, self.nperseg), buffer)
            density = self._density(window, dt)
            return total + u.math.where(valid, density, jax.tree.map(jnp.zeros_like, density)), None

        total, _ = jax.lax.scan(jax.checkpoint(add), total, (ends, valid))
        ring = jax.tree.map(lambda b: jax.lax.dynamic_slice_in_dim(b, n, self.nperseg), buffer)
        return ring, seen + n, count + jnp.sum(valid, dtype=jnp.int32), total

    def _density(self, segment, dt):
        """Return the one-sided density of one segment, (n_frequencies, ...)."""
        transform = self._transform(u.get_magnitude(segment), dt)
        return with_unit_of_power(jnp.real(transform) ** 2 + jnp.imag(transform) ** 2, segment)

    def _transform(self, segment, dt):
        """Return the Fourier transform whose squared size is the one-sided density per Hz."""
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.nperseg) / self.nperseg)
        sides = np.full(self.nperseg // 2 + 1, 2.0)
        sides[0] = 1
        if self.nperseg % 2 == 0:
            sides[-1] = 1
        scale = np.sqrt(sides * dt.to_decimal(u.second) / np.sum(window**2))
        window, scale = (v.reshape(-1, *[1] * (segment.ndim - 1)) for v in (window, scale))
        centered = segment - jnp.mean(segment, axis=0)
        return jnp.fft.rfft(centered * window.astype(segment.dtype), axis=0) * scale.astype(segment.dtype)


class CrossSpectrum(Spectrum):
    """Average the cross-spectral densities of all pairs of regions, by Welch's method.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    nperseg : int
        Values per segment, as in `Spectrum`.
    period : Quantity, optional
        Emit the average so far every so often. By default once, at the end.

    Raises
    ------
    ArgumentError
        If ``nperseg`` is no whole number of at least 2.

    Notes
    -----
    Emitted ``(n_frequencies, ..., n_nodes, n_nodes)``, complex: entry ``[f, ..., i, j]`` is the mean of
    ``conj(X_i) X_j``, as `scipy.signal.csd` of (x_i, x_j): its phase is negative where j follows i. Memory:
    n_frequencies * n_nodes**2 complex numbers.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import CrossSpectrum, apply
    >>> x = jnp.sin(0.3 * jnp.arange(1000.0)[:, None] + jnp.array([0.0, -0.5]))
    >>> ts, cross = apply(CrossSpectrum(nperseg=200), x, 1 * u.ms)
    >>> round(float(jnp.angle(cross[jnp.abs(cross[:, 0, 1]).argmax(), 0, 1])), 2)
    -0.5
    """

    def _density(self, segment, dt):
        """Return the one-sided cross-spectral density of one segment, (n_frequencies, ..., n, n)."""
        transform = self._transform(u.get_magnitude(segment), dt)
        return with_unit_of_power(jnp.conj(transform)[..., :, None] * transform[..., None, :], segment)
