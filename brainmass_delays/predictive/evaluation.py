"""Tests of trained networks: accuracy, loss, and the energies of what they infer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from brainmass_delays._core.arguments import each
from brainmass_delays._core.arguments import numbers as rule_of_numbers
from brainmass_delays._core.checks import ArgumentError
from brainmass_delays._core.status import is_traced

from .arguments import ARRAY, checked
from .descent import Descent
from .inference import Inference, solve_inference
from .initialization import init_activities_with_amort
from .layers import as_params
from .variants import feedforward_of, layer_energies, start_of

KNOWN = rule_of_numbers(finite=True)


class Evaluation(NamedTuple):
    """Hold the scores of one set of samples.

    Attributes
    ----------
    accuracy : float
        Share of right labels, 0 to 1.
    loss : float
        Mean output loss of the feedforward pass.
    energies : array, (L,)
        Terms of the energy after inference, the output first.
    converged : float
        Share of samples whose inference came to rest.
    """

    accuracy: float
    loss: float
    energies: jax.Array
    converged: float


class HybridEvaluation(NamedTuple):
    """Hold the share of right labels: guessed, inferred from the guess, and inferred from noise."""

    amortized: float
    hybrid: float
    generative: float


@checked
def accuracy(predicted, labels) -> jax.Array:
    """Return the share of samples whose largest entry is that of the label.

    Parameters
    ----------
    predicted : array, (batch, class)
        Scores, logits or activities.
    labels : array, (batch, class) or (batch,)
        One-hot, or whole numbers.

    Returns
    -------
    array, ()
        0 to 1.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.predictive import accuracy
    >>> float(accuracy(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])))
    0.5
    """
    KNOWN("accuracy.predicted", predicted)
    KNOWN("accuracy.labels", labels)
    predicted, labels = jnp.asarray(predicted), jnp.asarray(labels)
    if predicted.ndim != 2:
        raise ArgumentError("accuracy.predicted", "must have the shape (batch, class)", predicted.shape)
    if labels.shape not in (predicted.shape, predicted.shape[:1]):
        raise ArgumentError(
            "accuracy.labels",
            f"must have the shape of predicted, {predicted.shape}, or hold one number per row",
            labels.shape,
        )
    _check_classes(labels, predicted.shape[1])
    labels = labels if labels.ndim == 1 else labels.argmax(-1)
    return jnp.mean(predicted.argmax(-1) == labels)


def _check_classes(labels, n_classes):
    """Refuse class numbers that are none, where they are known."""
    if labels.ndim == 2 or is_traced(labels):
        return
    numbers = np.asarray(labels)
    wrong = (numbers != np.rint(numbers)) | (numbers < 0) | (numbers >= n_classes)
    if np.any(wrong):
        raise ArgumentError(
            "accuracy.labels", f"must hold classes from 0 to {n_classes - 1}", numbers[wrong][0]
        )


@checked
def evaluate_discriminative(
    params, y, x, loss_id="MSE", *, inference_options=None, **energy_options
) -> Evaluation:
    """Test a network that predicts labels from images.

    Parameters
    ----------
    params, loss_id
        As for `pc_energy`.
    y : array, (batch, class)
        One-hot labels.
    x : array, (batch, ...)
        Images.
    inference_options : dict, optional
        Keyword arguments of `solve_inference`, with the labels clamped.
    **energy_options
        As for `compute_activity_grad`.

    Returns
    -------
    Evaluation
        Accuracy and loss of the feedforward pass.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import evaluate_discriminative, make_mlp
    >>> x, y = jax.numpy.eye(3), jax.nn.one_hot(jax.numpy.arange(3), 3)
    >>> evaluate_discriminative([lambda z: 2 * z, lambda z: z / 2], y, x).accuracy
    1.0
    """
    start = start_of(params, x, **energy_options)
    first = layer_energies(params, start, y, x, loss_id, **energy_options)[0]
    found = solve_inference(params, start, y, x, loss_id, **(inference_options or {}), **energy_options)
    energies = layer_energies(params, found.activities, y, x, loss_id, **energy_options)
    right = accuracy(feedforward_of(params, x, **energy_options)[-1], y)
    return Evaluation(float(right), float(first), energies, float(found.converged.mean()))


@checked
def evaluate_generative(
    params, y, labels, start=None, *, key=None, inference_options=None, **energy_options
) -> Evaluation:
    """Test a network that predicts images from labels, by inferring the labels of images.

    Parameters
    ----------
    params : (model, skip_model)
        The generator, or ``(forward, backward)`` with ``variant='bpc'``.
    y : array, (batch, ...)
        Images.
    labels : array, (batch, class)
        One-hot labels, to compare with.
    start : list of arrays, optional
        Activities to start inference from, ``[z_0, ..., z_L]``. Default: small normal ones.
    key : jax.Array, optional
        Random key of the default start.
    inference_options : dict, optional
        Keyword arguments of `solve_inference`.
    **energy_options
        As for `compute_activity_grad`.

    Returns
    -------
    Evaluation
        Accuracy of the labels that are inferred, loss of the images that the true labels predict.

    Notes
    -----
    Nothing but the images pulls the latent, so inference needs time; look at ``converged``.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import evaluate_generative
    >>> labels = jax.nn.one_hot(jax.numpy.arange(3), 3)
    >>> evaluate_generative([lambda z: 2 * z, lambda z: z], 2 * labels, labels).accuracy
    1.0
    """
    if "loss_id" in energy_options:
        raise ArgumentError(
            "evaluate_generative.loss_id",
            "must be left out, as images are compared by 'MSE'",
            energy_options["loss_id"],
        )
    rule_of_numbers(ndim=2)("evaluate_generative.labels", labels)
    if start is not None:
        each(ARRAY)("evaluate_generative.start", start)
    painted = start_of(params, labels, **energy_options)
    loss = layer_energies(params, painted, y, labels, "MSE", **energy_options)[0]
    if start is None:
        start = _small_start(jax.random.key(0) if key is None else key, [labels, *painted])
    found = solve_inference(params, start, y, **(inference_options or {}), **energy_options)
    energies = layer_energies(params, found.activities, y, None, "MSE", **energy_options)
    right = accuracy(found.activities[0], labels)
    return Evaluation(float(right), float(loss), energies, float(found.converged.mean()))


def _small_start(key, like) -> list[jax.Array]:
    """Draw activities of the shapes of ``like``, as `init_activities_from_normal` does for vectors."""
    keys = jax.random.split(key, len(like))
    return [0.05 * jax.random.normal(k, z.shape) for k, z in zip(keys, like, strict=True)]


@checked
def evaluate_hybrid(params, amortizer, y, labels, **options) -> HybridEvaluation:
    """Test a generator with an amortizer: labels guessed, inferred from the guess, and inferred from noise.

    Parameters
    ----------
    params, amortizer
        As for `make_hpc_step`.
    y, labels
        As for `evaluate_generative`.
    **options
        Those of `evaluate_generative` but ``start``.

    Returns
    -------
    HybridEvaluation

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import evaluate_hybrid
    >>> labels, double, half = jax.nn.one_hot(jax.numpy.arange(3), 3), lambda z: 2 * z, lambda z: z / 2
    >>> evaluate_hybrid([double, double], [half, half], 4 * labels, labels).amortized
    1.0
    """
    guesses = init_activities_with_amort(amortizer, params, y)
    return HybridEvaluation(
        float(accuracy(guesses[0], labels)),
        evaluate_generative(params, y, labels, guesses, **options).accuracy,
        evaluate_generative(params, y, labels, **options).accuracy,
    )


@checked
def inference_energies(params, found: Inference | Descent, y, x=None, loss_id="MSE", **energy_options):
    """Return the terms of the energy at every recorded step of inference.

    Parameters
    ----------
    params, y, x, loss_id
        As for `pc_energy`.
    found : Inference or Descent
        With a trajectory: from `solve_inference` with ``record_at`` or ``record_steps``, or from
        `descend_inference` with ``record=True``.
    **energy_options
        As for `compute_activity_grad`.

    Returns
    -------
    array, (time, L)
        The output first, as in `pc_energy`.

    Raises
    ------
    ArgumentError
        Without a trajectory.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import inference_energies, init_activities_with_ffwd, make_mlp
    >>> from brainmass_delays.predictive import solve_inference
    >>> params, x, y = make_mlp(jax.random.key(0), [3, 5, 2]), jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> found = solve_inference(params, init_activities_with_ffwd(params, x), y, x, record_steps=10)
    >>> inference_energies(params, found, y, x).shape
    (10, 2)
    """
    if found.trajectory is None:
        raise ArgumentError(
            "inference_energies.found",
            "must hold a trajectory",
            "None",
            "Run inference with record_at, record_steps or record=True",
        )
    params = as_params(params)
    return jax.vmap(lambda z: layer_energies(params, z, y, x, loss_id, **energy_options))(found.trajectory)
