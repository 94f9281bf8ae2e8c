"""White noise and the Ornstein-Uhlenbeck process."""

from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp

from .._core.checks import check_positive
from .._core.status import is_traced
from .._core.units import magnitude
from .base import Noise, normals


class WhiteNoise(Noise):
    r"""Drive a state with Gaussian white noise: :math:`dx = \dots + \sigma \, dW`.

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    sigma : float, array_like, Quantity or Param
        Strength, scalar or of shape ``in_size``, in the unit of the input times :math:`\sqrt{ms}`; a plain
        number for a dimensionless input.
    correlation : array_like, shape (n_regions, n_regions), optional
        Correlation between regions; independent if not given.

    Raises
    ------
    ArgumentError
        If ``sigma`` has another shape, the correlation is no correlation matrix, or no step size is set when
        a sample is drawn.

    Notes
    -----
    A sample is :math:`\sigma \xi / \sqrt{dt}` with standard normal :math:`\xi`, so over a step the state
    gains :math:`\sigma \xi \sqrt{dt}` with every method and time step. This holds for inputs that enter the
    rate linearly with gain 1 per ms; inside a nonlinearity white noise has no limit as dt shrinks, use
    `OUNoise`. Without delays ``'euler'`` has strong and weak order 1, ``'heun'`` strong order 1 and weak
    order 2.

    References
    ----------
    Kloeden, P. E., Platen, E. (1992). Numerical Solution of Stochastic Differential Equations. Springer.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.noise import WhiteNoise
    >>> noise = WhiteNoise(1000, sigma=0.5)
    >>> brainstate.random.seed(0)
    >>> with brainstate.environ.context(dt=0.25 * u.ms):
    ...     print(bool(abs(noise().std() - 1.0) < 0.1))
    True
    """

    def __init__(self, in_size: Any, sigma: Any, correlation: Any = None):
        super().__init__(in_size, correlation, sigma=sigma)

    def update(self):
        """Return the drive of the coming step, shape ``(..., *in_size)``."""
        h = self._step_ms()
        sigma = self.sigma.value()
        drive = sigma * (self.normal() / jnp.sqrt(h))
        return drive / u.ms**0.5 if isinstance(sigma, u.Quantity) else drive


class OUNoise(Noise):
    r"""Drive a state with Ornstein-Uhlenbeck noise of a given standard deviation and correlation time.

    .. math:: d\eta = (\mu - \eta) \frac{dt}{\tau} + \sigma \sqrt{\frac{2}{\tau}} \, dW

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    sigma : float, array_like, Quantity or Param
        Stationary standard deviation, scalar or of shape ``in_size``, in the unit of the input.
    tau : Quantity, float or Param, default 10 ms
        Correlation time, positive; a plain number means ms.
    mean : float, array_like, Quantity or Param, default 0
        Stationary mean, in the unit of the input.
    correlation : array_like, shape (n_regions, n_regions), optional
        Correlation between regions at equal times; independent if not given.

    Raises
    ------
    ArgumentError
        If a parameter has another shape, the correlation is no correlation matrix, ``tau`` is no positive
        time, or no step size is set when a sample is drawn.

    Notes
    -----
    The samples at the time steps have exactly the law of the process, mean, variance and correlation
    :math:`e^{-|s| / \tau}`, for every time step: the update is the exact transition. The process starts from
    its stationary law. The state ``z`` is standardized (mean 0, variance 1), so parameters may change during
    a fit without a transient. In brainmass the ``sigma`` of ``OUProcess`` is :math:`\sqrt 2` times this one.

    References
    ----------
    Gillespie, D. T. (1996). Exact numerical simulation of the Ornstein-Uhlenbeck process and its integral.
    Physical Review E 54, 2084-2091.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.noise import OUNoise
    >>> noise = OUNoise(1000, sigma=0.5 * u.mV, tau=20.0 * u.ms)
    >>> brainstate.random.seed(0)
    >>> _ = brainstate.nn.init_all_states(noise)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     print(bool(abs(noise().std() - 0.5 * u.mV) < 0.05 * u.mV))
    True
    """

    def __init__(
        self, in_size: Any, sigma: Any, tau: Any = 10.0 * u.ms, mean: Any = 0.0, correlation: Any = None
    ):
        super().__init__(in_size, correlation, sigma=sigma, tau=tau, mean=mean)
        if not is_traced(self._tau_ms()):
            check_positive(self._where("tau"), self._tau_ms())
        self._mean()

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Draw the standardized process from its stationary law."""
        super().init_state(batch_size)
        first = jnp.int32(2**31 - 1)  # a draw that no step ever makes
        self.z = brainstate.HiddenState(self._mixed(normals(self.key.value, first, 1, *self.draw)[0]))

    def update(self):
        """Return the drive of the coming step, shape ``(..., *in_size)``, and advance the process."""
        z = self.z.value
        decay = self._step_ms() / self._tau_ms()
        kick = jnp.sqrt(-jnp.expm1(-2 * decay))
        self.z.value = jnp.exp(-decay) * z + kick * self.normal()
        return self._mean() + self.sigma.value() * z

    def _tau_ms(self):
        """Return the correlation time in ms."""
        return magnitude(self._where("tau"), self.tau.value(), u.ms)

    def _mean(self):
        """Return the mean in the unit of sigma."""
        unit = u.get_unit(self.sigma.value())
        mean = magnitude(self._where("mean"), self.mean.value(), unit)
        return mean if unit.is_unitless else mean * unit
