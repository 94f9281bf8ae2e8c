"""What all layers of spike delays share: trainable delays with bounds, a buffer for single steps, checks."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.arguments import numbers, time
from .._core.checks import ArgumentError, check_choice, check_finite
from .._core.param import HoldsParams, value_of
from .._core.status import DELAY_ABOVE_BOUND, OK, flag, is_traced, raise_if_failed
from .._core.units import magnitude
from ..delays.buffer import fill, push, sample, unroll
from ..delays.rounding import STENCIL_AGES, STENCILS
from .arguments import BATCH_SIZE, SPIKES, is_settling
from .filters import INTERPOLATIONS, METHODS, WIDE_KERNELS, combine, lag_weights
from .grid import steps_at_least, time_step

MODES = ("same", "valid")
# Rounding of a time divided by dt moves a lag by less than this many steps.
LAG_TOLERANCE = 1e-4


class DelayedSpikes(HoldsParams, brainstate.nn.Module):
    """Hold delays and the past of ``shape_in`` channels; subclasses say what arrives from it.

    A subclass sets ``shape``, the shape of the delays of all connections, before it calls ``__init__``. It
    defines ``_of_sequence(signal, lag, lower, upper)`` and ``_arrivals(newest)``.

    Attributes
    ----------
    delay : Param
        The fractional master copy; rounding never overwrites it.
    width : State or None
        Current kernel width. Writing to ``layer.width.value`` never recompiles; see `anneal_width`.
    status : State
        Flags set when a delay leaves its bounds inside a compiled program, see `check`.
    """

    shape: tuple[int, ...]

    def __init__(
        self, shape_in: tuple[int, ...], *, max_delay, min_delay, interpolation, delay, width, mode, method
    ):
        super().__init__()
        name = self._name = type(self).__name__
        self.shape_in, self.n_in = shape_in, int(np.prod(shape_in))
        self.interpolation = check_choice(f"{name}.interpolation", interpolation, INTERPOLATIONS)
        self.mode = check_choice(f"{name}.mode", mode, MODES)
        self.method = check_choice(f"{name}.method", method, METHODS)
        self.min_delay, self.max_delay = self._check_bounds(min_delay, max_delay)
        if brainstate.environ.get("dt", None) is not None:
            self.bounds_in_steps()
        self.delay = self._make_delay(delay)
        self.width = self._make_width(width)
        self.status = brainstate.LongTermState(jnp.int32(OK))
        self.past = brainstate.DelayState(fill(jnp.zeros((self.n_in, 0))))

    def _of_sequence(self, signal, lag, lower, upper):
        """Return what arrives from ``signal`` (batch, upper + time, n_in) over ``time`` steps."""
        raise NotImplementedError

    def _arrivals(self, newest):
        """Return what arrives from the buffer, whose newest sample is ``newest`` steps old."""
        raise NotImplementedError

    def bounds_in_steps(self) -> tuple[int, int]:
        """Return ``min_delay`` and ``max_delay`` in steps of the current ``dt``."""
        dt = time_step(self._name)
        return (
            steps_at_least(f"{self._name}.min_delay", self.min_delay, dt, 0),
            steps_at_least(f"{self._name}.max_delay", self.max_delay, dt, 1),
        )

    def lag(self) -> jax.Array:
        """Return the delays in steps, as stored: fractional, of the stored shape."""
        return magnitude(f"{self._name}.delay", self.delay.value() / time_step(self._name), u.UNITLESS)

    def steps(self) -> np.ndarray:
        """Return the delays as whole steps, ready for export to a simulator or a chip."""
        return np.asarray(jnp.round(self.lag())).astype(int)

    def update(self, spikes: Any, history: Any = None) -> jax.Array:
        """Delay whole spike trains.

        Parameters
        ----------
        spikes : array, shape (batch, time, *shape_in)
            Spikes, of any number type.
        history : array, shape (batch, max_delay / dt, *shape_in), optional
            What came before, the newest last; zero by default. Only in mode ``same``.

        Returns
        -------
        array, shape (batch, time, ...)
            In mode ``valid`` the time axis is shorter by ``max_delay / dt``.
        """
        lower, upper = self.bounds_in_steps()
        lag = self._checked_lag(lower, upper)
        signal = self._with_history(self._check_spikes(spikes, 2), history, upper)
        return self._of_sequence(signal, lag, lower, upper)

    def init_state(self, batch_size: int | None = None, **_) -> None:
        """Empty the buffer of step mode; call it before every trial."""
        BATCH_SIZE(f"{self._name}.batch_size", batch_size)
        lower, upper = self.bounds_in_steps()
        self._checked_lag(lower, upper)
        leading = () if batch_size is None else (batch_size,)
        self.past.value = fill(jnp.zeros((*leading, self.n_in, upper + 1), brainstate.environ.dftype()))

    reset_state = init_state

    def step(self, spikes: Any) -> jax.Array:
        """Take the spikes of one step, ``(batch, *shape_in)`` or ``shape_in``, and return what arrives now.

        Equal to the same row of the whole-sequence call in mode ``same``, in value and in gradient.
        """
        self.push(spikes)
        return self._arrivals(newest=0)

    def read(self) -> jax.Array:
        """Return what arrives at the coming step; ``min_delay`` must be a step or more."""
        if self.bounds_in_steps()[0] < 1:
            raise ArgumentError(
                f"{self._name}.read",
                "needs a min_delay of at least one step",
                self.min_delay,
                "Give the layer min_delay=dt, or use step(spikes)",
            )
        return self._arrivals(newest=1)

    def push(self, spikes: Any) -> None:
        """Store the spikes of one step, ``(batch, *shape_in)`` or ``shape_in``."""
        past = self._checked_past()
        leading = past.values.shape[:-2]
        spikes = self._check_spikes(spikes, len(leading))
        if spikes.shape[:-1] != leading:
            raise ArgumentError(
                f"{self._name}.spikes", f"must have the batch size of init_state, {leading[0]}", len(spikes)
            )
        self.past.value = push(past, spikes)

    def check(self) -> None:
        """Raise `RunError` if a delay left its bounds in any compiled call so far."""
        raise_if_failed(
            f"{self._name}.delay",
            self.status.value,
            f"Bounds: {self.min_delay} to {self.max_delay}. Add project_delays to the optimizer.",
        )

    @property
    def _reads_samples(self) -> bool:
        """Whether three samples per delay suffice, so that no full kernel is needed."""
        return self.interpolation in STENCILS

    def _kernel(self, lag, lower, upper):
        """Return the weights over the lags of every connection, (*shape, lag)."""
        width = 0.0
        if self.width is not None:
            width = magnitude(f"{self._name}.width", self.width.value / time_step(self._name), u.UNITLESS)
        kernel = lag_weights(self.interpolation, lag, width, lower, upper)
        return jnp.broadcast_to(kernel, (*self.shape, kernel.shape[-1]))

    def _samples(self, index, newest):
        """Read the channels ``index`` (n,) from the buffer, each at its own delay: (..., n)."""
        lower, upper = self.bounds_in_steps()
        lag = self.lag()
        lag = jnp.broadcast_to(lag.reshape(lag.shape[-1:]), index.shape)
        stencil = STENCILS[self.interpolation](lag, lower, upper)
        ages = jnp.clip(stencil.nearest[:, None] + jnp.array(STENCIL_AGES), lower, upper) - newest
        samples = tuple(jnp.moveaxis(sample(self._checked_past(), index[:, None], ages), -1, 0))
        return combine(samples, stencil, lag, exact=self.interpolation == "round")

    def _window(self, newest):
        """Return the past from ``min_delay`` to ``max_delay``, the newest first: (..., n_in, lag)."""
        lower, upper = self.bounds_in_steps()
        return unroll(self._checked_past())[..., ::-1][..., lower - newest : upper + 1 - newest]

    def _checked_past(self):
        past, n_slots = self.past.value, self.bounds_in_steps()[1] + 1
        if past.n_slots != n_slots:
            raise ArgumentError(
                f"{self._name}.spikes",
                "needs a buffer made for the current dt",
                f"{past.n_slots} slots instead of {n_slots}" if past.n_slots else "none",
                "Call init_state(batch_size) first",
            )
        return past

    def _with_history(self, spikes, history, upper):
        batch, n_steps, _ = spikes.shape
        if self.mode == "valid":
            if history is not None:
                raise ArgumentError(
                    f"{self._name}.history",
                    "has no place in mode 'valid'",
                    f"shape {history.shape}",
                    "Use mode='same', or prepend it to the spikes",
                )
            if n_steps <= upper:
                raise ArgumentError(
                    f"{self._name}.spikes",
                    f"must be longer than max_delay, {upper} steps, in mode 'valid'",
                    f"{n_steps} steps",
                    "Use longer trials or mode='same'",
                )
            return spikes
        shape = (batch, upper, *self.shape_in)
        if history is not None:
            SPIKES(f"{self._name}.history", history)
        history = jnp.zeros(shape, spikes.dtype) if history is None else jnp.asarray(history, spikes.dtype)
        if history.shape != shape:
            raise ArgumentError(
                f"{self._name}.history",
                f"must have the shape (batch, max_delay / dt, n_in) = {shape}",
                history.shape,
            )
        return jnp.concatenate([history.reshape(batch, upper, self.n_in), spikes], axis=1)

    def _check_spikes(self, spikes, n_leading):
        """Return the spikes flat, (..., n_in), if they have ``n_leading`` axes in front."""
        SPIKES(f"{self._name}.spikes", spikes)
        spikes = jnp.asarray(spikes)
        if spikes.ndim < n_leading or spikes.shape[n_leading:] != self.shape_in:
            axes = {0: "(channel)", 1: "(batch, channel) as in init_state", 2: "(batch, time, channel)"}[
                n_leading
            ]
            channels = " x ".join(map(str, self.shape_in))
            raise ArgumentError(
                f"{self._name}.spikes", f"must have the shape {axes} with {channels} channels", spikes.shape
            )
        # Whole numbers are gathered as they are, a quarter of the memory; full kernels and buffers
        # hold floats.
        keep = jnp.issubdtype(spikes.dtype, jnp.floating) or (n_leading == 2 and self._reads_samples)
        spikes = spikes if keep else spikes.astype(brainstate.environ.dftype())
        return spikes.reshape(*spikes.shape[:n_leading], self.n_in)

    def _checked_lag(self, lower, upper):
        """Return the lags; raise if concrete ones leave the bounds, flag traced ones."""
        lag = self.lag()
        inside = (lag >= lower - LAG_TOLERANCE) & (lag <= upper + LAG_TOLERANCE)
        outside = flag(~jnp.all(inside), DELAY_ABOVE_BOUND)
        raise_if_failed(f"{self._name}.delay", outside, f"Bounds: {self.min_delay} to {self.max_delay}.")
        # A bare JAX transformation cannot carry a flag out; brainstate's can.
        with suppress(brainstate.TraceContextError):
            self.status.value = self.status.value | outside
        return lag

    def _make_delay(self, delay):
        if delay is None:
            low, high = (
                magnitude(f"{self._name}.max_delay", x, u.ms) for x in (self.min_delay, self.max_delay)
            )
            delay = brainstate.random.uniform(low, high, self.shape) * u.ms
        param = as_param(f"{self._name}.delay", delay, self.shape)
        if is_traced(param.value()):
            magnitude(f"{self._name}.delay", param.value(), u.ms, plain=False)
            return param  # its values are checked when the layer runs
        low, high, values = (
            np.asarray(magnitude(f"{self._name}.delay", x, u.ms, plain=False))
            for x in (self.min_delay, self.max_delay, param.value())
        )
        check_finite(f"{self._name}.delay", values)
        if np.any(values < low * (1 - 1e-6)) or np.any(values > high * (1 + 1e-6)):
            raise ArgumentError(
                f"{self._name}.delay",
                f"must lie between {self.min_delay} and {self.max_delay}",
                f"{values.min():g} to {values.max():g} ms",
            )
        return param

    def _make_weight(self, weight, n_sources):
        """Return the weights of all connections, uniform within ``1 / sqrt(n_sources)`` by default."""
        if weight is None:
            scale = n_sources**-0.5
            weight = brainstate.random.uniform(-scale, scale, self.shape)
        param = as_param(f"{self._name}.weight", weight, self.shape)
        numbers(unit=u.UNITLESS, finite=True)(f"{self._name}.weight", param.value())
        return param

    def _make_width(self, width):
        if self.interpolation not in WIDE_KERNELS:
            if width is not None:
                raise ArgumentError(
                    f"{self._name}.width",
                    f"belongs to interpolation {' or '.join(map(repr, WIDE_KERNELS))}",
                    f"a width with {self.interpolation!r}",
                    "Leave it out, or choose one of these",
                )
            return None
        width = self.max_delay / 4 if width is None else width
        time(f"{self._name}.width", width)
        return brainstate.LongTermState(u.math.asarray(width, dtype=brainstate.environ.dftype()))

    def _check_bounds(self, min_delay, max_delay):
        """Return both bounds if they are times and in order."""
        time(f"{self._name}.max_delay", max_delay)
        is_settling(f"{self._name}.min_delay", min_delay)
        low, high = (float(x.to_decimal(u.ms)) for x in (min_delay, max_delay))
        if not 0 <= low <= high:
            raise ArgumentError(
                f"{self._name}.min_delay", f"must lie between 0 and max_delay, {max_delay}", min_delay
            )
        return min_delay, max_delay


def as_param(where: str, value: Param | jax.Array | Callable, shape: tuple[int, ...]) -> Param:
    """Wrap a value or the result of an initializer in a `Param` whose shape broadcasts to ``shape``."""
    if callable(value) and not isinstance(value, Param):
        value = value(shape)
    numbers()(where, value_of(value))
    param = value if isinstance(value, Param) else Param(value)
    got = np.shape(u.get_magnitude(param.value()))
    try:
        fits = np.broadcast_shapes(got, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ArgumentError(where, f"must broadcast to the shape {shape}", got)
    return param
