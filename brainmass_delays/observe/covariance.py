"""Running covariance and correlation of regions, without keeping the samples."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.checks import check_choice
from .average import zeros_like
from .monitor import Monitor
from .schedule import NEVER


class Covariance(Monitor):
    """Accumulate the covariance or the correlation of all pairs of regions.

    Parameters
    ----------
    source : str or callable, optional
        See `Monitor`.
    period : Quantity, optional
        Emit the matrix of all values so far every so often. By default once, at the end.
    kind : {'covariance', 'correlation'}, default 'covariance'
        ``'covariance'``: divided by the number of values minus 1, in the squared unit. ``'correlation'``:
        Pearson correlation, the functional connectivity.

    Raises
    ------
    ArgumentError
        If ``kind`` is another word.

    Notes
    -----
    Emitted ``(..., n_nodes, n_nodes)``. Means and products of deviations are merged stretch by stretch, which
    keeps its accuracy in single precision however long the run and large the mean. A covariance needs two
    values: with one it is NaN. A constant region correlates with nothing: 0, with a gradient of 0. Memory
    and, per value, cost: n_nodes**2.

    References
    ----------
    Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing the sample variance. The
    American Statistician 37, 242-247.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import Covariance, apply
    >>> x = jnp.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    >>> ts, covariance = apply(Covariance(), x, dt=1 * u.ms)
    >>> covariance.tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """

    def __init__(self, source: str | Callable | None = None, period: Any = None, *, kind: str = "covariance"):
        super().__init__(source, period)
        self.kind = check_choice("Covariance.kind", kind, ("covariance", "correlation"))

    def init(self, value, dt):
        """Return the number of values, their mean, and the mean product of deviations."""
        mean = zeros_like(value)
        return jnp.int32(0), mean, _outer(mean, mean)

    def update(self, state, value, i, dt):
        """Merge one value."""
        return self._merge(state, value[None], 1)

    def sample(self, state):
        """Return the matrix of the values so far."""
        count, _, products = state
        if self.kind == "covariance":
            return products * (count / (count - 1.0))
        return correlation(u.get_magnitude(products), count)

    def advance(self, state, values, i, dt, n=None):
        """Merge a whole stretch at once, or value by value if matrices are emitted on the way."""
        if self.schedule(dt) is not NEVER:
            return super().advance(state, values, i, dt, n)
        return self._merge(state, values, len(values) if n is None else n), None, 0

    def _merge(self, state, values, n):
        """Return the moments of the values before and the first ``n`` of a stretch."""
        count, mean, products = state
        used = (jnp.arange(len(values)) < n).reshape(-1, *[1] * (values.ndim - 1))
        zero = jax.tree.map(jnp.zeros_like, values)
        new_mean = u.math.sum(u.math.where(used, values, zero), axis=0) / jnp.maximum(n, 1)
        deviations = u.math.where(used, values - new_mean, zero)
        total = jnp.maximum(count + n, 1).astype(u.get_magnitude(mean).dtype)  # int / int is single precision
        shift = new_mean - mean
        share = n / total  # of the new values
        within = u.math.einsum("t...i,t...j->...ij", deviations, deviations) / total
        between = _outer(shift, shift) * (share * (1 - share))
        return count + n, mean + shift * share, products * (1 - share) + within + between


def correlation(covariance: jax.Array, count: Any = None) -> jax.Array:
    """Return correlations of a covariance matrix, ones on the diagonal; constant regions get zeros.

    ``count`` is how many values there were; with fewer than two the result is NaN.
    """
    variance = jnp.diagonal(covariance, axis1=-2, axis2=-1)
    constant = variance <= 0
    scale = jnp.where(constant, 0.0, 1 / jnp.sqrt(jnp.where(constant, 1.0, variance)))
    matrix = covariance * scale[..., :, None] * scale[..., None, :]
    matrix = jnp.where(jnp.eye(covariance.shape[-1], dtype=bool), 1.0, matrix)
    return matrix if count is None else jnp.where(count > 1, matrix, jnp.nan)


def _outer(a, b):
    """Return the products of all pairs, ``(..., n, n)``."""
    return a[..., :, None] * b[..., None, :]
