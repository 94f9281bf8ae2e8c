"""Measure how the memory of value and gradient in the speed grows with the length of the run.

    python benchmarks/memory.py [--quick]

Two ways: the temporary memory that XLA plans for the compiled program, and the peak memory of a process that
runs it, each at two lengths; the difference is per step.
"""

import argparse

import jax
import jax.numpy as jnp
import library
import numpy as np
import peers
from cases import dense
from isolated import run_isolated
from timing import machine, table

PROGRAMS = (
    "own",
    "tvboptim:roll",
    "tvboptim:circular",
    "tvboptim:roll:64",
    "tvboptim:circular:64",
)
PLANNED_STEPS = {84: (1000, 3000), 400: (200, 600)}
MEASURED_STEPS = {84: (2000, 10_000), 400: (200, 1000)}


def planned(name: str, case, n_steps: int) -> int:
    """Return the bytes of temporary memory that XLA plans for value and gradient."""
    if name == "own":
        simulate = library.own_function(case, n_steps)
    else:
        _, strategy, *block = name.split(":")
        simulate = peers.tvboptim_model(
            case, n_steps, strategy, **({"block_size": int(block[0])} if block else {})
        )
    compiled = jax.jit(jax.value_and_grad(lambda speed: jnp.mean(simulate(speed) ** 2)))
    return compiled.lower(np.float32(5)).compile().memory_analysis().temp_size_in_bytes


def growth(measure, lengths) -> float:
    """Return the growth of ``measure(n_steps)`` in KB per step."""
    short, long = lengths
    return (measure(long) - measure(short)) / (long - short) / 1000


def row(name: str, quick: bool):
    """Measure one program at every size, both ways."""
    sizes = (84,) if quick else (84, 400)
    cells = [name.replace("own", "this library").replace(":64", ", block_size=64").replace(":", ", ")]
    for n in sizes:
        cells.append(f"{growth(lambda t, n=n: planned(name, dense(n), t), PLANNED_STEPS[n]):.3g}")
        cells.append(
            f"{growth(lambda t, n=n: run_isolated(name, 'gradient', n, t)[1], MEASURED_STEPS[n]):.3g}"
        )
    return cells


def tables(quick: bool) -> str:
    """Return the table of all programs that are installed."""
    try:
        peers.installed("tvboptim")
        programs = PROGRAMS[:3] if quick else PROGRAMS
    except peers.Absent as absence:
        print(f"> tvboptim is skipped: {absence}\n")
        programs = PROGRAMS[:1]
    sizes = (84,) if quick else (84, 400)
    header = [
        "additive",
        *(f"N={n}, {kind}" for n in sizes for kind in ("planned by XLA", "peak of the process")),
    ]
    return "### Growth of the memory of value and gradient, KB per step\n\n" + table(
        header, [row(name, quick) for name in programs]
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="N=84 and the default buffers only")
    print(machine() + "\n")
    print(tables(parser.parse_args().quick))


if __name__ == "__main__":
    main()
