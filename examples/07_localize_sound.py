"""Localize sound with learned delays, and see where learning them helps.

Two ears hear a tone with a phase difference; a small spiking network tells the direction. The same network
is trained with random delays that stay, and with delays that learn, once with its input weights fixed and
once with everything trained.
"""

import argparse
from pathlib import Path

import brainstate
import brainunit as u
import matplotlib.pyplot as plt
import numpy as np

from brainmass_delays.spiking import freeze_delays
from brainmass_delays.spiking.localization import CONDITIONS, ideal_observer, run_condition, score
from brainmass_delays.viz import plot_confusion, plot_delay_changes, plot_delays, plot_raster

COMPARED = {
    "weights fixed, random delays": "lightcoral",
    "weights fixed, learned delays": "tab:red",
    "random delays": "deepskyblue",
    "learned delays": "navy",
}
SHOWN = "weights fixed, learned delays"


def activity(network, spikes, dt):
    """Return a trial's input sorted by delay, hidden spikes, class potentials, each (time, channel)."""
    with brainstate.environ.context(dt=dt), freeze_delays(network):
        delayed = network.delays(spikes[None])
        order = np.lexsort(
            (network.delays.steps(), np.arange(network.delays.n_in) >= network.delays.n_in // 2)
        )
        return (np.asarray(delayed[0])[:, order], *(np.asarray(x[0]) for x in network.activity(spikes[None])))


def draw_activity(before, after, angle, centers):
    """Draw one trial before and after training."""
    figure, axes = plt.subplots(
        2, 3, figsize=(13, 7), layout="constrained", sharex=True, width_ratios=(1.4, 1, 1)
    )
    for row, (name, (delayed, hidden, potential)) in zip(
        axes, {"before": before, "after": after}.items(), strict=True
    ):
        plot_raster(delayed, ax=row[0], groups=("left ear", "right ear")).set_title(
            f"delayed input, sorted by delay, {name} training"
        )
        plot_raster(hidden, ax=row[1]).set(title=f"hidden spikes, {name}", ylabel="neuron")
        lines = row[2].plot(potential, color="0.8", lw=1)
        nearest, chosen = np.argmin(np.abs(centers - angle)), potential.mean(0).argmax()
        lines[chosen].set(color="tab:red", lw=2, label=f"chosen, {centers[chosen]:.0f} deg", zorder=3)
        if nearest != chosen:
            lines[nearest].set(color="k", lw=1.5, label=f"true class, {centers[nearest]:.0f} deg", zorder=3)
        row[2].set(title=f"readout, {name}", ylabel="potential")
        row[2].margins(y=0.2)
        row[2].legend(loc="upper left", fontsize="small", framealpha=1)
    for ax in axes[0]:
        ax.set_xlabel("")
    axes[1, 2].set_xlabel("time (ms)")
    figure.suptitle(f"One trial at {angle:.0f} degrees")
    return figure


def draw_delays(before, after, max_delay):
    """Draw where the delays went."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    plot_delays(before, after, max_delay, ax=axes[0])
    plot_delay_changes(before, after, max_delay, ax=axes[1])
    return figure


def draw_scores(results, bound, centers):
    """Draw the loss of every condition, and the confusion of the best."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name, result in results.items():
        axes[0].plot(
            np.arange(1, len(result.record.loss) + 1),
            result.record.loss,
            color=COMPARED[name],
            label=f"{name}: {result.evaluation.accuracy:.0%}",
        )
    axes[0].set(
        xlabel="epoch",
        ylabel="cross-entropy",
        ylim=(0, 3.4),
        title=f"accuracy of the ideal observer: {bound:.0%}",
    )
    axes[0].legend(frameon=False, title="accuracy on new trials")
    plot_confusion(results["learned delays"].evaluation.confusion, centers, ax=axes[1]).set_title(
        "learned delays"
    )
    return figure


def main(out, quick):
    """Train the four networks, print their scores, draw the figures."""
    out.mkdir(parents=True, exist_ok=True)
    task = CONDITIONS[SHOWN].task()
    n_train, n_test, n_epochs = (128, 64, 2) if quick else (4096, 1024, 12)
    trials, test = task.generate(n_train, seed=0), task.generate(n_test, seed=1)
    centers = np.rad2deg(task.decode(np.arange(task.n_classes)))
    bound = score(task, test, ideal_observer(task, test, 90 if quick else 360))
    print(f"{'ideal observer':32s} {bound}")
    results = {}
    for name in COMPARED:
        results[name] = result = run_condition(name, 0, trials, test, n_epochs=n_epochs)
        print(f"{name:32s} {result.evaluation}, {result.saturation.total:.0%} of delays at a bound")

    start, trained = CONDITIONS[SHOWN].network(task, 0), results[SHOWN].network
    shown = np.argmin(np.abs(np.rad2deg(test.angle) - 50))  # a sound well to one side
    trial, angle = test.spikes[shown], np.rad2deg(test.angle[shown])
    before, after = (activity(network, trial, task.dt) for network in (start, trained))
    delays = [np.asarray(network.delays.delay.value().to_decimal(u.ms)) for network in (start, trained)]
    figures = {
        "07_localize_sound_activity": draw_activity(before, after, angle, centers),
        "07_localize_sound_delays": draw_delays(*delays, float(trained.delays.max_delay / u.ms)),
        "07_localize_sound_scores": draw_scores(results, bound.accuracy, centers),
    }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=120)
        print(out / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true", help="a few batches only; for tests")
    main(**vars(parser.parse_args()))
