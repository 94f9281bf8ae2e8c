"""Averages and picks: over time, over regions, and every so many steps."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from .monitor import Monitor

EVERY_VALUE = 0 * u.ms


def zeros_like(value: Any) -> Any:
    """Return zeros of a floating dtype with the shape and unit of a value."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.result_type(leaf.dtype, jnp.float32)), value)


class SubSample(Monitor):
    """Keep the value of every emission.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    period : Quantity
        Time between kept values.

    Raises
    ------
    ArgumentError
        See `Monitor`.

    Notes
    -----
    What lies above half the rate of emission folds back to lower frequencies: use `TemporalAverage` unless
    the values are slow.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import SubSample, apply
    >>> ts, kept = apply(SubSample(period=2.5 * u.ms), jnp.arange(1.0, 9.0), dt=1 * u.ms)
    >>> kept.tolist()
    [3.0, 5.0, 8.0]
    """

    def __init__(self, source: str | Callable | None = None, period: Any = EVERY_VALUE):
        super().__init__(source, period)

    def init(self, value, dt):
        """Return a value of zeros."""
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), value)

    def update(self, state, value, i, dt):
        """Return the value."""
        return value

    def sample(self, state):
        """Return the last value."""
        return state


class TemporalAverage(Monitor):
    """Average the values since the last emission: an exact mean, however many they are.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    period : Quantity or None
        Time between emissions, which is the length of the windows to the nearest step. None: the mean of the
        whole run.

    Raises
    ------
    ArgumentError
        See `Monitor`.

    Notes
    -----
    The mean holds the value after each step; its time is the end of the window, half a period after the
    middle.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import TemporalAverage, apply
    >>> ts, means = apply(TemporalAverage('x', 2.5 * u.ms), jnp.arange(1.0, 9.0) * u.mV, dt=1 * u.ms)
    >>> means
    [2. 4.5 7.] mV
    """

    def __init__(self, source: str | Callable | None = None, period: Any = None):
        super().__init__(source, period)

    def init(self, value, dt):
        """Return an empty sum and its count."""
        return zeros_like(value), jnp.int32(0)

    def update(self, state, value, i, dt):
        """Add one value."""
        return state[0] + value, state[1] + 1

    def sample(self, state):
        """Return the mean."""
        return state[0] / state[1]

    def reset(self, state):
        """Begin a new window."""
        return jax.tree.map(jnp.zeros_like, state)
