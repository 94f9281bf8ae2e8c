"""Two populations of different models: recover the speed of one projection and the delay of another.

Cortical oscillators drive each other along fibers at an unknown speed; a thalamic population answers, and
its answer comes back after an unknown delay. Both are found from the activity of the cortex.
"""

import brainstate
import braintools
import brainunit as u
import jax.numpy as jnp

from brainmass_delays import (
    Connectome,
    Fitter,
    HopfStep,
    Network,
    Param,
    Projection,
    Simulator,
    WilsonCowanStep,
)
from brainmass_delays.objectives import timeseries_rmse

SPEED, RELAY = 4.0 * u.mm / u.ms, 9.0 * u.ms
N, DT = 8, 0.5 * u.ms
BRAIN = Connectome.synthetic(N)


def network(speed, relay):
    """Return cortex and thalamus, joined by three projections."""
    cortex = HopfStep(N, a=0.05, w=0.25, init_x=jnp.linspace(-0.5, 0.5, N), init_y=0.1)
    thalamus = WilsonCowanStep(2, rE_init=0.2, rI_init=0.1)
    return Network(
        {"cortex": cortex, "thalamus": thalamus},
        projections={
            "fibres": Projection(
                ("cortex", "x"),
                ("cortex", "x_inp"),
                conn=BRAIN,
                speed=speed,
                coupling="diffusive",
                k=0.1,
                max_delay=200 * u.ms,
            ),
            "down": Projection(
                ("cortex", "x"), ("thalamus", "rE_inp"), weights=jnp.ones((2, N)) / N, delay=6 * u.ms, k=4.0
            ),
            "relay": Projection(
                ("thalamus", "rE"),
                ("cortex", "x_inp"),
                weights=jnp.ones((N, 2)),
                delay=relay,
                k=0.1,
                max_delay=40 * u.ms,
            ),
        },
        interpolation="cubic",
    )


def simulate(net):
    """Return the activity of the cortex over 80 ms."""
    return Simulator(net, dt=DT).run(80 * u.ms, monitors=["cortex.x"])["cortex.x"]


def main():
    """Fit both and print what was found."""
    brainstate.environ.set(precision=64)
    target = simulate(network(SPEED, RELAY))
    model = network(Param(5.0 * u.mm / u.ms, fit=True), Param(7.0 * u.ms, fit=True))
    fitter = Fitter(model, braintools.optim.Adam(lr=0.05), predict=simulate, objective=timeseries_rmse)
    result = fitter.fit(target, n_steps=150)
    found = {name: result.best_params[name] for name in ("fibres.speed", "relay.delay")}
    for (name, value), true in zip(found.items(), (SPEED, RELAY), strict=True):
        print(f"{name:12s} true {true}, found {value}, error {abs(float(value / true) - 1):.2%}")
    return found


if __name__ == "__main__":
    main()
