"""Quadratic integrate-and-fire neurons with short-term adaptation, of Gast, Schmidt and Knoesche."""

import brainunit as u
import numpy as np

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


def _parameters(alpha: Parameter, eta: float) -> tuple[Parameter, ...]:
    """Return the parameters of both models, which differ in ``alpha`` and in the default of ``eta``."""
    return (
        Parameter("tau", 1.0 * u.ms, r"\tau", "membrane time constant", bounds=POSITIVE),
        Parameter("tau_A", 10.0 * u.ms, r"\tau_A", "time constant of the adaptation", bounds=POSITIVE),
        alpha,
        Parameter("I", 0.0, "I", "constant current"),
        Parameter("Delta", 2.0, r"\Delta", "half-width of the excitabilities", bounds=POSITIVE),
        Parameter("J", 21.2132, "J", "recurrent strength"),
        Parameter("eta", eta, r"\eta", "mean excitability"),
    )


STATES = (
    StateVariable("r", 10.0 * u.Hz, u.Hz),
    StateVariable("v", -1.0),
    StateVariable("A"),
    StateVariable("B"),
)
INPUTS = (Input("v_inp", noise="noise_v"), Input("r_inp", u.Hz, "noise_r"))


class GastSchmidtKnoscheSDStep(NeuralMass):
    r"""Simulate firing rate r and mean potential v of neurons whose synapses depress.

    .. math::

        \dot r &= (\Delta / (\pi \tau) + 2 v r) / \tau + I_r \\
        \tau \dot v &= v^2 + \eta + J \tau r (1 - A) - (\pi \tau r)^2 + I + I_v \\
        \tau_A \dot A &= B \\
        \tau_A \dot B &= \alpha r - 2 B - A

    {parameters}

    Notes
    -----
    The first input, ``v_inp``, is a current, into which the literature couples; ``r_inp`` adds to the rate of
    r, in Hz per ms.

    References
    ----------
    Gast, R., Schmidt, H., Knoesche, T. R. (2020). A mean-field description of bursting dynamics in spiking
    neural networks with short-term adaptation. Neural Computation 32, 1615-1634.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.gast_schmidt_knosche import GastSchmidtKnoscheSDStep
    >>> node = GastSchmidtKnoscheSDStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.01 * u.ms):
    ...     print(u.get_unit(node.update()))
    Hz
    """

    STATES = STATES
    PARAMETERS = _parameters(
        Parameter("alpha", 0.5 * u.ms, r"\alpha", "depression per spike, times its time constant"), -6.0
    )
    INPUTS = INPUTS

    def derivative(self, state, t, drive):
        """Return the rates of all states."""
        r, v, A, B = state
        return _rates(self, state, self.J.value() * r * self.tau.value() * (1 - A), drive)


class GastSchmidtKnoscheSFStep(NeuralMass):
    r"""Simulate firing rate r and mean potential v of neurons whose firing adapts.

    .. math::

        \dot r &= (\Delta / (\pi \tau) + 2 v r) / \tau + I_r \\
        \tau \dot v &= v^2 + \eta + J \tau r - A - (\pi \tau r)^2 + I + I_v \\
        \tau_A \dot A &= B \\
        \tau_A \dot B &= \alpha r - 2 B - A

    {parameters}

    Notes
    -----
    The inputs are those of `GastSchmidtKnoscheSDStep`.

    References
    ----------
    Gast, R., Schmidt, H., Knoesche, T. R. (2020). A mean-field description of bursting dynamics in spiking
    neural networks with short-term adaptation. Neural Computation 32, 1615-1634.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.gast_schmidt_knosche import GastSchmidtKnoscheSFStep
    >>> node = GastSchmidtKnoscheSFStep(2)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.01 * u.ms):
    ...     print(u.get_unit(node.update()))
    Hz
    """

    STATES = STATES
    PARAMETERS = _parameters(
        Parameter("alpha", 10.0 * u.ms, r"\alpha", "adaptation per spike, times its time constant"), 1.0
    )
    INPUTS = INPUTS

    def derivative(self, state, t, drive):
        """Return the rates of all states."""
        r, v, A, B = state
        return _rates(self, state, self.J.value() * r * self.tau.value() - A, drive)


def _rates(node, state, recurrent, drive):
    """Return the rates of all states under the recurrent current of the model."""
    r, v, A, B = state
    tau, tau_A = node.tau.value(), node.tau_A.value()
    current = node.eta.value() + recurrent + node.I.value() + drive[0]
    return (
        (node.Delta.value() / (np.pi * tau) + 2 * v * r) / tau + drive[1] / u.ms,
        (v**2 + current - (np.pi * tau * r) ** 2) / tau,
        B / tau_A,
        (node.alpha.value() * r - 2 * B - A) / tau_A,
    )
