"""Time what comes before results: the import, the first call, a second Network, the demo.

    python benchmarks/startup.py [--quick] [--only imports first networks demo]

Everything runs in processes of its own, whose persistent compilation cache is a new folder; what is shown is the
median of some.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace

import numpy as np
from timing import run_sections, table

REPETITIONS = 3
STEPS = 100
OWN = "brainmass_delays"


def fresh(*command: str, cache: str | None = None, cwd: str | None = None) -> subprocess.CompletedProcess:
    """Run Python in a new process, which keeps compiled programs in a folder, or nowhere."""
    setting = {"JAX_COMPILATION_CACHE_DIR": cache} if cache else {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=cwd, env=os.environ | setting
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    return done


def packages() -> Counter:
    """Return the seconds that an import of the library spends in the modules of every package."""
    spent = Counter()
    for line in fresh("-X", "importtime", "-c", f"import {OWN}").stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            spent[parts[2].strip().split(".")[0]] += int(parts[0]) / 1e6
    return spent


def imports(quick):
    """Share the time of an import out among packages; that of finding and tracing them is part of it."""
    found = [packages() for _ in range(2 if quick else REPETITIONS)]
    median = {name: float(np.median([each[name] for each in found])) for name in found[0]}
    names = sorted(set(median) - {OWN}, key=median.get, reverse=True)[:6]
    rest = sum(median.values()) - median[OWN] - sum(median[name] for name in names)
    header = ("this library", *names, "all others", "sum")
    cells = (median[OWN], *(median[name] for name in names), rest, sum(median.values()))
    return "### Import, s by package\n\n" + table(header, [[f"{cell:.2f}" for cell in cells]])


def first_call(name):
    """Build value and gradient of one program and call it twice; return seconds of building and both calls."""
    import jax
    import library
    import peers
    from cases import SPEED, dense

    case = dense(84)
    if name != "own":
        peers.load_tvboptim()
    jax.block_until_ready(jax.jit(lambda x: x + 1)(1.0))  # JAX starts
    marks = [time.perf_counter()]
    run = library.own_gradient(case, STEPS) if name == "own" else peers.tvboptim_gradient(case, STEPS, name)
    for _ in range(2):
        marks.append(time.perf_counter())
        jax.block_until_ready(run(SPEED))
    return [*np.diff([*marks, time.perf_counter()])]


def first(quick):
    """Time the first call of value and gradient with an empty and with a filled persistent cache."""
    programs = {"this library": "own", "tvboptim, roll": "roll"}
    found = {(name, state): [] for name in programs for state in ("empty", "filled")}
    for _ in range(1 if quick else REPETITIONS):
        for name, argument in programs.items():
            with tempfile.TemporaryDirectory() as cache:
                for state in ("empty", "filled"):
                    done = fresh(__file__, "--one", "first_call", argument, cache=cache)
                    if done.returncode == 0:
                        found[name, state].append(json.loads(done.stdout.splitlines()[-1]))
    found = {key: np.array(values) for key, values in found.items() if values}
    rows = []
    for (name, state), values in found.items():
        build, call, again = np.median(values, axis=0)
        whole = values[:, :2].sum(1)
        mine = found["this library", state][:, :2].sum(1)
        share = f"**{np.median(mine / whole):.2f}**" if name != "this library" else None
        rows.append((name, state, f"{build:.2f}", f"{call:.2f}", f"{again:.4f}", share))
    header = ("value and gradient, N=84", "cache", "building", "first call", "second call", "ours / theirs")
    return "### First call in a new process, s\n\n" + table(header, rows)


def call_networks(kind):
    """Run three Networks, without a `jax.jit` around them; return seconds and programs compiled by each."""
    import brainunit as u
    import jax
    import jax.numpy as jnp
    import library
    from cases import DT, dense

    import brainmass_delays as bd

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    case, found = dense(84), []
    other = dense(84, seed=1)
    other = replace(other, lengths=np.clip(other.lengths, case.lengths.min(), case.lengths.max()))
    for each in (case, case, other):
        before, start = len(compiled), time.perf_counter()
        simulator = bd.Simulator(library.network(each), dt=DT * u.ms)
        if kind == "forward":
            value = simulator.run(STEPS * DT * u.ms, monitors=["x"])["x"]
        else:
            run = simulator.function(STEPS * DT * u.ms, monitors=["x"])
            value = jax.value_and_grad(lambda v, run=run: jnp.mean(run({"speed": v})["x"] ** 2))(5.0)
        jax.block_until_ready(value)
        found.append((time.perf_counter() - start, len(compiled) - before))
    return found


def networks(quick):
    """Count what new Networks compile."""
    rows = []
    for kind in ("forward", "value and gradient"):
        found = json.loads(fresh(__file__, "--one", "call_networks", kind).stdout.splitlines()[-1])
        rows.append((kind, *(f"{seconds:.2f} s, {count} programs" for seconds, count in found)))
    header = ("100 steps, N=84, no jit around", "first Network", "same connectome", "other connectome")
    return "### A second Network in the same process\n\n" + table(header, rows)


def demo(quick):
    """Time the demo with an empty and a filled cache; a short look leaves it out."""
    if quick:
        return "The demo is left out of a short look."
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            start = time.perf_counter()
            fresh("-m", OWN, "demo", cache=f"{folder}/cache", cwd=folder)
            cells.append(f"{time.perf_counter() - start:.1f}")
    return "### The demo, s\n\n" + table(("empty cache", "filled cache"), [cells])


SECTIONS = {f.__name__: f for f in (imports, first, networks, demo)}


def main():
    """Print the tables, or what one process measures."""
    if sys.argv[1:2] == ["--one"]:
        from peers import Absent

        _, _, name, argument = sys.argv
        try:
            print(json.dumps(globals()[name](argument)))
        except Absent as absence:
            print(absence, file=sys.stderr)
            sys.exit(3)
        return
    run_sections(SECTIONS, __doc__, "few repetitions, no demo")


if __name__ == "__main__":
    main()
