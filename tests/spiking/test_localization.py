"""The localization task: spikes, metrics, bound, training on odd sizes."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.spiking import DelayLayer, SpikingClassifier, predict, train
from brainmass_delays.spiking.localization import (
    CONDITIONS,
    LocalizationTask,
    Trials,
    ideal_observer,
    run_condition,
    score,
)

SMALL = {"n_fibers": 4, "duration": 60 * u.ms}


def small_network(n_fibers=4, n_hidden=6, mode="valid", **options):
    brainstate.random.seed(0)
    return SpikingClassifier(
        DelayLayer(2 * n_fibers, max_delay=10 * u.ms, mode=mode, **options), n_hidden=n_hidden
    )


def test_spike_counts_follow_the_rate():
    task = LocalizationTask()
    trials = task.generate(300, seed=0)
    assert abs(trials.spikes.mean() - 0.6 * 3 / 8) < 2e-3  # mean of ((1 + sin) / 2)^2 is 3/8
    assert trials.spikes.dtype == bool and trials.spikes.shape == (300, 150, 200)
    phase = np.angle(
        np.exp(-2j * np.pi * np.arange(150) / 50) @ trials.spikes.reshape(300, 150, 2, 100).mean(-1)
    )
    lead = np.angle(np.exp(1j * (phase[:, 1] - phase[:, 0])))
    assert np.abs(lead - trials.angle).max() < 0.25  # the right ear leads by the angle
    assert abs(np.corrcoef(lead, trials.angle)[0, 1]) > 0.99


@pytest.mark.parametrize("phase, spread", [("sample", True), ("call", False)])
def test_start_phase_is_drawn_per_sample_or_per_call(phase, spread):
    trials = LocalizationTask(phase=phase).generate(50, seed=0)
    left = np.exp(-2j * np.pi * np.arange(150) / 50) @ trials.spikes[..., :100].mean(-1).T
    assert (np.abs(np.exp(1j * np.angle(left)).mean()) < 0.5) == spread


def test_hand_made_phases_spread_over_the_fibers():
    task = LocalizationTask(phase_delays=True)
    p = task.spike_probability(np.array(0.0))
    assert (
        p.shape == (150, 100)
        and p[0].std() > 0.05
        and LocalizationTask().spike_probability(np.array(0.0))[0].std() == 0
    )


def test_same_seed_same_trials():
    task = LocalizationTask(**SMALL)
    for a, b in zip(task.generate(5, 3), task.generate(5, 3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_classes_cover_the_half_circle():
    task = LocalizationTask()
    np.testing.assert_array_equal(task.encode(task.decode(np.arange(12))), np.arange(12))
    np.testing.assert_array_equal(task.encode(np.array([-np.pi / 2, np.pi / 2])), [0, 11])


def test_both_errors_by_hand():
    task = LocalizationTask(n_classes=2)
    trials = Trials(np.zeros((2, 1, 1)), np.deg2rad([10.0, -30.0]), np.array([1, 0]))
    result = score(task, trials, np.array([1, 1]))
    assert result.accuracy == 0.5
    np.testing.assert_allclose([result.angle_error, result.class_error], [(35 + 75) / 2, 45])
    np.testing.assert_array_equal(result.confusion, [[0, 1], [0, 1]])


def test_ideal_observer_matches_its_known_score():
    task = LocalizationTask()
    trials = task.generate(400, seed=1)
    result = score(task, trials, ideal_observer(task, trials, n_phases=360))
    assert abs(result.accuracy - 0.946) < 0.035 and abs(result.angle_error - 3.88) < 0.3


def test_ideal_observer_of_few_fibers_is_worse():
    scores = []
    for n_fibers in (2, 20):
        task = LocalizationTask(n_fibers=n_fibers)
        trials = task.generate(200, seed=1)
        scores.append(score(task, trials, ideal_observer(task, trials, n_phases=360)).accuracy)
    assert 0.25 < scores[0] < scores[1] - 0.1


def test_no_trial_is_left_out_of_an_odd_batch():
    task = LocalizationTask(**SMALL)
    trials, network = task.generate(13, seed=0), small_network()
    with brainstate.environ.context(dt=task.dt):
        logits = network(trials.spikes)
    expected = float(
        optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(trials.label)).mean()
    )
    for batch_size in (5, 13, 64):
        record = train(
            network, trials, task, n_epochs=1, batch_size=batch_size, optimizer=optax.sgd(0.0), progress=False
        )
        np.testing.assert_allclose(record.loss, expected, rtol=1e-9)
        np.testing.assert_allclose(record.accuracy, np.mean(logits.argmax(-1) == trials.label))
    assert predict(network, trials.spikes, task.dt, batch_size=5).shape == (13,)


def test_every_trial_of_an_odd_batch_trains():
    task = LocalizationTask(**SMALL)
    trials = task.generate(6, seed=0)
    results = []
    for batch_size in (6, 9):
        network = small_network()
        train(
            network, trials, task, n_epochs=1, batch_size=batch_size, optimizer=optax.sgd(0.1), progress=False
        )
        results.append(np.asarray(network.readout.weight.value["weight"]))
    np.testing.assert_allclose(*results, atol=1e-12)


@pytest.mark.parametrize("mode", ["same", "valid"])
def test_padding_a_short_trial_does_not_change_its_score(mode):
    task, network = LocalizationTask(**SMALL), small_network(mode=mode)
    spikes = task.generate(3, seed=0).spikes
    lengths = np.array([60, 33, 20])
    padded = spikes * (np.arange(60) < lengths[:, None])[..., None]
    together = network(padded, lengths)
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(network(spikes[i : i + 1, :n])[0], together[i], atol=1e-12)


def test_training_lowers_the_loss_and_moves_delays_inside_their_bounds(single_precision):
    task = LocalizationTask(n_fibers=20, duration=60 * u.ms)
    trials, network = task.generate(256, seed=0), small_network(n_fibers=20, n_hidden=20)
    before = np.asarray(u.get_magnitude(network.delays.delay.value()))
    record = train(network, trials, task, n_epochs=12, batch_size=16, progress=False)
    after = np.asarray(u.get_magnitude(network.delays.delay.value()))
    assert record.loss[-1] < 0.75 * record.loss[0]
    assert np.all(before != after) and after.min() >= 0 and after.max() <= 10


def test_runaway_delays_stop_training():
    task = LocalizationTask(**SMALL)
    with pytest.raises(RunError, match="a delay passed its static bound"):
        train(
            small_network(),
            task.generate(16, seed=0),
            task,
            n_epochs=2,
            batch_size=4,
            optimizer=optax.adam(20.0),
            progress=False,
        )


def test_a_loss_that_is_not_finite_stops_training():
    task = LocalizationTask(**SMALL)
    network = small_network(delay=Param(0 * u.ms, fit=False))
    with pytest.raises(RunError, match="train: a value became NaN or infinite"):
        train(
            network,
            task.generate(16, seed=0),
            task,
            n_epochs=2,
            batch_size=4,
            optimizer=optax.sgd(1e308),
            progress=False,
        )


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_runs_and_trains_what_it_says(name):
    condition = CONDITIONS[name]
    trials = [LocalizationTask(phase_delays=condition.hand_made).generate(n, seed=n) for n in (64, 32)]
    start = condition.network(condition.task(), 0)
    result = run_condition(name, 0, *trials, n_epochs=1, progress=False)
    moved = not np.array_equal(
        u.get_magnitude(result.network.delays.delay.value()), u.get_magnitude(start.delays.delay.value())
    )
    assert moved == condition.train_delays
    pair = [
        n.delays.weight.value() if condition.per_synapse else n.input.weight.value["weight"]
        for n in (start, result.network)
    ]
    assert np.array_equal(*pair) != condition.train_input
    assert result.evaluation.confusion.sum() == 32


@pytest.mark.parametrize(
    "options, message",
    [
        ({"phase": "trial"}, "LocalizationTask.phase: must be one of 'sample', 'call'"),
        ({"peak_rate": 1200 * u.Hz}, "LocalizationTask.peak_rate: must be at most one spike per dt"),
        ({"duration": 150.5 * u.ms}, "LocalizationTask.duration: must be a whole number of time steps"),
        ({"frequency": 20}, "LocalizationTask.frequency: needs a unit such as Hz"),
        ({"n_classes": 1}, "LocalizationTask.n_classes: must be a whole number of at least 2"),
    ],
)
def test_bad_tasks_name_themselves(options, message):
    with pytest.raises(ArgumentError, match=message):
        LocalizationTask(**options)
