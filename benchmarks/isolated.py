"""Run one measurement in a process of its own, for its peak memory.

    python benchmarks/isolated.py NAME KIND N_NODES N_STEPS

prints seconds per call and the peak resident memory in bytes. NAME is 'own', 'large' (a sparse network of
this library), or tvboptim with a buffer strategy, as in 'tvboptim:roll' or 'tvboptim:roll:64' (block_size);
KIND is 'forward' or 'gradient'.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def run_isolated(name: str, kind: str, n_nodes: int, n_steps: int) -> tuple[float, float]:
    """Return the seconds of one compiled call and the peak memory in bytes of a fresh process."""
    command = [sys.executable, str(Path(__file__)), name, kind, str(n_nodes), str(n_steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def _runner(name, kind, n_nodes, n_steps):
    import library
    import peers
    from cases import dense, sparse

    if name == "large":
        make = {"forward": library.own_forward, "gradient": library.own_gradient}[kind]
        return make(sparse(n_nodes, 0.01), n_steps)
    if name == "own":
        make = {"forward": library.own_forward, "gradient": library.own_gradient}[kind]
        return make(dense(n_nodes), n_steps)
    _, strategy, *block = name.split(":")
    make = {"forward": peers.tvboptim_forward, "gradient": peers.tvboptim_gradient}[kind]
    return make(dense(n_nodes), n_steps, strategy, **({"block_size": int(block[0])} if block else {}))


def main(name, kind, n_nodes, n_steps):
    """Compile, run twice, and print the second call's seconds and the peak memory."""
    import jax
    from cases import SPEED

    run = _runner(name, kind, int(n_nodes), int(n_steps))
    jax.block_until_ready(run(SPEED))
    start = time.perf_counter()
    jax.block_until_ready(run(SPEED))
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


if __name__ == "__main__":
    main(*sys.argv[1:])
