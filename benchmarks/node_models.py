"""Time per step of every node model, 76 regions, Heun, without coupling: python benchmarks/node_models.py."""

import time

import brainstate
import brainunit as u
import jax
import numpy as np

from brainmass_delays.nodes import NODES

N, STEPS, REPEATS = 76, 2_000, 3


def microseconds_per_step(model):
    """Return the best of some runs, compilation excluded."""
    node = model(N, method="heun")
    brainstate.nn.init_all_states(node)

    @brainstate.transform.jit
    def run():
        def one(_):
            with brainstate.environ.context(dt=0.01 * u.ms):
                node.update()

        brainstate.transform.for_loop(one, np.arange(STEPS))
        return u.get_mantissa(getattr(node, node.STATE_NAMES[0]).value)

    jax.block_until_ready(run())
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return 1e6 * min(times) / STEPS


if __name__ == "__main__":
    print("| model | states | us per step |\n|---|---|---|")
    for name, timed in NODES.items():
        print(f"| {name} | {len(timed.STATES)} | {microseconds_per_step(timed):.1f} |", flush=True)
