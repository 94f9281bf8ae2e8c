"""Noise that drives a node, with a strength that does not depend on the time step."""

from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from brainstate.nn import Param

from ._core.checks import ArgumentError, check_positive
from ._core.status import is_traced
from ._core.units import magnitude
from .delays.context import server
from .delays.delay import step_size


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


class Noise(brainstate.nn.Dynamics):
    """Hand out one sample of noise per time step, held over the step.

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    **params : float, array_like, Quantity or Param
        Parameters by name, scalar or of shape ``in_size``; each becomes an attribute holding a Param.

    Raises
    ------
    ArgumentError
        If a parameter has another shape.

    Notes
    -----
    The key of the samples is drawn from ``brainstate.random`` when states are initialized:
    ``brainstate.random.seed(0)`` before that makes a run reproducible. The sample of a step depends on the
    key and the number of the step only. Samples are independent across regions and, if states were
    initialized with a ``batch_size``, across the batch. The gradient flows to every Param through the same
    samples (the reparametrization gradient).

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays.nodes import HopfStep
    >>> from brainmass_delays.noise import OUNoise, WhiteNoise
    >>> node = HopfStep(3, noise_x=WhiteNoise(3, 0.02), noise_y=OUNoise(3, 0.01, tau=20.0 * u.ms))
    """

    def __init__(self, in_size: Any, **params: Any):
        super().__init__(in_size)
        self.batch = None
        for name, value in params.items():
            try:
                setattr(self, name, Param.init(value, self.varshape))
            except (TypeError, ValueError) as error:
                raise ArgumentError(
                    self._where(name), f"must be a number, or an array of shape {self.varshape}", repr(value)
                ) from error

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Draw the key of the samples, and give them a leading batch axis if ``batch_size`` is given."""
        self.batch = batch_size
        self.key = brainstate.ShortTermState(_key_data(brainstate.random.split_key()))
        self.count = brainstate.ShortTermState(jnp.int32(0))

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
        return found

    def _where(self, name: str) -> str:
        """Return the place of one argument for messages."""
        return f"{type(self).__name__}.{name}"

    def _step_ms(self):
        """Return the step size in force, in ms."""
        return step_size(self._where("update")).to_decimal(u.ms)


def _key_data(key):
    """Return a key as plain numbers."""
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key


class WhiteNoise(Noise):
    r"""Drive a state with Gaussian white noise: :math:`dx = \dots + \sigma \, dW`.

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    sigma : float, array_like, Quantity or Param
        Strength, scalar or of shape ``in_size``, in the unit of the input times :math:`\sqrt{ms}`; a plain
        number for a dimensionless input.

    Raises
    ------
    ArgumentError
        If ``sigma`` has another shape, or no step size is set when a sample is drawn.

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

    def __init__(self, in_size: Any, sigma: Any):
        super().__init__(in_size, sigma=sigma)

    def update(self):
        """Return the drive of the coming step, shape (..., *in_size)."""
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

    Raises
    ------
    ArgumentError
        If a parameter has another shape, ``tau`` is no positive time, or no step size is set when a sample is
        drawn.

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

    def __init__(self, in_size: Any, sigma: Any, tau: Any = 10.0 * u.ms, mean: Any = 0.0):
        super().__init__(in_size, sigma=sigma, tau=tau, mean=mean)
        if not is_traced(self._tau_ms()):
            check_positive(self._where("tau"), self._tau_ms())
        self._mean()

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Draw the standardized process from its stationary law."""
        super().init_state(batch_size)
        first = jnp.int32(2**31 - 1)  # a draw that no step ever makes
        self.z = brainstate.HiddenState(normals(self.key.value, first, 1, *self.draw)[0])

    def update(self):
        """Return the drive of the coming step, shape (..., *in_size), and advance the process."""
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
