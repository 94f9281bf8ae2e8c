"""A delayed network of Hopf oscillators in plain NumPy loops: slow, obvious, and sharing no code with the package."""

import math

import numpy as np

STAGES = {
    "euler": ([0.0], [[]], [1.0]),
    "heun": ([0.0, 1.0], [[], [1.0]], [0.5, 0.5]),
    "rk4": ([0.0, 0.5, 0.5, 1.0], [[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}


class History:
    """Remember the coupled variable on the grid: a given function up to the initial time, samples afterwards."""

    def __init__(self, before, slope_before, initial, dt):
        self.before, self.slope_before, self.dt = before, slope_before, dt
        self.samples, self.rates = [initial], []

    def value(self, j, m):
        return self.samples[m][j] if m >= 0 else self.before(m * self.dt)[j]

    def slope(self, j, m, ends_here):
        """Return the slope at grid point ``m``; at the initial time it depends on the side."""
        if m < 0 or (m == 0 and ends_here):
            return self.slope_before(m * self.dt)[j]
        if m < len(self.rates):
            return self.rates[m][j]
        if m == 1 and abs(self.slope_before(0.0)[j] - self.rates[0][j]) > 1e-6 * abs(
            self.rates[0][j]
        ):  # one step after the initial time, where the slope may jump: the parabola through that step
            return 2 * (self.value(j, 1) - self.value(j, 0)) / self.dt - self.slope(j, 0, False)
        # The newest slope is not known yet: differentiate the quartic through the last three values and two slopes.
        older = [self.slope(j, m - 2, False), self.slope(j, m - 1, False)]
        values = [self.value(j, m - i) for i in (2, 1, 0)]
        h = self.dt
        rows = [[t**p for p in range(5)] for t in (-2.0, -1.0, 0.0)]
        rows += [[p * t ** (p - 1) if p else 0.0 for p in range(5)] for t in (-2.0, -1.0)]
        quartic = np.linalg.solve(np.array(rows), np.array([*values, h * older[0], h * older[1]]))
        return quartic[1] / h

    def read(self, j, steps, rule):
        """Return the value of node ``j`` at time ``steps * dt``, continuing the newest interval beyond its end."""
        newest = len(self.samples) - 1
        if rule == "nearest":
            return self.value(j, min(math.ceil(steps - 0.5), newest))
        left = min(math.ceil(steps) - 1, newest - 1)
        if rule == "linear":
            f = steps - left
            return (1 - f) * self.value(j, left) + f * self.value(j, left + 1)
        if rule == "cubic":
            nodes = range(min(left, newest - 2) - 1, min(left, newest - 2) + 3)
            total = 0.0
            for m in nodes:
                weight = 1.0
                for other in nodes:
                    if other != m:
                        weight *= (steps - other) / (m - other)
                total += weight * self.value(j, m)
            return total
        f, h = steps - left, self.dt
        if newest == 0 and steps > 0:
            return self.value(j, 0) + steps * h * self.slope(j, 0, False)
        a, b = self.value(j, left), self.value(j, left + 1)
        da, db = self.slope(j, left, False), self.slope(j, left + 1, True)
        if left + 1 > 0:
            db = self.slope(j, left + 1, False)
        return (
            (1 + 2 * f) * (1 - f) ** 2 * a
            + f * (1 - f) ** 2 * h * da
            + f * f * (3 - 2 * f) * b
            - f * f * (1 - f) * h * db
        )


IDENTITY = ((lambda x: x, lambda x: 1.0 + 0.0 * x),)


def drive(weights, lags, edge, features, pasts, xs, time, rule):
    """Return the sums over all sources at one stage; ``lags`` and ``time`` are in steps."""
    sums = np.zeros(len(weights))
    for i, j in zip(*np.nonzero(weights), strict=True):
        sources = [
            f(xs[j]) if lags[i, j] == 0 else past.read(j, time - lags[i, j], rule)
            for (f, _), past in zip(features, pasts, strict=True)
        ]
        sums[i] += weights[i, j] * edge(*sources, xs[i])
    return sums


def simulate(
    weights, delays, edge, *, n_steps, dt, x0, y0, before, slope_before, method, rule, stages, k=1.0, a=0.2, w=0.3,
    beta=1.0, features=IDENTITY,
):  # fmt: skip
    """Return ``x`` after every step, ``(n_steps, n_nodes)``, driven by ``k * sum_j w_ij edge(x_j(t - tau_ij), x_i)``.

    With ``features``, pairs of functions and their derivatives, these are remembered and interpolated, and ``edge``
    gets one argument for each.
    """
    cs, rows, bs = STAGES[method]
    pasts = [
        History(
            lambda t, f=f: f(before(t)),
            lambda t, d=d: d(before(t)) * slope_before(t),
            f(np.array(x0, float)),
            dt,
        )
        for f, d in features
    ]
    x, y = np.array(x0, float), np.array(y0, float)
    out = []
    for step in range(n_steps):
        held, rates = None, []
        for s, c in enumerate(cs):
            xs, ys = x.copy(), y.copy()
            for r, factor in enumerate(rows[s]):
                xs += dt * factor * rates[r][0]
                ys += dt * factor * rates[r][1]
            if held is None or stages == "each":
                held = k * drive(weights, delays / dt, edge, features, pasts, xs, step + c, rule)
            r2 = xs * xs + ys * ys
            rates.append(((a - beta * r2) * xs - w * ys + held, (a - beta * r2) * ys + w * xs))
            if s == 0:
                for (_, d), past in zip(features, pasts, strict=True):
                    past.rates.append(d(xs) * rates[0][0])
        x = x + dt * sum(b * rate[0] for b, rate in zip(bs, rates, strict=True))
        y = y + dt * sum(b * rate[1] for b, rate in zip(bs, rates, strict=True))
        for (f, _), past in zip(features, pasts, strict=True):
            past.samples.append(f(x))
        out.append(x)
    return np.array(out)
