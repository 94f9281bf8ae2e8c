"""Loop conditions under ``vmap``: a loop runs until its slowest lane is done, finished lanes stand still."""

import jax.numpy as jnp
from jax.custom_batching import custom_vmap


@custom_vmap
def any_lane(condition):
    """Return whether ``condition`` holds in any lane of the surrounding vmaps; never batched."""
    return condition


@any_lane.def_vmap
def _(_size, _batched, condition):
    return any_lane(condition.any(axis=0)), False


@custom_vmap
def lane(condition):
    """Return ``condition`` where lanes differ; without vmap plain True, a mask that costs nothing."""
    return jnp.ones((), bool)


@lane.def_vmap
def _(_size, _batched, condition):
    return condition, True
