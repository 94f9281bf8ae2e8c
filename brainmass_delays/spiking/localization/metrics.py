"""How well directions are told: accuracy and the two errors in use, and the bound no decoder can pass."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from ..._core.arguments import checked, count, instance
from ..._core.checks import ArgumentError
from ..arguments import are_labels
from .task import LocalizationTask, Trials


class Evaluation(NamedTuple):
    """Hold the scores of one set of predictions.

    Attributes
    ----------
    accuracy : float
        Share of trials in the right class.
    angle_error : float
        M1, mean distance in degrees from the middle of the predicted class to the true *angle*. With every
        class right it is a quarter of a class on average over evenly spread angles, 3.75 degrees for 12
        classes; the angles of one test set can give a little less or more. This is the number to report.
    class_error : float
        M2, mean distance in degrees from the middle of the predicted class to the middle of the true
        *class*; floor 0.
    confusion : array, shape (true class, predicted class)
        Counts.
    """

    accuracy: float
    angle_error: float
    class_error: float
    confusion: np.ndarray

    def __str__(self):
        return f"{self.accuracy:.1%} correct, M1 {self.angle_error:.2f} deg, M2 {self.class_error:.2f} deg"


@checked(task=instance(LocalizationTask, "a LocalizationTask"), trials=instance(Trials, "Trials of the task"))
def score(task: LocalizationTask, trials: Trials, predicted: Any) -> Evaluation:
    """Score predicted classes ``(trial,)``.

    Examples
    --------
    >>> from brainmass_delays.spiking.localization import LocalizationTask, score
    >>> task = LocalizationTask(n_fibers=1)
    >>> trials = task.generate(1000, seed=0)
    >>> perfect = score(task, trials, trials.label)
    >>> perfect.accuracy, perfect.class_error, round(perfect.angle_error)
    (1.0, 0.0, 4)
    """
    are_labels("score.predicted", predicted, task.n_classes, len(trials.label))
    predicted = np.asarray(predicted, int)
    decoded = task.decode(predicted)
    confusion = np.zeros((task.n_classes, task.n_classes), int)
    np.add.at(confusion, (trials.label, predicted), 1)
    return Evaluation(
        accuracy=float(np.mean(predicted == trials.label)),
        angle_error=float(np.rad2deg(np.mean(np.abs(decoded - trials.angle)))),
        class_error=float(np.rad2deg(np.mean(np.abs(decoded - task.decode(trials.label))))),
        confusion=confusion,
    )


@checked(
    task=instance(LocalizationTask, "a LocalizationTask"),
    trials=instance(Trials, "Trials of the task"),
    n_phases=count(4),
)
def ideal_observer(task: LocalizationTask, trials: Trials, n_phases: int = 720) -> np.ndarray:
    """Return the most probable class of each trial, knowing the task but not the start phase.

    Parameters
    ----------
    task : LocalizationTask
        With start phases per sample.
    trials : Trials
    n_phases : int, default 720
        Grid over the circle on which phases are integrated.

    Returns
    -------
    array, shape (trial,)
        Classes. No decoder of the same spikes has a higher expected accuracy: a network above it has seen
        the answers.

    Notes
    -----
    The likelihood of each ear is tabulated over its phase; the phase of the left ear is then summed out for
    every angle. Costs ``trial * time * fiber * n_phases`` multiplications.
    """
    if np.shape(trials.spikes)[1:] != (task.n_steps, task.n_channels):
        raise ArgumentError(
            "ideal_observer.trials",
            f"must be trials of this task, (trial, {task.n_steps}, {task.n_channels})",
            np.shape(trials.spikes),
        )
    grid = np.arange(n_phases) * 2 * np.pi / n_phases
    probability = np.clip(task.spike_probability(grid), 1e-12, 1 - 1e-12).reshape(n_phases, -1)
    evidence = np.log(probability / (1 - probability)).T.astype(np.float32)
    silence = np.log1p(-probability).sum(1)
    left, right = (
        ear.reshape(len(ear), -1).astype(np.float32) @ evidence + silence
        for ear in np.split(trials.spikes, 2, axis=-1)
    )
    # The middle of each grid cell keeps every angle clearly inside one class.
    shifts = np.arange(-(n_phases // 4), n_phases // 4)
    labels = task.encode((shifts + 0.5) * 2 * np.pi / n_phases)
    joint = np.stack(
        [logsumexp(left + (np.roll(right, -k, 1) + np.roll(right, -k - 1, 1)) / 2, axis=1) for k in shifts], 1
    )
    classes = np.stack([logsumexp(joint[:, labels == k], axis=1) for k in range(task.n_classes)], 1)
    return classes.argmax(1)
