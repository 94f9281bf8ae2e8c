"""Priors of parameters, in their units, as negative log densities that a fit adds to a likelihood."""

import copy
import math
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Regularization
from jax.scipy.special import gammaln

from .._core.arguments import numbers
from .._core.checks import ArgumentError
from .._core.param import ShowsSignature, value_of
from .._core.status import is_traced
from .._core.units import magnitude

__all__ = ["Gamma", "HalfNormal", "LogNormal", "Normal", "Prior", "Uniform"]


class Prior(ShowsSignature, Regularization):
    """Say how probable the values of a parameter are before data are seen.

    Attach it by ``Param(value, reg=prior)``, or name it in ``Fitter(priors={'speed': prior})``. Arguments
    with units are checked against that of the parameter; plain numbers are in it. Entries of an array are
    independent. Arguments may be Params, which are then fitted too: a group's mean, the scale of a spread.

    A subclass has ``QUANTITIES``, the names of arguments in the unit of the parameter, ``POSITIVE``, those
    that must be above 0, and three formulas of plain numbers.
    """

    QUANTITIES: tuple[str, ...] = ()
    POSITIVE: tuple[str, ...] = ()

    def __init__(self, **arguments: Any):
        super().__init__()
        self.unit: u.Unit | None = None
        self.names = tuple(arguments)
        for name, value in arguments.items():
            rule = numbers(
                finite=True,
                above=0 if name in self.POSITIVE else None,
                unit=None if name in self.QUANTITIES else u.UNITLESS,
            )
            rule(f"{type(self).__name__}.{name}", value_of(value))
            setattr(self, name, value)

    def in_unit(self, where: str, unit: u.Unit) -> "Prior":
        """Return this prior for a parameter in a unit, or refuse."""
        prior = copy.copy(self)
        prior.unit = unit
        prior.numbers(where)
        return prior

    def numbers(self, where: str = "Prior") -> list[jax.Array]:
        """Return the arguments as plain numbers, those in a unit in that of the parameter."""
        unit = u.UNITLESS if self.unit is None else self.unit
        values = [(name, getattr(self, name)) for name in self.names]
        values = [(name, value_of(value)) for name, value in values]
        return [
            jnp.asarray(magnitude(f"{where}: {type(self).__name__}.{name}", value, unit))
            if name in self.QUANTITIES
            else jnp.asarray(u.get_magnitude(value))
            for name, value in values
        ]

    def loss(self, value: Any) -> jax.Array:
        """Return the negative log density of plain numbers in the unit of the parameter, summed."""
        return -jnp.sum(self.log_density(jnp.asarray(value), *self.numbers()))

    def residual(self, value: Any) -> jax.Array:
        """Return numbers whose halved squares are `loss` up to a constant, as least squares need them."""
        return self.root(jnp.asarray(value), *self.numbers())

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> Any:
        """Draw values in the unit of the arguments; where the prior belongs to a parameter, plain numbers in
        the unit of that."""
        if self.unit is not None:
            return self.draw(key, shape, *self.numbers())
        values = [getattr(self, name) for name in self.names if name in self.QUANTITIES]
        units = [u.get_unit(value_of(value)) for value in values]
        unit = next((unit for unit in units if not unit.is_unitless), u.UNITLESS)
        return u.maybe_decimal(self.in_unit("Prior.sample", unit).sample(key, shape) * unit)

    def sample_init(self, shape: Any) -> jax.Array:
        """Draw a value with brainstate's own random numbers."""
        return self.sample(
            brainstate.random.split_key(), (shape,) if isinstance(shape, int) else tuple(shape)
        )

    def log_density(self, value, *numbers):
        """Return the log density of every number."""
        raise NotImplementedError

    def root(self, value, *numbers):
        """Return the signed root of twice the distance of the negative log density from its least."""
        raise NotImplementedError

    def draw(self, key, shape, *numbers):
        """Draw numbers."""
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.names)})"


class Normal(Prior):
    """Expect values around a mean.

    Parameters
    ----------
    mean, sd : float, Quantity or Param
        Mean and standard deviation, in the dimension of the parameter.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import Param, priors
    >>> prior = priors.Normal(5.0 * u.meter / u.second, 1.0 * u.meter / u.second)
    >>> speed = Param(6.0 * u.mm / u.ms, reg=prior)
    >>> round(float(speed.reg_loss()), 4)
    1.4189
    """

    QUANTITIES, POSITIVE = ("mean", "sd"), ("sd",)

    def __init__(self, mean: Any, sd: Any):
        super().__init__(mean=mean, sd=sd)

    def log_density(self, value, mean, sd):
        return -0.5 * ((value - mean) / sd) ** 2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi)

    def root(self, value, mean, sd):
        return (value - mean) / sd

    def draw(self, key, shape, mean, sd):
        return mean + sd * jax.random.normal(key, shape)


class LogNormal(Prior):
    """Expect positive values whose logarithms are normal, as speeds and delays have.

    Parameters
    ----------
    median : float, Quantity or Param
        Median, in the dimension of the parameter.
    sigma : float or Param
        Standard deviation of the natural logarithm, dimensionless: 0.3 is about 30 %.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import Param, priors
    >>> speed = Param(5.0 * u.mm / u.ms, reg=priors.LogNormal(5.0 * u.mm / u.ms, 0.3))
    >>> round(float(speed.reg_loss()), 4)
    1.3244
    """

    QUANTITIES, POSITIVE = ("median",), ("median", "sigma")

    def __init__(self, median: Any, sigma: Any):
        super().__init__(median=median, sigma=sigma)

    def log_density(self, value, median, sigma):
        positive = value > 0
        log = jnp.log(jnp.where(positive, value, 1.0))
        density = -0.5 * ((log - jnp.log(median)) / sigma) ** 2 - log - jnp.log(sigma)
        return jnp.where(positive, density - 0.5 * math.log(2 * math.pi), -jnp.inf)

    def root(self, value, median, sigma):
        # The density of the value itself is highest at median * exp(-sigma**2); in the logarithm the
        # distance from there is a square again.
        return (jnp.log(value / median) + sigma**2) / sigma

    def draw(self, key, shape, median, sigma):
        return median * jnp.exp(sigma * jax.random.normal(key, shape))


class Gamma(Prior):
    """Expect positive values by their mean and standard deviation, with a lighter tail than `LogNormal`.

    Parameters
    ----------
    mean, sd : float, Quantity or Param
        Mean and standard deviation, in the dimension of the parameter.

    Examples
    --------
    >>> from brainmass_delays import Param, priors
    >>> round(float(Param(1.0, reg=priors.Gamma(1.0, 1.0)).reg_loss()), 4)
    1.0
    """

    QUANTITIES, POSITIVE = ("mean", "sd"), ("mean", "sd")

    def __init__(self, mean: Any, sd: Any):
        super().__init__(mean=mean, sd=sd)

    def log_density(self, value, mean, sd):
        shape, rate, positive = (mean / sd) ** 2, mean / sd**2, value > 0
        safe = jnp.where(positive, value, 1.0)
        density = shape * jnp.log(rate) - gammaln(shape) + (shape - 1) * jnp.log(safe) - rate * safe
        return jnp.where(positive, density, -jnp.inf)

    def root(self, value, mean, sd):
        if not is_traced(mean) and not is_traced(sd) and np.any(np.asarray(mean <= sd)):
            raise ArgumentError(
                "Gamma", "must have its mode above 0 in least squares, mean > sd", f"{mean} and {sd}",
                "Use LogNormal, or backend='scipy'",
            )  # fmt: skip
        shape, rate = (mean / sd) ** 2, mean / sd**2
        e = value * rate / (shape - 1) - 1  # from the mode, in shares of it
        near = jnp.abs(e) < 1e-3
        far = jnp.where(near | (e <= -1), 1.0, e)
        distance = jnp.where(near, e**2 * (1 - 2 * e / 3 + e**2 / 2), 2 * (far - jnp.log1p(far)))
        root = jnp.where(
            near,
            e * jnp.sqrt(1 - 2 * jnp.where(near, e, 0.0) / 3 + jnp.where(near, e, 0.0) ** 2 / 2),
            jnp.sign(e) * jnp.sqrt(jnp.where(near, 1.0, distance)),
        )
        return jnp.where(e > -1, jnp.sqrt(shape - 1) * root, jnp.inf)

    def draw(self, key, shape, mean, sd):
        return jax.random.gamma(key, (mean / sd) ** 2, shape) * sd**2 / mean


class HalfNormal(Prior):
    """Expect positive values near 0, such as a noise or the spread of a group.

    Parameters
    ----------
    sd : float, Quantity or Param
        Standard deviation of the normal density that is folded, in the dimension of the parameter.

    Examples
    --------
    >>> from brainmass_delays import Param, priors
    >>> round(float(Param(0.0, reg=priors.HalfNormal(1.0)).reg_loss()), 4)
    0.2258
    """

    QUANTITIES, POSITIVE = ("sd",), ("sd",)

    def __init__(self, sd: Any):
        super().__init__(sd=sd)

    def log_density(self, value, sd):
        density = -0.5 * (value / sd) ** 2 - jnp.log(sd) + 0.5 * math.log(2 / math.pi)
        return jnp.where(value >= 0, density, -jnp.inf)

    def root(self, value, sd):
        return jnp.where(value >= 0, value / sd, jnp.inf)

    def draw(self, key, shape, sd):
        return sd * jnp.abs(jax.random.normal(key, shape))


class Uniform(Prior):
    """Expect values between two bounds, all alike. Bound the Param too, so that no step leaves them.

    Parameters
    ----------
    low, high : float or Quantity
        The bounds, in the dimension of the parameter.

    Examples
    --------
    >>> from brainmass_delays import Param, priors
    >>> prior = priors.Uniform(0.0, 2.0)
    >>> round(float(Param(1.0, reg=prior).reg_loss()), 4), float(Param(3.0, reg=prior).reg_loss())
    (0.6931, inf)
    """

    QUANTITIES = ("low", "high")

    def __init__(self, low: Any, high: Any):
        super().__init__(low=low, high=high)
        units = [u.get_unit(value_of(edge)) for edge in (low, high)]
        if units[0].is_unitless == units[1].is_unitless:  # else the parameter says what the plain one means
            self.in_unit("priors", units[0])

    def in_unit(self, where, unit):
        prior = super().in_unit(where, unit)
        low, high = prior.numbers(where)
        if not is_traced(low) and not is_traced(high) and not np.all(low < high):
            raise ArgumentError(f"{where}: Uniform", "low must be below high", f"({self.low}, {self.high})")
        return prior

    def log_density(self, value, low, high):
        return jnp.where((value >= low) & (value <= high), -jnp.log(high - low), -jnp.inf)

    def root(self, value, low, high):
        return jnp.where((value >= low) & (value <= high), 0.0 * value, jnp.inf)

    def draw(self, key, shape, low, high):
        return jax.random.uniform(key, shape, minval=low, maxval=high)
