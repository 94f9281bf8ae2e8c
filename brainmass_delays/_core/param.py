"""The parameter of a model: a constrained number with a unit that may be trained."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .arguments import checked, flag, function, instance, numbers, optional
from .checks import ArgumentError
from .functions import Portable
from .status import is_traced
from .units import magnitude

TRANSFORM = optional(
    instance(brainstate.nn.Transform, "a transform of brainstate.nn, such as SigmoidT(low, high)")
)
REGULARIZATION = optional(
    instance(brainstate.nn.Regularization, "a prior, such as priors.Normal(mean, sd), or a regularization")
)


class ShowsSignature:
    """Show the arguments of the constructor where brainstate's metaclass shows ``(*args, **kwargs)``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        signature = inspect.signature(cls.__init__)
        cls.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])


class Param(ShowsSignature, brainstate.nn.Param):
    """Hold a parameter: a number or an array with its unit, its bounds, and whether it is trained.

    Parameters
    ----------
    value : array_like or Quantity
        The constrained value, inside of the bounds of ``t``.
    t : brainstate.nn.Transform, optional
        Keeps bounds: the optimizer moves ``t.inverse(value)``, which has none. ``SigmoidT(low, high)``,
        ``SoftplusT(low)`` and the others of brainstate; edges in the unit of the value.
    reg : brainstate.nn.Regularization, optional
        Added to the objective by `Fitter`: a prior, such as ``priors.Normal(5.0 * u.mm / u.ms, 1.0 * u.mm /
        u.ms)``, which is checked against the unit of ``value``, or a regularization of brainstate, which sees
        plain numbers in that unit.
    precompute : callable, optional
        Applied to the constrained value wherever it is read.
    fit : bool, default True
        Whether it is trained. Every model can change it: ``param.value = 3.0`` or ``param.set_value(3.0)``.

    Raises
    ------
    ArgumentError
        If the value is no finite number, or lies outside of the bounds of ``t``, or these have another unit;
        in `set_value` also for another unit or shape.

    Notes
    -----
    *What the gradient is*: that of the loss through ``t.forward``; it vanishes at the ends of a SigmoidT,
    which is why a value there is refused.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainstate.nn import SigmoidT
    >>> from brainmass_delays import Param
    >>> speed = Param(4.0 * u.mm / u.ms, t=SigmoidT(1.0 * u.mm / u.ms, 20.0 * u.mm / u.ms))
    >>> speed.value = 6.0
    >>> print(round(float(speed.value() / (u.mm / u.ms)), 3))
    6.0
    """

    @checked(t=TRANSFORM, reg=REGULARIZATION, precompute=optional(function), fit=flag)
    def __init__(self, value: Any, t=None, reg=None, precompute=None, fit: bool = True):
        check_numbers("Param.value", value)
        t = brainstate.nn.IdentityT() if t is None else t
        if hasattr(reg, "in_unit"):
            reg = reg.in_unit("Param.reg", u.get_unit(value))
        with _in_unit_of(value, t):
            super().__init__(value, t, reg=reg, precompute=precompute, fit=fit)
            u.fail_for_unit_mismatch(t.forward(_held(self)), value)  # some drop the unit in silence
        check_inside("Param.value", self, value)

    def set_value(self, value: Any) -> None:
        """Store a constrained value; a plain number is in the unit of the present one."""
        set_param("Param.value", self, value)

    def reg_loss(self) -> Any:
        """Return what the regularization says of the value in its unit; 0 if there is none or it is fixed."""
        if not self.fit or self.reg is None:
            return 0.0
        return self.reg.loss(u.get_magnitude(self.value()))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "value":
            self.set_value(value)
        elif name == "fit" and "val" in vars(self):
            self._train(bool(value))
        else:
            super().__setattr__(name, value)

    def _train(self, fit: bool) -> None:
        """Begin or end to be trained: what an optimizer moves is a state."""
        super().__setattr__("fit", fit)
        is_state = isinstance(self.val, brainstate.State)
        if fit and not is_state:
            self.val = brainstate.ParamState(self.val)
            self.val.register_hook("write_after", self._on_param_state_write, priority=100)
        elif is_state and not fit:
            self.val = self.val.value


def _refuse_arithmetic(self, *others: Any) -> Any:
    raise ArgumentError(
        "Param",
        "holds a number and is none",
        "a formula with it",
        "Write param.value(), e.g. self.k.value() * x",
    )


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    setattr(Param, f"__{_name}__", _refuse_arithmetic)
    setattr(Param, f"__r{_name}__", _refuse_arithmetic)
for _name in ("__neg__", "__array__", "__float__"):
    setattr(Param, _name, _refuse_arithmetic)
Param.__array_ufunc__ = None  # NumPy leaves the refusal to the methods above


class HoldsParams(Portable, ShowsSignature):
    """Let ``module.name = number`` set the Param that is found there, so that none is replaced."""

    def _where(self, name: str) -> str:
        """Return the place of one argument for messages."""
        return f"{type(self).__name__}.{name}"

    def __setattr__(self, name: str, value: Any) -> None:
        now = vars(self).get(name)
        if isinstance(now, brainstate.nn.Param) and not isinstance(value, brainstate.nn.Module):
            set_param(f"{type(self).__name__}.{name}", now, value)
        else:
            super().__setattr__(name, value)


def value_of(param: Any) -> Any:
    """Return what a Param holds, or anything else as it is."""
    return param.value() if isinstance(param, brainstate.nn.Param) else param


def constant(value: Any, shape: tuple[int, ...] | None = None) -> brainstate.nn.Param:
    """Return ``value`` as a Param: itself if it is one, else one that is not trained; for a ``shape``, it may
    be an initializer and must fit."""
    if not isinstance(value, brainstate.nn.Param):
        value = Param(value(shape) if shape is not None and callable(value) else value, fit=False)
    if shape is not None and np.broadcast_shapes(u.math.shape(value.value()), shape) != shape:
        raise ValueError(f"shape {u.math.shape(value.value())} does not fit {shape}")
    return value


def set_param(where: str, param: brainstate.nn.Param, value: Any) -> None:
    """Store a constrained value, which may be a plain number in the unit of the present one."""
    check_inside(where, param, value)
    held = _held(param)
    free = as_stored(where, value, param.t.forward(held), held, param.t)
    param.clear_cache()
    if isinstance(param.val, brainstate.State):
        param.val.value = free
    else:
        param.val = free


def _held(param: brainstate.nn.Param) -> Any:
    """Return the value as it is stored, without constraints."""
    return param.val.value if isinstance(param.val, brainstate.State) else param.val


def check_inside(where: str, param: brainstate.nn.Param, value: Any) -> None:
    """Refuse a concrete value that the transform cannot hold: out of its bounds, or at an end that no number
    maps to."""
    low, high = bounds_of(param)
    is_free = low is None and high is None
    check_numbers(where, value, finite=is_free)
    if is_traced(value) or is_free:
        return
    unit = u.get_unit(param.value())
    number = np.asarray(magnitude(where, value, unit))
    low = -np.inf if low is None else magnitude(where, low, unit)
    high = np.inf if high is None else magnitude(where, high, unit)
    free = param.t.inverse(u.maybe_decimal(jnp.asarray(number, float) * unit))
    kept = np.all((number >= low) & (number <= high))
    if not (kept and all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(free))):
        text = "" if unit.is_unitless else f" {unit}"
        raise ArgumentError(
            where,
            f"must lie inside of the bounds of its {type(param.t).__name__}, ({low}, {high}){text}",
            f"{number}{text}",
            "Widen the bounds or move the value",
        )


def check_numbers(where: str, value: Any, *, finite: bool = False) -> None:
    """Refuse what is no real number and no array of them."""
    if isinstance(value, list | tuple) and any(isinstance(part, u.Quantity) for part in value):
        try:
            value = u.math.asarray(value)
        except (TypeError, u.UnitMismatchError):
            raise ArgumentError(where, "must be numbers in one unit", value) from None
    numbers(finite=finite)(where, value)


@contextmanager
def _in_unit_of(value: Any, transform: Any) -> Iterator[None]:
    """Refuse a transform that cannot take the unit of the value."""
    try:
        yield
    except (TypeError, u.UnitMismatchError) as error:  # functions of jax refuse quantities by a TypeError
        unit = u.get_unit(value)
        rule, cure = "must fit a value without a unit", "Give the value the unit of the bounds"
        if not unit.is_unitless:
            rule = f"must fit a value in {unit}"
            cure = "Bound it in that unit, as in SigmoidT(low * unit, high * unit)"
        raise ArgumentError("Param.t", rule, transform, cure) from error


def bounds_of(param: brainstate.nn.Param) -> tuple[Any, Any]:
    """Return the lower and upper bound that a Param's transform keeps; None where none is known."""
    transform = param.t
    low = getattr(transform, "lower", None)
    high = getattr(transform, "upper", low + transform.width if hasattr(transform, "width") else None)
    low, high = (None if is_traced(bound) else bound for bound in (low, high))
    return (high, low) if isinstance(transform, brainstate.nn.NegSoftplusT) else (low, high)


def as_stored(where: str, value: Any, now: Any, stored: Any, transform: Any = None) -> Any:
    """Return a constrained value, or a plain number in the unit of ``now``, as a state stores it."""
    unit, shape = u.get_unit(now), u.math.shape(now)
    number = jnp.asarray(magnitude(where, value, unit))
    if number.ndim and number.shape != shape:
        raise ArgumentError(where, f"must have the shape of the parameter, {shape}", number.shape)
    value = u.maybe_decimal(jnp.broadcast_to(number, shape) * unit)
    free = value if transform is None else transform.inverse(value)
    # The exact type of the old value: a new one would compile the loss again.
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), free, stored)
