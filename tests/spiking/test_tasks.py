"""Tasks that need memory in time: what they generate, the networks compared, and what learning delays brings."""

import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.spiking import DelayLayer, SpikingClassifier
from brainmass_delays.spiking.summary import count_parameters
from brainmass_delays.spiking.tasks import (
    ROWS,
    DelayedMatchTask,
    LatencyDigitsTask,
    Score,
    compare,
    run_row,
    table,
)
from brainmass_delays.spiking.tasks.comparison import make_network


def test_matches_are_half_and_counts_do_not_tell_them():
    task = DelayedMatchTask(noise_rate=0 * u.Hz)
    trials = task.generate(2000, seed=0)
    assert trials.label.mean() == 0.5 and trials.spikes.shape == (2000, task.n_steps, 20)
    groups = trials.spikes.reshape(2000, task.n_steps, 4, 5).any((1, 3))
    np.testing.assert_array_equal(groups.sum(1), np.where(trials.label, 1, 2))
    counts = trials.spikes.sum((1, 2))
    assert abs(counts[trials.label == 1].mean() - counts[trials.label == 0].mean()) < 4 * counts.std() / 30
    by_channel = [trials.spikes[trials.label == k].mean((0, 1)) for k in (0, 1)]
    np.testing.assert_allclose(*by_channel, atol=0.006)


def test_the_second_burst_follows_after_the_gap():
    task = DelayedMatchTask(burst=1 * u.ms, gap=7 * u.ms, burst_rate=1000 * u.Hz, noise_rate=0 * u.Hz)
    for spikes in task.generate(20, seed=0).spikes:
        times = np.flatnonzero(spikes.any(1))
        assert len(times) == 2 and times[1] - times[0] == 8 and times[0] < 10


def test_digits_spike_once_and_earlier_when_brighter():
    task = LatencyDigitsTask(window=20 * u.ms, darkest=0.2)
    spikes = task.encode(np.array([[1.0, 0.5, 0.25, 0.1, 0.0]]))
    assert [np.flatnonzero(s).tolist() for s in spikes[0].T] == [[0], [10], [15], [], []]
    train, test = task.datasets(seed=0)
    assert train.spikes.shape == (1400, 41, 64) and len(test.label) == 397
    assert set(np.unique(train.label)) == set(range(10))


def test_rows_are_matched_in_parameters():
    task = LatencyDigitsTask()
    names = [name for name in ROWS if name != "random delays, fixed"]
    n = {name: count_parameters(make_network(task, ROWS[name], 32, 0)) for name in names}
    assert abs(n["no delays, as many parameters"] / n["learned delays"] - 1) < 0.01
    assert n["no delays, four times wider"] > 2 * n["learned delays"]
    assert n["recurrent, learned delays"] - n["recurrent, random delays, fixed"] == 32


def test_rows_that_learn_start_from_the_delays_of_those_that_do_not():
    task = DelayedMatchTask()
    for fixed, learned in (
        ("random delays, fixed", "learned delays"),
        ("recurrent, random delays, fixed", "recurrent, learned delays"),
    ):
        nets = [make_network(task, ROWS[name], 8, 3) for name in (fixed, learned)]
        layers = [net.delays if ROWS[fixed].feedback == "none" else net.hidden.feedback for net in nets]
        np.testing.assert_array_equal(*(np.asarray(layer.delay.value().to_decimal(u.ms)) for layer in layers))
        np.testing.assert_array_equal(*(np.asarray(layer.weight.value()) for layer in layers))


def test_table_shows_every_seed():
    scores = {
        "a": [Score(0.5, 7, np.nan, np.ones(1)), Score(0.75, 7, np.nan, np.ones(1))],
        "b": [Score(1.0, 9, 0.25, np.ones(1))],
    }
    assert table(scores).splitlines()[2:] == [
        "| a | 7 | 62.5 | 50.0, 75.0 | – |",
        "| b | 9 | 100.0 | 100.0 | 25% |",
    ]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DelayedMatchTask(gap=7.5 * u.ms), "DelayedMatchTask.gap: must be a whole number of time steps"),
        (lambda: DelayedMatchTask(burst_rate=2000 * u.Hz), "DelayedMatchTask.burst_rate: must lie between 0 and one spike"),
        (lambda: DelayedMatchTask(n_symbols=1), "DelayedMatchTask.n_symbols: must be a whole number of at least 2"),
        (lambda: LatencyDigitsTask(darkest=1.5), "LatencyDigitsTask.darkest: must lie between 0 and 1"),
        (lambda: LatencyDigitsTask().encode(np.full((1, 4), 16.0)), "LatencyDigitsTask.images: must be at most 1"),
        (lambda: run_row(DelayedMatchTask(), "learnt delays", 0), "run_row.name: must be one of .* Did you mean 'learned delays'"),
    ],
)  # fmt: skip
def test_bad_tasks_name_themselves(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_learned_delays_hold_a_burst_over_a_gap(single_precision):
    """The quick representative: a short gap and 96 updates."""
    task = DelayedMatchTask(gap=8 * u.ms)
    datasets = task.generate(1024, 0), task.generate(512, 1)
    scores = {
        name: run_row(task, name, 0, n_epochs=6, datasets=datasets, progress=False).accuracy
        for name in ("no delays, as many parameters", "learned delays")
    }
    print(scores)
    assert scores["no delays, as many parameters"] < 0.6 < 0.75 < scores["learned delays"]


def test_trials_shorter_than_what_the_readout_leaves_out_are_refused():
    """Their mean would be over no step at all: zero log-odds, and no gradient."""
    network = SpikingClassifier(DelayLayer(3, max_delay=9 * u.ms), 4, 2)
    with pytest.raises(
        ArgumentError, match="SpikingClassifier.spikes: must hold trials longer than the 9 steps"
    ):
        network(np.ones((1, 9, 3)))
    with pytest.raises(ArgumentError, match="SpikingClassifier.spikes: must hold trials longer"):
        network(np.ones((2, 12, 3)), np.array([12, 8]))
    assert SpikingClassifier(DelayLayer(3, max_delay=9 * u.ms), 4, 2, settle=0 * u.ms)(
        np.ones((1, 4, 3))
    ).shape == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task, above_fixed", [(DelayedMatchTask(), 0.02), (LatencyDigitsTask(), 0.04)], ids=["match", "digits"]
)
def test_learned_delays_beat_no_delays_by_more_than_the_seeds_differ(single_precision, task, above_fixed):
    """Where the answer is read after the longest delay. Read while the digits come, they do not: see the page."""
    scores = compare(task, settle=task.max_delay, progress=False)
    print(table(scores))
    accuracy = {name: np.array([score.accuracy for score in found]) for name, found in scores.items()}
    learned = accuracy["learned delays"]
    for name in ("no delays, as many parameters", "no delays, four times wider"):
        assert learned.min() - accuracy[name].max() > max(np.ptp(learned), np.ptp(accuracy[name]))
    assert learned.mean() > accuracy["random delays, fixed"].mean() + above_fixed
    assert all(score.at_bound <= 0.15 for score in scores["learned delays"])
