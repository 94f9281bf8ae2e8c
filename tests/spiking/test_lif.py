"""Neurons against closed forms and the published program's numbers."""

from pathlib import Path

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param
from braintools import surrogate

from brainmass_delays import ArgumentError
from brainmass_delays.spiking import LIF, DelayLayer, LeakyIntegrator

GOLDEN = Path(__file__).parents[1] / "golden" / "spiking_forward.npz"
DECAY = np.exp(-1 / 5)


def as_text(spikes):
    return "".join(str(int(s)) for s in np.ravel(spikes))


def test_trace_of_a_constant_current():
    assert as_text(LIF(1)(jnp.full((1, 20, 1), 0.3))) == "00001000010000100001"


def test_integrator_is_the_exponential_filter(rng):
    current = rng.normal(size=(2, 30, 3))
    expected = np.zeros_like(current)
    for t in range(30):
        for past in range(t + 1):
            expected[:, t] += DECAY ** (t - past) * current[:, past]
    np.testing.assert_allclose(LeakyIntegrator(3)(jnp.asarray(current)), expected, atol=1e-12)


@pytest.mark.parametrize("kind", [LIF, LeakyIntegrator])
def test_steps_equal_the_sequence(rng, kind):
    neurons, current = kind(3), jnp.asarray(rng.uniform(0, 0.8, (2, 25, 3)))
    for _ in range(2):
        neurons.init_state(2)
        rows = brainstate.transform.for_loop(neurons.step, jnp.swapaxes(current, 0, 1))
        np.testing.assert_array_equal(jnp.swapaxes(rows, 0, 1), neurons(current))


def test_gradient_of_the_integrator_is_exact(rng):
    neurons, current = (
        LeakyIntegrator(3, tau=Param(jnp.array([2.0, 5.0, 9.0]) * u.ms)),
        jnp.asarray(rng.normal(size=(2, 20, 3))),
    )

    @brainstate.transform.jit
    def loss(tau):
        neurons.tau.set_value(tau * u.ms)
        return (neurons(current) ** 2).sum()

    tau = np.array([2.0, 5.0, 9.0])
    numeric = [(loss(tau + h) - loss(tau - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    neurons.tau.set_value(tau * u.ms)
    gradient = brainstate.transform.grad(lambda: (neurons(current) ** 2).sum(), neurons.tau.val)()
    np.testing.assert_allclose(u.get_magnitude(gradient), numeric, rtol=1e-7)


def test_gradient_of_a_spike_is_the_surrogate_also_through_the_reset():
    neurons, current = LIF(1), jnp.array([0.7, 0.9])
    gradient = jax.grad(lambda h: neurons(h[None, :, None])[0, -1, 0])(current)

    def slope(z):
        sigmoid = 1 / (1 + np.exp(-5 * z))
        return 5 * sigmoid * (1 - sigmoid)

    v0, v1 = 0.7, DECAY * 0.7 + 0.9
    np.testing.assert_allclose(
        gradient, [slope(v1 - 1) * DECAY * (1 - v0 * slope(v0 - 1)), slope(v1 - 1)], rtol=1e-6
    )


def test_bad_arguments_name_themselves():
    with pytest.raises(
        ArgumentError, match=r"LIF.currents: must have the shape \(batch, time, neuron\) with 3 neurons"
    ):
        LIF(3)(jnp.zeros((4, 3)))
    with pytest.raises(ArgumentError, match="LIF.tau: must be positive"):
        LIF(3, tau=0 * u.ms)
    with pytest.raises(ArgumentError, match="LeakyIntegrator.tau: needs a unit"):
        LeakyIntegrator(3, tau=5.0)
    with pytest.raises(ArgumentError, match="LIF.threshold: must be positive"):
        LIF(3, threshold=-1.0)


def published_mean_potential(delayed, w1, w2):
    """Return the mean readout of the published loops, which test and reset one step late."""
    current, n_steps = delayed @ w1, delayed.shape[1]
    v = s = jnp.zeros((len(delayed), w1.shape[1]))
    spikes = [s]
    for t in range(n_steps - 1):
        # The surrogate's H(0) is 1, the notebook's 0.
        fired = jnp.where(v == 1.0, 0.0, surrogate.sigmoid(v - 1.0, 5.0))
        v, s = (DECAY * v + current[:, t]) * (1 - s), fired
        spikes.append(s)
    u_t = jnp.zeros((len(delayed), w2.shape[1]))
    total = u_t
    for t in range(n_steps - 1):
        u_t = DECAY * u_t + spikes[t] @ w2
        total = total + u_t
    return total / n_steps


def test_published_trace_of_a_constant_current():
    w2 = jnp.eye(1)
    potential = [
        published_mean_potential(jnp.ones((1, n, 1)), jnp.full((1, 1), 0.3), w2)[0, 0] * n
        for n in range(1, 22)
    ]
    trace = np.diff(potential)
    spikes = np.diff(trace, prepend=0) + (1 - DECAY) * np.concatenate([[0], trace[:-1]])
    assert as_text(np.rint(spikes)) == "00000011000000110000"


def test_golden_network_of_the_published_program(single_precision):
    golden = np.load(GOLDEN)
    x = np.unpackbits(golden["x"])[: np.prod(golden["xshape"])].reshape(golden["xshape"]).astype(np.float32)
    advance = np.rint(np.clip(golden["d_steps"], 0, 49))
    # The published layer reads d steps ahead of the start of a window that begins after 50 steps.
    layer = DelayLayer(200, max_delay=50 * u.ms, delay=(50 - advance) * u.ms, mode="valid")

    def loss(weights):
        m = published_mean_potential(layer(x), *weights)
        return -jax.nn.log_softmax(m)[jnp.arange(64), golden["y"]].mean(), m

    (value, m), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))((golden["W1"], golden["W2"]))
    assert np.abs(m - golden["m"]).max() < 1e-5
    assert abs(value - golden["loss"]) < 1e-5
    for mine, theirs in zip(gradients, (golden["gW1"], golden["gW2"]), strict=True):
        assert np.linalg.norm(mine - theirs) < 1e-4 * np.linalg.norm(theirs)
