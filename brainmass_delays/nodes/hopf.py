"""The normal form of a supercritical Hopf bifurcation."""

from .base import NeuralMass
from .declaration import PER_MS, Parameter, StateVariable


class HopfStep(NeuralMass):
    r"""Simulate the normal form of a supercritical Hopf bifurcation, x + iy.

    .. math::

        \dot x &= (a - \beta r^2) x - \omega y + I_x \\
        \dot y &= (a - \beta r^2) y + \omega x + I_y, \qquad r^2 = x^2 + y^2

    {parameters}

    Notes
    -----
    For :math:`a > 0` the node oscillates with amplitude :math:`\sqrt{a / \beta}` and period :math:`2 \pi /
    \omega`; for :math:`a < 0` it is a damped focus driven by its inputs. ``update`` returns the pair (x, y).
    The default start is not 0, which is a fixed point, unstable for :math:`a > 0`.

    References
    ----------
    Deco, G. et al. (2017). The dynamics of resting fluctuations in the brain. Scientific Reports 7, 3095.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.hopf import HopfStep
    >>> node = HopfStep(3, a=0.1, w=2 * 3.14159 * 10 * u.Hz, init_x=0.5)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     x, y = node.update()
    >>> x.shape
    (3,)
    """

    STATES = (StateVariable("x", 0.1), StateVariable("y", 0.0))
    PARAMETERS = (
        Parameter("a", 0.25, "a", "bifurcation parameter", PER_MS),
        Parameter("w", 0.2, r"\omega", "angular frequency", PER_MS),
        Parameter("beta", 1.0, r"\beta", "cubic saturation", PER_MS),
    )

    def derivative(self, state, t, drive):
        """Return the rates of x and y, per ms."""
        x, y = state
        w = self.w.value()
        growth = self.a.value() - self.beta.value() * (x**2 + y**2)
        return growth * x - w * y + drive[0], growth * y + w * x + drive[1]

    def output(self):
        """Return the pair (x, y)."""
        return self.x.value, self.y.value
