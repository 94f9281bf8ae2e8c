"""Weights over the lags and their application to whole sequences.

A delay of ``lag`` steps is a causal filter: the output is a weighted sum of the input ``lower``, ...,
``upper`` steps ago. Short stencils are gathered, full kernels are convolved. All functions are pure.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from ..delays.rounding import STENCIL_AGES, STENCILS, Stencil, with_slope

WIDE_KERNELS = ("gaussian", "triangular")
INTERPOLATIONS = (*STENCILS, *WIDE_KERNELS)
METHODS = ("auto", "fft", "direct")
# Measured on one CPU core at 64 x 150 x 200 -> 30: below this number of lags the direct sum wins per synapse.
DIRECT_MAX_LAGS = 16


def lag_weights(interpolation: str, lag: jax.Array, width: jax.Array, lower: int, upper: int) -> jax.Array:
    """Return the weight of every lag ``lower..upper``; the weights of one delay sum to 1.

    Parameters
    ----------
    interpolation : {'round', 'linear', 'gaussian', 'triangular'}
        Rule. ``round`` and ``linear`` ignore ``width``.
    lag : array, shape (...,)
        Delay in steps.
    width : array, scalar
        Standard deviation of the Gaussian, or half the base of the triangle (at least 1), in steps. A width
        of 0 means the whole step nearest to the delay.
    lower, upper : int
        First and last lag.

    Returns
    -------
    array, shape (..., upper - lower + 1)

    Notes
    -----
    Kernels are normalized over the lags that exist, so a kernel cut at a bound loses no input. The gradient
    in ``lag`` is the kernel's own, except for ``round`` and for width 0: there it is that of
    `brainmass_delays.delays.rounding`. Where a triangle has a corner, it is the slope towards longer delays,
    as for ``linear``; at the upper bound that towards shorter ones.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.spiking.filters import lag_weights
    >>> [float(w) for w in lag_weights('linear', jnp.array(1.25), 0., 0, 3)]
    [0.0, 0.75, 0.25, 0.0]
    """
    if interpolation in STENCILS:
        return _spread(STENCILS[interpolation](lag, lower, upper), lag, lower, upper)
    soft = jnp.where(width > 0, width, 1.0)
    distance = lag[..., None] - jnp.arange(lower, upper + 1)
    if interpolation == "gaussian":
        weights = jax.nn.softmax(-0.5 * (distance / soft) ** 2, axis=-1)
    else:
        weights = _triangle(jnp.where(lag[..., None] < upper, distance, -distance), jnp.maximum(soft, 1.0))
        weights = weights / weights.sum(-1, keepdims=True)
    hard = _spread(STENCILS["round"](lag, lower, upper), lag, lower, upper)
    return jnp.where(width > 0, weights, hard)


def _triangle(ahead, width):
    """Return the sides of a triangle; at its corners the slope is that towards larger ``ahead``."""
    height = 1 - jnp.where(ahead >= 0, ahead, -ahead) / width
    return jnp.where((height > 0) | ((height == 0) & (ahead < 0)), height, 0.0)


def _spread(stencil: Stencil, lag, lower, upper):
    """Write the three weights of a stencil into the full row of lags."""
    lags = jnp.arange(lower, upper + 1)
    at = [lags == stencil.nearest[..., None] + age for age in STENCIL_AGES]
    value = sum(stencil.values[..., i, None] * hit for i, hit in enumerate(at))
    slope = sum(stencil.slopes[..., i, None] * hit for i, hit in enumerate(at))
    return with_slope(value, slope, lag[..., None])


def combine(samples: tuple[jax.Array, ...], stencil: Stencil, lag: jax.Array, *, exact: bool) -> jax.Array:
    """Weigh three ``samples`` ``(..., channel)``; ``exact`` returns the middle one untouched."""
    slope = sum(jax.lax.stop_gradient(x) * stencil.slopes[..., i] for i, x in enumerate(samples))
    value = samples[1] if exact else samples[0] * stencil.values[..., 0] + samples[1] * stencil.values[..., 1]
    # The transpose of this outer product is a matrix product: twice as fast on CPU as the sum a
    # broadcast turns into.
    lag = (jnp.ones((value.size // lag.size, 1), lag.dtype) @ lag[None]).reshape(value.shape)
    return with_slope(value.astype(lag.dtype), slope.astype(lag.dtype), lag)


@partial(jax.jit, static_argnames=("interpolation", "lower", "upper"))
def shift(signal: jax.Array, lag: jax.Array, interpolation: str, lower: int, upper: int) -> jax.Array:
    """Delay every channel of ``signal`` ``(batch, time, channel)`` by its own lag.

    The first ``upper`` outputs are dropped. Costs one gather per output sample whatever the bound is.
    """
    n_out = signal.shape[1] - upper
    lag = jnp.broadcast_to(lag, signal.shape[-1:])
    stencil = STENCILS[interpolation](lag, lower, upper)
    # One row more on both sides holds the neighbors in time. Rows outside the signal only ever meet a
    # weight of zero.
    rows = jnp.arange(-1, n_out + 1)[:, None] + (upper - stencil.nearest)
    rows = jnp.clip(rows, 0, signal.shape[1] - 1)
    window = _take_times(signal, rows)
    return combine(
        (window[:, :-2], window[:, 1:-1], window[:, 2:]), stencil, lag, exact=interpolation == "round"
    )


def _take_times(signal, rows):
    """Return ``signal[b, rows[t, c], c]`` as ``(batch, time, channel)``."""
    flat = (rows * signal.shape[-1] + jnp.arange(signal.shape[-1])).reshape(-1)

    def take(trial):
        return trial.reshape(-1).at[flat].get(mode="promise_in_bounds").reshape(rows.shape)

    # On CPU, XLA would gather anew for each use of the window, three times slower; a loop over trials
    # keeps the result.
    return jax.lax.map(take, signal) if jax.default_backend() == "cpu" else jax.vmap(take)(signal)


@partial(jax.jit, static_argnames=("lower", "method"))
def convolve(signal: jax.Array, kernel: jax.Array, lower: int, method: str = "auto") -> jax.Array:
    """Filter ``signal`` along time with ``kernel``, dropping the outputs that would reach before the signal.

    Parameters
    ----------
    signal : array, shape (batch, time, source)
    kernel : array, shape (source, lag) or (target, source, lag)
        Weights of the lags ``lower, lower + 1, ...``.
    lower : int
        First lag.
    method : {'auto', 'fft', 'direct'}
        ``fft`` is faster for long kernels and exact to rounding; ``direct`` never mixes times, so that the
        past is bit-equal whatever the future holds. ``auto`` takes ``direct`` per synapse up to 16 lags,
        else ``fft``.

    Returns
    -------
    array, shape (batch, time - last lag, source or target)
    """
    if method == "auto":
        method = "direct" if kernel.ndim == 3 and kernel.shape[-1] <= DIRECT_MAX_LAGS else "fft"
    n_out = signal.shape[1] - lower - kernel.shape[-1] + 1
    return _CONVOLUTIONS[method, kernel.ndim](signal[:, : signal.shape[1] - lower], kernel)[:, -n_out:]


def _fft_per_source(signal, kernel):
    n_steps = signal.shape[1]
    length = scipy.fft.next_fast_len(n_steps, real=True)
    spectrum = jnp.fft.rfft(jnp.swapaxes(signal, 1, 2), length) * jnp.fft.rfft(kernel, length)
    return jnp.swapaxes(jnp.fft.irfft(spectrum, length)[..., :n_steps], 1, 2)


def _fft_per_synapse(signal, kernel):
    n_steps = signal.shape[1]
    length = scipy.fft.next_fast_len(n_steps, real=True)
    sources, synapses = jnp.fft.rfft(signal, length, axis=1), jnp.fft.rfft(kernel, length)
    return jnp.fft.irfft(jnp.einsum("bfi,oif->bfo", sources, synapses), length, axis=1)[:, :n_steps]


def _direct_per_source(signal, kernel):
    n_steps, n_lags = signal.shape[1], kernel.shape[-1]
    lag = np.arange(n_lags - 1, n_steps)[:, None] - np.arange(n_steps)
    toeplitz = jnp.where((lag >= 0) & (lag < n_lags), kernel[:, np.clip(lag, 0, n_lags - 1)], 0)
    return jnp.einsum("its,bsi->bti", toeplitz, signal)


def _direct_per_synapse(signal, kernel):
    taps = jnp.transpose(kernel[..., ::-1], (2, 1, 0))
    return jax.lax.conv_general_dilated(signal, taps, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))


_CONVOLUTIONS = {
    ("fft", 2): _fft_per_source,
    ("fft", 3): _fft_per_synapse,
    ("direct", 2): _direct_per_source,
    ("direct", 3): _direct_per_synapse,
}
