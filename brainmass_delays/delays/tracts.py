"""Delays from tract lengths and a conduction speed, with their static bounds."""

import copy
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError
from .._core.status import is_traced
from .._core.units import magnitude
from .source import SHRINK, check_delay, is_live, static_bound, transform_bounds, value_of

SPEED = u.mm / u.ms


class TractDelays(brainstate.nn.Module):
    """Compute ``length / speed`` for every connection.

    Parameters
    ----------
    lengths : array
        Tract lengths in mm, ``(n_nodes, n_nodes)`` as ``[target, source]``.
    speed : Quantity, number (mm/ms), Param or callable
        Conduction speed, scalar or broadcastable to ``lengths``.
    active : bool array
        Which connections exist; the length of any other may be anything.
    """

    def __init__(self, lengths: Any, speed: Any, active: np.ndarray):
        super().__init__()
        lengths = magnitude("Network.distance", lengths, u.mm)
        if np.shape(lengths) != active.shape:
            raise ArgumentError("Network.distance", f"must have shape {active.shape}", np.shape(lengths))
        if not is_traced(lengths):
            lengths = np.where(
                active, lengths, 0.0
            )  # a missing connection has no length: NaN must not reach a gradient
            check_delay("Network.distance", lengths)
        self.lengths = lengths
        self.speed = speed if callable(speed) or isinstance(speed, Param) else Param.init(_as_speed(speed))
        value = magnitude("Network.speed", value_of(self.speed), SPEED)
        if not is_traced(value) and not np.all(np.asarray(value) > 0):
            raise ArgumentError(
                "Network.speed",
                "must be positive",
                f"{np.min(value)} mm/ms",
                "Leave distance out, or use speed=float('inf'), for a network without delays",
            )

    def __call__(self) -> u.Quantity:
        """Return the delays, ``(n_nodes, n_nodes)``."""
        return self.at(self.lengths)

    def at(self, lengths: Any) -> u.Quantity:
        """Return the delays of some lengths in mm."""
        speed = magnitude("Network.speed", value_of(self.speed), SPEED)
        return jnp.asarray(lengths) / speed * u.ms

    def take(self, edges: Any) -> "TractDelays":
        """Return the same for the slots of some edges, ``(target, slot)``; the speed must be a scalar."""
        taken = copy.copy(self)
        taken.lengths = edges.pack(self.lengths)
        return taken

    def bounds(self) -> tuple[Any, Any]:
        """Return the smallest and largest delay in ms that the speed's transform allows; None where it sets
        no bound."""
        low, high = transform_bounds(self.speed) if isinstance(self.speed, Param) else (None, None)
        shortest, longest = (None if v is None else self._extreme(v) for v in (high, low))
        return shortest, longest

    def _extreme(self, speed):
        speed = np.asarray(magnitude("Network.speed", speed, SPEED))
        return self.lengths / speed if np.all(speed > 0) and np.all(np.isfinite(speed)) else None


def _as_speed(speed):
    value = magnitude("Network.speed", speed, SPEED)
    if not is_traced(value) and np.any(np.isnan(value)):
        raise ArgumentError("Network.speed", "must be positive", "nan")
    return value * SPEED


def delay_bounds(
    source: Any, max_delay: Any, min_delay: Any, active: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return static bounds in ms of every connection's delay, two arrays ``(target, source)``.

    The upper bound comes from ``max_delay``, a bounded transform, or the value if it cannot change. The
    lower bound comes from ``min_delay``, a bounded transform, or a quarter of the present value."""
    value = None
    if not is_live(source) or isinstance(source, TractDelays | Param):
        present = magnitude("Network.delay", value_of(source), u.ms, plain=False)
        value = None if is_traced(present) else np.asarray(present)
    low = high = None
    if isinstance(source, TractDelays):
        low, high = source.bounds()
        live = is_live(source.speed) or is_traced(source.lengths)
    else:
        live = is_live(source)
        if isinstance(source, Param):
            low, high = (
                None if b is None else np.asarray(magnitude("Network.delay", b, u.ms))
                for b in transform_bounds(source)
            )
    if not live and value is not None:
        low = high = value
    if high is None or max_delay is not None:
        high = np.minimum(np.inf if high is None else high, _required_bound(source, live, value, max_delay))
    if low is None:
        low = 0.0 if value is None else SHRINK * value
    if min_delay is not None:
        low = np.maximum(low, float(magnitude("Network.min_delay", min_delay, u.ms, plain=False)))
    low, high = (np.where(active, np.broadcast_to(b, active.shape), 0.0) for b in (low, high))
    return low, np.where(_always_zero(source, value), 0.0, high)


def _required_bound(source, live, value, max_delay):
    if max_delay is None and not live:
        return value.max()
    if isinstance(source, TractDelays) and not live:
        source = value * u.ms
    return static_bound("Network", source, max_delay).to_decimal(u.ms)


def _always_zero(source, value):
    """Mark connections whose delay is zero whatever the speed."""
    if isinstance(source, TractDelays) and not is_traced(source.lengths):
        return np.asarray(source.lengths) == 0
    return False if value is None or is_live(source) else value == 0


def network_delays(lengths: Any, speed: Any, delay: Any, active: np.ndarray) -> Any:
    """Return the source of a network's delays from what the user gave, or None for a network without
    delays."""
    if delay is not None:
        if speed is not None:
            raise ArgumentError(
                "Network.delay",
                "cannot be combined with speed",
                "both",
                "Pass delay=, or distance= and speed=",
            )
        return _checked_matrix(delay, active)
    if speed is None:
        return None
    if lengths is None:
        raise ArgumentError(
            "Network.speed", "needs distances", "distance=None", "Pass distance=, or conn=Connectome(...)"
        )
    return TractDelays(lengths, speed, active)


def _checked_matrix(source, active):
    if callable(source) and not isinstance(source, Param):
        return source
    value = magnitude("Network.delay", value_of(source), u.ms, plain=False)
    try:
        fits = np.broadcast_shapes(np.shape(value), active.shape) == active.shape
    except ValueError:
        fits = False
    if not fits:
        raise ArgumentError(
            "Network.delay", f"must be a scalar or have shape {active.shape}", np.shape(value)
        )
    if is_traced(value):
        return source
    value = np.where(active, value, 0.0)  # a missing connection may carry any delay
    check_delay("Network.delay", value)
    return source if isinstance(source, Param) else value * u.ms
