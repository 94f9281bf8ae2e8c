"""Predictive-coding energies as slow, obvious NumPy loops in float64; shares no code with the package."""

import numpy as np


def scalings(n_inputs, width, n_layers, param_type, has_skips, gamma=None):
    """Return a_1 to a_L from the table of parameterizations."""
    a = np.ones(n_layers)
    if param_type in ("ntp", "mupc"):
        a[0] = n_inputs**-0.5
        for l in range(1, n_layers - 1):
            a[l] = (width * n_layers) ** -0.5 if has_skips else width**-0.5
        a[-1] = 1 / width if param_type == "mupc" else width**-0.5
    if gamma is not None:
        a[-1] /= gamma
    return a


def layer_energies(
    weights, skips, activities, y, x, loss_id, param_type="sp", gamma=None, output_energy_scaling=1.0
):
    """Return E_1 to E_L of layers ``W tanh(z)`` (the first ``W z``) with matrices or None as skips."""
    n_samples, n_layers = len(y), len(weights)
    has_skips = any(s is not None for s in skips)
    below = list(activities[:-1]) if x is None else [x, *activities[:-1]]
    above = [*below[1:], y]
    a = scalings(below[0].shape[1], above[0].shape[1], n_layers, param_type, has_skips, gamma)
    energies = np.zeros(n_layers)
    for i in range(n_samples):
        for l in range(n_layers):
            h = below[l][i]
            prediction = a[l] * weights[l] @ (h if l == 0 else np.tanh(h))
            if skips[l] is not None:
                prediction = prediction + skips[l] @ h
            if l == n_layers - 1 and loss_id == "CE":
                shifted = prediction - prediction.max()
                log_p = shifted - np.log(np.exp(shifted).sum())
                energies[l] -= output_energy_scaling * float(above[l][i] @ log_p)
            else:
                factor = output_energy_scaling if l == n_layers - 1 else 1.0
                energies[l] += factor * 0.5 * float(((above[l][i] - prediction) ** 2).sum())
    return energies / n_samples


def regularizers(weights, activities, weight_decay=0.0, spectral_penalty=0.0, activity_decay=0.0):
    """Return the sum of the three penalties."""
    total = sum(weight_decay / 2 * (w**2).sum() for w in weights)
    total += sum(spectral_penalty / 2 * ((w.T @ w - np.eye(w.shape[1])) ** 2).sum() for w in weights)
    return total + sum(activity_decay / 2 * (z**2).sum(1).mean() for z in activities)
