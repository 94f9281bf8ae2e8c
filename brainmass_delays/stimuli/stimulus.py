"""What a stimulus is, and how stimuli combine."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.arguments import numbers, returned, takes
from .._core.checks import ArgumentError, check_finite
from .._core.param import HoldsParams, constant, value_of
from .._core.parameters import params_behind
from .._core.status import is_traced
from .._core.units import magnitude


class Stimulus(HoldsParams, brainstate.nn.Module):
    """Return a value at every time; the base of all stimuli.

    Parameters
    ----------
    **params : float, array_like, Quantity or Param
        Parameters by name; each becomes an attribute holding a Param.

    Raises
    ------
    ArgumentError
        If a parameter is not finite.

    Notes
    -----
    A subclass defines ``value(self, t)``, where ``t`` is the number of ms. The gradient is exact in every
    parameter; times are taken in ms if given as plain numbers.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays.stimuli import Stimulus
    >>> class Decay(Stimulus):
    ...     def value(self, t):
    ...         return self.amplitude.value() * 2.0 ** (-t / 10)
    >>> (Decay(amplitude=4.0 * u.mV) + 1.0 * u.mV)(10 * u.ms)
    Quantity(3., "mV")
    """

    def __init__(self, **params: Any):
        super().__init__()
        for name, value in params.items():
            self._set(name, value)

    def __call__(self, t: Any):
        """Return the value at the time ``t``.

        Parameters
        ----------
        t : Quantity or float
            Time; a plain number means ms.

        Returns
        -------
        array or Quantity
            A scalar, or the shape of the parameters.
        """
        return self.value(magnitude(self._where("t"), t, u.ms))

    def value(self, t):
        """Return the value at the time ``t``, a number of ms."""
        raise NotImplementedError(self._where("value"))

    def at(self, weights: Any) -> "Stimulus":
        """Return the stimulus times one weight per region.

        Parameters
        ----------
        weights : array_like or Param, shape (n_regions,)
            For instance what `site` returns, or a map; a ``Param`` is trained.
        """
        return Product(self, Constant(weights))

    def __add__(self, other: Any) -> "Stimulus":
        return Sum(self, _stimulus(other))

    def __mul__(self, other: Any) -> "Stimulus":
        return Product(self, _stimulus(other))

    def __sub__(self, other: Any) -> "Stimulus":
        return self + -1 * _stimulus(other)

    def __rsub__(self, other: Any) -> "Stimulus":
        return _stimulus(other) + -1 * self

    def __neg__(self) -> "Stimulus":
        return -1 * self

    __radd__, __rmul__ = __add__, __mul__

    def _set(self, name: str, value: Any) -> None:
        """Keep a parameter as a Param, checked as far as its numbers are known."""
        numbers()(self._where(name), value_of(value))
        given = value.value() if isinstance(value, Param) else as_array(self._where(name), value)
        if not is_traced(given):
            check_finite(self._where(name), u.get_mantissa(given))
        setattr(self, name, value if isinstance(value, Param) else constant(given))

    def _ms(self, name: str):
        """Return the number of ms of a parameter that is a time."""
        return magnitude(self._where(name), getattr(self, name).value(), u.ms)

    def _check_positive(self, *names: str, zero: bool = False) -> None:
        """Refuse times that are known and not positive, or negative if ``zero`` is allowed."""
        for name in names:
            value = self._ms(name)
            if not is_traced(value) and np.any(value < 0 if zero else value <= 0):
                rule = "must not be negative" if zero else "must be positive"
                raise ArgumentError(self._where(name), rule, np.min(value))

    def _refuse_training(self, *names: str) -> None:
        """Refuse to train the times of a jump, whose gradient is zero wherever it exists."""
        for name in names:
            if getattr(getattr(self, name), "fit", False):
                rule = "cannot be trained at a jump, where the gradient is zero"
                raise ArgumentError(self._where(name), rule, cure="Give the edge a duration, edge=2 * u.ms")


class Constant(Stimulus):
    """Return the same value at all times.

    Parameters
    ----------
    amplitude : float, array_like, Quantity or Param
        The value, a scalar or one per region.

    Examples
    --------
    >>> from brainmass_delays import stimuli
    >>> print(stimuli.Constant(0.3)(5.0))
    0.3
    """

    def __init__(self, amplitude: Any):
        super().__init__(amplitude=amplitude)

    def value(self, t):
        """Return the amplitude."""
        return self.amplitude.value()


class Pair(Stimulus):
    """Make one stimulus of two.

    Parameters
    ----------
    first, second : Stimulus
    """

    def __init__(self, first: Stimulus, second: Stimulus):
        super().__init__()
        for name, part in (("first", first), ("second", second)):
            if not isinstance(part, Stimulus):
                raise ArgumentError(self._where(name), "must be a stimulus", repr(part))
        self.first, self.second = first, second

    def _parts_at(self, t):
        """Return the values of both, refused if they are not of the same regions."""
        parts = self.first.value(t), self.second.value(t)
        shapes = [u.math.shape(part) for part in parts]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            rule = "must be of two stimuli with the same regions"
            raise ArgumentError(type(self).__name__, rule, f"shapes {shapes[0]} and {shapes[1]}") from None
        return parts


class Sum(Pair):
    """Add two stimuli; what ``+`` makes.

    Parameters
    ----------
    first, second : Stimulus

    Examples
    --------
    >>> from brainmass_delays import stimuli
    >>> float(stimuli.Sum(stimuli.Constant(0.3), stimuli.Constant(0.2))(0.0))
    0.5
    """

    def value(self, t):
        """Return the sum."""
        first, second = self._parts_at(t)
        if not u.have_same_dim(first, second):
            units = f"{u.get_unit(first)} and {u.get_unit(second)}"
            raise ArgumentError("Sum", "must be of two stimuli with one unit", units)
        return first + second


class Product(Pair):
    """Multiply two stimuli; what ``*`` makes.

    Parameters
    ----------
    first, second : Stimulus

    Examples
    --------
    >>> from brainmass_delays import stimuli
    >>> print((2 * stimuli.Constant(0.3))(0.0))
    0.6
    """

    def value(self, t):
        """Return the product."""
        first, second = self._parts_at(t)
        return first * second


class Feedback(Stimulus):
    """Follow what is read from a network: a closed loop.

    Parameters
    ----------
    law : callable
        ``law(t, *values)`` returns the stimulus, given the time in ms and what the reads return.
    *reads : callable
        Reads without arguments, such as ``node.prefetch('x')`` or ``node.prefetch_delay('x', 5 * u.ms)``.

    Notes
    -----
    The gradient flows through the reads. A read returns the state at the beginning of the step.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays import HopfStep, stimuli
    >>> node = HopfStep(2, init_x=0.5)
    >>> damping = stimuli.Feedback(lambda t, x: -0.2 * x, node.prefetch('x'))
    >>> _ = brainstate.nn.init_all_states(node)
    >>> print(damping(0.0))
    [-0.1 -0.1]
    """

    def __init__(self, law: Callable, *reads: Callable):
        super().__init__()
        if not callable(law) or not reads or not all(map(callable, reads)):
            rule = "needs a law and at least one read, all callable"
            raise ArgumentError("Feedback.law", rule, (law, *reads), "Read a state with node.prefetch('x')")
        if not takes(law, 1 + len(reads)):
            rule = f"must be a function of the time and {len(reads)} values read"
            raise ArgumentError("Feedback.law", rule, f"a function {inspect.signature(law)}")
        self.law, self.reads, self.params = law, reads, params_behind(law)

    def value(self, t):
        """Return what the law makes of the values read now."""
        return returned("Feedback.law", self.law(t, *(read() for read in self.reads)))


def site(connectome: Any, regions: Iterable[int | str], weight: Any = 1.0) -> np.ndarray:
    """Return weights for `Stimulus.at` that reach some regions only.

    Parameters
    ----------
    connectome : Connectome
        Whose regions these are.
    regions : iterable of int or str
        Indices or labels.
    weight : float or array_like, default 1.0
        Weight of all, or of each of these regions.

    Returns
    -------
    np.ndarray, shape (n_regions,)

    Raises
    ------
    ArgumentError
        If a region is unknown or named twice.

    Examples
    --------
    >>> from brainmass_delays import Connectome, stimuli
    >>> stimuli.site(Connectome.synthetic(4), ['L01', 3], [1.0, 0.5]).tolist()
    [1.0, 0.0, 0.0, 0.5]
    """
    if not hasattr(connectome, "select") or not hasattr(connectome, "labels"):
        raise ArgumentError("site.connectome", "must be a Connectome", repr(connectome))
    numbers(unit=u.UNITLESS, finite=True, axes=(0, 1), traced=False)("site.weight", weight)
    is_one = isinstance(regions, str | bytes) or not getattr(regions, "ndim", 1)
    if is_one or not isinstance(regions, Iterable):
        raise ArgumentError("site.regions", "must be a list of labels or whole numbers", repr(regions))
    places = [connectome._index(region, "site.regions") for region in regions]
    if not places or len(set(places)) < len(places):
        raise ArgumentError("site.regions", "must name at least one, each only once", places)
    if np.shape(weight) not in ((), (1,), (len(places),)):
        raise ArgumentError(
            "site.weight", f"must be one number or {len(places)}", f"shape {np.shape(weight)}"
        )
    weights = np.zeros(connectome.n_regions)
    weights[places] = weight
    return weights


def _stimulus(value: Any) -> Stimulus:
    """Return a stimulus as it is, and anything else as a constant one."""
    return value if isinstance(value, Stimulus) else Constant(value)


def as_array(where: str, value: Any) -> Any:
    """Return a number, list or Quantity as an array."""
    if isinstance(value, u.Quantity):
        return value
    # Known numbers stay NumPy arrays: in a trace jnp.asarray would hide them from the checks.
    convert = jnp.asarray if is_traced(value) else np.asarray
    try:
        return convert(value, dtype=brainstate.environ.dftype())
    except (TypeError, ValueError):
        raise ArgumentError(where, "must be a number, an array, a Quantity or a Param", repr(value)) from None
