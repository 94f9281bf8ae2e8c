"""The triangular factor of a QR decomposition, with a derivative that is right for each of its blocks."""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular


@jax.custom_jvp
def triangularize(matrix: jax.Array) -> jax.Array:
    """Return the upper-triangular ``R`` with ``R.T @ R == M.T @ M``.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
        ``M``, with at least as many rows as columns.

    Returns
    -------
    array, shape (..., columns, columns)
        ``R``, the square root of a covariance when ``M`` stacks the roots of its terms.

    Notes
    -----
    With ``M = Q R``, ``X = Q.T dM`` and ``Y = X R^-1`` the derivative is ``dR = X - W R``, ``W = tril(Y, -1)
    - tril(Y, -1).T``. Without ``W`` (the factor ``Q`` held constant) ``R.T @ R`` still has the right
    derivative, but single blocks of ``R`` have not, and a gain read from a block is wrong. Where ``M`` is
    rank deficient a pivot of ``R`` vanishes; its column of ``W`` is then left out, which ``R.T @ R`` does not
    notice. Forward and reverse mode, first derivatives; second ones need full rank.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate.odefilter import triangularize
    >>> abs(float(triangularize(jnp.array([[3.0], [4.0]]))[0, 0]))
    5.0
    """
    return jnp.linalg.qr(matrix, mode="r")


@triangularize.defjvp
def _triangularize_jvp(primals, tangents):
    """Differentiate the factor without holding the orthogonal part constant."""
    orthogonal, factor = jnp.linalg.qr(primals[0])
    change = orthogonal.mT @ tangents[0]
    pivots = jnp.diagonal(factor, axis1=-2, axis2=-1)
    # Columns of a covariance root differ by powers of the step size: a pivot is compared with its own column.
    regular = jnp.abs(pivots) > jnp.sqrt(jnp.finfo(factor.dtype).eps) * jnp.max(jnp.abs(factor), axis=-2)
    solvable = factor + jnp.where(regular, 0.0, 1.0 - pivots)[..., None] * jnp.eye(
        factor.shape[-1], dtype=factor.dtype
    )
    whitened = solve_triangular(solvable, change.mT, trans="T").mT
    lower = jnp.tril(jnp.where(regular[..., None, :], whitened, 0.0), -1)
    return factor, change - (lower - lower.mT) @ factor
