"""What the parts of spike delays refuse, by name: silent wrong numbers and foreign exceptions of before."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import nir
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.spiking import (
    LIF,
    DelayLayer,
    LeakyIntegrator,
    RecurrentLIF,
    SpikingClassifier,
    anneal_width,
    from_nir,
    predict,
    project_to_grid,
    saturation,
    train,
)
from brainmass_delays.spiking.localization import LocalizationTask, ideal_observer, score
from brainmass_delays.spiking.tasks import (
    DelayedMatchTask,
    LatencyDigitsTask,
    Row,
    Trials,
    compare,
    run_row,
    table,
)
from brainmass_delays.spiking.tasks.comparison import make_network

MS = u.ms
SPIKES, LABEL = np.zeros((4, 20, 3)), np.array([0, 1, 0, 1])
TASK = DelayedMatchTask()


def layer(**options):
    return DelayLayer(**{"n_in": 3, "max_delay": 4 * MS, "delay": 2.0 * MS} | options)


def network():
    return SpikingClassifier(layer(), 4, 2)


def learn(spikes=SPIKES, label=LABEL, **options):
    return train(network(), Trials(spikes, label), TASK, n_epochs=1, progress=False, **options)


def chain(*nodes, n_in=3, n_out=3):
    """Return a graph of nodes in a row, types unchecked."""
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    ends = {
        "input": nir.Input(input_type={"input": np.array([n_in])}),
        "output": nir.Output(output_type={"output": np.array([n_out])}),
    }
    names = ["input", *named, "output"]
    return nir.NIRGraph(named | ends, list(zip(names, names[1:], strict=False)), type_check=False)


def lif(**options):
    given = {"tau": 5e-3, "r": 5.5, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | options
    return nir.LIF(**{name: np.full(3, value) for name, value in given.items()})


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: layer(max_delay=np.array([4.0, 5.0]) * MS), "DelayLayer.max_delay: must be one time"),
        (lambda: layer(width=1 * MS), "DelayLayer.width: belongs to interpolation 'gaussian' or 'triangular'; got a width with 'round'"),
        (lambda: layer()("spikes"), "DelayLayer.spikes: must be a number; got 'spikes'"),
        (lambda: layer()(SPIKES * u.mV), "DelayLayer.spikes: must be plain numbers without a unit; got mV"),
        (lambda: layer()(SPIKES * 1j), "DelayLayer.spikes: must be real"),
        (lambda: layer()(SPIKES + np.nan), "DelayLayer.spikes: must be finite; got nan"),
        (lambda: layer()(SPIKES, history=np.full((4, 4, 3), np.nan)), "DelayLayer.history: must be finite; got nan"),
        (lambda: layer().init_state(-1), "DelayLayer.batch_size: must be a whole number of at least 1; got -1"),
        (lambda: LIF(3).init_state("2"), "LIF.batch_size: must be a whole number"),
        (lambda: LIF(3)(SPIKES + np.nan), "LIF.currents: must be finite; got nan"),
        (lambda: LeakyIntegrator(3)(SPIKES + np.inf), "LeakyIntegrator.currents: must be finite"),
        (lambda: LIF(3).step(SPIKES[:, 0]), r"LIF.currents: .* got \(4, 3\). Call init_state"),
        (
            lambda: RecurrentLIF(LIF(3), layer(n_out=3, min_delay=1 * MS, mode="valid")),
            "RecurrentLIF.feedback: must have mode='same', .* got 'valid'",
        ),
        (
            lambda: RecurrentLIF(LIF(3), layer(n_out=3, min_delay=1 * MS))(SPIKES + np.nan),
            "LIF.currents: must be finite",
        ),
        (lambda: predict(layer(), SPIKES, 1 * MS), "predict.network: must be a SpikingClassifier"),
        (lambda: predict(network(), SPIKES + np.nan, 1 * MS), "predict.spikes: must be finite"),
        (lambda: predict(network(), SPIKES, 0.3 * MS), "got 4 ms with dt = 0.3 ms. Take 3.9 ms"),
        (lambda: learn(label=LABEL[:3]), r"train.trials.label: must hold one class per trial, shape \(4,\); got \(3,\)"),
        (lambda: learn(label=LABEL - 1), "train.trials.label: must hold classes from 0 to 1; got -1"),
        (lambda: learn(label=LABEL + 0.5), "train.trials.label: must hold classes from 0 to 1; got 0.5"),
        (lambda: learn(label=LABEL + 1), "train.trials.label: must hold classes from 0 to 1; got 2"),
        (lambda: learn(spikes=SPIKES[0]), r"train.trials.spikes: must have the shape \(trial, time, channel\); got \(20, 3\)"),
        (lambda: learn(lengths=np.full(4, 7.5)), "train.lengths: must hold whole numbers of 1 to 20 steps; got 7.5"),
        (lambda: saturation(LIF(3)), "saturation.module: must contain a layer of delays"),
        (lambda: project_to_grid(1 * MS, upper=5.5 * MS), "project_to_grid.upper: must be whole steps of dt = 1 ms; got 5.5 ms"),
        (
            lambda: anneal_width(layer(interpolation="gaussian"), lambda n: -1.0).update(0.0, anneal_width(layer(interpolation="gaussian"), lambda n: 1.0).init(0.0)),
            "anneal_width.schedule: must be at least 0",
        ),
        (lambda: DelayedMatchTask(dt=1), "DelayedMatchTask.dt: needs a unit such as ms"),
        (lambda: DelayedMatchTask(burst_rate=3 * MS), "DelayedMatchTask.burst_rate: must have the dimension of Hz; got ms"),
        (lambda: DelayedMatchTask(burst=2.5 * MS), "DelayedMatchTask.burst: .* got 2.5 ms with dt = 1 ms. Take 3 ms"),
        (lambda: TASK.generate(3, seed=-2), "DelayedMatchTask.seed: must be a whole number from 0 on, .* got -2"),
        (lambda: LatencyDigitsTask().datasets("a"), "LatencyDigitsTask.seed: must be a whole number"),
        (lambda: compare(TASK, "learned delays"), "compare.names: must be a sequence that is not empty; got 'learned delays'"),
        (lambda: compare(TASK, seeds=()), r"compare.seeds: must be a sequence that is not empty; got \(\)"),
        (lambda: run_row(None, "learned delays", 0), "run_row.task: must be a task, which has a dt; got None"),
        (lambda: run_row(TASK, "learned delays", 0, datasets=3), "run_row.datasets: must be a sequence that is not empty; got 3"),
        (lambda: table({"row": [3]}), r"table.scores\['row'\]\[0\]: must be a Score; got 3"),
        (lambda: make_network(TASK, Row("learnt"), 4, 0), "Row.delays: .* got 'learnt'. Did you mean 'learned'"),
        (lambda: LocalizationTask().generate(2, seed="a"), "LocalizationTask.seed: must be a whole number"),
        (lambda: LocalizationTask().decode(12), "LocalizationTask.label: must hold classes from 0 to 11; got 12"),
        (lambda: LocalizationTask().encode(-np.pi), "LocalizationTask.angle: must be at least"),
        (lambda: ideal_observer(LocalizationTask(), LocalizationTask(n_fibers=2).generate(2, 0)), r"ideal_observer.trials: must be trials of this task, .*; got \(2, 150, 4\)"),
        (lambda: from_nir(chain(nir.Delay(np.full(3, np.nan)))), "from_nir.n0.delay: must be finite; got nan"),
        (lambda: from_nir(chain(nir.Delay(np.full((3, 3), 1e-3)))), r"from_nir.n0.delay: must have 0 to 1 axes; got shape \(3, 3\)"),
        (lambda: from_nir(chain(nir.Delay(np.full(3, 9e-3))), max_delay=5 * MS), "from_nir.n0.delay: must not exceed max_delay, 5 ms"),
        (lambda: from_nir(chain(nir.Delay(np.full(4, 1e-3)))), "from_nir.n0: must read 3 channels, .* got 4"),
        (lambda: from_nir(chain(nir.Linear(np.full((2, 3), np.nan)), n_out=2)), "from_nir.n0.weight: must be finite; got nan"),
        (lambda: from_nir(chain(lif(r=np.nan))), "from_nir.n0.r: must be finite; got nan"),
        (lambda: from_nir(chain(lif(v_threshold=np.nan))), "from_nir.n0.v_threshold: must be finite; got nan"),
        (lambda: from_nir(chain()), "from_nir.graph: must hold a node between input and output"),
    ],
)  # fmt: skip
def test_it_is_refused_by_name(call, message):
    with brainstate.environ.context(dt=1 * u.ms), pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("predicted", [[0, 99], [0, -1], [0.5, 1], [0]])
def test_only_classes_are_scored(predicted):
    """-1 was the last class, and a float an index."""
    task = LocalizationTask(n_fibers=1)
    with pytest.raises(ArgumentError, match="score.predicted: must hold"):
        score(task, task.generate(2, seed=0), np.array(predicted))


def test_whole_classes_of_any_number_type_are_scored_alike():
    task = LocalizationTask(n_fibers=1)
    trials = task.generate(9, seed=0)
    assert score(task, trials, trials.label.astype(np.float32)).accuracy == 1
    assert score(task, trials, jnp.asarray(trials.label)).accuracy == 1
