"""Many fits: the same by a loop, by processes and by Dask; one bad subject is a row, a lost worker a retry."""

import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError, fit_many

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import cohort_problems as problems  # noqa: E402

SUBJECTS = range(8)


@pytest.fixture(scope="module")
def loop():
    import brainstate

    brainstate.environ.set(precision=64)
    return fit_many(problems.problem, SUBJECTS, 30)


def pool(n=2):
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture
def importable(monkeypatch):
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


def same(ours, theirs):
    table, other = ours.table(), theirs.table()
    speeds = [t["speed"].to_decimal(problems.SPEED) for t in (table, other)]
    np.testing.assert_allclose(*speeds, rtol=1e-6)
    np.testing.assert_allclose(table["loss"], other["loss"], atol=1e-9)
    assert [bool(m) for m in ours.messages] == [bool(m) for m in theirs.messages]


def test_every_subject_is_fitted_and_a_bad_one_is_a_row(loop):
    speeds = loop.table()["speed"].to_decimal(problems.SPEED)
    truth = np.array([problems.true_speed(s) for s in SUBJECTS])
    np.testing.assert_allclose(np.delete(speeds, 5), np.delete(truth, 5), rtol=1e-4)
    assert np.isnan(speeds[5]) and loop.results[5] is None
    (failure,) = loop.failures()
    assert failure.startswith("5: RunError: ") and "The target is not finite at (3, 0)" in failure
    assert loop.table()["subject"].tolist() == [str(s) for s in SUBJECTS]
    assert pickle.loads(pickle.dumps(loop)).messages == loop.messages


def test_checkpoints_finish_what_was_begun(loop, tmp_path):
    few = [0, 1, 2]
    first = fit_many(problems.problem, few, 30, checkpoints=tmp_path, every=2)
    again = fit_many(problems.problem, few, 30, checkpoints=tmp_path, every=2)
    for ours, theirs in zip(first.results, again.results, strict=True):
        assert ours.history == theirs.history and ours.best_loss == theirs.best_loss
    assert len(list(tmp_path.glob("*.npz"))) == 3


@pytest.mark.slow
def test_processes_give_the_results_of_a_loop(loop, importable):
    with pool() as executor:
        same(fit_many(problems.problem, SUBJECTS, 30, executor=executor), loop)


@pytest.mark.slow
def test_dask_gives_the_results_of_a_loop(loop, importable):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(fit_many(problems.problem, SUBJECTS, 30, executor=client.get_executor()), loop)


@pytest.mark.slow
def test_a_killed_worker_costs_a_retry(loop, importable, tmp_path, monkeypatch):
    monkeypatch.setenv("DEADLY_MARK", str(tmp_path / "mark"))
    same(fit_many(problems.deadly_problem, SUBJECTS, 30, executor=pool), loop)
    assert (tmp_path / "mark").exists()


@pytest.mark.slow
def test_a_subject_that_kills_its_workers_costs_its_row_only(loop, importable):
    found = fit_many(problems.fatal_problem, SUBJECTS, 30, executor=pool)
    assert [bool(m) for m in found.messages] == [s in (2, 5) for s in SUBJECTS]
    assert "BrokenProcessPool" in found.messages[2] and found.results[2] is None
    others = np.array([s for s in SUBJECTS if s not in (2, 5)])
    speeds = [t.table()["speed"].to_decimal(problems.SPEED)[others] for t in (found, loop)]
    np.testing.assert_allclose(*speeds, rtol=1e-6)


@pytest.mark.slow
def test_loky_gives_the_results_of_a_loop(loop, importable):
    loky = pytest.importorskip("loky")
    with loky.get_reusable_executor(2) as executor:
        same(fit_many(problems.problem, SUBJECTS, 30, executor=executor), loop)


@pytest.mark.slow
def test_executorlib_gives_the_results_of_a_loop(loop, importable):
    executorlib = pytest.importorskip("executorlib")
    with executorlib.SingleNodeExecutor(max_workers=2, block_allocation=True) as executor:
        same(fit_many(problems.problem, SUBJECTS, 30, executor=executor), loop)


@pytest.mark.slow
def test_a_worker_of_dask_that_is_killed_costs_a_retry(loop, importable, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("DEADLY_MARK", str(tmp_path / "mark"))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(fit_many(problems.deadly_problem, SUBJECTS, 30, executor=client.get_executor()), loop)
    assert (tmp_path / "mark").exists()


def test_a_lost_worker_without_a_retry_costs_its_row():
    class Lossy(ThreadPoolExecutor):
        def submit(self, fn, make, subject, *args):
            future = super().submit(fn, make, subject, *args)
            if subject == 1:
                future = super().submit(lambda: 1 / 0)
            return future

    with Lossy(1) as executor:
        found = fit_many(problems.problem, [0, 1], 3, executor=executor, retries=0)
    assert found.messages == ("", "ZeroDivisionError: division by zero") and found.results[0] is not None


def test_models_may_differ_and_a_class_may_make_the_pool():
    found = fit_many(problems.uneven_problem, [1, 2], 30, executor=ThreadPoolExecutor)
    table = found.table()
    np.testing.assert_allclose(table["x"].to_decimal(u.mV), [1.0, 1.0], rtol=1e-4)
    np.testing.assert_allclose(table["y"].to_decimal(u.mV), [np.nan, 2.0], rtol=1e-4)
    with pytest.raises(
        ArgumentError, match="fit_many.executor: must be a concurrent.futures.Executor, or .*; got 3"
    ):
        fit_many(problems.uneven_problem, [1], 3, executor=lambda: 3)


def test_intervals_are_those_of_each_fit_and_survive_a_pickle():
    found = fit_many(problems.level_problem, [1.0, 2.0, float("nan")], 30, level=0.9)
    assert pickle.loads(pickle.dumps(found)).table().keys() == found.table().keys()
    table = {name: column.to_decimal(u.mV) for name, column in found.table().items() if name.startswith("x")}
    half = 1.6449 * problems.SIGMA / np.sqrt(8)  # of the mean of eight values, 90 %
    for side, sign in (("low", -1), ("high", 1)):
        np.testing.assert_allclose(table[f"x.{side}"][:2], table["x"][:2] + sign * half, rtol=1e-3)
        assert np.isnan(table[f"x.{side}"][2])
    assert found.results[0].found["uncertainty"].level == 0.9
    plain = fit_many(problems.connectivity_problem, [0], 2, level=0.9)
    assert "fit_many.level: needs a likelihood as objective" in plain.messages[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((3, [1]), "fit_many.make_problem: must be callable"),
        ((problems.problem, []), "fit_many.subjects: must hold at least one"),
        ((problems.problem, [1], 0), "fit_many.n_steps: must be a whole number"),
        ((problems.problem, [1], 1, {"checkpoint": "a.npz"}), "fit_many.checkpoint: must be None"),
        ((problems.problem, [1], 1, {"level": 1.5}), "fit_many.level: must be below 1; got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        fit_many(*arguments[:3], **(arguments[3] if len(arguments) > 3 else {}))
    assert "must return a Fitter and a target" in fit_many(lambda s: (s, s), [1]).messages[0]
    assert "unexpected keyword" in fit_many(problems.problem, [1], wrong=3).messages[0]
