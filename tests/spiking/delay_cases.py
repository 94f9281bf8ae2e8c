"""Delay layers to test, built from numbers."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np

from brainmass_delays.spiking import DelayLayer

RULES = ("round", "linear", "gaussian", "triangular")
SHORT = ("round", "linear")
WIDTH = {"gaussian": 2.3, "triangular": 2.7}
BOUND = 6


def make(rule, delay, n_out=None, bound=BOUND, width=None, **options):
    """Build a layer from numbers in ms."""
    if rule in WIDTH:
        options["width"] = (WIDTH[rule] if width is None else width) * u.ms
    return DelayLayer(
        np.shape(delay)[-1],
        n_out,
        max_delay=bound * u.ms,
        interpolation=rule,
        delay=jnp.asarray(delay) * u.ms,
        **options,
    )


def spikes(rng, batch=3, time=20, channels=5, rate=0.3):
    return (rng.random((batch, time, channels)) < rate).astype(float)


def value_and_slope(layer, x, cotangent):
    """Return a scalar function of the delays in ms and its gradient."""
    state = layer.delay.val

    @brainstate.transform.jit
    def loss(delay):
        state.value = delay * u.ms
        return (layer(x) * cotangent).sum()

    at = u.get_magnitude(state.value)
    gradient = brainstate.transform.jit(
        brainstate.transform.grad(lambda: (layer(x) * cotangent).sum(), state)
    )()
    return loss, at, np.asarray(u.get_magnitude(gradient))
