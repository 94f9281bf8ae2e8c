"""Stimuli that begin and end: pulses, trains of pulses, ramps, and the response of a synapse."""

from typing import Any

import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.status import is_traced
from .stimulus import Stimulus


class Pulse(Stimulus):
    """Switch on at ``onset`` and off after ``width``, with smooth edges.

    Parameters
    ----------
    amplitude : float, array_like, Quantity or Param
        Height.
    onset, width : Quantity, float or Param
        Middle of the rising edge, and time from there to the middle of the falling one.
    edge : Quantity, float or Param, default 0 ms
        Duration of either edge, a polynomial of degree 5 with two continuous derivatives; 0 is a jump.

    Raises
    ------
    ArgumentError
        If the width is not positive, the edge is negative or longer than the width, or a time is to be
        trained without an edge.

    Notes
    -----
    The gradient in ``onset`` and ``width`` is exact; it is zero at times outside the edges. A jump costs any
    method its order in the step that contains it, unless it falls on a step.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> pulse = stimuli.Pulse(2.0 * u.nA, onset=10 * u.ms, width=5 * u.ms, edge=2 * u.ms)
    >>> [round(float(pulse(t).mantissa), 3) for t in (8.0, 10.0, 12.0, 15.0, 20.0)]
    [0.0, 1.0, 2.0, 1.0, 0.0]
    """

    def __init__(self, amplitude: Any, onset: Any, width: Any, edge: Any = 0.0 * u.ms):
        super().__init__(amplitude=amplitude, onset=onset, width=width, edge=edge)
        self._ms("onset")
        self._check_positive("width")
        self._check_positive("edge", zero=True)
        edge, width = self._ms("edge"), self._ms("width")
        self._jumps = not is_traced(edge) and not np.any(edge > 0) and not getattr(self.edge, "fit", False)
        if self._jumps:
            self._refuse_training("onset", "width")
        elif not is_traced((edge, width)) and np.any(edge > width):
            raise ArgumentError(self._where("edge"), "must not be longer than the width", np.max(edge))

    def value(self, t):
        """Return the height of the pulse."""
        return self.amplitude.value() * self._shape(t - self._ms("onset"))

    def _shape(self, since):
        """Return the shape, from 0 to 1, at a time since the onset in ms."""
        if self._jumps:
            return jnp.where((since >= 0) & (since < self._ms("width")), 1.0, 0.0)
        edge = self._ms("edge")
        return _smooth_step(since / edge) - _smooth_step((since - self._ms("width")) / edge)


class PulseTrain(Pulse):
    """Repeat a pulse every ``period``.

    Parameters
    ----------
    amplitude, onset, width, edge
        As in `Pulse`.
    period : Quantity, float or Param
        Time from onset to onset, at least ``width`` and ``edge`` together.
    count : int, optional
        Number of pulses; without end if not given.

    Raises
    ------
    ArgumentError
        As `Pulse`, and if the period is too short.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> train = stimuli.PulseTrain(1.0, onset=10 * u.ms, width=5 * u.ms, period=20 * u.ms, count=2)
    >>> [float(train(t)) for t in (5.0, 12.0, 20.0, 32.0, 52.0)]
    [0.0, 1.0, 0.0, 1.0, 0.0]
    """

    def __init__(
        self,
        amplitude: Any,
        onset: Any,
        width: Any,
        period: Any,
        count: int | None = None,
        edge: Any = 0.0 * u.ms,
    ):
        super().__init__(amplitude, onset, width, edge)
        self._set("period", period)
        self._check_positive("period")
        self.count = None if count is None else check_count(self._where("count"), count)
        period, busy = self._ms("period"), self._ms("width") + self._ms("edge")
        if not is_traced((period, busy)) and np.any(period < busy):
            rule = "must be at least the width and the edge together"
            raise ArgumentError(self._where("period"), rule, np.min(period))
        if self._jumps:
            self._refuse_training("period")

    def value(self, t):
        """Return the height of the train."""
        since, period = t - self._ms("onset"), self._ms("period")
        # Half an edge precedes its onset: the pulse at hand is the last that has begun to rise.
        n = jnp.floor((since + self._ms("edge") / 2) / period)
        n = jnp.maximum(n, 0) if self.count is None else jnp.clip(n, 0, self.count - 1)
        return self.amplitude.value() * self._shape(since - n * period)


class Ramp(Stimulus):
    """Go from 0 to ``amplitude`` in a straight line, and stay there.

    Parameters
    ----------
    amplitude : float, array_like, Quantity or Param
        Final value.
    onset, duration : Quantity, float or Param
        Begin, and how long the rise takes.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> ramp = stimuli.Ramp(3.0, onset=10 * u.ms, duration=30 * u.ms)
    >>> [float(ramp(t)) for t in (0.0, 20.0, 100.0)]
    [0.0, 1.0, 3.0]
    """

    def __init__(self, amplitude: Any, onset: Any, duration: Any):
        super().__init__(amplitude=amplitude, onset=onset, duration=duration)
        self._ms("onset")
        self._check_positive("duration")

    def value(self, t):
        """Return the height of the ramp."""
        share = (t - self._ms("onset")) / self._ms("duration")
        # Not jnp.clip, which halves the gradient at the corners.
        return self.amplitude.value() * jnp.where(share < 0, 0.0, jnp.where(share < 1, share, 1.0))


class Alpha(Stimulus):
    r"""Rise and decay like a synapse: :math:`A x e^{1 - x}` with :math:`x = (t - t_0) / \tau`, 0 before.

    Parameters
    ----------
    amplitude : float, array_like, Quantity or Param
        Height A of the peak, reached at :math:`t_0 + \tau`.
    onset, tau : Quantity, float or Param
        Begin :math:`t_0` and time to the peak.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import stimuli
    >>> alpha = stimuli.Alpha(2.0, onset=10 * u.ms, tau=5 * u.ms)
    >>> [round(float(alpha(t)), 3) for t in (10.0, 15.0, 100.0)]
    [0.0, 2.0, 0.0]
    """

    def __init__(self, amplitude: Any, onset: Any, tau: Any):
        super().__init__(amplitude=amplitude, onset=onset, tau=tau)
        self._ms("onset")
        self._check_positive("tau")

    def value(self, t):
        """Return the height of the response."""
        x = (t - self._ms("onset")) / self._ms("tau")
        after = jnp.where(x > 0, x, 0.0)
        return self.amplitude.value() * after * jnp.exp(1 - after)


def _smooth_step(x):
    """Return the step from 0 to 1 between -1/2 and 1/2 with two continuous derivatives."""
    s = jnp.clip(x + 0.5, 0.0, 1.0)  # its slope is 0 at the ends, so that the clip halves nothing
    return s**3 * (10 - 15 * s + 6 * s**2)
