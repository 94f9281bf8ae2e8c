"""Read between grid points: one stencil and one set of weights per interpolation.

A lag is a delay in steps, split as ``lag = k + fraction``. The value ``lag`` steps before sample ``n`` is a
weighted sum of samples near ``n - k``; `Interpolation` names those samples by their distance from ``n - k``
and gives their weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._core.checks import check_choice


class Interpolation(NamedTuple):
    """Describe one interpolation rule.

    ``value_weights(fraction)`` has one entry per ``taps`` entry, on its last axis; tap ``p`` is the sample
    ``n - k + p``. ``slope_weights`` does the same for the stored slopes times the step, on the taps
    ``slope_taps``."""

    order: int
    differentiable: bool
    taps: tuple[int, ...]
    value_weights: Callable[[jax.Array], jax.Array]
    slope_taps: tuple[int, ...] = ()
    slope_weights: Callable[[jax.Array], jax.Array] | None = None

    @property
    def lead(self) -> int:
        """Samples needed that are newer than ``n - k``."""
        return max(self.taps)

    @property
    def tail(self) -> int:
        """Samples needed that are older than ``n - k``."""
        return -min(self.taps)


def _nearest(f):
    return jnp.stack([jnp.where(f < 0.5, 1.0, 0.0), jnp.where(f < 0.5, 0.0, 1.0)], -1).astype(f.dtype)


def _linear(f):
    return jnp.stack([1 - f, f], -1)


def _cubic(f):
    """Weigh four samples by the Lagrange polynomials on the nodes -1, 0, 1, 2."""
    return jnp.stack(
        [
            -f * (f - 1) * (f - 2) / 6,
            (f + 1) * (f - 1) * (f - 2) / 2,
            -(f + 1) * f * (f - 2) / 2,
            (f + 1) * f * (f - 1) / 6,
        ],
        -1,
    )


def _hermite_values(f):
    return jnp.stack([(1 + 2 * f) * (1 - f) ** 2, f * f * (3 - 2 * f)], -1)


def _hermite_slopes(f):
    """Weigh the two end slopes; the sign turns with the axis, because a lag grows into the past."""
    return jnp.stack([-f * (1 - f) ** 2, f * f * (1 - f)], -1)


INTERPOLATIONS: dict[str, Interpolation] = {
    "nearest": Interpolation(1, False, (0, -1), _nearest),
    "linear": Interpolation(2, True, (0, -1), _linear),
    "cubic": Interpolation(4, True, (1, 0, -1, -2), _cubic),
    "hermite": Interpolation(4, True, (0, -1), _hermite_values, (0, -1), _hermite_slopes),
}


def interpolation(where: str, name: str) -> Interpolation:
    """Look up a rule by name; an unknown name raises with the nearest one."""
    return INTERPOLATIONS[check_choice(f"{where}.interpolation", name, INTERPOLATIONS)]


def split(lag: jax.Array, newest: int) -> tuple[jax.Array, jax.Array]:
    """Split a lag into whole steps, at least ``newest``, and the remaining fraction.

    ``newest`` is the smallest ``k`` whose stencil holds only known samples. A shorter lag leaves a negative
    fraction: the polynomial of the newest known interval is continued, which keeps its order. The gradient
    goes through the fraction; at a whole lag, where a linear read has two slopes, it is that of the interval
    towards the past."""
    fixed = jax.lax.stop_gradient(lag)
    # A lag within rounding of a whole number is that number: XLA may compute it twice, with other roundings,
    # and would take the sample of one step and the fraction of the next.
    rounding = 16 * jnp.finfo(fixed.dtype).eps * (1 + jnp.abs(fixed))
    whole = jnp.floor(fixed + rounding)
    k = jnp.where(whole >= newest, whole, newest)  # a NaN lag takes a valid index and keeps a NaN fraction
    return k.astype(jnp.int32), lag - k


# Slope at the newest sample from the quartic through x, x' at the two samples before it and x itself (error
# O(step^4)).
# Nodes at -2, -1, 0; slopes are multiplied by the step.
NEWEST_SLOPE_VALUES = (-3.0, 0.0, 3.0)
NEWEST_SLOPE_SLOPES = (-1.0, -4.0)
