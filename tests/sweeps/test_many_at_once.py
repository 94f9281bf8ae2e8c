"""Networks under `jax.vmap`: speeds, subjects and seeds at once equal a loop, values and gradients."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import HopfStep, Network, Simulator
from brainmass_delays.noise import WhiteNoise

WEIGHTS = np.array([[0.0, 0.3, 0.1], [0.5, 0.0, 0.0], [0.2, 0.4, 0.0]])
LENGTHS = np.array([[0.0, 9.3, 10.6], [6.3, 0.0, 7.2], [8.4, 9.7, 0.0]])


def final_state(speed, weights=WEIGHTS, lengths=LENGTHS, **node):
    net = Network(
        HopfStep(3, a=0.1, init_x=0.1, **node),
        conn=weights,
        lengths=lengths,
        speed=speed,
        k=0.5,
        coupling="diffusive",
        coupled_var="x",
        max_delay=16 * u.ms,
    )
    return Simulator(net, dt=0.5 * u.ms).run(6 * u.ms, monitors=["x"])["x"][-1]


def noisy_state(seed, sigma):
    brainstate.random.seed(seed)
    return final_state(2.0, noise_x=WhiteNoise(3, sigma))


def by_speed(speed):
    return jnp.sum(final_state(speed * u.mm / u.ms) ** 2)


def by_subject(subject):
    return jnp.sum(final_state(2.0, *subject) ** 2)


def by_seed(lane):
    return jnp.sum(noisy_state(lane[0].astype(int), lane[1]) ** 2)


SPEEDS = jnp.array([1.0, 2.0, 3.7])
SUBJECTS = (np.stack([WEIGHTS, 2 * WEIGHTS.T]), np.stack([LENGTHS, 1.2 * LENGTHS.T]))
LANES = (np.arange(3.0), np.full(3, 0.05))


@pytest.mark.parametrize(
    ("predict", "lanes", "vmap"),
    [
        pytest.param(by_speed, SPEEDS, jax.vmap, id="speeds"),
        pytest.param(by_subject, SUBJECTS, jax.vmap, id="subjects"),
        pytest.param(by_seed, LANES, brainstate.transform.vmap, id="seeds"),
    ],
)
def test_many_at_once_equal_a_loop(predict, lanes, vmap):
    lanes = jax.tree.map(jnp.asarray, lanes)
    if predict is by_seed:  # a stateful transformation, as predict sets the state of the random stream
        one = brainstate.transform.jit(brainstate.transform.grad(predict, argnums=0, return_value=True))
    else:
        one = jax.jit(lambda lane: jax.value_and_grad(predict)(lane)[::-1])
    gradients, values = vmap(one)(lanes)
    n = len(values)
    assert len(np.unique(np.asarray(values))) == n
    for i in range(n):
        gradient, value = one(jax.tree.map(lambda leaf, i=i: leaf[i], lanes))
        np.testing.assert_allclose(values[i], value, rtol=1e-12)
        for many, single in zip(jax.tree.leaves(gradients), jax.tree.leaves(gradient), strict=True):
            np.testing.assert_allclose(many[i], single, rtol=1e-10, atol=1e-14)


def test_a_gradient_in_lengths_agrees_with_differences():
    subject = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), SUBJECTS)
    gradient = jax.jit(jax.grad(by_subject))(subject)
    value = jax.jit(by_subject)
    for part, (i, j) in ((0, (0, 1)), (1, (1, 0))):

        def moved(step, part=part, i=i, j=j):
            return value(tuple(m.at[i, j].add(step) if p == part else m for p, m in enumerate(subject)))

        difference = (moved(1e-5) - moved(-1e-5)) / 2e-5
        np.testing.assert_allclose(gradient[part][i, j], difference, rtol=1e-6)
