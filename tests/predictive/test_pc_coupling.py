"""Predictive coupling: local and global learning of delays between sources of any kind."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import HopfStep, Network, Param, Simulator, prefetch, prefetch_delay
from brainmass_delays.predictive import PredictiveCoupling


class Stream(brainstate.nn.Dynamics):
    """Noise smoothed by three first-order filters, one stream per source."""

    def __init__(self, n, tau):
        super().__init__(n)
        self.rate = 1 / tau

    def init_state(self, *args, **kwargs):
        self.x = brainstate.HiddenState(jnp.zeros(self.varshape))
        self.inner = brainstate.HiddenState(jnp.zeros((2, *self.varshape)))

    def update(self, noise):
        first, second = self.inner.value
        third = self.x.value
        r = self.rate
        self.inner.value = jnp.stack([first + r * (noise - first), second + r * (first - second)])
        self.x.value = third + r * (second - third)


def recover(seed, n_steps=60_000):
    """Learn six delays and weights from a stream by the local rule; return their errors."""
    rng = np.random.default_rng(seed)
    true_delay, sign = rng.uniform(5, 25, (1, 6)), rng.choice([-1.0, 1.0], (1, 6))
    true_weights = jnp.asarray(sign * rng.uniform(0.5, 1.0, (1, 6)))
    source, index = Stream(6, tau=8.0), np.arange(6)[None]
    truth = prefetch_delay(source, "x", (true_delay * u.ms, index))
    delay = Param(np.full((1, 6), 15.0) * u.ms, fit=True)
    read = prefetch_delay(source, "x", (delay, index), max_delay=40 * u.ms, min_delay=0 * u.ms)
    coupling = PredictiveCoupling(
        read, lambda: jnp.sum(true_weights * truth(), -1), Param(jnp.asarray(0.1 * sign), fit=True)
    )

    def step(noise):
        source(noise)
        grads = coupling.local_grads()
        coupling.conn.val.value = coupling.conn.val.value - 0.02 * grads.weights
        delay.val.value = delay.val.value - 6.0 * grads.delay * u.ms**2

    with brainstate.environ.context(dt=1.0 * u.ms):
        brainstate.nn.init_all_states(source)
        brainstate.transform.for_loop(step, jnp.asarray(4 * rng.normal(size=(n_steps, 6))))
    return (
        np.abs(delay.value().to_decimal(u.ms) - true_delay).max(),
        np.abs(coupling.conn.value() - true_weights).max(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_local_rule_recovers_delays_and_weights(seed):
    delay_error, weight_error = recover(seed)
    assert delay_error < 0.1
    assert weight_error < 0.01


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "hermite"])
def test_local_rule_is_autodiff_through_the_buffer(interpolation):
    node = HopfStep(3, a=0.1, w=0.5, init_x=jnp.array([0.3, -0.2, 0.1]), init_y=0.2)
    delay = Param(np.random.default_rng(1).uniform(1, 5, (3, 3)) * u.ms, fit=True)
    read = prefetch_delay(
        node, "x", (delay, np.tile(np.arange(3), (3, 1))), interpolation=interpolation, max_delay=6 * u.ms
    )
    weights = Param(jnp.asarray(np.random.default_rng(2).normal(size=(3, 3))), fit=True)
    coupling = PredictiveCoupling(read, prefetch(node, "x"), weights)
    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(node)
        brainstate.transform.for_loop(lambda _: node(), jnp.arange(100))
        local = coupling.local_grads()
        auto = brainstate.transform.grad(coupling.energy, {"w": weights.val, "d": delay.val})()
    np.testing.assert_allclose(local.weights, auto["w"], atol=1e-14)
    np.testing.assert_allclose(u.get_magnitude(local.delay), u.get_magnitude(auto["d"]), atol=1e-13)
    assert float(jnp.abs(u.get_magnitude(local.delay)).min()) > 0


def test_predictive_coupling_drives_a_network_and_trains_by_the_global_gradient():
    def loss(delay):
        net = Network(
            HopfStep(3, a=-0.1, init_x=jnp.array([0.3, -0.2, 0.1])),
            conn=0.5 * (1 - np.eye(3)),
            delay=Param(delay * u.ms, fit=True),
            max_delay=8 * u.ms,
            coupled_var="x",
            coupling=PredictiveCoupling,
            k=0.3,
        )
        result = Simulator(net, dt=0.5 * u.ms).run(20 * u.ms, monitors=lambda net: net.coupling.energy())
        return jnp.sum(result["output"])

    both = jax.jit(jax.value_and_grad(loss))
    slope = both(5.2)[1]
    np.testing.assert_allclose(slope, (both(5.2 + 1e-5)[0] - both(5.2 - 1e-5)[0]) / 2e-5, rtol=1e-6)
    assert abs(slope) > 1e-6


def test_a_delay_may_shrink_to_the_min_delay_that_is_given():
    """Below a quarter of its start it was NaN whatever min_delay said."""
    source = Stream(1, tau=8.0)
    delay = Param(np.array([[8.0]]) * u.ms, fit=True)
    read = prefetch_delay(source, "x", (delay, np.array([[0]])), max_delay=9 * u.ms, min_delay=0.5 * u.ms)
    with brainstate.environ.context(dt=1.0 * u.ms):
        brainstate.nn.init_all_states(source)

        def at(length):
            source(1.0)
            delay.val.value = length * u.ms
            return read()[0, 0]

        found = brainstate.transform.for_loop(at, jnp.array([8.0, 4.0, 1.0, 0.5, 0.4])[:, None, None])
    np.testing.assert_array_equal(np.isfinite(found), [True, True, True, True, False])
