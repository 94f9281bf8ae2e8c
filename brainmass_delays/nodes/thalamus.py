"""The thalamus of Schellenberger Costa: relay and reticular neurons with T-type calcium and h currents."""

import brainunit as u
import jax.numpy as jnp
from jax.nn import sigmoid

from .base import NeuralMass
from .declaration import PER_MS, POSITIVE, Input, Parameter, StateVariable

CONDUCTANCE = u.mS / u.cm**2
TEMPERATURE = 3.7371928  # scales the time constants of the T-type channels to body temperature


class ThalamusStep(NeuralMass):
    r"""Simulate thalamocortical relay (t) and reticular (r) populations that spindle and burst in sleep.

    .. math::

        \tau \dot V_t &= -(g_L (V_t - E_L) + s_{et} (V_t - E_{AMPA}) + s_{gt} (V_t - E_{GABA}) + I_t)
            - \tau (I_{LK} + I_T + I_h) / C_m \\
        \tau \dot V_r &= -(g_L (V_r - E_L) + s_{er} (V_r - E_{AMPA}) + s_{gr} (V_r - E_{GABA}) + I_r)
            - \tau (I_{LK} + I_T) / C_m \\
        \dot{Ca} &= \alpha_{Ca} I_T - (Ca - Ca_0) / \tau_{Ca}, \qquad
            \dot h = (h_\infty(V) - h) / \tau_h(V) \\
        \dot m_1 &= (m_\infty (1 - m_2) - m_1) / \tau_m - k_3 P m_1 + k_4 m_2, \qquad
            \dot m_2 = k_3 P m_1 - k_4 m_2 \\
        \ddot s &= \gamma^2 (N Q - s) - 2 \gamma \dot s, \qquad
            Q(V) = Q_{max} / (1 + e^{-C_1 (V - \theta) / \sigma})

    with :math:`I_{LK} = g_{LK} (V - E_K)`, :math:`I_T = g_T m_T^2 h (V - E_{Ca})`,
    :math:`I_h = g_h (m_1 + g_{inc} m_2) (V_t - E_h)` and :math:`P = k_1 Ca^{n_P} / (k_1 Ca^{n_P} + k_2)`.

    {parameters}

    Notes
    -----
    The inputs are the spike rates ``t_inp`` and ``r_inp`` that arrive at the excitatory synapses of either
    population (in the literature the number of fibers times the cortical rate; white noise on ``t_inp`` is
    the background of the model) and the currents ``V_t_inp`` and ``V_r_inp`` (mV). The firing rates travel as
    the signals ``Q_t`` and ``Q_r``. In its reference program the excitatory synapse of the relay population
    has no decay where no cortex is attached; here it follows the paper and decays. The equations are stiff:
    steps of 0.05 ms and less, or ``'exp_euler'``. A negative calcium concentration counts as none.

    References
    ----------
    Schellenberger Costa, M. et al. (2016). A thalamocortical neural mass model of the EEG during NREM sleep
    and its response to auditory stimulation. PLoS Computational Biology 12, e1005022.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.thalamus import ThalamusStep
    >>> node = ThalamusStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.05 * u.ms):
    ...     print(u.get_unit(node.update(t_inp=0.1 * u.kHz)))
    mV
    """

    STATES = (
        StateVariable("V_t", -68.0, u.mV),
        StateVariable("V_r", -68.0, u.mV),
        StateVariable("Ca", 2.4e-4),
        StateVariable("h_t", 0.0),
        StateVariable("h_r", 0.0),
        StateVariable("m_h1", 0.0),
        StateVariable("m_h2", 0.0),
        StateVariable("s_et", 0.0),
        StateVariable("s_gt", 0.0),
        StateVariable("s_er", 0.0),
        StateVariable("s_gr", 0.0),
        StateVariable("ds_et", 0.0),
        StateVariable("ds_gt", 0.0),
        StateVariable("ds_er", 0.0),
        StateVariable("ds_gr", 0.0),
    )
    PARAMETERS = (
        Parameter("tau", 20.0, r"\tau", "membrane time constant", u.ms, POSITIVE),
        Parameter("Q_max", 0.4, "Q_{max}", "largest firing rate", u.kHz),
        Parameter("theta", -58.5, r"\theta", "threshold of the firing rate", u.mV),
        Parameter("sigma", 6.0, r"\sigma", "width of that threshold", u.mV, POSITIVE),
        Parameter("C1", 1.8137993642, "C_1", "slope of the firing rate, pi / sqrt(3)"),
        Parameter("C_m", 1.0, "C_m", "membrane capacitance", u.uF / u.cm**2, POSITIVE),
        Parameter("gamma_e", 0.07, r"\gamma_e", "rate of the excitatory synapses", PER_MS, POSITIVE),
        Parameter("gamma_r", 0.1, r"\gamma_r", "rate of the inhibitory synapses", PER_MS, POSITIVE),
        Parameter("g_L", 1.0, "g_L", "strength of the leak"),
        Parameter("g_GABA", 1.0, "g_{GABA}", "strength of the inhibitory synapses"),
        Parameter("g_AMPA", 1.0, "g_{AMPA}", "strength of the excitatory synapses"),
        Parameter("g_LK", 0.018, "g_{LK}", "conductance of the potassium leak", CONDUCTANCE),
        Parameter("E_AMPA", 0.0, "E_{AMPA}", "reversal potential of excitation", u.mV),
        Parameter("E_GABA", -70.0, "E_{GABA}", "reversal potential of inhibition", u.mV),
        Parameter("E_L", -70.0, "E_L", "reversal potential of the leak", u.mV),
        Parameter("E_K", -100.0, "E_K", "reversal potential of potassium", u.mV),
        Parameter("E_Ca", 120.0, "E_{Ca}", "reversal potential of calcium", u.mV),
        Parameter("g_T_t", 3.0, "g_{T,t}", "conductance of T-type channels of t", CONDUCTANCE),
        Parameter("g_T_r", 2.3, "g_{T,r}", "conductance of T-type channels of r", CONDUCTANCE),
        Parameter("g_h", 0.062, "g_h", "conductance of the h current", CONDUCTANCE),
        Parameter("g_inc", 2.0, "g_{inc}", "gain of h channels with bound protein"),
        Parameter("E_h", -40.0, "E_h", "reversal potential of the h current", u.mV),
        Parameter("alpha_Ca", -51.8e-6, r"\alpha_{Ca}", "calcium per charge"),
        Parameter("tau_Ca", 10.0, r"\tau_{Ca}", "time constant of calcium", u.ms, POSITIVE),
        Parameter("Ca_0", 2.4e-4, "Ca_0", "calcium at rest"),
        Parameter("k1", 2.5e7, "k_1", "binding of calcium to protein"),
        Parameter("k2", 4.0e-4, "k_2", "release of calcium from protein", bounds=POSITIVE),
        Parameter("k3", 0.1, "k_3", "binding of protein to h channels", PER_MS),
        Parameter("k4", 0.001, "k_4", "release of protein from h channels", PER_MS),
        Parameter("n_P", 4.0, "n_P", "number of calcium ions per protein"),
        Parameter("N_tr", 5.0, "N_{tr}", "strength from r to t", u.ms),
        Parameter("N_rt", 3.0, "N_{rt}", "strength from t to r", u.ms),
        Parameter("N_rr", 25.0, "N_{rr}", "strength from r to r", u.ms),
    )
    INPUTS = (
        Input("t_inp", u.kHz, "noise_t"),
        Input("r_inp", u.kHz, "noise_r"),
        Input("V_t_inp", u.mV, "noise_V_t"),
        Input("V_r_inp", u.mV, "noise_V_r"),
    )
    SIGNALS = {
        "Q_t": lambda node, state: node.firing_rate(u.get_mantissa(state[0])) * u.kHz,
        "Q_r": lambda node, state: node.firing_rate(u.get_mantissa(state[1])) * u.kHz,
    }

    def derivative(self, state, t, drive):
        """Return the rates of all states, per ms."""
        V_t, V_r, Ca, h_t, h_r, m1, m2, *synapses = map(u.get_mantissa, state)
        (s_et, s_gt, s_er, s_gr), velocities = synapses[:4], synapses[4:]
        t_inp, r_inp, I_t, I_r = map(u.get_mantissa, drive)
        T_t = self.g_T_t.value() * sigmoid((V_t + 59) / 6.2) ** 2 * h_t * (V_t - self.E_Ca.value())
        T_r = self.g_T_r.value() * sigmoid((V_r + 52) / 7.4) ** 2 * h_r * (V_r - self.E_Ca.value())
        h = self.g_h.value() * (m1 + self.g_inc.value() * m2) * (V_t - self.E_h.value())
        dCa = self.alpha_Ca.value() * T_t - (Ca - self.Ca_0.value()) / self.tau_Ca.value()
        Q_t, Q_r = self.firing_rate(V_t), self.firing_rate(V_r)
        arriving = (
            t_inp,
            self.N_tr.value() * Q_r,
            self.N_rt.value() * Q_t + r_inp,
            self.N_rr.value() * Q_r,
        )
        speeds = (self.gamma_e.value(), self.gamma_r.value()) * 2
        entries = zip(speeds, arriving, (s_et, s_gt, s_er, s_gr), velocities, strict=True)
        return (
            self._membrane(V_t, s_et, s_gt, I_t, T_t + h),
            self._membrane(V_r, s_er, s_gr, I_r, T_r),
            dCa,
            (sigmoid(-(V_t + 81) / 4) - h_t) / _tau_h_t(V_t),
            (sigmoid(-(V_r + 80) / 5) - h_r) / _tau_h_r(V_r),
            *self._h_channels(V_t, Ca, m1, m2),
            *velocities,
            *(g**2 * (rate - s) - 2 * g * ds for g, rate, s, ds in entries),
        )

    def firing_rate(self, V):
        """Return the firing rate in kHz at the potential V in mV."""
        return self.Q_max.value() * sigmoid(self.C1.value() * (V - self.theta.value()) / self.sigma.value())

    def _membrane(self, V, excitation, inhibition, current, channels):
        """Return the rate of one potential under its synapses, a current and its own channels."""
        synaptic = self.g_L.value() * (V - self.E_L.value()) + current
        synaptic = synaptic + self.g_AMPA.value() * excitation * (V - self.E_AMPA.value())
        synaptic = synaptic + self.g_GABA.value() * inhibition * (V - self.E_GABA.value())
        leak = self.g_LK.value() * (V - self.E_K.value())
        return -synaptic / self.tau.value() - (leak + channels) / self.C_m.value()

    def _h_channels(self, V, Ca, m1, m2):
        """Return the rates of the open h channels, without and with bound protein."""
        open_share = sigmoid(-(V + 75) / 5.5)
        tau = 20 + 1000 / (jnp.exp((V + 71.5) / 14.2) + jnp.exp(-(V + 89) / 11.6))
        ions = jnp.where(Ca > 0, Ca, 1.0)
        bound = jnp.where(Ca > 0, self.k1.value() * jnp.exp(self.n_P.value() * jnp.log(ions)), 0.0)
        exchange = self.k3.value() * bound / (bound + self.k2.value()) * m1 - self.k4.value() * m2
        return (open_share * (1 - m2) - m1) / tau - exchange, exchange


def _tau_h_t(V):
    """Return the time constant of the T-type channels of relay neurons, in ms."""
    return (30.8 + (211.4 + jnp.exp((V + 115.2) / 5)) / (1 + jnp.exp((V + 86) / 3.2))) / TEMPERATURE


def _tau_h_r(V):
    """Return the time constant of the T-type channels of reticular neurons, in ms."""
    return (85 + 1 / (jnp.exp((V + 48) / 4) + jnp.exp(-(V + 407) / 50))) / TEMPERATURE
