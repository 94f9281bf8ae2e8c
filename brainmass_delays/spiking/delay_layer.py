"""A layer of trainable conduction delays for spike trains."""

from typing import Any

import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .base import DelayedSpikes
from .filters import convolve, shift


class DelayLayer(DelayedSpikes):
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
        How full kernels are applied, see `brainmass_delays.spiking.filters.convolve`.

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
    (straight-through); ``linear``: exact, at whole steps as in `brainmass_delays.delays.interpolation`; both
    are one-sided, inward, at a bound. ``gaussian`` and ``triangular``: exact, normalized over the lags
    between the bounds. It is never zero because of a bound: keep the delays inside with `project_delays`.

    *Cost.* ``round`` and ``linear`` with one delay per input: one gather, whatever ``max_delay`` is, and
    with ``n_out`` a matrix product. Else a convolution with ``max_delay / dt`` lags; `SparseDelayLayer`
    gathers for every synapse. ``dt`` is read from ``brainstate.environ`` at each call.

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
        max_delay: Any,
        min_delay: Any = 0 * u.ms,
        interpolation: str = "round",
        delay: Any = None,
        weight: Any = None,
        width: Any = None,
        mode: str = "same",
        method: str = "auto",
    ):
        n_in = check_count("DelayLayer.n_in", n_in)
        self.n_out = None if n_out is None else check_count("DelayLayer.n_out", n_out)
        self.shape = (n_in,) if n_out is None else (self.n_out, n_in)
        super().__init__(
            (n_in,),
            max_delay=max_delay,
            min_delay=min_delay,
            interpolation=interpolation,
            delay=delay,
            width=width,
            mode=mode,
            method=method,
        )
        if self.n_out is None and weight is not None:
            raise ArgumentError("DelayLayer.weight", "needs n_out", "weights without it")
        self.weight = None if self.n_out is None else self._make_weight(weight, n_in)

    @property
    def is_axonal(self) -> bool:
        """Whether all synapses of an input share its delay, as stored."""
        stored = np.shape(u.get_magnitude(self.delay.value()))
        return self.n_out is None or len(stored) < 2 or stored[0] == 1

    @property
    def _reads_samples(self) -> bool:
        return self.is_axonal and super()._reads_samples

    def _of_sequence(self, signal, lag, lower, upper):
        if not self._reads_samples:
            return convolve(signal, self._weighted_kernel(lag, lower, upper), lower, self.method)
        return self._summed(shift(signal, lag.reshape(lag.shape[-1:]), self.interpolation, lower, upper))

    def _arrivals(self, newest):
        if self._reads_samples:
            return self._summed(self._samples(jnp.arange(self.n_in), newest))
        subscripts = "...il,il->...i" if self.n_out is None else "...il,oil->...o"
        kernel = self._weighted_kernel(self.lag(), *self.bounds_in_steps())
        return jnp.einsum(subscripts, self._window(newest), kernel)

    def _weighted_kernel(self, lag, lower, upper):
        kernel = self._kernel(lag, lower, upper)
        return kernel if self.weight is None else kernel * self.weight.value()[..., None]

    def _summed(self, delayed):
        """Weigh and sum delayed inputs (..., n_in) for every target."""
        if self.weight is None:
            return delayed
        return delayed @ jnp.broadcast_to(self.weight.value(), self.shape).T
