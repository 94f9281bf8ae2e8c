"""Sizes of activities, parameters and gradients, layer by layer."""

from typing import Any

import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .arguments import are_arrays, checked, checked_by_rules
from .layers import as_params
from .partition import split


@checked
def activity_norms(activities) -> jax.Array:
    """Return the mean Euclidean norm of a sample in every level.

    Parameters
    ----------
    activities : list of arrays, each (batch, ...)
        Activities, errors, or their gradients.

    Returns
    -------
    array, (number of entries,)

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.predictive import activity_norms
    >>> activity_norms([jnp.ones((5, 4)), 3 * jnp.ones((5, 1))]).tolist()
    [2.0, 3.0]
    """
    if not activities or any(jnp.ndim(z) < 2 for z in activities):
        shapes = [jnp.shape(z) for z in activities]
        raise ArgumentError("activity_norms.activities", "must hold arrays (batch, ...)", f"shapes {shapes}")
    return jnp.stack([jnp.linalg.norm(z.reshape(len(z), -1), axis=1).mean() for z in activities])


@checked_by_rules(params=are_arrays)
def parameter_norms(params) -> jax.Array:
    """Return the Euclidean norm of all parameters of every layer.

    Parameters
    ----------
    params : (model, skip_model), or their gradients
        As for `pc_energy`, or what `compute_pc_param_grads` returns.

    Returns
    -------
    array, (L,) or (2 L,)
        The layers of the second part, if there is one, follow those of the first.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.predictive import Dense, parameter_norms
    >>> parameter_norms([Dense(jnp.ones((2, 2))), Dense(jnp.zeros((1, 2)), jnp.ones(1))]).tolist()
    [2.0, 1.0]
    """
    arrays = split(as_params(params))[0] if _holds_layers(params) else params
    return jnp.stack([tree_norm(layer) for part in arrays if part is not None for layer in part])


def tree_norm(tree: Any) -> jax.Array:
    """Return the Euclidean norm of all arrays in ``tree``."""
    return jnp.sqrt(sum((jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(tree)), jnp.zeros(())))


def _holds_layers(params):
    """Tell layers from their gradients, in which None stands for what is no array."""
    model = params[0] if isinstance(params, tuple) else params
    return all(callable(layer) for layer in model)
