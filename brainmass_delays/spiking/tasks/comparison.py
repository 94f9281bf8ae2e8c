"""Networks to compare on a task: without delays, with fixed ones, and with learned ones."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import brainstate
import brainunit as u
import numpy as np
from brainstate.nn import Param

from ..._core.arguments import checked, count, each, flag, instance, mapping, optional, text
from ..._core.checks import check_choice
from ..arguments import is_comparable as is_task
from ..arguments import is_seed, is_settling, is_trials
from ..classifier import SpikingClassifier
from ..delay_layer import DelayLayer
from ..freezing import saturation
from ..summary import count_parameters
from ..training import default_optimizer, predict, train


class Row(NamedTuple):
    """Describe one network.

    Attributes
    ----------
    delays : {'none', 'fixed', 'learned'}
        Of the synapses from the inputs.
    feedback : {'none', 'fixed', 'learned'}
        Of the feedback, one delay per neuron; 'none' is no feedback at all.
    hidden : {'same', 'matched', 'wide'}
        Number of hidden neurons: that asked for, as many as give a network without delays the number of
        parameters of the one with learned delays, or four times that asked for.
    """

    delays: str
    feedback: str = "none"
    hidden: str = "same"


LEARNING, WIDTHS = ("none", "fixed", "learned"), ("same", "matched", "wide")
ROWS = {
    "no delays, as many parameters": Row("none", hidden="matched"),
    "no delays, four times wider": Row("none", hidden="wide"),
    "random delays, fixed": Row("fixed"),
    "learned delays": Row("learned"),
    "recurrent, random delays, fixed": Row("none", "fixed"),
    "recurrent, learned delays": Row("none", "learned"),
}


def are_scores(where: str, value: Any) -> None:
    """Refuse all but what `compare` returns."""
    mapping(where, value)
    for name, found in value.items():
        each(instance(Score, "a Score"))(f"{where}[{name!r}]", found)


class Score(NamedTuple):
    """Hold the outcome of one row and seed: accuracy on new trials with rounded delays, number of trained
    parameters, share of delays at a bound (NaN where none is trained), and the loss of every epoch."""

    accuracy: float
    n_parameters: int
    at_bound: float
    loss: np.ndarray


def make_network(task: Any, row: Row, n_hidden: int, seed: int, settle: Any = 0 * u.ms) -> SpikingClassifier:
    """Build the network of a row with its random start."""
    for name, value, choices in zip(Row._fields, row, (LEARNING, LEARNING, WIDTHS), strict=True):
        check_choice(f"Row.{name}", value, choices)
    brainstate.random.seed(seed)
    n_in, n_classes, longest = task.n_channels, task.n_classes, task.max_delay
    matched = round((2 * n_in + n_classes) * n_hidden / (n_in + n_classes))
    n_hidden = {"same": n_hidden, "matched": matched, "wide": 4 * n_hidden}[row.hidden]

    def start(shape, lowest):
        return brainstate.random.uniform(float(lowest / u.ms), float(longest / u.ms), shape) * u.ms

    if row.delays == "none":
        delays = DelayLayer(n_in, max_delay=longest, delay=Param(0 * u.ms, fit=False))
    else:
        learns = row.delays == "learned"
        delays = DelayLayer(
            n_in,
            n_hidden,
            max_delay=longest,
            interpolation="gaussian" if learns else "round",
            delay=Param(start((n_hidden, n_in), 0 * u.ms), fit=learns),
            weight=brainstate.random.uniform(-(n_in**-0.5), n_in**-0.5, (n_hidden, n_in)),
        )
    feedback = None
    if row.feedback != "none":
        feedback = DelayLayer(
            n_hidden,
            n_hidden,
            min_delay=task.dt,
            max_delay=longest,
            delay=Param(start((n_hidden,), task.dt), fit=row.feedback == "learned"),
        )
    return SpikingClassifier(delays, n_hidden, n_classes, feedback=feedback, settle=settle)


@checked(
    task=is_task,
    seed=is_seed,
    n_hidden=count(),
    n_epochs=count(),
    settle=is_settling,
    datasets=optional(each(is_trials)),
    progress=flag,
)
def run_row(
    task: Any,
    name: str,
    seed: int,
    *,
    n_hidden: int = 32,
    n_epochs: int = 20,
    settle: Any = 0 * u.ms,
    datasets=None,
    progress=True,
) -> Score:
    """Train and test one of `ROWS`.

    Parameters
    ----------
    task : DelayedMatchTask, LatencyDigitsTask, or an object like them
        With ``dt``, ``n_channels``, ``n_classes``, ``max_delay`` and ``datasets(seed)``.
    name : str
        Key of `ROWS`.
    seed : int
        Of the network, the shuffling and the trials.
    n_hidden, n_epochs : int, default 32 and 20
    settle : Quantity[time], default 0 ms
        Start of each trial that the readout leaves out. By 0 ms all of a trial is read, in which networks
        without delays may answer while the input comes; ``task.max_delay`` asks for the answer later.
    datasets : pair of Trials, optional
        To train and to test on; ``task.datasets(seed)`` by default.
    progress : bool, default True

    Returns
    -------
    Score
    """
    row = ROWS[check_choice("run_row.name", name, ROWS)]
    trials, test = task.datasets(seed) if datasets is None else datasets
    network = make_network(task, row, n_hidden, seed, settle)
    width = (task.max_delay / 5, task.dt / 2) if row.delays == "learned" else None
    optimizer = default_optimizer(
        network, n_epochs * -(-len(trials.label) // 64), delay_rate=0.5 * task.dt, width=width
    )
    record = train(
        network, trials, task, n_epochs=n_epochs, optimizer=optimizer, seed=seed, progress=progress
    )
    accuracy = float(np.mean(predict(network, test.spikes, task.dt) == test.label))
    with brainstate.environ.context(dt=task.dt):
        at_bound = saturation(network).total if "learned" in row[:2] else np.nan
    n_parameters = count_parameters(network)
    return Score(accuracy, n_parameters, at_bound, record.loss)


@checked(task=is_task, names=each(text), seeds=each(is_seed, (list, tuple, range)))
def compare(
    task: Any, names: Sequence[str] = tuple(ROWS), seeds: Sequence[int] = (0, 1, 2), **options
) -> dict:
    """Run rows with several seeds; return the scores ``{name: [Score, ...]}``."""
    return {name: [run_row(task, name, seed, **options) for seed in seeds] for name in names}


@checked(scores=are_scores)
def table(scores: dict[str, list[Score]]) -> str:
    """Write scores as a markdown table: mean accuracy, and that of every seed."""
    lines = [
        "| network | parameters | accuracy (%) | of each seed | delays at a bound |",
        "|---|---|---|---|---|",
    ]
    for name, found in scores.items():
        accuracy = [100 * score.accuracy for score in found]
        seeds = ", ".join(f"{a:.1f}" for a in accuracy)
        bound = np.mean([score.at_bound for score in found])
        at_bound = "–" if np.isnan(bound) else f"{bound:.0%}"
        lines.append(f"| {name} | {found[0].n_parameters} | {np.mean(accuracy):.1f} | {seeds} | {at_bound} |")
    return "\n".join(lines)
