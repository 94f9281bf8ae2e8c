"""The ten problems without neutral terms of the DDETST collection, and two stiff ones.

References
----------
.. [1] W. H. Enright, H. Hayashi. The evaluation of numerical software for delay differential equations. In:
   R. Boisvert (ed.), The Quality of Numerical Software. Chapman and Hall, 1997, 179-192.
.. [2] N. Guglielmi, E. Hairer. Implementing Radau IIA methods for stiff delay differential equations.
   Computing 67 (2001) 1-12.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


class Case(NamedTuple):
    """Hold a delay equation on ``[t0, t1]``; ``options`` are those of ``solve_dde``, ``exact`` the end state,
    if it has a closed form. Arrays are of NumPy: those of JAX would be float32 when this file is imported."""

    f: Any
    history: Any
    t0: float
    t1: float
    delays: Any
    options: dict = {}
    exact: Any = None


def hematopoiesis(s0, t1, gamma, q, k, a, history, end, breakpoints=()):
    """C3 and C4, after J. M. Mahaffy, J. Belair, M. C. Mackey, J. Theor. Biol. 190 (1998) 135-146."""

    def f(t, u, delayed, args):
        young, old = delayed["maturation"][1], delayed["life"][1]
        return jnp.stack([
            s0 * young - gamma * u[0] - q,
            a / (1 + 0.0382 * u[0] ** 6.96) - k * u[1],
            1 - q * jnp.exp(gamma * u[2]) / (s0 * old),
        ])  # fmt: skip

    delays = {"maturation": t1, "life": lambda t, u, args: t1 + u[2]}
    options = {"breakpoints": np.array(breakpoints)} if breakpoints else {}
    return Case(f, history, 0.0, end, delays, options)


def a2(t, u, delayed, args):
    z = 10 * u[0] / (1 + 40 * u[1])
    return jnp.stack([1.1 / (1 + 10**0.5 * delayed[0] ** 1.25) - z, 10 * z - 2.43 * u[1]])


def c2(t, u, delayed, args):
    past = jnp.abs(delayed[0])
    return jnp.stack([-2 * delayed[0], (past - jnp.abs(u[0])) / (1 + past)])


def d1(t, u, delayed, args):
    return jnp.stack([u[1], -delayed[1] * u[1] ** 2 * jnp.exp(1 - u[1])])


def d2(t, u, delayed, args):
    r1, r2, alpha, delta = 0.02, 0.005, 3.0, 0.01
    bound, unbound = r1 * u[0] * u[1], r2 * u[2]
    met = delayed[0] * delayed[1]
    rate = (3 * delta - u[0] * u[1] - u[2]) * jnp.exp(delta * u[3]) / (met + delayed[2])
    return jnp.stack([unbound - bound, alpha * r1 * met - bound, bound - unbound, 1 + rate])


DDETST = {
    "A1": Case(lambda t, u, d, a: 0.2 * d / (1 + d**10) - 0.1 * u, 0.5, 0.0, 500.0, 14.0),
    "A2": Case(a2, np.array([1.05767027 / 3, 1.030713491 / 3]), 0.0, 100.0, 20.0),
    "B1": Case(
        lambda t, u, d, a: 1 - d, jnp.log, 0.1, 10.0, lambda t, u, args: t - jnp.exp(1 - 1 / t),
        {"kinks": 0}, np.log(10.0),
    ),
    "B2": Case(
        lambda t, u, d, a: jnp.where(d < 0, 1.0, -1.0) - u, 1.0, 0.0, 2 * np.log(66.0),
        lambda t, u, args: t / 2, {"switches": lambda t, u, d, args: d}, 66 / 66**2 - 1,
    ),
    "C1": Case(
        lambda t, u, d, a: -2 * d * (1 - u**2), 0.5, 0.0, 30.0, lambda t, u, args: 1 + jnp.abs(u),
        {"switches": lambda t, u, d, args: u},
    ),
    "C2": Case(
        c2, np.array([1.0, 0.5]), 0.0, 40.0, lambda t, u, args: u[1],
        {"switches": [lambda t, u, d, args: u[0], lambda t, u, d, args: d[0]]},
    ),
    "C3": hematopoiesis(
        0.0031, 6.0, 0.001, 0.0275, 2.8, 6570.0,
        lambda t: jnp.stack([3.325 + 0 * t, jnp.where(t < -6.0, 9.5, 10.0), 120.0 + 0 * t]), 300.0, (-6.0,),
    ),
    "C4": hematopoiesis(
        0.00372, 3.0, 0.1, 0.00178, 6.65, 15600.0, np.array([3.5, 10.0, 50.0]), 100.0
    ),
    "D1": Case(
        d1, lambda t: jnp.stack([jnp.log(t), 1 / t]), 0.1, 5.0, lambda t, u, args: t - jnp.exp(1 - u[1]),
        {"kinks": 0}, np.array([np.log(5.0), 0.2]),
    ),
    "D2": Case(d2, np.array([5.0, 0.1, 0.0, 0.0]), 0.0, 40.0, lambda t, u, args: u[3]),
}  # fmt: skip


def oregonator(t, u, delayed, args):
    """I. Epstein, Y. Luo, J. Chem. Phys. 95 (1991) 244-254, where the reaction of rate k1 turns Y into X.

    With a minus in the first line, as one public collection has it, X becomes negative.
    """
    k1, k2, k3, k4, a, b = 1.34, 1.6e9, 8000.0, 4e7, 0.06, 0.06
    turned, used, made = k1 * a * u[1], k2 * u[0] * delayed[1], k3 * b * u[0]
    return jnp.stack([turned - used + made - 2 * k4 * u[0] ** 2, made - turned - used])


def robertson(t, u, delayed, args):
    """Robertson's reaction; ``delayed`` stands for the state in the term that [2]_ delays."""
    first, second = 0.04 * u[0] - 1e4 * delayed[1] * u[2], 3e7 * u[1] ** 2
    return jnp.stack([-first, first - second, second])


STIFF = {
    "oregonator": Case(oregonator, np.array([1e-10, 1e-5]), 0.0, 100.5, 0.15),
    "robertson": Case(robertson, np.array([1.0, 0.0, 0.0]), 0.0, 1e10, 0.01),
}
