"""Fit a network to the functional connectivity of one person, and ask how far the fit carries.

A reduced Wong-Wang network on the connectome of one subject of the Human Connectome Project is fitted to
that subject's fMRI by forward-mode gradients in four numbers. Then the same numbers are tried on six other
people, with their own connectomes, beside what needs no model at all: the connectome itself. Ten minutes on
two cores; ``--quick`` takes one and is too short to find much.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brainunit as u
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from tqdm.auto import tqdm

from brainmass_delays import (
    Connectome,
    Heterogeneous,
    Network,
    Param,
    ReducedWongWangStep,
    Simulator,
    WhiteNoise,
    datasets,
)
from brainmass_delays.objectives import fc, fc_corr
from brainmass_delays.observe import Balloon, TemporalAverage
from brainmass_delays.viz import plot_functional_connectivity

SUBJECT = "101309"
DT = 1.0 * u.ms
SPEED = 5.0 * u.mm / u.ms
SPEEDS = (1.5, 3.0, 6.0, 12.0, 24.0)  # mm/ms
WARM_UP = 20.0  # s: neurons settle, hemodynamics forget their start
COUPLINGS = np.linspace(0.05, 0.5, 10)
# Regions whose BOLD is weak, near air or deep, and those next to the senses and the muscles.
WEAK = (
    "Hippocampus", "ParaHippocampal", "Amygdala", "Caudate", "Putamen", "Pallidum", "Thalamus", "Olfactory",
    "Rectus", "OFC", "Frontal_Med_Orb", "Frontal_Inf_Orb", "Temporal_Pole",
)  # fmt: skip
SENSORY = (
    "Precentral", "Postcentral", "Paracentral", "Rolandic", "Supp_Motor", "Calcarine", "Cuneus", "Lingual",
    "Occipital", "Heschl", "Temporal_Sup_",
)  # fmt: skip
ROWS = (
    "structure alone", "log structure", "root structure", "best of ten couplings", "fitted",
    "FC of another subject",
)  # fmt: skip
START = {"k": 0.3, "coefficients": jnp.zeros(2), "sigma": 0.001}  # the noise of Deco et al. (2013)


def structure(recording):
    """Return the connectome of a subject with the roots of its streamline counts, of spectral radius 1."""
    weights = np.sqrt(recording.connectome.weights)  # counts span four decades
    return Connectome(weights / np.abs(np.linalg.eigvalsh(weights)).max(), recording.connectome.lengths)


def maps(labels):
    """Return one number per region for each of two groups, of mean 0 and variance 1."""
    groups = {
        "weak": [any(name.startswith(part) for part in WEAK) for name in labels],
        "sensory": [any(name.startswith(part) for part in SENSORY) for name in labels],
    }
    return {name: (np.array(x, float) - np.mean(x)) / np.std(x) for name, x in groups.items()}


def network(recording, speed=SPEED):
    """Return the network of a subject, with four numbers to fit: coupling, two gradients, noise."""
    n = len(recording.labels)
    node = ReducedWongWangStep(
        n,
        I_o=Heterogeneous(0.33, maps(recording.labels), Param(jnp.zeros(2), fit=True), link="linear"),
        init_S=0.05,
        noise_S=WhiteNoise(n, Param(START["sigma"], fit=True)),
    )
    return Network(
        node, conn=structure(recording), coupled_var="S", coupling="additive", k=Param(START["k"], fit=True),
        speed=speed, stages="middle",
    )  # fmt: skip


def bold_of(recording, seconds, dt=DT, speed=SPEED, gradient="reverse"):
    """Return a function of the four numbers and a key: BOLD after the warm-up, (time, region)."""
    scanner = TemporalAverage("S", period=10 * u.ms) >> Balloon(period=recording.tr, step=10 * u.ms)
    simulator = Simulator(network(recording, speed), dt=dt, gradient=gradient)
    run = simulator.function((seconds + WARM_UP) * u.second, monitors={"bold": scanner})
    skipped = int(WARM_UP / recording.tr.to_decimal(u.second)) + 1

    def bold(params, key):
        return run(params, key=key)["bold"][skipped:]

    return bold


def side_by_side(function, *arguments):
    """Map a function over arguments, two at a time: one run keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, *arguments))


def search(recording, seconds, key):
    """Return the best of ten couplings, and the score of each."""
    bold = bold_of(recording, seconds)
    scores = jax.jit(jax.vmap(lambda k: fc_corr(bold(START | {"k": k}, key), recording.fc)))
    scores = np.concatenate(side_by_side(scores, COUPLINGS.reshape(2, 5)))
    return START | {"k": float(COUPLINGS[np.nanargmax(scores)])}, scores


def fit(recording, start, seconds, n_steps, key):
    """Improve four numbers by Adam, along exact slopes that ride forward with one simulation."""
    bold = bold_of(recording, seconds, gradient="forward")

    def unpack(x):  # steps of at most 2 % in coupling and noise, 0.002 in the gradients
        return {"k": jnp.exp(x[0]), "coefficients": 0.1 * x[1:3], "sigma": jnp.exp(x[3])}

    def loss(x):
        return fc_corr(bold(unpack(x), key), recording.fc, as_loss=True)

    @jax.jit
    def slopes(x, directions):
        return jax.vmap(lambda direction: jax.jvp(loss, (x,), (direction,)))(directions)

    x = jnp.array([np.log(start["k"]), *(10 * start["coefficients"]), np.log(start["sigma"])])
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, n_steps))
    state, history, halves = optimizer.init(x), [], jnp.eye(4).reshape(2, 2, 4)
    bar = tqdm(range(n_steps), desc="fit")
    for _ in bar:
        found = side_by_side(lambda half, x=x: slopes(x, half), halves)  # two directions on each core
        history.append((float(found[0][0][0]), x))
        bar.set_postfix(correlation=f"{1 - history[-1][0]:.3f}")
        updates, state = optimizer.update(jnp.concatenate([slope for _, slope in found]), state)
        x = x + updates
    _, x = min(history, key=lambda pair: pair[0])
    return unpack(x), [1 - value for value, _ in history]


def repeat(recording, candidates, seconds, keys):
    """Return the BOLD of a subject for every candidate and every key, (candidate, key, time, region)."""
    bold = bold_of(recording, seconds)
    over_keys = jax.vmap(bold, in_axes=(None, 0))
    candidates = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v, float) for v in x]), *candidates)
    return np.asarray(jax.jit(jax.vmap(over_keys, in_axes=(0, None)))(candidates, keys))


def scores_of(runs, recording):
    """Correlate the FC of every run with that of the data."""
    return np.array([float(fc_corr(run, recording.fc)) for run in runs])


def baselines(recording, recordings):
    """Return what needs no model: structure, its logarithm, its root, and the FC of the other subjects."""
    pairs = np.triu_indices(len(recording.labels), k=1)
    weights, data = np.asarray(recording.connectome.weights)[pairs], recording.fc[pairs]
    others = [np.corrcoef(r.fc[pairs], data)[0, 1] for r in recordings if r is not recording]
    return {
        "structure alone": np.corrcoef(weights, data)[0, 1],
        "log structure": np.corrcoef(np.log(weights), data)[0, 1],
        "root structure": np.corrcoef(np.sqrt(weights), data)[0, 1],
        "FC of another subject": np.mean(others),
    }


def check_step(recording, params, seconds, keys):
    """Compare steps of 1 and 0.1 ms at the optimum, beside two seeds, since other steps draw other noise."""
    fine = jax.jit(bold_of(recording, seconds, dt=0.1 * u.ms))
    jobs = [lambda: fine(params, keys[0]), lambda: repeat(recording, [params], seconds, keys[:2])[0]]
    fine, (coarse, again) = side_by_side(lambda job: job(), jobs)
    print(
        f"correlation with the data: {scores_of([fine], recording)[0]:.3f} at 0.1 ms; at 1 ms, two seeds, "
        + " and ".join(f"{score:.3f}" for score in scores_of([coarse, again], recording))
    )
    print(
        f"correlation of the simulated FCs: {float(fc_corr(fine, coarse)):.3f} between 0.1 and 1 ms, "
        f"{float(fc_corr(coarse, again)):.3f} between two seeds"
    )


def profile(recording, params, seconds, keys):
    """Return the scores over speeds, (speed, seed); the same seeds at every speed."""

    def at(speed):
        bold = jax.jit(jax.vmap(bold_of(recording, seconds, speed=speed * u.mm / u.ms), in_axes=(None, 0)))
        return scores_of(bold(params, keys), recording)

    return np.stack(side_by_side(at, SPEEDS))


def print_table(table, names):
    """Print one row per method and one column per subject."""
    print(f"{'correlation with measured FC':30s}" + "".join(f"{name:>9s}" for name in (*names, "others")))
    for row, values in table.items():
        print(f"{row:30s}" + "".join(f"{v:9.3f}" for v in (*values, np.mean(values[1:]))))


def draw(recording, before, after, history, speeds, path):
    """Draw data, before and after, the fit, and the profile over speed."""
    figure, axes = plt.subplots(2, 3, figsize=(12.5, 7.6), layout="constrained")
    panels = {"data": recording.fc, "before the fit": fc(before), "after the fit": fc(after)}
    for ax, (title, matrix) in zip(axes[0], panels.items(), strict=True):
        plot_functional_connectivity(matrix, ax=ax, colorbar=False)
        ax.set_title(title)
    figure.colorbar(axes[0, 2].images[0], ax=list(axes[0]), label="correlation", shrink=0.9)
    pairs = np.triu_indices(len(recording.labels), k=1)
    for title, run, color in (("before", before, "0.6"), ("after", after, "tab:blue")):
        r = float(fc_corr(run, recording.fc))
        axes[1, 0].plot(
            recording.fc[pairs], np.asarray(fc(run))[pairs], ".", ms=2, alpha=0.5, color=color,
            label=f"{title}, r = {r:.2f}",
        )  # fmt: skip
    axes[1, 0].set(xlabel="FC of data", ylabel="FC of simulation")
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower left", ncols=2, markerscale=4)
    axes[1, 1].plot(history, ".-")
    axes[1, 1].set(xlabel="gradient step", ylabel="correlation with FC of data")
    axes[1, 2].errorbar(SPEEDS, speeds.mean(axis=1), speeds.std(axis=1, ddof=1), marker="o", capsize=3)
    axes[1, 2].set(xlabel="speed (mm/ms)", ylabel="correlation with FC of data", xscale="log")
    axes[1, 2].set_title("mean and deviation over seeds", fontsize="medium")
    axes[1, 2].set_xticks(SPEEDS, [f"{s:g}" for s in SPEEDS])
    axes[1, 2].minorticks_off()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def report(first, recordings, best, fitted, seconds, keys):
    """Simulate every subject with the numbers of one, print the table, and return runs of that one."""
    runs = side_by_side(lambda candidate: repeat(first, [candidate], seconds, keys)[0], (best, fitted))
    runs = [runs, *side_by_side(lambda r: repeat(r, (best, fitted), seconds, keys[:1]), recordings[1:])]
    table = {name: [] for name in ROWS}
    for recording, (before, after) in zip(recordings, runs, strict=True):
        ours = {"best of ten couplings": scores_of(before, recording), "fitted": scores_of(after, recording)}
        for name, score in (baselines(recording, recordings) | ours).items():
            table[name].append(np.mean(score))
        if recording is first:
            for name, score in ours.items():
                print(f"{name}, {len(keys)} seeds: {score.mean():.3f} +- {score.std(ddof=1):.3f}")
    print_table(table, [recording.subject for recording in recordings])
    for name in ROWS[:4]:
        gain = np.subtract(table["fitted"], table[name])[1:]
        print(f"fitted minus {name}, the others: {gain.mean():+.3f} ({gain.min():+.3f} to {gain.max():+.3f})")
    return runs[0][0][0], runs[0][1][0]


def main():
    """Fit one subject and print how far the fit carries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, two subjects")
    quick = parser.parse_args().quick
    short, n_steps, long, n_seeds, n_subjects = (75, 2, 75, 2, 2) if quick else (160, 8, 864, 5, 7)
    begun = time.perf_counter()

    def note(text):
        print(f"{text} [{time.perf_counter() - begun:.0f} s]", flush=True)

    names = sorted(datasets.subjects("hcp"), key=lambda name: name != SUBJECT)[:n_subjects]
    recordings = [datasets.fetch("hcp", subject=name) for name in names]
    first, keys = recordings[0], jax.random.split(jax.random.key(0), n_seeds + 1)
    best, scores = search(first, short, keys[-1])
    note("ten couplings: " + ", ".join(f"{k:.2f} {s:.3f}" for k, s in zip(COUPLINGS, scores, strict=True)))
    fitted, history = fit(first, best, short, n_steps, keys[-1])
    weak, sensory = np.asarray(fitted["coefficients"])
    note(
        f"fitted: coupling {float(fitted['k']):.4f}, current {weak:+.4f} (weak signal) and {sensory:+.4f} "
        f"(sensory), noise {float(fitted['sigma']):.6f}; correlation {history[0]:.3f} to {max(history):.3f}"
    )
    check_step(first, fitted, short, keys)
    speeds = profile(first, fitted, short, keys[:2])
    note(
        "speed in mm/ms: " + ", ".join(f"{s:g} {m:.4f}" for s, m in zip(SPEEDS, speeds.mean(1), strict=True))
    )
    print(
        f"over speeds it varies by {np.ptp(speeds.mean(axis=1)):.4f}, over seeds by a standard deviation of "
        f"{speeds.std(axis=1, ddof=1).mean():.4f}"
    )
    before, after = report(first, recordings, best, fitted, long, keys[:-1])
    draw(first, before, after, history, speeds, Path("figures") / "fit_bold.png")
    note("figures/fit_bold.png")


if __name__ == "__main__":
    main()
