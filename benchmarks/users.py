"""Time what users do off the home ground: their own kernels, phases, noise, measured lengths, short connections.

    python benchmarks/users.py [--quick] [--only kernels noise ...]

All programs run in one process, in turn, on the same network (`cases`), Heun, float32.
"""

import columns
import library
import peers
from cases import dense, hcp
from timing import alternate, best, per_step, ratio, run_sections, table

STEPS = {84: (2000, 600), 400: (200, 60)}
REPETITIONS, QUICK_REPETITIONS = 7, 3
NOISE = 0.01


def sizes(quick):
    """Return the numbers of nodes, whether with gradient, and how many steps."""
    if quick:
        return [(84, True, STEPS[84][True])]
    return [(n, g, STEPS[n][g]) for n in (84, 400) for g in (False, True)]


def own(case, n_steps, gradient, **options):
    """Return a run, or value and gradient, of this library."""
    return (library.own_gradient if gradient else library.own_forward)(case, n_steps, **options)


def tvboptim(case, n_steps, gradient, quick, **options):
    """Return the runs of tvboptim by buffer."""
    make = peers.tvboptim_gradient if gradient else peers.tvboptim_forward
    try:
        return {s: make(case, n_steps, s, **options) for s in peers.strategies(quick)}
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
        times, peer = timed(mine, tvboptim(dense(n).coupled("powerlaw"), steps, gradient, quick), quick)
        cells = [f"{per_step(t, steps)} ({_times(peer, t)})" for t in times.values()]
        rows.append((title(n, gradient), *cells, None if peer is None else per_step(peer, steps)))
    head = "### A user's power law of differences, us per step (tvboptim's time / ours)"
    return f"{head}\n\n" + table(("", *ways, "tvboptim"), rows)


def _times(peer, ours):
    return "–" if peer is None else f"{ratio(peer, ours):.2f}x"


def beside(name, runs, quick):
    """Compare couplings that are sums with tvboptim's; ``runs(n, steps, gradient)`` builds both."""
    rows = []
    for n, gradient, steps in sizes(quick):
        mine, peer = runs(n, steps, gradient)
        times, peer = timed({"own": mine}, peer, quick)
        found = times["own"]
        theirs = peer if peer is None else per_step(peer, steps)
        rows.append((title(n, gradient), per_step(found, steps), theirs, _times(peer, found)))
    return f"### {name}, us per step\n\n" + table(("", "this library", "tvboptim", "times"), rows)


def phases(quick):
    """Compare Kuramoto's coupling with tvboptim's."""

    def runs(n, steps, gradient):
        case = dense(n).coupled("kuramoto")
        return own(case, steps, gradient), tvboptim(case, steps, gradient, quick)

    return beside("Kuramoto", runs, quick)


def sigmoid(quick):
    """Compare Jansen-Rit columns that send firing rates with tvboptim's."""

    def runs(n, steps, gradient):
        mine = columns.own(dense(n), steps, gradient)
        try:
            return mine, {s: columns.tvboptim(dense(n), steps, s, gradient) for s in peers.strategies(quick)}
        except peers.Absent:
            return mine, {}

    return beside("Jansen-Rit columns, sigmoid of the source", runs, quick)


def noise(quick):
    """Compare white noise on both states with none, and with tvboptim's."""
    rows = []
    for n, gradient, steps in sizes(quick):
        case = dense(n)
        mine = {"none": own(case, steps, gradient), "white": own(case, steps, gradient, noise=NOISE)}
        times, peer = timed(mine, tvboptim(case, steps, gradient, quick, noise=NOISE), quick)
        none, white = times["none"], times["white"]
        rows.append((
            title(n, gradient), per_step(none, steps), per_step(white, steps), f"{ratio(white, none):.2f}",
            _times(peer, white),
        ))  # fmt: skip
    header = ("", "none", "white noise", "ratio", "tvboptim's time / ours")
    return "### White noise on both states, additive coupling, us per step\n\n" + table(header, rows)


def measured(quick):
    """Compare a forward run on measured lengths with neurolib's compiled loop, slow and fast signals."""
    n_steps, rows = 1000 if quick else 4000, []
    case = hcp(1.0)
    for speed in (3.0,) if quick else (3.0, 20.0):
        run = library.own_forward(case, n_steps, fastest=21.0)
        fixed = library.own_fixed(case, n_steps, speed)
        runs = {"fixed": lambda _, run=fixed: run(), "live": lambda _, run=run, v=speed: run(v)}
        try:
            loop = peers.neurolib_forward(case, n_steps)
            runs["neurolib"] = lambda _, run=loop, v=speed: run(v)
        except peers.Absent as absence:
            print(f"> neurolib is skipped: {absence}\n")
        times = alternate(runs, QUICK_REPETITIONS if quick else REPETITIONS)
        peer = times.get("neurolib")
        ours = (f"{per_step(times[k], n_steps)} ({_times(peer, times[k])})" for k in ("fixed", "live"))
        rows.append((f"{speed:g} mm/ms", *ours, None if peer is None else per_step(peer, n_steps)))
    header = ("", "fixed speed", "live, bounds 1 to 21 mm/ms", "neurolib's loop")
    return "### HCP lengths, forward, us per step (neurolib's time / ours)\n\n" + table(header, rows)


def short(quick):
    """Compare bounds of the speed between which edges become shorter than a block, or a step, with others."""
    rows, bounds, lengths = [], ((3.0, 6.0), (1.0, 20.0)), (1000, 4000 if quick else 16_000)
    for dt in (0.1,) if quick else (0.1, 1.0):
        runs = {
            (b, n): library.own_gradient(hcp(b[0]), n, fastest=b[1], dt=dt) for n in lengths for b in bounds
        }
        times = {key: t / key[1] for key, t in alternate(runs, QUICK_REPETITIONS).items()}
        for n in lengths:
            few, many = (times[b, n] for b in bounds)
            growth = ratio(many, times[bounds[1], lengths[0]])
            cells = (per_step(few, 1), per_step(many, 1), f"{ratio(many, few):.2f}", f"{growth:.2f}")
            rows.append((f"dt {dt:g} ms, {n} steps", *cells))
    header = ("value and gradient", "3 to 6 mm/ms", "1 to 20 mm/ms", "ratio", "growth of the second")
    return "### Bounds of the speed on the HCP connectome, us per step\n\n" + table(header, rows)


SECTIONS = {f.__name__: f for f in (kernels, phases, sigmoid, noise, measured, short)}


if __name__ == "__main__":
    run_sections(SECTIONS, __doc__, "gradients of 84 nodes, one buffer of tvboptim, few repetitions")
