"""Train every delay of a network on its own: one number per connection instead of one speed.

Myelination differs from tract to tract. Here six regions have 24 connections with delays of 2 to 18 ms; all
of them are recovered from a start where every one is 10 ms.
"""

import argparse
from pathlib import Path

import brainstate
import braintools
import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
from brainstate.nn import SigmoidT

from brainmass_delays import Fitter, HopfStep, Network, Param, Simulator

brainstate.environ.set(precision=64)
N = 6
RNG = np.random.default_rng(3)
WEIGHTS = RNG.uniform(0.5, 1.0, (N, N)) * ~np.eye(N, dtype=bool) * (RNG.random((N, N)) < 0.8)
TRUE = RNG.uniform(2, 18, (N, N)) * u.ms
PHASES, RATES = RNG.uniform(0, 2 * np.pi, N), RNG.uniform(5, 40, N)


def network(delay):
    """Couple damped oscillators with different rhythms, so that every connection leaves its own trace."""
    node = HopfStep(N, a=0.02, w=2 * np.pi * RATES * u.Hz, init_x=np.cos(PHASES), init_y=np.sin(PHASES))
    return Network(node, conn=WEIGHTS, delay=delay, coupling="additive", coupled_var="x", k=0.05)


def simulate(net):
    """Return the activity x, (time, region), as 'output', and the status of the run."""
    return Simulator(net, dt=0.5 * u.ms).run(150 * u.ms, monitors=lambda model: model.node.x.value)


def main(out, quick):
    """Recover all delays, and draw them against the true ones before and after."""
    target = simulate(network(TRUE))["output"]
    start = np.full((N, N), 10.0)
    delay = Param(start * u.ms, t=SigmoidT(0.5 * u.ms, 25.0 * u.ms))
    fitter = Fitter(network(delay), braintools.optim.Adam(lr=0.05), predict=simulate, progress=True)
    result = fitter.fit(target, n_steps=80 if quick else 400)
    (found,) = result.best_params.values()

    exist = WEIGHTS > 0
    true, found = TRUE.to_decimal(u.ms)[exist], np.asarray(found.to_decimal(u.ms))[exist]
    error = np.abs(found - true)
    print(f"{exist.sum()} delays, median error {np.median(error):.4f} ms, largest {error.max():.4f} ms")

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    left.plot([0, 20], [0, 20], color="0.7", lw=1)
    left.plot(true, start[exist], "o", mfc="none", color="0.5", label="start")
    left.plot(true, found, "o", color="#0b6fb8", label="trained")
    left.set(xlabel="true delay (ms)", ylabel="delay (ms)", title="one dot per connection")
    left.legend(frameon=False)
    right.semilogy(result.history, color="#0b6fb8")
    right.set(xlabel="step", ylabel="loss (rms error)")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "04_train_edge_delays.png", dpi=120)
    if np.median(error) > (2.0 if quick else 0.05):
        raise SystemExit("the delays were not recovered")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true")
    main(**vars(parser.parse_args()))
