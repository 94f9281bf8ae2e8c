r"""The Balloon-Windkessel equations and the constants that the literature uses with them; time in seconds.

Per region: vasodilatory signal s, inflow f, blood volume v, deoxyhemoglobin q; at rest s = 0, f = v = q = 1.

.. math::
    \dot s &= \epsilon x - \kappa s - \gamma (f - 1), \qquad \dot f = s \\
    \tau \dot v &= f - v^{1/\alpha}, \qquad
    \tau \dot q = f \, \frac{1 - (1 - E_0)^{1/f}}{E_0} - q \, v^{1/\alpha - 1} \\
    y &= V_0 \left[ k_1 (1 - q) + k_2 (1 - q / v) + k_3 (1 - v) \right]

f, v and q are kept as logarithms, so that they stay positive.

References
----------
.. [1] Friston, K. J., Harrison, L., Penny, W. (2003). Dynamic causal modelling. NeuroImage 19, 1273-1302.
.. [2] Stephan, K. E., Weiskopf, N., Drysdale, P. M., Robinson, P. A., Friston, K. J. (2007). Comparing
   hemodynamic models with DCM. NeuroImage 38, 387-401.
.. [3] Deco, G., Ponce-Alvarez, A., Hagmann, P., Romani, G. L., Mantini, D., Corbetta, M. (2014). How local
   excitation-inhibition ratio impacts the whole brain dynamics. Journal of Neuroscience 34, 7886-7898.
.. [4] Heinzle, J., Koopmans, P. J., den Ouden, H. E. M., Raman, S., Stephan, K. E. (2016). A hemodynamic
model
   for layered BOLD signals. NeuroImage 125, 556-570.
"""

from typing import NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp


class Haemodynamics(NamedTuple):
    """States of a region; those with ``log_`` are natural logarithms."""

    s: jax.Array
    log_f: jax.Array
    log_v: jax.Array
    log_q: jax.Array


# kappa and gamma are rates. Friston and Stephan print 0.65 and 0.41 as rates per second; Deco 2014 and what
# follows it take the same digits for time constants, which makes the response a third faster.
FRISTON = {"kappa": 0.65 * u.Hz, "gamma": 0.41 * u.Hz, "tau": 0.98 * u.second, "alpha": 0.32, "E0": 0.34}
CONSTANTS = {
    # [1], k1 = 7 E0, k2 = 2, k3 = 2 E0 - 0.2, for 1.5 T
    "friston2003": FRISTON | {"V0": 0.02, "k1": 2.38, "k2": 2.0, "k3": 0.48},
    # [2] with epsilon = 1: k1 = 4.3 * 40.3 Hz * E0 * TE, k2 = epsilon * 25 Hz * E0 * TE, k3 = 1 - epsilon,
    # TE = 0.04 s, for 1.5 T
    "stephan2007": FRISTON | {"E0": 0.4, "V0": 0.04, "k1": 2.77264, "k2": 0.4, "k3": 0.0},
    # [3], the rates being 1 / 0.65 s and 1 / 0.41 s
    "deco2014": FRISTON
    | {"kappa": 1 / 0.65 * u.Hz, "gamma": 1 / 0.41 * u.Hz, "V0": 0.02, "k1": 2.38, "k2": 2.0, "k3": 0.48},
    # [4] for 3 T, with the V0 of [1]
    "heinzle2016_3T": FRISTON | {"V0": 0.02, "k1": 3.72, "k2": 0.527, "k3": 0.53},
}


def rest(like: jax.Array) -> Haemodynamics:
    """Return the fixed point without input."""
    return Haemodynamics(*[jnp.zeros_like(like)] * 4)


def derivative(state: Haemodynamics, x: jax.Array, p: dict) -> Haemodynamics:
    """Return the time derivative per second for the input ``x``; rates in Hz, ``tau`` in s."""
    s, log_f, log_v, log_q = state
    f, v = jnp.exp(log_f), jnp.exp(log_v)
    outflow = jnp.exp(log_v / p["alpha"])
    # 1 - (1 - E0)^(1/f), accurate where f is large
    extraction = -jnp.expm1(jnp.log1p(-p["E0"]) / f) / p["E0"]
    return Haemodynamics(
        x - p["kappa"] * s - p["gamma"] * jnp.expm1(log_f),
        s / f,
        (f - outflow) / (p["tau"] * v),
        (f * extraction * jnp.exp(-log_q) - outflow / v) / p["tau"],
    )


def step(state: Haemodynamics, x: jax.Array, h: float, p: dict) -> Haemodynamics:
    """Advance by ``h`` seconds with a constant input, by the two-stage method of Heun, order 2."""
    slope = derivative(state, x, p)
    end = derivative(jax.tree.map(lambda y, k: y + h * k, state, slope), x, p)
    return jax.tree.map(lambda y, a, b: y + 0.5 * h * (a + b), state, slope, end)


def signal(state: Haemodynamics, p: dict) -> jax.Array:
    """Return the relative change of the BOLD signal."""
    # 1 - exp(.) as -expm1: exactly 0 at rest and accurate for the small changes that BOLD consists of
    q, ratio, v = (-jnp.expm1(z) for z in (state.log_q, state.log_q - state.log_v, state.log_v))
    return p["V0"] * (p["k1"] * q + p["k2"] * ratio + p["k3"] * v)
