"""Run networks on two cores and on one, and compare; a process counts its devices once."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

import brainmass_delays as bd
from brainmass_delays.engine import windows

bd.use_cores(2)  # an import has computed nothing yet
brainstate.environ.set(precision=64)
N = 7  # not a multiple of the cores
conn = bd.Connectome.synthetic(N)
weights = np.where(np.random.default_rng(0).random((N, N)) < 0.6, conn.weights, 0.0)
speed = bd.Param(3.0 * u.mm / u.ms, fit=True)
net = bd.Network(
    bd.HopfStep(N, a=0.1, init_x=0.1, noise_x=bd.WhiteNoise(N, 0.01)),
    conn=weights,
    distance=conn.lengths,
    speed=speed,
    coupled_var="x",
    coupling="kuramoto",
    k=0.2,
    max_delay=200 * u.ms,
)
run = bd.Simulator(net, dt=0.5 * u.ms).function(40 * u.ms, monitors=["x"])


def results():
    """Return values, gradients and a batch, traced anew."""

    def loss(v):
        return jnp.mean(run({"speed": v}, key=jax.random.key(1))["x"] ** 2)

    keys = jax.random.split(jax.random.key(2), 3)
    return [
        jax.jit(lambda v: run({"speed": v}, key=jax.random.key(1))["x"])(3.0),
        jax.jit(jax.value_and_grad(loss))(3.0),
        jax.jit(jax.vmap(lambda key: run({"speed": 2.0}, key=key)["x"]))(keys),
        bd.sweep(predict, {"v": [2.0, 3.0, 4.0]}).results,
    ]


def predict(v):
    """Return what a sweep collects."""
    return run({"speed": v}, key=jax.random.key(1))["x"]


found = []
for slots in (0, 10**9):
    windows.SHARED_SLOTS = slots
    jax.clear_caches()
    found.append(results())
for one, two in zip(*map(jax.tree.leaves, found), strict=True):
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-14)
text = jax.jit(predict).lower(3.0).as_text()
windows.SHARED_SLOTS = 0
jax.clear_caches()
assert "num_partitions = 2" in jax.jit(predict).lower(3.0).as_text() and "num_partitions = 2" not in text
try:
    bd.use_cores(1)
except bd.ArgumentError as error:
    print(jax.local_device_count(), "equal", "before JAX computes" in str(error))
