"""Time what users do off the home ground: their own kernels, phases, noise, short connections, new networks.

    python benchmarks/users.py [--quick] [--only kernels noise ...]

All programs run in one process, in turn, on the same network (`cases`), Heun, float32.
"""

import time
from dataclasses import replace

import jax
import numpy as np
import peers
from cases import SPEED, dense
from timing import alternate, best, per_step, ratio, run_sections, table

STEPS = {84: (2000, 600), 400: (200, 60)}
REPETITIONS, QUICK_REPETITIONS = 7, 3
NOISE = 0.01


def sizes(quick):
    """Return the numbers of nodes, whether with gradient, and how many steps."""
    return [(n, g, STEPS[n][g]) for n in ((84,) if quick else (84, 400)) for g in (False, True)]


def own(case, n_steps, gradient, **options):
    """Return a run, or value and gradient, of this library."""
    return (peers.own_gradient if gradient else peers.own_forward)(case, n_steps, **options)


def tvboptim(case, n_steps, gradient, **options):
    """Return the runs of tvboptim by buffer."""
    make = peers.tvboptim_gradient if gradient else peers.tvboptim_forward
    try:
        return {s: make(case, n_steps, s, **options) for s in peers.STRATEGIES}
    except peers.Absent as absence:
        print(f"> tvboptim is skipped: {absence}\n")
        return {}


def timed(mine, peer, quick):
    """Time own programs by name and those of the peer, of which the fastest counts."""
    times = alternate({**mine, **peer}, QUICK_REPETITIONS if quick else REPETITIONS)
    theirs = {name: times.pop(name) for name in peer}
    return times, best(theirs)[1] if theirs else None


def title(n, gradient):
    """Name a row."""
    return f"N={n}, {'value and gradient' if gradient else 'forward'}"


def kernels(quick):
    """Compare a kernel of every pair, as a user writes it, with tvboptim's."""
    ways = {
        "`**`, each stage": ("powerlaw", {}),
        "`**`, middle": ("powerlaw", {"stages": "middle"}),
        "signed_power, middle": ("signed_power", {"stages": "middle"}),
    }
    rows = []
    for n, gradient, steps in sizes(quick):
        mine = {
            name: own(dense(n).coupled(c), steps, gradient, **options) for name, (c, options) in ways.items()
        }
        times, peer = timed(mine, tvboptim(dense(n).coupled("powerlaw"), steps, gradient), quick)
        cells = [f"{per_step(t, steps)} ({_times(peer, t)})" for t in times.values()]
        rows.append((title(n, gradient), *cells, None if peer is None else per_step(peer, steps)))
    head = "### A user's power law of differences, us per step (tvboptim's time / ours)"
    return f"{head}\n\n" + table(("", *ways, "tvboptim"), rows)


def _times(peer, ours):
    return "–" if peer is None else f"{ratio(peer, ours):.2f}x"


def phases(quick):
    """Compare Kuramoto's coupling with tvboptim's."""
    rows = []
    for n, gradient, steps in sizes(quick):
        case = dense(n).coupled("kuramoto")
        times, peer = timed({"own": own(case, steps, gradient)}, tvboptim(case, steps, gradient), quick)
        found = times["own"]
        rows.append(
            (
                title(n, gradient),
                per_step(found, steps),
                peer if peer is None else per_step(peer, steps),
                _times(peer, found),
            )
        )
    return "### Kuramoto, us per step\n\n" + table(("", "this library", "tvboptim", "times"), rows)


def noise(quick):
    """Compare white noise on both states with none, and with tvboptim's."""
    rows = []
    for n, gradient, steps in sizes(quick):
        case = dense(n)
        mine = {"none": own(case, steps, gradient), "white": own(case, steps, gradient, noise=NOISE)}
        times, peer = timed(mine, tvboptim(case, steps, gradient, noise=NOISE), quick)
        none, white = times["none"], times["white"]
        rows.append((
            title(n, gradient), per_step(none, steps), per_step(white, steps), f"{ratio(white, none):.2f}",
            _times(peer, white),
        ))  # fmt: skip
    header = ("", "none", "white noise", "ratio", "tvboptim's time / ours")
    return "### White noise on both states, additive coupling, us per step\n\n" + table(header, rows)


def measured(n_steps):
    """Return the value and gradient on the HCP connectome by bounds of the speed."""
    import brainunit as u

    import brainmass_delays as bd

    conn = bd.Connectome.fetch("hcp")
    weights = np.asarray(conn.weights, np.float32)
    case = replace(
        dense(84), name="hcp", weights=weights / weights.max(), lengths=np.float32(conn.lengths / u.mm)
    )
    return {
        (low, high): peers.own_gradient(replace(case, slowest=low), n_steps, fastest=high)
        for low, high in ((3.0, 6.0), (1.0, 20.0))
    }


def short(quick):
    """Compare bounds of the speed between which edges become shorter than a block with others."""
    rows = []
    for n_steps in (1000, 4000) if quick else (1000, 16_000):
        runs = measured(n_steps)
        times = alternate(runs, QUICK_REPETITIONS)
        few, many = times.values()
        rows.append(
            (f"{n_steps} steps", per_step(few, n_steps), per_step(many, n_steps), f"{ratio(many, few):.2f}")
        )
    header = ("value and gradient", "3 to 6 mm/ms", "1 to 20 mm/ms", "ratio")
    return "### Bounds of the speed on the HCP connectome, us per step\n\n" + table(header, rows)


def again(quick):
    """Time the first call of value and gradient, of a new Network of the same shapes, and of the same one."""
    case, n_steps = dense(84), 100
    jax.clear_caches()
    rows = []
    for name in ("the first Network", "a second one on the same connectome"):
        run, found = peers.own_gradient(case, n_steps), []
        for _ in range(2):
            start = time.perf_counter()
            jax.block_until_ready(run(SPEED))
            found.append(f"{time.perf_counter() - start:.3f}")
        rows.append((name, *found))
    return "### Value and gradient, 100 steps, N=84, s\n\n" + table(("", "first call", "second call"), rows)


SECTIONS = {f.__name__: f for f in (kernels, phases, noise, short, again)}


if __name__ == "__main__":
    run_sections(SECTIONS, __doc__, "84 nodes, few repetitions")
