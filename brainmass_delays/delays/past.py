"""The past of a signal as states of a model: what stepping by hand reads, and where a run begins and ends."""

import gc
import sys
from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp

from .._core.arguments import function_of
from .._core.checks import ArgumentError
from .._core.functions import Portable
from .._core.impulses import land
from .._core.memory import check_memory
from .._core.parameters import params_behind
from .._core.states import write
from . import buffer as ring_buffer
from .buffer import Kink, Rings
from .context import server
from .delay import step_size
from .history import INITIALIZERS, sampled_history, sampled_slopes
from .interpolation import Interpolation
from .signal import Signal, not_started

MADE = 2  # copies of a buffer while it is made


class Past(Portable, brainstate.nn.Module):
    """Keep the past of one signal.

    Parameters
    ----------
    signal : Signal
        What is kept.
    rule : Interpolation
        How it is read, which says whether slopes are kept too.
    init : optional
        History before the initial time, as in `prefetch_delay`.
    """

    def __init__(self, signal: Signal, rule: Interpolation, init: Any):
        super().__init__()
        self.signal, self.rule, self.init = signal, rule, init
        if callable(init) and not isinstance(init, INITIALIZERS):
            function_of("t")(self._history(), init)
        self.params = params_behind(init) if callable(init) else {}
        self.bound = 0.0  # the longest delay that is read, in ms
        if rule.slope_taps and not hasattr(signal.node, "derivative"):
            raise ArgumentError(
                f"{signal.where.rpartition('.')[0]}.interpolation",
                "'hermite' needs the slopes that a node of this library stores",
                type(signal.node).__name__,
                "Use 'cubic', which is of the same order",
            )

    @brainstate.nn.call_order(1)
    def init_state(self, *args, **kwargs):
        """Fill the past with the initial history; the node's states must exist."""
        dt = step_size("prefetch_delay")
        self.dt = float(dt.to_decimal(u.ms))
        value = self.signal()
        if not hasattr(value, "shape"):
            raise ArgumentError(self.signal.where, "must return an array", type(value).__name__)
        self.unit = u.get_unit(value)
        n_slots = ring_buffer.slots_needed(self.bound / dt.to_decimal(u.ms), self.rule)
        self._check_memory(n_slots * u.get_magnitude(value).nbytes, dt)
        past = sampled_history(self._history(), self.init, u.get_magnitude(value), self.unit, n_slots, dt)
        slopes = kink = None
        self.left_slope = None
        if self.rule.slope_taps:
            slopes = sampled_slopes(self._history(), self.init, past, self.unit, dt)
            self.left_slope = brainstate.ShortTermState(slopes[..., -1])
            kink = Kink(jnp.zeros_like(slopes[..., -1]), jnp.int32(0))
            slopes = ring_buffer.fill(slopes)
        self.rings = brainstate.ShortTermState(Rings(ring_buffer.fill(past), slopes, kink))
        self.n_outside = brainstate.ShortTermState(jnp.int32(0))

    def _history(self):
        """Return what messages call the argument of the history."""
        owner = self.signal.where.rpartition(".")[0]
        return f"{owner}.{'init' if owner == 'prefetch_delay' else 'delay_init'}"

    def _check_memory(self, n_bytes, dt):
        """Refuse a buffer that would not fit; making it takes the samples twice, those of slopes too."""
        n_bytes *= MADE * (1 + bool(self.rule.slope_taps))
        n_steps = self.bound / dt.to_decimal(u.ms)
        check_memory(
            f"{self.signal.where.rpartition('.')[0]}.max_delay",
            {"buffer": n_bytes},
            f"The longest delay is {self.bound:.4g} ms, {n_steps:.4g} steps of {dt}. "
            "Is the unit of the speed or of the delays right? Else lower max_delay, or raise dt",
            on_device=True,
        )

    def flag(self, n_outside) -> None:
        """Keep how many delays were found outside of their static bounds."""
        write(self.n_outside, jnp.maximum(self.n_outside.value, n_outside))

    def value(self):
        """Return the signal as a plain number of its unit."""
        return u.get_magnitude(self.signal())

    def slope(self):
        """Return the slope at the start of the step, times the step."""
        return self.signal.slope() * step_size("prefetch_delay").to_decimal(u.ms)

    def at_stage(self, slope_known: bool) -> Rings:
        """Return the samples, with the newest slope in place if the step has found it."""
        if not hasattr(self, "rings"):
            raise not_started(self.signal.where)
        rings = self.rings.value
        if self.left_slope is None or not slope_known:
            return rings
        return ring_buffer.with_slope(rings, self.slope(), self.left_slope.value)

    def push(self) -> None:
        """Add the newest sample; during a run, tell who serves it."""
        land(self.signal.node)
        if server() is not None and server().push(self):
            return
        dt = float(step_size("prefetch_delay").to_decimal(u.ms))
        if abs(dt / self.dt - 1) > 1e-9:
            rule = f"must stay {self.dt:g} ms, in steps of which the past is kept"
            raise ArgumentError("environ.dt", rule, f"{dt:g} ms", "Initialize the states again")
        rings = self.at_stage(slope_known=True)
        self.rings.value = ring_buffer.pushed(rings, self.value())


class PushAfterUpdate(brainstate.nn.Module):
    """Push a past whenever a node was updated."""

    _not_receive_update_output = True

    def __init__(self, past: Past):
        super().__init__()
        self.past = past

    @property
    def is_used(self) -> bool:
        """Whether anybody else refers to the past."""
        return sys.getrefcount(self.past) > 2  # this object, and the argument of the call

    def update(self):
        """Push the past."""
        self.past.push()


def push_after_update(node: brainstate.nn.Dynamics, past: Past) -> None:
    """Let ``node`` push ``past`` after each of its updates, and forget the pasts that nobody reads any more:
    a model that is built again and again leaves nothing behind."""
    if len(node.after_updates or ()) > MANY:
        gc.collect()
    forget(node, lambda hook: not hook.is_used)
    node.add_after_update(f"past-{id(past)}", PushAfterUpdate(past))


MANY = 8  # pasts of one node from which on to look for those that only refer to each other


def forget(node: brainstate.nn.Dynamics, chosen: Callable) -> None:
    """Drop the pushes of some pasts."""
    hooks = node.after_updates or {}
    for key in [k for k, hook in hooks.items() if isinstance(hook, PushAfterUpdate) and chosen(hook)]:
        del hooks[key]
