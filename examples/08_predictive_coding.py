"""Classify and generate handwritten digits by predictive coding, without backpropagation.

A discriminative network takes an image as its prior and a label as its observation. A generative network
takes the label as its prior and the image as its observation; afterwards it classifies by inferring the
label, its free latent.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.datasets import load_digits

from brainmass_delays.predictive import (
    init_activities_from_normal,
    init_activities_with_ffwd,
    make_mlp,
    make_pc_step,
    solve_inference,
    trainable,
)

N_TRAIN, BATCH = 1400, 64
HIDDEN = [300, 300]


def digits():
    """Return shuffled images (sample, 64), standardized as a whole, and one-hot labels (sample, 10)."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))  # the file is sorted by writer
    images = ((data.data - data.data.mean()) / data.data.std())[order]
    return jnp.asarray(images, float), jax.nn.one_hot(data.target[order], 10)


def batches(seed, n_iterations):
    """Draw the samples of every iteration, epoch by epoch."""
    rng = np.random.default_rng(seed)
    per_epoch = N_TRAIN // BATCH
    epochs = [
        rng.permutation(N_TRAIN)[: per_epoch * BATCH].reshape(-1, BATCH)
        for _ in range(n_iterations // per_epoch + 1)
    ]
    return np.concatenate(epochs)[:n_iterations]


def train(sizes, x, y, seed, n_iterations, measure=None, every=20, max_t1=0.3):
    """Train a network to map x to y; return it, the energy per iteration, and what ``measure`` saw."""
    params = make_mlp(jax.random.key(seed), sizes, "relu"), None
    optim = optax.adam(1e-3)
    state, energies, seen = optim.init(trainable(params)), [], []
    for i, chosen in enumerate(batches(seed, n_iterations)):
        if measure is not None and i % every == 0:
            seen.append((i, measure(params)))
        step = make_pc_step(params, optim, state, y[chosen], x[chosen], inference_options={"max_t1": max_t1})
        params, state = step.params, step.opt_state
        energies.append(float(step.energies.sum()))
    if measure is not None:
        seen.append((n_iterations, measure(params)))
    return params, energies, seen


def accuracy(predicted, labels):
    """Return the percentage of right labels."""
    return 100 * float(jnp.mean(jnp.argmax(predicted, 1) == jnp.argmax(labels, 1)))


def discriminative(seed, n_iterations=300, **options):
    """Train on images; return the course of test accuracy and of the energy."""
    images, labels = digits()

    def test(params):
        return accuracy(init_activities_with_ffwd(params, images[N_TRAIN:])[-1], labels[N_TRAIN:])

    _, energies, seen = train([64, *HIDDEN, 10], images, labels, seed, n_iterations, test, **options)
    return seen, energies


def infer_labels(params, images, seed=0, max_t1=20.0, record_at=None):
    """Infer the free latent of a generator from images; return the inference."""
    start = init_activities_from_normal(jax.random.key(seed), [10, *HIDDEN, 64], "unsupervised", len(images))
    return solve_inference(
        params, start, images, max_t1=max_t1, record_at=record_at, stop_rtol=0.0, stop_atol=0.0
    )


def generative(seed, n_iterations=300, n_test=384, **options):
    """Train on labels; return the generator, and times, label accuracy and record of inference."""
    images, labels = digits()
    params, _, _ = train([10, *HIDDEN, 64], labels, images, seed, n_iterations, **options)
    times = jnp.concatenate([jnp.zeros(1), jnp.geomspace(0.05, 20, 25)])
    inference = infer_labels(params, images[N_TRAIN : N_TRAIN + n_test], record_at=times)
    course = [accuracy(z, labels[N_TRAIN : N_TRAIN + n_test]) for z in inference.trajectory[0]]
    return params, np.asarray(times), course, inference


def plot_training(seen, energies, path):
    """Plot test accuracy and energy over the iterations."""
    fig, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    axes[0].plot(*zip(*seen, strict=True), "o-", color="tab:blue")
    axes[0].axhline(98.5, color="0.6", lw=1, ls=":")
    axes[0].set(xlabel="iteration", ylabel="test accuracy (%)", ylim=(0, 102), title="Discriminative network")
    axes[1].semilogy(energies, color="tab:orange")
    axes[1].set(xlabel="iteration", ylabel="energy after inference", title="Energy of the batch")
    fig.savefig(path, dpi=150)
    plt.close(fig)


def plot_generation(params, times, course, inference, path):
    """Plot the images the generator predicts from labels, and the accuracy of the labels it infers."""
    predicted = init_activities_with_ffwd(params, jnp.eye(10))[-1].reshape(10, 8, 8)
    predicted = jnp.pad(predicted, ((0, 0), (1, 1), (1, 1)), constant_values=predicted.min())
    fig, axes = plt.subplot_mosaic([["a", "b"]], figsize=(9, 3), width_ratios=[1.5, 1], layout="constrained")
    axes["a"].imshow(
        np.block([[np.asarray(predicted[5 * r + c]) for c in range(5)] for r in range(2)]), cmap="gray"
    )
    axes["a"].set(title="Images predicted from the labels 0 to 9", xticks=[], yticks=[])
    axes["b"].semilogx(times[1:], course[1:], "o-", ms=4)
    axes["b"].axhline(10, color="0.6", lw=1, ls=":")
    axes["b"].set(
        xlabel="time of inference per sample",
        ylabel="inferred labels right (%)",
        ylim=(0, 102),
        title="Labels inferred from test images",
    )
    fig.savefig(path, dpi=150)
    plt.close(fig)


def main(out: Path, quick: bool):
    out.mkdir(parents=True, exist_ok=True)
    n_iterations = 20 if quick else 300
    seen, energies = discriminative(seed=0, n_iterations=n_iterations)
    print(f"discriminative: {seen[-1][1]:.1f} % of 397 test images after {n_iterations} iterations")
    plot_training(seen, energies, out / "08_discriminative.png")
    params, times, course, inference = generative(
        seed=0, n_iterations=n_iterations, n_test=32 if quick else 384
    )
    print(f"generative: {course[-1]:.1f} % of labels inferred at t = {times[-1]:.0f}")
    plot_generation(params, times, course, inference, out / "08_generative.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    main(arguments.out, arguments.quick)
