"""The 25 problems of DETEST, all on [0, 20]; SciPy judges.

References
----------
.. [1] T. E. Hull, W. H. Enright, B. M. Fellen, A. E. Sedgwick. Comparing numerical methods for ordinary differential
   equations. SIAM J. Numer. Anal. 9 (1972) 603-637.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

END = 20.0


def unit(n):
    return np.eye(n)[0]


def chain(xp, t, y, loss, gain):
    """C1 and C2: radioactive decay; the last substance is stable."""
    inflow = gain * y[:-1]
    return xp.concatenate([-loss[:1] * y[:1], inflow[:-1] - loss[1:] * y[1:-1], inflow[-1:]])


def line(xp, t, y):
    """C3 and C4: diffusion on a line with empty ends."""
    padded = xp.pad(y, 1)
    return padded[2:] - 2 * y + padded[:-2]


MASSES = np.array([9.54786104043e-4, 2.85583733151e-4, 4.37273164546e-5, 5.17759138449e-5, 2.77777777778e-6])
PLANETS = np.array([
    [3.42947415189, 3.35386959711, 1.35494901715, -0.557160570446, 0.505696783289, 0.230578543901],
    [6.64145542550, 5.97156957878, 2.18231499728, -0.415570776342, 0.365682722812, 0.169143213293],
    [11.2630437207, 14.6952576794, 6.27960525067, -0.325325669158, 0.189706021964, 0.0877265322780],
    [-30.1552268759, 1.65699966404, 1.43785752721, -0.0240476254170, -0.287659532608, -0.117219543175],
    [-21.1238353380, 28.4465098142, 15.3882659679, -0.176860753121, -0.216393453025, -0.0148647893090],
])  # fmt: skip


def planets(xp, t, y):
    """C5: the five outer planets."""
    place, speed = y.reshape(2, 5, 3)
    pull = place / ((place**2).sum(1) ** 1.5)[:, None]
    apart = place[None] - place[:, None]
    cube = ((apart**2).sum(-1) + xp.eye(5)) ** 1.5
    others = (MASSES[:, None] * (apart / cube[..., None] - (1 - xp.eye(5))[..., None] * pull)).sum(1)
    push = 2.95912208286 * (others - (1.00000597682 + MASSES)[:, None] * pull)
    return xp.concatenate([speed.ravel(), push.ravel()])


def orbit(xp, t, y):
    """D1 to D5: two bodies."""
    cube = (y[0] ** 2 + y[1] ** 2) ** 1.5
    return xp.stack([y[2], y[3], -y[0] / cube, -y[1] / cube])


def pair(f):
    """Return a second-order equation as a system."""
    return lambda xp, t, y: xp.stack([y[1], f(xp, t, *y)])


def torus(xp, t, y):
    r = xp.sqrt(y[0] ** 2 + y[1] ** 2)
    return xp.stack([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


LOSSES = np.arange(1.0, 10.0)
DETEST = {
    "A1": (lambda xp, t, y: -y, [1.0]),
    "A2": (lambda xp, t, y: -(y**3) / 2, [1.0]),
    "A3": (lambda xp, t, y: y * xp.cos(t), [1.0]),
    "A4": (lambda xp, t, y: y / 4 * (1 - y / 20), [1.0]),
    "A5": (lambda xp, t, y: (y - t) / (y + t), [4.0]),
    "B1": (lambda xp, t, y: xp.stack([2 * (y[0] - y[0] * y[1]), y[0] * y[1] - y[1]]), [1.0, 3.0]),
    "B2": (lambda xp, t, y: xp.stack([y[1] - y[0], y[0] - 2 * y[1] + y[2], y[1] - y[2]]), [2.0, 0.0, 1.0]),
    "B3": (lambda xp, t, y: xp.stack([-y[0], y[0] - y[1] ** 2, y[1] ** 2]), [1.0, 0.0, 0.0]),
    "B4": (torus, [3.0, 0.0, 0.0]),
    "B5": (lambda xp, t, y: xp.stack([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]), [0.0, 1.0, 1.0]),
    "C1": (partial(chain, loss=np.ones(9), gain=np.ones(9)), unit(10)),
    "C2": (partial(chain, loss=LOSSES, gain=LOSSES), unit(10)),
    "C3": (line, unit(10)),
    "C4": (line, unit(51)),
    "C5": (planets, PLANETS.reshape(5, 2, 3).swapaxes(0, 1).ravel()),
    **{
        f"D{i}": (orbit, [1 - e, 0.0, 0.0, np.sqrt((1 + e) / (1 - e))])
        for i, e in enumerate((0.1, 0.3, 0.5, 0.7, 0.9), 1)
    },
    "E1": (
        pair(lambda xp, t, x, v: -(v / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * x)),
        [0.6713967071418030, 0.0954005144474744],
    ),
    "E2": (pair(lambda xp, t, x, v: (1 - x**2) * v - x), [2.0, 0.0]),
    "E3": (pair(lambda xp, t, x, v: x**3 / 6 - x + 2 * xp.sin(2.78535 * t)), [0.0, 0.0]),
    "E4": (pair(lambda xp, t, x, v: 0.032 - 0.4 * v**2), [30.0, 0.0]),
    "E5": (pair(lambda xp, t, x, v: xp.sqrt(1 + v**2) / (25 - t)), [0.0, 0.0]),
}


def reference(name):
    """Return the end state by DOP853 at 1e-13."""
    f, start = DETEST[name]
    options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-13}
    return solve_ivp(lambda t, y: np.asarray(f(np, t, y)), (0.0, END), np.asarray(start), **options).y[:, -1]


def slope(name):
    """Return the right side for the library."""
    f, _ = DETEST[name]
    return lambda t, y, args: f(jnp, t, y)
