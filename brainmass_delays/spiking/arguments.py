"""Rules of the arguments that layers and training share."""

from typing import Any

import brainstate
import brainunit as u
import numpy as np

from .._core.arguments import count, numbers, optional
from .._core.checks import ArgumentError
from .._core.learners import is_optimizer, list_of_layers
from .._core.units import magnitude

RATE = numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False)
THRESHOLD = numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False)
SPIKES = numbers(unit=u.UNITLESS, axes=(1, 5), finite=True)
BATCH_SIZE = optional(count())


def TIMES(where: str, value: Any) -> None:
    """Refuse all but finite times, or plain numbers for parameters without a unit."""
    numbers(unit=u.ms, finite=True, traced=False)(where, value)


def is_settling(where: str, value: Any) -> None:
    """Refuse all but one time that is not negative."""
    number = magnitude(where, value, u.ms, plain=False)
    numbers(scalar=True, finite=True, low=0.0, traced=False)(where, number)


def is_module(where: str, value: Any) -> None:
    """Refuse what is no Module of brainstate."""
    if not isinstance(value, brainstate.nn.Module):
        raise ArgumentError(where, "must be a brainstate Module", repr(value))


def are_labels(where: str, value: Any, n_classes: int, n_trials: int | None = None) -> None:
    """Refuse all but whole numbers from 0 to ``n_classes - 1``, one for each trial."""
    numbers(unit=u.UNITLESS, finite=True, traced=False)(where, value)
    labels = np.asarray(value)
    if n_trials is not None and labels.shape != (n_trials,):
        raise ArgumentError(where, f"must hold one class per trial, shape ({n_trials},)", labels.shape)
    wrong = (labels != np.rint(labels)) | (labels < 0) | (labels >= n_classes)
    if np.any(wrong):
        raise ArgumentError(where, f"must hold classes from 0 to {n_classes - 1}", labels[wrong].flat[0])


def is_trials(where: str, value: Any) -> None:
    """Refuse what holds no trials."""
    if not hasattr(value, "label") or not hasattr(value, "spikes"):
        raise ArgumentError(where, "must hold spikes and label", repr(value), "Make trials with a task")


def is_task(where: str, value: Any) -> None:
    """Refuse what has no step size."""
    if not hasattr(value, "dt") or isinstance(value, np.ndarray):
        raise ArgumentError(where, "must be a task, which has a dt", repr(value))


def is_comparable(where: str, value: Any) -> None:
    """Refuse what networks cannot be built for and trained on."""
    is_task(where, value)
    for name in ("n_channels", "n_classes", "max_delay", "datasets"):
        if not hasattr(value, name):
            raise ArgumentError(
                where, f"must have {name}", type(value).__name__, "Take a task of spiking.tasks"
            )


def is_graph(where: str, value: Any) -> None:
    """Refuse what is no graph of NIR."""
    if not hasattr(value, "nodes") or not hasattr(value, "edges"):
        raise ArgumentError(where, "must be a NIRGraph", repr(value))


def is_network(where: str, value: Any) -> None:
    """Refuse all but a Module, or a list of layers."""
    if not isinstance(value, brainstate.nn.Module) and not (isinstance(value, list) and not value):
        list_of_layers()(where, value)


def are_delay_layers(where: str, value: Any) -> None:
    """Refuse all but a dict of layers of delays."""
    if not isinstance(value, dict) or not value:
        raise ArgumentError(where, "must be a dict of layers of delays", repr(value))
    for name, layer in value.items():
        is_delay_layer(f"{where}[{name!r}]", layer)


def is_delay_layer(where: str, value: Any) -> None:
    """Refuse what is no layer of delays."""
    if not hasattr(value, "bounds_in_steps"):
        raise ArgumentError(where, "must be a DelayLayer or a SparseDelayLayer", repr(value))


def groups_of_optimizers(where: str, value: Any) -> None:
    """Refuse all but a dict of optimizers by name."""
    if not isinstance(value, dict):
        raise ArgumentError(where, "must be a dict of optimizers by name", repr(value))
    for name, optimizer in value.items():
        is_optimizer(f"{where}[{name!r}]", optimizer)


def is_seed(where: str, value: Any) -> None:
    """Refuse all but whole numbers that are not negative, one or several, or a generator."""
    parts = value if isinstance(value, list | tuple) and value else [value]
    are_numbers = all(
        isinstance(part, int | np.integer) and not isinstance(part, bool) and part >= 0 for part in parts
    )
    if not are_numbers and not isinstance(value, np.random.Generator):
        raise ArgumentError(where, "must be a whole number from 0 on, or a numpy Generator", repr(value))
