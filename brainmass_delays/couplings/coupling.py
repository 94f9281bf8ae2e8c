"""The base of all coupling Modules: reads, weights and trainable Params."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import brainstate
import brainunit as u
import jax
import numpy as np
from brainstate.nn import Param

from .._core.arguments import numbers
from .._core.checks import ArgumentError
from .._core.param import HoldsParams, constant, value_of
from .._core.status import is_traced
from ..delays.read import DelayedRead
from .shapes import source_values, weight_matrix

# Parameters of the couplings of this library that have no unit.
PLAIN = {"scale", "alpha", "p", "slope", "midpoint", "a", "r", "cmin", "cmax"}


class Coupling(HoldsParams, brainstate.nn.Module):
    """Hold the reads, weights and strength of one coupling.

    Parameters
    ----------
    reads : dict
        Zero-argument reads by argument name: ``x``, the source, and for some couplings ``y``, the target.
    conn : array_like, Quantity or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``. A Param is trainable.
    **params : float, array_like, Quantity or Param
        Strength and shape parameters by name; each becomes an attribute holding a Param.

    Raises
    ------
    ArgumentError
        If a read cannot be called, or an array is not numeric or has the wrong number of axes.

    Notes
    -----
    Gradients reach every Param and whatever the reads depend on. A coupling that needs only sums over its
    sources runs many times faster as a `SeparableCoupling`.

    Examples
    --------
    A coupling of one's own, used by a `Network` through its class:

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

    if TYPE_CHECKING:  # reads and parameters are attributes that no checker sees being set

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, reads: dict, conn: Any, **params: Any):
        super().__init__()
        self.connections = None  # which weights belong to connections, where not all do
        if not isinstance(reads, Mapping):
            raise ArgumentError(f"{self._title}.reads", "must be a dict of reads by name", repr(reads))
        for name, read in reads.items():
            if not callable(read):
                raise ArgumentError(
                    f"{self._title}.{name}",
                    "must be a read, one of reads, so a zero-argument callable",
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
    def between(cls, source: Any, target: Any, weights: Any, **options: Any) -> "Coupling":
        """Return this coupling of a source read with a target read, which a class whose constructor takes
        two arguments does without."""
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        needed = [p for p in parameters if p.default is p.empty and p.kind in POSITIONAL]
        reads = (source, target) if len(needed) > 2 else (source,)
        return cls(*reads, weights, **options)

    def weights(self):
        """Return the weights that the source is summed with, shape (N, K)."""
        weights = weight_matrix(self._title, self.conn.value())
        if self.connections is None:
            return weights
        return u.math.where(self.connections, weights, 0.0 * u.get_unit(weights))

    def update(self):
        """Return the input of every target, shape (..., N)."""
        raise NotImplementedError(f"{self._title}.update")

    def __setattr__(self, name: str, value: Any) -> None:
        known = vars(self).get("connections") if name == "conn" else None
        if not (known is None or self.conn.fit or isinstance(value, Param) or is_traced(value)):
            given = np.asarray(u.get_magnitude(weight_matrix(self._title, value)))
            n_other = int(np.sum((given != 0) & ~known)) if given.shape == known.shape else 0
            if n_other:
                rule, cure = "must be 0 where there is no connection", "Build a new Network"
                raise ArgumentError(f"{self._title}.conn", rule, f"{n_other} weights elsewhere", cure)
        super().__setattr__(name, value)

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
        is_own = type(self).__module__.startswith("brainmass_delays.") and name != "conn"
        most = 2 if is_own else 32
        if is_own and name in PLAIN and not isinstance(value, Param):
            numbers(unit=u.UNITLESS)(f"{self._title}.{name}", value)
        given = value_of(value)
        numbers(finite=True, axes=(0, most))(f"{self._title}.{name}", given)
        if isinstance(value, (list, tuple)):
            value = u.math.asarray(value)
        try:
            return constant(value)
        except (TypeError, ValueError, AssertionError) as error:
            raise ArgumentError(
                f"{self._title}.{name}", "must be a number, an array, a Quantity or a Param", repr(value)
            ) from error


class SeparableCoupling(Coupling):
    r"""Give every target a function of weighted sums over its sources.

    .. math::

        I_i = c\big(\textstyle\sum_j w_{ij} \phi_1(x_{ij}), \sum_j w_{ij} \phi_2(x_{ij}), \dots, y_i\big)

    Subclasses define ``features``, the functions :math:`\phi` of the source ("pre" in The Virtual Brain), and
    ``combine``, the function :math:`c` ("post"). A network stores the features of every region and sums them
    along the connections, which costs one multiplication per connection and feature instead of one
    evaluation of :math:`\phi`.

    Parameters
    ----------
    reads, conn, **params
        As in `Coupling`.

    Notes
    -----
    A delayed feature is interpolated between features of samples, not computed from an interpolated sample:
    the difference is of the order of the interpolation. For phases it is the better way: wrapped phases
    interpolate wrongly, their sines and cosines do not. Parameters in ``features`` are scalar or per source.
    One that differs between targets, of shape (N, 1), cannot be separated: the features are evaluated for
    every connection then.

    Examples
    --------
    Rectified sources:

    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import SeparableCoupling
    >>> class Rectified(SeparableCoupling):
    ...     def __init__(self, x, conn, k=1.0):
    ...         super().__init__({'x': x}, conn, k=k)
    ...     def features(self, x):
    ...         return (jnp.maximum(x, 0.0),)
    ...     def combine(self, sums, y=None):
    ...         return self.k.value() * sums[0]
    >>> Rectified(lambda: jnp.array([[-1.0, 2.0]]), jnp.ones((1, 2)))().tolist()
    [2.0]
    """

    def features(self, x: Any) -> tuple:
        """Return functions of the source, elementwise; by default the source itself."""
        return (x,)

    def combine(self, sums: tuple, y: Any = None) -> Any:
        """Return the input of every target from the sums of its features and, if there is a read ``y``, its
        own value, shape (..., N)."""
        raise NotImplementedError(f"{self._title}.combine")

    @property
    def is_linear(self) -> bool:
        """Whether the only feature is the source itself."""
        return getattr(self.features, "__func__", None) is SeparableCoupling.features

    def features_of(self, x: Any, unit: u.Unit) -> tuple:
        """Return the features of plain numbers of a unit, as plain numbers."""
        return tuple(u.get_magnitude(f) for f in self._features(u.maybe_decimal(x * unit)))

    def _features(self, x: Any) -> tuple:
        """Return the features, refused if they are not listed."""
        found = self.features(x)
        if not isinstance(found, tuple | list) or not found:
            rule = "must return a tuple of functions of the source"
            got = "one array" if hasattr(found, "dtype") else type(found).__name__
            raise ArgumentError(f"{self._title}.features", rule, got, "Write return (f(x),)")
        return tuple(found)

    @property
    def n_features(self) -> int:
        """Count the features."""
        return len(self._feature_units())

    def _feature_units(self):
        return [u.get_unit(f) for f in self._shapes()]

    def _shapes(self):
        """Return what the features look like of one value per source."""
        x = jax.ShapeDtypeStruct(self.x.past.signal.node.varshape, brainstate.environ.dftype())
        unit = self.x.past.unit
        return jax.eval_shape(
            lambda x: tuple(u.math.asarray(f) for f in self._features(u.maybe_decimal(x * unit))), x
        )

    def _is_separable(self):
        """Tell whether the features are the same for all targets."""
        return all(f.shape == self.x.past.signal.node.varshape for f in self._shapes())

    def sums(self) -> tuple:
        """Return the weighted sum of every feature over the sources, shape (..., N) each."""
        if not (isinstance(self.x, DelayedRead) and self._is_separable()):
            weights = self.weights()
            x = source_values(self._title, self.x, weights)
            return tuple((weights * feature).sum(axis=-1) for feature in self._features(x))
        unit = u.get_unit(self.weights())
        totals = zip(self.x.sums(self), self._feature_units(), strict=True)
        return tuple(u.maybe_decimal(total * (unit * feature)) for total, feature in totals)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        y = self.y() if "y" in self.reads else None
        if "y" in self.reads and not hasattr(y, "shape"):
            raise ArgumentError(f"{self._title}.y", "must return an array", type(y).__name__)
        return self.combine(self.sums(), y)


POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
