"""A spiking classifier: delays, a hidden layer with or without delayed feedback, a leaky readout."""

from typing import Any, NamedTuple

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import checked, count, optional, time
from .._core.checks import ArgumentError, check_count
from .._core.param import ShowsSignature
from .._core.status import is_traced
from .arguments import (
    is_delay_layer,
    is_settling,
)
from .delay_layer import DelayLayer
from .grid import steps_at_least, time_step
from .lif import LIF, LeakyIntegrator
from .recurrent_layer import RecurrentLIF
from .sparse_layer import SparseDelayLayer


class Activity(NamedTuple):
    """Hold ``hidden`` spikes ``(batch, time, neuron)`` and ``potential`` ``(batch, time, class)``."""

    hidden: jax.Array
    potential: jax.Array


class SpikingClassifier(ShowsSignature, brainstate.nn.Module):
    """Classify delayed spike trains by the mean potential of leaky integrators.

    Parameters
    ----------
    delays : DelayLayer or SparseDelayLayer
        Per input (weights to the hidden layer are added here) or, with ``n_out``, per synapse (it holds the
        weights).
    n_hidden : int, default 30
    n_classes : int, default 12
    tau : Quantity[time], default 5 ms
        Time constant of hidden and readout neurons.
    feedback : DelayLayer or SparseDelayLayer, optional
        From the hidden neurons to themselves, see `RecurrentLIF`.
    settle : Quantity[time], optional
        Start of each trial that the readout leaves out. By default ``max_delay`` of ``delays``: until then
        channels of different delay have seen different amounts of input. Give 0 ms for trials that begin in
        silence.

    Raises
    ------
    ArgumentError
        When a trial is not longer than ``settle``.

    Attributes
    ----------
    input : brainstate.nn.Linear or None
        Weights of the hidden layer, uniform within ``1 / sqrt(n_hidden)``; None with delays per synapse.
    readout : brainstate.nn.Linear
        Uniform within ``1 / sqrt(n_classes)``.

    Examples
    --------
    >>> import brainstate, brainunit as u
    >>> from brainmass_delays.spiking import DelayLayer, SpikingClassifier
    >>> from brainmass_delays.spiking.localization import LocalizationTask
    >>> trials = LocalizationTask().generate(2, seed=0)
    >>> network = SpikingClassifier(DelayLayer(200, max_delay=50 * u.ms, mode='valid'))
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     print(network(trials.spikes).shape)
    (2, 12)
    """

    @checked(
        "SpikingClassifier",
        delays=is_delay_layer,
        n_hidden=count(),
        n_classes=count(),
        tau=time,
        feedback=optional(is_delay_layer),
        settle=optional(is_settling),
    )
    def __init__(
        self,
        delays: DelayLayer | SparseDelayLayer,
        n_hidden: int = 30,
        n_classes: int = 12,
        tau: Any = 5 * u.ms,
        feedback: DelayLayer | SparseDelayLayer | None = None,
        settle: Any = None,
    ):
        super().__init__()
        n_hidden = check_count("SpikingClassifier.n_hidden", n_hidden)
        n_classes = check_count("SpikingClassifier.n_classes", n_classes)
        self.delays, self.settle = delays, settle
        self.input = None if delays.n_out else _linear(delays.n_in, n_hidden)
        neurons = LIF(delays.n_out or n_hidden, tau)
        self.hidden = neurons if feedback is None else RecurrentLIF(neurons, feedback)
        self.readout = _linear(neurons.n, n_classes)
        self.integrators = LeakyIntegrator(n_classes, tau)

    def activity(self, spikes: Any) -> Activity:
        """Run the network on ``spikes`` ``(batch, time, channel)``."""
        delayed = self.delays(spikes)
        hidden = self.hidden(delayed if self.input is None else _in_every_step(self.input, delayed))
        return Activity(hidden, self.integrators(_in_every_step(self.readout, hidden)))

    def update(self, spikes: Any, lengths: Any = None) -> jax.Array:
        """Return the log-odds of the classes, ``(batch, class)``.

        ``lengths`` ``(batch,)`` counts the steps of each trial before its padding; the mean then covers
        those steps only, so that a trial scores the same in any batch. All of the time axis by default.
        """
        start = self.first_step()
        potential = self.activity(spikes).potential
        n_steps = spikes.shape[1]
        lengths = jnp.full(len(potential), n_steps) if lengths is None else jnp.asarray(lengths)
        self.check_length(n_steps if is_traced(lengths) else int(lengths.min()))
        step = jnp.arange(n_steps - potential.shape[1], n_steps)
        weight = (step >= start) & (step < lengths[:, None])
        return (potential * weight[..., None]).sum(1) / jnp.maximum(weight.sum(1), 1)[:, None]

    def first_step(self) -> int:
        """Return the first step of a trial that counts for the readout."""
        if self.settle is None:
            return self.delays.bounds_in_steps()[1]
        return steps_at_least("SpikingClassifier.settle", self.settle, time_step("SpikingClassifier"), 0)

    def check_length(self, shortest: int) -> None:
        """Refuse trials of so many steps if nothing of them is left to read."""
        start = self.first_step()
        if shortest <= start:
            raise ArgumentError(
                "SpikingClassifier.spikes",
                f"must hold trials longer than the {start} steps that the readout leaves out",
                f"{shortest} steps",
                "Use longer trials, or settle=0 * u.ms if trials begin in silence",
            )


def _in_every_step(linear, x):
    """Apply ``linear`` to ``x`` ``(batch, time, channel)``, flat: its gradient is then one matrix product."""
    return linear(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)


def _linear(n_in, n_out):
    scale = n_out**-0.5
    return brainstate.nn.Linear(n_in, n_out, w_init=braintools.init.Uniform(-scale, scale), b_init=None)
