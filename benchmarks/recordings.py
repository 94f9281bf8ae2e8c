"""Measure what monitors cost, beside tvboptim's streaming BOLD and neurolib's Balloon model.

    python benchmarks/recordings.py [--quick]

Every measurement runs in a process of its own, three times in turn: seconds of the second call; the growth of
the peak resident memory over what stood before the first, which holds what compiling takes; and the temporary
memory that XLA plans, where the whole run is one program. What is not installed is left out.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError

import numpy as np
from timing import machine, table

TR = 720.0  # ms
REPETITIONS = 3
PEER = 68, 120.0  # regions and seconds of the comparison with tvboptim, at 1 ms


def connectome(n):
    """Return weights of spectral radius 1 and lengths in mm."""
    import brainmass_delays as bd

    brain = bd.Connectome.synthetic(n)
    return brain.weights / np.abs(np.linalg.eigvals(brain.weights)).max(), brain.lengths


def own(n, seconds, dt, monitors):
    """Return a run of this library, and what XLA plans for it."""
    import brainunit as u

    import brainmass_delays as bd

    weights, lengths = connectome(n)
    node = bd.ReducedWongWangStep(n, noise_S=bd.WhiteNoise(n, 0.001))
    network = bd.Network(
        node,
        conn=bd.Connectome(weights, lengths),
        coupled_var="S",
        coupling="additive",
        k=0.1,
        speed=5 * u.mm / u.ms,
    )
    simulator = bd.Simulator(network, dt=dt * u.ms)

    def planned():
        import jax

        function = simulator.function(seconds * u.second, monitors=monitors)
        return temporary(jax.jit(lambda key: dict(function(key=key))), jax.random.key(0))

    return lambda: simulator.run(seconds * u.second, monitors=monitors)["status"], planned


def temporary(compilable, *arguments):
    """Return the bytes of temporary memory that XLA plans."""
    return compilable.lower(*arguments).compile().memory_analysis().temp_size_in_bytes


def bare(minutes):
    """94 regions at 0.1 ms, nothing recorded."""
    return own(94, 60 * minutes, 0.1, {})


def recorded(minutes):
    """The same with BOLD and the running correlations of every step."""
    import brainunit as u

    from brainmass_delays import observe

    monitors = {
        "bold": observe.Balloon("S", period=TR * u.ms),
        "fc": observe.Covariance("S", kind="correlation"),
    }
    return own(94, 60 * minutes, 0.1, monitors)


def streaming(minutes):
    """TVB's BOLD: every fourth millisecond, the Volterra kernel, one sample per second."""
    import brainunit as u

    from brainmass_delays import observe

    n, seconds = PEER
    bold = observe.SubSample("S", period=4 * u.ms) >> observe.HRF(
        period=1 * u.second, kernel="volterra", normalize="tvb", step=4 * u.ms
    )
    return own(n, seconds, 1.0, {"bold": bold})


def tvboptim(minutes):
    """The same by tvboptim's streaming reducer, in blocks of 2000 steps."""
    import brainunit as u
    import jax
    import jax.numpy as jnp
    from peers import installed

    installed("tvboptim")
    from tvboptim.experimental.network_dynamics import DenseLengthGraph, Network, prepare
    from tvboptim.experimental.network_dynamics.coupling import linear
    from tvboptim.experimental.network_dynamics.dynamics.tvb import ReducedWongWang
    from tvboptim.experimental.network_dynamics.noise import AdditiveNoise
    from tvboptim.experimental.network_dynamics.solvers import native
    from tvboptim.observations.tvb_monitors.bold import HRFBold, streaming_hrf_bold
    from tvboptim.observations.tvb_monitors.downsampling import SubSampling

    n, seconds = PEER
    weights, lengths = connectome(n)
    weights, lengths = jnp.asarray(weights, jnp.float32), jnp.asarray(lengths.to_decimal(u.mm), jnp.float32)
    graph = DenseLengthGraph(weights, lengths, 5.0)
    coupling = linear.DelayedLinearCoupling(incoming_states="S", G=0.1)
    network = Network(ReducedWongWang(), {"delayed": coupling}, graph, noise=AdditiveNoise(sigma=0.001))
    monitor = HRFBold(period=1000.0, downsample=SubSampling(period=4.0), downsample_period=4.0)
    model, config = prepare(
        network, native.Heun(block_size=2000), t0=0.0, t1=1000 * seconds, dt=1.0,
        reduce=streaming_hrf_bold(monitor, 1.0),
    )  # fmt: skip
    call = jax.jit(model)
    return lambda: call(config), lambda: temporary(call, config)


def stored(minutes):
    """Balloon on 94 regions and two stored minutes at 0.1 ms, as neurolib computes it."""
    import brainunit as u
    import jax

    from brainmass_delays import observe

    rates = np.random.default_rng(0).normal(5, 1, (1_200_000, 94)).astype(np.float32)
    monitor = observe.Balloon(period=2 * u.second, step=1 * u.ms)
    run = jax.jit(lambda x: observe.apply(monitor, x, 0.1 * u.ms)[1])
    return lambda: run(rates), None


def neurolib(minutes):
    """neurolib's Balloon model on the same."""
    from peers import installed

    installed("neurolib")
    installed("numba")
    from neurolib.models.bold import BOLDModel

    rates = np.random.default_rng(0).normal(5, 1, (94, 1_200_000))
    return lambda: BOLDModel(94, 0.1).run(rates), None


PROGRAMS = {f.__name__: f for f in (bare, recorded, streaming, tvboptim, stored, neurolib)}


def measure(name, minutes):
    """Print seconds of the second call, the growth of the peak memory and what XLA plans, in bytes."""
    import jax

    run, planned = PROGRAMS[name](minutes)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak()
    jax.block_until_ready(run())
    growth = peak() - before
    start = time.perf_counter()
    jax.block_until_ready(run())
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, growth, np.nan if planned is None else planned()]))


def alternate(names, minutes, repetitions):
    """Return by name the measurements, (repetition, 3), made in turn; those that are absent are left out."""
    found = {name: [] for name in names}
    for _ in range(repetitions):
        for name in names:
            command = [sys.executable, __file__, "--one", name, "--minutes", str(minutes)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 3:
                print(f"> {name} is left out: {done.stderr.strip().splitlines()[-1]}\n")
                break
            if done.returncode:
                raise RuntimeError(done.stderr)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {name: np.array(rows) for name, rows in found.items() if rows}


def compare(title, names, minutes, repetitions):
    """Return a table of programs, the ratio of times within each repetition to the first of them."""
    found = alternate(names, minutes, repetitions)
    first = next(iter(found.values()))
    rows = [
        [
            (PROGRAMS[name].__doc__ or name).strip(),
            f"{np.median(values[:, 0]):.3g}",
            f"{np.median(values[:, 0] / first[:, 0]):.2f}",
            f"{np.median(values[:, 1]) / 1e6:.0f}",
            None if np.isnan(values[0, 2]) else f"{values[0, 2] / 1e6:.2g}",
        ]
        for name, values in found.items()
    ]
    return (
        f"### {title}\n\n"
        + table(["program", "s", "times the first", "peak growth, MB", "planned by XLA, MB"], rows)
        + "\n"
    )


def main():
    """Measure all programs, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten simulated seconds, once")
    parser.add_argument("--one", choices=PROGRAMS)
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    if options.one:
        from peers import Absent

        try:
            measure(options.one, options.minutes)
        except (Absent, PackageNotFoundError) as absence:
            print(absence, file=sys.stderr)
            sys.exit(3)
        return
    minutes, repetitions = (1 / 6, 1) if options.quick else (options.minutes, REPETITIONS)
    print(machine() + "\n")
    pairs = {
        f"Monitors over {minutes:.2g} simulated minutes": ("bare", "recorded"),
        "BOLD that streams, 68 regions, 120 s at 1 ms": ("streaming", "tvboptim"),
        "Balloon on a stored trajectory of two minutes": ("stored", "neurolib"),
    }
    for title, names in pairs.items():
        print(compare(title, names, minutes, repetitions))


if __name__ == "__main__":
    main()
