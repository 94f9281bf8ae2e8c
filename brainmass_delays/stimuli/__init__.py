"""Stimuli: pure functions of time, with units and trainable parameters, that drive an input of a node.

``stimulus(t)`` returns the value at the time ``t``, a scalar or one number per region. Stimuli add and
multiply, with each other and with numbers; `Stimulus.at` gives them a place.

Examples
--------
Two pulses into region 1 of three, and how their response depends on the onset:

>>> import brainunit as u
>>> import jax
>>> from brainmass_delays import stimuli
>>> def response(onset):
...     pulse = stimuli.Pulse(0.5, onset=onset * u.ms, width=10 * u.ms, edge=4 * u.ms)
...     return pulse.at([0.0, 1.0, 0.0])(30.0 * u.ms)[1]
>>> float(response(25.0)), round(float(jax.grad(response)(30.0)), 3)
(0.5, -0.234)
"""

from .courses import BandNoise, Data, Sine
from .pulses import Alpha, Pulse, PulseTrain, Ramp
from .stimulus import Constant, Feedback, Product, Stimulus, Sum, site

__all__ = [
    "Alpha",
    "BandNoise",
    "Constant",
    "Data",
    "Feedback",
    "Product",
    "Pulse",
    "PulseTrain",
    "Ramp",
    "Sine",
    "Stimulus",
    "Sum",
    "site",
]
