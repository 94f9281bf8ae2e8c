"""What every noise has: one draw per step, from a stream of its own."""

from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_count, check_finite
from .._core.keys import key_data
from .._core.param import HoldsParams, constant, value_of
from ..delays.context import server
from ..delays.delay import step_size


def normals(
    key: jax.Array, first: Any, n_steps: int, shape: tuple, batch: int | None, dtype: Any
) -> jax.Array:
    """Draw standard normal numbers for steps ``first``, ``first + 1``, ..., each from a stream of its own.

    Parameters
    ----------
    key : uint32 array
        Key of the noise.
    first : int array
        Number of the first draw.
    n_steps : int
        How many steps.
    shape : tuple of int
        Shape of one draw.
    batch : int or None
        Length of a batch axis in front of it; row 0 is what a run without a batch gets.

    Returns
    -------
    array
        ``(n_steps, *shape)`` or ``(n_steps, batch, *shape)``. Every step is what a draw of that step alone
        gives, bit for bit, so that results do not depend on how many are drawn together.
    """
    steps, rows = first + jnp.arange(n_steps, dtype=jnp.int32), jnp.arange(batch or 1, dtype=jnp.int32)

    def draw(step, row):
        return jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, row), step), shape, dtype)

    drawn = jax.vmap(lambda step: jax.vmap(lambda row: draw(step, row))(rows))(steps)
    return drawn if batch else drawn[:, 0]


class Noise(HoldsParams, brainstate.nn.Dynamics):
    """Hand out one sample of noise per time step, held over the step.

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    correlation : array_like, shape (n_regions, n_regions), optional
        Correlation of the samples between regions, the last axis of ``in_size``; independent if not given.
    **params : float, array_like, Quantity or Param
        Parameters by name, scalar or of shape ``in_size``; each becomes an attribute holding a Param.

    Raises
    ------
    ArgumentError
        If a parameter has another shape, or the correlation is no correlation matrix.

    Notes
    -----
    The key of the samples is drawn from ``brainstate.random`` when states are initialized:
    ``brainstate.random.seed(0)`` before that makes a run reproducible. The sample of a step depends on the
    key and the number of the step only. Samples are independent across the batch, if states were
    initialized with a ``batch_size``, and across regions unless a correlation is given. The gradient flows
    to every Param through the same samples (the reparametrization gradient).

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays.nodes import HopfStep
    >>> from brainmass_delays.noise import OUNoise, WhiteNoise
    >>> node = HopfStep(3, noise_x=WhiteNoise(3, 0.02), noise_y=OUNoise(3, 0.01, tau=20.0 * u.ms))
    """

    def __init__(self, in_size: Any, correlation: Any = None, **params: Any):
        is_size(self._where("in_size"), in_size)
        super().__init__(in_size)
        self.batch = None
        where, n = self._where("correlation"), self.varshape[-1]
        self.mixing = None if correlation is None else _mixing(where, correlation, n)
        for name, value in params.items():
            known = value_of(value)
            numbers(finite=True)(self._where(name), known)
            shape = np.shape(u.get_magnitude(known))
            if len(shape) > len(self.varshape):
                rule = f"must be a number, or an array of shape {self.varshape}"
                raise ArgumentError(self._where(name), rule, shape)
            try:
                setattr(self, name, constant(value, self.varshape))
            except (TypeError, ValueError) as error:
                raise ArgumentError(
                    self._where(name), f"must be a number, or an array of shape {self.varshape}", repr(value)
                ) from error

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Draw the key of the samples, and give them a leading batch axis if ``batch_size`` is given."""
        self.batch = batch_size
        self.key = brainstate.ShortTermState(key_data(brainstate.random.split_key()))
        self.count = brainstate.ShortTermState(jnp.int32(0))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample, with the batch axis in front."""
        return self.varshape if self.batch is None else (self.batch, *self.varshape)

    @property
    def draw(self) -> tuple:
        """Say what is drawn per step: shape, batch and type, as `normals` takes them."""
        return self.varshape, self.batch, brainstate.environ.dftype()

    def normal(self) -> jax.Array:
        """Return the standard normal numbers of the coming step, ``(..., *in_size)``; call it once per
        step."""
        if not hasattr(self, "key"):
            self.init_state()
        found = None if server() is None else server().normal(self)
        if found is None:
            found = normals(self.key.value, self.count.value, 1, *self.draw)[0]
        self.count.value += 1
        return self._mixed(found)

    def _mixed(self, samples):
        """Return independent samples with the correlation between regions."""
        return samples if self.mixing is None else samples @ jnp.asarray(self.mixing, samples.dtype).T

    def _step_ms(self):
        """Return the step size in force, in ms."""
        return step_size(self._where("update")).to_decimal(u.ms)


def is_size(where, value):
    """Refuse all but a count, or a tuple of them."""
    for n in value if isinstance(value, tuple | list) and len(value) else (value,):
        if check_count(where, n) != n or isinstance(n, float):
            raise ArgumentError(where, "must be an int or a tuple of int", repr(value))


def _mixing(where: str, correlation: Any, n: int) -> np.ndarray:
    """Return a matrix M with M M^T the correlation, which may be singular."""
    matrix = check_finite(where, correlation).astype(float)
    if matrix.shape != (n, n) or not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1):
        rule = f"must be symmetric with shape {(n, n)} and 1 on its diagonal"
        raise ArgumentError(where, rule, f"shape {matrix.shape}")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -1e-8 * n:
        raise ArgumentError(where, "must have no negative eigenvalue", values[0])
    return vectors * np.sqrt(np.maximum(values, 0))
