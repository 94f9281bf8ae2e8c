"""Every model in a network of 76 regions with delays and noise, from its default start."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import NODES, Connectome, Network, Simulator, WhiteNoise

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
QUICK = ["ReducedWongWangStep", "EpileptorStep", "ThalamusStep"]


def network(name, n=76):
    model = NODES[name]
    entry = next((i for i in model.INPUTS if i.noise), None)
    strength = 1e-3 if entry.unit.is_unitless else 1e-3 * entry.unit * u.ms**0.5
    node = model(n, method="heun", **{entry.noise: WhiteNoise(n, strength)})
    return Network(node, conn=CONNECTOME, speed=6.0, coupled_var=model.STATE_NAMES[0], coupling="additive",
                   k=STRENGTHS.get(name, 0.05))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NODES)
def test_a_network_runs_for_10_s_from_the_default_start(name):
    run_from_the_default_start(name, 10 * u.second)


@pytest.mark.parametrize("name", QUICK)
def test_a_network_runs_from_the_default_start(name):
    run_from_the_default_start(name, 20 * u.ms)


def run_from_the_default_start(name, duration):
    brainstate.random.seed(0)
    first = NODES[name].STATE_NAMES[0]
    dt = STEPS.get(name, 0.1)
    run = Simulator(network(name), dt=dt * u.ms).run(duration, monitors=[first], sample_every=20)
    x = np.asarray(u.get_mantissa(run[first]))
    assert int(run["status"]) == 0 and np.all(np.isfinite(x))
    assert np.ptp(x, axis=0).min() > 0, "nothing moved"
    assert jnp.abs(x).max() < 1e4
