"""Run the chunks of a sweep: here, or by an executor, a bounded number at a time, again if they fail."""

import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm.auto import tqdm

from .._core.checks import ArgumentError, check_count
from .program import local_devices, run_chunk

# Points per device and call beyond which more lanes save no more overhead.
MAX_BATCH = 64
# Chunks to hand to an executor, so that a cluster of unknown size is kept busy.
MIN_CHUNKS = 32
# Chunks that wait at an executor at most, so that its memory is bounded.
MAX_PENDING = 256


def devices_of(devices, executor):
    """Return a number of devices, or a list of them, or None for all."""
    if devices is None:
        return None
    if np.ndim(devices) == 0:
        count = check_count("sweep.devices", devices)
        if executor is None and count > jax.local_device_count():
            raise ArgumentError(
                "sweep.devices", f"must be at most {jax.local_device_count()}, the devices here", count
            )
        return count
    if executor is not None:
        raise ArgumentError(
            "sweep.devices", "must be a number with an executor, whose workers have their own", devices
        )
    if np.ndim(devices) != 1 or not len(devices) or not all(isinstance(d, jax.Device) for d in devices):
        raise ArgumentError("sweep.devices", "must name at least one device", repr(devices))
    return list(devices)


def chunk_size(batch, n_points, devices, executor):
    """Choose how many points to run at once, in chunks of equal size."""
    if executor is not None and not hasattr(executor, "submit") and not callable(executor):
        raise ArgumentError(
            "sweep.executor", "must be a concurrent.futures.Executor", type(executor).__name__
        )
    forks = getattr(getattr(executor, "_mp_context", None), "get_start_method", str)() == "fork"
    if forks:
        raise ArgumentError(
            "sweep.executor",
            "must not fork its processes, which would wait for ever, as JAX does not survive a fork",
            type(executor).__name__,
            "Pass ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))",
        )
    if batch is not None:
        return min(check_count("sweep.batch", batch), n_points)
    most = MAX_BATCH * (len(local_devices(devices)) if executor is None else 1)
    n_chunks = max(-(-n_points // most), 1 if executor is None else min(n_points, MIN_CHUNKS))
    return -(-n_points // n_chunks)


class Work(NamedTuple):
    """Hold how chunks are run: by which executor, how often each is tried again, where results are kept."""

    executor: Any = None
    retries: int | None = None
    store: Any = None


def run_all(job, chunks, n_points, size, work: Work, progress, finished, failed):
    """Run the chunks that the store lacks, and put results into ``finished`` by number; with ``retries``, put
    the error of those that could not be run into ``failed``."""
    with tqdm(total=n_points, desc="sweep", unit="point", disable=not progress) as bar:
        missing = []
        for i in range(chunks.n):
            if (known := None if work.store is None else work.store.read(i)) is not None:
                finished[i] = known
                bar.update(min(size, n_points - bar.n))
            else:
                missing.append(i)

        def keep(i, result):
            if work.store is not None:
                work.store.write(i, result)
            finished[i] = result
            bar.update(min(size, n_points - bar.n))

        if work.executor is None:
            _run_here(job, chunks, missing, work.retries, keep, failed)
        else:
            _Pool(job, chunks, work, keep, failed).run(missing)


def _run_here(job, chunks, missing, retries, keep, failed):
    for i in missing:
        for attempt in range(1 + (retries or 0)):
            try:
                result = run_chunk(job, chunks.points(i))
            except Exception as error:
                if retries is None or isinstance(error, ArgumentError):
                    raise
                if attempt == retries:
                    failed[i] = error
            else:
                keep(i, result)
                break


class _Pool:
    """Submit chunks to an executor, a bounded number at a time, and collect what comes back.

    An executor that is broken, as a process pool is once one of its processes was killed, is replaced if a
    function that makes one was given."""

    def __init__(self, job, chunks, work: Work, keep, failed):
        self.job, self.chunks, self.keep, self.failed, self.retries = job, chunks, keep, failed, work.retries
        self.makes = not hasattr(work.executor, "submit")
        self.make, self.pool = work.executor, None if self.makes else work.executor
        self.futures: dict[Any, int] = {}
        self.tries: dict[int, int] = {}

    def run(self, missing):
        """Run chunks until every one is kept or has failed too often."""
        waiting = list(reversed(missing))
        try:
            while waiting or self.futures:
                while waiting and len(self.futures) < MAX_PENDING:
                    self._submit(waiting.pop(), waiting)
                for future in _first_done(self.futures):
                    self._collect(future, waiting)
        finally:
            self._cancel()

    def _submit(self, i, waiting):
        if self.pool is None:
            self.pool = self.make()
        try:
            self.futures[self.pool.submit(run_chunk, self.job, self.chunks.points(i))] = i
        except BrokenExecutor as error:
            self._again(i, error, waiting)

    def _collect(self, future, waiting):
        i = self.futures.pop(future)
        try:
            result = future.result()
        except Exception as error:
            self._again(i, error, waiting)
        else:
            self.keep(i, result)

    def _again(self, i, error, waiting):
        """Try a chunk again, or give up on it; raise where failures are not to be survived."""
        if self.retries is None or isinstance(error, ArgumentError):
            raise error
        self.tries[i] = self.tries.get(i, 0) + 1
        if self.makes and isinstance(error, BrokenExecutor):
            self.pool = None
        if self.tries[i] > self.retries:
            self.failed[i] = error
        else:
            waiting.append(i)

    def _cancel(self):
        """Cancel what has not begun, and keep what has ended."""
        for future, i in self.futures.items():
            if not future.cancel() and future.done() and not _error_of(future):
                self.keep(i, future.result())
        if self.makes and self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


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
