"""Slow claims: delays are recovered, and learning them pays where it should."""

import brainstate
import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from brainmass_delays.spiking import DelayLayer, anneal_width, project_delays
from brainmass_delays.spiking.localization import CONDITIONS, ideal_observer, run_condition, score

pytestmark = pytest.mark.slow
N, BOUND, N_UPDATES = 200, 49, 600


def recovered(interpolation, seed, width=None, trace=None):
    """Return the share of random delays found exactly by gradient descent from random starts."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 50, N)
    layer = DelayLayer(
        N,
        max_delay=BOUND * u.ms,
        interpolation=interpolation,
        mode="valid",
        delay=rng.uniform(0, BOUND, N) * u.ms,
        width=width and width[0] * u.ms,
    )
    teacher = DelayLayer(N, max_delay=BOUND * u.ms, mode="valid", delay=target * u.ms)
    tx = [optax.adam(optax.cosine_decay_schedule(0.5, N_UPDATES)), project_delays(0 * u.ms, BOUND * u.ms)]
    if width:
        tx.append(anneal_width(layer, optax.exponential_decay(width[0], N_UPDATES, width[1] / width[0])))
    weights = layer.states(brainstate.ParamState)
    stepper = braintools.optim.OptaxOptimizer(tx=optax.chain(*tx)).register_trainable_weights(weights)
    taus = np.zeros(N_UPDATES) if trace is None else np.geomspace(*trace, N_UPDATES)

    def update(tau):
        x = (brainstate.random.uniform(size=(64, 150, N)) < 0.05).astype(jnp.float32)
        if trace is not None:
            lag = jnp.arange(150)[:, None] - jnp.arange(150)
            x = jnp.einsum("ts,bsc->btc", jnp.where(lag >= 0, jnp.exp(-lag / tau), 0.0), x)
        grads = brainstate.transform.grad(lambda: ((layer(x) - teacher(x)) ** 2).mean(), weights)()
        stepper.step(grads)

    brainstate.random.seed(seed)
    brainstate.transform.jit(lambda: brainstate.transform.for_loop(update, jnp.asarray(taus, jnp.float32)))()
    layer.check()
    return np.mean(layer.steps() == target)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_annealed_gaussian_recovers_all_delays(single_precision, seed):
    assert recovered("gaussian", seed, width=(12, 0.5)) >= 0.99


def test_rounding_recovers_delays_of_smooth_signals(single_precision):
    assert recovered("round", 0, trace=(20, 1)) >= 0.99


@pytest.mark.parametrize("interpolation, limit", [("linear", 0.15), ("round", 0.5)])
def test_narrow_rules_do_not_find_far_delays_of_raw_spikes(single_precision, interpolation, limit):
    assert recovered(interpolation, 0) < limit


SEEDS = (0, 1, 2)


def mean_of_seeds(name):
    """Return mean accuracy, M1 and share at a bound; check every seed against the ideal observer."""
    results = []
    for seed in SEEDS:
        result = run_condition(name, seed, progress=False)
        results.append((result.evaluation.accuracy, result.evaluation.angle_error, result.saturation.total))
        assert result.evaluation.accuracy <= 0.95
    return np.mean(results, 0)


@pytest.mark.parametrize(
    "name, accuracy, angle_error, at_bound",
    [
        ("learned delays", 0.86, 4.3, 0.1),
        ("weights fixed, learned delays", 0.75, np.inf, 0.3),
        ("synapses, weights fixed, learned delays", 0.89, 4.1, 0.3),
        ("from zero", 0.82, 4.6, 0.3),
    ],
)
def test_learned_delays_reach_their_scores(single_precision, name, accuracy, angle_error, at_bound):
    measured = mean_of_seeds(name)
    assert measured[0] >= accuracy and measured[1] <= angle_error and measured[2] <= at_bound


@pytest.mark.parametrize("name, accuracy", [("weights fixed, random delays", 0.5), ("no delays", 0.82)])
def test_controls_stay_below(single_precision, name, accuracy):
    assert mean_of_seeds(name)[0] <= accuracy


def test_no_delays_fail_on_unseen_phases(single_precision):
    assert run_condition("no delays", 0, progress=False).evaluation.angle_error > 8


def test_ideal_observer_bounds_the_task():
    task = CONDITIONS["learned delays"].task()
    trials = task.generate(2048, seed=5)
    result = score(task, trials, ideal_observer(task, trials))
    assert 0.93 < result.accuracy < 0.96
