"""A convolution over space whose taps carry their own trainable delays."""

from collections.abc import Sequence
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import count, each
from .._core.checks import ArgumentError, check_choice, check_count
from .base import DelayedSpikes

PADDINGS = ("same", "valid")


class ConvDelayLayer(DelayedSpikes):
    """Convolve feature maps over one or two axes of space; every tap has a weight and a delay.

    Parameters
    ----------
    shape_in : sequence of int
        Shape of the input at one time, ``(*space, n_in)``, with one or two axes of space.
    n_out : int
        Number of output features.
    kernel_size : int or sequence of int
        Size of the kernel per axis of space.
    strides : int or sequence of int, default 1
    padding : {'same', 'valid'}, default 'same'
        Of space: zeros around the map, or only positions at which the kernel fits.
    delay, weight : Param, array or Quantity, or callable ``shape -> value``, optional
        As for `DelayLayer`, broadcastable to ``(n_out, *kernel_size, n_in)``; delays of shape ``(n_in,)`` are
        axonal. Weights are uniform within ``1 / sqrt(taps)`` by default.
    max_delay, min_delay, interpolation, width, mode
        As for `DelayLayer`; ``mode`` concerns time.

    Attributes
    ----------
    shape_out : tuple of int
        Shape of the output at one time, ``(*space, n_out)``.

    Raises
    ------
    ArgumentError
        As `DelayLayer`, and for shapes of space that do not fit.

    Notes
    -----
    The output at a place is the sum over taps of weight times the input at the tap's place, its delay ago.
    One convolution over time and space with ``max_delay / dt`` lags. Gradients are those of `DelayLayer`.

    References
    ----------
    Khalfaoui-Hassani, Pellegrini, Masquelier (2023): Dilated convolution with learnable spacings. ICLR.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import ConvDelayLayer
    >>> layer = ConvDelayLayer((8, 8, 2), 4, 3, strides=2, max_delay=5 * u.ms)
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     print(layer(jnp.zeros((1, 20, 8, 8, 2))).shape)
    (1, 20, 4, 4, 4)
    """

    def __init__(
        self,
        shape_in: Sequence[int],
        n_out: int,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "same",
        max_delay: Any,
        min_delay: Any = 0 * u.ms,
        interpolation: str = "round",
        delay: Any = None,
        weight: Any = None,
        width: Any = None,
        mode: str = "same",
    ):
        each(count(), object)("ConvDelayLayer.shape_in", shape_in)
        shape_in = tuple(check_count("ConvDelayLayer.shape_in", n) for n in shape_in)
        if len(shape_in) not in (2, 3):
            raise ArgumentError(
                "ConvDelayLayer.shape_in", "must be (*space, n_in), one or two axes", shape_in
            )
        n_space = len(shape_in) - 1
        self.n_out = check_count("ConvDelayLayer.n_out", n_out)
        self.kernel_size = _per_axis("kernel_size", kernel_size, n_space)
        self.strides = _per_axis("strides", strides, n_space)
        self.padding = check_choice("ConvDelayLayer.padding", padding, PADDINGS).upper()
        if padding == "valid" and np.any(np.array(self.kernel_size) > shape_in[:-1]):
            raise ArgumentError("ConvDelayLayer.kernel_size", f"must fit into {shape_in[:-1]}", kernel_size)
        self.shape = (self.n_out, *self.kernel_size, shape_in[-1])
        super().__init__(
            shape_in,
            max_delay=max_delay,
            min_delay=min_delay,
            interpolation=interpolation,
            delay=delay,
            width=width,
            mode=mode,
            method="direct",
        )
        self.weight = self._make_weight(weight, int(np.prod(self.shape[1:])))

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of the output at one time."""
        sizes = zip(self.shape_in, self.kernel_size, self.strides, strict=False)
        cut = [0 if self.padding == "SAME" else k - 1 for k in self.kernel_size]
        return (*(-(-(n - c) // s) for (n, _, s), c in zip(sizes, cut, strict=True)), self.n_out)

    def _of_sequence(self, signal, lag, lower, upper):
        signal = signal.astype(lag.dtype)[:, : signal.shape[1] - lower]
        return self._convolved(signal, lag, lower, upper)

    def _arrivals(self, newest):
        window = jnp.swapaxes(self._window(newest)[..., ::-1], -1, -2)  # [..., time, channel]
        single = window.ndim == 2
        out = self._convolved(window[None] if single else window, self.lag(), *self.bounds_in_steps())
        return out[0, 0] if single else out[:, 0]

    def _convolved(self, signal, lag, lower, upper):
        """Convolve ``signal`` (batch, time, n_in) over time, without padding, and space."""
        kernel = self._kernel(lag, lower, upper) * self.weight.value()[..., None]
        taps = jnp.moveaxis(
            kernel[..., ::-1], (0, -1), (-1, 0)
        )  # [lag, *space, source, target], oldest first
        letters = "HW"[: len(self.kernel_size)]
        return jax.lax.conv_general_dilated(
            signal.reshape(*signal.shape[:2], *self.shape_in),
            taps,
            (1, *self.strides),
            [
                (0, 0),
                *jax.lax.padtype_to_pads(self.shape_in[:-1], self.kernel_size, self.strides, self.padding),
            ],
            dimension_numbers=(f"NT{letters}C", f"T{letters}IO", f"NT{letters}C"),
        )


def _per_axis(name, value, n_axes):
    """Return one whole number per axis of space."""
    values = (value,) * n_axes if np.ndim(value) == 0 else tuple(value)
    if len(values) != n_axes:
        raise ArgumentError(f"ConvDelayLayer.{name}", f"must hold {n_axes} numbers, or be one", value)
    return tuple(check_count(f"ConvDelayLayer.{name}", n) for n in values)
