"""Delays of tracts: lengths over a conduction speed, and what a user may give for them."""

from typing import Any

import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError
from .._core.param import bounds_of, value_of
from .._core.parameters import params_behind
from .._core.states import varies
from .._core.status import is_traced
from .._core.units import magnitude
from .delay import SPEED, Delay, broadcast_delay, check_delay


class TractDelay(Delay):
    """Compute ``length / speed`` for every connection.

    Parameters
    ----------
    lengths : array or Param
        Tract lengths, ``(n_target, n_source)``; a plain number means mm.
    speed : Quantity, number (mm/ms), Param or callable
        Conduction speed, scalar or broadcastable to ``lengths``.
    active : bool array
        Which connections exist; the length of any other may be anything.
    max_delay, min_delay, where
        As in `Delay`.
    """

    def __init__(self, lengths, speed, active, *, max_delay=None, min_delay=None, where="Delay"):
        self._start(where, max_delay, min_delay)
        self.lengths = self._checked_lengths(where, lengths, active)
        self.active = active
        self.speed = (
            speed if callable(speed) or isinstance(speed, Param) else self._checked_speed(where, speed)
        )
        self.params = params_behind(speed) if callable(speed) and not isinstance(speed, Param) else {}
        if not self.speed_varies():
            value = u.get_magnitude(self._checked_speed(where, self._speed()))
            broadcast_delay(f"{where}.speed", jnp if is_traced(value) else np, value, active.shape)

    @staticmethod
    def _checked_lengths(where, lengths, active):
        value = value_of(lengths)
        value = magnitude(f"{where}.lengths", value, u.mm)
        if np.shape(value) != active.shape:
            raise ArgumentError(f"{where}.lengths", f"must have shape {active.shape}", np.shape(value))
        if not is_traced(value):
            # A missing connection has no length: NaN must not reach a gradient.
            value = np.where(active, value, 0.0)
            check_delay(f"{where}.lengths", value, "mm")
        return lengths if isinstance(lengths, Param) else value

    @staticmethod
    def _checked_speed(where, speed):
        value = magnitude(f"{where}.speed", speed, SPEED)
        if not is_traced(value):
            value = np.asarray(value)
            if np.iscomplexobj(value):
                raise ArgumentError(f"{where}.speed", "must be real", value)
            if value.dtype == object or not np.all(value > 0):
                raise ArgumentError(
                    f"{where}.speed",
                    "must be positive",
                    f"{value.min() if value.dtype != object else value} mm/ms",
                    "Leave lengths out, or use speed=float('inf'), for a network without delays",
                )
        return value * SPEED

    def check_behind(self) -> None:
        """Refuse a speed that is not positive."""
        self._checked_speed(self.where, self._speed())

    def speed_varies(self) -> bool:
        """Tell whether the speed is a function of time or states."""
        return callable(self.speed) and not isinstance(self.speed, Param) and self._function_varies()

    def _function_varies(self):
        try:
            return varies(self.speed)
        except AttributeError:  # a state that init_state will make
            return True

    def varies(self) -> bool:
        """Tell whether the delays depend on the time or on states, so that they change during a run."""
        return self.speed_varies()

    def _speed(self):
        if isinstance(self.speed, Param):
            return self.speed.value()
        return self.speed() if callable(self.speed) else self.speed

    def _lengths(self):
        if not isinstance(self.lengths, Param):
            return self.lengths
        lengths = magnitude(f"{self.where}.lengths", self.lengths.value(), u.mm)
        return jnp.where(self.active, lengths, 0.0)

    def __call__(self) -> u.Quantity:
        """Return the delays as they are now."""
        return self._compute(self._lengths())

    def _compute(self, lengths=None):
        speed = magnitude(f"{self.where}.speed", self._speed(), SPEED)
        lengths = self._lengths() if lengths is None else lengths
        return lengths / speed * u.ms

    def at(self, edges: Any) -> u.Quantity:
        """Return the delays of the slots of some edges, ``(target, slot)``."""
        if jnp.ndim(u.get_magnitude(self._speed())):
            return super().at(edges)
        return self._compute(edges.pack(self._lengths()))

    @property
    def changes(self) -> bool:
        return any(
            (part.fit or is_traced(part.value()))
            if isinstance(part, Param)
            else (callable(part) or is_traced(part))
            for part in (self.speed, self.lengths)
        )

    def _own_bounds(self, edges):
        if not self.changes:
            return super()._own_bounds(edges)
        if isinstance(self.lengths, Param) or is_traced(self.lengths):
            return None, None, None
        low = high = None
        if isinstance(self.speed, Param):
            low, high = (
                None if v is None else self._extreme(v, edges) for v in reversed(bounds_of(self.speed))
            )
        return low, high, None if self.speed_varies() else self._present(edges)

    def _extreme(self, speed, edges):
        speed = np.asarray(magnitude(f"{self.where}.speed", speed, SPEED))
        if not (np.all(speed > 0) and np.all(np.isfinite(speed))):
            return None
        return edges.pack(self.lengths) / speed if speed.ndim == 0 else edges.pack(self.lengths / speed)

    def _always_zero(self, edges):
        if isinstance(self.lengths, Param) or is_traced(self.lengths):
            return False
        return edges.pack(np.asarray(self.lengths)) == 0


def as_delay(
    where: str,
    active: np.ndarray,
    *,
    delay: Any = None,
    lengths: Any = None,
    speed: Any = None,
    max_delay: Any = None,
    min_delay: Any = None,
) -> Delay:
    """Return the delays of connections from what the user gave; 0 where that is nothing."""
    bounds = {"max_delay": max_delay, "min_delay": min_delay, "where": where}
    if delay is not None and (speed is not None or lengths is not None):
        raise ArgumentError(
            f"{where}.delay", "cannot be combined with speed or lengths", "both", "Pass one of the two ways"
        )
    if isinstance(delay, Delay):
        return delay
    if delay is not None:
        return Delay(_on_connections(where, delay, active), **bounds)
    if speed is None and lengths is not None:
        raise ArgumentError(
            f"{where}.lengths",
            "needs a speed",
            "speed=None",
            "Pass speed=, or speed=float('inf') for no delays",
        )
    if speed is None:
        return Delay(0.0 * u.ms, where=where)
    if lengths is None:
        cure = "Pass lengths=, or conn=Connectome(...)"
        raise ArgumentError(f"{where}.speed", "needs lengths", "lengths=None", cure)
    return TractDelay(lengths, speed, active, **bounds)


def _on_connections(where, delay, active):
    """Set the delay of missing connections, which may be anything, to 0, and check the shape."""
    if callable(delay) and not isinstance(delay, Param):
        return delay
    value = magnitude(f"{where}.delay", value_of(delay), u.ms, plain=False)
    broadcast_delay(f"{where}.delay", np, np.zeros(np.shape(value)), active.shape)
    if isinstance(delay, Param) or is_traced(value):
        return delay
    return np.where(active, value, 0.0) * u.ms
