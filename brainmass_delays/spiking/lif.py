"""Leaky neurons with exponential decay: spiking with a hard reset, and without spikes for readout."""

from collections.abc import Callable

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from brainstate.nn import Param
from braintools import surrogate

from .._core.checks import ArgumentError, check_count, check_positive
from .._core.units import magnitude
from .grid import time_step


class _Leaky(brainstate.nn.Module):
    """Run neurons with one decay over whole sequences or step by step; subclasses give rest and one step."""

    def __init__(self, n: int, tau: u.Quantity | Param = 5 * u.ms):
        super().__init__()
        name = type(self).__name__
        self.n = check_count(f"{name}.n", n)
        self.tau = tau if isinstance(tau, Param) else Param(tau, fit=False)
        check_positive(f"{name}.tau", magnitude(f"{name}.tau", self.tau.value(), u.ms, plain=False))
        self.state = brainstate.ShortTermState(self._rest(()))

    def init_state(self, batch_size: int | None = None, **_) -> None:
        """Return to rest before a trial of step mode."""
        self.state.value = self._rest(() if batch_size is None else (batch_size,))

    reset_state = init_state

    def update(self, currents: jax.Array) -> jax.Array:
        """Run from rest over ``currents`` ``(batch, time, n)`` and return the outputs, same shape."""
        currents = self._check(currents, 3, "(batch, time, neuron)")
        decay = self._decay()

        def advance(state, current):
            return self._advance(decay, state, current)

        _, outputs = jax.lax.scan(advance, self._rest(currents.shape[:1]), jnp.swapaxes(currents, 0, 1))
        return jnp.swapaxes(outputs, 0, 1)

    def step(self, current: jax.Array) -> jax.Array:
        """Advance one step with ``current`` ``(batch, n)`` or ``(n,)`` and return the output."""
        rank = jax.tree.leaves(self.state.value)[0].ndim
        current = self._check(current, rank, "(batch, neuron) as in init_state")
        self.state.value, output = self._advance(self._decay(), self.state.value, current)
        return output

    def _rest(self, leading):
        raise NotImplementedError

    def _advance(self, decay, state, current):
        raise NotImplementedError

    def _decay(self):
        return jnp.exp(-magnitude("tau", time_step(type(self).__name__) / self.tau.value(), u.UNITLESS))

    def _check(self, current, rank, axes):
        if current.ndim != rank or current.shape[-1] != self.n:
            raise ArgumentError(
                f"{type(self).__name__}.currents",
                f"must have the shape {axes} with {self.n} neurons",
                current.shape,
            )
        return current


class LeakyIntegrator(_Leaky):
    """Integrate a current with an exponential leak: ``v[t] = exp(-dt / tau) v[t-1] + current[t]``.

    Parameters
    ----------
    n : int
        Number of neurons.
    tau : Quantity[time] or Param, default 5 ms
        Time constant, shared or ``(n,)``. A `Param` is trained.

    Notes
    -----
    The gradient is exact. Both ways of use start from rest and give equal results.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import LeakyIntegrator
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     trace = LeakyIntegrator(1, tau=1 * u.ms)(jnp.array([1., 0., 0.])[None, :, None])
    >>> [round(float(v), 3) for v in trace[0, :, 0]]
    [1.0, 0.368, 0.135]
    """

    def _rest(self, leading):
        return jnp.zeros((*leading, self.n), brainstate.environ.dftype())

    def _advance(self, decay, state, current):
        state = decay * state + current
        return state, state


class LIF(_Leaky):
    """Spike where the leaky integral of the current reaches the threshold, then reset to zero.

    ``v[t] = exp(-dt / tau) v[t-1] (1 - s[t-1]) + current[t]`` and ``s[t] = H(v[t] - threshold)``: a step
    uses the current of that step, tests the new potential and resets before the next one.

    Parameters
    ----------
    n : int
        Number of neurons.
    tau : Quantity[time] or Param, default 5 ms
        Membrane time constant, shared or ``(n,)``. A `Param` is trained.
    threshold : float, default 1
        In the units of the current; dimensionless.
    spike : callable, default ``braintools.surrogate.Sigmoid(alpha=5)``
        Step function with a surrogate gradient.

    Notes
    -----
    The gradient of a spike is the surrogate's, also through the reset. It is not a derivative of the output.

    References
    ----------
    Neftci, Mostafa, Zenke (2019): Surrogate gradient learning in spiking neural networks. IEEE Signal
    Process. Mag. 36(6).

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import LIF
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     spikes = LIF(1)(jnp.full((1, 20, 1), 0.3))
    >>> ''.join(str(int(s)) for s in spikes[0, :, 0])
    '00001000010000100001'
    """

    def __init__(
        self,
        n: int,
        tau: u.Quantity | Param = 5 * u.ms,
        threshold: float = 1.0,
        spike: Callable = surrogate.Sigmoid(alpha=5.0),
    ):
        super().__init__(n, tau)
        self.threshold = float(check_positive("LIF.threshold", threshold))
        self.spike = spike

    def _rest(self, leading):
        zero = jnp.zeros((*leading, self.n), brainstate.environ.dftype())
        return zero, zero

    def _advance(self, decay, state, current):
        v, spiked = state
        v = decay * v * (1 - spiked) + current
        spiked = self.spike(v - self.threshold)
        return (v, spiked), spiked
