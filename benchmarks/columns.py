"""Jansen-Rit columns that send each other firing rates, in this library and in tvboptim.

Each function returns ``run(speed) -> mean of E squared``, or its value and gradient in the speed, compiled.
"""

import brainunit as u
import jax
import jax.numpy as jnp
from brainstate.nn import SigmoidT
from cases import DT, FASTEST, SPEED, Case
from peers import installed

import brainmass_delays as bd

STRENGTH = 0.1  # of the coupling, beside a local input of 0.22 per ms


def compiled(loss, gradient: bool):
    """Compile a function of the speed."""
    program = jax.jit(jax.value_and_grad(loss) if gradient else loss)
    return lambda speed: program(jnp.float32(speed))


def own(case: Case, n_steps: int, gradient: bool):
    """Build the columns in this library: Heun, the rate of E - I summed at each stage."""
    bounds = SigmoidT(case.slowest * u.mm / u.ms, FASTEST * u.mm / u.ms)
    speed = bd.Param(SPEED * u.mm / u.ms, fit=True, t=bounds)
    fibres = bd.Projection(
        "psp", "E_inp", conn=case.weights, lengths=case.lengths,
        speed=speed, coupling="sigmoidal_jansen_rit", k=STRENGTH * 1000 * u.Hz,
    )  # fmt: skip
    network = bd.Network(bd.JansenRitStep(case.n_nodes), projections=fibres)
    run = bd.Simulator(network, dt=DT * u.ms).function(n_steps * DT * u.ms, monitors=["E"])
    (name,) = bd.get_params(network, fixed=False)
    return compiled(lambda v: jnp.mean(u.get_magnitude(run({name: v})["E"]) ** 2), gradient)


def tvboptim(case: Case, n_steps: int, strategy: str, gradient: bool):
    """Build them in tvboptim, from its own model and coupling."""
    installed("tvboptim")
    from tvboptim.experimental.network_dynamics import DenseLengthGraph, Network, prepare
    from tvboptim.experimental.network_dynamics.coupling.tvb import DelayedSigmoidalJansenRit
    from tvboptim.experimental.network_dynamics.dynamics.tvb import JansenRit
    from tvboptim.experimental.network_dynamics.solvers import native

    coupling = DelayedSigmoidalJansenRit(
        incoming_states=("y1", "y2"), buffer_strategy=strategy, history_interpolation="linear", G=STRENGTH
    )
    graph = DenseLengthGraph(case.weights, case.lengths, SPEED, max_delay_bound=case.max_delay)
    network = Network(JansenRit(), {"delayed": coupling}, graph)
    model, config = prepare(network, native.Heun(), t0=0.0, t1=n_steps * DT, dt=DT)

    def loss(speed):
        config.graph.speed = speed
        return jnp.mean(model(config).ys[:, 1] ** 2)

    return compiled(loss, gradient)
