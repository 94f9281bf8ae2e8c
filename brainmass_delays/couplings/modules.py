"""Couplings as Modules: each holds its reads and its trainable Params, and calls its kernel."""

from typing import Any

import brainunit as u
from brainstate.nn import Param

from .._core.arguments import numbers
from .._core.checks import check_choice
from .._core.choices import LaplacianNormalization
from . import kernels
from .coupling import Coupling, SeparableCoupling


class AdditiveCoupling(SeparableCoupling):
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

    def __init__(self, x, conn, k: Any = 1.0, b: Any = 0.0):
        super().__init__({"x": x}, conn, k=k, b=b)

    def combine(self, sums, y=None):
        """Return the input for the weighted sum of the sources, shape (..., N)."""
        return kernels.additive_combine(sums[0], self.k.value(), self.b.value())


class LaplacianCoupling(SeparableCoupling):
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

    def __init__(self, x, y, conn, k: Any = 1.0, normalize: LaplacianNormalization = "none"):
        super().__init__({"x": x, "y": y}, conn, k=k)
        self.normalize = check_choice(f"{self._title}.normalize", normalize, kernels.NORMALIZATIONS)

    def weights(self):
        """Return the off-diagonal part of the Laplacian, shape (N, K)."""
        return kernels.laplacian_weights(self._title, super().weights(), self.normalize)

    def combine(self, sums, y):
        """Return the input for the sum of the sources with `weights`, and the target."""
        degree = kernels.laplacian_degree(self.weights(), self.normalize)
        return kernels.laplacian_combine(sums[0], y, degree, self.k.value())


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

    def __init__(self, x, y, conn, k: Any = 1.0):
        super().__init__(x, y, conn, k)


class PowerLawCoupling(Coupling):
    r"""Sum signed powers of the differences: :math:`k \sum_j w_{ij} \, \mathrm{sign}(d_{ij}) |d_{ij}|^p`.

    The difference is :math:`d_{ij} = x_{ij} - y_i`.

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

    def __init__(self, x, y, conn, k: Any = 1.0, p: Any = 1.0):
        super().__init__({"x": x, "y": y}, conn, k=k, p=p)

    def update(self):
        """Return the input of every target, shape (..., N)."""
        return kernels.powerlaw_coupling(self.x, self.y, self.weights(), self.k.value(), self.p.value())


class KuramotoCoupling(SeparableCoupling):
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

    def __init__(self, x, y, conn, k: Any = 1.0, alpha: Any = 0.0):
        super().__init__({"x": x, "y": y}, conn, k=k, alpha=alpha)

    def features(self, x):
        """Return the sine and the cosine of the source phase."""
        return kernels.phase_features(x)

    def combine(self, sums, y):
        """Return the input from the sums of sines and cosines, and the target phase."""
        return kernels.kuramoto_combine(sums, y, self.k.value(), self.alpha.value())


class SigmoidalCoupling(SeparableCoupling):
    r"""Pass the weighted sum through a logistic: :math:`k \, \sigma(s (a \sum_j w_{ij} x_{ij} + b - m))`.

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

    def __init__(
        self, x, conn, k: Any = 1.0, a: Any = 1.0, b: Any = 0.0, slope: Any = 1.0, midpoint: Any = 0.0
    ):
        if not isinstance(b, Param):
            numbers(unit=u.UNITLESS)(f"{self._title}.b", b)
        super().__init__({"x": x}, conn, k=k, a=a, b=b, slope=slope, midpoint=midpoint)

    def combine(self, sums, y=None):
        """Return the logistic of the weighted sum, shape (..., N)."""
        params = (self.k, self.a, self.b, self.slope, self.midpoint)
        return kernels.sigmoidal_combine(sums[0], *(p.value() for p in params))


class HyperbolicTangentCoupling(SeparableCoupling):
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

    def __init__(self, x, conn, k: Any = 0.5, scale: Any = 2.0):
        super().__init__({"x": x}, conn, k=k, scale=scale)

    def combine(self, sums, y=None):
        """Return the hyperbolic tangent of the weighted sum, shape (..., N)."""
        return kernels.tangent_combine(sums[0], self.k.value(), self.scale.value())


class SigmoidalJansenRitCoupling(SeparableCoupling):
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

    def __init__(
        self, x, conn, k: Any = 1.0, cmin: Any = 0.0, cmax: Any = 0.005, midpoint: Any = 6.0, r: Any = 0.56
    ):
        super().__init__({"x": x}, conn, k=k, cmin=cmin, cmax=cmax, midpoint=midpoint, r=r)

    def features(self, x):
        """Return the firing rate of the source."""
        params = (self.cmin, self.cmax, self.midpoint, self.r)
        return (kernels.firing_rate(x, *(p.value() for p in params)),)

    def combine(self, sums, y=None):
        """Return the sum of firing rates times the strength, shape (..., N)."""
        return self.k.value() * sums[0]


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
