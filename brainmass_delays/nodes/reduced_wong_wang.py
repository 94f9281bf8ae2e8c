"""The reduced Wong-Wang model of one excitatory population."""

from typing import Any

import brainunit as u

from .base import NeuralMass
from .declaration import PER_MS, POSITIVE, Input, Parameter, StateVariable
from .transfer import firing_rate


class ReducedWongWangStep(NeuralMass):
    r"""Simulate the synaptic gating S of an excitatory population, the model of resting-state BOLD studies.

    .. math::

        \dot S &= -S / \tau_s + (1 - S) \, \gamma H(x) + I_S \\
        H(x) &= \frac{a x - b}{1 - e^{-d (a x - b)}}, \qquad x = w J_N S + I_o + J_N c + I

    {parameters}

    Notes
    -----
    The inputs are ``coupling``, the weighted sum c of the gatings of other regions (in the literature
    :math:`G \sum_j C_{ij} S_j`, dimensionless), ``I_inp``, a current I, and ``S_inp``, which adds to the rate
    of S, per ms: there belongs white noise, of strength 0.001 in Deco et al. (2013). Equations and parameters
    are those of their page 11242. Where :math:`a x = b` the formula of H is 0/0; value and gradient are exact
    there.

    References
    ----------
    Deco, G., Ponce-Alvarez, A., Mantini, D., Romani, G. L., Hagmann, P., Corbetta, M. (2013). Resting-state
    functional connectivity emerges from structurally and dynamically shaped slow linear fluctuations. Journal
    of Neuroscience 33, 11239-11252.

    Wong, K.-F., Wang, X.-J. (2006). A recurrent network mechanism of time integration in perceptual
    decisions. Journal of Neuroscience 26, 1314-1328.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.reduced_wong_wang import ReducedWongWangStep
    >>> node = ReducedWongWangStep(2, init_S=0.1)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(node.update(0.2).shape)
    (2,)
    """

    STATES = (StateVariable("S", 0.001),)
    PARAMETERS = (
        Parameter("a", 0.27, "a", "gain of the rate", PER_MS / u.nA),
        Parameter("b", 0.108, "b", "threshold of the rate", PER_MS),
        Parameter("d", 154.0, "d", "curvature of the rate at threshold", u.ms, POSITIVE),
        Parameter("gamma", 0.641, r"\gamma", "gating opened per spike"),
        Parameter("tau_s", 100.0, r"\tau_s", "time constant of the gating", u.ms, POSITIVE),
        Parameter("w", 0.6, "w", "local recurrence"),
        Parameter("J_N", 0.2609, "J_N", "synaptic coupling", u.nA),
        Parameter("I_o", 0.33, "I_o", "external current", u.nA),
    )
    INPUTS = (Input("coupling"), Input("I_inp", u.nA), Input("S_inp", noise="noise_S"))

    def derivative(self, state, t, drive):
        """Return the rate of the gating, per ms."""
        (S,) = state
        opening = (1 - S) * self.gamma.value() * self.firing_rate(S, drive[0], drive[1])
        return (-S / self.tau_s.value() + opening + drive[2],)

    def firing_rate(self, S, coupling: Any = 0.0, current: Any = 0.0):
        """Return H, the firing rate per ms, for a gating, a sum of other gatings and a current in nA."""
        J_N = self.J_N.value()
        x = self.w.value() * J_N * S + self.I_o.value() + J_N * coupling + u.get_mantissa(current)
        return firing_rate(x, self.a.value(), self.b.value(), self.d.value())
