"""Delayed match: is the second of two bursts, a gap apart, from the same fibers as the first?"""

from dataclasses import dataclass, field
from typing import Any

import brainunit as u
import numpy as np

from ..._core.arguments import time
from ..._core.checks import ArgumentError, check_count
from ..._core.units import magnitude
from ..arguments import is_seed
from ..grid import steps_at_least
from .trials import Trials

ONSETS = 10  # the first burst starts at one of so many steps, so that no absolute time helps


@dataclass(frozen=True)
class DelayedMatchTask:
    """Describe the task of comparing two bursts.

    One of ``n_symbols`` groups of fibers fires a burst; after a gap, one group, the same in half of the
    trials, fires another. All fibers fire at random besides. The label is 1 for a match.

    Parameters
    ----------
    dt : Quantity[time], default 1 ms
    n_symbols, n_fibers : int, default 4 and 5
        Groups, and fibers per group; there are ``n_symbols * n_fibers`` channels.
    burst, gap, response : Quantity[time], default 4, 20 and 12 ms
        Length of each burst, time from the end of the first to the start of the second, and time after it.
    burst_rate, noise_rate : Quantity[1/time], default 500 and 10 Hz
        In a burst, and always; at most one spike per ``dt``.

    Notes
    -----
    The counts of spikes say nothing about the label: the second burst carries the first one's symbol as often
    as it would by a rule that ignores it. A network must hold the first burst over the gap.

    Examples
    --------
    >>> from brainmass_delays.spiking.tasks import DelayedMatchTask
    >>> trials = DelayedMatchTask().generate(3, seed=0)
    >>> trials.spikes.shape, trials.label.shape
    ((3, 50, 20), (3,))
    """

    dt: Any = field(default_factory=lambda: 1 * u.ms)
    n_symbols: int = 4
    n_fibers: int = 5
    burst: Any = field(default_factory=lambda: 4 * u.ms)
    gap: Any = field(default_factory=lambda: 20 * u.ms)
    response: Any = field(default_factory=lambda: 12 * u.ms)
    burst_rate: Any = field(default_factory=lambda: 500 * u.Hz)
    noise_rate: Any = field(default_factory=lambda: 10 * u.Hz)

    n_classes = 2
    max_delay = 40 * u.ms

    def __post_init__(self):
        time("DelayedMatchTask.dt", self.dt)
        check_count("DelayedMatchTask.n_symbols", self.n_symbols, 2)
        check_count("DelayedMatchTask.n_fibers", self.n_fibers)
        for name in ("burst", "gap", "response"):
            self._steps(name)
        for name in ("burst_rate", "noise_rate"):
            if not 0 <= self._probability(name) <= 1:
                raise ArgumentError(
                    f"DelayedMatchTask.{name}", "must lie between 0 and one spike per dt", getattr(self, name)
                )

    @property
    def n_channels(self) -> int:
        """Number of fibers."""
        return self.n_symbols * self.n_fibers

    @property
    def n_steps(self) -> int:
        """Steps per trial."""
        return ONSETS + 2 * self._steps("burst") + self._steps("gap") + self._steps("response")

    def generate(self, n_trials: int, seed: int | np.random.Generator) -> Trials:
        """Draw ``n_trials`` trials, half of them matches up to one."""
        is_seed("DelayedMatchTask.seed", seed)
        rng = np.random.default_rng(seed)
        n_trials = check_count("DelayedMatchTask.n_trials", n_trials)
        label = rng.permutation(np.arange(n_trials) % 2)
        first = rng.integers(self.n_symbols, size=n_trials)
        second = (first + np.where(label, 0, rng.integers(1, self.n_symbols, size=n_trials))) % self.n_symbols
        burst, gap = self._steps("burst"), self._steps("gap")
        onset = rng.integers(ONSETS, size=n_trials)
        probability = np.full((n_trials, self.n_steps, self.n_channels), self._probability("noise_rate"))
        step, group = np.arange(self.n_steps)[:, None], np.arange(self.n_channels) // self.n_fibers
        for start, symbol in ((onset, first), (onset + burst + gap, second)):
            late = step - start[:, None, None]
            on = (late >= 0) & (late < burst) & (group == symbol[:, None, None])
            probability[on] = self._probability("burst_rate")
        return Trials(rng.random(probability.shape) < probability, label)

    def datasets(self, seed: int) -> tuple[Trials, Trials]:
        """Draw 1024 trials to train on and 1024 to test on."""
        return self.generate(1024, [seed, 0]), self.generate(1024, [seed, 1])

    def _steps(self, name):
        return steps_at_least(f"DelayedMatchTask.{name}", getattr(self, name), self.dt, 1)

    def _probability(self, name):
        where, rate = f"DelayedMatchTask.{name}", getattr(self, name)
        magnitude(where, rate, u.Hz, plain=False)
        return float(magnitude(where, rate * self.dt, u.UNITLESS))
