"""The Epileptor, a phenomenological model of partial seizures, and its reduction to two states."""

import jax.numpy as jnp

from .base import NeuralMass
from .declaration import POSITIVE, Input, Parameter, StateVariable

FAST = (
    Parameter("a", 1.0, "a", "cubic coefficient of x1"),
    Parameter("b", 3.0, "b", "quadratic coefficient of x1"),
    Parameter("c", 1.0, "c", "constant of the y1 nullcline"),
    Parameter("d", 5.0, "d", "quadratic coefficient of the y1 nullcline"),
    Parameter("r", 0.00035, "r", "rate of the permittivity z over that of x1", bounds=POSITIVE),
)
EXCITABILITY = (
    Parameter("x0", -1.6, "x_0", "excitability: epileptogenic above about -2.06"),
    Parameter("Iext", 3.1, "I_1", "current of the first population"),
    Parameter("slope", 0.0, "m", "slope of the linear part of x1"),
)
SCALE = (
    Parameter("tt", 1.0, "k_t", "speed of all states", bounds=POSITIVE),
    Parameter("modification", 0.0, r"\mu", "0 for the linear, 1 for the sigmoidal influence of x1 on z"),
)


class EpileptorStep(NeuralMass):
    r"""Simulate onset, time course and offset of seizures with three time scales.

    .. math::

        \dot x_1 &= k_t (y_1 - z + I_1 + K_{vf} c_1 - f_1(x_1, x_2, z) x_1) + s_1 \\
        \dot y_1 &= k_t (c - d x_1^2 - y_1) + s_4 \\
        \dot z &= k_t r (h(x_1, z) - z + K_s c_1) \\
        \dot x_2 &= k_t (-y_2 + x_2 - x_2^3 + I_2 + b_b g - 0.3 (z - 3.5) + K_f c_2) + s_2 \\
        \dot y_2 &= k_t (-y_2 + a_a \max(0, x_2 + 0.25)) / \tau + s_3 \\
        \dot g &= -0.01 k_t (g - 0.1 x_1)

    Here :math:`f_1` is :math:`a x_1^2 - b x_1` for :math:`x_1 < 0` and :math:`x_2 - m - 0.6 (z - 4)^2`
    otherwise, and :math:`h` is :math:`4 (x_1 - x_0)`, less :math:`0.1 z^7` for :math:`z < 0`; with
    ``modification = 1`` it is :math:`x_0 + 3 / (1 + e^{-(x_1 + 0.5) / 0.1})`.

    {parameters}

    Notes
    -----
    The inputs ``x1_inp`` and ``x2_inp`` are the couplings :math:`c_1` and :math:`c_2`, in the literature
    differences of the first and of the fourth state; their strengths :math:`K` are 0 by default. ``x1_stim``,
    ``x2_stim``, ``y2_stim`` and ``y1_stim`` add to the rates, per ms, and take noise. ``update`` returns the
    field potential :math:`x_2 - x_1`, which travels as the signal ``lfp``. Equations 1 to 5 of the paper,
    with the low-pass :math:`g` written as a state: its :math:`0.002 \int e^{-0.01 (t - s)} x_1(s) \, ds` is
    :math:`b_b g` with :math:`b_b = 2`. Its noise has two strengths, 0.025 for the first population (x1, y1)
    and 0.25 for the second (x2, y2); programs differ in whether these or their squares multiply the
    increments, so that there is no default. The kinks at :math:`x_1 = 0` and :math:`x_2 = -0.25` are
    continuous; the gradient there is that of the branch above.

    References
    ----------
    Jirsa, V. K., Stacey, W. C., Quilichini, P. P., Ivanov, A. I., Bernard, C. (2014). On the nature of
    seizure dynamics. Brain 137, 2210-2230.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.epileptor import EpileptorStep
    >>> node = EpileptorStep(2, x0=-1.6)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.05 * u.ms):
    ...     print(node.update().shape)
    (2,)
    """

    STATES = (
        StateVariable("x1", -1.5),
        StateVariable("y1", -10.0),
        StateVariable("z", 3.5),
        StateVariable("x2", -1.0),
        StateVariable("y2", 0.0),
        StateVariable("g", 0.0),
    )
    PARAMETERS = (
        *FAST,
        *EXCITABILITY,
        Parameter("Iext2", 0.45, "I_2", "current of the second population"),
        Parameter("tau", 10.0, r"\tau", "time constant of y2 over that of x1", bounds=POSITIVE),
        Parameter("aa", 6.0, "a_a", "slope of the y2 nullcline"),
        Parameter("bb", 2.0, "b_b", "strength from g to x2"),
        Parameter("Kvf", 0.0, "K_{vf}", "strength of the fast coupling to x1"),
        Parameter("Kf", 0.0, "K_f", "strength of the coupling to x2"),
        Parameter("Ks", 0.0, "K_s", "strength of the slow coupling to z"),
        *SCALE,
    )
    INPUTS = (
        Input("x1_inp"),
        Input("x2_inp"),
        Input("x1_stim", noise="noise_x1"),
        Input("x2_stim", noise="noise_x2"),
        Input("y2_stim", noise="noise_y2"),
        Input("y1_stim", noise="noise_y1"),
    )
    SIGNALS = {"lfp": lambda node, state: state[3] - state[0]}

    def derivative(self, state, t, drive):
        """Return the rates of all states, per ms."""
        x1, y1, z, x2, y2, g = state
        c1, c2, x1_stim, x2_stim, y2_stim, y1_stim = drive
        k = self.tt.value()
        below = self.a.value() * x1**2 - self.b.value() * x1
        above = x2 - self.slope.value() - 0.6 * (z - 4) ** 2
        f1 = jnp.where(x1 < 0, below, above)
        dx1 = y1 - z + self.Iext.value() + self.Kvf.value() * c1 - f1 * x1
        dx2 = -y2 + x2 - x2**3 + self.Iext2.value() + self.bb.value() * g - 0.3 * (z - 3.5)
        y2_target = jnp.where(x2 < -0.25, 0.0, self.aa.value() * (x2 + 0.25))
        return (
            k * dx1 + x1_stim,
            k * (self.c.value() - self.d.value() * x1**2 - y1) + y1_stim,
            k * self.r.value() * (permittivity(self, x1, z) - z + self.Ks.value() * c1),
            k * (dx2 + self.Kf.value() * c2) + x2_stim,
            k * (y2_target - y2) / self.tau.value() + y2_stim,
            -0.01 * k * (g - 0.1 * x1),
        )

    def output(self):
        """Return the field potential x2 - x1."""
        return self.x2.value - self.x1.value


class Epileptor2DStep(NeuralMass):
    r"""Simulate the permittivity z and one fast state, the Epileptor averaged over its fast discharges.

    .. math::

        \dot x_1 &= k_t (c - z + I_1 + K_{vf} c_1 - f(x_1, z) x_1) + s_1 \\
        \dot z &= k_t r (h(x_1, z) - z + K_s c_1) + s_2

    Here :math:`f` is :math:`a x_1^2 + (d - b) x_1` for :math:`x_1 < 0` and :math:`d x_1 - m - 0.6 (z - 4)^2`
    otherwise; :math:`h` is that of `EpileptorStep`.

    {parameters}

    Notes
    -----
    The input ``x1_inp`` is the coupling :math:`c_1`, in the literature a difference of states; ``x1_stim``
    and ``z_stim`` add to the rates, per ms, and take noise.

    References
    ----------
    Proix, T., Bartolomei, F., Chauvel, P., Bernard, C., Jirsa, V. K. (2014). Permittivity coupling across
    brain regions determines seizure recruitment in partial epilepsy. Journal of Neuroscience 34, 15009-15021.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.epileptor import Epileptor2DStep
    >>> node = Epileptor2DStep(2, x0=-1.6)
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.05 * u.ms):
    ...     print(node.update().shape)
    (2,)
    """

    STATES = (StateVariable("x1", -1.5), StateVariable("z", 3.5))
    PARAMETERS = (
        *FAST,
        *EXCITABILITY,
        Parameter("Kvf", 0.0, "K_{vf}", "strength of the fast coupling to x1"),
        Parameter("Ks", 0.0, "K_s", "strength of the slow coupling to z"),
        *SCALE,
    )
    INPUTS = (Input("x1_inp"), Input("x1_stim", noise="noise_x1"), Input("z_stim", noise="noise_z"))

    def derivative(self, state, t, drive):
        """Return the rates of x1 and z, per ms."""
        x1, z = state
        coupling, x1_stim, z_stim = drive
        k, d = self.tt.value(), self.d.value()
        below = self.a.value() * x1**2 + (d - self.b.value()) * x1
        above = d * x1 - self.slope.value() - 0.6 * (z - 4) ** 2
        f = jnp.where(x1 < 0, below, above)
        dx1 = self.c.value() - z + self.Iext.value() + self.Kvf.value() * coupling - f * x1
        dz = self.r.value() * (permittivity(self, x1, z) - z + self.Ks.value() * coupling)
        return k * dx1 + x1_stim, k * dz + z_stim


def permittivity(node, x1, z):
    """Return h, the value that the permittivity relaxes to."""
    sigmoidal = node.x0.value() + 3 / (1 + jnp.exp(-(x1 + 0.5) / 0.1))
    linear = 4 * (x1 - node.x0.value()) - jnp.where(z < 0, 0.1 * z**7, 0.0)
    share = node.modification.value()
    return share * sigmoidal + (1 - share) * linear
