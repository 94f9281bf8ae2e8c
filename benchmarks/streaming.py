"""Measure long runs that keep means only: memory of a fresh process, and time per step beside a short run.

    python benchmarks/streaming.py [--quick]

84 Hopf nodes with white noise at dt = 0.1 ms, means over every 10 ms: forward, value and gradient by reverse mode,
and derivatives in two parameters by forward mode.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from timing import machine, table

SECONDS = {"forward": 1200, "gradient": 60, "two derivatives": 300}
QUICK = {"forward": 20, "gradient": 5, "two derivatives": 5}
STEPS_PER_SECOND = 10_000


def resident() -> int:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def program(kind: str, seconds: float):
    """Return a function without arguments that runs one compiled program."""
    import brainunit as u
    import jax
    import jax.numpy as jnp
    from cases import dense

    from brainmass_delays import HopfStep, Network, Param, Simulator, WhiteNoise
    from brainmass_delays.observe import TemporalAverage

    case = dense(84)
    node = HopfStep(84, a=-0.02, w=0.25, noise_x=WhiteNoise(84, 0.02), noise_y=WhiteNoise(84, 0.02))
    net = Network(
        node,
        conn=case.weights,
        lengths=case.lengths * u.mm,
        speed=Param(5.0 * u.mm / u.ms),
        max_delay=case.max_delay * u.ms,
        min_delay=case.min_delay * u.ms,
        k=Param(0.1),
        coupled_var="x",
    )
    simulator = Simulator(net, dt=0.1 * u.ms, gradient="forward" if kind == "two derivatives" else "reverse")
    run = simulator.function(seconds * u.second, monitors={"x": TemporalAverage("x", period=10 * u.ms)})

    def loss(params):
        return jnp.mean(run(params)["x"] ** 2)

    values = {"speed": jnp.float32(5.0), "k": jnp.float32(0.1)}
    make = {
        "forward": lambda: jax.jit(loss),
        "gradient": lambda: jax.jit(jax.value_and_grad(loss)),
        "two derivatives": lambda: jax.jit(jax.jacfwd(loss)),
    }[kind]()
    return lambda: jax.block_until_ready(make(values))


def measure(kind: str, seconds: float) -> list[float]:
    """Return microseconds per step, and the growth of memory in MB: over that of 1 s, and over none."""
    before = resident()
    short, long = program(kind, 1), program(kind, seconds)
    short()
    after_short = resident()
    start = time.perf_counter()
    for _ in range(3):
        short()
    one_second = (time.perf_counter() - start) / 3 / STEPS_PER_SECOND
    start = time.perf_counter()
    long()
    compiled_too = time.perf_counter() - start
    if seconds <= 60:  # else compiling does not count
        start = time.perf_counter()
        long()
        compiled_too = time.perf_counter() - start
    per_step = compiled_too / seconds / STEPS_PER_SECOND
    return [1e6 * one_second, 1e6 * per_step, resident() - after_short, resident() - before]


def fresh(kind: str, seconds: float) -> list[float]:
    """Measure in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--one", kind, str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", nargs=2)
    options = parser.parse_args()
    if options.one:
        kind, seconds = options.one
        print(json.dumps(measure(kind, float(seconds))))
        return
    print(f"{machine()}\n\n### Long runs, N=84, dt 0.1 ms, white noise, means over 10 ms\n")
    rows = []
    for kind, seconds in (QUICK if options.quick else SECONDS).items():
        short, long, grown, all_in = fresh(kind, seconds)
        cells = (f"{short:.3g}", f"{long:.3g}", f"{long / short:.2f}", f"{grown:.0f}", f"{all_in:.0f}")
        rows.append([kind, f"{seconds} s", *cells])
    header = [
        "",
        "run",
        "us per step in 1 s",
        "us per step",
        "ratio",
        "MB over the run of 1 s",
        "MB over none",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
