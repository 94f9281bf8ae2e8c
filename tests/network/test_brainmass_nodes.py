"""Nodes of brainmass in a network of this library: a live speed, its gradient, and the trajectories of brainmass itself."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import Network, Simulator

brainmass = pytest.importorskip("brainmass")

N, DT = 5, 0.1
RNG = np.random.default_rng(11)
WEIGHTS = RNG.uniform(0.1, 1.0, (N, N)) * (1 - np.eye(N))
LENGTHS = RNG.uniform(2.0, 20.0, (N, N)) * (1 - np.eye(N))
START = np.linspace(0.05, 0.3, N)


def start(unit=1.0):
    return lambda size, **_: jnp.broadcast_to(START, size) * unit


def hopf(method="exp_euler"):
    return brainmass.HopfStep(N, a=0.2, w=0.3, init_x=start(), init_y=start(), method=method)


NODES = {
    "hopf": (hopf, "x", 0.3),
    "wilson_cowan": (lambda: brainmass.WilsonCowanStep(N, rE_init=start(), rI_init=start()), "rE", 0.3),
    "jansen_rit": (
        lambda: brainmass.JansenRitStep(N, M_init=start(u.mV), E_init=start(u.mV), I_init=start(u.mV)),
        "M",
        2.0,
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_the_speed_behind_a_node_of_brainmass_trains(name):
    make, variable, k = NODES[name]
    speed = Param(4.13 * u.mm / u.ms, fit=True)
    net = Network(
        make(),
        conn=WEIGHTS,
        lengths=LENGTHS * u.mm,
        speed=speed,
        coupling="additive",
        coupled_var=variable,
        k=k,
        max_delay=8 * u.ms,
    )
    simulator = Simulator(net, dt=DT * u.ms)

    def loss():
        values = simulator.run(12 * u.ms, monitors=lambda m: getattr(m.node, variable).value)["output"]
        return jnp.mean(u.get_magnitude(values) ** 2)

    gradient = brainstate.transform.jit(brainstate.transform.grad(loss, speed.val, return_value=True))

    def at(value):
        speed.set_value(value * u.mm / u.ms)
        slope, height = gradient()
        return float(height), float(u.get_magnitude(slope))

    step = 1e-5
    slope = (at(4.13 + step)[0] - at(4.13 - step)[0]) / (2 * step)
    assert abs(slope) > 1e-8
    assert at(4.13)[1] == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("coupling", ["diffusive", "additive"])
@pytest.mark.parametrize("method", ["exp_euler", "heun"])
def test_on_the_grid_the_trajectory_is_that_of_brainmass(coupling, method):
    """Both hold the coupling over a step; brainmass never records the initial state, so its history is set to it."""
    lengths = np.round(LENGTHS)
    arguments = {
        "conn": WEIGHTS,
        "speed": 2.0 * u.mm / u.ms,
        "coupling": coupling,
        "k": 0.3,
        "coupled_var": "x",
    }
    with brainstate.environ.context(dt=0.5 * u.ms):
        theirs = brainmass.Network(hopf(method), **arguments, distance=lengths * u.mm, delay_init=start())
        brainstate.nn.init_all_states(theirs)

        def step(i):
            with brainstate.environ.context(i=i, t=i * 0.5 * u.ms):
                theirs.update()
            return theirs.node.x.value

        expected = brainstate.transform.for_loop(step, np.arange(100))
    ours = Network(
        hopf(method), **arguments, lengths=lengths * u.mm, interpolation="nearest", stages="frozen"
    )
    found = Simulator(ours, dt=0.5 * u.ms).run(50 * u.ms, monitors=lambda m: m.node.x.value)["output"]
    assert np.ptp(np.asarray(expected)) > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
