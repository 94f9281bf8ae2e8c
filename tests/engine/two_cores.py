"""Sweep on two cores and on one, and compare; a process counts its devices once."""

import brainstate
import brainunit as u
import jax
import numpy as np

import brainmass_delays as bd

bd.use_cores(2)  # an import has computed nothing yet
brainstate.environ.set(precision=64)
node = bd.HopfStep(5, a=0.1, init_x=0.1, noise_x=bd.WhiteNoise(5, 0.01))
net = bd.Network(
    node, conn=bd.Connectome.synthetic(5), speed=bd.Param(3.0 * u.mm / u.ms, fit=True), coupled_var="x", k=0.2,
    max_delay=200 * u.ms,
)  # fmt: skip
run = bd.Simulator(net, dt=0.5 * u.ms).function(20 * u.ms, monitors=["x"])


def predict(v):
    """Return what a sweep collects."""
    return run({"speed": v}, key=jax.random.key(1))["x"]


one, two = (bd.sweep(predict, {"v": [2.0, 3.0, 4.0]}, devices=n).results for n in (1, 2))
np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-14)
try:
    bd.use_cores(1)
except bd.ArgumentError as error:
    print(jax.local_device_count(), "equal", "before JAX computes" in str(error))
