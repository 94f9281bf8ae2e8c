"""Time fits: 200 steps of Adam beside one scan in plain JAX, and starts side by side beside one by one.

    python benchmarks/fitting.py [--quick]

A network of 10 Hopf nodes is simulated for 200 steps; its speed and its coupling are fitted to the x of all
nodes, in float64. The scan holds the same model, as `Simulator.function`, the same transforms, loss and
optimizer, and returns losses and parameters of every step. Times are those of a second call; a call of the
library traces the model anew, to see what it does now, and as many steps more cost no more than these steps.
"""

import argparse
import time

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
from brainstate.nn import SigmoidT
from timing import machine, ratio, table

from brainmass_delays import Connectome, Fitter, HopfStep, Network, Param, Simulator, objectives

N, DURATION, DT = 10, 100 * u.ms, 0.5 * u.ms
SPEED = u.mm / u.ms
BOUNDS = {"speed": (1.5, 12.0), "coupling.k": (0.02, 1.0)}
START = {"speed": 4.0, "coupling.k": 0.2}
RATE = 0.01


def network(speed, k):
    """Build the model."""
    return Network(
        HopfStep(N, a=0.1, init_x=0.1), conn=Connectome.synthetic(N), speed=speed, coupled_var="x", k=k,
        max_delay=200 * u.ms,
    )  # fmt: skip


def trainable():
    """Build the model with bounded parameters at the start."""
    low, high = BOUNDS["speed"]
    return network(
        Param(START["speed"] * SPEED, t=SigmoidT(low * SPEED, high * SPEED)),
        Param(START["coupling.k"], t=SigmoidT(*BOUNDS["coupling.k"])),
    )


def simulate(model):
    """Return x of all nodes over time."""
    return Simulator(model, dt=DT).run(DURATION, monitors=["x"])["x"]


def own(n_steps):
    """Return a fit by the library."""

    def run(data):
        fitter.model.speed = START["speed"] * SPEED
        fitter.model.coupling.k = START["coupling.k"]
        return np.array(fitter.fit(data, n_steps).history)

    fitter = Fitter(trainable(), braintools.optim.Adam(lr=RATE), predict=simulate)
    return run


def plain(n_steps):
    """Return the same fit as one scan."""
    function = Simulator(trainable(), dt=DT).function(DURATION, monitors=["x"])
    optimizer = optax.adam(RATE)

    def values(free):
        edges = {name: (low, high - low) for name, (low, high) in BOUNDS.items()}
        return {n: low + width * jax.nn.sigmoid(free[n]) for n, (low, width) in edges.items()}

    def loss(free, data):
        params = values(free)
        x = function({"speed": params["speed"] * SPEED, "coupling.k": params["coupling.k"]})["x"]
        return objectives.timeseries_rmse(x, data)

    def step(carry, data):
        free, state = carry
        value, gradient = jax.value_and_grad(loss)(free, data)
        updates, new = optimizer.update(gradient, state, free)
        return (optax.apply_updates(free, updates), new), (value, values(free))

    @jax.jit
    def scan(data):
        free = {
            name: jnp.log((START[name] - low) / (high - START[name])) for name, (low, high) in BOUNDS.items()
        }
        carry = free, optimizer.init(free)
        return jax.lax.scan(lambda carry, _: step(carry, data), carry, length=n_steps)[1]

    return lambda data: np.asarray(scan(data)[0])


def recordings(n):
    """Return the data of some repetitions."""
    clean = np.asarray(simulate(network(3.0 * SPEED, 0.3)))
    return [clean + 0.01 * np.random.default_rng(i).normal(size=clean.shape) for i in range(n)]


def alternate(runners, data):
    """Time every runner with each recording, in turn, after a first call."""
    times = {name: [] for name in runners}
    for run in runners.values():
        run(data[0])
    for each in data:
        for name, run in runners.items():
            begun = time.perf_counter()
            run(each)
            times[name].append(time.perf_counter() - begun)
    return {name: np.array(values) for name, values in times.items()}


def steps(n_steps, data):
    """Compare a fit with a scan: a whole call, and as many steps more."""
    made = {"Fitter": own, "lax.scan": plain}
    runners = {(name, n): make(n) for name, make in made.items() for n in (n_steps, 2 * n_steps)}
    ours, theirs = (runners[name, n_steps](data[0]) for name in made)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    times = alternate(runners, data)
    call = {name: times[name, n_steps] for name in made}
    more = {name: times[name, 2 * n_steps] - times[name, n_steps] for name in made}
    return [
        [what, *(f"{np.median(part[name]):.3g}" for name in made), f"**{ratio(*part.values()):.2f}**"]
        for what, part in (("the call", call), (f"{n_steps} steps more", more))
    ]


def starts(n_starts, n_steps, data):
    """Compare starts side by side with starts one after the other, which callbacks ask for."""

    def fit(callbacks):
        fitter = Fitter(trainable(), braintools.optim.Adam(lr=0.05), predict=simulate, callbacks=callbacks)
        return lambda data: fitter.fit(data, n_steps, starts=n_starts)

    times = alternate({"together": fit(None), "one by one": fit(lambda info: None)}, data)
    row = [f"{np.median(times[name]):.3g}" for name in times]
    return [[n_starts, n_steps, *row, f"{ratio(times['one by one'], times['together']):.2f}"]]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    brainstate.environ.set(precision=64)
    data = recordings(3 if quick else 7)
    print(machine().replace("float32", "float64") + "\n")
    print("### 200 steps of Adam, 10 nodes, 200 steps of the model, s\n")
    print(table(["", "Fitter", "lax.scan in plain JAX", "ratio"], steps(200, data)))
    print("\n### Starts of Adam side by side, s\n")
    rows = starts(8 if quick else 32, 60, data[:3])
    print(table(["starts", "steps", "side by side", "one by one", "times faster"], rows))


if __name__ == "__main__":
    main()
