"""Run the chunks of a sweep: here, or by an executor, a bounded number at a time, again if they fail."""

from typing import Any, NamedTuple

import jax
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.pool import Pool, check_executor
from .._core.progress import tqdm
from .program import local_devices, run_chunk

WHERE = "sweep.executor"
# Points per device and call beyond which more lanes save no more overhead.
MAX_BATCH = 64
# Chunks to hand to an executor, so that a cluster of unknown size is kept busy.
MIN_CHUNKS = 32


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
    check_executor(WHERE, executor)
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
            finished[i] = result  # first: a store that cannot be written must not lose it
            if work.store is not None:
                work.store.write(i, result)
            bar.update(min(size, n_points - bar.n))

        if work.executor is None:
            _run_here(job, chunks, missing, work.retries, keep, failed)
        else:
            Pool(
                WHERE, lambda i: (run_chunk, job, chunks.points(i)), work.executor, work.retries, keep, failed
            ).run(missing)


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
