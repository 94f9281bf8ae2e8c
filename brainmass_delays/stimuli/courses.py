"""Stimuli that last: sines, data, and fluctuations of a given spectrum."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_choice, check_count
from .._core.param import value_of
from .._core.units import magnitude
from .stimulus import Stimulus, as_array

OUTSIDE = ("hold", "zero")


class Sine(Stimulus):
    r"""Oscillate: :math:`A \sin(2 \pi f t + \varphi)`.

    Parameters
    ----------
    amplitude : float, array_like, Quantity or Param
        Amplitude A.
    frequency : Quantity or Param
        Frequency f; a plain number means Hz.
    phase : float, array_like or Param, default 0
        Phase in rad at the time 0.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> round(float(stimuli.Sine(2.0, 10 * u.Hz)(25 * u.ms)), 6)
    2.0
    """

    def __init__(self, amplitude: Any, frequency: Any, phase: Any = 0.0):
        numbers(unit=u.UNITLESS)(self._where("phase"), value_of(phase))
        super().__init__(amplitude=amplitude, frequency=frequency, phase=phase)
        self._hertz()

    def value(self, t):
        """Return the oscillation."""
        return self.amplitude.value() * jnp.sin(2e-3 * np.pi * self._hertz() * t + self.phase.value())

    def _hertz(self):
        """Return the frequency in Hz."""
        return magnitude(self._where("frequency"), self.frequency.value(), u.Hz)


class Data(Stimulus):
    """Interpolate given values linearly in time.

    Parameters
    ----------
    values : array_like, Quantity or Param, shape (n_times, ...)
        Values, for instance of ``braintools.input``, or one column per region; a ``Param`` is trained.
    times : Quantity or array_like, shape (n_times,)
        Ascending times; plain numbers mean ms. For samples every ``dt`` give ``dt * numpy.arange(n)``.
    outside : {'hold', 'zero'}, default 'hold'
        Value before the first and after the last time: the nearest one, or 0.

    Raises
    ------
    ArgumentError
        If there are fewer than two times, they do not ascend, or their number is not that of the values.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> data = stimuli.Data([0.0, 4.0, 2.0], [0.0, 10.0, 20.0] * u.ms)
    >>> [float(data(t)) for t in (5.0, 15.0, 99.0)]
    [2.0, 3.0, 2.0]
    """

    def __init__(self, values: Any, times: Any, outside: str = "hold"):
        numbers(axes=(1, 3))(self._where("values"), value_of(values))
        super().__init__(values=values)
        self.outside = check_choice(self._where("outside"), outside, OUTSIDE)
        where = self._where("times")
        numbers(unit=u.ms, traced=False)(where, times)
        self.times = np.asarray(magnitude(where, as_array(where, times), u.ms))
        n = len(u.get_mantissa(self.values.value()))
        if self.times.ndim == 1 and self.times.size > 1 and n != self.times.size:
            rule = f"must have one row per time, {self.times.size}"
            raise ArgumentError(self._where("values"), rule, f"{n}")
        if self.times.shape != (n,) or n < 2 or not np.all(np.diff(self.times) > 0):
            rule = f"must be at least two ascending times, one per value ({n})"
            raise ArgumentError(self._where("times"), rule, f"shape {self.times.shape}")

    def value(self, t):
        """Return the interpolated value."""
        values = self.values.value()
        times, number = jnp.asarray(self.times), jnp.asarray(u.get_mantissa(values))
        left = jnp.clip(jnp.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        share = jnp.clip((t - times[left]) / (times[left + 1] - times[left]), 0.0, 1.0)
        found = number[left] * (1 - share) + number[left + 1] * share
        if self.outside == "zero":
            found = jnp.where((t >= times[0]) & (t <= times[-1]), found, 0.0)
        unit = u.get_unit(values)
        return found if unit.is_unitless else u.Quantity(found, unit=unit)


class BandNoise(Stimulus):
    """Fluctuate with a flat spectrum between two frequencies: the same waves for the same seed.

    Parameters
    ----------
    sigma : float, array_like, Quantity or Param
        Standard deviation.
    band : tuple of Quantity or float
        Lowest and highest frequency; plain numbers mean Hz.
    n_regions : int, optional
        Draw independent waves for every region; one for all if not given.
    n_waves : int, default 64
        Number of waves, at random frequencies in equal parts of the band.
    seed : int, default 0
        Seed of frequencies and phases.

    Notes
    -----
    A pure function of time, unlike the noise of a node: the same at any step size, and smooth. The gradient
    in ``sigma`` is exact. It repeats no earlier than after ``n_waves`` over the width of the band.

    References
    ----------
    Shinozuka, M., Deodatis, G. (1991). Simulation of stochastic processes by spectral representation. Applied
    Mechanics Reviews 44, 191-204.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> stimuli.BandNoise(0.5, (1 * u.Hz, 30 * u.Hz), n_regions=4)(12 * u.ms).shape
    (4,)
    """

    def __init__(
        self, sigma: Any, band: Sequence[Any], n_regions: int | None = None, n_waves: int = 64, seed: int = 0
    ):
        super().__init__(sigma=sigma)
        is_array = isinstance(band, np.ndarray | u.Quantity) and band.shape == (2,)
        if not is_array and not (isinstance(band, tuple | list) and len(band) == 2):
            raise ArgumentError(self._where("band"), "must be a pair of frequencies", repr(band))
        seed = check_count(self._where("seed"), seed, 0)
        low, high = (float(magnitude(self._where("band"), f, u.Hz)) for f in band)
        if not 0 <= low < high < np.inf:
            raise ArgumentError(self._where("band"), "must be two ascending frequencies", (low, high))
        n_waves = check_count(self._where("n_waves"), n_waves)
        shape = () if n_regions is None else (check_count(self._where("n_regions"), n_regions),)
        size = u.math.shape(self.sigma.value())
        if shape and size and size[-1] not in (1, *shape):
            raise ArgumentError(self._where("sigma"), f"must be one number or one per region, {shape}", size)
        rng = np.random.default_rng(seed)
        parts = (np.arange(n_waves) + rng.uniform(size=(*shape, n_waves))) / n_waves
        self.radians = 2e-3 * np.pi * (low + (high - low) * parts)
        self.phases = rng.uniform(0, 2 * np.pi, (*shape, n_waves))

    def value(self, t):
        """Return the sum of the waves."""
        waves = jnp.sin(jnp.asarray(self.radians) * t + jnp.asarray(self.phases))
        return self.sigma.value() * jnp.sum(waves, axis=-1) * np.sqrt(2 / self.radians.shape[-1])
