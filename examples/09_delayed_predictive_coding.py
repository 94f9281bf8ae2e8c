"""Let predictions and errors travel with delays: stability, a rhythm, a traveling wave, a moving stimulus.

One hidden unit with delays d in both directions obeys ``tau z' = -z - w^2 z(t - 2 d)``. Beyond a critical
delay it oscillates, with tau = 17 ms and d = 12 ms at about 14 Hz. Through a chain of levels, activity
travels as a wave. And where a stimulus moves, the delays themselves can be learned: sensors predict what
others will see when it gets there.
"""

import argparse
from pathlib import Path

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from brainmass_delays import Param, Simulator
from brainmass_delays.predictive import Dense, PCNetwork, critical_delay, critical_frequency
from brainmass_delays.spiking import project_delays

TAU = 17.0 * u.ms

SPEED = 0.5  # of the moving texture, mm per ms
SENSORS, TARGETS = np.arange(6.0), 8.0 + np.arange(4.0)  # places in mm
TRUE_DELAYS = (TARGETS[:, None] - SENSORS) / SPEED  # ms, [target, sensor]
LONGEST = 30.0 * u.ms
DELAYS = ("none", "frozen", "learned")


def chain(weights, delay, *, tau=TAU, n=1, max_delay=None):
    """Return a network of one unit per level, ``n`` copies side by side with weights ``(level, n)``."""
    model = [Dense(jnp.diag(jnp.broadcast_to(jnp.asarray(w, float), (n,)))) for w in weights]
    levels = [jnp.full(n, 0.1)] + [jnp.zeros(n)] * (len(weights) - 1)
    return PCNetwork(
        (model, None),
        jnp.zeros(n),
        jnp.zeros(n),
        activities=levels,
        tau=tau,
        forward_delay=delay,
        backward_delay=delay,
        max_delay=max_delay,
    )


def stability_map(weights, delays, n_steps=2000, dt=0.02):
    """Return how much one unit's amplitude grows, second to last quarter of a run: (delay, weight)."""

    @jax.jit
    def growth(delay):
        net = chain(
            [np.ones(len(weights)), weights],
            lambda: delay * u.ms,
            tau=1.0 * u.ms,
            n=len(weights),
            max_delay=delays[-1] * u.ms,
        )
        result = Simulator(net, dt=dt * u.ms).run(
            n_steps * dt * u.ms, monitors=lambda net: net.values[1].z.value
        )
        parts = jnp.abs(result["output"]).reshape(4, -1, len(weights)).max(axis=1)
        return parts[3] / jnp.maximum(parts[1], 1e-30)

    return np.stack([growth(delay) for delay in delays])


def plot_stability(weights, delays, grows, path):
    """Draw the simulated growth and the formula's border."""
    fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
    edge = 2.0
    image = ax.pcolormesh(
        weights,
        delays,
        np.clip(np.log10(np.maximum(grows, 1e-9)), -edge, edge),
        cmap="RdBu_r",
        vmin=-edge,
        vmax=edge,
        shading="nearest",
    )
    w = np.linspace(1.001, weights[-1], 300)
    ax.plot(w, critical_delay(w), "k", lw=2, label=r"$d^*=\arccos(-w^{-2})\,/\,(2\sqrt{w^4-1})$")
    ax.set(
        xlabel="weight $w$",
        ylabel=r"delay $d$ (units of $\tau$)",
        ylim=(delays[0], delays[-1]),
        xlim=(weights[0], weights[-1]),
        title="Delayed predictive coding: decay or growth",
    )
    ax.legend(loc="lower left", framealpha=1)
    fig.colorbar(image, label=r"$\log_{10}$ of amplitude, late over early", extend="both")
    fig.savefig(path, dpi=150)
    plt.close(fig)


def rhythm(duration):
    """Run one unit just beyond threshold; return times, activity and the predicted frequency."""
    w, delay = 1.35, 12.0 * u.ms
    result = Simulator(chain([1.0, w], delay), dt=0.25 * u.ms).run(
        duration, monitors=lambda net: net.values[1].z.value[0]
    )
    return (
        result["ts"].to_decimal(u.ms),
        np.asarray(result["output"]),
        float(critical_frequency(w, TAU).to_decimal(u.Hz)),
    )


def wave(duration, n_levels=8):
    """Kick one end of a chain of levels; return times and the activity (time, level)."""
    net = chain([1.0] + [1.0] * n_levels, 8.0 * u.ms)
    result = Simulator(net, dt=0.25 * u.ms).run(
        duration, monitors=lambda net: jnp.concatenate([units.z.value for units in net.values[1:]])
    )
    return result["ts"].to_decimal(u.ms), np.asarray(result["output"])


def plot_rhythm(times, z, frequency, wave_times, levels, path):
    """Draw the rhythm of one unit and the wave through the levels."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    axes[0].plot(times, z, lw=1)
    axes[0].set(
        xlabel="time (ms)",
        ylabel="hidden activity",
        title=f"$d$ = 12 ms: {measured(times, z):.1f} Hz (formula {frequency:.1f} Hz)",
    )
    scale = np.abs(levels).max(axis=0)
    image = axes[1].pcolormesh(
        wave_times,
        np.arange(1, levels.shape[1] + 1),
        (levels / scale).T,
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        shading="nearest",
    )
    axes[1].set(xlabel="time (ms)", ylabel="level", title="$d$ = 8 ms: a wave through eight levels")
    fig.colorbar(image, label="activity / its maximum")
    fig.savefig(path, dpi=150)
    plt.close(fig)


def measured(times, z):
    """Return the frequency (Hz) from the upward zero crossings of the later half."""
    late = np.asarray(z)[len(z) // 2 :]
    up = np.flatnonzero((late[:-1] < 0) & (late[1:] >= 0))
    crossings = up - late[up] / (late[up + 1] - late[up])
    return 1e3 / (np.diff(crossings).mean() * (times[1] - times[0])) if len(up) > 1 else float("nan")


def moving_texture(n_steps, seed, n_textures=32, grid=0.25):
    """Return what sensors and targets see of moving textures, (time, texture, place), of unit variance."""
    rng = np.random.default_rng(seed)
    length = int((n_steps * SPEED + 30) / grid)
    frequency = np.fft.rfftfreq(length, grid)
    spectrum = sum(np.sqrt(s) * np.exp(-0.5 * (2 * np.pi * frequency * s) ** 2) for s in (1.0, 2.0, 4.0))
    texture = np.fft.irfft(np.fft.rfft(rng.normal(size=(n_textures, length))) * spectrum, length)
    texture /= texture.std()
    place = np.concatenate([SENSORS, TARGETS])
    position = ((n_steps - np.arange(n_steps))[:, None] * SPEED + place) / grid  # moves to higher places
    left, rest = position.astype(int), position % 1
    seen = np.moveaxis((1 - rest) * texture[:, left] + rest * texture[:, left + 1], 0, 1)
    return jnp.asarray(seen[..., :6], jnp.float32), jnp.asarray(seen[..., 6:], jnp.float32)


def motion_network(delays, seed, n_textures=32):
    """Return a network whose sensors predict the targets, and the optimizer's groups of its parameters."""
    rng = np.random.default_rng(seed)
    start, weight = rng.uniform(2, 28, (4, 6)) * u.ms, rng.uniform(0, 0.3, (4, 6))
    return PCNetwork(
        ([Dense(jnp.asarray(weight, jnp.float32))], None),
        jnp.zeros((n_textures, 4)),
        jnp.zeros((n_textures, 6)),
        forward_delay={"none": None, "frozen": start, "learned": Param(start)}[delays],
        max_delay=LONGEST,
        interpolation="cubic",
        method="euler",
    )


def learn_motion(delays, seed, n_steps=4000):
    """Learn by `local_grads` while textures stream past; return the share of new targets not predicted.

    The network as it ends, and the energy at every step, come with it.
    """
    net = motion_network(delays, seed)
    with brainstate.environ.context(dt=1.0 * u.ms):
        brainstate.nn.init_all_states(net)
        states = net.local_states()
        adam = lambda rate: optax.adam(optax.cosine_decay_schedule(rate, n_steps))  # noqa: E731
        rates = {
            "delay": optax.chain(adam(0.05), project_delays(0 * u.ms, LONGEST)),  # ms per step
            "weight": adam(0.005),
        }
        groups = {name: "delay" if "delay" in name else "weight" for name in states}
        tx = optax.multi_transform(rates, groups)
        optimizer = braintools.optim.OptaxOptimizer(tx=tx).register_trainable_weights(states)

        def learn(data):
            net.update(x=data[0], y=data[1])
            optimizer.step(net.local_grads())
            return net.energy()

        def test(data):
            net.update(x=data[0], y=data[1])
            return net.energy()

        run = brainstate.transform.jit(brainstate.transform.for_loop, static_argnums=0)
        energy = run(learn, moving_texture(n_steps, [seed, 0]))
        brainstate.nn.init_all_states(net)
        x, y = moving_texture(1000, [seed, 1])
        missed = run(test, (x, y))[60:].mean() / (0.5 * (y[60:] ** 2).sum(-1).mean())
    return float(missed), net, np.asarray(energy)


def learned_delays(net):
    """Return the delays (ms) and the weights of a motion network, both (target, sensor)."""
    delay = net.layers[0].forward_delay().to_decimal(u.ms)
    return np.asarray(delay), np.asarray(net.layers[0].layer.weight)


def plot_motion(found, path):
    """Draw the course of learning, and learned against true delays, large where the weight is."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for (name, (missed, _, energy)), color in zip(found.items(), ("0.6", "tab:blue", "tab:red"), strict=True):
        smooth = np.convolve(energy, np.ones(100) / 100, "valid")
        axes[0].semilogy(smooth, color=color, label=f"{name}: {100 * missed:.2g} % missed")
    axes[0].set(xlabel="step of learning (ms)", ylabel="energy", title="Moving texture")
    axes[0].legend(title="delays, and new textures", fontsize="small")
    delay, weight = learned_delays(found["learned"][1])
    axes[1].plot([0, 30], [0, 30], color="0.7", lw=1)
    axes[1].scatter(
        TRUE_DELAYS, delay, s=200 * np.abs(weight) / np.abs(weight).max(), color="tab:red", alpha=0.6
    )
    axes[1].set(
        xlabel="distance / speed (ms)",
        ylabel="learned delay (ms)",
        title="Area: weight",
        xlim=(0, 30),
        ylim=(0, 30),
    )
    fig.savefig(path, dpi=150)
    plt.close(fig)


def main(out: Path, quick: bool):
    out.mkdir(parents=True, exist_ok=True)
    weights = np.linspace(0.5, 2.5, 5 if quick else 41)
    delays = np.linspace(0.05, 1.5, 3 if quick else 30)
    grows = stability_map(weights, delays)
    border = np.asarray(critical_delay(weights))
    agree = ((grows > 1) == (delays[:, None] > border[None])).mean()
    print(f"decay or growth as the formula says at {100 * agree:.1f} % of {grows.size} points")
    plot_stability(weights, delays, grows, out / "09_stability.png")
    times, z, frequency = rhythm(200 * u.ms if quick else 600 * u.ms)
    print(f"rhythm: {measured(times, z):.1f} Hz, formula {frequency:.1f} Hz")
    plot_rhythm(
        times, z, frequency, *wave(100 * u.ms if quick else 400 * u.ms), out / "09_rhythm_and_wave.png"
    )
    found = {delays: learn_motion(delays, 0, 200 if quick else 4000) for delays in DELAYS}
    for delays, (missed, _, _) in found.items():
        print(f"moving texture, delays {delays}: {100 * missed:.3g} % of the variance not predicted")
    plot_motion(found, out / "09_moving_texture.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    main(arguments.out, arguments.quick)
