"""Sweep: predict at every point of a grid, many points at once."""

import inspect
import math
import threading
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from typing import Any, NamedTuple

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm.auto import tqdm

from ._core.checks import ArgumentError, check_choice, check_count, check_flag, check_number
from ._core.memory import free_memory
from ._core.salvage import attach
from ._core.status import NOT_FINITE, NOT_RUN, OK, describe, flag
from .outline import columns, written

# Points per device and call beyond which more lanes save no more overhead.
MAX_BATCH = 64
# Share of the free memory that one call may take unless the user says otherwise.
MEMORY_SHARE = 0.5
# Chunks to hand to an executor, so that a cluster of unknown size is kept busy.
MIN_CHUNKS = 32
NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


class SweepResult(NamedTuple):
    """Hold what `sweep` found.

    Parameters
    ----------
    axes : dict
        The values swept, by name, with their units, in the order of the result's axes.
    results : pytree
        What ``predict`` returned, NumPy arrays ``(*grid, ...)`` with their units; the grid has one axis per
        swept argument, or one axis in all with ``product=False``.
    status : int array, shape (*grid,)
        0, or the flags of every point: a delay outside its bounds, a value that is not finite.

    Examples
    --------
    >>> from brainmass_delays.sweep import sweep
    >>> result = sweep(lambda a, b: a / b, {'a': [1.0, 2.0], 'b': [0.0, 4.0]})
    >>> result.results.tolist(), result.status.tolist()
    ([[inf, 0.25], [inf, 0.5]], [[2, 0], [2, 0]])
    >>> result.failures()
    ['a=1.0, b=0.0: a value became NaN or infinite', 'a=2.0, b=0.0: a value became NaN or infinite']
    """

    axes: dict[str, Any]
    results: Any
    status: np.ndarray

    def __repr__(self) -> str:
        n_failed = int(np.count_nonzero(self.status))
        lines = [f"SweepResult, {self.status.size} points, {f'{n_failed} failed' if n_failed else 'all ok'}"]
        names = [f"axis {name}" for name in self.axes]
        values = [written(value) for value in self.axes.values()]
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            self.results, is_leaf=lambda x: isinstance(x, u.Quantity)
        ):
            names.append(f"results{jax.tree_util.keystr(path)}")
            values.append(written(leaf))
        return "\n".join(lines + [f"  {line}" for line in columns(zip(names, values, strict=True))])

    def failures(self) -> list[str]:
        """Describe every point that failed."""
        return [
            f"{self._describe(index)}: {describe(self.status[index])}"
            for index in map(tuple, np.argwhere(self.status))
        ]

    def _describe(self, index):
        """Write a point as ``name=value, ...``; an axis of arrays by its position."""
        positions = index if len(index) == len(self.axes) else index * len(self.axes)
        parts = zip(self.axes.items(), positions, strict=True)
        return ", ".join(f"{name}={v[i]}" if v.ndim == 1 else f"{name}[{i}]" for (name, v), i in parts)


def sweep(
    predict: Callable,
    axes: Mapping[str, Any],
    *,
    product: bool = True,
    batch: int | None = None,
    max_memory: float | None = None,
    devices: int | Sequence | None = None,
    executor: Executor | None = None,
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
    executor : concurrent.futures.Executor, optional
        Runs the chunks, e.g. on a cluster. Workers in other processes need a ``predict`` that can be pickled.
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
    >>> from brainmass_delays.sweep import sweep
    >>> def predict(speed, k):
    ...     net = Network(HopfStep(4, init_x=0.1), conn=Connectome.synthetic(4), speed=speed, k=k,
    ...                   coupled_var='x', max_delay=100 * u.ms)
    ...     run = Simulator(net, dt=0.5 * u.ms).run(10 * u.ms, monitors=['x'])
    ...     return {'x': run['x'][-1], 'status': run['status']}
    >>> result = sweep(predict, {'speed': [2.0, 4.0, 8.0] * u.mm / u.ms, 'k': [0.1, 0.2]})
    >>> result.results['x'].shape, int(result.status.sum())
    ((3, 2, 4), 0)
    """
    axes = {name: _axis(name, values) for name, values in _mapping(axes).items()}
    check_flag("sweep.product", product)
    check_flag("sweep.progress", progress)
    if max_memory is not None:
        check_number("sweep.max_memory", max_memory, above=0)
    _check_signature(predict, axes)
    shape = _grid_shape(axes, product)
    devices = _devices(devices, executor)
    n_points = math.prod(shape)
    size = _chunk_size(batch, n_points, devices, executor)
    limit = math.inf if max_memory is None and batch is not None else max_memory
    job = _Job(uuid.uuid4().hex, predict, _key(), _settings(), devices, limit)
    chunks = (_points(axes, shape, first + np.arange(size)) for first in range(0, n_points, size))
    finished = {}
    try:
        _run_all(job, chunks, n_points, size, executor, progress, finished)
    except BaseException as error:
        if finished:
            partial = _gather(axes, shape, size, finished)
            n_run = np.count_nonzero(partial.status & NOT_RUN == 0)
            note = (
                f"sweep: {n_run} of {n_points} points were finished. They are in the .result of this error, "
            )
            attach(error, partial, note + f"where the others have NaN and the status {NOT_RUN}.")
        raise
    finally:
        _PROGRAMS.pop(job.name, None)
    result = _gather(axes, shape, size, finished)
    _warn_of_failures(result)
    return result


# ------------------------------------------------------------------------------------------------ the grid


def _mapping(axes):
    if not isinstance(axes, Mapping) or not axes:
        raise ArgumentError(
            "sweep.axes", "must be a dict of at least one argument name and its values", repr(axes)
        )
    return axes


def _axis(name, values):
    """Return the values of an axis as an array or Quantity of NumPy numbers, the swept axis first."""
    where = f"sweep.axes[{name!r}]"
    if isinstance(values, list | tuple) and any(isinstance(v, u.Quantity) for v in values):
        values = u.math.asarray(values)
    unit = u.get_unit(values) if isinstance(values, u.Quantity) else u.UNITLESS
    array = np.asarray(u.get_magnitude(values))
    if array.dtype != bool and not np.issubdtype(array.dtype, np.number):
        raise ArgumentError(where, "must hold numbers", repr(values), "Sweep an index and look up the rest")
    if not array.ndim or not len(array):
        raise ArgumentError(
            where, "must hold at least one value", repr(values), "Write a list, even for one value"
        )
    held = jax.dtypes.canonicalize_dtype(array.dtype)
    if array.dtype.kind in "iu" and not np.array_equal(array, array.astype(held)):
        cure = "Set brainstate.environ.set(precision=64), or sweep an index and look up the rest"
        raise ArgumentError(where, f"must hold integers that fit {held}", array, cure)
    return array if unit.is_unitless else u.Quantity(array, unit=unit)


def _check_signature(predict, axes):
    """Compare the names of the axes with the arguments of ``predict``."""
    if not callable(predict):
        raise ArgumentError("sweep.predict", "must be callable", type(predict).__name__)
    parameters = inspect.signature(predict).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        if not named:
            raise ArgumentError("sweep.predict", "must take the axes by name", inspect.signature(predict))
        for name in axes:
            check_choice("sweep.axes", name, named)
    lacking = [name for name, p in named.items() if p.default is p.empty and name not in axes]
    if lacking:
        raise ArgumentError(
            "sweep.axes",
            "must name every argument of predict that has no default",
            f"nothing for {', '.join(lacking)}",
            "Sweep it, or fix it by functools.partial",
        )


def _grid_shape(axes, product):
    lengths = {name: len(u.get_magnitude(values)) for name, values in axes.items()}
    if product:
        return tuple(lengths.values())
    if len(set(lengths.values())) > 1:
        raise ArgumentError(
            "sweep.axes",
            "must be of one length with product=False",
            lengths,
            "Sweep all combinations with product=True",
        )
    return tuple(lengths.values())[:1]


def _points(axes, shape, positions):
    """Take the points at some flat positions of the grid; positions past the end repeat the last point."""
    index = np.unravel_index(np.minimum(positions, math.prod(shape) - 1), shape)
    index = index if len(index) == len(axes) else index * len(axes)
    return {name: values[i] for (name, values), i in zip(axes.items(), index, strict=True)}


# ------------------------------------------------------------------------------------------------ the work


def _devices(devices, executor):
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


def _chunk_size(batch, n_points, devices, executor):
    """Choose how many points to run at once, in chunks of equal size."""
    if executor is not None and not hasattr(executor, "submit"):
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
    most = MAX_BATCH * (len(_local_devices(devices)) if executor is None else 1)
    n_chunks = max(-(-n_points // most), 1 if executor is None else min(n_points, MIN_CHUNKS))
    return -(-n_points // n_chunks)


def _local_devices(devices):
    return devices if isinstance(devices, list) else jax.local_devices()[:devices]


def _key():
    """Draw the key of the random stream that all points share, in a form that can be pickled."""
    return np.asarray(jax.random.key_data(brainstate.random.split_key()))


def _settings():
    """Return the environment that workers need, such as dt; precision is JAX's own setting."""
    settings = {
        k: v for k, v in brainstate.environ.all().items() if k not in ("platform", "host_device_count")
    }
    return settings | {"precision": 64 if jax.config.jax_enable_x64 else 32}


class _Job(NamedTuple):
    """Hold what all chunks of a sweep share; it can be pickled if ``predict`` can."""

    name: str
    predict: Callable
    key: np.ndarray
    settings: dict
    devices: Any
    max_memory: float | None


def _run_all(job, chunks, n_points, size, executor, progress, finished):
    """Run the chunks, here or by the executor, and put their results into ``finished`` by number."""
    futures: dict[Future, int] = {}
    try:
        with tqdm(total=n_points, desc="sweep", unit="point", disable=not progress) as bar:
            if executor is None:
                for i, chunk in enumerate(chunks):
                    finished[i] = _run_chunk(job, chunk)
                    bar.update(min(size, n_points - bar.n))
                return
            for i, chunk in enumerate(chunks):
                futures[executor.submit(_run_chunk, job, chunk)] = i
            for future in as_completed(futures):
                finished[futures[future]] = future.result()
                bar.update(min(size, n_points - bar.n))
    finally:
        for future, i in futures.items():
            if not future.cancel() and future.done() and future.exception() is None:
                finished[i] = future.result()


def _gather(axes, shape, size, finished):
    """Put the results of chunks into their places in the grid; what is missing is NaN and flagged."""
    results, status = next(iter(finished.values()))
    missing = jax.tree.map(lambda x: np.full_like(x, np.nan if x.dtype.kind in "fc" else 0), results)
    missing = missing, np.full_like(status, NOT_RUN)
    n_points = math.prod(shape)
    results, status = jax.tree.map(
        lambda *leaves: np.concatenate(leaves)[:n_points].reshape(*shape, *leaves[0].shape[1:]),
        *(finished.get(i, missing) for i in range(-(-n_points // size))),
    )
    return SweepResult(axes, results, status)


_PROGRAMS: dict[str, "_Program"] = {}
_COMPILING = threading.Lock()  # tracing changes global states, e.g. that of brainstate.random


def _run_chunk(job: _Job, points: dict):
    """Run the points of a chunk; the first chunk of a job in this process compiles."""
    with _COMPILING:
        if job.name not in _PROGRAMS:
            for name in list(_PROGRAMS)[:-3]:  # a worker never learns that a sweep has ended
                del _PROGRAMS[name]
            _PROGRAMS[job.name] = _Program(job, points)
        program = _PROGRAMS[job.name]
    return program(job.key, points)


class _Program:
    """Predict at a fixed number of points at once, shared among devices; serve any number of points."""

    def __init__(self, job: _Job, points: dict):
        devices = _local_devices(job.devices)
        mesh = Mesh(np.array(devices), ("point",))
        self.shared, self.split = (
            NamedSharding(mesh, PartitionSpec()),
            NamedSharding(mesh, PartitionSpec("point")),
        )
        self.predict, self.mesh = job.predict, mesh
        limit = MEMORY_SHARE * free_memory(devices[0]) if job.max_memory is None else job.max_memory
        n_points = len(jax.tree.leaves(points)[0])
        per_device = -(-n_points // len(devices))
        if brainstate.environ.get_precision() != job.settings["precision"]:  # workers start with 32 bits
            brainstate.environ.set(precision=job.settings["precision"])
        context = {k: v for k, v in job.settings.items() if k != "precision"}
        with brainstate.environ.context(**context):
            while (need := self._compile(job.key, points, per_device * len(devices))) > limit:
                if per_device == 1:
                    raise ArgumentError(
                        "sweep.max_memory", f"must allow for one point, {need:.3g} bytes", f"{limit:.3g}"
                    )
                per_device = max(1, min(per_device // 2, int(per_device * limit / need)))

    def _compile(self, key, points, size):
        """Compile for ``size`` points and return the bytes that one device needs."""
        self.size = size
        key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=self.shared)
        points = jax.tree.map(
            lambda v: jax.ShapeDtypeStruct(
                (size, *v.shape[1:]), jax.dtypes.canonicalize_dtype(v.dtype), sharding=self.split
            ),
            points,
        )
        spec = PartitionSpec("point")
        lanes = jax.vmap(lambda key, point: _predict_one(self.predict, key, point), (None, 0))
        lanes = jax.shard_map(
            lanes, mesh=self.mesh, in_specs=(PartitionSpec(), spec), out_specs=spec, check_vma=False
        )
        try:
            self.call = jax.jit(lanes).lower(key, points).compile()
        except NOT_TRACEABLE as error:
            raise ArgumentError(
                "sweep.predict",
                "must be traceable by jax.vmap",
                str(error).splitlines()[0],
                "Use jax.numpy on the arguments, not float(), if or NumPy",
            ) from error
        found = self.call.memory_analysis()
        return (
            found.temp_size_in_bytes + found.output_size_in_bytes + found.argument_size_in_bytes
            if found
            else 0
        )

    def __call__(self, key, points):
        n_points, parts = len(jax.tree.leaves(points)[0]), []
        key = jax.device_put(key, self.shared)
        for first in range(0, n_points, self.size):
            index = np.minimum(first + np.arange(self.size), n_points - 1)
            part = jax.device_put(jax.tree.map(lambda v, index=index: v[index], points), self.split)
            parts.append(jax.device_get(self.call(key, part)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n_points], *parts)


def _predict_one(predict, key, point):
    """Predict at one point as a pure function of the point and the random key; return results and flags."""

    def call(key, point):
        brainstate.random.set_key(key)
        return _checked(predict(**point))

    stateful = brainstate.transform.StatefulFunction(call)
    states = stateful.get_states(key, point, compile_if_miss=True)
    return stateful.jaxpr_call([state.value for state in states], key, point)[1]


def _checked(outcome):
    """Return a prediction as arrays, and its flags."""
    status = jnp.int32(OK)
    if isinstance(outcome, Mapping) and "status" in outcome:
        status = jnp.bitwise_or.reduce(jnp.ravel(jnp.asarray(outcome["status"], jnp.int32)))
        outcome = {name: value for name, value in outcome.items() if name != "status"}
    leaves = jax.tree_util.tree_leaves_with_path(outcome)
    for path, leaf in leaves:
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex):
            raise ArgumentError(
                "sweep.predict",
                "must return arrays",
                f"{type(leaf).__name__} at result{jax.tree_util.keystr(path)}",
            )
    if not leaves:
        raise ArgumentError(
            "sweep.predict", "must return at least one array", repr(outcome), "Add a return statement"
        )
    outcome = jax.tree.map(jnp.asarray, outcome)
    finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(outcome)])
    return outcome, status | flag(~jnp.all(finite), NOT_FINITE)


def _warn_of_failures(result):
    if failures := result.failures():
        warnings.warn(
            f"sweep: {len(failures)} of {result.status.size} points failed, the first at {failures[0]}. "
            "See result.failures().",
            stacklevel=3,
        )
