"""Time one training epoch of the localization network against the published PyTorch program.

    python benchmarks/spiking.py [--epochs 3] [--batches 64]

Both run on one thread, on the same spikes, in turn. The published delay layer is written anew from its
description: it pads, resamples every channel with `affine_grid` and `grid_sample`, and scales the gradient
by its own rule; membrane and readout are Python loops over time. PyTorch is needed for this comparison
only.
"""

import argparse
import os
import statistics
import time

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OMP_NUM_THREADS", "1")

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from brainmass_delays.spiking.localization import CONDITIONS, LocalizationTask, Trials
from brainmass_delays.spiking.training import compile_epoch

BATCH, N_STEPS, N_IN, N_HIDDEN, N_CLASSES, MAX_DELAY, BETA = 64, 150, 200, 30, 12, 50, 5.0
DECAY = float(np.exp(-1 / 5))
PEERS = ("learned delays", "random delays", "no delays")


def library_epoch(name, trials):
    """Return a function that trains one epoch of a condition of the library."""
    condition = CONDITIONS[name]
    network = condition.network(LocalizationTask(), 0)
    n_trials = len(trials.label)
    run = compile_epoch(network, condition.optimizer(network, n_trials // BATCH))
    data = tuple(map(jnp.asarray, (trials.spikes, trials.label, np.full(n_trials, N_STEPS))))
    rows = jnp.arange(n_trials).reshape(-1, BATCH)

    def epoch():
        with brainstate.environ.context(dt=1 * u.ms):
            return jax.block_until_ready(run(data, rows))

    return epoch


def published_network(torch):
    """Return ``(spikes, delays, weights, weights) -> mean potential`` of the published program."""
    functional = torch.nn.functional

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return (v > 0).float()

        @staticmethod
        def backward(ctx, grad):
            s = torch.sigmoid(BETA * ctx.saved_tensors[0])
            return grad * BETA * s * (1 - s)

    class RoundDelay(torch.autograd.Function):
        @staticmethod
        def forward(ctx, delay):
            ctx.save_for_backward(delay)
            return torch.round(torch.clamp(delay, 0, (MAX_DELAY - 1) * 1e-3) / 1e-3)

        @staticmethod
        def backward(ctx, grad):
            return BETA * grad * ctx.saved_tensors[0] / 1e-3

    def delayed(x, delay):
        signal = functional.pad(x, (0, 0, MAX_DELAY, 0)).permute(2, 0, 1)[
            ..., None
        ]  # [channel, batch, time, 1]
        theta = torch.zeros(N_IN, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = 1.0
        theta = theta.clone()
        theta[:, 1, 2] = 2.0 / signal.shape[2] * RoundDelay.apply(delay)
        grid = functional.affine_grid(theta, list(signal.shape), align_corners=False)
        moved = functional.grid_sample(signal, grid, align_corners=False)
        return moved[:, :, MAX_DELAY:N_STEPS, 0].permute(1, 2, 0)

    def mean_potential(x, delay, w1, w2):
        h = torch.einsum("abc,cd->abd", delayed(x, delay), w1)
        v = s = torch.zeros(BATCH, N_HIDDEN)
        spikes = [s]
        for t in range(h.shape[1] - 1):
            v, s = (DECAY * v + h[:, t]) * (1 - s), Spike.apply(v - 1.0)
            spikes.append(s)
        h = torch.einsum("abc,cd->abd", torch.stack(spikes, 1), w2)
        potential = [torch.zeros(BATCH, N_CLASSES)]
        for t in range(h.shape[1] - 1):
            potential.append(DECAY * potential[-1] + h[:, t])
        return torch.stack(potential, 1).mean(1)

    return mean_potential


def published_epoch(trials):
    """Return a function that trains one epoch of the published program, in PyTorch."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.manual_seed(0)
    mean_potential = published_network(torch)
    w1 = ((torch.rand(N_IN, N_HIDDEN) * 2 - 1) * N_HIDDEN**-0.5).requires_grad_()
    w2 = ((torch.rand(N_HIDDEN, N_CLASSES) * 2 - 1) * N_CLASSES**-0.5).requires_grad_()
    delay = (torch.randint(1, MAX_DELAY, (N_IN,)) * 1e-3).requires_grad_()
    optimizers = torch.optim.Adam([w1, w2], lr=0.01), torch.optim.Adam([delay], lr=1e-3)
    spikes, labels = torch.tensor(trials.spikes, dtype=torch.float32), torch.tensor(trials.label)

    def epoch():
        for rows in torch.arange(len(labels)).reshape(-1, BATCH):
            loss = functional.cross_entropy(mean_potential(spikes[rows], delay, w1, w2), labels[rows])
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
        return loss.item()

    return epoch


def main():
    """Print seconds per epoch and ratios; the programs take turns, so that load falls on all alike."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batches", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="one epoch of eight batches")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.batches = 1, 8
    trials = Trials(*LocalizationTask().generate(options.batches * BATCH, seed=0))
    programs = {f"library, {name}": library_epoch(name, trials) for name in PEERS}
    try:
        programs["published program (PyTorch)"] = published_epoch(trials)
    except ImportError:
        print("PyTorch is not installed: no comparison.")
    for epoch in programs.values():
        epoch()
    seconds = {name: [] for name in programs}
    for _ in range(options.epochs):
        for name, epoch in programs.items():
            start = time.process_time()
            epoch()
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    slowest = max(median.values())
    print(f"\n| program | CPU s per epoch of {options.batches} batches | times faster |")
    print("|---|---|---|")
    for name, value in median.items():
        print(f"| {name} | {value:.2f} | {slowest / value:.1f} |")


if __name__ == "__main__":
    main()
