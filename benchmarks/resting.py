"""Simulate resting states end to end: Wong-Wang regions, delays, noise and BOLD, beside tvb-library and neurolib.

    python benchmarks/resting.py [--quick] [--only peers whole]

94 regions of the HCP connectome, 0.1 ms, 5 mm/ms. The peers have nearest equivalents, not the same: tvb-library
(Heun, numpy, delays rounded) the same one-population model, white noise on S and its BOLD monitor, a convolution
every 4 ms instead of a Balloon; neurolib (Euler, numba, rounded delays) the model of two populations, an OU current
and its Balloon. Both compute in float64. What is not installed is left out.
"""

import time
import warnings

import brainunit as u
import jax
import numpy as np
import peers
from timing import alternate, per_step, ratio, run_sections, table

import brainmass_delays as bd
from brainmass_delays.observe import Balloon

DT, SPEED, TR = 0.1, 5.0, 2000.0  # ms, mm/ms, ms
NOISE = 0.001
MINUTES, QUICK_MINUTES = 20.0, 0.25
STEPS, QUICK_STEPS = 40_000, 20_000  # beside the peers


def connectome():
    """Return weights, the largest 1, and lengths in mm; made ones where the measured ones cannot be had."""
    try:
        conn = bd.Connectome.fetch("hcp")
    except OSError:
        conn = bd.Connectome.synthetic(94)
    weights = np.array(conn.weights, float)
    np.fill_diagonal(weights, 0)
    return weights / weights.max(), np.nan_to_num(np.asarray(conn.lengths / u.mm, float))


def own(node, state, **options):
    """Return a function of a number of steps that runs a network of this library and keeps its BOLD."""
    weights, lengths = connectome()
    net = bd.Network(
        node, conn=weights, lengths=lengths, speed=SPEED, coupled_var=state, coupling="additive", **options
    )
    simulator = bd.Simulator(net, dt=DT * u.ms)

    def run(n_steps):
        bold = Balloon(state, period=TR * u.ms)
        return simulator.run(n_steps * DT * u.ms, monitors={"bold": bold})["bold"]

    return run


def one_population():
    """Run the reduced Wong-Wang model."""
    return own(bd.ReducedWongWangStep(94, noise_S=bd.WhiteNoise(94, NOISE)), "S", k=0.1)


def two_populations():
    """Run the Wong-Wang model of two populations."""
    noises = {name: bd.WhiteNoise(94, 0.01) for name in ("noise_e", "noise_i")}
    return own(bd.WongWangExcInhStep(94, **noises), "S_e")


def tvb(n_steps):
    """Run tvb-library's reduced Wong-Wang model with its BOLD monitor."""
    peers.installed("tvb-library")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tvb.simulator import lab
    weights, lengths = connectome()
    conn = lab.connectivity.Connectivity(
        weights=weights, tract_lengths=lengths, speed=np.array([SPEED]), centres=np.zeros((94, 3)),
        region_labels=np.array([str(i) for i in range(94)]),
    )  # fmt: skip
    noise = lab.noise.Additive(nsig=np.array([NOISE**2 / 2]))
    simulator = lab.simulator.Simulator(
        model=lab.models.ReducedWongWang(), connectivity=conn, coupling=lab.coupling.Linear(a=np.array([0.1])),
        integrator=lab.integrators.HeunStochastic(dt=DT, noise=noise), monitors=(lab.monitors.Bold(period=TR),),
        simulation_length=n_steps * DT,
    ).configure()  # fmt: skip
    return lambda speed: simulator.run(simulation_length=n_steps * DT)[0][1]


def neurolib(n_steps):
    """Run neurolib's Wong-Wang model of two populations with its Balloon, in chunks as it must for long runs."""
    peers.installed("neurolib")
    from neurolib.models.ww import WWModel

    weights, lengths = connectome()
    model = WWModel(Cmat=weights, Dmat=lengths, seed=0)
    model.params.update(signalV=SPEED, dt=DT, duration=n_steps * DT)

    def run(speed):
        model.run(chunkwise=True, chunksize=round(TR / DT), bold=True)
        return model.BOLD.BOLD

    return run


def beside_peers(quick):
    """Compare with the nearest equivalents of the peers."""
    n_steps, rows = QUICK_STEPS if quick else STEPS, []
    for title, mine, name, peer in (
        ("reduced Wong-Wang, white noise", one_population(), "tvb-library", tvb),
        ("Wong-Wang, two populations, noise on both", two_populations(), "neurolib", neurolib),
    ):
        runs = {"own": lambda speed, mine=mine: mine(n_steps)}
        try:
            runs[name] = peer(n_steps)
        except peers.Absent as absence:
            print(f"> {name} is skipped: {absence}\n")
        times = alternate(runs, 2 if quick else 5)
        found = times.get(name)
        cells = (
            (per_step(found, n_steps), f"**{ratio(found, times['own']):.1f}**")
            if name in times
            else ("–", "–")
        )
        rows.append((title, per_step(times["own"], n_steps), name, *cells))
    header = ("94 regions, dt 0.1 ms, BOLD", "this library", "peer", "its time", "peer / ours")
    return "### Resting states end to end, us per step\n\n" + table(header, rows)


def whole(quick):
    """Time a whole recording, compiling included and not."""
    minutes = QUICK_MINUTES if quick else MINUTES
    n_steps, run = round(minutes * 60_000 / DT), one_population()
    found = []
    for n in (round(TR / DT), n_steps):  # the first call of the first length compiles
        start = time.perf_counter()
        bold = jax.block_until_ready(run(n))
        found.append(time.perf_counter() - start)
    cells = (f"{found[1]:.3g}", f"{found[1] / n_steps * 1e6:.3g}", len(bold), f"{found[0]:.2g}")
    header = ("simulated", "s", "us per step", "volumes", "s of a first call of 2 simulated seconds")
    return "### Reduced Wong-Wang, 94 regions, dt 0.1 ms, white noise, Balloon, one core\n\n" + table(
        header, [(f"{minutes:g} minutes", *cells)]
    )


SECTIONS = {"peers": beside_peers, "whole": whole}


if __name__ == "__main__":
    run_sections(SECTIONS, __doc__, "two simulated seconds beside the peers, a quarter of a minute alone")
