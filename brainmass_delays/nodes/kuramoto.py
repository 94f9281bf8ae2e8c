"""A phase oscillator."""

import braintools
import numpy as np

from .base import NeuralMass
from .declaration import PER_MS, Parameter, StateVariable


class KuramotoStep(NeuralMass):
    r"""Simulate phase oscillators, to be coupled by `KuramotoCoupling`.

    .. math:: \dot \theta = \omega + I_\theta

    {parameters}

    Notes
    -----
    The phase, in rad, grows without wrapping, so that a delayed read may interpolate it; wrap it for plots. A
    frequency of f Hz is ``omega=2 * numpy.pi * f * brainunit.Hz``.

    References
    ----------
    Kuramoto, Y. (1975). Self-entrainment of a population of coupled non-linear oscillators. International
    Symposium on Mathematical Problems in Theoretical Physics, 420-422.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.kuramoto import KuramotoStep
    >>> node = KuramotoStep(1, omega=0.1, init_theta=0.0)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=1.0 * u.ms):
    ...     print(round(float(node.update()[0]), 4))
    0.1
    """

    STATES = (StateVariable("theta", braintools.init.Uniform(0.0, 2 * np.pi)),)
    PARAMETERS = (Parameter("omega", 0.0, r"\omega", "natural frequency in rad per time", PER_MS),)

    def derivative(self, state, t, drive):
        """Return the rate of the phase, per ms."""
        return (self.omega.value() + drive[0],)
