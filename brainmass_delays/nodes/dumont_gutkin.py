"""Excitatory and inhibitory quadratic integrate-and-fire neurons with synapses, of Dumont and Gutkin."""

import brainunit as u
import numpy as np

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


class DumontGutkinStep(NeuralMass):
    r"""Simulate rates and mean potentials of an excitatory and an inhibitory population with their synapses.

    .. math::

        \dot r_p &= (\Delta_p / (\pi \tau_p) + 2 v_p r_p) / \tau_p \\
        \tau_p \dot v_p &= v_p^2 + \eta_p - (\pi \tau_p r_p)^2 + \tau_p (s_{pe} - s_{pi}) + I_p + I_{v_p} \\
        \tau_s \dot s_{ee} &= -s_{ee} + J_{ee} r_e + c \\
        \tau_s \dot s_{ei} &= -s_{ei} + J_{ei} r_i \\
        \tau_s \dot s_{ie} &= -s_{ie} + J_{ie} r_e + \Gamma c \\
        \tau_s \dot s_{ii} &= -s_{ii} + J_{ii} r_i, \qquad p \in \{e, i\}

    {parameters}

    Notes
    -----
    The inputs are ``coupling``, the weighted sum c of the excitatory rates of other regions, and the currents
    ``v_e_inp`` and ``v_i_inp``, which take noise.

    References
    ----------
    Dumont, G., Gutkin, B. (2019). Macroscopic phase resetting-curves determine oscillatory coherence and
    signal transfer in inter-coupled neural circuits. PLoS Computational Biology 15, e1007019.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.dumont_gutkin import DumontGutkinStep
    >>> node = DumontGutkinStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.05 * u.ms):
    ...     print(u.get_unit(node.update(5.0 * u.Hz)))
    Hz
    """

    STATES = (
        StateVariable("r_e", 1.0 * u.Hz, u.Hz),
        StateVariable("v_e", -1.0),
        StateVariable("s_ee", 0.0, u.Hz),
        StateVariable("s_ei", 0.0, u.Hz),
        StateVariable("r_i", 1.0 * u.Hz, u.Hz),
        StateVariable("v_i", -1.0),
        StateVariable("s_ie", 0.0, u.Hz),
        StateVariable("s_ii", 0.0, u.Hz),
    )
    PARAMETERS = (
        Parameter("I_e", 0.0, "I_e", "constant current to E"),
        Parameter("Delta_e", 1.0, r"\Delta_e", "half-width of the excitabilities of E", bounds=POSITIVE),
        Parameter("eta_e", -5.0, r"\eta_e", "mean excitability of E"),
        Parameter("tau_e", 10.0 * u.ms, r"\tau_e", "membrane time constant of E", bounds=POSITIVE),
        Parameter("I_i", 0.0, "I_i", "constant current to I"),
        Parameter("Delta_i", 1.0, r"\Delta_i", "half-width of the excitabilities of I", bounds=POSITIVE),
        Parameter("eta_i", -5.0, r"\eta_i", "mean excitability of I"),
        Parameter("tau_i", 10.0 * u.ms, r"\tau_i", "membrane time constant of I", bounds=POSITIVE),
        Parameter("tau_s", 1.0 * u.ms, r"\tau_s", "time constant of the synapses", bounds=POSITIVE),
        Parameter("J_ee", 0.0, "J_{ee}", "strength from E to E"),
        Parameter("J_ei", 10.0, "J_{ei}", "strength from I to E"),
        Parameter("J_ie", 0.0, "J_{ie}", "strength from E to I"),
        Parameter("J_ii", 15.0, "J_{ii}", "strength from I to I"),
        Parameter("Gamma", 5.0, r"\Gamma", "long-range strength to I over that to E"),
    )
    INPUTS = (
        Input("coupling", u.Hz),
        Input("v_e_inp", noise="noise_v_e"),
        Input("v_i_inp", noise="noise_v_i"),
    )

    def derivative(self, state, t, drive):
        """Return the rates of all states."""
        r_e, v_e, s_ee, s_ei, r_i, v_i, s_ie, s_ii = state
        coupling, v_e_inp, v_i_inp = drive
        tau_e, tau_i, tau_s = self.tau_e.value(), self.tau_i.value(), self.tau_s.value()
        I_e = self.eta_e.value() + self.I_e.value() + v_e_inp + tau_e * (s_ee - s_ei)
        I_i = self.eta_i.value() + self.I_i.value() + v_i_inp + tau_i * (s_ie - s_ii)
        return (
            *_membrane(r_e, v_e, self.Delta_e.value(), tau_e, I_e),
            (self.J_ee.value() * r_e + coupling - s_ee) / tau_s,
            (self.J_ei.value() * r_i - s_ei) / tau_s,
            *_membrane(r_i, v_i, self.Delta_i.value(), tau_i, I_i),
            (self.J_ie.value() * r_e + self.Gamma.value() * coupling - s_ie) / tau_s,
            (self.J_ii.value() * r_i - s_ii) / tau_s,
        )


def _membrane(r, v, delta, tau, current):
    """Return the rates of r and v of one population under a current."""
    return (delta / (np.pi * tau) + 2 * v * r) / tau, (v**2 + current - (np.pi * tau * r) ** 2) / tau
