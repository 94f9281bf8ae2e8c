"""Sound localization from two ears: Poisson-like spikes whose phase difference is the direction."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import brainunit as u
import numpy as np

from ..._core.arguments import numbers, time
from ..._core.checks import ArgumentError, check_choice, check_count, check_positive
from ..._core.units import magnitude
from ..arguments import are_labels, is_seed
from ..grid import steps_at_least

ANGLES = numbers(unit=u.UNITLESS, finite=True, low=-np.pi / 2, high=np.pi / 2)
PHASES = ("sample", "call")


class Trials(NamedTuple):
    """Hold generated trials.

    ``spikes`` ``(trial, time, channel)``, bool, the left ear's fibers first; ``angle`` ``(trial,)``, the
    phase lead of the right ear in radians; ``label`` ``(trial,)``, its class.
    """

    spikes: np.ndarray
    angle: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class LocalizationTask:
    """Describe the task of telling the phase difference between two ears.

    A pure tone drives the nerve fibers of both ears. Fiber ``j`` spikes at time ``t`` with probability
    ``peak_rate * dt * ((1 + sin(theta)) / 2) ** power``, where
    ``theta = 2 pi (frequency * t + start) + psi_j``, plus the angle in the right ear.

    Parameters
    ----------
    dt : Quantity[time], default 1 ms
    duration : Quantity[time], default 150 ms
    frequency, peak_rate : Quantity[1/time], default 20 Hz and 600 Hz
    power : float, default 2
        Sharpness of the envelope.
    n_fibers : int, default 100
        Fibers per ear; there are ``2 * n_fibers`` channels.
    n_classes : int, default 12
        Classes of equal width over angles of -pi/2 to pi/2.
    phase : {'sample', 'call'}, default 'sample'
        ``sample`` draws a start phase for each trial. ``call`` draws one for all trials of a call, as the
        published notebook does: then the absolute phase of one ear gives the answer away, and scores do not
        carry over to new calls.
    phase_delays : bool, default False
        Give the fibers of both ears hand-made phases ``psi_j`` from 0 to pi/2, else 0.

    References
    ----------
    Ghosh et al. (2025): Spiking neural network models of interaural time difference extraction via a
    massively collaborative process. eNeuro 12(7).

    Examples
    --------
    >>> from brainmass_delays.spiking.localization import LocalizationTask
    >>> trials = LocalizationTask().generate(3, seed=0)
    >>> trials.spikes.shape, trials.label.shape
    ((3, 150, 200), (3,))
    """

    dt: Any = field(default_factory=lambda: 1 * u.ms)
    duration: Any = field(default_factory=lambda: 150 * u.ms)
    frequency: Any = field(default_factory=lambda: 20 * u.Hz)
    peak_rate: Any = field(default_factory=lambda: 600 * u.Hz)
    power: float = 2.0
    n_fibers: int = 100
    n_classes: int = 12
    phase: str = "sample"
    phase_delays: bool = False

    def __post_init__(self):
        time("LocalizationTask.dt", self.dt)
        check_choice("LocalizationTask.phase", self.phase, PHASES)
        check_count("LocalizationTask.n_fibers", self.n_fibers)
        check_count("LocalizationTask.n_classes", self.n_classes, 2)
        check_positive("LocalizationTask.power", self.power)
        for name in ("frequency", "peak_rate"):
            check_positive(
                f"LocalizationTask.{name}",
                magnitude(f"LocalizationTask.{name}", getattr(self, name), u.Hz, plain=False),
            )
        steps_at_least("LocalizationTask.duration", self.duration, self.dt, 1)
        if self.peak_probability > 1:
            raise ArgumentError(
                "LocalizationTask.peak_rate", "must be at most one spike per dt", self.peak_rate
            )

    @property
    def n_steps(self) -> int:
        """Steps per trial."""
        return steps_at_least("LocalizationTask.duration", self.duration, self.dt, 1)

    @property
    def n_channels(self) -> int:
        """Input channels of both ears."""
        return 2 * self.n_fibers

    @property
    def peak_probability(self) -> float:
        """Spike probability per step at the peak of the envelope."""
        return float(magnitude("LocalizationTask.peak_rate", self.peak_rate * self.dt, u.UNITLESS))

    def spike_probability(self, phase: np.ndarray) -> np.ndarray:
        """Return the spike probability of one ear, ``(..., time, fiber)``, at start ``phase`` in radians."""
        cycles = float(
            magnitude("LocalizationTask.frequency", self.frequency * self.dt, u.UNITLESS)
        ) * np.arange(self.n_steps)
        psi = np.linspace(0, np.pi / 2, self.n_fibers) if self.phase_delays else np.zeros(1)
        theta = np.asarray(phase)[..., None, None] + 2 * np.pi * cycles[:, None] + psi
        probability = self.peak_probability * ((1 + np.sin(theta)) / 2) ** self.power
        return np.broadcast_to(probability, (*probability.shape[:-1], self.n_fibers))

    def generate(self, n_trials: int, seed: int | np.random.Generator) -> Trials:
        """Draw ``n_trials`` trials with angles uniform in -pi/2 to pi/2."""
        is_seed("LocalizationTask.seed", seed)
        rng = np.random.default_rng(seed)
        angle = rng.uniform(-np.pi / 2, np.pi / 2, check_count("LocalizationTask.n_trials", n_trials))
        start = rng.uniform(0, 2 * np.pi, n_trials if self.phase == "sample" else 1)
        spikes = np.empty((n_trials, self.n_steps, self.n_channels), bool)
        for ear, phases in enumerate((np.broadcast_to(start, n_trials), start + angle)):
            for trial, phase in enumerate(phases):
                spikes[trial, :, ear * self.n_fibers : (ear + 1) * self.n_fibers] = rng.random(
                    (self.n_steps, self.n_fibers), np.float32
                ) < self.spike_probability(phase)
        return Trials(spikes, angle, self.encode(angle))

    def encode(self, angle: np.ndarray) -> np.ndarray:
        """Return the class of each angle in radians."""
        ANGLES("LocalizationTask.angle", angle)
        return np.minimum(
            (np.asarray(angle) + np.pi / 2) * self.n_classes / np.pi, self.n_classes - 1
        ).astype(int)

    def decode(self, label: np.ndarray) -> np.ndarray:
        """Return the middle of each class in radians."""
        are_labels("LocalizationTask.label", label, self.n_classes)
        return (np.asarray(label) + 0.5) / self.n_classes * np.pi - np.pi / 2
