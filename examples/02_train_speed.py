"""Recover a conduction speed by gradient descent.

Eight coupled oscillators are simulated at 3 mm/ms; a model that starts from 4.5 mm/ms is trained on that.
"""

import argparse
from pathlib import Path

import brainstate
import braintools
import brainunit as u
import matplotlib.pyplot as plt
import numpy as np

from brainmass_delays import Fitter, Generic2dOscillatorStep, Network, Param, Simulator, viz

brainstate.environ.set(precision=64)
MM_PER_MS = u.mm / u.ms
N, TRUE, START = 8, 3.0, 4.5


def network(speed, **options):
    """Couple the oscillators at random strengths and distances."""
    rng = np.random.default_rng(7)
    weights, lengths = rng.uniform(0, 0.1, (N, N)), rng.uniform(10, 80, (N, N))
    lengths = (lengths + lengths.T) / 2
    np.fill_diagonal(weights, 0)
    node = Generic2dOscillatorStep(N, a=-1.5, b=-15.0, d=0.015, tau=4.0, init_V=0.1, init_W=0.1)
    return Network(
        node,
        conn=weights,
        lengths=lengths * u.mm,
        speed=speed,
        coupling="additive",
        coupled_var="V",
        k=0.4,
        **options,
    )


def simulate(net):
    """Return the membrane potentials as 'output', and the status of the run."""
    return Simulator(net, dt=0.5 * u.ms).run(60 * u.ms, monitors=lambda model: model.node.V.value)


def main(out, quick):
    """Make the recording, train the speed, draw the way there."""
    target = simulate(network(TRUE * MM_PER_MS))["output"]
    model = network(
        Param(START * MM_PER_MS, fit=True), max_delay=80 * u.ms
    )  # no delay above 80 mm / (1 mm/ms)
    fitter = Fitter(model, braintools.optim.Adam(lr=0.03), predict=simulate, progress=True)

    speeds = np.linspace(1.5, 8.0, 14 if quick else 53) * MM_PER_MS
    losses = fitter.sweep("speed", speeds, target)
    result = fitter.fit(target, n_steps=150)
    recovered = result.best_params["speed"].to_decimal(MM_PER_MS).item()
    print(
        f"true {TRUE:.4f}   start {START:.4f}   recovered {recovered:.4f} mm/ms   loss {result.best_loss:.1e}"
    )

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    viz.plot_loss_landscape(speeds, losses, true=TRUE, ax=left)
    viz.plot_fit(result, "speed", true=TRUE, ax=right)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "02_train_speed.png", dpi=120)
    if abs(recovered - TRUE) > 0.005:
        raise SystemExit("the speed was not recovered")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true")
    main(**vars(parser.parse_args()))
