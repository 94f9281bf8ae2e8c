"""Sweep over four devices and over one, and compare; a process counts its devices once."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import brainstate
import brainunit as u
import jax
import numpy as np

from brainmass_delays import HopfStep, Network, Simulator
from brainmass_delays.sweeps import sweep
from brainmass_delays.sweeps.grid import points
from brainmass_delays.sweeps.program import Job, Program, key, settings

brainstate.environ.set(precision=64)
WEIGHTS = np.array([[0.0, 0.3], [0.5, 0.0]])


def predict(speed, seed):
    brainstate.random.seed(seed)
    net = Network(
        HopfStep(2, a=0.1, init_x=brainstate.random.uniform(size=(2,))),
        conn=WEIGHTS,
        lengths=10.0 + WEIGHTS,
        speed=speed,
        coupled_var="x",
        coupling="additive",
        max_delay=12 * u.ms,
    )
    run = Simulator(net, dt=0.5 * u.ms).run(6 * u.ms, monitors=["x"])
    return {"x": run["x"], "status": run["status"]}


AXES = {"speed": [1.0, 2.0, 4.0] * u.mm / u.ms, "seed": np.arange(3)}
job = Job("devices", predict, key(), settings(), None, None)
print(jax.device_count(), len(Program(job, points(AXES, (3, 3), np.arange(8))).split.device_set))
one, four, some = (
    sweep(predict, AXES, devices=d, batch=b) for d, b in ((1, 9), (None, 6), (jax.devices()[1:3], None))
)
for other in (four, some):
    np.testing.assert_allclose(other.results["x"], one.results["x"], rtol=0, atol=1e-12)
    assert not other.status.any()
print("equal")
