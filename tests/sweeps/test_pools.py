"""Pools that break: who broke one alone has failed, all others are run again; processes share the cores of a machine."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from brainmass_delays._core import pool as pools


class Fragile(concurrent.futures.Executor):
    """A pool of two workers, run by hand: it breaks with all its calls once a deadly one is reached."""

    _max_workers = 2

    def __init__(self, deadly, log):
        self.deadly, self.log, self.calls, self.is_broken = deadly, log, [], False
        self.log.append([])

    def submit(self, fn, i):
        if self.is_broken:
            raise BrokenProcessPool("before")
        future = concurrent.futures.Future()
        self.calls.append((future, fn, i))
        self.log[-1].append(i)
        if len(self.calls) == 4 or i in self.log[0][4:] or len(self.log) > 1:
            self._work()
        return future

    def _work(self):
        for future, fn, i in self.calls:
            if i in self.deadly:
                self.is_broken = True
            if self.is_broken:
                future.set_exception(BrokenProcessPool(f"a worker died in {i}"))
            else:
                future.set_result(fn(i))
        self.calls = []


@pytest.mark.parametrize("retries", [0, 1])
def test_one_deadly_call_costs_itself_only(retries):
    log, kept, failed = [], {}, {}
    pool = pools.Pool(
        "here", lambda i: (lambda x: 10 * x, i), lambda: Fragile({1}, log), retries, kept.__setitem__, failed
    )
    pool.run(list(range(9)))
    assert kept == {i: 10 * i for i in range(9) if i != 1}
    assert list(failed) == [1] and "a worker died in 1" in str(failed[1])
    assert log[0] == [0, 1, 2, 3]  # two for each worker
    alone = [call for part in log[1:] for call in part]
    assert alone.count(1) == 1 + retries and all(alone.count(i) == 1 for i in range(2, 9))
    assert len(log) == 2 + retries + 1


def test_without_retries_the_first_broken_pool_ends_all():
    pool = pools.Pool("here", lambda i: (abs, i), lambda: Fragile({0}, []), None, print, {})
    with pytest.raises(BrokenProcessPool):
        pool.run(list(range(4)))


def test_a_pool_that_was_given_is_not_made_again():
    kept, failed = {}, {}
    pools.Pool("here", lambda i: (abs, i), Fragile({1}, []), 1, kept.__setitem__, failed).run(list(range(4)))
    assert kept == {0: 0} and sorted(failed) == [1, 2, 3]


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr(pools, "_n_cores", lambda: 7)
    for name in pools.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "5")  # as the user said
    context = multiprocessing.get_context("spawn")
    found = {}
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        names = dict(enumerate(pools.THREADS))
        pools.Pool("here", lambda i: (os.getenv, names[i]), executor, None, found.__setitem__, {}).run(
            list(names)
        )
    assert {names[i]: value for i, value in found.items()} == dict.fromkeys(pools.THREADS, "3") | {
        "MKL_NUM_THREADS": "5"
    }
    assert "NPROC" not in os.environ and os.environ["MKL_NUM_THREADS"] == "5"


def test_threads_of_this_process_are_left_alone(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    found = {}
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        pools.Pool("here", lambda i: (os.getenv, "NPROC"), executor, None, found.__setitem__, {}).run([0])
    assert found == {0: None}


def test_xla_takes_as_many_threads_as_it_is_told():
    """The variable is not documented, so that a later XLA may forget it."""
    program = "import jax, os; jax.numpy.ones(3).sum().block_until_ready(); print(len(os.listdir('/proc/self/task')))"
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("counts threads as Linux does")
    counts = [
        int(subprocess.run([sys.executable, "-c", program], env=os.environ | {"NPROC": n, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=True).stdout)
        for n in ("1", "9")
    ]  # fmt: skip
    assert counts[1] >= counts[0] + 8
