"""The base of all coupling Modules: reads, weights and trainable Params."""

from typing import Any, ClassVar

import brainstate
import brainunit as u
from brainstate.nn import Param

from .._core.checks import ArgumentError
from .shapes import weight_matrix


class Coupling(brainstate.nn.Module):
    """Hold the reads, weights and strength of one coupling.

    Parameters
    ----------
    reads : dict
        Zero-argument reads by argument name: ``x``, the source, and for some couplings ``y``, the target.
    conn : array_like, Quantity or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``. A Param is trainable.
    **params : float, array_like, Quantity or Param
        Strength and shape parameters by name; each becomes an attribute holding a Param.

    Attributes
    ----------
    linear : bool
        Whether the input is a function of ``sum_j weights()[i, j] * x_ij`` and the target only, so that a
        network may form these sums itself and call ``combine(total, target)``.

    Raises
    ------
    ArgumentError
        If a read cannot be called, or an array is not numeric or has the wrong number of axes.

    Notes
    -----
    Gradients reach every Param and whatever the reads depend on.

    Examples
    --------
    A coupling of one's own, used by a `Network` through its name or class:

    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import Coupling
    >>> class MeanField(Coupling):
    ...     def __init__(self, x, conn, k=1.0):
    ...         super().__init__({'x': x}, conn, k=k)
    ...     def update(self):
    ...         return self.k.value() * (self.weights() * self.x()).mean(axis=-1)
    >>> MeanField(lambda: jnp.ones((2, 4)), jnp.ones((2, 4)), k=3.0)().tolist()
    [3.0, 3.0]
    """

    linear: ClassVar[bool] = False

    def __init__(self, reads: dict, conn: Any, **params: Any):
        super().__init__()
        for name, read in reads.items():
            if not callable(read):
                raise ArgumentError(
                    f"{self._title}.{name}",
                    "must be a read, a zero-argument callable",
                    type(read).__name__,
                    "Make one with node.prefetch or node.prefetch_delay",
                )
            setattr(self, name, read)
        self.reads = tuple(reads)
        self.conn = self._param("conn", conn)
        if u.math.ndim(self.conn.value()) not in (1, 2):
            raise ArgumentError(
                f"{self._title}.conn", "must have shape (N, K) or (N * K,)", u.math.shape(self.conn.value())
            )
        for name, value in params.items():
            setattr(self, name, self._param(name, value))

    @classmethod
    def between(cls, source: Any, target: Any, weights: Any, k: Any = 1.0) -> "Coupling":
        """Return this coupling of a source read with a target read, ignored where there is no target."""
        return cls(source, weights, k=k)

    @brainstate.nn.call_order(2)
    def init_state(self, *args, **kwargs):
        """Register the delayed reads, once the states they read exist."""
        for name in self.reads:
            brainstate.nn.init_maybe_prefetch(getattr(self, name))

    def weights(self):
        """Return the weights that the source is summed with, shape (N, K)."""
        return weight_matrix(self._title, self.conn.value())

    def update(self):
        """Return the input of every target, shape (..., N)."""
        raise NotImplementedError(f"{self._title}.update")

    @property
    def _title(self) -> str:
        """Return the name of the coupling for messages."""
        return type(self).__name__

    def _param(self, name: str, value: Any) -> Param:
        """Return ``value`` as a Param."""
        if value is None:
            raise ArgumentError(
                f"{self._title}.{name}", "must be a number, an array, a Quantity or a Param", "None"
            )
        if isinstance(value, (list, tuple)):
            value = u.math.asarray(value)
        try:
            return Param.init(value)
        except (TypeError, ValueError, AssertionError) as error:
            raise ArgumentError(
                f"{self._title}.{name}", "must be a number, an array, a Quantity or a Param", repr(value)
            ) from error


class PairwiseCoupling(Coupling):
    """Hold a source and a target read."""

    @classmethod
    def between(cls, source, target, weights, k=1.0):
        """Return this coupling of a source read with a target read."""
        return cls(source, target, weights, k=k)
