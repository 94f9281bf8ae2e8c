"""Handwritten digits as spikes: the brighter a pixel, the earlier its one spike."""

from dataclasses import dataclass, field
from typing import Any

import brainunit as u
import numpy as np

from ..._core.arguments import numbers, time
from ..._core.checks import ArgumentError, check_count
from ..arguments import is_seed
from ..grid import steps_at_least
from .trials import Trials

IMAGES = numbers(unit=u.UNITLESS, ndim=2, finite=True, low=0.0, high=1.0)


@dataclass(frozen=True)
class LatencyDigitsTask:
    """Describe scikit-learn's digits as spike latencies.

    A pixel of intensity p, 0 to 1, spikes once at ``(1 - p) * window``; pixels below ``darkest`` never do.

    Parameters
    ----------
    dt : Quantity[time], default 1 ms
    window, response : Quantity[time], default 30 and 20 ms
        Latency of the darkest pixel, and time after it.
    darkest : float, default 0.1

    References
    ----------
    Alpaydin, Kaynak (1998): Optical recognition of handwritten digits. UCI Machine Learning Repository,
    doi 10.24432/C50P49; shipped with scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.spiking.tasks import LatencyDigitsTask
    >>> images = np.zeros((1, 64))
    >>> images[0, :2] = 1.0, 0.5
    >>> time, channel = np.nonzero(LatencyDigitsTask().encode(images)[0])
    >>> time.tolist(), channel.tolist()
    ([0, 15], [0, 1])
    """

    dt: Any = field(default_factory=lambda: 1 * u.ms)
    window: Any = field(default_factory=lambda: 30 * u.ms)
    response: Any = field(default_factory=lambda: 20 * u.ms)
    darkest: float = 0.1

    n_channels = 64
    n_classes = 10
    max_delay = 30 * u.ms

    def __post_init__(self):
        time("LatencyDigitsTask.dt", self.dt)
        for name in ("window", "response"):
            steps_at_least(f"LatencyDigitsTask.{name}", getattr(self, name), self.dt, 1)
        if not 0 <= self.darkest < 1:
            raise ArgumentError("LatencyDigitsTask.darkest", "must lie between 0 and 1", self.darkest)

    @property
    def n_steps(self) -> int:
        """Steps per trial."""
        steps = (
            steps_at_least("LatencyDigitsTask.window", x, self.dt, 1) for x in (self.window, self.response)
        )
        return sum(steps) + 1

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return the spikes ``(image, time, pixel)`` of images ``(image, pixel)`` between 0 and 1."""
        IMAGES("LatencyDigitsTask.images", images)
        images = np.asarray(images)
        window = steps_at_least("LatencyDigitsTask.window", self.window, self.dt, 1)
        latency = np.rint((1 - images) * window).astype(int)
        return (np.arange(self.n_steps)[:, None] == latency[:, None]) & (images >= self.darkest)[:, None]

    def datasets(self, seed: int, n_train: int = 1400) -> tuple[Trials, Trials]:
        """Load the digits; shuffle them by ``seed`` into ``n_train`` to train on and the rest to test on."""
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ArgumentError(
                "LatencyDigitsTask.datasets", "needs scikit-learn", "none", "pip install scikit-learn"
            ) from error
        data = load_digits()
        n_train = check_count("LatencyDigitsTask.n_train", n_train)
        is_seed("LatencyDigitsTask.seed", seed)
        order = np.random.default_rng(seed).permutation(len(data.target))
        spikes, label = self.encode(data.data[order] / 16), data.target[order]
        return Trials(spikes[:n_train], label[:n_train]), Trials(spikes[n_train:], label[n_train:])
