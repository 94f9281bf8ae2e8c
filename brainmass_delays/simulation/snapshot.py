"""The state of a model in the middle of a run as a file: numbers only, written whole, checked when read."""

import io
from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .._core.files import as_path, read_once, write_whole
from .._core.parameters import find_parameters
from .._core.states import write
from ..connectome import arrays

MAX_BYTES = 2**34
STEP, BATCH, FIXED = "__dt_ms__", "__batch__", "parameter:"


def _parts(model: brainstate.nn.Module) -> dict[str, tuple[Any, Callable]]:
    """Return what a run consists of by name: every state and fixed parameter, and how it is put back."""
    parts = {".".join(map(str, path)): (s.value, partial(write, s)) for path, s in model.states().items()}
    fixed = {name: p for name, p in find_parameters(model, fixed=True).items() if p.state is None}
    return parts | {f"{FIXED}{name}": (p.held(), p.put) for name, p in fixed.items()}


def read_states(path: str | PathLike) -> dict[str, np.ndarray]:
    """Read what `save_states` has written."""
    return _read("Simulator.load.path", path)


def batch_of(stored: dict[str, np.ndarray]) -> int | None:
    """Return the size of the batch of a saved run."""
    size = _one(stored.get(BATCH, np.nan))
    return int(size) if np.isfinite(size) and size >= 1 else None


def save_states(model: brainstate.nn.Module, path: str | PathLike, dt: u.Quantity, batch: int | None) -> None:
    """Write all states of a model: values, buffers, keys of noise, clock and parameters."""
    path = as_path("Simulator.save.path", path)
    arrays = {STEP: np.asarray(dt.to_decimal(u.ms)), BATCH: np.asarray(float(batch or 0))}
    for name, (value, _) in _parts(model).items():
        for i, leaf in enumerate(jax.tree.leaves(value)):
            arrays[f"{name}/{i}"] = np.asarray(leaf)
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_whole("Simulator.save.path", path, content.getvalue())


def put_states(model: brainstate.nn.Module, stored: dict[str, np.ndarray], dt: u.Quantity) -> None:
    """Put states back into a model of the same structure, whose states were initialized."""
    where = "Simulator.load"
    stored = dict(stored)
    step = _one(stored.pop(STEP, np.nan))
    if not np.isclose(step, dt.to_decimal(u.ms), rtol=1e-9):
        raise ArgumentError(f"{where}.path", f"must hold a run in steps of {dt}", f"steps of {step:g} ms")
    stored.pop(BATCH, None)
    parts, new = _parts(model), {}
    for name, (now, _) in parts.items():
        leaves, tree = jax.tree.flatten(now)
        new[name] = tree.unflatten([_leaf(where, stored, f"{name}/{i}", x) for i, x in enumerate(leaves)])
    if stored:
        found = f"others too: {sorted(stored)[:3]}"
        raise ArgumentError(f"{where}.path", "must hold the states of this model", found)
    for name, (_, put) in parts.items():
        put(new[name])


def _one(array: Any) -> float:
    """Return one number, NaN for anything else."""
    array = np.asarray(array)
    return float(array) if array.shape == () and array.dtype.kind == "f" else np.nan


def _leaf(where: str, stored: dict, name: str, now: Any):
    array = stored.pop(name, None)
    if array is None:
        raise ArgumentError(f"{where}.path", "must hold the states of this model", f"none for {name}")
    if array.shape != jnp.shape(now) or array.dtype != jnp.result_type(now):
        rule = f"must hold {name} with shape {jnp.shape(now)} and type {jnp.result_type(now)}"
        raise ArgumentError(f"{where}.path", rule, f"{array.shape} {array.dtype}")
    return jnp.asarray(array)


def _read(where: str, path: str | PathLike) -> dict[str, np.ndarray]:
    content = read_once(where, path, MAX_BYTES)
    try:
        return arrays.stored(content)
    except Exception as error:  # damaged bytes make parsers raise anything
        raise ArgumentError(where, "must be a file that Simulator.save has written", str(error)) from None
