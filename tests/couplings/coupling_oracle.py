"""Every coupling as a double loop in NumPy, from the equations, sharing no code with the package."""

import math

import numpy as np


def logistic(x):
    return 1.0 / (1.0 + math.exp(-x))


def loop(edge, finish, x, y, w):
    """Return ``finish`` of the weighted sum of ``edge`` over sources, target by target."""
    if x.ndim > 2:
        return np.stack([loop(edge, finish, xb, yb, w) for xb, yb in zip(x, y, strict=True)])
    n, k = w.shape
    result = np.zeros(n)
    for i in range(n):
        total = 0.0
        for j in range(k):
            if w[i, j] != 0:
                total += w[i, j] * edge(x[i, j], y[i])
        result[i] = finish(total)
    return result


def additive(x, y, w, k=1.0, b=0.0):
    return loop(lambda xj, yi: xj, lambda s: k * s + b, x, y, w)


def diffusive(x, y, w, k=1.0):
    return loop(lambda xj, yi: xj - yi, lambda s: k * s, x, y, w)


def powerlaw(x, y, w, k=1.0, p=1.0):
    return loop(lambda xj, yi: math.copysign(abs(xj - yi) ** p, xj - yi), lambda s: k * s, x, y, w)


def kuramoto(x, y, w, k=1.0, alpha=0.0):
    return loop(lambda xj, yi: math.sin(xj - yi - alpha), lambda s: k * s, x, y, w)


def sigmoidal(x, y, w, k=1.0, a=1.0, b=0.0, slope=1.0, midpoint=0.0):
    return loop(lambda xj, yi: xj, lambda s: k * logistic(slope * (a * s + b - midpoint)), x, y, w)


def tanh(x, y, w, k=0.5, scale=2.0):
    return loop(lambda xj, yi: xj, lambda s: k * math.tanh(scale * s), x, y, w)


def sigmoidal_jansen_rit(x, y, w, k=1.0, cmin=0.0, cmax=0.005, midpoint=6.0, r=0.56):
    return loop(lambda xj, yi: cmin + (cmax - cmin) * logistic(r * (xj - midpoint)), lambda s: k * s, x, y, w)


def laplacian(x, y, w, k=1.0, normalize="none"):
    degree = [sum(row) for row in w]
    if normalize == "rw":
        w = np.array([[w[i, j] / degree[i] for j in range(len(w))] for i in range(len(w))])
    if normalize == "sym":
        w = np.array(
            [[w[i, j] / math.sqrt(degree[i] * degree[j]) for j in range(len(w))] for i in range(len(w))]
        )
    total = additive(x, y, w)
    return k * (total - (np.array(degree) if normalize == "none" else 1.0) * y)
