"""The reduced Wong-Wang model of an excitatory and an inhibitory population."""

from typing import Any

import brainunit as u

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable
from .transfer import firing_rate

RATE_PER_CURRENT = u.Hz / u.nA


class WongWangExcInhStep(NeuralMass):
    r"""Simulate the synaptic gatings of an excitatory and an inhibitory population, balanced by inhibition.

    .. math::

        \dot S_E &= -S_E / \tau_E + (1 - S_E) \, \gamma_E H_E(x_E) + I_{S_E} \\
        \dot S_I &= -S_I / \tau_I + \gamma_I H_I(x_I) + I_{S_I} \\
        x_E &= w_+ J_N S_E - J_i S_I + W_E I_o + G J_N c + I_{ext} + I_E \\
        x_I &= J_N S_E - S_I + W_I I_o + \lambda G J_N c + I_I \\
        H_p(x) &= \frac{a_p x - b_p}{1 - e^{-d_p (a_p x - b_p)}}

    {parameters}

    Notes
    -----
    The inputs are ``coupling``, the weighted sum c of the excitatory gatings of other regions
    (dimensionless), ``S_e_inp`` and ``S_i_inp``, which add to the rates, per ms, and the currents ``I_e_inp``
    and ``I_i_inp``. White noise belongs to the second and third; Deco et al. (2014) take a strength of 0.01,
    and inhibition such that every region fires at 3 Hz, see `feedback_inhibition`. Where :math:`a x = b` the
    formula of H is 0/0; value and gradient are exact there. Plain numbers enter the equations: time constants
    in ms, firing rates in Hz, so that :math:`\gamma` carries the factor 1/1000.

    References
    ----------
    Deco, G., Ponce-Alvarez, A., Hagmann, P., Romani, G. L., Mantini, D., Corbetta, M. (2014). How local
    excitation-inhibition ratio impacts the whole brain dynamics. Journal of Neuroscience 34, 7886-7898.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.wong_wang_exc_inh import WongWangExcInhStep
    >>> node = WongWangExcInhStep(2, init_S_e=0.1)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(node.update(coupling=0.2).shape)
    (2,)
    """

    STATES = (StateVariable("S_e", 0.001), StateVariable("S_i", 0.001))
    PARAMETERS = (
        Parameter("a_e", 310.0, "a_E", "gain of the rate of E", RATE_PER_CURRENT),
        Parameter("b_e", 125.0, "b_E", "threshold of the rate of E", u.Hz),
        Parameter("d_e", 0.16, "d_E", "curvature of the rate of E at threshold", u.second, POSITIVE),
        Parameter("gamma_e", 0.641 / 1000, r"\gamma_E", "gating of E opened per spike, times 1 s / ms"),
        Parameter("tau_e", 100.0, r"\tau_E", "time constant of the gating of E", u.ms, POSITIVE),
        Parameter("w_p", 1.4, "w_+", "local recurrence of E"),
        Parameter("W_e", 1.0, "W_E", "share of the external current that reaches E"),
        Parameter("a_i", 615.0, "a_I", "gain of the rate of I", RATE_PER_CURRENT),
        Parameter("b_i", 177.0, "b_I", "threshold of the rate of I", u.Hz),
        Parameter("d_i", 0.087, "d_I", "curvature of the rate of I at threshold", u.second, POSITIVE),
        Parameter("gamma_i", 1.0 / 1000, r"\gamma_I", "gating of I opened per spike, times 1 s / ms"),
        Parameter("tau_i", 10.0, r"\tau_I", "time constant of the gating of I", u.ms, POSITIVE),
        Parameter("W_i", 0.7, "W_I", "share of the external current that reaches I"),
        Parameter("J_N", 0.15, "J_N", "excitatory synaptic coupling", u.nA),
        Parameter("J_i", 1.0, "J_i", "inhibitory synaptic coupling onto E", u.nA),
        Parameter("I_o", 0.382, "I_o", "external current", u.nA),
        Parameter("I_ext", 0.0, "I_{ext}", "constant stimulation current to E", u.nA),
        Parameter("G", 2.0, "G", "global coupling"),
        Parameter("lamda", 0.0, r"\lambda", "share of the long-range coupling that reaches I"),
    )
    INPUTS = (
        Input("coupling"),
        Input("S_e_inp", noise="noise_e"),
        Input("S_i_inp", noise="noise_i"),
        Input("I_e_inp", u.nA),
        Input("I_i_inp", u.nA),
    )

    def derivative(self, state, t, drive):
        """Return the rates of both gatings, per ms."""
        S_e, S_i = state
        coupling, S_e_inp, S_i_inp, I_e, I_i = drive
        H_e, H_i = self.firing_rates(S_e, S_i, coupling, I_e, I_i)
        opening = (1 - S_e) * self.gamma_e.value() * H_e
        return (
            -S_e / self.tau_e.value() + opening + S_e_inp,
            -S_i / self.tau_i.value() + self.gamma_i.value() * H_i + S_i_inp,
        )

    def firing_rates(self, S_e, S_i, coupling: Any = 0.0, I_e: Any = 0.0, I_i: Any = 0.0):
        """Return H_E and H_I in Hz, given both gatings, the sum of other gatings, and currents in nA."""
        J_N, I_o = self.J_N.value(), self.I_o.value()
        afferent = self.G.value() * J_N * coupling
        x_e = self.w_p.value() * J_N * S_e - self.J_i.value() * S_i + self.W_e.value() * I_o
        x_e = x_e + afferent + self.I_ext.value() + u.get_mantissa(I_e)
        x_i = J_N * S_e - S_i + self.W_i.value() * I_o + self.lamda.value() * afferent + u.get_mantissa(I_i)
        return (
            firing_rate(x_e, self.a_e.value(), self.b_e.value(), self.d_e.value()),
            firing_rate(x_i, self.a_i.value(), self.b_i.value(), self.d_i.value()),
        )
