"""Compare the adaptive solvers with diffrax in one run, and measure the memory of the loops.

Run ``python benchmarks/solvers.py``; the tables go to stdout as Markdown. Times are the fastest of
interleaved repetitions, so that the ratios hold on a machine that others use.
"""

import time

import brainstate
import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from brainmass_delays.integrate import solve_dde, solve_ode, while_loop

REPETITIONS = 25
MAX_STEPS = 4096
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


PROBLEMS = {
    "Lotka-Volterra": (lotka_volterra, lambda: jnp.array([20.0, 20.0]), 10.0),
    "van der Pol": (van_der_pol, lambda: jnp.array([2.0, 0.0]), 10.0),
    "50 Hopf nodes": (ring, lambda: 0.3 * jnp.cos(jnp.arange(100.0)), 10.0),
}
CASES = [
    ("Lotka-Volterra", "dopri5", 1e-6),
    ("50 Hopf nodes", "tsit5", 1e-6),
    ("van der Pol", "tsit5", 1e-9),
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


def interleaved_minima(functions, *args):
    """Return the shortest run time of each function, in microseconds, their calls taking turns."""
    times = []
    for _ in range(REPETITIONS):
        row = []
        for function in functions:
            start = time.perf_counter()
            jax.block_until_ready(function(*args))
            row.append(time.perf_counter() - start)
        times.append(row)
    return 1e6 * np.min(times, axis=0)


def compare_with_diffrax():
    """Print run time, compile time and evaluations of value and gradient beside those of diffrax."""
    print("\n## solve_ode and diffrax 0.7.2, float64, integral control\n")
    columns = ["problem", "method", "tolerance", "evaluations", "forward us", "gradient us"]
    print("| " + " | ".join([*columns, "compile forward s", "compile gradient s"]) + " |")
    print("|---|---|---|---|---|---|---|---|")
    for name, method, tolerance in CASES:
        f, y0, t1 = PROBLEMS[name]
        args = jnp.asarray(0.5), y0()
        cells = []
        for loop in ("lax", "checkpointed"):
            functions, seconds = [], []
            for solver in (ours, peer):
                loss = solver(f, method, t1, tolerance, loop)
                wanted = loss if loop == "lax" else jax.value_and_grad(loss, (0, 1), has_aux=True)
                compiled, spent = compile_seconds(wanted, *args)
                functions.append(compiled)
                seconds.append(spent)
            cells.append((interleaved_minima(functions, *args), seconds, [g(*args) for g in functions]))
        (forward, compile_f, values), (gradient, compile_g, grads) = cells
        agree = np.allclose(grads[0][1][1], grads[1][1][1], rtol=1e3 * tolerance, atol=1e3 * tolerance)
        evaluations = [int(value[1]) for value in values]
        row = [evaluations, forward, gradient, compile_f, compile_g]
        print(f"| {name} | {method} | {tolerance:g} | " + " | ".join(map(ratio, row)) + " |"
              + ("" if agree else " gradients differ!"), flush=True)  # fmt: skip


def ratio(pair):
    """Show ours, theirs and the ratio."""
    mine, other = pair
    digits = ".0f" if mine > 20 else ".2f"
    return f"{mine:{digits}} / {other:{digits}} = {mine / other:.2f}"


def measure_loop_memory():
    """Print the temporary memory of value and gradient of a loop of 30 steps, by kind and bound."""
    print("\n## Temporary memory of a gradient: 30 steps, a state of 1000 numbers (8 kB)\n")
    columns = ["max_steps", "bounded kB", "checkpointed kB", "checkpointed kB / sqrt(max_steps)"]
    print("| " + " | ".join([*columns, "bounded us", "checkpointed us"]) + " |")
    print("|---|---|---|---|---|---|")
    for max_steps in (64, 256, 1024, 4096, 16384, 65536):
        sizes, functions = [], []
        for kind in ("bounded", "checkpointed"):

            def loss(y, kind=kind, max_steps=max_steps):
                def body(state):
                    return state[0] + 1, state[1] + 0.01 * jnp.sin(state[1])

                return while_loop(lambda s: s[0] < 30, body, (0, y), kind=kind, max_steps=max_steps)[1].sum()

            compiled, _ = compile_seconds(jax.value_and_grad(loss), jnp.ones(1000))
            sizes.append(compiled.memory_analysis().temp_size_in_bytes / 1e3)
            functions.append(compiled)
        times = interleaved_minima(functions, jnp.ones(1000))
        print(f"| {max_steps} | {sizes[0]:.0f} | {sizes[1]:.0f} | {sizes[1] / max_steps**0.5:.1f} "
              f"| {times[0]:.0f} | {times[1]:.0f} |", flush=True)  # fmt: skip


def measure_delay_equations():
    """Print cost and work of delay equations, for which diffrax has no solver."""
    print("\n## solve_dde: Mackey-Glass to t = 300, and a network of delayed edges\n")
    print("| problem | tolerance | accepted | evaluations | forward ms | gradient in the delays ms |")
    print("|---|---|---|---|---|---|")

    def mackey_glass(delay, tolerance, loop):
        def f(t, y, delayed, args):
            return 0.2 * delayed / (1 + delayed**10) - 0.1 * y

        return solve_dde(f, 1.2, 0.0, 300.0, delay, rtol=tolerance, atol=tolerance, while_loop=loop)

    weights = jnp.asarray(np.random.default_rng(0).uniform(size=(84, 84)) / 84)

    def network(delay, tolerance, loop):
        def f(t, y, delayed, args):
            x, y = y
            growth = 0.1 - x**2 - y**2
            return growth * x - 3.0 * y + (weights * (delayed - x[:, None])).sum(1), growth * y + 3.0 * x

        history = (0.3 * jnp.cos(jnp.arange(84.0)), 0.3 * jnp.sin(jnp.arange(84.0)))
        return solve_dde(f, history, 0.0, 20.0, delay, coupled=lambda u: u[0], rtol=tolerance, atol=tolerance,
                         while_loop=loop, max_steps=1024)  # fmt: skip

    lengths = jnp.asarray(np.random.default_rng(1).uniform(0.3, 2.0, size=(84, 84)))
    for name, solve, delay in (
        ("Mackey-Glass", mackey_glass, jnp.asarray(17.0)),
        ("84 Hopf nodes", network, lengths),
    ):
        for tolerance in (1e-4, 1e-8):

            def loss(delay, loop, solve=solve, tolerance=tolerance):
                solution = solve(delay, tolerance, loop)
                return sum(jnp.sum(x**2) for x in jax.tree.leaves(solution.ys)), solution.statistics

            forward = jax.jit(lambda delay, loss=loss: loss(delay, "lax"))
            gradient = jax.jit(jax.grad(lambda delay, loss=loss: loss(delay, "checkpointed")[0]))
            statistics = forward(delay)[1]
            gradient(delay)
            times = interleaved_minima([forward, gradient], delay) / 1e3
            print(f"| {name} | {tolerance:g} | {statistics.accepted} | {statistics.evaluations} "
                  f"| {times[0]:.2f} | {times[1]:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    brainstate.environ.set(precision=64)
    compare_with_diffrax()
    measure_loop_memory()
    measure_delay_equations()
