"""Time networks on a GPU beside tvboptim on the same card, and say how much of the memory's bandwidth they reach.

    python benchmarks/gpu.py [--quick] [--only forward gradient] [--cpu-smoke]

Hopf nodes (`cases`), float32, Heun; 64 and 512 speeds at once by `jax.vmap`. A step reads at least one sample of four
bytes per connection and copy of the network, and the reverse pass as many again: that, divided by the time and by
the bandwidth of a copy measured in the same run, is the share of the bandwidth. Samples that stay in the cache of
the card, as those of small networks do, can be read faster than that. Without a GPU the script says so and ends;
``--cpu-smoke`` runs all of it on a CPU in tiny sizes, to see that it works.
"""

import argparse
from typing import NamedTuple

import jax
import jax.numpy as jnp
import library
import numpy as np
import peers
from cases import SPEED, dense, sparse, speeds
from timing import in_turn, machine, ratio, table

CASES = {
    84: lambda: dense(84),
    400: lambda: dense(400),
    1000: lambda: dense(1000),
    4000: lambda: dense(4000),
    10_000: lambda: sparse(10_000, 0.01),
}
FEWEST, MOST = 32, 2000  # steps per call


class Effort(NamedTuple):
    """How much is measured: networks, copies of them, samples read per call, numbers copied, repetitions."""

    cases: tuple
    batches: tuple[int, ...] = (1, 64, 512)
    reads: float = 1e11
    copied: int = 2**28
    repetitions: int = 5


FULL = Effort(tuple(CASES.values()))
QUICK = Effort((CASES[84], CASES[1000]), repetitions=3)
SMOKE = Effort((lambda: dense(6), lambda: sparse(20, 0.2)), (1, 3), 0.0, 2**16, 1)


def bandwidth(numbers: int) -> float:
    """Return the bytes per second of a copy, those that are read and those that are written."""
    copy = jax.jit(lambda x: x + 1)
    x = jnp.ones(numbers, jnp.float32)
    times = in_turn({"copy": copy}, x, [x] * 10)["copy"]
    return 2 * x.nbytes / float(np.median(times))


def compiled(simulate, gradient: bool, batch: int):
    """Return what maps the mean of x squared, or its value and gradient in the speed, over speeds."""

    def loss(speed):
        return jnp.mean(simulate(speed) ** 2)

    one = jax.value_and_grad(loss) if gradient else loss
    return jax.jit(one if batch == 1 else jax.vmap(one))


def tvboptim(case, steps):
    """Return tvboptim's simulations by buffer; its graph of lengths is dense, so that sparse cases are left out."""
    if case.name != "dense":
        return {}
    try:
        return {s: peers.tvboptim_model(case, steps, s) for s in peers.STRATEGIES}
    except peers.Absent:
        return {}


def attempt(simulate, gradient, batch, argument, repetitions):
    """Return the times of one program, or why there are none."""
    try:
        return in_turn({"": compiled(simulate, gradient, batch)}, argument, [argument] * repetitions)[""]
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if "RESOURCE_EXHAUSTED" in str(error) or isinstance(error, MemoryError):
            return "out of memory"
        raise


def row(case, gradient: bool, batch: int, copy: float, effort: Effort):
    """Measure one size; the peer's buffers are tried in turn, and the fastest counts."""
    edges = int(np.count_nonzero(case.weights))
    steps = int(np.clip(effort.reads / edges / batch, FEWEST, MOST))
    argument = np.float32(SPEED) if batch == 1 else speeds(batch).astype(np.float32)
    own = attempt(library.own_function(case, steps), gradient, batch, argument, effort.repetitions)
    found = {
        name: attempt(simulate, gradient, batch, argument, effort.repetitions)
        for name, simulate in tvboptim(case, steps).items()
    }
    timed = {name: t for name, t in found.items() if not isinstance(t, str)}
    peer = min(timed, key=lambda name: np.median(timed[name])) if timed else None
    title = f"N={case.n_nodes}" + ("" if case.name == "dense" else f", {case.name}")

    def cell(times):
        return times if isinstance(times, str) else f"{np.median(times) / steps / batch * 1e6:.3g}"

    if isinstance(own, str):
        share = faster = None
    else:
        read = 4 * edges * batch * steps * (2 if gradient else 1)
        share = f"{read / float(np.median(own)) / copy:.0%}"
        faster = f"**{ratio(timed[peer], own):.2f}**" if peer else None
    other = f"{cell(timed[peer])} ({peer})" if peer else next(iter(found.values()), None)
    return title, batch, steps, cell(own), share, other, faster


def rows(gradient: bool, effort: Effort) -> str:
    """Return the table of all sizes."""
    copy = bandwidth(effort.copied)
    found = []
    for make in effort.cases:
        case = make()
        for batch in effort.batches:
            found.append(row(case, gradient, batch, copy, effort))
            jax.clear_caches()
    title = "Value and gradient in the speed" if gradient else "Forward"
    header = (
        "network", "copies", "steps", "us per step and copy", "share of the bandwidth", "tvboptim (best buffer)",
        "tvboptim / ours",
    )  # fmt: skip
    return f"### {title}, a copy moves {copy / 1e9:.3g} GB/s\n\n" + table(header, found)


SECTIONS = {"forward": False, "gradient": True}


def main():
    """Print the tables, or that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 1000 nodes, few repetitions")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--cpu-smoke", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cards = [d.device_kind for d in jax.devices() if d.platform == "gpu"]
    if not (cards or options.cpu_smoke):
        print(f"> No GPU: JAX finds {jax.devices()[0].platform} only, so nothing was measured.")
        return
    effort = SMOKE if options.cpu_smoke else QUICK if options.quick else FULL
    print(f"{cards[0] if cards else 'no card, a trial of the script on a CPU'}; {machine()}\n")
    for name in options.only:
        print(rows(SECTIONS[name], effort) + "\n", flush=True)


if __name__ == "__main__":
    main()
