"""Noise of a given spectrum."""

from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_count, check_finite
from .._core.units import magnitude
from .base import Noise


class ColoredNoise(Noise):
    r"""Drive a state with Gaussian noise of a given spectrum.

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    frequencies : array_like or Quantity, shape (n_frequencies,)
        Ascending frequencies; plain numbers mean Hz.
    density : array_like, shape (n_frequencies,)
        Power at these frequencies up to a factor, linear in between and none outside.
    sigma : float, array_like, Quantity or Param
        Standard deviation, scalar or of shape ``in_size``, in the unit of the input.
    n_waves : int, default 200
        Number of waves that make up the noise of a region.

    Raises
    ------
    ArgumentError
        If frequencies do not ascend, the density is negative or zero everywhere, or ``sigma`` has another
        shape.

    Notes
    -----
    A sum of waves whose frequencies are drawn from the spectrum, one in each of ``n_waves`` parts of equal
    power, with random phases (drawn by ``init_all_states``). The spectrum is right for any number of waves;
    the distribution of values tends to a normal one with their number. The noise is smooth: its methods keep
    their order. In brainmass, ``ColoredNoise(beta=...)`` shapes every sample over the regions and not over
    time.

    References
    ----------
    Shinozuka, M., Deodatis, G. (1991). Simulation of stochastic processes by spectral representation. Applied
    Mechanics Reviews 44, 191-204.

    Examples
    --------
    A spectrum of 1/f between 1 and 100 Hz:

    >>> import brainstate
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays.noise import ColoredNoise
    >>> f = np.linspace(1, 100, 200)
    >>> noise = ColoredNoise(3, f * u.Hz, 1 / f, sigma=0.5)
    >>> _ = brainstate.nn.init_all_states(noise)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     noise().shape
    (3,)
    """

    def __init__(self, in_size: Any, frequencies: Any, density: Any, sigma: Any, n_waves: int = 200):
        super().__init__(in_size, sigma=sigma)
        numbers(unit=u.Hz, traced=False)(self._where("frequencies"), frequencies)
        f = np.asarray(magnitude(self._where("frequencies"), frequencies, u.Hz), float)
        power = check_finite(self._where("density"), density).astype(float)
        if f.ndim != 1 or len(f) < 2 or f[0] < 0 or not np.all(np.diff(f) > 0):
            raise ArgumentError(self._where("frequencies"), "must be at least two ascending frequencies", f)
        if power.shape != f.shape or np.any(power < 0) or not np.any(power > 0):
            rule = f"must be one number per frequency {f.shape}, not negative and not all zero"
            raise ArgumentError(self._where("density"), rule, power)
        self.n_waves = check_count(self._where("n_waves"), n_waves)
        # The quantiles of the spectrum, on a grid fine enough for a density that is linear in between.
        grid = np.linspace(f[0], f[-1], 20 * len(f) + 1)
        cumulated = np.concatenate([[0.0], np.cumsum(np.interp((grid[1:] + grid[:-1]) / 2, f, power))])
        self.quantiles, self.grid = cumulated / cumulated[-1], 2e-3 * np.pi * grid

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Draw frequencies and phases."""
        super().init_state(batch_size)
        shape = (*self.shape, self.n_waves)
        part = (jnp.arange(self.n_waves) + brainstate.random.uniform(size=shape)) / self.n_waves
        self.radians = brainstate.HiddenState(jnp.interp(part, self.quantiles, self.grid))
        self.phases = brainstate.HiddenState(2 * jnp.pi * brainstate.random.uniform(size=shape))

    def update(self):
        """Return the drive of the coming step, shape ``(..., *in_size)``, and turn all waves by one step."""
        phases = self.phases.value
        self.phases.value = phases + self.radians.value * self._step_ms()
        return self.sigma.value() * (jnp.sum(jnp.sin(phases), axis=-1) * np.sqrt(2 / self.n_waves))
