"""The Wilson-Cowan model of an excitatory and an inhibitory population."""

import brainunit as u
import jax.nn

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


class WilsonCowanStep(NeuralMass):
    r"""Simulate the firing rates of an excitatory and an inhibitory population.

    .. math::

        \tau_E \dot r_E &= -r_E + (1 - r r_E) F(w_{EE} r_E - w_{IE} r_I + I_E; a_E, \theta_E) \\
        \tau_I \dot r_I &= -r_I + (1 - r r_I) F(w_{EI} r_E - w_{II} r_I + I_I; a_I, \theta_I)

    with :math:`F(x; a, \theta) = \sigma(a (x - \theta)) - \sigma(-a \theta)` and the logistic function
    :math:`\sigma`.

    {parameters}

    Notes
    -----
    Inputs enter inside the nonlinearity. White noise there depends on the time step; use `OUNoise`.

    References
    ----------
    Wilson, H. R., Cowan, J. D. (1972). Excitatory and inhibitory interactions in localized populations of
    model neurons. Biophysical Journal 12, 1-24.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.wilson_cowan import WilsonCowanStep
    >>> node = WilsonCowanStep(2, rE_init=0.1)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(node.update(1.25).shape)
    (2,)
    """

    STATES = (StateVariable("rE", 0.0, init="rE_init"), StateVariable("rI", 0.0, init="rI_init"))
    PARAMETERS = (
        Parameter("tau_E", 1.0 * u.ms, r"\tau_E", "time constant of E", bounds=POSITIVE),
        Parameter("a_E", 1.2, "a_E", "gain of E"),
        Parameter("theta_E", 2.8, r"\theta_E", "threshold of E"),
        Parameter("tau_I", 1.0 * u.ms, r"\tau_I", "time constant of I", bounds=POSITIVE),
        Parameter("a_I", 1.0, "a_I", "gain of I"),
        Parameter("theta_I", 4.0, r"\theta_I", "threshold of I"),
        Parameter("wEE", 12.0, "w_{EE}", "weight from E to E"),
        Parameter("wIE", 4.0, "w_{IE}", "weight from I to E"),
        Parameter("wEI", 13.0, "w_{EI}", "weight from E to I"),
        Parameter("wII", 11.0, "w_{II}", "weight from I to I"),
        Parameter("r", 1.0, "r", "refractoriness"),
    )
    INPUTS = (Input("rE_inp", noise="noise_E"), Input("rI_inp", noise="noise_I"))

    def derivative(self, state, t, drive):
        """Return the rates of change of both firing rates."""
        E, I = state
        to_E = self.wEE.value() * E - self.wIE.value() * I + drive[0]
        to_I = self.wEI.value() * E - self.wII.value() * I + drive[1]
        response_E = _response(to_E, self.a_E.value(), self.theta_E.value())
        response_I = _response(to_I, self.a_I.value(), self.theta_I.value())
        r = self.r.value()
        return (
            (-E + (1 - r * E) * response_E) / self.tau_E.value(),
            (-I + (1 - r * I) * response_I) / self.tau_I.value(),
        )


def _response(x, a, theta):
    """Return the logistic response shifted to be 0 at x = 0."""
    return jax.nn.sigmoid(a * (x - theta)) - jax.nn.sigmoid(-a * theta)
