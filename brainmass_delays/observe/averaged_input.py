"""Monitors with a step of their own: what comes in faster is averaged to it first."""

from typing import Any

import brainunit as u

from .._core.checks import ArgumentError
from .average import TemporalAverage
from .monitor import Monitor, check_period
from .schedule import NEVER, Nested


class InterimMonitor(Monitor):
    """Average the values over ``step`` and advance by these means; a subclass defines the rest.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    period : Quantity or None
        Time between emissions.
    step : Quantity
        Length of the interim windows. Values that come at longer intervals are taken as they are.
    """

    def __init__(self, source: Any, period: Any, step: Any):
        super().__init__(source, period)
        if step is None:
            raise ArgumentError(f"{type(self).__name__}.step", "must be a time", "None")
        self.step = check_period(f"{type(self).__name__}.step", step)

    def start(self, value: Any, dt: u.Quantity) -> Any:
        """Return the state before the first mean; ``dt`` is the interval of the means."""
        raise NotImplementedError

    def advance_means(self, state: Any, means: Any, i: Any, dt: u.Quantity, n: Any) -> tuple[Any, Any, Any]:
        """Do what `Monitor.advance` does, for means that come at the interval ``dt``."""
        raise NotImplementedError

    def emit(self, state: Any) -> Any:
        """Return what is emitted in this state."""
        raise NotImplementedError

    def init(self, value, dt):
        """Return the states of the means and of what follows."""
        mean = self._mean(dt)
        return mean.init(value, dt), self.start(value, mean.interval(dt))

    def sample(self, state):
        """Return what is emitted."""
        return self.emit(state[1])

    def schedule(self, dt):
        """Return at which of the incoming values there is an emission."""
        mean = self._mean(dt)
        outer = super().schedule(mean.interval(dt))
        return NEVER if outer is NEVER else Nested(mean.schedule(dt), outer)

    def advance(self, state, values, i, dt, n=None):
        """Average, then advance by the means."""
        mean = self._mean(dt)
        first, means, count = mean.advance(state[0], values, i, dt, n)
        done = mean.schedule(dt).count(i)
        second, samples, n_samples = self.advance_means(state[1], means, done, mean.interval(dt), count)
        return (first, second), samples, n_samples

    def _mean(self, dt):
        """Return the average over one step, or over one value if those come more slowly."""
        longer = self.step.to_decimal(u.ms) > dt.to_decimal(u.ms)
        return TemporalAverage(period=self.step if longer else 0 * u.ms)
