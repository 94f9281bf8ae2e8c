"""Packed connections: neighbor lists give what the full matrix gives, values and gradients."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import Coupling, HopfStep, Network, Param, Simulator
from brainmass_delays.delays.edges import packed_edges

N = 8
RNG = np.random.default_rng(5)
ACTIVE = (RNG.random((N, N)) < 0.25) & ~np.eye(N, dtype=bool)
ACTIVE[2], ACTIVE[:, 3] = False, False  # a target without sources, a source without targets
WEIGHTS = np.where(ACTIVE, RNG.uniform(0.1, 1.0, (N, N)), 0.0)
LENGTHS = np.where(ACTIVE, RNG.uniform(0.5, 12.0, (N, N)), np.nan)


def value_and_gradient(coupling, conn):
    node = HopfStep(N, a=0.1, init_x=jnp.linspace(0.05, 0.3, N))
    speed = Param(2.0 * u.mm / u.ms, fit=True)
    net = Network(
        node,
        conn=conn,
        lengths=np.nan_to_num(LENGTHS, nan=3.0),
        speed=speed,
        k=Param(0.3, fit=True),
        coupling=coupling,
        coupled_var="x",
        max_delay=10 * u.ms,
    )
    states = {"speed": net.speed.val, "k": net.coupling.k.val}

    def loss():
        run = Simulator(net, dt=0.5 * u.ms).run(8 * u.ms, monitors=["x"])
        return jnp.mean(run["x"][-1] ** 2)

    gradient, value = brainstate.transform.jit(brainstate.transform.grad(loss, states, return_value=True))()
    return net, float(value), {name: float(u.get_magnitude(g)) for name, g in gradient.items()}


@pytest.mark.parametrize("coupling", ["additive", "diffusive", "sigmoidal"])
def test_packed_equals_full(coupling):
    packed_net, value, gradient = value_and_gradient(coupling, WEIGHTS)
    full_net, full_value, full_gradient = value_and_gradient(coupling, Param(WEIGHTS))
    packed, full = (net.source_read.edges for net in (packed_net, full_net))
    assert not packed.is_full and full.is_full
    assert packed.sources.shape[1] == ACTIVE.sum(1).max() < N
    np.testing.assert_allclose(value, full_value, rtol=1e-12)
    for name, part in gradient.items():
        np.testing.assert_allclose(part, full_gradient[name], rtol=1e-9)
        assert part != 0


def test_a_coupling_of_the_user_sees_the_whole_matrix():
    seen = []

    class Mine(Coupling):
        def __init__(self, x, y, conn, k=1.0):
            super().__init__({"x": x, "y": y}, conn, k=k)

        def update(self):
            seen.append((self.weights().shape, self.x().shape, self.y().shape))
            return self.k.value() * (self.weights() * self.x()).sum(-1)

    _, value, gradient = value_and_gradient(Mine, WEIGHTS)
    _, additive, same_gradient = value_and_gradient("additive", WEIGHTS)
    assert set(seen) == {((N, N), (N, N), (N,))}
    np.testing.assert_allclose(value, additive, rtol=1e-12)
    np.testing.assert_allclose(gradient["speed"], same_gradient["speed"], rtol=1e-9)


def test_lists_hold_every_connection_once():
    edges = packed_edges(ACTIVE)
    rows = np.broadcast_to(np.arange(N)[:, None], edges.sources.shape)
    found = np.zeros((N, N), int)
    np.add.at(found, (rows[edges.active], edges.sources[edges.active]), 1)
    np.testing.assert_array_equal(found, ACTIVE)
    assert edges.active.sum() == ACTIVE.sum()


def test_padding_names_no_source_more_often_than_there_are_slots():
    """A source that all padding named would have as many targets as nodes in the transposed lists."""
    active = np.zeros((50, 50), bool)
    active[np.arange(50), (np.arange(50) + 1) % 50] = True
    active[0, 1:4] = True
    edges = packed_edges(active)
    assert np.bincount(edges.sources.ravel()).max() <= 2 * edges.sources.shape[1]
