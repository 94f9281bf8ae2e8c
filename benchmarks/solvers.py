"""Compare the adaptive solvers with diffrax in one run, and measure the memory of the loops.

    python benchmarks/solvers.py [--quick] [--problem NAME]

The tables go to stdout as Markdown. Calls take turns and the fastest of each is shown beside the median of the
ratios of neighboring calls, so that the ratios hold on a machine that others use.
"""

import argparse
import time
from importlib.metadata import version

import brainstate
import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from timing import machine, table

from brainmass_delays.integrate import solve_dde, solve_ode, while_loop

MAX_STEPS = 4096
WARM_UP = 15  # calls just after a compilation took up to 20 times as long as later ones
METHODS = {"dopri5": diffrax.Dopri5, "tsit5": diffrax.Tsit5}


def lotka_volterra(t, y, p):
    """Two species."""
    return jnp.array([p * y[0] - 0.05 * y[0] * y[1], -0.5 * y[1] + 0.05 * y[0] * y[1]])


def van_der_pol(t, y, p):
    """A relaxation oscillator; p is twice its damping."""
    return jnp.array([y[1], 2 * p * (1 - y[0] ** 2) * y[1] - y[0]])


def ring(t, y, p):
    """Hopf oscillators on a ring, 50 nodes, x and y stacked."""
    x, y = y[:50], y[50:]
    growth = 0.1 - x**2 - y**2
    coupling = p * (jnp.roll(x, 1) + jnp.roll(x, -1) - 2 * x)
    return jnp.concatenate([growth * x - 3.0 * y + coupling, growth * y + 3.0 * x])


def fitzhugh_nagumo(t, y, p):
    """An excitable cell, here firing."""
    return jnp.array([y[0] - y[0] ** 3 / 3 - y[1] + p, 0.08 * (y[0] + 0.7 - 0.8 * y[1])])


def jansen_rit(t, y, p):
    """A cortical column, time in seconds; p scales its input."""

    def rate(v):
        return 5.0 / (1 + jnp.exp(0.56 * (6.0 - v)))

    pulse = 3.25 * 100 * rate(y[1] - y[2])
    excitation = 3.25 * 100 * (240 * p + 108.0 * rate(135.0 * y[0]))
    inhibition = 22 * 50 * 33.75 * rate(33.75 * y[0])
    fast, slow = jnp.array([pulse, excitation]), inhibition
    return jnp.concatenate([
        y[3:], fast - 200 * y[3:5] - 1e4 * y[:2], (slow - 100 * y[5] - 2500 * y[2])[None]
    ])  # fmt: skip


PROBLEMS = {
    "Lotka-Volterra": (lotka_volterra, lambda: jnp.array([20.0, 20.0]), 10.0),
    "van der Pol": (van_der_pol, lambda: jnp.array([2.0, 0.0]), 10.0),
    "FitzHugh-Nagumo": (fitzhugh_nagumo, lambda: jnp.array([-1.0, 1.0]), 40.0),
    "Jansen-Rit": (jansen_rit, lambda: jnp.zeros(6), 0.5),
    "50 Hopf nodes": (ring, lambda: 0.3 * jnp.cos(jnp.arange(100.0)), 10.0),
}
CASES = [
    ("Lotka-Volterra", "dopri5", 1e-6),
    ("van der Pol", "tsit5", 1e-9),
    ("FitzHugh-Nagumo", "dopri5", 1e-6),
    ("Jansen-Rit", "dopri5", 1e-6),
    ("50 Hopf nodes", "tsit5", 1e-6),
]


def ours(f, method, t1, tolerance, loop):
    """Return ``(p, y0) -> (sum of squares, evaluations)`` by this library."""

    def loss(p, y0):
        solution = solve_ode(
            f, y0, 0.0, t1, args=p, method=method, rtol=tolerance, atol=tolerance, max_steps=MAX_STEPS,
            while_loop=loop,
        )  # fmt: skip
        return jnp.sum(solution.ys**2), solution.statistics.evaluations

    return loss


def peer(f, method, t1, tolerance, loop):
    """Return the same by diffrax with its integral controller."""
    adjoint = diffrax.ForwardMode() if loop == "lax" else diffrax.RecursiveCheckpointAdjoint()

    def loss(p, y0):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(f), METHODS[method](), 0.0, t1, None, y0, p, adjoint=adjoint, max_steps=MAX_STEPS,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        )  # fmt: skip
        first = 2  # the first slope and the guess of the first step
        return jnp.sum(solution.ys[0] ** 2), first + 6 * solution.stats["num_steps"]

    return loss


def compile_seconds(function, *args):
    """Trace and compile; return the executable and the time."""
    jax.clear_caches()
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*args).compile()
    return compiled, time.perf_counter() - start


def interleaved(functions, *args, repetitions, warm_up=WARM_UP):
    """Return the run times ``(repetition, function)`` in microseconds, the calls of the functions taking turns."""
    times = []
    for _ in range(warm_up + repetitions):
        row = []
        for function in functions:
            start = time.perf_counter()
            jax.block_until_ready(function(*args))
            row.append(time.perf_counter() - start)
        times.append(row)
    return 1e6 * np.array(times[warm_up:])


def compare_with_diffrax(cases, repetitions):
    """Print run time, compile time and evaluations of value and gradient beside those of diffrax."""
    print(f"\n### solve_ode and diffrax {version('diffrax')}, float64, integral control\n")
    columns = ["problem", "method", "tolerance", "evaluations", "forward us", "gradient us"]
    rows = []
    for name, method, tolerance in cases:
        f, y0, t1 = PROBLEMS[name]
        args = jnp.asarray(0.5), y0()
        cells, compiling, results = [], [], []
        for loop in ("lax", "checkpointed"):
            functions, seconds = [], []
            for solver in (ours, peer):
                loss = solver(f, method, t1, tolerance, loop)
                wanted = loss if loop == "lax" else jax.value_and_grad(loss, (0, 1), has_aux=True)
                compiled, spent = compile_seconds(wanted, *args)
                functions.append(compiled)
                seconds.append(spent)
            results.append([g(*args) for g in functions])
            cells.append(run_times(interleaved(functions, *args, repetitions=repetitions)))
            compiling.append(ratio(seconds))
        gradients = [result[1][1] for result in results[1]]
        agree = np.allclose(*gradients, rtol=1e3 * tolerance, atol=1e3 * tolerance)
        evaluations = ratio([int(value[1]) for value in results[0]])
        rows.append(
            [name, method, f"{tolerance:g}", evaluations, *cells, *compiling, "yes" if agree else "NO"]
        )
    print(table([*columns, "compile forward s", "compile gradient s", "gradients agree"], rows), flush=True)
    print("\nours / diffrax = ratio; run times: the fastest, and in brackets the median of the ratios of runs "
          "that followed each other.")  # fmt: skip


def ratio(pair):
    """Show ours, theirs and the ratio."""
    mine, other = pair
    digits = ".0f" if mine > 20 else ".2f"
    return f"{mine:{digits}} / {other:{digits}} = {mine / other:.2f}"


def run_times(times):
    """Show the fastest runs, their ratio, and the median of the ratios within a repetition."""
    return f"{ratio(times.min(0))} [{np.median(times[:, 0] / times[:, 1]):.2f}]"


def measure_loop_memory(bounds, repetitions):
    """Print the temporary memory of value and gradient of a loop of 30 steps, by kind and bound."""
    print("\n### Temporary memory of a gradient: 30 steps, a state of 1000 numbers (8 kB)\n")
    columns = ["max_steps", "bounded kB", "checkpointed kB", "checkpointed kB / sqrt(max_steps)"]
    rows = []
    for max_steps in bounds:
        sizes, functions = [], []
        for kind in ("bounded", "checkpointed"):

            def loss(y, kind=kind, max_steps=max_steps):
                def body(state):
                    return state[0] + 1, state[1] + 0.01 * jnp.sin(state[1])

                return while_loop(lambda s: s[0] < 30, body, (0, y), kind=kind, max_steps=max_steps)[1].sum()

            compiled, _ = compile_seconds(jax.value_and_grad(loss), jnp.ones(1000))
            sizes.append(compiled.memory_analysis().temp_size_in_bytes / 1e3)
            functions.append(compiled)
        times = interleaved(functions, jnp.ones(1000), repetitions=repetitions).min(0)
        rows.append([max_steps, *(f"{size:.0f}" for size in sizes), f"{sizes[1] / max_steps**0.5:.1f}",
                     *(f"{t:.0f}" for t in times)])  # fmt: skip
    print(table([*columns, "bounded us", "checkpointed us"], rows), flush=True)


def measure_second_calls():
    """Print what calls cost as users make them, without a `jax.jit` around: the first and the second."""
    print("\n### A call without jit, tolerance 1e-6, ms\n")
    rows = []
    f, y0, t1 = PROBLEMS["FitzHugh-Nagumo"]
    calls = {
        "solve_ode": lambda p: solve_ode(f, y0(), 0.0, t1, args=p, rtol=1e-6, atol=1e-6).ys,
        "solve_dde, Mackey-Glass": lambda p: mackey_glass(16.5 + p, 1e-6, "lax").ys,
        "solve_ode, gradient": jax.grad(
            lambda p: solve_ode(f, y0(), 0.0, t1, args=p, while_loop="checkpointed").ys.sum()
        ),
    }
    for name, call in calls.items():
        times = []
        for p in (0.5, 0.51, 0.52, 0.53):
            start = time.perf_counter()
            jax.block_until_ready(call(jnp.asarray(p)))
            times.append(1e3 * (time.perf_counter() - start))
        rows.append([name, f"{times[0]:.0f}", f"{np.median(times[1:]):.3g}"])
    print(table(["", "first call", "later calls, other numbers"], rows), flush=True)


def mackey_glass(delay, tolerance, loop):
    """Solve the Mackey-Glass equation to t = 300."""

    def f(t, y, delayed, args):
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * y

    return solve_dde(f, 1.2, 0.0, 300.0, delay, rtol=tolerance, atol=tolerance, while_loop=loop)


def hopf_network(delays, tolerance, loop):
    """Solve 84 Hopf nodes, all coupled, a delay on each edge."""
    weights = jnp.asarray(np.random.default_rng(0).uniform(size=(84, 84)) / 84)

    def f(t, y, delayed, args):
        x, y = y
        growth = 0.1 - x**2 - y**2
        return growth * x - 3.0 * y + (weights * (delayed - x[:, None])).sum(1), growth * y + 3.0 * x

    history = (0.3 * jnp.cos(jnp.arange(84.0)), 0.3 * jnp.sin(jnp.arange(84.0)))
    return solve_dde(f, history, 0.0, 20.0, delays, coupled=lambda u: u[0], rtol=tolerance, atol=tolerance,
                     while_loop=loop, max_steps=1024)  # fmt: skip


def measure_delay_equations(tolerances):
    """Print cost and work of delay equations, for which diffrax has no solver."""
    print("\n### solve_dde: Mackey-Glass to t = 300, and a network of delayed edges\n")
    lengths = jnp.asarray(np.random.default_rng(1).uniform(0.3, 2.0, size=(84, 84)))
    rows = []
    for name, solve, delay in (
        ("Mackey-Glass", mackey_glass, jnp.asarray(17.0)),
        ("84 Hopf nodes", hopf_network, lengths),
    ):
        for tolerance in tolerances:

            def loss(delay, loop, solve=solve, tolerance=tolerance):
                solution = solve(delay, tolerance, loop)
                return sum(jnp.sum(x**2) for x in jax.tree.leaves(solution.ys)), solution.statistics

            forward = jax.jit(lambda delay, loss=loss: loss(delay, "lax"))
            gradient = jax.jit(jax.grad(lambda delay, loss=loss: loss(delay, "checkpointed")[0]))
            statistics = forward(delay)[1]
            gradient(delay)
            times = interleaved([forward, gradient], delay, repetitions=5, warm_up=1).min(0) / 1e3
            rows.append([name, f"{tolerance:g}", statistics.accepted, statistics.evaluations,
                         *(f"{t:.2f}" for t in times)])  # fmt: skip
    columns = ["problem", "tolerance", "accepted", "evaluations", "forward ms", "gradient in the delays ms"]
    print(table(columns, rows), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few repetitions, one problem, no tables of delay equations"
    )
    parser.add_argument("--problem", choices=PROBLEMS, help="compare with diffrax on this problem only")
    options = parser.parse_args()
    brainstate.environ.set(precision=64)
    print(machine().replace("float32", "float64"))
    repetitions = 10 if options.quick else 50
    chosen = [case for case in CASES if options.problem in (None, case[0])]
    compare_with_diffrax(chosen[:1] if options.quick else chosen, repetitions)
    if options.problem is None:
        measure_second_calls()
        measure_loop_memory((64,) if options.quick else (64, 256, 1024, 4096, 16384, 65536), repetitions)
        if not options.quick:
            measure_delay_equations((1e-4, 1e-8))
