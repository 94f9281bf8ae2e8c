"""Where the solution of a delay equation is not smooth: kinks of the start, carried on by the delays."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.status import is_traced

MOST_KINKS = 1000


def generations(n_delays: int, order: int, most: int = MOST_KINKS) -> int:
    """Return how many generations, at most ``order``, keep the number of kinks within ``most``."""
    fitting = [g for g in range(1, order + 1) if count_kinks(n_delays, g) <= most]
    return max(fitting, default=0)


def count_kinks(n_delays: int, n_generations: int) -> int:
    """Return the number of sums of one to ``n_generations`` delays."""
    return math.comb(n_delays + n_generations, n_generations) - 1


def propagate(roots: jax.Array, delays: jax.Array, n_generations: int) -> jax.Array:
    """Return ``roots`` and every ``root + sum of up to n_generations delays``, unordered, shape (kink,)."""
    n = len(delays)
    sums = [
        np.bincount(chosen, minlength=n)
        for g in range(n_generations + 1)
        for chosen in itertools.combinations_with_replacement(range(n), g)
    ]
    multiplicity = np.reshape(sums, (len(sums), n)).astype(delays.dtype)
    return (roots[:, None] + multiplicity @ delays).ravel()


def distinct_constants(delays: list, start: jax.Array) -> jax.Array:
    """Return the distinct positive values of those delays that are arrays, like ``start``."""
    flat = [jnp.ravel(leaf) for leaf in delays if not callable(leaf)]
    return distinct(jnp.concatenate([*flat, start[None][:0]]))


def distinct(delays: jax.Array) -> jax.Array:
    """Return the distinct positive values of concrete delays; traced ones as they are."""
    if is_traced(delays):
        return delays
    values = np.unique(np.asarray(delays))
    return jnp.asarray(values[(values > 0) & np.isfinite(values)], delays.dtype)


def count_generations(where: str, kinks, n_delays: int, order: int, max_steps: int) -> int:
    """Return how many generations of kinks steps land on, as the caller's ``kinks`` has it."""
    if kinks is None:
        return generations(n_delays, order)
    if not isinstance(kinks, str) or kinks != "all":
        return check_count(where, kinks, 0)
    count = count_kinks(n_delays, order)
    if count > max_steps:
        rule = f"'all' of a method of order {order} must make at most max_steps = {max_steps} kinks"
        cure = "Raise max_steps, or give the number of generations, such as kinks=1"
        raise ArgumentError(where, rule, f"{count:.3g} from {n_delays} delays", cure)
    return order
