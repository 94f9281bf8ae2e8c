"""Sweep: predict at every point of a grid, many points at once."""

import math
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .._core.checks import check_count, check_flag, check_number
from .._core.files import as_path
from .._core.salvage import attach
from .._core.status import NOT_RUN
from .execution import Work, chunk_size, devices_of, run_all
from .grid import Chunks, SweepResult, axis, check_signature, gather, grid_shape, mapping, warn_of_failures
from .program import PROGRAMS, Job, key, settings
from .store import opened

__all__ = ["SweepResult", "sweep"]


def sweep(
    predict: Callable,
    axes: Mapping[str, Any],
    *,
    product: bool = True,
    batch: int | None = None,
    max_memory: float | None = None,
    devices: int | Sequence | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retries: int | None = None,
    store: str | PathLike | None = None,
    progress: bool = False,
) -> SweepResult:
    """Call ``predict`` at every point of a grid, many points at once, in chunks that fit in memory.

    Parameters
    ----------
    predict : callable
        Called with one keyword argument per axis; returns a pytree of arrays. It is traced: it must use the
        arguments as arrays, e.g. build a `Network` and run a `Simulator`. What it returns under ``'status'``
        becomes the flags of the point.
    axes : dict
        Values by argument name: an array or a Quantity whose first axis is swept, so that an argument is a
        scalar, or an array where each point has its own, such as the weights of a subject.
    product : bool, default True
        Sweep all combinations; False takes the axes side by side.
    batch : int, optional
        Points per chunk; by default as many as ``max_memory`` allows, at most 64 per device. Results do not
        depend on it.
    max_memory : float, optional
        Bytes that one chunk may take on every device; by default half of what is free.
    devices : int or sequence of jax.Device, optional
        Devices to share every chunk among; by default all. With an executor only a number, of each worker's.
    executor : concurrent.futures.Executor or callable, optional
        Runs the chunks, e.g. on a cluster. Workers in other processes need a ``predict`` that can be pickled.
        What ``submit`` returns may be other than a Future of Python's: it is asked by ``done()``. A function
        that makes an executor is called again when one is broken, as by a worker that was killed.
    retries : int, optional
        How often a chunk that fails is run again; after that its points have the status 16, and the others go
        on. By default the first failure ends the sweep.
    store : str or path, optional
        A folder that every finished chunk is written to, whole. The same sweep, of the same axes, settings
        and program of ``predict``, then runs only what is missing, with the random stream of its first call.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    SweepResult
        ``axes``, ``results`` and ``status``. Points that failed are flagged there, and a warning counts them.

    Raises
    ------
    ArgumentError
        For names that ``predict`` does not take, arguments that it lacks, empty axes, axes of different
        lengths with ``product=False``, a ``predict`` that cannot be traced or returns something other than
        arrays, a ``max_memory`` that one point passes, and an executor whose processes are forked.
    Exception
        Whatever ``predict``, a worker or Ctrl-C raises; its attribute ``result`` is a `SweepResult` of the
        points finished until then, where the others are NaN and have the status 16.

    Notes
    -----
    The chunk is one ``jax.vmap``, compiled once; the last one is filled up. Every point draws from the same
    random stream, whatever the chunks (common random numbers make differences between points less noisy); for
    independent noise sweep a seed and call ``brainstate.random.seed(seed)`` in ``predict``. ``sweep`` itself
    is not differentiable: return gradients from ``predict``.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import Connectome, HopfStep, Network, Simulator
    >>> from brainmass_delays.sweeps import sweep
    >>> def predict(speed, k):
    ...     net = Network(HopfStep(4, init_x=0.1), conn=Connectome.synthetic(4), speed=speed, k=k,
    ...                   coupled_var='x', max_delay=100 * u.ms)
    ...     run = Simulator(net, dt=0.5 * u.ms).run(10 * u.ms, monitors=['x'])
    ...     return {'x': run['x'][-1], 'status': run['status']}
    >>> result = sweep(predict, {'speed': [2.0, 4.0, 8.0] * u.mm / u.ms, 'k': [0.1, 0.2]})
    >>> result.results['x'].shape, int(result.status.sum())
    ((3, 2, 4), 0)
    """
    axes = {name: axis(name, values) for name, values in mapping(axes).items()}
    check_flag("sweep.product", product)
    check_flag("sweep.progress", progress)
    if retries is not None:
        check_count("sweep.retries", retries, 0)
    if max_memory is not None:
        check_number("sweep.max_memory", max_memory, above=0)
    store = None if store is None else Path(as_path("sweep.store", store))
    check_signature(predict, axes)
    shape = grid_shape(axes, product)
    used = devices_of(devices, executor)
    n_points = math.prod(shape)
    size = chunk_size(batch, n_points, used, executor)
    limit = math.inf if max_memory is None and batch is not None else max_memory
    job = Job(uuid.uuid4().hex, predict, key(), settings(), used, limit)
    keeper = nullcontext((None, job, size)) if store is None else opened(store, job, axes, product, size)
    with keeper as (kept, job, size):
        chunks, work = Chunks(axes, shape, size), Work(executor, retries, kept)
        result, failed = _run(job, chunks, n_points, work, progress)
    if failed:
        warnings.warn(
            f"sweep: {len(failed)} of {chunks.n} chunks could not be run and have the status {NOT_RUN}; the "
            f"first error was {next(iter(failed.values()))!r}.",
            stacklevel=2,
        )
    elif np.any(result.status):
        warn_of_failures(result)
    return result


def _run(job: Job, chunks: Chunks, n_points: int, work: Work, progress: bool) -> tuple[SweepResult, dict]:
    """Run all chunks and put the results together; what was finished before an error goes with it."""
    finished, failed = {}, {}
    try:
        run_all(job, chunks, n_points, chunks.size, work, progress, finished, failed)
        if not finished:
            raise next(iter(failed.values()))
    except BaseException as error:
        if finished:
            partial = gather(chunks.axes, chunks.shape, chunks.size, finished)
            n_run = np.count_nonzero(partial.status & NOT_RUN == 0)
            note = (
                f"sweep: {n_run} of {n_points} points were finished. They are in the .result of this error, "
            )
            attach(error, partial, note + f"where the others have NaN and the status {NOT_RUN}.")
        raise
    finally:
        PROGRAMS.pop(job.name, None)
    return gather(chunks.axes, chunks.shape, chunks.size, finished), failed
