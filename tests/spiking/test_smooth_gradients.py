"""Gradients in delays through neurons whose spikes are smooth, so that no surrogate hides a wrong one."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.spiking import (
    LIF,
    AdaptiveLIF,
    DelayLayer,
    RecurrentLIF,
    SparseDelayLayer,
    SpikingClassifier,
    random_connections,
)

BOUNDS = {"min_delay": 1 * u.ms, "max_delay": 5 * u.ms}


def smooth(v):
    return jax.nn.sigmoid(3 * v)


def feedback(kind, interpolation):
    """Return delays of 4 neurons to themselves, between two steps."""
    rng = np.random.default_rng(2)
    options = BOUNDS | {"interpolation": interpolation}
    options |= {"width": 1.3 * u.ms} if interpolation == "gaussian" else {}
    shape = {"neuron": (4,), "synapse": (4, 4), "sparse": (8,)}[kind]
    options["delay"] = jnp.asarray(rng.integers(1, 5, shape) + rng.uniform(0.1, 0.9, shape)) * u.ms
    if kind != "sparse":
        return DelayLayer(4, 4, weight=rng.normal(size=(4, 4)), **options)
    return SparseDelayLayer(4, 4, random_connections(4, 4, 0.5, 0), weight=rng.normal(size=8), **options)


def assert_central(loss, delay, tolerance):
    """Compare the gradient of ``loss()`` in the delays of a Param with central differences."""
    gradient = u.get_magnitude(brainstate.transform.jit(brainstate.transform.grad(loss, delay.val))())
    run, at = brainstate.transform.jit(loss), np.asarray(delay.value().to_decimal(u.ms))

    def moved(step):
        delay.val.value = jnp.asarray(at + step) * u.ms
        return float(run())

    steps = 1e-5 * np.eye(at.size).reshape(at.size, *at.shape)
    numeric = np.reshape([(moved(step) - moved(-step)) / 2e-5 for step in steps], at.shape)
    assert np.linalg.norm(gradient - numeric) < tolerance * np.linalg.norm(numeric)


@pytest.mark.parametrize(
    "neurons, kind, interpolation",
    [
        (LIF(4, spike=smooth), "neuron", "linear"),
        (LIF(4, reset="subtract", spike=smooth), "sparse", "linear"),
        (AdaptiveLIF(4, spike=smooth), "synapse", "gaussian"),
        (AdaptiveLIF(4, reset="subtract", spike=smooth), "synapse", "linear"),
    ],
)
def test_recurrent_delays_have_the_derivative(rng, neurons, kind, interpolation):
    layer = feedback(kind, interpolation)
    network, currents = RecurrentLIF(neurons, layer), jnp.asarray(rng.normal(size=(2, 25, 4)))
    with brainstate.environ.context(dt=1 * u.ms):
        assert_central(lambda: jnp.sin(network(currents)).sum(), layer.delay, 1e-6)


def test_delays_of_a_whole_classifier_have_the_derivative(rng):
    delays = DelayLayer(
        3, max_delay=6 * u.ms, interpolation="linear", delay=jnp.array([0.4, 2.7, 4.5]) * u.ms
    )
    network = SpikingClassifier(delays, 4, 2, feedback=feedback("neuron", "linear"), settle=2 * u.ms)
    network.hidden.neurons.spike = smooth
    signal = jnp.asarray(rng.normal(size=(2, 25, 3)))
    with brainstate.environ.context(dt=1 * u.ms):
        assert_central(lambda: jnp.sin(network(signal)).sum(), delays.delay, 1e-6)
