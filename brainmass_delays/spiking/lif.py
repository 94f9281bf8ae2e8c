"""Leaky neurons with exponential decay: spiking, with adaptation, and without spikes for readout."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param
from braintools import surrogate

from .._core.arguments import checked, count, function, numbers
from .._core.checks import (
    ArgumentError,
    check_choice,
    check_count,
    check_finite,
    check_number,
    check_positive,
)
from .._core.param import HoldsParams, value_of
from .._core.status import is_traced
from .._core.units import magnitude
from .arguments import BATCH_SIZE, SPIKES, THRESHOLD
from .base import as_param
from .grid import time_step


class _Leaky(HoldsParams, brainstate.nn.Module):
    """Run neurons with one decay over whole sequences or step by step; subclasses give rest and one step."""

    def __init__(self, n: int, tau: Any = 5 * u.ms):
        super().__init__()
        self.n = check_count(f"{type(self).__name__}.n", n)
        self.tau = self._make_tau("tau", tau)
        self.state = brainstate.ShortTermState(self._rest(()))

    def init_state(self, batch_size: int | None = None, **_) -> None:
        """Return to rest before a trial of step mode."""
        BATCH_SIZE(f"{type(self).__name__}.batch_size", batch_size)
        self.state.value = self._rest(() if batch_size is None else (batch_size,))

    reset_state = init_state

    def update(self, currents: jax.Array) -> jax.Array:
        """Run from rest over ``currents`` ``(batch, time, n)`` and return the outputs, same shape."""
        currents = self.check_sequence(currents)
        decays = self._decays()

        def advance(state, current):
            return self._advance(decays, state, current)

        _, outputs = jax.lax.scan(advance, self._rest(currents.shape[:1]), jnp.swapaxes(currents, 0, 1))
        return jnp.swapaxes(outputs, 0, 1)

    def step(self, current: jax.Array) -> jax.Array:
        """Advance one step with ``current`` ``(batch, n)`` or ``(n,)`` and return the output."""
        leading = jax.tree.leaves(self.state.value)[0].shape[:-1]
        current = self._check(current, leading, f"{(*leading, self.n)} of init_state")
        self.state.value, output = self._advance(self._decays(), self.state.value, current)
        return output

    def check_sequence(self, currents: jax.Array) -> jax.Array:
        """Return ``currents`` as an array if they are ``(batch, time, n)``, known ones finite."""
        return self._check(currents, (None, None), "(batch, time, neuron)")

    def _rest(self, leading):
        raise NotImplementedError

    def _advance(self, decays, state, current):
        raise NotImplementedError

    def _make_tau(self, name, tau):
        """Return a time constant as Param."""
        where = f"{type(self).__name__}.{name}"
        magnitude(where, value_of(tau), u.ms, plain=False)
        tau = as_param(where, tau if isinstance(tau, Param) else Param(tau, fit=False), (self.n,))
        value = magnitude(where, tau.value(), u.ms, plain=False)
        if not is_traced(value):
            check_positive(where, value)
        return tau

    def _decays(self):
        """Return the decay per step of every time constant, by name."""
        dt = time_step(type(self).__name__)
        taus = {name: getattr(self, name) for name in ("tau", "tau_adaptation") if hasattr(self, name)}
        return {name: jnp.exp(-magnitude(name, dt / tau.value(), u.UNITLESS)) for name, tau in taus.items()}

    def _check(self, current, leading, axes):
        """Return ``current`` as an array if its axes in front are ``leading``, None for any size."""
        where = f"{type(self).__name__}.currents"
        SPIKES(where, current)
        current = jnp.asarray(current)
        expected = (*leading, self.n)
        fits = current.ndim == len(expected) and all(
            n in (None, size) for n, size in zip(expected, current.shape, strict=True)
        )
        if not fits:
            raise ArgumentError(
                where,
                f"must have the shape {axes} with {self.n} neurons",
                current.shape,
                "Call init_state(batch_size) before step" if None not in leading else "",
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

    def _advance(self, decays, state, current):
        state = decays["tau"] * state + current
        return state, state


RESETS = ("zero", "subtract")


class LIF(_Leaky):
    """Spike where the leaky integral of the current reaches the threshold, then reset.

    ``v[t] = exp(-dt / tau) r(v[t-1], s[t-1]) + current[t]`` and ``s[t] = H(v[t] - threshold)``: a step
    uses the current of that step, tests the new potential and resets before the next one, to zero,
    ``r = v (1 - s)``, or by the threshold, ``r = v - threshold * s``.

    Parameters
    ----------
    n : int
        Number of neurons.
    tau : Quantity[time] or Param, default 5 ms
        Membrane time constant, shared or ``(n,)``. A `Param` is trained.
    threshold : float, default 1
        In the units of the current; dimensionless.
    reset : {'zero', 'subtract'}, default 'zero'
        ``subtract`` keeps what went beyond the threshold, so that a strong current is not forgotten.
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

    @checked(n=count(), threshold=THRESHOLD, spike=function)
    def __init__(
        self,
        n: int,
        tau: Any = 5 * u.ms,
        threshold: float = 1.0,
        reset: str = "zero",
        spike: Callable = surrogate.Sigmoid(alpha=5.0),
    ):
        super().__init__(n, tau)
        name = type(self).__name__
        self.threshold = check_number(f"{name}.threshold", threshold, above=0)
        self.reset = check_choice(f"{name}.reset", reset, RESETS)
        zero = jax.ShapeDtypeStruct((self.n,), brainstate.environ.dftype())
        if getattr(jax.eval_shape(spike, zero), "shape", None) != (self.n,):
            rule = f"must return one number per neuron, shape ({self.n},)"
            raise ArgumentError(f"{name}.spike", rule, f"a function that does not, {spike!r}")
        self.spike = spike

    def _rest(self, leading):
        zero = jnp.zeros((*leading, self.n), brainstate.environ.dftype())
        return zero, zero

    def _advance(self, decays, state, current):
        v, spiked = state
        v = decays["tau"] * self._after_reset(v, spiked, self.threshold) + current
        spiked = self.spike(v - self.threshold)
        return (v, spiked), spiked

    def _after_reset(self, v, spiked, threshold):
        """Return the potential with which the next step starts."""
        return v * (1 - spiked) if self.reset == "zero" else v - threshold * spiked


class AdaptiveLIF(LIF):
    """Spike like a `LIF` whose threshold rises with every spike and decays.

    ``a[t] = exp(-dt / tau_adaptation) a[t-1] + s[t-1]`` and ``s[t] = H(v[t] - threshold - strength a[t])``; a
    spike subtracts the raised threshold, or resets to zero.

    Parameters
    ----------
    n, tau, threshold, reset, spike
        As for `LIF`.
    tau_adaptation : Quantity[time] or Param, default 100 ms
        Time constant of the threshold, shared or ``(n,)``. A `Param` is trained.
    strength : float or Param, default 0.2
        How far one spike raises the threshold, at least 0, shared or ``(n,)``; dimensionless.

    Notes
    -----
    Gradients as for `LIF`, and through the threshold.

    References
    ----------
    Bellec et al. (2018): Long short-term memory and learning-to-learn in networks of spiking neurons.
    NeurIPS 31. Their trace is ``(1 - exp(-dt / tau_adaptation))`` times ours.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import AdaptiveLIF
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     spikes = AdaptiveLIF(1, strength=0.5)(jnp.full((1, 30, 1), 0.5))
    >>> ''.join(str(int(s)) for s in spikes[0, :, 0])
    '001000100000010000000001000000'
    """

    @checked(n=count(), threshold=THRESHOLD, spike=function)
    def __init__(
        self,
        n: int,
        tau: Any = 5 * u.ms,
        threshold: float = 1.0,
        reset: str = "zero",
        spike: Callable = surrogate.Sigmoid(alpha=5.0),
        *,
        tau_adaptation: Any = 100 * u.ms,
        strength: float | Param = 0.2,
    ):
        super().__init__(n, tau, threshold, reset, spike)
        self.tau_adaptation = self._make_tau("tau_adaptation", tau_adaptation)
        numbers(unit=u.UNITLESS)("AdaptiveLIF.strength", value_of(strength))
        strength = strength if isinstance(strength, Param) else Param(strength, fit=False)
        self.strength = as_param("AdaptiveLIF.strength", strength, (self.n,))
        value = strength.value()
        if not is_traced(value) and np.any(check_finite("AdaptiveLIF.strength", value) < 0):
            raise ArgumentError("AdaptiveLIF.strength", "must not be negative", np.min(value))

    def _rest(self, leading):
        v, spiked = super()._rest(leading)
        return v, spiked, v

    def _advance(self, decays, state, current):
        v, spiked, trace = state
        before = self.threshold + self.strength.value() * trace
        trace = decays["tau_adaptation"] * trace + spiked
        v = decays["tau"] * self._after_reset(v, spiked, before) + current
        spiked = self.spike(v - self.threshold - self.strength.value() * trace)
        return (v, spiked, trace), spiked
