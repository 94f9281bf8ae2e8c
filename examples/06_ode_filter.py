"""Solve an equation with a probabilistic ODE filter, differentiate through its steps, and fit a rate with it.

Part 1 is a known test of reverse mode: a logistic equation, adaptive steps, the gradient of a loss in the
initial coefficients of the prior. Part 2 fits the frequency of a pendulum to noisy data. The misfit of many
oscillations has many local minima; a likelihood whose prior diffuses fast sees them blurred, so the fit
starts with a large output scale and lowers it ("diffusion tempering"). Part 3 infers the delay of
Hutchinson's equation, a population that feels its own density one delay later, from thirty noisy counts, for
twenty sets of them: one interval in ten is meant to miss.

Run: python examples/06_ode_filter.py --out figures   (about a minute on two cores)
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax

from brainmass_delays.integrate import (
    log_likelihood_series,
    solve_dde,
    solve_filter,
    solve_filter_dde,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def logistic(t, y, args):
    return 0.5 * y * (1.0 - y)


def tutorial():
    """Return the loss of the tutorial and its gradient in the prior."""

    def loss(prior):
        solution = solve_filter(
            logistic, prior, 0.0, 1.0, rtol=1e-3, atol=1e-3, while_loop="checkpointed", max_steps=100
        )
        return jnp.dot(solution.ys, solution.ys)

    prior = wiener_prior(taylor_coefficients(logistic, jnp.array([0.1]), 0.0, num=1))
    return jax.jit(jax.value_and_grad(loss))(prior)


def pendulum(t, angle, speed, frequency):
    return -((2.0 * jnp.pi * frequency) ** 2) * jnp.sin(angle)


START = (jnp.array([1.0]), jnp.array([0.0]))
GRID = np.linspace(0.0, 1.5, 41)
TRUTH, FIRST_GUESS, NOISE = 1.0, 1.8, 0.1
SCALES = np.geomspace(1e5, 1e1, 5)
N_STEPS = 60


def path(frequency, output_scale):
    """Solve the pendulum on the times of the data."""
    return solve_filter_on_grid(
        pendulum, START, GRID, args=frequency, num=2, order=2, output_scale=output_scale
    )


def fit(data, scales, n_steps):
    """Maximize the likelihood over the frequency, one output scale after the other."""
    optimizer = optax.adam(0.02)

    @jax.jit
    def descend(frequency, scale):
        def loss(frequency):
            return -log_likelihood_series(path(frequency, scale), data, obs_std=NOISE)

        def step(carry, _):
            frequency, state = carry
            updates, state = optimizer.update(jax.grad(loss)(frequency), state)
            return (frequency + updates, state), frequency

        (frequency, _), trace = jax.lax.scan(
            step, (frequency, optimizer.init(frequency)), None, length=n_steps
        )
        return frequency, trace

    frequency, traces = jnp.asarray(FIRST_GUESS), []
    for scale in scales:
        frequency, trace = descend(frequency, scale)
        traces.append(trace)
    return frequency, jnp.concatenate(traces)


def hutchinson(t, density, delayed, rate):
    return rate * density * (1.0 - delayed)


CENSUS = np.linspace(0.3, 9.0, 30)
TIMES = np.linspace(0.0, 9.0, 181)[1:]
DELAY, COUNT_NOISE = 1.0, 0.1
DELAYS = np.linspace(0.9, 1.1, 81)
N_CENSUSES = 20


def population(delay, times):
    """Solve Hutchinson's equation."""
    return solve_filter_dde(
        hutchinson, 0.5, 0.0, CENSUS[-1], delay, args=1.5, num=2, rtol=None, dt0=0.1, window=14,
        covariance="isotropic", save_at=times,
    )  # fmt: skip


@jax.jit
def delay_densities(counts):
    """Return the log-density of each census for every delay, less its maximum, shape (delay, census)."""

    def of_delay(delay):
        solution = population(delay, CENSUS)
        return jax.vmap(lambda row: log_likelihood_series(solution, row, obs_std=COUNT_NOISE, average=False))(
            counts
        )

    densities = jax.lax.map(of_delay, jnp.asarray(DELAYS))
    return densities - densities.max(axis=0)


def interval(log_densities, share=0.9):
    """Return the central interval of a delay, under a flat prior."""
    fine = np.linspace(DELAYS[0], DELAYS[-1], 3001)
    total = np.cumsum(np.exp(np.interp(fine, DELAYS, log_densities)))
    return np.interp([(1 - share) / 2, (1 + share) / 2], total / total[-1], fine)


def plot_pendulum(axes, data, landscape, tempered, plain):
    """Draw the data with both fits, the likelihood at three scales, and the way of the fits."""
    solution = path(tempered[-1], SCALES[-1])
    axes[0].plot(GRID, data, ".", color="0.5", label="data")
    axes[0].plot(GRID, solution.ys, label="tempered fit")
    axes[0].plot(GRID, path(plain[-1], SCALES[-1]).ys, "--", label="plain fit")
    axes[0].set(xlabel="time (s)", ylabel="angle (rad)")
    for scale, values in landscape[1].items():
        axes[1].plot(landscape[0], values - values.max(), label=f"output scale {scale:.0g}")
    axes[1].set(xlabel="frequency (Hz)", ylabel="log-likelihood, less its maximum", ylim=(-60, 2))
    axes[2].plot(tempered, label="tempered")
    axes[2].plot(plain, "--", label="plain")
    axes[2].axhline(TRUTH, color="0.5", lw=1, label="truth")
    axes[2].set(xlabel="iteration", ylabel="frequency (Hz)")


def plot_population(axes, counts, densities, intervals):
    """Draw one census with its best solution, the likelihoods of the delay, and the intervals."""
    best = jax.jit(population, static_argnums=1)(DELAYS[np.argmax(densities[:, 0])], tuple(TIMES))
    mean, spread = np.ravel(best.ys), 2 * np.ravel(best.std[0])
    axes[0].plot(TIMES, mean, label="best delay")
    axes[0].fill_between(TIMES, mean - spread, mean + spread, alpha=0.3, label="two std of the solver")
    axes[0].plot(CENSUS, counts[0], ".", color="0.5", label="first census")
    axes[0].set(xlabel="time (generations)", ylabel="density")
    axes[1].plot(DELAYS, np.exp(densities[:, 1:]), color="0.8", lw=0.8)
    axes[1].plot(DELAYS, np.exp(densities[:, 0]), label="first census")
    axes[1].set(xlabel="delay (generations)", ylabel="likelihood, relative")
    for row, (low, high) in enumerate(intervals):
        color = "C0" if low <= DELAY <= high else "C1"
        axes[2].plot([low, high], [row, row], color=color, lw=2)
    axes[2].set(xlabel="delay (generations)", ylabel="census", title="central 90 %", yticks=[0, 5, 10, 15])
    for axis in axes[1:]:
        axis.axvline(DELAY, color="0.5", lw=1, label="truth")


def plot(pendulums, populations, out):
    """Draw both parts, legends above the axes."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    plot_pendulum(axes[0], *pendulums)
    plot_population(axes[1], *populations)
    for axis in axes.flat[:-1]:
        axis.legend(
            fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, columnspacing=1
        )
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "06_ode_filter.png", dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("figures"))
    out = parser.parse_args().out
    jax.config.update("jax_enable_x64", True)

    value, gradient = tutorial()
    print(f"loss {value:.11f}, gradient in the prior's mean {np.ravel(gradient.mean)}")
    print(f"gradient in the output scale {gradient.output_scale:.1e} (exactly zero but for rounding)")

    noise = NOISE * np.random.default_rng(0).standard_normal((len(GRID), 1))
    data = jax.jit(path)(TRUTH, 1.0).ys + noise
    tempered, trace = fit(data, SCALES, N_STEPS)
    plain, plain_trace = fit(data, SCALES[-1:], N_STEPS * len(SCALES))
    print(f"true frequency {TRUTH}, tempered fit {tempered:.4f}, fit without tempering {plain:.4f}")

    frequencies = jnp.linspace(0.5, 2.0, 120)

    @jax.jit
    def likelihoods(scale):
        return jax.vmap(lambda f: log_likelihood_series(path(f, scale), data, obs_std=NOISE))(frequencies)

    landscape = frequencies, {scale: likelihoods(scale) for scale in SCALES[[0, 2, -1]]}

    exact = solve_dde(hutchinson, 0.5, 0.0, CENSUS[-1], DELAY, args=1.5, save_at=CENSUS, rtol=1e-9, atol=1e-9)
    noise = COUNT_NOISE * np.random.default_rng(0).standard_normal((N_CENSUSES, len(CENSUS)))
    counts = np.asarray(exact.ys) + noise
    densities = np.asarray(delay_densities(counts))
    intervals = np.array([interval(column) for column in densities.T])
    covered = np.sum((intervals[:, 0] <= DELAY) & (intervals[:, 1] >= DELAY))
    width = np.mean(intervals[:, 1] - intervals[:, 0])
    print(
        f"true delay {DELAY}: in the 90 % intervals of {covered} of {N_CENSUSES} censuses, {width:.3f} wide"
    )
    plot((data, landscape, trace, plain_trace), (counts, densities, intervals), out)


if __name__ == "__main__":
    main()
