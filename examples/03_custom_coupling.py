"""Write a coupling of your own, and train its exponent together with the speed behind it.

A coupling is a kernel and a thin Module. It gets two reads, the delayed sources (N, N) and the targets (N,),
and never touches a buffer: delays, interpolation and gradients come with the reads.
"""

import argparse
from pathlib import Path

import brainstate
import braintools
import brainunit as u
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from brainstate.nn import Module, SigmoidT, init_maybe_prefetch

from brainmass_delays import Connectome, Fitter, HopfStep, Network, Param, Simulator, viz

brainstate.environ.set(precision=64)
MM_PER_MS = u.mm / u.ms
N = 12
TRUE = {"speed": 4.0, "coupling.p": 1.5}


def saturating(source, target, weights, k, p):
    """Return k sum_j w_ij d |d|^p / (1 + |d|^p): linear for large differences d, weaker for small ones."""
    d = u.get_magnitude(source()) - u.get_magnitude(target())[..., None]
    size = jnp.where(d == 0, 1.0, jnp.abs(d)) ** p  # the derivative of 0^p in p would be NaN
    return k * jnp.sum(weights * d * size / (1 + size), axis=-1)


class SaturatingCoupling(Module):
    """Hold the two reads and the parameters of the kernel."""

    def __init__(self, source, target, weights, k=1.0, p=1.0):
        super().__init__()
        self.source, self.target, self.weights = source, target, Param.init(weights)
        self.k, self.p = Param.init(k), Param.init(p)

    @brainstate.nn.call_order(2)
    def init_state(self, *args, **kwargs):
        """Register the delayed read once the node has its states."""
        init_maybe_prefetch(self.source)
        init_maybe_prefetch(self.target)

    def update(self):
        """Return the drive of every region, (N,)."""
        return saturating(self.source, self.target, self.weights.value(), self.k.value(), self.p.value())


def network(speed, p):
    """Couple slow oscillators through the coupling above."""
    rng = np.random.default_rng(0)
    node = HopfStep(
        N,
        a=0.05,
        w=2 * np.pi * 20 * u.Hz,
        init_x=rng.normal(0, 0.5, N),
        init_y=rng.normal(0, 0.5, N),
    )
    return Network(
        node,
        conn=Connectome.synthetic(N).normalize("row"),
        speed=Param(speed * MM_PER_MS, t=SigmoidT(1.0 * MM_PER_MS, 20.0 * MM_PER_MS)),
        coupling=lambda source, target, weights: SaturatingCoupling(source, target, weights, 0.2, Param(p)),
        coupled_var="x",
    )


def simulate(net):
    """Return the activity x, (time, region), as 'output', and the status of the run."""
    return Simulator(net, dt=0.5 * u.ms).run(80 * u.ms, monitors=lambda model: model.node.x.value)


def main(out, quick):
    """Recover speed and exponent from wrong starts, and draw the way there."""
    target = simulate(network(*TRUE.values()))["output"]
    fitter = Fitter(network(7.0, 1.0), braintools.optim.Adam(lr=0.05), predict=simulate, progress=True)
    result = fitter.fit(target, n_steps=60 if quick else 200)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for (name, true), ax in zip(TRUE.items(), axes, strict=True):
        found = u.get_magnitude(result.best_params[name]).item()
        print(f"{name:>11}: true {true:.3f}, recovered {found:.3f}")
        viz.plot_fit(result, name, true=true, ax=ax)
        if abs(found / true - 1) > (0.1 if quick else 0.01):
            raise SystemExit(f"{name} was not recovered")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "03_custom_coupling.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--quick", action="store_true")
    main(**vars(parser.parse_args()))
