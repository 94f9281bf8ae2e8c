"""Calls on an executor: a bounded number at a time, again if they fail, whatever kind of futures it has."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import ExitStack, contextmanager
from typing import Any

from .checks import ArgumentError

# Calls that wait at an executor at most, so that its memory is bounded.
MAX_PENDING = 256
# What says how many threads a process may have: XLA on CPUs, and the libraries of NumPy.
THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def check_executor(where: str, executor: Any) -> None:
    """Refuse what runs no calls and makes nothing that does, and a pool of processes that never return."""
    if executor is not None and not hasattr(executor, "submit") and not callable(executor):
        rule = "must be a concurrent.futures.Executor, or a function that makes one"
        raise ArgumentError(where, rule, repr(executor))
    forks = getattr(getattr(executor, "_mp_context", None), "get_start_method", str)() == "fork"
    if forks:
        raise ArgumentError(
            where,
            "must not fork its processes, which would wait for ever, as JAX does not survive a fork",
            type(executor).__name__,
            "Pass ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))",
        )


class Pool:
    """Submit calls to an executor, a bounded number at a time, and collect what comes back.

    An executor that is broken, as a process pool is once one of its processes was killed, is replaced if a
    function that makes one was given. It does not say whose fault that was: the calls under way are made
    again one by one, and who breaks an executor alone has failed.

    Parameters
    ----------
    where : str
        What messages call the executor.
    call : callable
        ``call(i)`` returns a function and its arguments.
    executor : Executor or callable
        Something with ``submit``, or a function that makes it.
    retries : int or None
        How often a call that fails is made again; None lets the first failure out.
    keep : callable
        ``keep(i, result)`` takes a result.
    failed : dict
        Gets the error of every call that has failed too often, by number.
    """

    def __init__(
        self, where: str, call: Callable, executor: Any, retries: int | None, keep: Callable, failed: dict
    ):
        self.where = where
        self.call, self.keep, self.failed, self.retries = call, keep, failed, retries
        self.makes = isinstance(executor, type) or not hasattr(executor, "submit")
        self.make, self.pool = executor, None if self.makes else executor
        self.futures: dict[Any, tuple[int, Any]] = {}
        self.tries: dict[int, int] = {}
        self.suspects: list[int] = []
        self.alone: int | None = None

    def run(self, missing):
        """Make calls until every one is kept or has failed too often."""
        waiting = list(reversed(missing))
        with ExitStack() as self.stack:
            self.stack.callback(self._cancel)
            self.stack.enter_context(sharing_cores(self.pool))
            while waiting or self.suspects or self.futures:
                if self.suspects and not self.futures:
                    self.alone = self.suspects.pop(0)
                    self._submit(self.alone, waiting)
                while self._may_submit(waiting):
                    self._submit(waiting.pop(), waiting)
                for future in _first_done(self.futures) if self.futures else ():
                    self._collect(future, waiting)
                self.alone = self.alone if self.futures else None

    def _may_submit(self, waiting) -> bool:
        """Tell whether one more call may be under way: not beside a suspect, and few where all would become
        suspects."""
        n_workers = getattr(self.pool, "_max_workers", None) if self.makes else None
        most = MAX_PENDING if n_workers is None else min(MAX_PENDING, 2 * n_workers)
        return bool(waiting) and self.alone is None and not self.suspects and len(self.futures) < most

    def _submit(self, i, waiting):
        if self.pool is None:
            made = self.make()
            check_executor(self.where, made)
            if not hasattr(made, "submit"):
                raise ArgumentError(self.where, "must make a concurrent.futures.Executor", repr(made))
            self.pool = made
            self.stack.enter_context(sharing_cores(self.pool))
        try:
            self.futures[self.pool.submit(*self.call(i))] = i, self.pool
        except BrokenExecutor as error:
            self._again(i, error, waiting, self.pool)

    def _collect(self, future, waiting):
        i, pool = self.futures.pop(future)
        try:
            result = future.result()
        except Exception as error:
            self._again(i, error, waiting, pool)
        else:
            self.keep(i, result)

    def _again(self, i, error, waiting, pool):
        """Try again, or give up on it; raise where failures are not to be survived."""
        if self.retries is None or isinstance(error, ArgumentError):
            raise error
        if self.makes and isinstance(error, BrokenExecutor):
            if pool is self.pool:
                pool.shutdown(wait=False)
                self.pool = None
            if i != self.alone:
                self.suspects.append(i)
                return
        self.tries[i] = self.tries.get(i, 0) + 1
        if self.tries[i] > self.retries:
            self.failed[i] = error
        elif i == self.alone:
            self.suspects.append(i)
        else:
            waiting.append(i)

    def _cancel(self):
        """Cancel what has not begun, and keep what has ended."""
        for future, (i, _) in self.futures.items():
            if not future.cancel() and future.done() and not _error_of(future):
                self.keep(i, future.result())
        if self.makes and self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


@contextmanager
def sharing_cores(executor: Any) -> Iterator[None]:
    """Let the processes that a pool of this machine starts from now on share its cores: XLA and the libraries
    of NumPy would each take all of them. What the user has set stays."""
    n_workers = getattr(executor, "_max_workers", None) if hasattr(executor, "_processes") else None
    threads = "" if n_workers is None else str(max(1, _n_cores() // n_workers))
    names = [name for name in THREADS if name not in os.environ] if threads else []
    os.environ.update(dict.fromkeys(names, threads))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


def _n_cores() -> int:
    """Return how many cores this process may use."""
    known = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if known is None else len(known(0))


def _first_done(futures: dict[Any, int]) -> list[Any]:
    """Wait for at least one of some futures; those of other kinds, such as jobs of submitit, are asked."""
    if all(isinstance(future, Future) for future in futures):
        return list(wait(futures, return_when=FIRST_COMPLETED).done)
    pause = 0.01
    while not (done := [future for future in futures if future.done()]):
        time.sleep(pause)
        pause = min(2 * pause, 5.0)  # a job of a cluster takes minutes, and asking is not free
    return done


def _error_of(future):
    return future.exception()
