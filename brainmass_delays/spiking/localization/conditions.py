"""Named conditions to compare: which delays a network has, where they start and what is trained."""

from typing import Any, NamedTuple

import brainstate
import brainunit as u
import numpy as np
from brainstate.nn import Param

from ..._core.arguments import checked, count, flag, optional
from ..._core.checks import check_choice
from ..arguments import is_seed, is_trials
from ..classifier import SpikingClassifier
from ..delay_layer import DelayLayer
from ..freezing import Saturation, saturation
from ..training import TrainingRecord, default_optimizer, predict, train
from .metrics import Evaluation, score
from .task import LocalizationTask, Trials

MAX_DELAY = 50 * u.ms
N_HIDDEN = 30


class Condition(NamedTuple):
    """Describe one condition.

    Attributes
    ----------
    delays : {'random', 'zero'}
        Start of the delays: uniform up to 50 ms, or 0.
    train_delays, train_input : bool
        Whether delays, and weights to the hidden layer, are trained. The readout always is.
    per_synapse : bool
        One delay per synapse instead of one per input.
    interpolation : str
        Of the `DelayLayer`.
    delay_rate : Quantity[time]
        Learning rate of the delays.
    width : pair of Quantity[time] or None
        First and last kernel width.
    hand_made : bool
        Whether the task provides hand-made phase delays.
    """

    delays: str = "random"
    train_delays: bool = True
    train_input: bool = True
    per_synapse: bool = False
    interpolation: str = "round"
    delay_rate: Any = 0.2 * u.ms
    width: tuple[Any, Any] | None = None
    hand_made: bool = False

    def task(self, **options) -> LocalizationTask:
        """Return the task of this condition."""
        return LocalizationTask(phase_delays=self.hand_made, **options)

    def network(self, task: LocalizationTask, seed: int) -> SpikingClassifier:
        """Build the network with its random start."""
        brainstate.random.seed(seed)
        shape = (N_HIDDEN, task.n_channels) if self.per_synapse else (task.n_channels,)
        start = (
            brainstate.random.uniform(0.0, MAX_DELAY.to_decimal(u.ms), shape)
            if self.delays == "random"
            else np.zeros(shape)
        )
        weight = (
            brainstate.random.uniform(-(N_HIDDEN**-0.5), N_HIDDEN**-0.5, shape) if self.per_synapse else None
        )
        layer = DelayLayer(
            task.n_channels,
            N_HIDDEN if self.per_synapse else None,
            max_delay=MAX_DELAY,
            mode="valid",
            interpolation=self.interpolation,
            delay=Param(start * u.ms, fit=self.train_delays),
            weight=None if weight is None else Param(weight, fit=self.train_input),
            width=self.width and self.width[0],
        )
        return SpikingClassifier(layer, N_HIDDEN, task.n_classes)

    def optimizer(self, network: SpikingClassifier, n_updates: int):
        """Build the optimizer for ``n_updates`` updates."""
        frozen = () if self.train_input or network.input is None else ("input",)
        return default_optimizer(
            network, n_updates, delay_rate=self.delay_rate, width=self.width, frozen=frozen
        )


_ANNEALED = {"interpolation": "gaussian", "width": (10 * u.ms, 0.5 * u.ms)}
CONDITIONS = {
    "no delays": Condition(delays="zero", train_delays=False),
    "hand-made delays": Condition(delays="zero", train_delays=False, hand_made=True),
    "random delays": Condition(train_delays=False),
    "learned delays": Condition(),
    "from zero": Condition(delays="zero"),
    "weights fixed, random delays": Condition(train_delays=False, train_input=False),
    "weights fixed, learned delays": Condition(train_input=False, delay_rate=0.5 * u.ms),
    "synapses, weights fixed, random delays": Condition(
        train_delays=False, train_input=False, per_synapse=True
    ),
    "synapses, weights fixed, learned delays": Condition(
        train_input=False, per_synapse=True, delay_rate=0.5 * u.ms, **_ANNEALED
    ),
}


class Result(NamedTuple):
    """Hold the outcome of one condition and seed; scores are those of rounded delays on fresh trials."""

    network: SpikingClassifier
    record: TrainingRecord
    evaluation: Evaluation
    saturation: Saturation


@checked(
    seed=is_seed,
    train_trials=optional(is_trials),
    test_trials=optional(is_trials),
    n_epochs=count(),
    progress=flag,
)
def run_condition(
    name: str,
    seed: int,
    train_trials: Trials | None = None,
    test_trials: Trials | None = None,
    *,
    n_epochs: int = 25,
    progress: bool = True,
) -> Result:
    """Train and evaluate one of `CONDITIONS`.

    Parameters
    ----------
    name : str
        Key of `CONDITIONS`.
    seed : int
        Of the network, the shuffling and, where they are not given, the trials.
    train_trials, test_trials : Trials, optional
        64 and 32 batches of 64 by default.
    n_epochs : int, default 25
    progress : bool, default True
    """
    condition = CONDITIONS[check_choice("run_condition.name", name, CONDITIONS)]
    task = condition.task()
    train_trials = task.generate(64 * 64, [seed, 0]) if train_trials is None else train_trials
    test_trials = task.generate(32 * 64, [seed, 1]) if test_trials is None else test_trials
    network = condition.network(task, seed)
    optimizer = condition.optimizer(network, n_epochs * -(-len(train_trials.label) // 64))
    record = train(
        network, train_trials, task, n_epochs=n_epochs, optimizer=optimizer, seed=seed, progress=progress
    )
    evaluation = score(task, test_trials, predict(network, test_trials.spikes, task.dt))
    with brainstate.environ.context(dt=task.dt):
        return Result(network, record, evaluation, saturation(network))
