"""Initial value and delay problems of neuroscience and of the textbooks; SciPy is an independent judge."""

from math import factorial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp


class Problem(NamedTuple):
    """Hold ``u' = f(t, u, args)`` on ``[0, t1]``; ``f`` takes the array module first."""

    f: object
    y0: tuple
    t1: float
    args: tuple

    def jax(self, t, u, args):
        """Return the slope for the library."""
        return jnp.stack(self.f(jnp, t, u, args))

    def reference(self):
        """Return the end state by DOP853 at 1e-12."""
        solution = solve_ivp(
            lambda t, u: np.array(self.f(np, t, u, self.args)),
            (0.0, self.t1), self.y0, method="DOP853", rtol=1e-12, atol=1e-12,
        )  # fmt: skip
        return solution.y[:, -1]


def lotka_volterra(xp, t, u, p):
    return [p[0] * u[0] - p[1] * u[0] * u[1], -p[2] * u[1] + p[3] * u[0] * u[1]]


def van_der_pol(xp, t, u, p):
    return [u[1], p[0] * (1 - u[0] ** 2) * u[1] - u[0]]


def fitzhugh_nagumo(xp, t, u, p):
    return [u[0] - u[0] ** 3 / 3 - u[1] + p[0], p[1] * (u[0] + 0.7 - 0.8 * u[1])]


def forced_oscillator(xp, t, u, p):
    return [u[1], -p[0] * u[0] - 0.2 * u[1] + xp.sin(3 * t)]


def jansen_rit(xp, t, u, p):
    """The column of Jansen and Rit (1995), time in seconds, a constant input p[0]."""

    def rate(v):
        return 5.0 / (1 + xp.exp(0.56 * (6.0 - v)))

    y0, y1, y2, z0, z1, z2 = (u[i] for i in range(6))
    c = 135.0
    return [
        z0, z1, z2,
        3.25 * 100 * rate(y1 - y2) - 200 * z0 - 1e4 * y0,
        3.25 * 100 * (p[0] + 0.8 * c * rate(c * y0)) - 200 * z1 - 1e4 * y1,
        22 * 50 * 0.25 * c * rate(0.25 * c * y0) - 100 * z2 - 2500 * y2,
    ]  # fmt: skip


PROBLEMS = {
    "lotka_volterra": Problem(lotka_volterra, (20.0, 20.0), 10.0, (0.5, 0.05, 0.5, 0.05)),
    "van_der_pol_1": Problem(van_der_pol, (2.0, 0.0), 3.0, (1.0,)),
    "van_der_pol_5": Problem(van_der_pol, (2.0, 0.0), 12.0, (5.0,)),
    "fitzhugh_nagumo": Problem(fitzhugh_nagumo, (-1.0, 1.0), 20.0, (0.5, 0.08)),
    "jansen_rit": Problem(jansen_rit, (0.0,) * 6, 0.2, (120.0,)),
    "forced_oscillator": Problem(forced_oscillator, (0.5, 0.0), 5.0, (2.0,)),
}


TIGHT = {"rtol": 1e-11, "atol": 1e-11}


def decay(t, y, delayed, args):
    return -delayed


def method_of_steps(t, delay=1.0):
    """Solve x' = -x(t - delay), history 1, by its polynomial on each interval."""
    n = int(np.floor(t / delay)) + 1
    return sum((-1) ** k * (t - (k - 1) * delay) ** k / factorial(k) for k in range(n + 1))


def mackey_glass(t, y, delayed, args):
    return 0.2 * delayed / (1 + delayed**10) - 0.1 * y


def delayed_logistic(t, y, delayed, args):
    return 1.4 * y * (1 - delayed)


def directed_graph():
    """A weighted, directed graph of four nodes, a delay on each edge; weights[i, j] is from j to i."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(4, 4)) * (1 - np.eye(4)), rng.uniform(0.4, 1.9, size=(4, 4)) * (1 - np.eye(4))


def network_slope(t, x, delayed, args):
    """Four driven, leaky nodes on that graph; ``delayed[target, source]``."""
    weights, _ = directed_graph()
    return -x + (weights * delayed).sum(1) + jnp.cos(t + jnp.arange(4))
