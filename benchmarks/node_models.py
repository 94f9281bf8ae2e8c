"""Time per step of every node model, 76 regions, Heun: by itself, and in a network with delays, noise and BOLD.

python benchmarks/node_models.py [--quick]
"""

import argparse
import time

import brainstate
import brainunit as u
import jax
import numpy as np
from timing import machine

from brainmass_delays import Connectome, Network, Projection, Simulator, WhiteNoise
from brainmass_delays.nodes import NODES
from brainmass_delays.observe import Balloon

N, STEPS, REPEATS, DT = 76, 2_000, 3, 0.01 * u.ms


def microseconds(run):
    """Return the best of some runs over their steps, compilation excluded."""
    jax.block_until_ready(run())
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return 1e6 * min(times) / STEPS


def alone(model):
    """Return a run of the nodes by themselves."""
    node = model(N, method="heun")
    brainstate.nn.init_all_states(node)

    @brainstate.transform.jit
    def run():
        def one(_):
            with brainstate.environ.context(dt=DT):
                node.update()

        brainstate.transform.for_loop(one, np.arange(STEPS))
        return u.get_mantissa(getattr(node, node.STATE_NAMES[0]).value)

    return run


def together(model):
    """Return a run of a network of them whose first state travels weakly, with noise and a BOLD signal."""
    state, driven = model.STATES[0], model.INPUTS[0]
    noisy = next(entry for entry in model.INPUTS if entry.noise)
    strength = 1e-6 if noisy.unit.is_unitless else 1e-6 * noisy.unit * u.ms**0.5
    node = model(N, method="heun", **{noisy.noise: WhiteNoise(N, strength)})
    ends = (state.name, (None, driven.name))
    conn, k = Connectome.synthetic(N).normalize("row"), u.maybe_decimal(1e-6 * driven.unit / state.unit)
    net = Network(node, projections=Projection(*ends, conn=conn, speed=6.0, coupling="additive", k=k))
    simulator = Simulator(net, dt=DT)

    def activity(net):
        return u.get_mantissa(getattr(net.node, state.name).value)

    def run():
        bold = Balloon(activity, period=STEPS * DT)
        return simulator.run(STEPS * DT, monitors={"bold": bold})["bold"]

    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three models")
    quick = parser.parse_args().quick
    print(machine() + "\n")
    print("| model | states | nodes, us per step | network, us per step |\n|---|---|---|---|")
    for name, timed in list(NODES.items())[: 3 if quick else None]:
        times = [microseconds(make(timed)) for make in (alone, together)]
        print(f"| {name} | {len(timed.STATES)} | {times[0]:.2f} | {times[1]:.1f} |", flush=True)
