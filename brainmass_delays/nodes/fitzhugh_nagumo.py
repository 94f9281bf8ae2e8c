"""The FitzHugh-Nagumo model."""

import braintools
import brainunit as u

from .base import NeuralMass
from .declaration import POSITIVE, Parameter, StateVariable


class FitzHughNagumoStep(NeuralMass):
    r"""Simulate the FitzHugh-Nagumo model, a fast activator V and a slow recovery variable w.

    .. math::

        \dot V &= -\alpha V^3 + \beta V^2 + \gamma V - w + I_V \\
        \dot w &= (V - \delta - \epsilon w) / \tau + I_w

    {parameters}

    Notes
    -----
    States are dimensionless, inputs are per ms.

    References
    ----------
    Kostova, T., Ravindran, R., Schonbek, M. (2004). FitzHugh-Nagumo revisited: types of bifurcations,
    periodical forcing and stability regions by a Lyapunov functional. International Journal of Bifurcation
    and Chaos 14, 913-925.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.fitzhugh_nagumo import FitzHughNagumoStep
    >>> node = FitzHughNagumoStep(2, tau=15.0 * u.ms, init_V=0.1, init_w=0.0)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(node.update().shape)
    (2,)
    """

    STATES = (
        StateVariable("V", braintools.init.Uniform(0.0, 0.05)),
        StateVariable("w", braintools.init.Uniform(0.0, 0.05)),
    )
    PARAMETERS = (
        Parameter("alpha", 3.0, r"\alpha", "cubic coefficient"),
        Parameter("beta", 4.0, r"\beta", "quadratic coefficient"),
        Parameter("gamma", -1.5, r"\gamma", "linear coefficient"),
        Parameter("delta", 0.0, r"\delta", "offset of the w nullcline"),
        Parameter("epsilon", 0.5, r"\epsilon", "decay of w"),
        Parameter("tau", 20.0 * u.ms, r"\tau", "time constant of w", bounds=POSITIVE),
    )

    def derivative(self, state, t, drive):
        """Return the rates of V and w."""
        V, w = state
        cubic = -self.alpha.value() * V**3 + self.beta.value() * V**2 + self.gamma.value() * V
        recovery = (V - self.delta.value() - self.epsilon.value() * w) / self.tau.value()
        return cubic - w + drive[0], recovery + drive[1] / u.ms
