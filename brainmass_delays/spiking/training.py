"""Train a spiking classifier, and read what it says with delays rounded to whole steps."""

from typing import Any, NamedTuple

import brainstate
import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np
import optax

from .._core.arguments import checked, count, each, instance, names, numbers, optional, time
from .._core.arguments import flag as is_flag
from .._core.checks import ArgumentError, check_count
from .._core.learners import is_optimizer
from .._core.progress import trange
from .._core.status import NOT_FINITE, flag, raise_if_failed
from .arguments import (
    RATE,
    SPIKES,
    are_labels,
    is_module,
    is_seed,
    is_task,
    is_trials,
)
from .classifier import SpikingClassifier
from .freezing import delay_layers, freeze_delays
from .optimizers import anneal_width, parameter_groups, project_delays

is_classifier = instance(SpikingClassifier, "a SpikingClassifier")


class TrainingRecord(NamedTuple):
    """Hold the mean loss and accuracy of every epoch, ``(epoch,)``, with delays as trained."""

    loss: np.ndarray
    accuracy: np.ndarray


@checked(
    network=is_module,
    n_updates=count(),
    weight_rate=RATE,
    delay_rate=time,
    width=optional(each(time)),
    frozen=names,
)
def default_optimizer(
    network: SpikingClassifier,
    n_updates: int,
    *,
    weight_rate: float = 0.01,
    delay_rate: Any = 0.2 * u.ms,
    width: tuple[Any, Any] | None = None,
    frozen: tuple[str, ...] = (),
) -> optax.GradientTransformation:
    """Build Adam with cosine schedules: one rate for weights, one for delays, which stay inside their bounds.

    Parameters
    ----------
    network : SpikingClassifier
    n_updates : int
        Length of the schedules.
    weight_rate : float, default 0.01
    delay_rate : Quantity[time], default 0.2 ms
        Largest step of a delay at the start.
    width : pair of Quantity[time], optional
        First and last kernel width; decays geometrically over the first three quarters of training.
    frozen : tuple of str, optional
        Names of parts that are not trained, e.g. ``('input',)``.

    Returns
    -------
    optax.GradientTransformation
    """
    layers = delay_layers(network).values()
    groups = {name: optax.set_to_zero() for name in frozen}
    trained = [layer for layer in layers if layer.delay.fit]
    if trained and "delay" not in groups:
        # All delays are one group; its bounds are those that hold for every layer.
        rate = float(delay_rate / u.get_unit(trained[0].delay.value()))
        lower, upper = max(x.min_delay for x in trained), min(x.max_delay for x in trained)
        groups["delay"] = optax.chain(
            optax.adam(optax.cosine_decay_schedule(rate, n_updates)), project_delays(lower, upper)
        )
    tx = parameter_groups(groups, default=optax.adam(optax.cosine_decay_schedule(weight_rate, n_updates)))
    if width is None:
        return tx
    start, stop = (float(x / u.ms) for x in width)
    schedule = optax.exponential_decay(start, max(3 * n_updates // 4, 1), stop / start, end_value=stop)
    return optax.chain(tx, *(anneal_width(layer, schedule) for layer in layers if layer.width is not None))


@checked(
    network=is_classifier,
    trials=is_trials,
    task=is_task,
    lengths=optional(numbers(unit=u.UNITLESS, ndim=1, traced=False, finite=True)),
    n_epochs=count(),
    batch_size=count(),
    optimizer=optional(is_optimizer),
    seed=is_seed,
    progress=is_flag,
)
def train(
    network: SpikingClassifier,
    trials: Any,
    task: Any,
    *,
    n_epochs: int = 25,
    batch_size: int = 64,
    optimizer: optax.GradientTransformation | None = None,
    lengths: Any = None,
    seed: int = 0,
    progress: bool = True,
) -> TrainingRecord:
    """Minimize the cross-entropy of the classes.

    Parameters
    ----------
    network : SpikingClassifier
        Trained in place.
    trials : Trials
        With ``spikes`` ``(trial, time, channel)`` and ``label`` ``(trial,)``. Reshuffled every epoch. The
        last batch may be smaller; no trial is left out.
    task : object with ``dt``
        A task.
    n_epochs, batch_size : int, default 25 and 64
    optimizer : optax.GradientTransformation, optional
        `default_optimizer` by default.
    lengths : array, shape (trial,), optional
        Steps of each trial before its padding.
    seed : int, default 0
        Of the shuffling.
    progress : bool, default True
        Show a bar with loss and accuracy.

    Returns
    -------
    TrainingRecord

    Raises
    ------
    RunError
        When a delay left its bounds or the loss is not finite, at the end of that epoch.
    """
    _check_trials(network, trials)
    n_trials, batch_size = len(trials.label), check_count("train.batch_size", batch_size)
    n_batches = -(-n_trials // batch_size)
    optimizer = default_optimizer(network, n_epochs * n_batches) if optimizer is None else optimizer
    lengths = _checked_lengths(trials, lengths)
    with brainstate.environ.context(dt=task.dt):
        network.check_length(int(lengths.min()))
        run_epoch = compile_epoch(network, optimizer)
        data = tuple(map(jnp.asarray, (trials.spikes, np.asarray(trials.label, int), lengths)))
        rng, records = np.random.default_rng(seed), []
        with trange(n_epochs, desc="training", unit="epoch", disable=not progress) as epochs:
            for _ in epochs:
                rows = np.pad(
                    rng.permutation(n_trials), (0, n_batches * batch_size - n_trials), constant_values=-1
                )
                records.append(_mean_of_epoch(network, run_epoch(data, rows.reshape(n_batches, batch_size))))
                epochs.set_postfix(loss=f"{records[-1][0]:.3f}", accuracy=f"{records[-1][1]:.1%}")
    return TrainingRecord(*np.array(records).T)


def _check_trials(network, trials):
    """Refuse spikes that are no numbers, and labels that are no classes of the network, one per trial."""
    SPIKES("train.trials.spikes", trials.spikes)
    if np.ndim(trials.spikes) != 3:
        raise ArgumentError(
            "train.trials.spikes", "must have the shape (trial, time, channel)", np.shape(trials.spikes)
        )
    are_labels("train.trials.label", trials.label, network.integrators.n, len(trials.spikes))


def _checked_lengths(trials, lengths):
    """Return the steps of every trial, all of them by default."""
    n_trials, longest = np.shape(trials.spikes)[:2]
    if lengths is None:
        return np.full(n_trials, longest)
    lengths = np.asarray(lengths)
    if lengths.shape != (n_trials,):
        raise ArgumentError("train.lengths", f"must hold {n_trials} lengths", f"shape {lengths.shape}")
    wrong = (lengths != np.rint(lengths)) | (lengths < 1) | (lengths > longest)
    if np.any(wrong):
        raise ArgumentError(
            "train.lengths", f"must hold whole numbers of 1 to {longest} steps", lengths[wrong][0]
        )
    return lengths.astype(int)


@checked(network=is_classifier, spikes=SPIKES, dt=time, batch_size=count())
def predict(network: SpikingClassifier, spikes: Any, dt: Any, batch_size: int = 64) -> np.ndarray:
    """Return the classes ``(trial,)`` that ``network`` tells, delays rounded and kernels sharp."""
    with brainstate.environ.context(dt=dt), freeze_delays(network):
        classify = brainstate.transform.jit(lambda spikes: network(spikes).argmax(-1))
        starts = range(0, len(spikes), batch_size)
        return np.concatenate([np.asarray(classify(spikes[i : i + batch_size])) for i in starts])


def compile_epoch(network, optimizer):
    """Return ``(data, rows) -> mean loss and accuracy``, which trains on all batches of an epoch at once.

    ``data`` are spikes, labels and lengths; ``rows`` ``(batch, trial)`` index them, -1 for no trial.
    """
    weights = network.states(brainstate.ParamState)
    stepper = braintools.optim.OptaxOptimizer(tx=optimizer).register_trainable_weights(weights)

    def loss(spikes, label, length, present):
        logits = network(spikes, length)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        hits = logits.argmax(-1) == label
        return (losses * present).sum() / present.sum(), jnp.stack(
            [(losses * present).sum(), (hits & present).sum()]
        )

    gradient = brainstate.transform.grad(loss, weights, has_aux=True)

    @brainstate.transform.jit
    def run_epoch(data, rows):
        def update(batch):
            grads, sums = gradient(*(x[batch] for x in data), batch >= 0)
            stepper.step(grads)
            return sums

        return brainstate.transform.for_loop(update, rows).sum(0) / data[1].shape[0]

    return run_epoch


def _mean_of_epoch(network, means):
    """Return loss and accuracy of an epoch as floats; raise if it must not count."""
    delay_layers(network)  # raises if a delay left its bounds
    raise_if_failed("train", flag(~jnp.all(jnp.isfinite(means)), NOT_FINITE), "Lower the learning rates.")
    return tuple(map(float, means))
