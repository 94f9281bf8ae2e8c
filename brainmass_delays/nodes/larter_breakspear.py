"""The Larter-Breakspear model, a conductance-based cortical column."""

import jax.numpy as jnp

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


class LarterBreakspearStep(NeuralMass):
    r"""Simulate a column by its potential V, its open potassium channels W and its inhibition Z.

    .. math::

        \dot V &= -\big(g_{Ca} + r_{NMDA} q\big) m_{Ca} (V - V_{Ca}) - g_K W (V - V_K) - g_L (V - V_L) \\
        &\quad - (g_{Na} m_{Na} + q) (V - V_{Na}) - a_{ie} Z Q_Z + a_{ne} I + I_V \\
        \dot W &= \phi (m_K - W) / \tau_K \\
        \dot Z &= b (a_{ni} I + a_{ei} V Q_V)

    All rates are multiplied by :math:`t_s`. The gates are :math:`m_X = (1 + \tanh((V - T_X) / \delta_X)) /
    2`, the firing rates :math:`Q_X = Q_{X,max} (1 + \tanh((X - X_T) / \delta_X)) / 2`, and the excitation is
    :math:`q = (1 - C) a_{ee} Q_V + C a_{ee} c`.

    {parameters}

    Notes
    -----
    The inputs are ``V_inp``, the coupling c, in the literature the mean firing rate of other regions, which
    travels as the signal ``rate``; and ``V_stim``, which adds to the rate of V, per ms. Noise is added to
    ``V_inp``, as in brainmass, where it is multiplied by a potential, or to ``V_stim``. Everything is
    dimensionless; one unit of time is 1 ms. Equations 2, 3, 6 and 7 of the paper.

    References
    ----------
    Breakspear, M., Terry, J. R., Friston, K. J. (2003). Modulation of excitatory synaptic coupling
    facilitates synchronization and complex dynamics in a biophysical model of neuronal dynamics. Network 14,
    703-732.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.larter_breakspear import LarterBreakspearStep
    >>> node = LarterBreakspearStep(2, d_V=0.57)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(node.update().shape)
    (2,)
    """

    STATES = (StateVariable("V"), StateVariable("W"), StateVariable("Z"))
    PARAMETERS = (
        Parameter("gCa", 1.1, "g_{Ca}", "conductance of calcium"),
        Parameter("gK", 2.0, "g_K", "conductance of potassium"),
        Parameter("gL", 0.5, "g_L", "conductance of the leak"),
        Parameter("gNa", 6.7, "g_{Na}", "conductance of sodium"),
        Parameter("TCa", -0.01, "T_{Ca}", "threshold of calcium channels"),
        Parameter("TK", 0.0, "T_K", "threshold of potassium channels"),
        Parameter("TNa", 0.3, "T_{Na}", "threshold of sodium channels"),
        Parameter("d_Ca", 0.15, r"\delta_{Ca}", "width of that threshold for calcium", bounds=POSITIVE),
        Parameter("d_K", 0.3, r"\delta_K", "width of that threshold for potassium", bounds=POSITIVE),
        Parameter("d_Na", 0.15, r"\delta_{Na}", "width of that threshold for sodium", bounds=POSITIVE),
        Parameter("VCa", 1.0, "V_{Ca}", "reversal potential of calcium"),
        Parameter("VK", -0.7, "V_K", "reversal potential of potassium"),
        Parameter("VL", -0.5, "V_L", "reversal potential of the leak"),
        Parameter("VNa", 0.53, "V_{Na}", "reversal potential of sodium"),
        Parameter("phi", 0.7, r"\phi", "temperature scaling"),
        Parameter("tau_K", 1.0, r"\tau_K", "time constant of potassium channels", bounds=POSITIVE),
        Parameter("aee", 0.4, "a_{ee}", "strength from excitation to excitation"),
        Parameter("aei", 2.0, "a_{ei}", "strength from excitation to inhibition"),
        Parameter("aie", 2.0, "a_{ie}", "strength from inhibition to excitation"),
        Parameter("ane", 1.0, "a_{ne}", "strength from the current to excitation"),
        Parameter("ani", 0.4, "a_{ni}", "strength from the current to inhibition"),
        Parameter("b", 0.1, "b", "rate of inhibition"),
        Parameter("C", 0.1, "C", "share of the excitation that comes from other regions"),
        Parameter("Iext", 0.3, "I", "external current"),
        Parameter("rNMDA", 0.25, "r_{NMDA}", "ratio of NMDA to AMPA receptors"),
        Parameter("VT", 0.0, "V_T", "threshold of the excitatory firing rate"),
        Parameter("d_V", 0.65, r"\delta_V", "width of that threshold", bounds=POSITIVE),
        Parameter("ZT", 0.0, "Z_T", "threshold of the inhibitory firing rate"),
        Parameter("d_Z", 0.7, r"\delta_Z", "width of that threshold", bounds=POSITIVE),
        Parameter("QV_max", 1.0, "Q_{V,max}", "largest excitatory firing rate"),
        Parameter("QZ_max", 1.0, "Q_{Z,max}", "largest inhibitory firing rate"),
        Parameter("t_scale", 1.0, "t_s", "speed of all states", bounds=POSITIVE),
    )
    INPUTS = (Input("V_inp", noise="noise_V"), Input("V_stim", noise="noise_V_stim"))
    SIGNALS = {"rate": lambda node, state: node.firing_rate(state[0])}

    def derivative(self, state, t, drive):
        """Return the rates of V, W and Z, per ms."""
        V, W, Z = state
        coupling, V_stim = drive
        C, I, rate = self.C.value(), self.Iext.value(), self.firing_rate(V)
        excitation = self.aee.value() * ((1 - C) * rate + C * coupling)
        calcium = self.gCa.value() + self.rNMDA.value() * excitation
        calcium = calcium * _open(V, self.TCa, self.d_Ca) * (V - self.VCa.value())
        sodium = self.gNa.value() * _open(V, self.TNa, self.d_Na) + excitation
        leak = self.gK.value() * W * (V - self.VK.value()) + self.gL.value() * (V - self.VL.value())
        inhibition = self.aie.value() * Z * self.QZ_max.value() * _open(Z, self.ZT, self.d_Z)
        currents = calcium + sodium * (V - self.VNa.value()) + leak + inhibition - self.ane.value() * I
        s = self.t_scale.value()
        return (
            -s * currents + V_stim,
            s * self.phi.value() * (_open(V, self.TK, self.d_K) - W) / self.tau_K.value(),
            s * self.b.value() * (self.ani.value() * I + self.aei.value() * V * rate),
        )

    def firing_rate(self, V):
        """Return the excitatory firing rate at the potential V."""
        return self.QV_max.value() * _open(V, self.VT, self.d_V)


def _open(x, threshold, width):
    """Return the open share at ``x``."""
    return 0.5 * (1 + jnp.tanh((x - threshold.value()) / width.value()))
