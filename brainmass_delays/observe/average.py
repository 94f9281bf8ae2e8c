"""Averages and picks: over time, over regions, and every so many steps."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_finite
from .._core.trees import select
from .monitor import Monitor, pick

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

    def transform(self, values: Any) -> Any:
        """Return what is kept of values of shape (..., n_nodes); by default all."""
        return values

    def init(self, value, dt):
        """Return a value of zeros."""
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), value)

    def update(self, state, value, i, dt):
        """Return the value."""
        return value

    def sample(self, state):
        """Return what is kept of the last value."""
        return self.transform(state)

    def advance(self, state, values, i, dt, n=None):
        """Transform the values of the emissions alone."""
        n_rows = jax.tree.leaves(values)[0].shape[0]
        kept, count = pick(self.schedule(dt), values, i, n_rows, n)
        last = jax.tree.map(lambda leaf: leaf[n_rows - 1 if n is None else jnp.maximum(n - 1, 0)], values)
        last = last if n is None else select(n > 0, last, state)
        return last, None if kept is None else self.transform(kept), count


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
    >>> means.to_decimal(u.mV).tolist()
    [2.0, 4.5, 7.0]
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

    def advance(self, state, values, i, dt, n=None):
        """Sum all windows of a stretch at once."""
        plan, rows = self.schedule(dt), jnp.arange(len(values))
        n = len(values) if n is None else n
        slots, before = plan.slots(len(values)), plan.count(i)
        window, used = plan.count(i + rows) - before, rows < n  # how many emissions there were before a row

        def summed(so_far, leaf):
            leaf = jnp.where(used.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0).astype(so_far.dtype)
            sums = jax.ops.segment_sum(leaf, window, slots + 1, indices_are_sorted=True)
            return sums.at[0].add(so_far)

        sums, counts = jax.tree.map(summed, state, (values, used.astype(jnp.int32)))
        count = plan.count(i + n) - before
        samples = None if not slots else sums[:slots] / _column(jnp.maximum(counts[:slots], 1), sums)
        return jax.tree.map(lambda leaf: leaf[count], (sums, counts)), samples, count


def _column(counts: Any, sums: Any) -> Any:
    """Return one number per window in a shape that divides sums of windows."""
    return counts.reshape(-1, *[1] * (sums.ndim - 1))


class GlobalAverage(SubSample):
    """Average over regions: one number per emission.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    period : Quantity, default 0 ms
        Time between emissions; 0: every value. For means over time too, write
        ``TemporalAverage(...) >> GlobalAverage()``.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import GlobalAverage, apply
    >>> ts, mean = apply(GlobalAverage(), jnp.array([[1.0, 3.0], [5.0, 7.0]]), dt=1 * u.ms)
    >>> mean.tolist()
    [2.0, 6.0]
    """

    def transform(self, values):
        """Return the mean over the last axis."""
        return u.math.mean(values, axis=-1)


class RegionAverage(SubSample):
    """Average over groups of nodes.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    masks : array_like, shape (n_groups, n_nodes)
        Which nodes belong to a group: booleans, or weights of at least 0, of which only the ratios count.
    period : Quantity, default 0 ms
        Time between emissions; 0: every value.

    Raises
    ------
    ArgumentError
        If a group is empty, a weight is negative, or the number of nodes differs.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import RegionAverage, apply
    >>> halves = RegionAverage(masks=[[1, 1, 0], [0, 0, 1]])
    >>> ts, means = apply(halves, jnp.array([[1.0, 3.0, 7.0]]), dt=1 * u.ms)
    >>> means.tolist()
    [[2.0, 7.0]]
    """

    def __init__(self, source: str | Callable | None = None, masks: Any = None, period: Any = EVERY_VALUE):
        super().__init__(source, period)
        try:
            masks = np.asarray([] if masks is None else masks, dtype=float)
        except (TypeError, ValueError):  # rows of different lengths, or no numbers
            masks = np.zeros(0)
        check_finite("RegionAverage.masks", masks)
        if masks.ndim != 2 or not masks.size:
            raise ArgumentError("RegionAverage.masks", "must have shape (n_groups, n_nodes)", masks.shape)
        totals = masks.sum(axis=1, keepdims=True)
        if masks.min() < 0 or not totals.all():
            fault = "a negative weight" if masks.min() < 0 else f"none in group {int(np.argmin(totals))}"
            raise ArgumentError("RegionAverage.masks", "must hold at least one node per group", fault)
        self.weights = masks / totals

    def transform(self, values):
        """Return the weighted means over the last axis."""
        n_nodes = self.weights.shape[1]
        if values.shape[-1] != n_nodes:
            raise ArgumentError("RegionAverage.masks", f"must be of {values.shape[-1]} nodes", n_nodes)
        return values @ jnp.asarray(self.weights.T, u.get_magnitude(values).dtype)
