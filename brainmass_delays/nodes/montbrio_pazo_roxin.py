"""The exact mean field of quadratic integrate-and-fire neurons."""

import braintools
import brainunit as u
import numpy as np

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable


class MontbrioPazoRoxinStep(NeuralMass):
    r"""Simulate the firing rate r and mean potential v of quadratic integrate-and-fire neurons.

    .. math::

        \dot r &= \frac{\Delta}{\pi \tau} + \frac{2 r v}{\tau} + I_r \\
        \tau \dot v &= v^2 + \eta + J \tau r - (\pi \tau r)^2 + I_v

    {parameters}

    Notes
    -----
    ``delta`` is a rate, the dimensionless half-width of the excitabilities divided by :math:`\tau`: a
    dimensionless 1 at ``tau = 1 ms`` is ``1000 * brainunit.Hz``. The input ``r_inp`` is in Hz per ms. At
    ``tau = 1 ms`` the equations are those of brainmass, which scales :math:`2 r v` and :math:`I_r` by 1 ms at
    every tau.

    References
    ----------
    Montbrio, E., Pazo, D., Roxin, A. (2015). Macroscopic description for networks of spiking neurons.
    Physical Review X 5, 021028.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.montbrio_pazo_roxin import MontbrioPazoRoxinStep
    >>> node = MontbrioPazoRoxinStep(2, init_r=0.01 * u.Hz, init_v=-2.0)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.01 * u.ms):
    ...     print(u.get_unit(node.update()))
    Hz
    """

    STATES = (
        StateVariable("r", braintools.init.Uniform(0.0 * u.Hz, 0.05 * u.Hz), u.Hz),
        StateVariable("v", braintools.init.Uniform(0.0, 0.05)),
    )
    PARAMETERS = (
        Parameter("tau", 1.0 * u.ms, r"\tau", "membrane time constant", bounds=POSITIVE),
        Parameter("eta", -5.0, r"\eta", "mean excitability"),
        Parameter("delta", 1.0 * u.Hz, r"\Delta", "half-width of the excitabilities over the time constant"),
        Parameter("J", 15.0, "J", "recurrent strength"),
    )
    INPUTS = (Input("r_inp", u.Hz, "noise_r"), Input("v_inp", noise="noise_v"))

    def derivative(self, state, t, drive):
        """Return the rates of r and v."""
        r, v = state
        tau = self.tau.value()
        spikes = r * tau
        dr = self.delta.value() / (np.pi * tau) + 2 * r * v / tau + drive[0] / u.ms
        dv = (v**2 + self.eta.value() + self.J.value() * spikes - (np.pi * spikes) ** 2 + drive[1]) / tau
        return dr, dv
