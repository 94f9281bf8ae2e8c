"""The next generation neural mass of Coombes and Byrne: spiking neurons with synaptic conductances."""

import numpy as np

from .base import NeuralMass
from .declaration import POSITIVE, Parameter, StateVariable


class CoombesByrneStep(NeuralMass):
    r"""Simulate firing rate r and mean potential v of theta neurons with instantaneous synapses.

    .. math::

        \dot r &= \Delta / \pi + 2 v r - g r + I_r \\
        \dot v &= v^2 - (\pi r)^2 + \eta + (v_{syn} - v) g + I_v, \qquad g = k \pi r

    {parameters}

    Notes
    -----
    Dimensionless; one unit of time, the membrane time constant, is 1 ms. The literature couples into
    ``v_inp``. With the conductance as a state of its own it is `CoombesByrne4DStep`, which other programs
    call CoombesByrne. The conductance lowers r by :math:`g r`; a term :math:`g r^2` found in some
    documentation is a slip.

    References
    ----------
    Coombes, S., Byrne, A. (2019). Next generation neural mass models. In Nonlinear Dynamics in Computational
    Neuroscience, 1-16. Springer.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.coombes_byrne import CoombesByrneStep
    >>> node = CoombesByrneStep(2, eta=2.0)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.01 * u.ms):
    ...     print(node.update().shape)
    (2,)
    """

    STATES = (StateVariable("r", 0.1), StateVariable("v", 0.0))
    PARAMETERS = (
        Parameter("Delta", 1.0, r"\Delta", "half-width of the excitabilities", bounds=POSITIVE),
        Parameter("eta", 2.0, r"\eta", "mean excitability"),
        Parameter("k", 1.0, "k", "strength of the synaptic conductance"),
        Parameter("v_syn", -4.0, "v_{syn}", "reversal potential of the synapses"),
    )

    def derivative(self, state, t, drive):
        """Return the rates of r and v, per ms."""
        r, v = state
        return _membrane(self, r, v, self.k.value() * np.pi * r, *drive)


class CoombesByrne4DStep(NeuralMass):
    r"""Simulate firing rate r and mean potential v of theta neurons with second-order synapses.

    .. math::

        \dot r &= \Delta / \pi + 2 v r - g r + I_r \\
        \dot v &= v^2 - (\pi r)^2 + \eta + (v_{syn} - v) g + I_v \\
        \dot g &= \alpha q \\
        \dot q &= \alpha (k \pi r - g - 2 q)

    {parameters}

    Notes
    -----
    As in `CoombesByrneStep`, whose conductance g follows the rate at once. The literature couples into
    ``v_inp``.

    References
    ----------
    Coombes, S., Byrne, A. (2019). Next generation neural mass models. In Nonlinear Dynamics in Computational
    Neuroscience, 1-16. Springer.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.coombes_byrne import CoombesByrne4DStep
    >>> node = CoombesByrne4DStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.01 * u.ms):
    ...     print(node.update().shape)
    (2,)
    """

    STATES = (StateVariable("r", 0.1), StateVariable("v"), StateVariable("g"), StateVariable("q"))
    PARAMETERS = (
        Parameter("Delta", 0.5, r"\Delta", "half-width of the excitabilities", bounds=POSITIVE),
        Parameter("eta", 20.0, r"\eta", "mean excitability"),
        Parameter("k", 1.0, "k", "strength of the synaptic conductance"),
        Parameter("v_syn", -10.0, "v_{syn}", "reversal potential of the synapses"),
        Parameter("alpha", 0.95, r"\alpha", "rate of the synapses", bounds=POSITIVE),
    )

    def derivative(self, state, t, drive):
        """Return the rates of all states, per ms."""
        r, v, g, q = state
        dr, dv = _membrane(self, r, v, g, drive[0], drive[1])
        alpha = self.alpha.value()
        dq = alpha * (self.k.value() * np.pi * r - g - 2 * q)
        return dr, dv, alpha * q + drive[2], dq + drive[3]


def _membrane(node, r, v, g, r_inp, v_inp):
    """Return the rates of r and v at the conductance ``g``."""
    dr = node.Delta.value() / np.pi + 2 * v * r - g * r + r_inp
    dv = v**2 - (np.pi * r) ** 2 + node.eta.value() + (node.v_syn.value() - v) * g + v_inp
    return dr, dv
