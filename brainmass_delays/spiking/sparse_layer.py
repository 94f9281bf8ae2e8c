"""Synapses given as a list, each with its own trainable delay."""

from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, count, numbers
from .._core.checks import ArgumentError, check_count
from .._core.status import is_traced
from .arguments import (
    is_seed,
)
from .base import DelayedSpikes
from .filters import convolve, shift


class SparseDelayLayer(DelayedSpikes):
    """Sum delayed, weighted inputs over a list of synapses.

    Parameters
    ----------
    n_in, n_out : int
        Number of input channels and of targets.
    connections : array of int, shape (synapse, 2)
        Rows ``[target, source]``. A pair may occur more than once, with different delays; targets without a
        synapse receive zero. See `random_connections`.
    delay, weight : Param, array or Quantity, or callable ``shape -> value``, optional
        As for `DelayLayer`, broadcastable to ``(synapse,)``. Weights are uniform within
        ``1 / sqrt(synapses per target)`` by default.
    max_delay, min_delay, interpolation, width, mode, method
        As for `DelayLayer`.

    Raises
    ------
    ArgumentError
        As `DelayLayer`, and for connections that are not pairs of existing channels.

    Notes
    -----
    With ``round`` and ``linear`` one sample per synapse and step is gathered, whatever ``max_delay`` is; the
    others convolve every synapse. Equal to a `DelayLayer` with ``n_out`` whose other weights are zero, in
    value and in gradient.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import SparseDelayLayer
    >>> layer = SparseDelayLayer(2, 1, [[0, 0], [0, 1]], max_delay=3 * u.ms, delay=jnp.array([0., 2.]) * u.ms,
    ...                          weight=jnp.array([1., 10.]))
    >>> spikes = jnp.zeros((1, 5, 2)).at[0, 0].set(1.)
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     print(layer(spikes)[0].T)
    [[ 1.  0. 10.  0.  0.]]
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        connections: np.ndarray,
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
        n_in = check_count("SparseDelayLayer.n_in", n_in)
        self.n_out = check_count("SparseDelayLayer.n_out", n_out)
        self.target, self.source = _check_connections(connections, self.n_out, n_in)
        self.shape = self.target.shape
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
        self.weight = self._make_weight(weight, max(len(self.target) / self.n_out, 1))

    def _of_sequence(self, signal, lag, lower, upper):
        lag = jnp.broadcast_to(lag, self.shape)
        at_synapses = signal[..., self.source]
        if self._reads_samples:
            return self._summed(shift(at_synapses, lag, self.interpolation, lower, upper))
        return self._summed(convolve(at_synapses, self._kernel(lag, lower, upper), lower, self.method))

    def _arrivals(self, newest):
        if self._reads_samples:
            return self._summed(self._samples(jnp.asarray(self.source), newest))
        kernel = self._kernel(self.lag(), *self.bounds_in_steps())
        return self._summed(jnp.einsum("...sl,sl->...s", self._window(newest)[..., self.source, :], kernel))

    def _summed(self, delayed):
        """Weigh what arrives at the synapses (..., synapse) and sum it for every target."""
        weighted = jnp.moveaxis(delayed * self.weight.value(), -1, 0)
        return jnp.moveaxis(jax.ops.segment_sum(weighted, self.target, self.n_out), 0, -1)


@checked(
    n_in=count(),
    n_out=count(),
    share=numbers(unit=u.UNITLESS, scalar=True, finite=True, traced=False),
    seed=is_seed,
)
def random_connections(n_in: int, n_out: int, share: float, seed: int | np.random.Generator) -> np.ndarray:
    """Draw which sources reach which targets, the same number for every target.

    Parameters
    ----------
    n_in, n_out : int
        Number of sources and targets.
    share : float
        Share of the sources that each target hears, above 0 and at most 1; at least one source.
    seed : int or numpy Generator

    Returns
    -------
    array of int, shape (synapse, 2)
        Rows ``[target, source]``, in order.

    Examples
    --------
    >>> from brainmass_delays.spiking import random_connections
    >>> random_connections(10, 3, 0.2, seed=0).shape
    (6, 2)
    """
    check_count("random_connections.n_in", n_in)
    check_count("random_connections.n_out", n_out)
    if not 0 < share <= 1:
        raise ArgumentError("random_connections.share", "must lie above 0 and be at most 1", share)
    rng, n_sources = np.random.default_rng(seed), max(round(share * n_in), 1)
    sources = [np.sort(rng.choice(n_in, n_sources, replace=False)) for _ in range(n_out)]
    return np.stack([np.repeat(np.arange(n_out), n_sources), np.concatenate(sources)], axis=1)


def _check_connections(connections, n_out, n_in):
    """Return targets and sources if every row names two existing channels."""
    if isinstance(connections, u.Quantity) or is_traced(connections):
        got = type(connections).__name__
        raise ArgumentError("SparseDelayLayer.connections", "must hold rows [target, source]", got)
    connections = np.asarray(connections)
    if connections.ndim != 2 or connections.shape[1] != 2 or not len(connections):
        raise ArgumentError(
            "SparseDelayLayer.connections", "must hold rows [target, source]", f"shape {connections.shape}"
        )
    if not np.issubdtype(connections.dtype, np.integer):
        raise ArgumentError("SparseDelayLayer.connections", "must hold whole numbers", connections.dtype)
    outside = np.any((connections < 0) | (connections >= [n_out, n_in]), axis=1)
    if outside.any():
        raise ArgumentError(
            "SparseDelayLayer.connections",
            f"must name targets below {n_out} and sources below {n_in}",
            connections[outside][0].tolist(),
        )
    return connections[:, 0], connections[:, 1]
