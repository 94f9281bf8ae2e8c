"""Stored sweeps go on where they were and never answer for another; failed chunks are tried again, or cost their points."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import brainstate
import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays._core import pool
from brainmass_delays._core.files import locked
from brainmass_delays._core.status import NOT_RUN
from brainmass_delays.sweeps import execution, store, sweep

ROOT = Path(__file__).parents[2]
A = np.arange(12.0)


def square(a):
    return {"y": a**2 * u.mV, "n": (a > 5).astype(int)}


def noisy(a):
    return a + brainstate.random.normal()


@pytest.fixture
def counted(monkeypatch):
    """Count chunks that are run, and end at one of them if told to."""
    run_chunk, calls = execution.run_chunk, []

    def count(job, points):
        if len(calls) == count.stop:
            raise KeyboardInterrupt
        calls.append(1)
        return run_chunk(job, points)

    count.stop, count.calls = None, calls
    monkeypatch.setattr(execution, "run_chunk", count)
    return count


def test_a_stored_sweep_goes_on_where_it_was(tmp_path, counted):
    counted.stop = 2
    with pytest.raises(KeyboardInterrupt):
        sweep(square, {"a": A}, batch=3, store=tmp_path)
    counted.stop = None
    result = sweep(square, {"a": A}, store=tmp_path)  # in the chunks of the first call
    assert len(counted.calls) == 4
    plain = sweep(square, {"a": A}, batch=3)
    assert result.results["y"].unit == u.mV and result.status.tolist() == plain.status.tolist()
    np.testing.assert_array_equal(result.results["y"].mantissa, plain.results["y"].mantissa)
    counted.calls.clear()
    again = sweep(square, {"a": A}, store=tmp_path)
    assert not counted.calls and again.results["n"].tolist() == plain.results["n"].tolist()
    assert again.results["n"].dtype == plain.results["n"].dtype


def test_a_store_that_is_full_loses_no_finished_point(tmp_path, monkeypatch):
    write, written = store.write_whole, []

    def full_at_last(where, path, content):
        if len(written) == 3:  # the axes and two chunks
            raise OSError(28, "No space left on device")
        written.append(path)
        write(where, path, content)

    monkeypatch.setattr(store, "write_whole", full_at_last)
    with pytest.raises(OSError, match="No space left") as raised:
        sweep(square, {"a": A}, batch=3, store=tmp_path)
    assert np.count_nonzero(raised.value.result.status & NOT_RUN == 0) == 9


def test_random_numbers_are_those_of_the_first_call(tmp_path, counted):
    counted.stop = 1
    with pytest.raises(KeyboardInterrupt):
        sweep(noisy, {"a": A}, batch=6, store=tmp_path)
    counted.stop = None
    result = sweep(noisy, {"a": A}, store=tmp_path)
    np.testing.assert_allclose(np.diff(result.results), 1.0)  # one random number for all points


@pytest.mark.parametrize("change", ["code", "axis", "unit", "product", "array", "setting"])
def test_another_sweep_is_not_answered(tmp_path, counted, change):
    table = np.array([1.0, 2.0, 3.0])

    def predict(a, b):
        return a * b * table.sum()

    axes = {"a": A[:3], "b": A[:3]}
    sweep(predict, axes, store=tmp_path)
    sweep(predict, axes, store=tmp_path)
    assert len(counted.calls) == 1
    if change == "code":
        sweep(lambda a, b: a * b * 6.5, axes, store=tmp_path)
    elif change == "axis":
        sweep(predict, axes | {"b": A[1:4]}, store=tmp_path)
    elif change == "unit":
        sweep(predict, axes | {"b": A[:3] * u.ms}, store=tmp_path)
    elif change == "product":
        sweep(predict, axes, product=False, store=tmp_path)
    elif change == "array":
        table[0] = 5.0
        sweep(predict, axes, store=tmp_path)
    else:
        with brainstate.environ.context(dt=0.5 * u.ms):
            sweep(predict, axes, store=tmp_path)
    assert len(counted.calls) == 2


def test_damaged_files_used_folders_and_what_is_no_path_are_refused(tmp_path):
    sweep(square, {"a": A}, batch=6, store=tmp_path)
    (folder,) = tmp_path.iterdir()
    with (
        locked(folder / "lock"),
        pytest.raises(ArgumentError, match="sweep.store: must be used by one sweep at a time"),
    ):
        sweep(square, {"a": A}, store=tmp_path)
    chunk = folder / "chunk-000001.npz"
    chunk.write_bytes(chunk.read_bytes()[:-40])
    with pytest.raises(ArgumentError, match=r"sweep.store: must hold whole files.*chunk-000001.npz"):
        sweep(square, {"a": A}, store=tmp_path)
    with pytest.raises(ArgumentError, match="sweep.store: must be a path"):
        sweep(square, {"a": A}, store=3)


class Flaky(concurrent.futures.Executor):
    """Run calls at once; some fail, the first few times."""

    def __init__(self, failing, times, error=RuntimeError("worker lost")):
        self.failing, self.times, self.error, self.n_calls, self.pending = failing, times, error, {}, 0

    def submit(self, fn, job, points):
        future, first = concurrent.futures.Future(), float(points["a"][0])
        self.n_calls[first] = self.n_calls.get(first, 0) + 1
        if first in self.failing and self.n_calls[first] <= self.times:
            future.set_exception(self.error)
        else:
            future.set_result(fn(job, points))
        return future


def test_chunks_are_tried_again():
    flaky = Flaky({4.0}, 2)
    result = sweep(square, {"a": A}, batch=2, executor=flaky, retries=2)
    assert not result.status.any() and flaky.n_calls == {float(a): 1 + 2 * (a == 4) for a in A[::2]}


@pytest.mark.parametrize("where", ["here", "executor"])
def test_chunks_that_keep_failing_cost_their_points_only(where, monkeypatch):
    if where == "here":
        run_chunk = execution.run_chunk

        def failing(job, points):
            if points["a"][0] == 4:
                raise RuntimeError("worker lost")
            return run_chunk(job, points)

        monkeypatch.setattr(execution, "run_chunk", failing)
    flaky = None if where == "here" else Flaky({4.0}, 99)
    with pytest.warns(
        UserWarning,
        match=r"1 of 6 chunks could not be run and have the status 16; the first error was RuntimeError\('worker lost'\)",
    ):
        result = sweep(square, {"a": A}, batch=2, executor=flaky, retries=1)
    assert (result.status == NOT_RUN).tolist() == (A // 2 == 2).tolist()
    np.testing.assert_array_equal(
        result.results["y"].mantissa[~result.status.astype(bool)], A[A // 2 != 2] ** 2
    )
    with pytest.raises(RuntimeError, match="worker lost"):
        sweep(square, {"a": A[4:6]}, batch=2, executor=Flaky({4.0}, 99), retries=1)


def test_a_broken_pool_is_made_again():
    pools = []

    def make():
        pools.append(Flaky({4.0}, 1 if not pools else 0, BrokenProcessPool("killed")))
        return pools[-1]

    result = sweep(square, {"a": A}, batch=2, executor=make, retries=1)
    assert not result.status.any() and len(pools) == 2


class Job:
    """A job of submitit: no Future of Python's."""

    def __init__(self, call):
        self.call, self.asked = call, 0

    def done(self):
        self.asked += 1
        return self.asked > 2

    def result(self):
        return self.call()

    def cancel(self):
        return False


def test_jobs_that_are_no_futures_are_asked():
    class Submitit:
        def submit(self, fn, *args):
            return Job(lambda: fn(*args))

    result = sweep(square, {"a": A}, batch=4, executor=Submitit())
    np.testing.assert_array_equal(result.results["y"].mantissa, A**2)


def test_a_bounded_number_of_chunks_waits(monkeypatch):
    monkeypatch.setattr(pool, "MAX_PENDING", 3)
    most = []

    class Lazy:
        def __init__(self):
            self.open = 0

        def submit(self, fn, *args):
            self.open += 1
            most.append(self.open)

            def call():
                self.open -= 1
                return fn(*args)

            return Job(call)

    sweep(square, {"a": A}, batch=1, executor=Lazy())
    assert max(most) == 3 and len(most) == 12


PROGRAM = textwrap.dedent(
    """
    import sys, time
    import jax, numpy as np
    from brainmass_delays.sweeps import sweep

    def predict(a):
        jax.debug.callback(lambda a: time.sleep(0.05), a)
        return jax.numpy.sin(a)

    if __name__ == "__main__":
        result = sweep(predict, {"a": np.arange(20.0)}, batch=1, store=sys.argv[1])
        np.save(sys.argv[2], result.results)
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="kills are those of POSIX")
@pytest.mark.parametrize("n_kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_sweep_goes_on(tmp_path, n_kills):
    """A sweep is killed again and again; once it has ended, another one begins."""
    program, store, out = tmp_path / "program.py", tmp_path / "store-0", tmp_path / "out.npy"
    program.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    rng, n_killed, n_ended = np.random.default_rng(0), 0, 0
    whole = tmp_path / "whole.npy"
    subprocess.run([sys.executable, program, tmp_path / "store", whole], env=environment, check=True)
    np.testing.assert_allclose(np.load(whole), np.sin(np.arange(20.0)), rtol=1e-6)
    while n_killed < n_kills or not n_ended:
        process = subprocess.Popen(
            [sys.executable, program, store, out], env=environment, stderr=subprocess.PIPE, text=True
        )
        n_before = len(list(store.glob("*/chunk-*")))
        while len(list(store.glob("*/chunk-*"))) == n_before and process.poll() is None:
            time.sleep(0.005)
        if n_killed < n_kills:
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        n_killed += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            np.testing.assert_array_equal(np.load(out), np.load(whole))  # to the bit
            assert len(list(store.glob("*/chunk-*"))) == 20
            store, n_ended = tmp_path / f"store-{n_ended + 1}", n_ended + 1
