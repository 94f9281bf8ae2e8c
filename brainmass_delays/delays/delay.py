"""Delays: one noun for every kind, from a constant to a function of time or of states."""

from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError
from .._core.grid import environment_dt
from .._core.param import HoldsParams, bounds_of, value_of
from .._core.parameters import params_behind
from .._core.states import varies
from .._core.status import is_traced
from .._core.units import magnitude, missing_unit

SPEED = u.mm / u.ms
# Where a delay that can change has no lower bound, blocks of reads assume that it shrinks to no less than
# this share of its start.
SHRINK = 0.25


class Delay(HoldsParams, brainstate.nn.Module):
    """Hold the delays of some connections: their value now, their static bounds and their Params.

    Parameters
    ----------
    delay : Quantity, Param or callable
        A time with a unit, scalar or as ``[target, source]``; or live: a ``Param``, or a zero-argument
        function that returns a Quantity. A function may use other Params, ``brainstate.environ.get('t')`` and
        states of the model.
    max_delay, min_delay : Quantity, optional
        Static bounds. ``max_delay`` sizes the buffer; it is required for a delay that can change without a
        bound of its own (a ``Param`` with ``SigmoidT`` has one). ``min_delay`` lets more steps be read at
        once.
    where : str
        Whose argument this is, for messages.

    Attributes
    ----------
    changes : bool
        Whether the value can differ between forward passes.
    params : dict
        Params that a function was found to use, by their names.

    Raises
    ------
    ArgumentError
        For a missing unit, a negative or non-finite delay, and one outside its static bounds.

    Notes
    -----
    A delay that depends on neither time nor states is evaluated once per run; any other at every stage of
    every step, with the states that the stage has. The gradient with respect to a delay is the exact
    derivative of the interpolant behind it.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import Delay, Param
    >>> speed = Param(4.0 * u.mm / u.ms, fit=True)
    >>> delay = Delay(lambda: 20.0 * u.mm / speed.value(), max_delay=10.0 * u.ms)
    >>> delay(), sorted(delay.params)
    (Quantity(5., "ms"), ['speed'])
    """

    def __init__(self, delay: Any, *, max_delay: Any = None, min_delay: Any = None, where: str = "Delay"):
        self._start(where, max_delay, min_delay)
        self.delay = self._checked(delay)
        self.params = params_behind(delay) if callable(delay) and not isinstance(delay, Param) else {}

    def _start(self, where, max_delay, min_delay):
        """Set what all kinds of delays have: their place in messages, and the bounds that the user gave."""
        super().__init__()
        if not isinstance(where, str):
            raise ArgumentError("Delay.where", "must be a text", repr(where))
        self.where = where
        self.max_delay, self.min_delay = (
            None if b is None else _bound(f"{where}.{name}", b)
            for name, b in (("max_delay", max_delay), ("min_delay", min_delay))
        )
        if None not in (self.max_delay, self.min_delay) and self.min_delay > self.max_delay:
            rule = f"must not be above max_delay, {self.max_delay:g} ms"
            raise ArgumentError(f"{where}.min_delay", rule, f"{self.min_delay:g} ms")

    def _checked(self, delay):
        where = f"{self.where}.delay"
        if callable(delay) and not isinstance(delay, Param):
            return delay
        value = magnitude(where, value_of(delay), u.ms, plain=False)
        if not is_traced(value):
            check_delay(where, value)
        if isinstance(delay, Param):
            return delay
        return (value if is_traced(value) else np.asarray(value)) * u.ms

    def __call__(self) -> u.Quantity:
        """Return the delays as they are now."""
        if isinstance(self.delay, Param):
            return self.delay.value()
        return self.delay() if callable(self.delay) else self.delay

    def at(self, edges: Any) -> u.Quantity:
        """Return the delays of the slots of some edges, ``(target, slot)``."""
        value = magnitude(f"{self.where}.delay", self(), u.ms, plain=False)
        xp = np if isinstance(value, np.ndarray) else jnp
        return edges.pack(broadcast_delay(f"{self.where}.delay", xp, value, edges.shape)) * u.ms

    @property
    def changes(self) -> bool:
        if isinstance(self.delay, Param):
            return self.delay.fit or is_traced(self.delay.value())
        return callable(self.delay) or is_traced(self.delay)

    def varies(self) -> bool:
        """Tell whether the delays depend on the time or on states, so that they change during a run."""
        return callable(self.delay) and not isinstance(self.delay, Param) and varies(self)

    @property
    def is_trainable(self) -> bool:
        """Whether any Param behind the delays is marked ``fit=True``."""
        params = self.nodes(Param).values()
        return any(param.fit for param in params)

    def shape(self) -> tuple[int, ...] | None:
        """Return the shape of the value, or None where a function cannot tell before states exist."""
        try:
            with brainstate.environ.context(t=0.0 * u.ms):
                where = f"{self.where}.delay"
                return jax.eval_shape(lambda: jnp.asarray(magnitude(where, self(), u.ms, plain=False))).shape
        except AttributeError:
            return None

    def bounds(self, edges: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return static bounds in ms of the delays of some slots, two arrays ``(target, slot)``; 0 where
        there is no connection.

        The upper bound comes from ``max_delay``, a bounded transform, or the value if it cannot change. The
        lower bound comes from ``min_delay``, a bounded transform, or, without either, a quarter of the
        present value."""
        low, high, present = self._own_bounds(edges)
        if high is None and self.max_delay is None:
            raise ArgumentError(
                f"{self.where}.max_delay",
                "is required for a delay that can change, to size its buffer",
                "None",
                "Pass max_delay=, or a Param with a bounded transform such as SigmoidT",
            )
        if present is not None:
            self._check_given_bounds(present[edges.active])
        if self.max_delay is not None:
            high = np.minimum(np.inf if high is None else high, self.max_delay)
        if low is None:
            low = 0.0 if present is None or self.min_delay is not None else SHRINK * present
        if self.min_delay is not None:
            low = np.maximum(low, self.min_delay)
        low, high = (
            np.where(edges.active, np.broadcast_to(b, edges.active.shape), 0.0)
            for b in (np.minimum(low, high), high)
        )
        return low, np.where(self._always_zero(edges), 0.0, high)

    def _own_bounds(self, edges):
        """Return the bounds that the delays have by themselves, and their concrete value; None if unknown."""
        if not self.changes:
            value = magnitude(self.where, self.at(edges), u.ms)
            return value, value, value
        if not isinstance(self.delay, Param):
            return None, None, None
        low, high = (
            None
            if b is None
            else edges.pack(np.broadcast_to(magnitude(f"{self.where}.delay", b, u.ms), edges.shape))
            for b in bounds_of(self.delay)
        )
        return low, high, self._present(edges)

    def _present(self, edges):
        value = magnitude(self.where, self.at(edges), u.ms)
        return None if is_traced(value) else np.asarray(value)

    def _check_given_bounds(self, present):
        """Refuse concrete delays of connections that leave the bounds that the user gave."""
        if self.max_delay is not None and present.size and present.max() > self.max_delay * (1 + 1e-6):
            rule = f"must not pass max_delay, {self.max_delay:g} ms"
            raise ArgumentError(f"{self.where}.delay", rule, f"{present.max():.6g} ms", "Raise max_delay")
        present = present[present > 0]
        if self.min_delay is not None and present.size and present.min() < self.min_delay * (1 - 1e-6):
            rule = f"must not be above the shortest delay, {present.min():.6g} ms"
            raise ArgumentError(f"{self.where}.min_delay", rule, f"{self.min_delay:g} ms", "Lower min_delay")

    def check_behind(self) -> None:
        """Refuse what the delays are computed from now, where it is the cause of delays out of bounds."""

    def _always_zero(self, edges):
        """Mark slots whose delay is zero whatever the parameters."""
        return False if self.changes else np.asarray(magnitude(self.where, self.at(edges), u.ms)) == 0

    def refuse_rounding(self, rule: Any) -> None:
        """Refuse a trainable delay behind reads whose gradient would be exactly zero."""
        if not rule.differentiable and self.is_trainable:
            raise ArgumentError(
                f"{self.where}.interpolation",
                "must be differentiable for a delay marked fit=True, whose gradient would be exactly zero",
                "'nearest'",
                "Use 'linear', 'cubic' or 'hermite'",
            )


def broadcast_delay(where, xp, value, shape):
    try:
        return xp.broadcast_to(value, shape)
    except ValueError:
        raise ArgumentError(where, f"must be a scalar or have shape {shape}", np.shape(value)) from None


def _bound(where: str, value: Any) -> float:
    """Return a static bound in ms."""
    number = magnitude(where, value, u.ms, plain=False)
    if is_traced(number) or np.ndim(number) or not np.isfinite(number) or number < 0:
        raise ArgumentError(
            where, "must be one finite, non-negative time", "a traced value" if is_traced(number) else value
        )
    return float(number)


def check_delay(where: str, value: Any, unit: str = "ms") -> None:
    """Refuse a concrete delay or length that is negative, NaN or infinite."""
    value = np.asarray(value)
    if not np.all(value >= 0) or not np.all(np.isfinite(value)):
        bad = value[~((value >= 0) & np.isfinite(value))][0]
        raise ArgumentError(where, "must be finite and not negative", f"{bad} {unit}")


def count_below(delay: Delay, edges: Any, time: float) -> int:
    """Count slots whose delay can change within bounds that somebody stated, by a bounded transform or
    ``min_delay``, and that these let become shorter than ``time``, in ms."""
    if not delay.changes:
        return 0
    low = delay._own_bounds(edges)[0]
    if low is None and delay.min_delay is None:
        return 0
    low = np.maximum(0.0 if low is None else low, delay.min_delay or 0.0)
    may = edges.active & (low < time * (1 - 1e-6)) & ~np.asarray(delay._always_zero(edges))
    return int(np.count_nonzero(may))


def step_size(where: str) -> u.Quantity:
    """Return dt from the environment, or say how to set it."""
    cure = "Run through Simulator(model, dt), or inside brainstate.environ.context(dt=0.1 * brainunit.ms)"
    dt = environment_dt(f"{where}.dt", "must be known", cure)
    if not isinstance(dt, u.Quantity):
        raise ArgumentError(f"{where}.dt", "must be a time with a unit", dt, missing_unit(dt))
    return dt
