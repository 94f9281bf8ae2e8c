"""One monitor or chain of every kind, and values to watch."""

import brainunit as u
import jax.numpy as jnp
import numpy as np

from brainmass_delays import Param
from brainmass_delays.observe import (
    HRF,
    Balloon,
    Covariance,
    CrossSpectrum,
    GlobalAverage,
    LeadField,
    Monitor,
    RegionAverage,
    SensorNoise,
    Spectrum,
    SubSample,
    TemporalAverage,
)

X = np.random.default_rng(0).normal(size=(97, 3)) + 0.5
DT = 0.1 * u.ms
GAIN = np.random.default_rng(1).normal(size=(2, 3))


class Peak(Monitor):
    """A monitor as a user writes it: the largest size since the last emission."""

    def init(self, value, dt):
        return jnp.zeros(value.shape, value.dtype)

    def update(self, state, value, i, dt):
        return jnp.maximum(state, jnp.abs(value))

    def sample(self, state):
        return state

    def reset(self, state):
        return jnp.zeros_like(state)


def bold(period, **options):
    """The usual constants a thousand times faster, to see a response within this series."""
    kappa = Param(np.array([600.0, 650.0, 700.0]) * u.Hz)
    fast = {"kappa": kappa, "gamma": 4.1e5 * u.Hz, "tau": 0.98 * u.ms, "efficacy": 1e5}
    return Balloon(period=period * u.ms, **fast, **options)


MONITORS = {
    "subsample": lambda: SubSample(period=0.7 * u.ms),
    "every value": lambda: SubSample(),
    "mean": lambda: TemporalAverage(period=0.37 * u.ms),
    "mean of all": lambda: TemporalAverage(),
    "global": lambda: GlobalAverage(period=0.25 * u.ms),
    "regions": lambda: RegionAverage(masks=[[1, 1, 0], [0, 0, 1]], period=0.3 * u.ms),
    "balloon": lambda: bold(1.1, step=0.25 * u.ms),
    "balloon without means": lambda: bold(1.1, step=0 * u.ms),
    "hrf": lambda: HRF(period=0.9 * u.ms, kernel=lambda t: jnp.exp(-t * 800), duration=4 * u.ms, step=0.23 * u.ms),
    "lead field": lambda: LeadField(matrix=Param(GAIN), period=0.4 * u.ms),
    "covariance": lambda: Covariance(),
    "correlations so far": lambda: Covariance(period=1.7 * u.ms, kind="correlation"),
    "spectrum": lambda: Spectrum(nperseg=20),
    "cross-spectrum": lambda: CrossSpectrum(nperseg=15),
    "spectra so far": lambda: Spectrum(nperseg=10, period=2.3 * u.ms),
    "user's own": lambda: Peak(period=0.9 * u.ms),
    "mean, balloon, correlation": lambda: TemporalAverage(period=0.3 * u.ms) >> bold(1.1, step=0 * u.ms) >> Covariance(kind="correlation"),
    "mean, sensors, noise, spectrum": lambda: TemporalAverage(period=0.25 * u.ms)
    >> LeadField(matrix=Param(GAIN))
    >> SensorNoise(0.3)
    >> CrossSpectrum(nperseg=8),
    "mean, mean, peak": lambda: TemporalAverage(period=0.3 * u.ms) >> TemporalAverage(period=0.7 * u.ms) >> Peak(period=1.6 * u.ms),
}  # fmt: skip
