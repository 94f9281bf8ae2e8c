"""Many points at once: one program that predicts at every point of a chunk, shared among devices."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .._core.checks import ArgumentError
from .._core.memory import free_memory
from .._core.states import LOCK
from .._core.status import NOT_FINITE, OK, flag
from .._core.tracing import TOO_EARLY

# Share of the free memory that one call may take unless the user says otherwise.
MEMORY_SHARE = 0.5


def local_devices(devices):
    """Return the devices of this process that are meant."""
    return devices if isinstance(devices, list) else jax.local_devices()[:devices]


def key():
    """Draw the key of the random stream that all points share, in a form that can be pickled."""
    return np.asarray(jax.random.key_data(brainstate.random.split_key()))


def settings():
    """Return the environment that workers need, such as dt; precision is JAX's own setting."""
    settings = {
        k: v for k, v in brainstate.environ.all().items() if k not in ("platform", "host_device_count")
    }
    return settings | {"precision": 64 if jax.config.jax_enable_x64 else 32}


class Job(NamedTuple):
    """Hold what all chunks of a sweep share; it can be pickled if ``predict`` can."""

    name: str
    predict: Callable
    key: np.ndarray
    settings: dict
    devices: Any
    max_memory: float | None


PROGRAMS: dict[str, "Program"] = {}


def run_chunk(job: Job, points: dict):
    """Run the points of a chunk; the first chunk of a job in this process compiles."""
    with LOCK:
        if job.name not in PROGRAMS:
            for name in list(PROGRAMS)[:-3]:  # a worker never learns that a sweep has ended
                del PROGRAMS[name]
            PROGRAMS[job.name] = Program(job, points)
        program = PROGRAMS[job.name]
    return program(job.key, points)


class Program:
    """Predict at a fixed number of points at once, shared among devices; serve any number of points."""

    def __init__(self, job: Job, points: dict):
        devices = local_devices(job.devices)
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
        lanes = jax.vmap(lambda key, point: predict_one(self.predict, key, point), (None, 0))
        lanes = jax.shard_map(
            lanes, mesh=self.mesh, in_specs=(PartitionSpec(), spec), out_specs=spec, check_vma=False
        )
        try:
            self.call = jax.jit(lanes).lower(key, points).compile()
        except TOO_EARLY as error:
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


def predict_one(predict, key, point):
    """Predict at one point as a pure function of the point and the random key; return results and flags."""

    def call(key, point):
        brainstate.random.set_key(key)
        return checked(predict(**point))

    stateful = brainstate.transform.StatefulFunction(call)
    states = stateful.get_states(key, point, compile_if_miss=True)
    return stateful.jaxpr_call([state.value for state in states], key, point)[1]


def checked(outcome):
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
