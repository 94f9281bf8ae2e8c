"""The Jansen-Rit model of a cortical column."""

import brainunit as u
import jax.nn

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable

VELOCITY = u.mV / u.second


class JansenRitStep(NeuralMass):
    r"""Simulate a cortical column of pyramidal cells (M), excitatory (E) and inhibitory (I) interneurons.

    .. math::

        \ddot M &= A_e b_e S(E - I + I_M) - 2 b_e \dot M - b_e^2 M \\
        \ddot E &= A_e b_e \big(I_E + C a_2 S(C a_1 M)\big) - 2 b_e \dot E - b_e^2 E \\
        \ddot I &= A_i b_i C a_4 S(C a_3 M + I_I) - 2 b_i \dot I - b_i^2 I

    with the firing rate :math:`S(v) = s_{max} \, \sigma(r (v - v_0))` and the logistic function
    :math:`\sigma`. The velocities are the states ``Mv``, ``Ev`` and ``Iv``.

    {parameters}

    Notes
    -----
    ``update`` returns the EEG proxy E - I, also found as `eeg`. The inputs are ``M_inp`` (mV), ``E_inp`` (Hz)
    and ``I_inp`` (mV); only ``E_inp`` enters linearly, so white noise belongs there. The signals ``psp``, the
    potential E - I, and ``rate``, the firing rate there, can travel to other regions.

    References
    ----------
    Jansen, B. H., Rit, V. G. (1995). Electroencephalogram and visual evoked potential generation in a
    mathematical model of coupled cortical columns. Biological Cybernetics 73, 357-366.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.jansen_rit import JansenRitStep
    >>> node = JansenRitStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     eeg = node.update(0.0 * u.mV, 200.0 * u.Hz)
    >>> str(u.get_unit(eeg))
    'mV'
    """

    STATES = (
        StateVariable("M", 0.0, u.mV, "M_init"),
        StateVariable("E", 0.0, u.mV, "E_init"),
        StateVariable("I", 0.0, u.mV, "I_init"),
        StateVariable("Mv", 0.0, VELOCITY, "Mv_init"),
        StateVariable("Ev", 0.0, VELOCITY, "Ev_init"),
        StateVariable("Iv", 0.0, VELOCITY, "Iv_init"),
    )
    PARAMETERS = (
        Parameter("Ae", 3.25 * u.mV, "A_e", "excitatory gain"),
        Parameter("Ai", 22.0 * u.mV, "A_i", "inhibitory gain"),
        Parameter("be", 100.0 * u.Hz, "b_e", "excitatory rate constant", bounds=POSITIVE),
        Parameter("bi", 50.0 * u.Hz, "b_i", "inhibitory rate constant", bounds=POSITIVE),
        Parameter("C", 135.0, "C", "average number of synapses"),
        Parameter("a1", 1.0, "a_1", "fraction of synapses from M to E"),
        Parameter("a2", 0.8, "a_2", "fraction of synapses from E to M"),
        Parameter("a3", 0.25, "a_3", "fraction of synapses from M to I"),
        Parameter("a4", 0.25, "a_4", "fraction of synapses from I to M"),
        Parameter("s_max", 5.0 * u.Hz, "s_{max}", "largest firing rate"),
        Parameter("v0", 6.0 * u.mV, "v_0", "potential of half the largest rate"),
        Parameter("r", 0.56, "r", "steepness of the firing rate", u.mV**-1),
    )
    INPUTS = (
        Input("M_inp", u.mV, "noise_M"),
        Input("E_inp", u.Hz, "noise_E"),
        Input("I_inp", u.mV, "noise_I"),
    )

    SIGNALS = {
        "psp": lambda node, state: state[1] - state[2],
        "rate": lambda node, state: node.firing_rate(state[1] - state[2]),
    }

    def derivative(self, state, t, drive):
        """Return the rates of the three potentials and the three velocities."""
        M, E, I, Mv, Ev, Iv = state
        C = self.C.value()
        to_M = self.firing_rate(E - I + drive[0])
        to_E = drive[1] + C * self.a2.value() * self.firing_rate(C * self.a1.value() * M)
        to_I = C * self.a4.value() * self.firing_rate(C * self.a3.value() * M + drive[2])
        Ae, Ai, be, bi = self.Ae.value(), self.Ai.value(), self.be.value(), self.bi.value()
        return (
            Mv,
            Ev,
            Iv,
            _synapse(Ae, be, to_M, M, Mv),
            _synapse(Ae, be, to_E, E, Ev),
            _synapse(Ai, bi, to_I, I, Iv),
        )

    def firing_rate(self, v):
        """Return the firing rate at the potential ``v``."""
        return self.s_max.value() * jax.nn.sigmoid(self.r.value() * ((v - self.v0.value()) / u.mV))

    def eeg(self):
        """Return the EEG proxy, the potential E - I at the pyramidal cells, in mV."""
        return self.E.value - self.I.value

    def output(self):
        """Return the EEG proxy."""
        return self.eeg()


def _synapse(gain, b, rate, y, velocity):
    """Return the acceleration of a second-order synapse driven by ``rate``."""
    return gain * b * rate - 2 * b * velocity - b**2 * y
