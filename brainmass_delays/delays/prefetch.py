"""The two reads that a node hands out: its current state, and its state some delay ago."""

from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .._core.status import is_traced
from .._core.units import magnitude
from . import buffer as ring_buffer
from .history import sampled_history, sampled_slopes
from .interpolation import interpolation as find_interpolation
from .source import delay_source, refuse_untrainable, shape_of, static_bound, step_size, value_of


def delay_index(n: int) -> np.ndarray:
    """Return the source index of every entry of an ``(n, n)`` delay matrix, ``[target, source]``.

    Examples
    --------
    >>> from brainmass_delays import delay_index
    >>> delay_index(2).tolist()
    [[0, 1], [0, 1]]
    """
    return np.tile(np.arange(n), (n, 1))


def prefetch(node: brainstate.nn.Dynamics, state: str) -> "CurrentRead":
    """Hand out a read of the current value of ``state``, ``(..., *varshape)``.

    Parameters
    ----------
    node : brainstate.nn.Dynamics
        Any dynamics, of this library or of another.
    state : str
        Name of one of its states. It may come to exist with ``init_state``.

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
    return CurrentRead(node, state)


def prefetch_delay(
    node: brainstate.nn.Dynamics,
    state: str,
    delay: Any,
    *,
    init: Any = None,
    interpolation: str = "linear",
    max_delay: Any = None,
) -> "DelayedRead":
    """Hand out a read of ``state`` as it was some delay ago; the delay may be trainable.

    Parameters
    ----------
    node : brainstate.nn.Dynamics
        Any dynamics, of this library or of another (``brainmass`` models included).
    state : str
        Name of one of its states, of shape ``(..., n_nodes)``.
    delay : Quantity, Param or callable, or a tuple ``(delay, index)``
        A time with a unit, never an integer: scalar, ``(n_nodes,)`` or ``(n_nodes, n_nodes)`` as ``[target,
        source]``. Or live: a ``Param`` or a zero-argument callable that returns a Quantity, evaluated in
        every forward pass; it may depend on ``brainstate.environ.get('t')``. ``index`` says which source
        each entry reads (see `delay_index`); without it the last axis is the source.
    init : None, callable, array or initializer, optional
        History before the initial time: None (default) repeats the initial state; a function of time (a
        Quantity, zero or negative); an array ``(n_nodes,)`` or ``(time, n_nodes)`` in steps of dt, newest
        last; an initializer.
    interpolation : {'nearest', 'linear', 'cubic', 'hermite'}
        How to read between samples, of order 1, 2, 4 and 4. ``hermite`` needs a node of this library, which
        stores slopes.
    max_delay : Quantity, optional
        The static bound that sizes the buffer. Required for a live delay unless its ``Param`` has a bounded
        transform.

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
    return DelayedRead(node, state, delay, init=init, interpolation=interpolation, max_delay=max_delay)


def served_values(node: brainstate.nn.Dynamics) -> dict[str, Any]:
    """Return the state values that a running step serves in place of the node's own."""
    return vars(node).get("_served", {})


class CurrentRead(brainstate.nn.Prefetch):
    """Read the current value of one state; `prefetch` makes it."""

    def __call__(self, *args, **kwargs):
        """Return the state's value, or what a running step serves instead (the value at a stage)."""
        served = served_values(self.module)
        if self.item in served:
            return served[self.item]
        return super().__call__()


class DelayedRead(brainstate.graph.Node):
    """Read one state some delay ago; `prefetch_delay` makes it.

    Attributes
    ----------
    delay : callable
        Zero-argument; the delay as a Quantity.
    index : int array
        Source of every entry of the read.
    max_delay : Quantity
        The static bound.
    """

    def __init__(
        self,
        module,
        item,
        delay,
        *,
        init=None,
        interpolation="linear",
        max_delay=None,
        bounds=None,
        active=True,
    ):
        where = "prefetch_delay"
        if not isinstance(module, brainstate.nn.Dynamics):
            raise ArgumentError(f"{where}.node", "must be a brainstate.nn.Dynamics", type(module).__name__)
        delay, index = delay if isinstance(delay, tuple | list) else (delay, None)
        self.module, self.item, self.active = module, item, active
        self.source = delay_source(f"{where}.delay", delay)
        self.rule = find_interpolation(where, interpolation)
        if self.rule.slope_taps and not hasattr(module, "derivative"):
            raise ArgumentError(
                f"{where}.interpolation",
                "'hermite' needs the slopes that a node of this library stores",
                type(module).__name__,
                "Use 'cubic', which is of the same order",
            )
        refuse_untrainable(where, self.source, interpolation)
        if bounds is None:
            bounds = 0.0, static_bound(where, self.source, max_delay).to_decimal(u.ms)
        self.bounds = bounds  # in ms, one pair for all or one per entry
        self.index = self._find_index(index)
        self._init = init
        self.buffer = DelayBuffer(self, init)
        self.served = None
        module.add_after_update(
            f"{item}-delayed-read-{id(self)}", brainstate.nn.not_receive_update_output(self.buffer)
        )

    def _find_index(self, index):
        n = int(np.prod(self.module.varshape))
        shape = shape_of(self.source)
        if index is None:
            if shape and shape[-1] != n:
                raise ArgumentError("prefetch_delay.delay", f"must have {n} sources on its last axis", shape)
            return np.broadcast_to(np.arange(n), shape if len(shape) > 1 else (n,))
        index = np.asarray(index)
        if not np.issubdtype(index.dtype, np.integer) or index.min() < 0 or index.max() >= n:
            raise ArgumentError(
                "prefetch_delay.index",
                f"must hold whole numbers from 0 to {n - 1}",
                f"{index.dtype} from {index.min()} to {index.max()}",
                "Build it by delay_index(n)",
            )
        try:
            return np.broadcast_to(index, np.broadcast_shapes(index.shape, shape))
        except ValueError:
            raise ArgumentError(
                "prefetch_delay.index", f"must have the shape of the delay, {shape}", index.shape
            ) from None

    def delay(self) -> u.Quantity:
        """Return the delay as a Quantity, evaluated now."""
        return value_of(self.source)

    @property
    def max_delay(self) -> u.Quantity:
        """The static bound."""
        return float(np.max(self.bounds[1])) * u.ms

    def lag(self, dt: u.Quantity):
        """Return the delay in steps, NaN where it leaves the static bounds, and how many entries do.

        Concrete delays outside the bounds raise here.
        """
        step = dt.to_decimal(u.ms)
        low, high = (np.asarray(bound) / step for bound in self.bounds)
        delay = magnitude("prefetch_delay.delay", self.delay(), u.ms, plain=False)
        lag = jnp.where(self.active, delay / step, low)
        slack = 1e-5 * np.maximum(1.0, high)
        inside = (lag >= low - slack) & (lag <= high + slack)
        n_outside = jnp.sum(~jnp.broadcast_to(inside, self.index.shape)).astype(jnp.int32)
        if not is_traced(n_outside) and int(n_outside):
            raise ArgumentError(
                "prefetch_delay.delay", "must stay inside its static bounds", self.excess(), "Raise max_delay"
            )
        return jnp.where(inside, lag, jnp.nan), n_outside

    def excess(self) -> str:
        """Describe which concrete delays leave the static bounds, and by how much."""
        delay = np.asarray(magnitude("prefetch_delay.delay", self.delay(), u.ms, plain=False))
        low, high, delay = np.broadcast_arrays(*self.bounds, np.where(self.active, delay, self.bounds[0]))
        slack = 1e-5 * np.maximum(1.0, high)
        above, below = ~(delay <= high + slack), delay < low - slack
        parts = []
        if above.any():
            parts.append(
                f"{above.sum()} of {delay.size} connections above the bound of {high.max():.4g} ms, up to "
                f"{delay[above].max():.4g} ms"
            )
        if below.any():
            parts.append(
                f"{below.sum()} of {delay.size} connections below their lower bound, by up to "
                f"{(low - delay)[below].max():.4g} ms"
            )
        return " and ".join(parts) or "all inside now"

    def explain(self) -> str:
        """Say which delays leave their static bounds now, and the cure."""
        return (
            f"{self.excess()}. Pass a larger max_delay (below a lower bound, a smaller min_delay), or bound "
            "the Param by a transform such as SigmoidT."
        )

    def __call__(self, *args, **kwargs):
        """Return the delayed values ``(..., *index.shape)``."""
        if self.served is not None:
            return self.served
        return self.buffer.read(0.0)


class DelayBuffer(brainstate.nn.Module):
    """Keep the past of one state of a node, pushed after every update of that node."""

    def __init__(self, reader: DelayedRead, init: Any):
        super().__init__()
        self._reader = lambda: (
            reader
        )  # hidden from the graph of modules, where the read's owner names its Params
        self._init = init

    @property
    def reader(self) -> DelayedRead:
        """The read that this buffer serves."""
        return self._reader()

    @brainstate.nn.call_order(1)
    def init_state(self, *args, **kwargs):
        """Fill the past with the initial history; the node's states must exist."""
        reader, dt = self.reader, step_size("prefetch_delay")
        state = getattr(reader.module, reader.item, None)
        if not isinstance(state, brainstate.State):
            names = [
                name for name, value in vars(reader.module).items() if isinstance(value, brainstate.State)
            ]
            raise ArgumentError(
                "prefetch_delay.state",
                f"must be a state of {type(reader.module).__name__}, one of {names}",
                repr(reader.item),
            )
        self.unit = u.get_unit(state.value)
        n_slots = ring_buffer.slots_needed(
            reader.max_delay.to_decimal(u.ms) / dt.to_decimal(u.ms), reader.rule
        )
        past = sampled_history(self._init, u.get_magnitude(state.value), self.unit, n_slots, dt)
        self.values = brainstate.ShortTermState(ring_buffer.fill(past))
        self.n_outside = brainstate.ShortTermState(jnp.int32(0))
        self.slopes = self.kink = None
        if reader.rule.slope_taps:
            slopes = sampled_slopes(self._init, past, self.unit, dt)
            self.slopes = brainstate.ShortTermState(ring_buffer.fill(slopes))
            self.left_slope = brainstate.ShortTermState(slopes[..., -1])
            self.kink = brainstate.ShortTermState(
                ring_buffer.Kink(jnp.zeros_like(slopes[..., -1]), jnp.int32(0))
            )

    def read(self, offset: float):
        """Read at ``offset`` steps after the newest sample (a stage inside the step)."""
        reader = self.reader
        lag, n_outside = reader.lag(step_size("prefetch_delay"))
        self.n_outside.value = jnp.maximum(self.n_outside.value, n_outside)
        slopes, kink = (None, None) if self.slopes is None else (self.slopes.value, self.kink.value)
        lag = jnp.broadcast_to(lag - offset, reader.index.shape)
        values = ring_buffer.read(self.values.value, slopes, reader.index, lag, reader.rule, kink=kink)
        return u.maybe_decimal(values * self.unit)

    def store_slope(self):
        """Put the slope that the node found at the newest sample, and note its jump at the initial time."""
        slope = self.step_slope()
        kink = self.kink.value
        self.kink.value = ring_buffer.Kink(
            jnp.where(kink.age == 0, self.left_slope.value - slope, kink.jump), kink.age
        )
        self.slopes.value = ring_buffer.replace_newest(self.slopes.value, slope)

    def step_slope(self):
        """Return the node's slope at the start of its step, times the step, as a magnitude."""
        reader = self.reader
        return magnitude("slope", reader.module.slopes[reader.item] * step_size("prefetch_delay"), self.unit)

    def update(self):
        """Push the node's new state, and an estimate of its slope until the next step knows it."""
        reader = self.reader
        if self.slopes is not None:
            self.store_slope()
        self.values.value = ring_buffer.push(
            self.values.value, u.get_magnitude(getattr(reader.module, reader.item).value)
        )
        if self.slopes is None:
            return
        values = self.values.value
        slopes = ring_buffer.push(self.slopes.value, jnp.zeros_like(self.left_slope.value))
        slope = ring_buffer.estimate_slope(values, slopes)
        self.slopes.value = ring_buffer.replace_newest(slopes, slope)
        self.kink.value = ring_buffer.Kink(self.kink.value.jump, self.kink.value.age + 1)
