"""A damped linear node."""

from .base import NeuralMass
from .declaration import PER_MS, Parameter, StateVariable


class LinearStep(NeuralMass):
    r"""Simulate a linear node with damping, the baseline of network tests.

    .. math:: \dot x = \gamma x + I_x

    {parameters}

    Notes
    -----
    The network is stable if :math:`-\gamma` exceeds the summed strength of the incoming connections. The
    method ``'exp_euler'`` is exact for an input that is constant over the step.

    References
    ----------
    Sanz-Leon, P., Knock, S. A., Spiegler, A., Jirsa, V. K. (2015). Mathematical framework for large-scale
    brain network modeling in The Virtual Brain. NeuroImage 111, 385-430.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.linear import LinearStep
    >>> node = LinearStep(1, gamma=-1.0, init_x=1.0, method='exp_euler')
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=1.0 * u.ms):
    ...     print(round(float(node.update()[0]), 4))
    0.3679
    """

    STATES = (StateVariable("x", 0.01),)
    PARAMETERS = (Parameter("gamma", -10.0, r"\gamma", "damping, negative for a stable node", PER_MS),)

    def derivative(self, state, t, drive):
        """Return the rate of x, per ms."""
        return (self.gamma.value() * state[0] + drive[0],)
