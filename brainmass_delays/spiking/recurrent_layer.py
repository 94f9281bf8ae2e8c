"""Recurrent spiking layers whose feedback takes at least one step."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import checked
from .._core.checks import ArgumentError
from .._core.param import ShowsSignature
from .arguments import is_module
from .delay_layer import DelayLayer
from .lif import LIF, AdaptiveLIF
from .sparse_layer import SparseDelayLayer


class RecurrentLIF(ShowsSignature, brainstate.nn.Module):
    """Feed the spikes of neurons back to themselves through delayed, weighted synapses.

    Parameters
    ----------
    neurons : LIF or AdaptiveLIF
        ``n`` neurons.
    feedback : DelayLayer or SparseDelayLayer
        ``n`` to ``n`` with ``n_out``, and ``min_delay`` of at least one step. With one delay per neuron,
        ``delay`` of shape ``(n,)`` and ``interpolation='round'`` or 'linear', a step costs one gather and one
        matrix product; with one per synapse, ``n * n * max_delay / dt``, or what a `SparseDelayLayer` costs.

    Raises
    ------
    ArgumentError
        When the sizes differ or a spike could act on its own step.

    Notes
    -----
    The order within a step: delayed spikes arrive, the neurons advance, their spikes enter the buffer. The
    gradient flows through the surrogate of every spike and through every delay.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import LIF, DelayLayer, RecurrentLIF
    >>> feedback = DelayLayer(1, 1, min_delay=1 * u.ms, max_delay=4 * u.ms, delay=3 * u.ms,
    ...                       weight=jnp.ones((1, 1)))
    >>> kick = jnp.zeros((1, 10, 1)).at[0, 0].set(1.)
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     RecurrentLIF(LIF(1), feedback)(kick)[0, :, 0].astype(int).tolist()
    [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    """

    @checked("RecurrentLIF", neurons=is_module, feedback=is_module)
    def __init__(self, neurons: LIF | AdaptiveLIF, feedback: DelayLayer | SparseDelayLayer):
        super().__init__()
        if not isinstance(neurons, LIF):
            kind = type(neurons).__name__
            raise ArgumentError(
                "RecurrentLIF.neurons", "must be neurons that spike, LIF or AdaptiveLIF", kind
            )
        if (feedback.n_in, feedback.n_out) != (neurons.n, neurons.n):
            raise ArgumentError(
                "RecurrentLIF.feedback",
                f"must connect {neurons.n} neurons to themselves",
                f"{feedback.n_in} to {feedback.n_out}",
            )
        if not u.get_magnitude(feedback.min_delay) > 0:
            raise ArgumentError(
                "RecurrentLIF.feedback",
                "must take at least one step",
                f"min_delay = {feedback.min_delay}",
                f"Give {type(feedback).__name__} min_delay=dt",
            )
        if feedback.mode != "same":
            raise ArgumentError(
                "RecurrentLIF.feedback", "must have mode='same', as it runs step by step", repr(feedback.mode)
            )
        self.neurons, self.feedback = neurons, feedback

    def init_state(self, batch_size: int | None = None, **_) -> None:
        """Return to rest before a trial."""
        self.neurons.init_state(batch_size)
        self.feedback.init_state(batch_size)

    def step(self, current: jax.Array) -> jax.Array:
        """Advance one step with external ``current`` ``(batch, n)`` and return the spikes."""
        spikes = self.neurons.step(current + self.feedback.read())
        self.feedback.push(spikes)
        return spikes

    def update(self, currents: jax.Array) -> jax.Array:
        """Run from rest over external ``currents`` ``(batch, time, n)`` and return the spikes, same shape.

        The state of step mode stays as it was.
        """
        currents = self.neurons.check_sequence(currents)
        kept = self.neurons.state, self.feedback.past
        before = [state.value for state in kept]
        self.init_state(currents.shape[0])
        spikes = brainstate.transform.for_loop(self.step, jnp.swapaxes(currents, 0, 1))
        for state, value in zip(kept, before, strict=True):
            state.value = value
        return jnp.swapaxes(spikes, 0, 1)
