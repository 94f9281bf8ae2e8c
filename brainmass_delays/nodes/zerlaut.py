"""The mean field of adaptive exponential integrate-and-fire neurons of Zerlaut, di Volo and Destexhe."""

import brainunit as u
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable

# Coefficients of the threshold, in mV: constant; linear in V, S and T; squares; V S, V T and S T.
TERMS = ("constant", "V", "S", "T", "V^2", "S^2", "T^2", "V S", "V T", "S T")
P_E = (
    -49.83106, 5.063550882777035, -23.470121807314552, 2.2951513725067503, -0.4105302652029825,
    10.547051343547399, -36.59252821136933, 7.437487505797858, 1.265064721846073, -40.72161294490446,
)  # fmt: skip
P_I = (
    -51.49122024209484, 4.003689190271077, -8.352013668528155, 0.2414237992765705, -0.5070645080016026,
    1.4345394104282397, -14.686689498949967, 4.502706285435741, 2.8472190352532454, -15.357804594594548,
)  # fmt: skip
SPONTANEOUS = 1e-6  # kHz, release without spikes, as in the programs of the authors


def _threshold(population: str, coefficients: tuple[float, ...]) -> tuple[Parameter, ...]:
    """Return the ten coefficients of the threshold of one population as parameters."""
    return tuple(
        Parameter(
            f"P_{population}{i}", value, f"P_{{{population},{i}}}", f"threshold of {population}: {term}", u.mV
        )
        for i, (value, term) in enumerate(zip(coefficients, TERMS, strict=True))
    )


class ZerlautStep(NeuralMass):
    r"""Simulate the rates E and I of two populations through their fitted transfer functions, first order.

    .. math::

        T \dot E &= F_e(E, I, c, W_e) - E, \qquad T \dot I = F_i(E, I, c, W_i) - I \\
        \dot W_p &= -W_p / \tau_{w,p} + b_p \nu_p + a_p (\mu_V - E_{L,p}) / \tau_{w,p} \\
        F_p &= \frac{1}{2 \tau_V} \mathrm{erfc}\left(\frac{V_{thr} - \mu_V}{\sqrt 2 \, \sigma_V}\right)

    Mean :math:`\mu_V`, standard deviation :math:`\sigma_V` and correlation time :math:`\tau_V` of the
    potential follow from the rates of excitatory and inhibitory synapses (shot noise); the threshold
    :math:`V_{thr}` is a polynomial of second degree in :math:`(\mu_V + 60) / 10`, :math:`(\sigma_V - 4) / 6`
    (in mV) and :math:`\tau_V g_L / C_m - 1/2`, which the table calls V, S and T.

    {parameters}

    Notes
    -----
    The input ``E_inp`` is the rate c of excitatory spikes per external fiber (kHz), into which the literature
    couples and which reaches both populations; a negative sum is no rate and counts as 0, with a gradient of
    0. ``E_stim`` and ``I_stim`` are rates that reach one population each. The fluctuating drive of the
    literature is ``noise_E=OUNoise(n, sigma, tau=5 * u.ms)``. Equations 4 to 11 of di Volo et al. (2019), for
    regular spiking and fast spiking cells.

    References
    ----------
    Zerlaut, Y., Chemla, S., Chavane, F., Destexhe, A. (2018). Modeling mesoscopic cortical dynamics using a
    mean-field model of conductance-based networks of adaptive exponential integrate-and-fire neurons. Journal
    of Computational Neuroscience 44, 45-61.

    di Volo, M., Romagnoni, A., Capone, C., Destexhe, A. (2019). Biologically realistic mean-field models of
    conductance-based networks of spiking neurons with adaptation. Neural Computation 31, 653-680.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.zerlaut import ZerlautStep
    >>> node = ZerlautStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(node.update(0.4 * u.Hz).shape)
    (2,)
    """

    STATES = (
        StateVariable("E", 1.0 * u.Hz, u.kHz),
        StateVariable("I", 1.0 * u.Hz, u.kHz),
        StateVariable("W_e", 0.0, u.pA),
        StateVariable("W_i", 0.0, u.pA),
    )
    PARAMETERS = (
        Parameter("g_L", 10.0, "g_L", "leak conductance", u.nS, POSITIVE),
        Parameter("E_L_e", -65.0, "E_{L,e}", "leak reversal potential of E", u.mV),
        Parameter("E_L_i", -65.0, "E_{L,i}", "leak reversal potential of I", u.mV),
        Parameter("C_m", 200.0, "C_m", "membrane capacitance", u.pF, POSITIVE),
        Parameter("b_e", 60.0, "b_e", "adaptation of E per spike", u.pA),
        Parameter("a_e", 4.0, "a_e", "adaptation of E by the potential", u.nS),
        Parameter("b_i", 0.0, "b_i", "adaptation of I per spike", u.pA),
        Parameter("a_i", 0.0, "a_i", "adaptation of I by the potential", u.nS),
        Parameter("tau_w_e", 500.0, r"\tau_{w,e}", "time constant of the adaptation of E", u.ms, POSITIVE),
        Parameter("tau_w_i", 1.0, r"\tau_{w,i}", "time constant of the adaptation of I", u.ms, POSITIVE),
        Parameter("E_e", 0.0, "E_e", "reversal potential of excitatory synapses", u.mV),
        Parameter("E_i", -80.0, "E_i", "reversal potential of inhibitory synapses", u.mV),
        Parameter("Q_e", 1.5, "Q_e", "excitatory conductance per spike", u.nS),
        Parameter("Q_i", 5.0, "Q_i", "inhibitory conductance per spike", u.nS),
        Parameter("tau_e", 5.0, r"\tau_e", "time constant of excitatory synapses", u.ms, POSITIVE),
        Parameter("tau_i", 5.0, r"\tau_i", "time constant of inhibitory synapses", u.ms, POSITIVE),
        Parameter("N_tot", 10000.0, "N", "number of neurons", bounds=POSITIVE),
        Parameter("p_connect_e", 0.05, "p_e", "probability of a connection from E"),
        Parameter("p_connect_i", 0.05, "p_i", "probability of a connection from I"),
        Parameter("g", 0.2, "g", "share of inhibitory neurons", bounds=(0.0, 1.0)),
        Parameter("K_ext_e", 400.0, "K_e", "number of external excitatory fibers"),
        Parameter("K_ext_i", 0.0, "K_i", "number of external inhibitory fibers"),
        Parameter("T", 20.0, "T", "time constant of the rates", u.ms, POSITIVE),
        Parameter("external_input_ex_ex", 0.0, r"\nu_{ee}", "constant excitatory rate to E", u.kHz),
        Parameter("external_input_ex_in", 0.0, r"\nu_{ei}", "constant inhibitory rate to E", u.kHz),
        Parameter("external_input_in_ex", 0.0, r"\nu_{ie}", "constant excitatory rate to I", u.kHz),
        Parameter("external_input_in_in", 0.0, r"\nu_{ii}", "constant inhibitory rate to I", u.kHz),
        *_threshold("e", P_E),
        *_threshold("i", P_I),
    )
    INPUTS = (
        Input("E_inp", u.kHz, "noise_E"),
        Input("E_stim", u.kHz, "noise_E_stim"),
        Input("I_stim", u.kHz, "noise_I_stim"),
    )

    def derivative(self, state, t, drive):
        """Return the rates of change of both firing rates and both adaptations."""
        E, I, W_e, W_i = map(u.get_mantissa, state)
        coupling, E_stim, I_stim = map(u.get_mantissa, drive)
        arriving = jnp.where(coupling > 0, coupling, 0.0)
        dE, dW_e = self._population("e", "ex", E, I, E, arriving + E_stim, W_e)
        dI, dW_i = self._population("i", "in", E, I, I, arriving + I_stim, W_i)
        return dE, dI, dW_e, dW_i

    def _population(self, p, name, E, I, own, external, W):
        """Return the rates of the firing rate ``own`` of one population and of its adaptation ``W``."""

        def value(key):
            return getattr(self, key).value()

        N, g = value("N_tot"), value("g")
        excitation = external + value(f"external_input_{name}_ex")
        fe = (E + SPONTANEOUS) * (1 - g) * value("p_connect_e") * N + excitation * value("K_ext_e")
        inhibition = value(f"external_input_{name}_in") * value("K_ext_i")
        fi = (I + SPONTANEOUS) * g * value("p_connect_i") * N + inhibition
        mu, sigma, tau = self._potential(fe, fi, value(f"E_L_{p}"), W)
        V, S, T = (mu + 60) / 10, (sigma - 4) / 6, tau * self.g_L.value() / self.C_m.value() - 0.5
        terms = (1.0, V, S, T, V * V, S * S, T * T, V * S, V * T, S * T)
        threshold = sum(value(f"P_{p}{i}") * term for i, term in enumerate(terms))
        rate = erfc((threshold - mu) / (np.sqrt(2) * sigma)) / (2 * tau)
        tau_w = value(f"tau_w_{p}")
        attracted = value(f"a_{p}") * (mu - value(f"E_L_{p}")) / tau_w
        return (rate - own) / self.T.value(), -W / tau_w + value(f"b_{p}") * own + attracted

    def _potential(self, fe, fi, E_L, W):
        """Return mean, standard deviation and correlation time of the potential under two spike rates."""
        Q_e, Q_i, tau_e, tau_i = (getattr(self, key).value() for key in ("Q_e", "Q_i", "tau_e", "tau_i"))
        E_e, E_i, g_L = self.E_e.value(), self.E_i.value(), self.g_L.value()
        G_e, G_i = Q_e * tau_e * fe, Q_i * tau_i * fi
        G = g_L + G_e + G_i
        tau_m = self.C_m.value() / G
        mu = (G_e * E_e + G_i * E_i + g_L * E_L - W) / G
        power_e = fe * (Q_e / G * (E_e - mu) * tau_e) ** 2
        power_i = fi * (Q_i / G * (E_i - mu) * tau_i) ** 2
        weighted = power_e / (tau_e + tau_m) + power_i / (tau_i + tau_m)
        return mu, jnp.sqrt(weighted / 2), (power_e + power_i) / weighted
