"""The Stuart-Landau oscillator in the units of whole-brain studies: frequency in Hz, time in seconds."""

import brainunit as u
import numpy as np

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


class StuartLandauStep(NeuralMass):
    r"""Simulate :math:`z = x + iy`, the normal form of a Hopf bifurcation at a frequency given in Hz.

    .. math::

        \dot x &= (a - \beta r^2) x - 2 \pi f y + I_x \\
        \dot y &= (a - \beta r^2) y + 2 \pi f x + I_y, \qquad r^2 = x^2 + y^2

    {parameters}

    Notes
    -----
    The model of `HopfStep` with the rates of the literature, per second: a, :math:`\beta` and the inputs are
    in Hz. For :math:`a < 0` it rings at f when noise or other regions drive it. A noise :math:`\beta_n \, dW`
    of the literature, with time in seconds, is ``WhiteNoise(n, beta_n * u.Hz**0.5)``. ``update`` returns the
    pair (x, y). The model of this name in brainmass takes an angular frequency ``w`` in rad per ms; plain
    numbers are refused here, so that the two are not mixed up.

    References
    ----------
    Cabral, J. et al. (2022). Metastable oscillatory modes emerge from synchronization in the brain spacetime
    connectome. Communications Physics 5, 184.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.stuart_landau import StuartLandauStep
    >>> node = StuartLandauStep(3, a=-5.0 * u.Hz, f=40.0 * u.Hz)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     x, y = node.update()
    >>> x.shape
    (3,)
    """

    STATES = (StateVariable("x", 0.1), StateVariable("y", 0.0))
    PARAMETERS = (
        Parameter("a", -5.0 * u.Hz, "a", "bifurcation parameter", plain=False),
        Parameter("f", 40.0 * u.Hz, "f", "natural frequency", plain=False),
        Parameter("beta", 1.0 * u.Hz, r"\beta", "cubic saturation", bounds=POSITIVE, plain=False),
    )
    INPUTS = (Input("x_inp", u.Hz, "noise_x"), Input("y_inp", u.Hz, "noise_y"))
    RENAMED = {"w": "It takes the frequency f = w / (2 * pi), with a unit; `HopfStep` takes w"}

    def derivative(self, state, t, drive):
        """Return the rates of x and y."""
        x, y = state
        turn = 2 * np.pi * self.f.value()
        growth = self.a.value() - self.beta.value() * (x**2 + y**2)
        return growth * x - turn * y + drive[0], growth * y + turn * x + drive[1]

    def output(self):
        """Return the pair (x, y)."""
        return self.x.value, self.y.value
