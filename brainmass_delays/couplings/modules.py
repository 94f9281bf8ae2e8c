"""Couplings as Modules: each holds its reads and its trainable Params, and calls its kernel."""

from typing import Any, ClassVar

import brainstate
import brainunit as u
from brainstate.nn import Param

from .._core.checks import ArgumentError, check_choice
from . import kernels


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
        Whether the input is a function of ``sum_j weights()[i, j] * x_ij`` and the target only, so that a network may
        form these sums itself and call ``combine(total, target)``.

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
                raise ArgumentError(f"{self._title}.{name}", "must be a read, a zero-argument callable",
                                    type(read).__name__, "Make one with node.prefetch or node.prefetch_delay")
            setattr(self, name, read)
        self.reads = tuple(reads)
        self.conn = self._param("conn", conn)
        if u.math.ndim(self.conn.value()) not in (1, 2):
            raise ArgumentError(f"{self._title}.conn", "must have shape (N, K) or (N * K,)",
                                u.math.shape(self.conn.value()))
        for name, value in params.items():
            setattr(self, name, self._param(name, value))

    @classmethod
    def between(cls, source: Any, target: Any, weights: Any, k: Any = 1.0) -> "Coupling":
        """Return this coupling of a source read with a target read, which couplings without a target ignore."""
        return cls(source, weights, k=k)

    @brainstate.nn.call_order(2)
    def init_state(self, *args, **kwargs):
        """Register the delayed reads, once the states they read exist."""
        for name in self.reads:
            brainstate.nn.init_maybe_prefetch(getattr(self, name))

    def weights(self):
        """Return the weights that the source is summed with, shape (N, K)."""
        return kernels.matrix(self._title, self.conn.value())

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
            raise ArgumentError(f"{self._title}.{name}", "must be a number, an array, a Quantity or a Param", "None")
        if isinstance(value, (list, tuple)):
            value = u.math.asarray(value)
        try:
            return Param.init(value)
        except (TypeError, ValueError, AssertionError) as error:
            raise ArgumentError(f"{self._title}.{name}", "must be a number, an array, a Quantity or a Param",
                                repr(value)) from error


class _Pairwise(Coupling):
    """Hold a source and a target read."""

    @classmethod
    def between(cls, source, target, weights, k=1.0):
        """Return this coupling of a source read with a target read."""
        return cls(source, target, weights, k=k)


class AdditiveCoupling(Coupling):
    r"""Sum the weighted sources: :math:`k \sum_j w_{ij} x_{ij} + b`.

    Parameters
    ----------
    x : Callable
        Read of the source, shape (..., N, K).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.
    b : float, Quantity or Param, default 0
        Bias, scalar or per target.

    See Also
    --------
    brainmass_delays.couplings.kernels.additive_coupling : the same as a function.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import AdditiveCoupling
    >>> AdditiveCoupling(lambda: jnp.ones((2, 3)), jnp.ones((2, 3)), k=0.5, b=1.0)().tolist()
    [2.5, 2.5]
    """

    linear = True

    def __init__(self, x, conn, k=1.0, b=0.0):
        super().__init__({"x": x}, conn, k=k, b=b)

    def combine(self, total, target=None):
        """Return the input for ``total``, the weighted sum of the sources, shape (..., N)."""
        return kernels.additive_combine(total, self.k.value(), self.b.value())

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return self.combine(kernels.weighted_sum(self._title, self.x, self.weights()))


class LaplacianCoupling(_Pairwise):
    r"""Apply the graph Laplacian of the weights to the sources, with the target on the diagonal.

    Parameters
    ----------
    x, y : Callable
        Reads of the source, shape (..., N, K), and the target, shape (..., N).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.
    normalize : {'none', 'rw', 'sym'}, default 'none'
        Form of the Laplacian.

    See Also
    --------
    brainmass_delays.couplings.kernels.laplacian_coupling : the same as a function, with the three forms.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import LaplacianCoupling
    >>> x, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 2.0])
    >>> LaplacianCoupling(lambda: x, lambda: y, jnp.ones((2, 2)), normalize='rw')().tolist()
    [0.5, 1.5]
    """

    linear = True

    def __init__(self, x, y, conn, k=1.0, normalize="none"):
        super().__init__({"x": x, "y": y}, conn, k=k)
        self.normalize = check_choice(f"{self._title}.normalize", normalize, kernels.NORMALIZATIONS)

    def weights(self):
        """Return the off-diagonal part of the Laplacian, shape (N, K)."""
        return kernels.normalized(self._title, super().weights(), self.normalize)

    def combine(self, total, target):
        """Return the input for ``total``, the sum of the sources with `weights`, and the target, both (..., N)."""
        degree = kernels.diagonal(self.weights(), self.normalize)
        return kernels.diffusive_combine(total, target, degree, self.k.value())

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return self.combine(kernels.weighted_sum(self._title, self.x, self.weights()), self.y())


class DiffusiveCoupling(LaplacianCoupling):
    r"""Sum the weighted differences from the target: :math:`k \sum_j w_{ij} (x_{ij} - y_i)`.

    Parameters
    ----------
    x, y : Callable
        Reads of the source, shape (..., N, K), and the target, shape (..., N).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.

    See Also
    --------
    brainmass_delays.couplings.kernels.diffusive_coupling : the same as a function.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import DiffusiveCoupling
    >>> x, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 2.0])
    >>> DiffusiveCoupling(lambda: x, lambda: y, jnp.ones((2, 2)), k=0.5)().tolist()
    [0.5, 1.5]
    """

    def __init__(self, x, y, conn, k=1.0):
        super().__init__(x, y, conn, k)


class PowerLawCoupling(_Pairwise):
    r"""Sum signed powers of the differences: :math:`k \sum_j w_{ij} \, \mathrm{sign}(d) |d|^p`, :math:`d = x_{ij} - y_i`.

    Parameters
    ----------
    x, y : Callable
        Reads of the source, shape (..., N, K), and the target, shape (..., N).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.
    p : float or Param, default 1
        Exponent, positive, dimensionless, scalar or per target.

    See Also
    --------
    brainmass_delays.couplings.kernels.powerlaw_coupling : the same as a function, with the gradient at d = 0.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import PowerLawCoupling
    >>> x, y = jnp.array([[5.0, 1.0]]), jnp.array([1.0])
    >>> PowerLawCoupling(lambda: x, lambda: y, jnp.ones((1, 2)), k=3.0, p=0.5)().tolist()
    [6.0]
    """

    def __init__(self, x, y, conn, k=1.0, p=1.0):
        super().__init__({"x": x, "y": y}, conn, k=k, p=p)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return kernels.powerlaw_coupling(self.x, self.y, self.weights(), self.k.value(), self.p.value())


class KuramotoCoupling(_Pairwise):
    r"""Sum the sines of phase differences: :math:`k \sum_j w_{ij} \sin(x_{ij} - y_i - \alpha)`.

    Parameters
    ----------
    x, y : Callable
        Reads of the source phase, shape (..., N, K), and the target phase, shape (..., N).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target; not divided by N.
    alpha : float or Param, default 0
        Phase lag in rad, scalar or per target.

    See Also
    --------
    brainmass_delays.couplings.kernels.kuramoto_coupling : the same as a function.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import KuramotoCoupling
    >>> x, y = jnp.array([[jnp.pi / 2]]), jnp.array([0.0])
    >>> KuramotoCoupling(lambda: x, lambda: y, jnp.ones((1, 1)), k=2.0)().tolist()
    [2.0]
    """

    def __init__(self, x, y, conn, k=1.0, alpha=0.0):
        super().__init__({"x": x, "y": y}, conn, k=k, alpha=alpha)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return kernels.kuramoto_coupling(self.x, self.y, self.weights(), self.k.value(), self.alpha.value())


class SigmoidalCoupling(Coupling):
    r"""Pass the weighted sum through a logistic function: :math:`k \, \sigma(s (a \sum_j w_{ij} x_{ij} + b - m))`.

    Parameters
    ----------
    x : Callable
        Read of the source, shape (..., N, K).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.
    a, b, slope, midpoint : float or Param, default 1, 0, 1 and 0
        Gain and offset of the sum, steepness and half-activation.

    See Also
    --------
    brainmass_delays.couplings.kernels.sigmoidal_coupling : the same as a function.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import SigmoidalCoupling
    >>> SigmoidalCoupling(lambda: jnp.zeros((1, 2)), jnp.ones((1, 2)), k=4.0)().tolist()
    [2.0]
    """

    def __init__(self, x, conn, k=1.0, a=1.0, b=0.0, slope=1.0, midpoint=0.0):
        super().__init__({"x": x}, conn, k=k, a=a, b=b, slope=slope, midpoint=midpoint)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return kernels.sigmoidal_coupling(self.x, self.weights(), self.k.value(), self.a.value(), self.b.value(),
                                          self.slope.value(), self.midpoint.value())


class HyperbolicTangentCoupling(Coupling):
    r"""Pass the weighted sum through a hyperbolic tangent: :math:`k \tanh(s \sum_j w_{ij} x_{ij})`.

    Parameters
    ----------
    x : Callable
        Read of the source, shape (..., N, K).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 0.5
        Strength, scalar or per target.
    scale : float or Param, default 2
        Factor s of the sum.

    See Also
    --------
    brainmass_delays.couplings.kernels.hyperbolic_tangent_coupling : the same as a function.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import HyperbolicTangentCoupling
    >>> HyperbolicTangentCoupling(lambda: jnp.zeros((1, 2)), jnp.ones((1, 2)))().tolist()
    [0.0]
    """

    def __init__(self, x, conn, k=0.5, scale=2.0):
        super().__init__({"x": x}, conn, k=k, scale=scale)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return kernels.hyperbolic_tangent_coupling(self.x, self.weights(), self.k.value(), self.scale.value())


class SigmoidalJansenRitCoupling(Coupling):
    r"""Sum the weighted firing rates of the sources: :math:`k \sum_j w_{ij} S(x_{ij})`.

    Parameters
    ----------
    x : Callable
        Read of the source potential, shape (..., N, K).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights, ``[target, source]``.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.
    cmin, cmax : float or Param, default 0 and 0.005
        Lowest and highest rate, per ms.
    midpoint, r : float or Param, default 6 and 0.56
        Potential of the half-maximal rate in mV, and steepness in 1/mV.

    See Also
    --------
    brainmass_delays.couplings.kernels.sigmoidal_jansen_rit_coupling : the same as a function.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.couplings import SigmoidalJansenRitCoupling
    >>> x = jnp.full((1, 2), 6.0)
    >>> SigmoidalJansenRitCoupling(lambda: x, jnp.array([[0.2, 0.4]]), k=1000.0)().tolist()
    [1.5]
    """

    def __init__(self, x, conn, k=1.0, cmin=0.0, cmax=0.005, midpoint=6.0, r=0.56):
        super().__init__({"x": x}, conn, k=k, cmin=cmin, cmax=cmax, midpoint=midpoint, r=r)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return kernels.sigmoidal_jansen_rit_coupling(self.x, self.weights(), self.k.value(), self.cmin.value(),
                                                     self.cmax.value(), self.midpoint.value(), self.r.value())


COUPLINGS: dict[str, type[Coupling]] = {
    "additive": AdditiveCoupling,
    "diffusive": DiffusiveCoupling,
    "powerlaw": PowerLawCoupling,
    "sigmoidal": SigmoidalCoupling,
    "tanh": HyperbolicTangentCoupling,
    "kuramoto": KuramotoCoupling,
    "sigmoidal_jansen_rit": SigmoidalJansenRitCoupling,
    "laplacian": LaplacianCoupling,
}
