"""Networks of The Virtual Brain: trajectories of tvb-library with its scheme (whole steps, one evaluation, Heun)."""

from pathlib import Path

import brainunit as u
import numpy as np

from brainmass_delays import JansenRitStep, Network, Projection, Simulator, WilsonCowanStep

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "networks_tvb.npz")
SCHEME = {"interpolation": "nearest", "stages": "frozen"}
FIBRES = {
    "weights": GOLDEN["weights"],
    "lengths": GOLDEN["lengths"] * u.mm,
    "speed": 4.0 * u.mm / u.ms,
}


def states(net, names, **options):
    run = Simulator(net, dt=0.25 * u.ms).run(100 * u.ms, monitors=names, **options)
    return np.stack([np.asarray(u.get_magnitude(run[name]))[9::10] for name in names], axis=1)


def test_jansen_rit():
    """The difference of potentials travels through a firing rate to the excitatory interneurons."""
    names = ["M", "E", "I", "Mv", "Ev", "Iv"]
    start = GOLDEN["jansen_rit_start"]
    units = [u.mV] * 3 + [u.mV / u.ms] * 3
    starts = {f"{n}_init": x * unit for n, x, unit in zip(names, start, units, strict=True)}
    node = JansenRitStep(8, v0=5.52 * u.mV, **starts)
    net = Network(
        node,
        projections=Projection("psp", "E_inp", coupling="sigmoidal_jansen_rit", k=0.3 * u.kHz, **FIBRES),
        **SCHEME,
    )
    found = states(net, names, inputs={"E_inp": lambda i, t: 220.0 * u.Hz})
    found[:, 3:] *= 1e-3  # velocities are in mV / s
    np.testing.assert_allclose(found, GOLDEN["jansen_rit"], rtol=1e-9, atol=1e-9)
    assert np.ptp(found[:, 1]) > 1.0


def test_wilson_cowan():
    names, start = ["rE", "rI"], GOLDEN["wilson_cowan_start"]
    node = WilsonCowanStep(8, tau_E=10 * u.ms, tau_I=10 * u.ms, rE_init=start[0], rI_init=start[1])
    net = Network(node, projections=Projection("rE", "rE_inp", k=0.02, **FIBRES), **SCHEME)
    found = states(net, names, inputs={"rE_inp": lambda i, t: 1.25})
    np.testing.assert_allclose(found, GOLDEN["wilson_cowan"], rtol=1e-9, atol=1e-12)
    assert np.ptp(found) > 0.1
