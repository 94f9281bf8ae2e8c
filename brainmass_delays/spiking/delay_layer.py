"""A layer of trainable conduction delays for spike trains."""

from collections.abc import Callable
from contextlib import suppress

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError, check_choice, check_count, check_finite, check_positive
from .._core.status import DELAY_ABOVE_BOUND, OK, flag, raise_if_failed
from .._core.units import magnitude
from ..delays.buffer import fill, push, sample, unroll
from ..delays.rounding import STENCIL_AGES, STENCILS
from .grid import time_step, whole_steps
from .kernels import INTERPOLATIONS, METHODS, WIDE_KERNELS, combine, convolve, lag_weights, shift

MODES = ("same", "valid")
# Rounding of a time divided by dt moves a lag by less than this many steps.
LAG_TOLERANCE = 1e-4


class DelayLayer(brainstate.nn.Module):
    """Delay every input, or every synapse, by its own trainable time.

    Parameters
    ----------
    n_in : int
        Number of input channels.
    n_out : int, optional
        Number of targets. Without it the layer only delays, ``n_in`` channels to ``n_in``; with it every
        synapse has a weight and a delay, and the layer sums the delayed, weighted inputs of each target.
    max_delay : Quantity[time]
        Largest delay, inclusive; a whole number of time steps. It fixes the size of the buffer.
    min_delay : Quantity[time], default 0 ms
        Smallest delay; at least one step for `read`, which recurrent connections need.
    interpolation : {'round', 'linear', 'gaussian', 'triangular'}, default 'round'
        How a delay between two steps reads. ``round`` is an exact shift by the nearest whole step.
    delay : Param, Quantity[time], or callable ``shape -> Quantity``, optional
        Delays, broadcastable to ``(n_in,)`` or ``(n_out, n_in)`` = [target, source]; uniform between the
        bounds by default. ``Param(..., fit=False)`` is not trained.
    weight : Param, array, or callable ``shape -> array``, optional
        Weights ``(n_out, n_in)``, dimensionless; uniform within ``1 / sqrt(n_in)`` by default. Only with
        ``n_out``.
    width : Quantity[time], optional
        Start of the kernel width, a quarter of ``max_delay`` by default: standard deviation of the
        Gaussian, or half the base of the triangle. Only with these two.
    mode : {'same', 'valid'}, default 'same'
        ``same`` keeps the length and starts from a history. ``valid`` drops the first ``max_delay`` of the
        output, so that every channel holds real input only.
    method : {'auto', 'fft', 'direct'}, default 'auto'
        How full kernels are applied, see `brainmass_delays.spiking.kernels.convolve`.

    Attributes
    ----------
    delay, weight : Param
        The trainable values. The delay is the fractional master copy; rounding never overwrites it.
    width : State or None
        Current kernel width. Writing to ``layer.width.value`` never recompiles; see `anneal_width`.
    status : State
        Flags set when a delay leaves its bounds inside a compiled program, see `check`.

    Raises
    ------
    ArgumentError
        For a delay outside the bounds, bounds off the grid of ``dt`` or below it, and spikes of the wrong
        shape.

    Notes
    -----
    *Gradient.* ``round``: the derivative in a delay is the central difference of the shifted input
    (straight-through); ``linear``: exact, at whole steps the mean of both sides; both are one-sided,
    inward, at a bound. ``gaussian`` and ``triangular``: exact, normalized over the lags between the bounds.
    It is never zero because of a bound: keep the delays inside with `project_delays`.

    *Cost.* ``round`` and ``linear`` without ``n_out``: one gather, whatever ``max_delay`` is. Else a
    convolution with ``max_delay / dt`` lags. ``dt`` is read from ``brainstate.environ`` at each call.

    References
    ----------
    Hammouamri, Khalfaoui-Hassani, Masquelier (2024): Learning delays in spiking neural networks using
    dilated convolutions with learnable spacings. ICLR. Ghosh et al. (2025): Spiking neural network models
    of interaural time difference extraction via a massively collaborative process. eNeuro 12(7).

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import DelayLayer
    >>> layer = DelayLayer(2, max_delay=3 * u.ms, delay=jnp.array([0., 2.]) * u.ms)
    >>> spikes = jnp.zeros((1, 5, 2)).at[0, 0].set(1.)
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     print(layer(spikes)[0].T)
    [[1. 0. 0. 0. 0.]
     [0. 0. 1. 0. 0.]]
    """

    def __init__(
        self,
        n_in: int,
        n_out: int | None = None,
        *,
        max_delay: u.Quantity,
        min_delay: u.Quantity = 0 * u.ms,
        interpolation: str = "round",
        delay: Param | u.Quantity | Callable | None = None,
        weight: Param | jax.Array | Callable | None = None,
        width: u.Quantity | None = None,
        mode: str = "same",
        method: str = "auto",
    ):
        super().__init__()
        self.n_in = check_count("DelayLayer.n_in", n_in)
        self.n_out = None if n_out is None else check_count("DelayLayer.n_out", n_out)
        self.interpolation = check_choice("DelayLayer.interpolation", interpolation, INTERPOLATIONS)
        self.mode = check_choice("DelayLayer.mode", mode, MODES)
        self.method = check_choice("DelayLayer.method", method, METHODS)
        self.min_delay, self.max_delay = _check_bounds(min_delay, max_delay)
        if brainstate.environ.get("dt", None) is not None:
            self.bounds_in_steps()
        self.delay = self._make_delay(delay)
        self.weight = self._make_weight(weight)
        self.width = self._make_width(width)
        self.status = brainstate.LongTermState(jnp.int32(OK))
        self.past = brainstate.DelayState(fill(jnp.zeros((self.n_in, 0))))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the delays of all connections, ``(n_in,)`` or ``(n_out, n_in)``."""
        return (self.n_in,) if self.n_out is None else (self.n_out, self.n_in)

    def bounds_in_steps(self) -> tuple[int, int]:
        """Return ``min_delay`` and ``max_delay`` in steps of the current ``dt``."""
        dt = time_step("DelayLayer")
        return (
            whole_steps("DelayLayer.min_delay", self.min_delay, dt, 0),
            whole_steps("DelayLayer.max_delay", self.max_delay, dt, 1),
        )

    def lag(self) -> jax.Array:
        """Return the delays in steps, as stored: fractional, of the stored shape."""
        return magnitude("DelayLayer.delay", self.delay.value() / time_step("DelayLayer"), u.UNITLESS)

    def steps(self) -> np.ndarray:
        """Return the delays as whole steps, ready for export to a simulator or a chip."""
        return np.asarray(jnp.round(self.lag())).astype(int)

    def update(self, spikes: jax.Array, history: jax.Array | None = None) -> jax.Array:
        """Delay whole spike trains.

        Parameters
        ----------
        spikes : array, shape (batch, time, n_in)
            Spikes, of any number type.
        history : array, shape (batch, max_delay / dt, n_in), optional
            What came before, the newest last; zero by default. Only in mode ``same``.

        Returns
        -------
        array, shape (batch, time, n_in or n_out)
            In mode ``valid`` the time axis is shorter by ``max_delay / dt``.
        """
        lower, upper = self.bounds_in_steps()
        lag = self._checked_lag(lower, upper)
        signal = self._with_history(self._check_spikes(spikes, 3, "(batch, time, channel)"), history, upper)
        if self._is_short:
            return shift(signal, lag, self.interpolation, lower, upper)
        return convolve(signal, self._kernel(lag, lower, upper), lower, self.method)

    def init_state(self, batch_size: int | None = None, **_) -> None:
        """Empty the buffer of step mode; call it before every trial."""
        lower, upper = self.bounds_in_steps()
        self._checked_lag(lower, upper)
        leading = () if batch_size is None else (batch_size,)
        self.past.value = fill(jnp.zeros((*leading, self.n_in, upper + 1), brainstate.environ.dftype()))

    reset_state = init_state

    def step(self, spikes: jax.Array) -> jax.Array:
        """Take the spikes of one step, ``(batch, n_in)`` or ``(n_in,)``, and return what arrives now.

        Equal to the same row of the whole-sequence call in mode ``same``, in value and in gradient.
        """
        self.push(spikes)
        return self._arrivals(newest=0)

    def read(self) -> jax.Array:
        """Return what arrives at the coming step; ``min_delay`` must be a step or more."""
        if self.bounds_in_steps()[0] < 1:
            raise ArgumentError(
                "DelayLayer.read",
                "needs a min_delay of at least one step",
                self.min_delay,
                "Give the layer min_delay=dt, or use step(spikes)",
            )
        return self._arrivals(newest=1)

    def push(self, spikes: jax.Array) -> None:
        """Store the spikes of one step, ``(batch, n_in)`` or ``(n_in,)``."""
        past = self._past()
        spikes = self._check_spikes(spikes, past.values.ndim - 1, "(batch, channel) as in init_state")
        self.past.value = push(past, spikes)

    def check(self) -> None:
        """Raise `RunError` if a delay left its bounds in any compiled call so far."""
        raise_if_failed(
            "DelayLayer.delay",
            self.status.value,
            f"Bounds: {self.min_delay} to {self.max_delay}. Add project_delays to the optimizer.",
        )

    @property
    def _is_short(self) -> bool:
        """Whether three samples per channel suffice, so that nothing needs to be convolved."""
        return self.n_out is None and self.interpolation in STENCILS

    def _kernel(self, lag, lower, upper):
        width = 0.0
        if self.width is not None:
            width = magnitude("DelayLayer.width", self.width.value / time_step("DelayLayer"), u.UNITLESS)
        kernel = lag_weights(self.interpolation, lag, width, lower, upper)
        if self.weight is None:
            return jnp.broadcast_to(kernel, (*self.shape, kernel.shape[-1]))
        return kernel * self.weight.value()[..., None]

    def _arrivals(self, newest):
        """Read the buffer whose newest sample is ``newest`` steps old."""
        lower, upper = self.bounds_in_steps()
        past, lag = self._past(), self.lag()
        if self._is_short:
            lag = jnp.broadcast_to(lag, self.shape)
            stencil = STENCILS[self.interpolation](lag, lower, upper)
            ages = jnp.clip(stencil.nearest[:, None] + jnp.array(STENCIL_AGES), lower, upper) - newest
            samples = sample(past, jnp.arange(self.n_in)[:, None], ages)
            return combine(
                tuple(jnp.moveaxis(samples, -1, 0)), stencil, lag, exact=self.interpolation == "round"
            )
        window = unroll(past)[..., ::-1][..., lower - newest : upper + 1 - newest]
        subscripts = "...il,il->...i" if self.n_out is None else "...il,oil->...o"
        return jnp.einsum(subscripts, window, self._kernel(lag, lower, upper))

    def _past(self):
        past, n_slots = self.past.value, self.bounds_in_steps()[1] + 1
        if past.n_slots != n_slots:
            raise ArgumentError(
                "DelayLayer.step",
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
                    "DelayLayer.history",
                    "has no place in mode 'valid'",
                    f"shape {history.shape}",
                    "Use mode='same', or prepend it to the spikes",
                )
            if n_steps <= upper:
                raise ArgumentError(
                    "DelayLayer.spikes",
                    f"must be longer than max_delay, {upper} steps, in mode 'valid'",
                    f"{n_steps} steps",
                    "Use longer trials or mode='same'",
                )
            return spikes
        shape = (batch, upper, self.n_in)
        history = jnp.zeros(shape, spikes.dtype) if history is None else jnp.asarray(history, spikes.dtype)
        if history.shape != shape:
            raise ArgumentError(
                "DelayLayer.history",
                f"must have the shape (batch, max_delay / dt, n_in) = {shape}",
                history.shape,
            )
        return jnp.concatenate([history, spikes], axis=1)

    def _check_spikes(self, spikes, rank, axes):
        spikes = jnp.asarray(spikes)
        if spikes.ndim != rank or spikes.shape[-1] != self.n_in:
            raise ArgumentError(
                "DelayLayer.spikes", f"must have the shape {axes} with {self.n_in} channels", spikes.shape
            )
        # Whole numbers are gathered as they are, a quarter of the memory; full kernels and buffers
        # hold floats.
        keep = jnp.issubdtype(spikes.dtype, jnp.floating) or (rank == 3 and self._is_short)
        return spikes if keep else spikes.astype(brainstate.environ.dftype())

    def _checked_lag(self, lower, upper):
        """Return the lags; raise if concrete ones leave the bounds, flag traced ones."""
        lag = self.lag()
        inside = (lag >= lower - LAG_TOLERANCE) & (lag <= upper + LAG_TOLERANCE)
        outside = flag(~jnp.all(inside), DELAY_ABOVE_BOUND)
        raise_if_failed("DelayLayer.delay", outside, f"Bounds: {self.min_delay} to {self.max_delay}.")
        # A bare JAX transformation cannot carry a flag out; brainstate's can.
        with suppress(brainstate.TraceContextError):
            self.status.value = self.status.value | outside
        return lag

    def _make_delay(self, delay):
        if delay is None:
            low, high = (magnitude("DelayLayer.max_delay", x, u.ms) for x in (self.min_delay, self.max_delay))
            delay = brainstate.random.uniform(low, high, self.shape) * u.ms
        delay = _as_param("DelayLayer.delay", delay, self.shape)
        low, high, values = (
            np.asarray(magnitude("DelayLayer.delay", x, u.ms, plain=False))
            for x in (self.min_delay, self.max_delay, delay.value())
        )
        check_finite("DelayLayer.delay", values)
        if np.any(values < low * (1 - 1e-6)) or np.any(values > high * (1 + 1e-6)):
            raise ArgumentError(
                "DelayLayer.delay",
                f"must lie between {self.min_delay} and {self.max_delay}",
                f"{values.min():g} to {values.max():g} ms",
            )
        return delay

    def _make_weight(self, weight):
        if self.n_out is None:
            if weight is not None:
                raise ArgumentError("DelayLayer.weight", "needs n_out", "weights without it")
            return None
        if weight is None:
            scale = self.n_in**-0.5
            weight = brainstate.random.uniform(-scale, scale, self.shape)
        return _as_param("DelayLayer.weight", weight, self.shape)

    def _make_width(self, width):
        if self.interpolation not in WIDE_KERNELS:
            if width is not None:
                raise ArgumentError(
                    "DelayLayer.width", f"needs one of {WIDE_KERNELS}", repr(self.interpolation)
                )
            return None
        width = self.max_delay / 4 if width is None else width
        check_positive("DelayLayer.width", magnitude("DelayLayer.width", width, u.ms, plain=False))
        return brainstate.LongTermState(u.math.asarray(width, dtype=brainstate.environ.dftype()))


def _check_bounds(min_delay, max_delay):
    """Return both bounds if they are times and in order."""
    low, high = (
        float(check_finite(f"DelayLayer.{name}", magnitude(f"DelayLayer.{name}", x, u.ms, plain=False)))
        for name, x in (("min_delay", min_delay), ("max_delay", max_delay))
    )
    check_positive("DelayLayer.max_delay", high)
    if not 0 <= low <= high:
        raise ArgumentError(
            "DelayLayer.min_delay", f"must lie between 0 and max_delay, {max_delay}", min_delay
        )
    return min_delay, max_delay


def _as_param(where, value, shape):
    """Wrap a value or the result of an initializer in a `Param` whose shape broadcasts to ``shape``."""
    if callable(value) and not isinstance(value, Param):
        value = value(shape)
    param = value if isinstance(value, Param) else Param(value)
    got = np.shape(u.get_magnitude(param.value()))
    try:
        fits = np.broadcast_shapes(got, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ArgumentError(where, f"must broadcast to the shape {shape}", got)
    return param
