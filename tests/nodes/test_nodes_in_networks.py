"""Every model in a network of 76 regions with delays and noise, from its default start."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import Connectome, Network, Projection, Simulator, WhiteNoise, observe
from brainmass_delays.nodes import NODES

CONNECTOME = Connectome.synthetic(76).normalize("row")
# Strengths in the unit of the input over that of the state; a source for which the first state is not meant.
STRENGTHS = {
    "JansenRitStep": 1.0, "MontbrioPazoRoxinStep": 0.1, "ThalamusStep": 1e-4 * u.kHz / u.mV,
    "GastSchmidtKnoscheSDStep": 0.1 * u.ms, "GastSchmidtKnoscheSFStep": 0.1 * u.ms,
}  # fmt: skip
STEPS = {
    "ThalamusStep": 0.05, "MontbrioPazoRoxinStep": 0.05, "CoombesByrneStep": 0.01, "CoombesByrne4DStep": 0.01,
    "GastSchmidtKnoscheSDStep": 0.01, "GastSchmidtKnoscheSFStep": 0.01, "LinearStep": 0.05,
}  # fmt: skip
QUICK = ["ReducedWongWangStep", "EpileptorStep", "ThalamusStep", "ALNStep"]
COUPLINGS = {"KuramotoStep": "kuramoto"}  # a phase means nothing as an input
# What travels where the first state is not meant, and what a node sends to itself after how long.
SOURCES = {"ALNStep": "rate_e"}
LOCAL = {"ALNStep": {("rate_e", "E_local"): 4.0 * u.ms, ("rate_i", "I_local"): 2.0 * u.ms}}


def network(name, n=76):
    """Return a network with delays and noise; what a node sends to itself has projections of its own."""
    model = NODES[name]
    entry = next((i for i in model.INPUTS if i.noise), None)
    strength = 1e-3 if entry.unit.is_unitless else 1e-3 * entry.unit * u.ms**0.5
    node = model(n, method="heun", **{entry.noise: WhiteNoise(n, strength)})
    source = SOURCES.get(name, model.STATE_NAMES[0])
    far = Projection(
        source,
        (None, model.INPUTS[0].name),
        conn=CONNECTOME,
        speed=6.0,
        coupling=COUPLINGS.get(name, "additive"),
        k=STRENGTHS.get(name, 0.05),
    )
    near = [
        Projection(*ends, weights=np.eye(n), coupling="additive", self_connection=True, delay=delay)
        for ends, delay in LOCAL.get(name, {}).items()
    ]
    return Network(node, projections=[far, *near])


@pytest.mark.slow
@pytest.mark.parametrize("name", NODES)
def test_a_network_runs_for_10_s_from_the_default_start(name):
    run_from_the_default_start(name, 10 * u.second)


@pytest.mark.parametrize("name", QUICK)
def test_a_network_runs_from_the_default_start(name):
    run_from_the_default_start(name, 20 * u.ms)


def run_from_the_default_start(name, duration):
    """Look at the first state, and at the BOLD signal of how far it has moved, in units of 1."""
    brainstate.random.seed(0)
    first = NODES[name].STATE_NAMES[0]
    dt, net = STEPS.get(name, 0.1), network(name)

    def activity(model):
        return jnp.tanh(jnp.abs(u.get_mantissa(getattr(model.node, first).value)))

    seen = {
        "x": lambda model: getattr(model.node, first).value,
        "bold": observe.Balloon(activity, period=duration / 10),
    }
    run = Simulator(net, dt=dt * u.ms).run(duration, monitors=seen, sample_every=20)
    x = np.asarray(u.get_mantissa(run["x"]))
    assert int(run["status"]) == 0 and np.all(np.isfinite(x))
    assert run["bold"].shape == (10, 76) and np.all(np.isfinite(run["bold"]))
    assert np.ptp(x, axis=0).min() > 0, "nothing moved"
    assert np.abs(x).max() < 2e4  # a phase turns by 1 per ms
