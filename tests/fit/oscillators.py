"""A damped oscillator whose rate and frequency are fitted, for the tests of the Fitter."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Module, Param, SigmoidT

from brainmass_delays.fit import Fitter

SECONDS = np.arange(100) * 0.004


class Damping(Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = Param(rate)


class Oscillator(Module):
    """``exp(-rate t) cos(2 pi frequency t)``, a voltage; the rate sits one level down."""

    def __init__(self, frequency=10.0 * u.Hz, rate=5.0 * u.Hz):
        super().__init__()
        self.frequency = Param(frequency, t=SigmoidT(1.0 * u.Hz, 30.0 * u.Hz))
        self.damping = Damping(rate)
        self.phase = Param(0.0, fit=False)
        self.n_traces = 0

    def update(self):
        self.n_traces += 1
        rate, frequency = self.damping.rate.value().to_decimal(u.Hz), self.frequency.value().to_decimal(u.Hz)
        t = jnp.asarray(SECONDS, brainstate.environ.dftype())
        return jnp.exp(-rate * t) * jnp.cos(2 * np.pi * frequency * t) * u.mV


TARGET = (
    np.exp(-4 * SECONDS) * np.cos(2 * np.pi * 12 * SECONDS) * u.mV
)  # NumPy: float64 whatever the precision at import
SPACE = {"damping.rate": (0.0 * u.Hz, 20.0 * u.Hz)}


def predict(model):
    return model()


def make_fitter(model=None, optimizer=None, **options):
    return Fitter(model or Oscillator(), optimizer, **{"predict": predict, **options})


def hz(quantity):
    return float(quantity.to_decimal(u.Hz))
