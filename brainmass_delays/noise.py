"""Noise that drives a node, with a strength that does not depend on the time step."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ._core.arguments import numbers
from ._core.checks import ArgumentError, check_count, check_finite, check_positive
from ._core.param import HoldsParams, constant
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
            known = value.value() if isinstance(value, brainstate.nn.Param) else value
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
        self.key = brainstate.ShortTermState(_key_data(brainstate.random.split_key()))
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

    def _where(self, name: str) -> str:
        """Return the place of one argument for messages."""
        return f"{type(self).__name__}.{name}"

    def _step_ms(self):
        """Return the step size in force, in ms."""
        return step_size(self._where("update")).to_decimal(u.ms)


def _key_data(key):
    """Return a key as plain numbers."""
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key


def is_size(where, value):
    """Refuse all but a count, or a tuple of them."""
    for n in value if isinstance(value, tuple | list) and len(value) else (value,):
        if check_count(where, n) != n or isinstance(n, float):
            raise ArgumentError(where, "must be an int or a tuple of int", repr(value))


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


class ColoredNoise(Noise):
    r"""Drive a state with Gaussian noise of a given spectrum.

    Parameters
    ----------
    in_size : int or tuple of int
        Shape of the node that is driven.
    frequencies : array_like or Quantity, shape (n_frequencies,)
        Ascending frequencies; plain numbers mean Hz.
    density : array_like, shape (n_frequencies,)
        Power at these frequencies up to a factor, linear in between and none outside.
    sigma : float, array_like, Quantity or Param
        Standard deviation, scalar or of shape ``in_size``, in the unit of the input.
    n_waves : int, default 200
        Number of waves that make up the noise of a region.

    Raises
    ------
    ArgumentError
        If frequencies do not ascend, the density is negative or zero everywhere, or ``sigma`` has another
        shape.

    Notes
    -----
    A sum of waves whose frequencies are drawn from the spectrum, one in each of ``n_waves`` parts of equal
    power, with random phases (drawn by ``init_all_states``). The spectrum is right for any number of waves;
    the distribution of values tends to a normal one with their number. The noise is smooth: its methods keep
    their order. In brainmass, ``ColoredNoise(beta=...)`` shapes every sample over the regions and not over
    time.

    References
    ----------
    Shinozuka, M., Deodatis, G. (1991). Simulation of stochastic processes by spectral representation. Applied
    Mechanics Reviews 44, 191-204.

    Examples
    --------
    A spectrum of 1/f between 1 and 100 Hz:

    >>> import brainstate
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays.noise import ColoredNoise
    >>> f = np.linspace(1, 100, 200)
    >>> noise = ColoredNoise(3, f * u.Hz, 1 / f, sigma=0.5)
    >>> _ = brainstate.nn.init_all_states(noise)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     noise().shape
    (3,)
    """

    def __init__(self, in_size: Any, frequencies: Any, density: Any, sigma: Any, n_waves: int = 200):
        super().__init__(in_size, sigma=sigma)
        f = np.asarray(magnitude(self._where("frequencies"), frequencies, u.Hz), float)
        power = check_finite(self._where("density"), density).astype(float)
        if f.ndim != 1 or len(f) < 2 or f[0] < 0 or not np.all(np.diff(f) > 0):
            raise ArgumentError(self._where("frequencies"), "must be at least two ascending frequencies", f)
        if power.shape != f.shape or np.any(power < 0) or not np.any(power > 0):
            rule = f"must be one number per frequency {f.shape}, not negative and not all zero"
            raise ArgumentError(self._where("density"), rule, power)
        self.n_waves = check_count(self._where("n_waves"), n_waves)
        # The quantiles of the spectrum, on a grid fine enough for a density that is linear in between.
        grid = np.linspace(f[0], f[-1], 20 * len(f) + 1)
        cumulated = np.concatenate([[0.0], np.cumsum(np.interp((grid[1:] + grid[:-1]) / 2, f, power))])
        self.quantiles, self.grid = cumulated / cumulated[-1], 2e-3 * np.pi * grid

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Draw frequencies and phases."""
        super().init_state(batch_size)
        shape = (*self.shape, self.n_waves)
        part = (jnp.arange(self.n_waves) + brainstate.random.uniform(size=shape)) / self.n_waves
        self.radians = brainstate.HiddenState(jnp.interp(part, self.quantiles, self.grid))
        self.phases = brainstate.HiddenState(2 * jnp.pi * brainstate.random.uniform(size=shape))

    def update(self):
        """Return the drive of the coming step, shape ``(..., *in_size)``, and turn all waves by one step."""
        phases = self.phases.value
        self.phases.value = phases + self.radians.value * self._step_ms()
        return self.sigma.value() * (jnp.sum(jnp.sin(phases), axis=-1) * np.sqrt(2 / self.n_waves))


class MultiplicativeNoise(Noise):
    r"""Drive a state with noise whose strength follows the state: :math:`dx = \dots + g(x) \, dW`, after Ito.

    Parameters
    ----------
    noise : Noise
        The noise of strength 1, usually ``WhiteNoise(n, 1.0)``.
    gain : callable
        ``gain(*values)`` returns g, given what the reads return; shape ``(..., *in_size)``.
    *reads : callable
        Reads without arguments, such as ``node.prefetch('x')``.

    Notes
    -----
    The gain is that of the state at the beginning of the step and is held over the step, whatever the method:
    the solution is that of Ito, with strong order 1/2. For Stratonovich's, add :math:`g g' / 2` to the rate.
    As the node is made before its reads, set the noise afterwards: ``node.noise_x =
    MultiplicativeNoise(...)``. The gradient flows through gain and reads.

    References
    ----------
    Kloeden, P. E., Platen, E. (1992). Numerical Solution of Stochastic Differential Equations. Springer.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays import LinearStep
    >>> from brainmass_delays.noise import MultiplicativeNoise, WhiteNoise
    >>> node = LinearStep(3, gamma=-0.1, init_x=1.0)
    >>> node.noise_x = MultiplicativeNoise(WhiteNoise(3, 1.0), lambda x: 0.2 * x, node.prefetch('x'))
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     node.update().shape
    (3,)
    """

    def __init__(self, noise: Noise, gain: Callable, *reads: Callable):
        if not isinstance(noise, Noise):
            raise ArgumentError("MultiplicativeNoise.noise", "must be a noise", repr(noise))
        super().__init__(noise.varshape)
        if not callable(gain) or not reads or not all(map(callable, reads)):
            rule = "needs a gain and at least one read, all callable"
            raise ArgumentError(
                self._where("gain"), rule, (gain, *reads), "Read a state with node.prefetch('x')"
            )
        self.noise, self.gain, self.reads = noise, gain, reads

    def update(self):
        """Return the drive of the coming step, shape ``(..., *in_size)``."""
        return self.gain(*(read() for read in self.reads)) * self.noise()


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
