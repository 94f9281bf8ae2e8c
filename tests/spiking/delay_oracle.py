"""Slow, obvious NumPy delays that share no code with the package."""

import numpy as np


def shifted(x, steps):
    """Return ``y[b, t, c] = x[b, t - steps[c], c]`` with zeros before the start."""
    y = np.zeros_like(x)
    for c, d in enumerate(steps):
        y[:, d:, c] = x[:, : x.shape[1] - d, c]
    return y


def shifted_short(x, steps):
    """Like `shifted`, for sequences that may be shorter than a delay."""
    return np.stack(
        [np.stack([at_lag(x, t, d, c) for t in range(x.shape[1])], 1) for c, d in enumerate(steps)], 2
    )


def at_lag(x, t, lag, c):
    """Return ``x[:, t - lag, c]``, or zero outside."""
    return x[:, t - lag, c] if 0 <= t - lag < x.shape[1] else np.zeros(len(x))


def linear(x, lag, bound):
    """Read between the two samples around ``t - lag``."""
    y = np.zeros_like(x)
    for c in range(x.shape[2]):
        k = min(int(np.floor(lag[c])), bound - 1)
        for t in range(x.shape[1]):
            y[:, t, c] = (1 - (lag[c] - k)) * at_lag(x, t, k, c) + (lag[c] - k) * at_lag(x, t, k + 1, c)
    return y


def kernel(rule, lag, width, lower, upper):
    """Return normalized weights of the lags ``lower..upper`` for one lag."""
    lags = np.arange(lower, upper + 1)
    if rule == "gaussian":
        w = np.exp(-0.5 * ((lags - lag) / width) ** 2)
    elif rule == "triangular":
        w = np.clip(1 - np.abs(lags - lag) / width, 0, None)
    elif rule == "linear":
        w = np.clip(1 - np.abs(lags - lag), 0, None)
    else:
        w = (lags == np.rint(lag)).astype(float)
    return w / w.sum()


def summed(x, weight, lag, rule, width, lower, upper):
    """Return the sum over sources and lags, ``(batch, time, target)``."""
    y = np.zeros((x.shape[0], x.shape[1], len(weight)))
    for o in range(weight.shape[0]):
        for i in range(weight.shape[1]):
            taps = kernel(rule, lag[o, i], width, lower, upper)
            for t in range(x.shape[1]):
                for k, tap in zip(range(lower, upper + 1), taps, strict=True):
                    y[:, t, o] += weight[o, i] * tap * at_lag(x, t, k, i)
    return y
