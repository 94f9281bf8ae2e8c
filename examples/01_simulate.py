"""Simulate a whole-brain network with conduction delays, and look at what the delays do.

The same network runs twice: with signals that travel at 3 mm/ms, and with signals that arrive at once.
"""

import argparse
from pathlib import Path

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np

from brainmass_delays import Connectome, HopfStep, Network, Simulator, viz


def simulate(connectome, speed, duration):
    """Return times and the activity x of every region, (time, region)."""
    rng = np.random.default_rng(0)
    n = connectome.n_regions
    node = HopfStep(
        n,
        a=0.02,
        w=2 * np.pi * (10 + rng.standard_normal(n)) * u.Hz,  # an alpha rhythm, a little different everywhere
        init_x=0.1 * rng.standard_normal(n),
        init_y=0.1 * rng.standard_normal(n),
    )
    net = Network(node, conn=connectome, speed=speed, coupling="diffusive", coupled_var="x", k=0.05)
    result = Simulator(net, dt=0.5 * u.ms).run(
        duration, monitors=["x"], transient=duration / 4, progress=True
    )
    return result["ts"], result["x"]


def main(out, quick):
    """Simulate with and without delays; draw activity and functional connectivity."""
    connectome = Connectome.synthetic(24 if quick else 84, seed=0).normalize("row")
    print(connectome)
    duration = (400 if quick else 4000) * u.ms
    speeds = {"at 3 mm/ms": 3.0 * u.mm / u.ms, "without delays": float("inf")}
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained", width_ratios=(1.4, 1))
    for (name, speed), row in zip(speeds.items(), axes, strict=True):
        times, x = simulate(connectome, speed, duration)
        fc = np.corrcoef(np.asarray(x), rowvar=False)
        print(f"{name:>15}: mean correlation between regions {fc[np.triu_indices(len(fc), 1)].mean():.2f}")
        viz.plot_timeseries(x[-400:, :6], times[-400:], ax=row[0])
        viz.plot_functional_connectivity(fc, ax=row[1])
        row[0].set_title(f"activity {name}")
        row[1].set_title("correlations")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "01_simulate.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true")
    main(**vars(parser.parse_args()))
