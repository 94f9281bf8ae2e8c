"""A sweep that is stopped hands out what was finished, and refuses pools that would never return."""

import concurrent.futures
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from brainmass_delays import ArgumentError, fit_many
from brainmass_delays._core.status import NOT_RUN
from brainmass_delays.sweeps import execution, sweep

ROOT = Path(__file__).parents[2]
A = np.arange(12.0)


def square(a):
    return {"y": a**2, "n": (a > 5).astype(int)}


class FailingExecutor(concurrent.futures.Executor):
    """Run calls at once; one of them fails with an error that any call may have."""

    def __init__(self, failing, error):
        self.failing, self.error, self.n_calls = failing, error, 0

    def submit(self, fn, /, *args, **kwargs):
        future, number = concurrent.futures.Future(), self.n_calls
        self.n_calls += 1
        if number == self.failing:
            future.set_exception(self.error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def check(error, run):
    """Assert that an error carries the points that were run, and flags the others."""
    result = error.result
    np.testing.assert_array_equal(result.status == 0, run)
    assert set(result.status[~run]) <= {NOT_RUN}
    np.testing.assert_array_equal(result.results["y"], np.where(run, A**2, np.nan))
    np.testing.assert_array_equal(result.results["n"], np.where(run, A > 5, 0))
    assert result.failures()[0].endswith("it was not run")
    assert f"sweep: {run.sum()} of 12 points were finished" in error.__notes__[0]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, BrokenProcessPool])
@pytest.mark.parametrize("failing", [0, 2, 5])
def test_one_failed_future_loses_no_other(error, failing):
    with pytest.raises(error) as caught:
        sweep(square, {"a": A}, batch=2, executor=FailingExecutor(failing, error("stop")))
    check(caught.value, np.arange(12) // 2 != failing)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("progress", [False, True])
def test_a_chunk_that_raises_loses_no_earlier_one(monkeypatch, error, progress):
    run_chunk, calls = execution.run_chunk, []

    def stop_at_the_fourth(job, points):
        calls.append(1)
        if len(calls) == 4:
            raise error("stop")
        return run_chunk(job, points)

    monkeypatch.setattr(execution, "run_chunk", stop_at_the_fourth)
    with pytest.raises(error) as caught:
        sweep(square, {"a": A}, batch=3, progress=progress)
    check(caught.value, np.arange(12) < 9)


def test_an_error_before_the_first_point_carries_nothing():
    def broken(a):
        raise RuntimeError("at once")

    with pytest.raises(RuntimeError, match="at once") as caught:
        sweep(broken, {"a": A})
    assert not hasattr(caught.value, "result")


def test_the_partial_result_can_be_pickled():
    with pytest.raises(RuntimeError) as caught:
        sweep(square, {"a": A}, batch=4, executor=FailingExecutor(1, RuntimeError()))
    again = pickle.loads(pickle.dumps(caught.value.result))
    np.testing.assert_array_equal(again.status, caught.value.result.status)


def test_pools_that_fork_are_refused_and_others_are_not():
    context = multiprocessing.get_context
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context("fork"))
    with pytest.raises(ArgumentError, match=r"sweep.executor: must not fork.*get_context\('spawn'\)"):
        sweep(square, {"a": A}, executor=pool)
    with pytest.raises(ArgumentError, match=r"sweep.executor: must not fork"):
        sweep(square, {"a": A}, executor=lambda: pool)
    with pytest.raises(ArgumentError, match=r"fit_many.executor: must not fork"):
        fit_many(square, [1.0], executor=pool)
    pool.shutdown()
    for method in ("spawn", "forkserver"):
        pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context(method))
        execution.chunk_size(None, 4, None, pool)
        pool.shutdown()


@pytest.fixture
def _heeds_ctrl_c():
    """Heed Ctrl-C, which a process that was started in the background of a shell ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeds_ctrl_c")
def test_ctrl_c_while_waiting_for_a_pool():
    """A real signal reaches the main thread while it waits, and what was finished by then survives."""
    go_on = threading.Event()

    class Slow(concurrent.futures.ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            first = not getattr(self, "begun", False)
            self.begun = True
            return super().submit(fn if first else lambda *_: go_on.wait(60), *args, **kwargs)

    def interrupt():
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGINT)

    sweep(square, {"a": A}, batch=3)  # compiled before the clock runs
    with Slow(2) as pool:
        threading.Thread(target=interrupt).start()
        start = time.perf_counter()
        try:
            with pytest.raises(KeyboardInterrupt) as caught:
                sweep(square, {"a": A}, batch=3, executor=pool, progress=True)
            assert time.perf_counter() - start < 5
        finally:
            go_on.set()
    check(caught.value, np.arange(12) < 3)


PROGRAM = textwrap.dedent(
    """
    import multiprocessing, os, signal, sys, time
    from concurrent.futures import ProcessPoolExecutor
    import jax, numpy as np
    from brainmass_delays.sweeps import execution, sweep

    def predict(a):
        jax.debug.callback(lambda a: time.sleep(0.3) if a < 2 else time.sleep(60), a)
        return a * 2

    if __name__ == "__main__":
        pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
        future = pool.submit(os.getpid)
        future.result()
        try:
            import threading
            def kill():
                time.sleep(float(sys.argv[1]))
                for process in list(pool._processes):
                    os.kill(process, signal.SIGKILL)
            threading.Thread(target=kill, daemon=True).start()
            sweep(predict, {"a": np.arange(6.0)}, batch=1, executor=pool)
        except BaseException as error:
            print(type(error).__name__, getattr(error, "result", None) is not None and error.result.status.tolist(), flush=True)
            os._exit(0)
    """
)


@pytest.mark.slow
def test_a_killed_worker_ends_the_sweep_and_loses_no_finished_point(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", "40"], capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.strip() == f"BrokenProcessPool {[0, 0] + 4 * [NOT_RUN]}", (
        done.stdout + done.stderr[-2000:]
    )
