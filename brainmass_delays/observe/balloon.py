"""BOLD by the Balloon-Windkessel model, integrated while the neural model runs."""

import math
from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.checks import check_choice
from .._core.choices import BalloonConstants
from .._core.trees import select
from .average import zeros_like
from .averaged_input import InterimMonitor
from .hemodynamics import CONSTANTS, rest, signal, step
from .monitor import pick
from .parameters import number, to_param
from .schedule import schedule

UNITS = {"kappa": u.Hz, "gamma": u.Hz, "tau": u.second}
SIGNED = {"efficacy", "k1", "k2", "k3"}  # k3 is 0 in one set


class Balloon(InterimMonitor):
    r"""Turn neural activity into BOLD by the Balloon-Windkessel model.

    .. math::
        \dot s &= \epsilon x - \kappa s - \gamma (f - 1), \quad \dot f = s, \quad
        \tau \dot v = f - v^{1/\alpha}, \quad
        \tau \dot q = f \frac{1 - (1 - E_0)^{1/f}}{E_0} - q v^{1/\alpha - 1} \\
        y &= V_0 \left[ k_1 (1 - q) + k_2 (1 - q / v) + k_3 (1 - v) \right]

    Parameters
    ----------
    source : str or callable, optional
        Neural activity x, see `Monitor`. Its number is used, in whatever unit it has.
    period : Quantity
        Repetition time TR.
    constants : {'friston2003', 'stephan2007', 'deco2014', 'heinzle2016_3T'}, default 'friston2003'
        Values of the parameters that are not given. With small activity the response to an impulse peaks
        after 3.10, 3.25, 1.69 and 3.30 s: ``'deco2014'`` takes the digits of the two rates for time
        constants.
    efficacy : float, array_like or Param, optional
        :math:`\epsilon`, in 1/s² per unit of x, by default 1. Activities of the order of 1 suit the default.
    kappa, gamma : Quantity, float or Param, optional
        Rates of signal decay and of autoregulation; a plain number is in Hz.
    tau : Quantity, float or Param, optional
        Transit time; a plain number is in s.
    alpha, E0, V0, k1, k2, k3 : float, array_like or Param, optional
        Stiffness exponent, resting oxygen extraction and blood volume, and weights of the signal.
    step : Quantity, default 1 ms
        Largest step of the integration. Activity that comes faster is averaged to it, slower activity is held
        over several steps. 0 ms: one step per value.

    Raises
    ------
    ArgumentError
        If ``constants`` or a unit is wrong, or a rate, ``tau``, ``alpha``, ``E0`` or ``V0`` is not positive.

    Notes
    -----
    Emitted is the relative signal change, dimensionless: 0.01 is 1 %. The run begins at rest; the first 20 s
    hold the transient to the mean activity. Every parameter may be scalar or one per region ``(n_nodes,)``,
    and trained. Order 2 in ``step``; the gradient is exact. f, v and q stay positive whatever comes in;
    strong negative activity drives f towards 0 and makes the equations stiff.

    References
    ----------
    See `brainmass_delays.observe.hemodynamics`, which gives the source of each set of constants.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import Balloon, apply
    >>> activity = jnp.zeros((2000, 1)).at[:100].set(1.0)           # 1 s of activity
    >>> ts, bold = apply(Balloon(period=1 * u.second), activity, dt=10 * u.ms)
    >>> int(ts[bold[:, 0].argmax()].to_decimal(u.second))
    3
    """

    def __init__(
        self,
        source: str | Callable | None = None,
        period: Any = None,
        constants: BalloonConstants = "friston2003",
        *,
        efficacy: Any = 1.0,
        kappa: Any = None,
        gamma: Any = None,
        tau: Any = None,
        alpha: Any = None,
        E0: Any = None,
        V0: Any = None,
        k1: Any = None,
        k2: Any = None,
        k3: Any = None,
        step: Any = 1.0 * u.ms,
    ):
        super().__init__(source, period, step)
        defaults = {"efficacy": 1.0} | CONSTANTS[check_choice("Balloon.constants", constants, CONSTANTS)]
        given = {"efficacy": efficacy, "kappa": kappa, "gamma": gamma, "tau": tau, "alpha": alpha, "E0": E0}
        given |= {"V0": V0, "k1": k1, "k2": k2, "k3": k3}
        self._names = tuple(given)
        for name, value in given.items():
            value = defaults[name] if value is None else value
            unit = UNITS.get(name, u.UNITLESS)
            setattr(self, name, to_param(f"Balloon.{name}", value, unit, positive=name not in SIGNED))

    def start(self, value, dt):
        """Return the states at rest."""
        return rest(u.get_magnitude(zeros_like(value)))

    def emit(self, state):
        """Return the relative signal change."""
        return signal(state, self._numbers(state.s))

    def advance_means(self, state, means, i, dt, n):
        """Integrate one step of Heun's method per mean."""
        plan = schedule("Balloon.period", self.period, dt)
        n_steps = self._steps_per_mean(dt)
        h = dt.to_decimal(u.second) / n_steps
        means = u.get_magnitude(means)
        p = self._numbers(means)

        def advance(state, row):
            j, x = row

            def once(_, y):
                return step(y, p["efficacy"] * x, h, p)

            new = once(0, state) if n_steps == 1 else jax.lax.fori_loop(0, n_steps, once, state)
            new = select(j < n, new, state)
            return new, new

        state, states = jax.lax.scan(advance, state, (jnp.arange(len(means)), means))
        states, count = pick(plan, states, i, len(means), n)
        return state, None if states is None else signal(states, p), count

    def _steps_per_mean(self, dt):
        """Return how many steps one mean takes."""
        longest = self.step.to_decimal(u.ms)
        return max(1, math.ceil(dt.to_decimal(u.ms) / longest - 1e-9)) if longest else 1

    def _numbers(self, like):
        """Return the numbers of the parameters in seconds and Hz, in the precision of an array."""
        return {
            name: number(f"Balloon.{name}", getattr(self, name), UNITS.get(name, u.UNITLESS), like)
            for name in self._names
        }
