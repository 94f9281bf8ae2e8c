"""The generic two-dimensional oscillator of The Virtual Brain."""

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


class Generic2dOscillatorStep(NeuralMass):
    r"""Simulate an oscillator with polynomial nullclines: excitable, bistable or oscillating.

    .. math::

        \dot V &= d \tau (-f V^3 + e V^2 + g V + \alpha W + \gamma I + \gamma c_V) + s_V \\
        \dot W &= \frac{d}{\tau} (a + b V + c V^2 - \beta W) + s_W

    {parameters}

    Notes
    -----
    The first input, ``V_inp``, is the coupling :math:`c_V`; the second and third are the stimuli :math:`s_V`
    and :math:`s_W`, which add to the rates directly. Noise belongs to the stimuli, so its strength does not
    depend on :math:`d`, :math:`\tau` and :math:`\gamma`. Rates are per ms.

    References
    ----------
    FitzHugh, R. (1961). Impulses and physiological states in theoretical models of nerve membrane.
    Biophysical Journal 1, 445-466.
    Sanz-Leon, P., Knock, S. A., Spiegler, A., Jirsa, V. K. (2015). Mathematical framework for large-scale
    brain network modeling in The Virtual Brain. NeuroImage 111, 385-430.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.generic_2d_oscillator import Generic2dOscillatorStep
    >>> node = Generic2dOscillatorStep(4, a=-1.5, b=-15.0, d=0.015, tau=4.0, init_V=0.1, init_W=0.1)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.5 * u.ms):
    ...     print(node.update().shape)
    (4,)
    """

    STATES = (StateVariable("V"), StateVariable("W"))
    PARAMETERS = (
        Parameter("a", -2.0, "a", "constant of the W nullcline"),
        Parameter("b", -10.0, "b", "linear coefficient of the W nullcline"),
        Parameter("c", 0.0, "c", "quadratic coefficient of the W nullcline"),
        Parameter("d", 0.02, "d", "overall speed"),
        Parameter("e", 3.0, "e", "quadratic coefficient of the V nullcline"),
        Parameter("f", 1.0, "f", "cubic coefficient of the V nullcline"),
        Parameter("g", 0.0, "g", "linear coefficient of the V nullcline"),
        Parameter("alpha", 1.0, r"\alpha", "strength from W to V"),
        Parameter("beta", 1.0, r"\beta", "decay of W"),
        Parameter("gamma", 1.0, r"\gamma", "gain of the constant drive and the coupling"),
        Parameter("I", 0.0, "I", "constant drive"),
        Parameter("tau", 1.0, r"\tau", "separation of time scales, above 1 for a faster V", bounds=POSITIVE),
    )
    INPUTS = (Input("V_inp"), Input("V_stim", noise="noise_V"), Input("W_stim", noise="noise_W"))

    def derivative(self, state, t, drive):
        """Return the rates of V and W, per ms."""
        V, W = state
        coupling, V_stim, W_stim = drive
        d, tau, gamma = self.d.value(), self.tau.value(), self.gamma.value()
        cubic = -self.f.value() * V**3 + self.e.value() * V**2 + self.g.value() * V
        dV = d * tau * (cubic + self.alpha.value() * W + gamma * (self.I.value() + coupling)) + V_stim
        quadratic = self.a.value() + self.b.value() * V + self.c.value() * V**2
        return dV, d / tau * (quadratic - self.beta.value() * W) + W_stim
