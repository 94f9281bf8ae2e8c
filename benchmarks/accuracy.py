"""Measure errors and orders on a linear network of four nodes whose delays lie off the grid of steps.

    python benchmarks/accuracy.py [--quick]

With smooth history the solution is an eigenmode, known in closed form. With constant history it is the method
of steps by RK4 on a grid that holds every delay, so that no kink falls inside a step. All in float64; errors
are the largest over nodes and steps up to 6 ms.
"""

import argparse
import itertools
from functools import partial

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import peers
from scipy.optimize import root
from timing import machine, table

import brainmass_delays as bd

END, DAMPING, GRID = 6.0, -1.0, 6.25e-4  # ms, 1/ms, ms
DELAYS = np.array(
    [
        [0.0, 0.337, 1.171, 1.913],
        [0.523, 0.0, 0.859, 1.447],
        [0.741, 1.609, 0.0, 0.461],
        [1.283, 0.977, 1.999, 0.0],
    ]
)
DELAYS = np.rint(DELAYS / GRID) * GRID  # ms, on the grid of the reference and off those of STEPS
WEIGHTS = np.array(
    [[0.0, -0.9, 0.6, 0.8], [0.7, 0.0, -1.1, 0.5], [-0.8, 0.9, 0.0, 0.6], [1.0, -0.5, 0.7, 0.0]]
)
STEPS = (0.1, 0.025, 0.00625)  # ms


def eigenmode():
    """Return ``x(t)``, the real part of ``exp(lambda t) v`` for one root of the characteristic equation."""

    def matrix(rate):
        return WEIGHTS * np.exp(-rate * DELAYS) + (DAMPING - rate) * np.eye(4)

    def residual(parts):
        value = np.linalg.det(matrix(complex(*parts)))
        return [value.real, value.imag]

    found = root(residual, [0.1, 1.5], tol=1e-14)
    rate = complex(*found.x)
    vector = np.linalg.svd(matrix(rate))[2][-1].conj()
    vector /= np.abs(vector).max()
    return lambda t: np.real(np.exp(rate * np.asarray(t)[..., None]) * vector), rate, vector


def method_of_steps(history, end: float) -> np.ndarray:
    """Solve from constant history by RK4 and Hermite reads on ``GRID``; return every step."""
    n_steps, lag = round(end / GRID), np.rint(DELAYS / GRID).astype(int)
    x, slope = np.zeros((n_steps + 1, 4)), np.zeros((n_steps + 1, 4))
    x[0] = history
    source = np.tile(np.arange(4), (4, 1))

    def drive(i, half):
        first = i - lag
        past = np.where(first < 0, history[source], x[np.maximum(first, 0), source])
        if half:
            a, b = np.maximum(first, 0), np.maximum(first + 1, 0)
            middle = (x[a, source] + x[b, source]) / 2 + GRID / 8 * (slope[a, source] - slope[b, source])
            past = np.where(first < 0, history[source], middle)
        return (WEIGHTS * past).sum(1)

    for i in range(n_steps):
        start, middle, end_ = drive(i, False), drive(i, True), drive(i + 1, False)
        k1 = slope[i] = DAMPING * x[i] + start
        k2 = DAMPING * (x[i] + GRID / 2 * k1) + middle
        k3 = DAMPING * (x[i] + GRID / 2 * k2) + middle
        k4 = DAMPING * (x[i] + GRID * k3) + end_
        x[i + 1] = x[i] + GRID / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


def own(method, interpolation, stages, history, start, dt):
    """Simulate in this library; returns ``(step, node)``."""
    node = bd.LinearStep(4, gamma=DAMPING, init_x=start, method=method)
    net = bd.Network(
        node,
        conn=WEIGHTS,
        delay=DELAYS * u.ms,
        coupling="additive",
        coupled_var="x",
        stages=stages,
        interpolation=interpolation,
        delay_init=history,
    )
    return bd.Simulator(net, dt=dt * u.ms).run(END * u.ms, monitors=["x"])["x"]


def tvboptim(method, stages, past, dt):
    """Simulate in tvboptim, linear reads; ``past(times)`` fills its buffer."""
    peers.installed("tvboptim")
    from tvboptim.experimental.network_dynamics import DenseDelayGraph, Network, prepare
    from tvboptim.experimental.network_dynamics.coupling import DelayedLinearCoupling
    from tvboptim.experimental.network_dynamics.dynamics.tvb import Linear
    from tvboptim.experimental.network_dynamics.solvers import native

    solver = {"euler": native.Euler, "heun": native.Heun, "rk4": native.RungeKutta4}[method]
    coupling = DelayedLinearCoupling(incoming_states="x", history_interpolation="linear")
    network = Network(Linear(gamma=DAMPING), {"delayed": coupling}, DenseDelayGraph(WEIGHTS, DELAYS))
    model, config = prepare(
        network, solver(recompute_coupling_per_stage=stages == "each"), t0=0.0, t1=END, dt=dt
    )
    history = config.initial_state.coupling.delayed.history
    values = past(dt * np.arange(1 - len(history), 1))
    config.initial_state.coupling.delayed.history = jnp.asarray(values)[:, None, :]
    config.initial_state.dynamics = jnp.asarray(values[-1:])
    return model(config).ys[:, 0]


def slope(errors, steps) -> float:
    """Return the order: the slope of log error over log step."""
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def errors_of(simulate, exact, steps):
    """Return the largest error for every step size."""
    return [float(np.abs(np.asarray(simulate(dt)) - exact(dt)).max()) for dt in steps]


def rows(quick: bool):
    """Yield one row per program, method, interpolation, stages and history."""
    steps = STEPS[:2] if quick else STEPS
    mode, rate, vector = eigenmode()
    constant = mode(0.0)
    fine = method_of_steps(constant, END)
    solutions = {
        "smooth": lambda dt: mode(dt * np.arange(1, round(END / dt) + 1)),
        "constant": lambda dt: fine[round(dt / GRID) :: round(dt / GRID)],
    }
    pasts = {"smooth": mode, "constant": lambda t: np.broadcast_to(constant, (len(t), 4))}

    def history(t):
        return jnp.real(jnp.exp(rate * t.to_decimal(u.ms)) * vector)

    inits = {"smooth": history, "constant": None}
    kinds, ways = (("smooth",), ("each",)) if quick else (solutions, ("each", "frozen"))
    for kind, stages, method in itertools.product(kinds, ways, ("euler", "heun", "rk4")):
        for interpolation in ("hermite",) if quick else ("nearest", "linear", "cubic", "hermite"):
            simulate = partial(own, method, interpolation, stages, inits[kind], constant)
            found = errors_of(simulate, solutions[kind], steps)
            yield "this library", kind, stages, method, interpolation, *_cells(found, steps)
        try:
            found = errors_of(partial(tvboptim, method, stages, pasts[kind]), solutions[kind], steps)
        except peers.Absent:
            continue
        yield "tvboptim", kind, stages, method, "linear", *_cells(found, steps)


def _cells(errors, steps):
    return f"{errors[0]:.1e}", f"{errors[-1]:.1e}", f"{slope(errors, steps):.2f}"


def tables(quick: bool) -> str:
    """Return the table of all combinations."""
    steps = STEPS[:2] if quick else STEPS
    header = (
        "program",
        "history",
        "stages",
        "method",
        "reads",
        f"error at dt={steps[0]} ms",
        f"at dt={steps[-1]} ms",
        "order",
    )
    with brainstate.environ.context(precision=64):
        return "### Error and order, four linear nodes, delays off the grid\n\n" + table(header, rows(quick))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two step sizes, smooth history, hermite reads at each stage"
    )
    quick = parser.parse_args().quick
    brainstate.environ.set(precision=64)
    print(machine().replace("float32", "float64") + "\n")
    print(tables(quick))


if __name__ == "__main__":
    main()
