"""The three state spaces: which entries of the state are correlated in a filter.

The coefficients of a state of ``d`` entries are rows (q, d). A layout splits the entries into independent
*blocks*, each of some *components* that are correlated and some *columns* that share one covariance:

============ ====== ========== ======= ==========================
name         blocks components columns cost of a step
============ ====== ========== ======= ==========================
isotropic    1      1          d       q^3
blockdiag    d      1          1       d q^3
dense        1      d          1       (d q)^3
============ ====== ========== ======= ==========================

A block is a Gaussian of ``n = q * components`` numbers, ordered by coefficient.
"""

import dataclasses

import jax
import jax.numpy as jnp

COVARIANCES = ("isotropic", "blockdiag", "dense")


@dataclasses.dataclass(frozen=True)
class Layout:
    """Translate between rows of coefficients and the blocks of a Gaussian."""

    n_coefficients: int
    n_blocks: int
    n_components: int
    n_columns: int
    shared: bool

    @classmethod
    def of(cls, covariance: str, n_coefficients: int, size: int) -> "Layout":
        """Return the layout of a name for states of ``size`` entries."""
        axes = {"isotropic": (1, 1, size), "blockdiag": (size, 1, 1), "dense": (1, size, 1)}[covariance]
        return cls(n_coefficients, *axes, shared=covariance == "isotropic")

    @property
    def entries(self) -> tuple[int, int, int]:
        """The entries of a state as an array (block, component, column)."""
        return self.n_blocks, self.n_components, self.n_columns

    def mean(self, rows: jax.Array) -> jax.Array:
        """Return rows of k coefficients (k, d) as a mean (block, k * component, column)."""
        parts = rows.reshape(-1, *self.entries).swapaxes(0, 1)
        return parts.reshape(self.n_blocks, -1, self.n_columns)

    def rows(self, mean: jax.Array) -> jax.Array:
        """Return the mean of a block Gaussian as rows of coefficients (..., k, d)."""
        lead = mean.shape[:-3]
        parts = mean.reshape(*lead, self.n_blocks, -1, self.n_components, self.n_columns)
        parts = jnp.moveaxis(parts, -4, -3)
        return parts.reshape(*lead, parts.shape[-4], -1)

    def std_rows(self, stds: jax.Array) -> jax.Array:
        """Return standard deviations (..., block, n) as rows (..., k, d), or (..., k) where shared."""
        if self.shared:
            return stds[..., 0, :]
        return self.rows(stds[..., None])

    def lift(self, matrix: jax.Array) -> jax.Array:
        """Let a matrix of coefficients (..., q, q) act on every component alike, (..., n, n)."""
        return (
            jnp.kron(matrix, jnp.eye(self.n_components, dtype=matrix.dtype))
            if self.n_components > 1
            else matrix
        )

    def coupling(self, jacobian: jax.Array) -> jax.Array:
        """Return the part of a Jacobian (d, d) that a block can hold, shape (block, component, component).

        All of it for dense blocks, the diagonal for a block per entry, its mean for one block they share.
        """
        parts = jacobian.reshape(*self.entries, *self.entries)
        return jnp.einsum("bcebfe->bcf", parts) / self.n_columns

    def coefficient(self, k: int, dtype) -> jax.Array:
        """Return the rows that pick coefficient ``k`` out of a block, shape (component, n)."""
        row = jnp.zeros(self.n_coefficients, dtype).at[k].set(1.0)
        return self.lift(row[None])

    def spread(self, values: jax.Array) -> jax.Array:
        """Return one number per entry, or one for all, as (block, component)."""
        if self.shared:
            return jnp.reshape(values, (1, 1))
        return jnp.broadcast_to(values, (self.n_blocks * self.n_components,)).reshape(self.entries[:2])
