"""The prediction of one layer from the sample below it, with its scaling and its skip."""

from math import prod, sqrt

import jax.numpy as jnp

from brainmass_delays._core.checks import ArgumentError, check_choice, check_positive
from brainmass_delays._core.status import is_traced

from .layers import PARAM_TYPES


def predict(params, l, h, scaling=1.0):
    """Return ``a_l f_l(h) + s_l(h)`` of one sample ``h``; ``l`` counts from 0.

    Say which layer cannot read it."""
    try:
        return unchecked(params, l, h, scaling)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"params[0][{l}]",
            f"must map one sample of what lies below it (x, y or the activities), shape {jnp.shape(h)}",
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
        ) from error


def unchecked(params, l, h, scaling=1.0):
    """Return the same; what a layer raises goes through."""
    model, skips = params
    prediction = model[l](h) if scaling == 1.0 else scaling * model[l](h)
    skip = skips[l] if skips else None
    return prediction if skip is None else prediction + skip(h)


def layer_scalings(params, n_inputs, width, param_type="sp", gamma=None) -> list[float]:
    """Return the scalings a_1 to a_L for ``n_inputs`` units below ``width`` units in layer 1."""
    check_choice("pc_energy.param_type", param_type, PARAM_TYPES)
    model, skips = params
    n_layers = len(model)
    scalings = [1.0] * n_layers
    if param_type != "sp":
        width = width if n_layers > 1 else n_inputs
        depth = n_layers if any(skip is not None for skip in skips or ()) else 1
        last = 1 / width if param_type == "mupc" else 1 / sqrt(width)
        scalings = [1 / sqrt(n_inputs), *[1 / sqrt(width * depth)] * (n_layers - 2), last][-n_layers:]
    if gamma is not None:
        if not is_traced(gamma):
            check_positive("pc_energy.gamma", gamma)
        scalings[-1] /= gamma
    return scalings


def sample_size(batch) -> int:
    """Return the number of units of one sample of ``batch``."""
    return prod(batch.shape[1:])
