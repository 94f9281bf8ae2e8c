"""Time the gradients of predictive coding against plain JAX code of the same mathematics, in one run.

Prints a markdown table: MLP 784-300-300-10, relu, batch 64, float32. The two are called in turn; the table
shows the fastest call of each, which a busy machine disturbs least, and the ratio of the medians beside it.
"""

import argparse
import platform
import statistics
import time

import jax
import jax.numpy as jnp

from brainmass_delays.predictive import (
    compute_activity_grad,
    compute_hpc_param_grads,
    compute_pc_param_grads,
    init_activities_with_amort,
    init_activities_with_ffwd,
    make_mlp,
    neg_activity_grad,
    solve_inference,
)

SIZES, BATCH = [784, 300, 300, 10], 64


def plain_energy(weights, z, y, x):
    """Return the energy of relu layers with a linear last one, written out for a batch."""
    h = [x, *z[:-1]]
    out = [h[l] @ w.T + b for l, (w, b) in enumerate(weights)]
    out = [jax.nn.relu(o) for o in out[:-1]] + out[-1:]
    return sum(0.5 * jnp.sum((t - o) ** 2) for t, o in zip([*z[:-1], y], out, strict=True)) / len(y)


def plain_hybrid_energy(weights, targets, inputs):
    """Return the hybrid energy of an amortizer with the same kind of layers."""
    out = [h @ w.T + b for h, (w, b) in zip(inputs, weights, strict=True)]
    out = [jax.nn.relu(o) for o in out[:-1]] + out[-1:]
    return sum(jnp.sum((t - o) ** 2) for t, o in zip(targets, out, strict=True)) / len(targets[0])


def cases():
    """Return name -> (ours, plain), both zero-argument."""
    model = make_mlp(jax.random.key(0), SIZES, "relu")
    params, weights = (model, None), [(d.weight, d.bias) for d in model]
    x = jax.random.normal(jax.random.key(1), (BATCH, SIZES[0]))
    y = jax.nn.one_hot(jnp.arange(BATCH) % 10, 10)
    z = [v + 0.1 for v in init_activities_with_ffwd(params, x)]
    amortizer = make_mlp(jax.random.key(2), SIZES, "relu")
    guesses = init_activities_with_amort(amortizer, make_mlp(jax.random.key(3), SIZES[::-1], "relu"), x)
    amort_weights = [(d.weight, d.bias) for d in amortizer]
    targets = [guesses[2] + 0.1, guesses[1] - 0.1]
    inputs = [x, guesses[2], guesses[1]]
    negative = jax.jit(jax.grad(lambda z, *rest: -plain_energy(weights, z, *rest)))
    both = jax.jit(jax.value_and_grad(plain_energy, argnums=1))
    in_weights = jax.jit(jax.grad(plain_energy))
    hybrid = jax.jit(jax.grad(plain_hybrid_energy))
    return {
        "neg_activity_grad": (
            lambda: neg_activity_grad(0.0, z, (params, y, x, "MSE", None)),
            lambda: negative(z, y, x),
        ),
        "compute_activity_grad": (
            lambda: compute_activity_grad(params, z, y, x),
            lambda: both(weights, z, y, x),
        ),
        "compute_pc_param_grads": (
            lambda: compute_pc_param_grads(params, z, y, x),
            lambda: in_weights(weights, z, y, x),
        ),
        "compute_hpc_param_grads": (
            lambda: compute_hpc_param_grads(amortizer, targets, guesses, x, y),
            lambda: hybrid(amort_weights, [*targets, y], inputs),
        ),
    }, lambda: solve_inference(params, z, y, x)


def milliseconds(function):
    """Return the time of one call, its result awaited."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return 1e3 * (time.perf_counter() - start)


def compare(ours, plain, repetitions):
    """Return fastest and median times of both, taken in turn so that the machine's load is shared."""
    for function in (ours, plain):
        milliseconds(function)
        milliseconds(function)
    pairs = [(milliseconds(ours), milliseconds(plain)) for _ in range(repetitions)]
    return [(min(times), statistics.median(times)) for times in zip(*pairs, strict=True)]


def main(repetitions):
    functions, inference = cases()
    print(
        f"{'-'.join(map(str, SIZES))}, batch {BATCH}, {jnp.ones(1).dtype}, "
        f"jax {jax.__version__}, {platform.machine()}\n"
    )
    print("| function | ours (ms) | plain JAX (ms) | ratio | ratio of medians |\n|---|---|---|---|---|")
    for name, (ours, plain) in functions.items():
        (mine, median), (theirs, their_median) = compare(ours, plain, repetitions)
        print(f"| {name} | {mine:.2f} | {theirs:.2f} | {mine / theirs:.2f} | {median / their_median:.2f} |")
    milliseconds(inference)
    times = [milliseconds(inference) for _ in range(max(3, repetitions // 20))]
    print(f"| solve_inference, defaults | {min(times):.1f} | | | |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="ten repetitions")
    options = parser.parse_args()
    main(10 if options.quick else options.repetitions)
