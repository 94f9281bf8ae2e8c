"""Where the solution of a delay equation is not smooth: kinks of the start, carried on by the delays."""

import itertools
import math

import jax
import numpy as np

MOST_KINKS = 1000


def generations(n_delays: int, order: int) -> int:
    """Return how many generations, at most ``order``, keep the number of kinks below `MOST_KINKS`."""
    fitting = [g for g in range(1, order + 1) if math.comb(n_delays + g, g) - 1 <= MOST_KINKS]
    return max(fitting, default=0)


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


def distinct(delays: jax.Array) -> np.ndarray:
    """Return the distinct positive values of concrete delays."""
    values = np.unique(np.asarray(delays))
    return values[(values > 0) & np.isfinite(values)]
