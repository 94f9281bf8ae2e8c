"""The two reads that a node hands out: its current state, and its state some delay ago."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.choices import InterpolationName
from .._core.functions import Portable
from .._core.status import concrete
from .._core.units import magnitude
from . import buffer as ring_buffer
from .buffer import Rings
from .context import server, stage
from .delay import Delay, step_size
from .edges import Edges, read_edges
from .interpolation import Interpolation
from .interpolation import interpolation as find_interpolation
from .past import Past, push_after_update
from .signal import Signal


def delay_index(n: int) -> np.ndarray:
    """Return the source index of every entry of an ``(n, n)`` delay matrix, ``[target, source]``.

    Examples
    --------
    >>> from brainmass_delays import delay_index
    >>> delay_index(2).tolist()
    [[0, 1], [0, 1]]
    """
    n = check_count("delay_index.n", n)
    return np.tile(np.arange(n), (n, 1))


def prefetch(node: brainstate.nn.Dynamics, state: str | Callable) -> "CurrentRead":
    """Hand out a read of the current value of ``state``, ``(..., *varshape)``.

    Inside a step of a `Network` it is the value at the stage.

    Parameters
    ----------
    node : brainstate.nn.Dynamics
        Any dynamics, of this library or of another.
    state : str or callable
        Name of a state, which may come to exist with ``init_state``, or of an entry of ``SIGNALS``; or
        ``f(node)``.

    Returns
    -------
    CurrentRead
        A zero-argument callable.

    Examples
    --------
    >>> import brainstate
    >>> from brainmass_delays import HopfStep, prefetch
    >>> node = HopfStep(3)
    >>> read = prefetch(node, 'x')
    >>> _ = brainstate.nn.init_all_states(node)
    >>> read().shape
    (3,)
    """
    return CurrentRead(Signal("prefetch", node, state))


def prefetch_delay(
    node: brainstate.nn.Dynamics,
    state: str | Callable,
    delay: Any,
    *,
    init: Any = None,
    interpolation: InterpolationName = "linear",
    max_delay: Any = None,
    min_delay: Any = None,
) -> "DelayedRead":
    """Hand out a read of ``state`` as it was some delay ago; the delay may be trainable.

    Parameters
    ----------
    node : brainstate.nn.Dynamics
        Any dynamics, of this library or of another (``brainmass`` models included).
    state : str or callable
        Name of one of its states, of shape ``(..., n_nodes)``, or of an entry of its ``SIGNALS``; or
        ``f(node)`` of that shape.
    delay : Quantity, Param, callable or Delay, or a tuple ``(delay, index)``
        A time with a unit, never an integer: scalar, ``(n_nodes,)`` or ``(n_nodes, n_nodes)`` as ``[target,
        source]``. Or live: a ``Param`` or a zero-argument callable that returns a Quantity; it may depend on
        ``brainstate.environ.get('t')`` and on states, and is then evaluated at every stage. ``index`` says
        which source each entry reads (see `delay_index`); without it the last axis is the source.
    init : None, callable, array or initializer, optional
        History before the initial time: None (default) repeats the initial state; a function of time (a
        Quantity, zero or negative); an array ``(n_nodes,)`` or ``(time, n_nodes)`` in steps of dt, newest
        last; an initializer.
    interpolation : {'nearest', 'linear', 'cubic', 'hermite'}
        How to read between samples, of order 1, 2, 4 and 4. ``hermite`` needs a node of this library, which
        stores slopes.
    max_delay, min_delay : Quantity, optional
        Static bounds, as in `Delay`.

    Returns
    -------
    DelayedRead
        A zero-argument callable that returns an array of the shape of ``index`` (or of the delay), with the
        batch axes of the state in front and its unit.

    Raises
    ------
    ArgumentError
        For a missing unit, a negative or non-finite delay, a delay above ``max_delay``, a live delay
        without a bound, and a trainable delay behind a ``nearest`` read, whose gradient would be exactly
        zero.

    Notes
    -----
    At step n, where the state is known up to t_n, a delay tau reads ``x(t_n - tau)``; a delay of zero is
    the current state, and the initial state is in the buffer. A delay shorter than a step continues the
    interpolant of the newest interval. Reading costs one gather per sample of the stencil. The gradient
    with respect to the delay is the exact derivative of the interpolant, ``-x'(t - tau)``; a live delay
    that leaves its bound reads NaN and sets a flag, because behind a clamp even finite differences agree
    with a wrong gradient.

    Examples
    --------
    >>> import brainstate, brainunit as u
    >>> from brainmass_delays import HopfStep, prefetch_delay
    >>> node = HopfStep(3, init_x=brainstate.nn.init.Constant(0.5))
    >>> read = prefetch_delay(node, 'x', 1.25 * u.ms)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     _ = brainstate.nn.init_all_states(node)
    ...     [float(x) for x in read()]
    [0.5, 0.5, 0.5]
    """
    if isinstance(delay, tuple | list) and len(delay) != 2:
        raise ArgumentError("prefetch_delay.delay", "must be a time or a pair (delay, index)", repr(delay))
    delay, index = delay if isinstance(delay, tuple | list) else (delay, None)
    signal, rule = Signal("prefetch_delay", node, state), find_interpolation("prefetch_delay", interpolation)
    if not isinstance(delay, Delay):
        delay = 0.0 * u.ms if delay is None else delay
        delay = Delay(delay, max_delay=max_delay, min_delay=min_delay, where="prefetch_delay")
    past = Past(signal, rule, init)
    read = DelayedRead(past, delay, _edges_of(signal, delay, index))
    push_after_update(node, past)
    return read


def _edges_of(signal: Signal, delay: Delay, index: Any) -> Edges:
    """Return the source of every entry of a read."""
    n = int(np.prod(signal.node.varshape))
    shape = delay.shape()
    if shape is None:
        shape = () if index is None else np.shape(index)
    if index is None:
        if shape and shape[-1] != n:
            raise ArgumentError("prefetch_delay.delay", f"must have {n} sources on its last axis", shape)
        index = np.broadcast_to(np.arange(n), shape if len(shape) > 1 else (n,))
        return read_edges(index)
    index = np.asarray(index)
    if not np.issubdtype(index.dtype, np.integer) or index.min() < 0 or index.max() >= n:
        raise ArgumentError(
            "prefetch_delay.index",
            f"must hold whole numbers from 0 to {n - 1}",
            f"{index.dtype} from {index.min()} to {index.max()}",
            "Build it by delay_index(n)",
        )
    try:
        return read_edges(np.broadcast_to(index, np.broadcast_shapes(index.shape, shape)))
    except ValueError:
        raise ArgumentError(
            "prefetch_delay.index", f"must have the shape of the delay, {shape}", index.shape
        ) from None


class CurrentRead(Portable, brainstate.nn.Module):
    """Read the current value of one signal; `prefetch` makes it."""

    def __init__(self, signal: Signal):
        super().__init__()
        self.signal = signal

    def __call__(self, *args, **kwargs):
        """Return the signal's value, which inside a step is that of the stage."""
        return self.signal()


class DelayedRead(Portable, brainstate.nn.Module):
    """Read one signal some delay ago; `prefetch_delay` makes it.

    Attributes
    ----------
    past : Past
        Where the signal's samples are.
    delay : Delay
        The delays.
    edges : Edges
        Which source every entry reads, as a table ``(target, slot)``.
    bounds : tuple of arrays
        Static bounds of the delays in ms, ``(target, slot)``.
    """

    def __init__(self, past: Past, delay: Delay, edges: Edges):
        super().__init__()
        self.past, self.delay, self.edges = past, delay, edges
        self.rule: Interpolation = past.rule
        delay.refuse_rounding(self.rule)
        self.bounds = delay.bounds(edges)
        self.instant = edges.active & (self.bounds[1] == 0)
        past.bound = max(past.bound, float(np.max(self.bounds[1], initial=0.0)))

    @property
    def max_delay(self) -> u.Quantity:
        """The static bound."""
        return float(np.max(self.bounds[1], initial=0.0)) * u.ms

    def check_trainable(self) -> None:
        """Raise if a delay marked ``fit=True`` could only have a gradient of zero."""
        self.delay.refuse_rounding(self.rule)

    def lag(self, dt: Any):
        """Return the delays in steps, ``(target, slot)``, NaN where they leave the static bounds, and how
        many do; concrete ones raise."""
        delay = magnitude(f"{self.delay.where}.delay", self.delay.at(self.edges), u.ms)
        delay = jnp.where(self.edges.active, delay, self.bounds[0])
        outside = jnp.logical_or(*self._beyond(delay))
        n_outside = jnp.sum(outside).astype(jnp.int32)
        lag = delay / dt.to_decimal(u.ms)
        if (found := concrete(n_outside)) is not None:
            if int(found):
                raise self.error(concrete(delay))
            return lag, n_outside  # no NaN is made in vain: `jax.debug_nans` would stop at it
        # A product, so that the gradient is NaN as well.
        return lag * jnp.where(outside, jnp.nan, 1.0).astype(lag.dtype), n_outside

    def _beyond(self, delay):
        """Tell which delays in ms lie above and below the bounds, that blocks are planned for."""
        (low, high), eps = self.bounds, np.finfo(delay.dtype).eps
        return ~(delay <= high * (1 + 16 * eps)), delay < low - 16 * eps * high

    def outside(self, delay: np.ndarray) -> tuple[list[str], list[str]]:
        """Describe which concrete delays in ms leave the static bounds, by how much, and the cures."""
        low, high = self.bounds
        delay = np.where(self.edges.active, delay, low)
        above, below = self._beyond(delay)
        n = int(self.edges.active.sum())
        parts, cures = [], []
        if above.any():
            parts.append(
                f"{above.sum()} of {n} connections above the bound of {high.max():.4g} ms, up to "
                f"{delay[above].max():.4g} ms"
            )
            cures.append("Raise max_delay, or bound the Param by a transform such as SigmoidT")
        if below.any():
            parts.append(
                f"{below.sum()} of {n} connections below their lower bound, by up to "
                f"{(low - delay)[below].max():.4g} ms"
            )
            cures.append("Lower min_delay, which is a quarter of the first value if not given")
        return parts, cures

    def error(self, delay: np.ndarray) -> ArgumentError:
        """Return the error for concrete delays in ms that leave the static bounds."""
        self.delay.check_behind()
        parts, cures = self.outside(delay)
        return ArgumentError(
            f"{self.delay.where}.delay",
            "must stay inside its static bounds",
            " and ".join(parts),
            ". ".join(cures),
        )

    def explain(self) -> str:
        """Say which delays leave their static bounds now, and the cure; nothing if all are inside."""
        try:
            self.delay.check_behind()
        except ArgumentError as error:
            return str(error)
        parts, cures = self.outside(np.asarray(magnitude("delay", self.delay.at(self.edges), u.ms)))
        return f"{' and '.join(parts)}. {'. '.join(cures)}." if parts else ""

    def __call__(self, *args, **kwargs):
        """Return the delayed values ``(..., *shape)`` at the stage that is being evaluated."""
        found = None if server() is None else server().read(self)
        if found is None:
            rings = self.past.at_stage(stage().slope_known)
            found = self.values(rings, self.flagged_lag() - stage().offset)
        found = self.with_instant(found)
        if not self.edges.active.all():
            found = jnp.where(self.edges.active, found, 0.0)
        return u.maybe_decimal(self.edges.shaped(found) * self.past.unit)

    def value_and_slope(self):
        """Return the delayed values ``(..., *shape)`` and their slopes in time per ms, as plain numbers."""
        rings = None if server() is None else server().rings(self)
        rings = self.past.at_stage(stage().slope_known) if rings is None else rings
        lag = self.flagged_lag() - stage().offset
        values, per_step = jax.jvp(lambda lag: self.values(rings, lag), (lag,), (jnp.ones_like(lag),))
        slopes = -per_step / step_size("prefetch_delay").to_decimal(u.ms)
        return self.edges.shaped(self.with_instant(values)), self.edges.shaped(slopes)

    def flagged_lag(self):
        """Return the delays in steps, and keep the flag of those that left their static bounds."""
        lag, n_outside = self.lag(step_size("prefetch_delay"))
        self.past.flag(n_outside)
        return lag

    def values(self, rings: Rings, lag):
        """Read samples, ``(..., target, slot)``."""
        return ring_buffer.read(rings, self.edges.sources, lag, self.rule)

    def with_instant(self, found, feature: Callable = lambda x: x):
        """Replace what connections without any delay read by the signal's present value."""
        if not self.instant.any():
            return found
        now = feature(self.past.value())
        return jnp.where(self.instant, now[..., self.edges.sources], found)

    def sums(self, coupling: Any) -> list:
        """Return ``sum_k w_ik phi(x_ik)`` for every feature phi of a coupling and its weights, ``(...,
        target)``, without units.

        The features are interpolated, not what they are of: it costs an order of accuracy nowhere, and
        spares one evaluation per connection."""
        if server() is not None and (found := server().sums(self, coupling)) is not None:
            return found
        rings = self.past.at_stage(stage().slope_known)
        lag = self.flagged_lag() - stage().offset
        return self.sums_of(rings, lag, coupling)

    def active_weights(self, coupling: Any):
        """Return the weights of a coupling as plain numbers, ``(target, slot)``; 0 where there is no
        connection."""
        return jnp.where(self.edges.active, u.get_magnitude(coupling.weights()), 0.0)

    def sums_of(self, rings: Rings, lag, coupling: Any) -> list:
        """Return the sums of features of samples."""
        weights = self.active_weights(coupling)
        totals = []
        for f in range(coupling.n_features):

            def feature(x, f=f):
                return coupling.features_of(x, self.past.unit)[f]

            found = self.values(ring_buffer.of_feature(feature, rings, stage().slope_known), lag)
            totals.append((weights * self.with_instant(found, feature)).sum(-1))
        return totals
