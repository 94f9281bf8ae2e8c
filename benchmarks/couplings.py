"""Compare what couplings cost: separable ones, subclasses, and two projections, each beside the additive one.

    python benchmarks/couplings.py [--quick]

Hopf nodes (Jansen-Rit nodes for their sigmoid), forward and value and gradient in the speed, us per step and the
ratio to the additive coupling of the same nodes within each repetition.
"""

import argparse

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from cases import DT, dense
from timing import alternate, machine, per_step, ratio, table

import brainmass_delays as bd
from brainmass_delays.couplings import (
    AdditiveCoupling,
    DiffusiveCoupling,
    KuramotoCoupling,
    SeparableCoupling,
)

STEPS = {84: (2000, 1000), 400: (300, 100)}


class OwnAdditive(AdditiveCoupling):
    """Do what the parent does."""


class OwnDiffusive(DiffusiveCoupling):
    """Do what the parent does."""


class OwnKuramoto(KuramotoCoupling):
    """Do what the parent does."""


class Cubic(SeparableCoupling):
    """Expand (x_j - y_i)^3 in three sums."""

    def __init__(self, x, y, conn, k=1.0):
        super().__init__({"x": x, "y": y}, conn, k=k)

    def features(self, x):
        return x, x**2, x**3

    def combine(self, sums, y):
        one, two, three = sums
        degree = self.weights().sum(-1)
        return self.k.value() * (three - 3 * two * y + 3 * one * y**2 - degree * y**3)


def projections(case, kind):
    """Return one or two projections of all connections."""
    options = {
        "lengths": case.lengths * u.mm,
        "max_delay": case.max_delay * u.ms,
        "min_delay": case.min_delay * u.ms,
    }
    state = "E" if kind.startswith("Jansen") else "x"
    entry = "E_inp" if kind.startswith("Jansen") else "x_inp"
    coupling = {
        "Kuramoto": "kuramoto",
        "Kuramoto, subclass": OwnKuramoto,
        "additive, subclass": OwnAdditive,
        "diffusive": "diffusive",
        "diffusive, subclass": OwnDiffusive,
        "user's, three features": Cubic,
        "Jansen-Rit sigmoid": "sigmoidal_jansen_rit",
    }.get(kind, "additive")
    k = {"Jansen-Rit": 1.0 * u.Hz / u.mV, "Jansen-Rit sigmoid": 100.0 * u.Hz}.get(kind, 0.1)
    masks = [np.ones(case.weights.shape)]
    if kind == "additive, two projections":
        first = np.random.default_rng(0).random(case.weights.shape) < 0.5
        masks = [first, ~first]
    speed = bd.Param(5.0 * u.mm / u.ms)
    return [
        bd.Projection(
            state, entry, weights=case.weights * mask, coupling=coupling, k=k, speed=speed, **options
        )
        for mask in masks
    ]


def runners(case, kind, n_steps):
    """Return the compiled forward run and value and gradient, functions of the speed."""
    n = case.n_nodes
    node = bd.JansenRitStep(n) if kind.startswith("Jansen") else bd.HopfStep(n, a=-0.02, w=0.25, init_x=0.2)
    net = bd.Network(node, projections=projections(case, kind))
    name = next(iter(bd.get_params(net, fixed=False)))
    run = bd.Simulator(net, dt=DT * u.ms).function(
        n_steps * DT * u.ms, monitors=["E" if "Jansen" in kind else "x"]
    )

    def loss(speed):
        (value,) = (v for key, v in run({name: speed}).items() if key in ("x", "E"))
        return jnp.mean(u.get_magnitude(value) ** 2)

    return jax.jit(loss), jax.jit(jax.value_and_grad(loss))


KINDS = {
    "additive": (
        "additive, subclass", "diffusive", "diffusive, subclass", "Kuramoto", "Kuramoto, subclass",
        "user's, three features", "additive, two projections",
    ),
    "Jansen-Rit": ("Jansen-Rit sigmoid",),
}  # fmt: skip


def rows(n, gradient, repetitions):
    """Measure all kinds at one size."""
    steps, found = STEPS[n][gradient], []
    for base, others in KINDS.items():
        times = alternate(
            {kind: runners(dense(n), kind, steps)[gradient] for kind in (base, *others)}, repetitions
        )
        for kind in (base, *others):
            found.append([kind, per_step(times[kind], steps), f"{ratio(times[kind], times[base]):.2f}"])
    return found


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(machine())
    for n in (84,) if quick else (84, 400):
        for gradient in (False, True):
            title = "value and gradient" if gradient else "forward"
            print(f"\n### Couplings beside the additive one, N={n}, {title}\n")
            print(table(["", "us per step", "ratio"], rows(n, gradient, 5 if quick else 9)), flush=True)


if __name__ == "__main__":
    main()
