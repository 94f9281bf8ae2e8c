"""Chunks of a sweep as files, so that a sweep that was ended goes on where it was."""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brainstate
import brainunit as u
import jax
import numpy as np

from .._core.checks import ArgumentError
from .._core.files import locked, make_folder, read_once, write_whole
from .._core.keys import key_data
from ..connectome import arrays
from .program import Job, predict_one

WHERE = "sweep.store"
FORMAT = 1
MAX_BYTES, MAX_ABOUT = 2**36, 2**20


class Store:
    """Keep the results of chunks in a folder of their own, one file each, written whole.

    The folder is named by a hash of the axes, of what ``predict`` computes (its program and the arrays in
    it), of settings and of versions: another sweep never reads it.
    """

    def __init__(self, folder: Path, tree: Any):
        self.folder, self.tree = folder, tree

    def read(self, i: int) -> Any:
        """Return the results of a chunk, None if it was not run."""
        path = self._path(i)
        if not path.exists():
            return None
        try:
            found = arrays.stored(read_once(WHERE, path, MAX_BYTES))
            return self.tree.unflatten([found[str(n)] for n in range(self.tree.num_leaves)])
        except Exception as error:
            raise ArgumentError(
                WHERE, "must hold whole files", f"{path}: {error}", "Delete it: its points are run again"
            ) from None

    def write(self, i: int, result: Any) -> None:
        """Write the results of a chunk."""
        content = io.BytesIO()
        np.savez(content, **{str(n): leaf for n, leaf in enumerate(jax.tree.leaves(result))})
        write_whole(WHERE, self._path(i), content.getvalue())

    def _path(self, i: int) -> Path:
        return self.folder / f"chunk-{i:06d}.npz"


@contextmanager
def opened(path: Path, job: Job, axes: dict, product: bool, size: int) -> Iterator[tuple[Store, Job, int]]:
    """Open the part of a store that belongs to a sweep, for one process; return it with the random key and
    the chunk size that the first call had."""
    name, tree = _identity(job, axes, product)
    folder = path / name
    make_folder(WHERE, folder)
    lock = locked(folder / "lock", timeout=0.1)
    try:
        lock.__enter__()
    except TimeoutError:
        raise ArgumentError(
            WHERE, "must be used by one sweep at a time", f"{folder}, which another process writes"
        ) from None
    try:
        about = folder / "sweep.json"
        if about.exists():
            known = json.loads(read_once(WHERE, about, MAX_ABOUT))
        else:
            known = {"key": np.asarray(job.key).tolist(), "size": size, "axes": list(axes)}
            write_whole(WHERE, about, json.dumps(known).encode())
        key = np.array(known["key"], np.asarray(job.key).dtype)
        yield Store(folder, tree), job._replace(key=key), known["size"]
    finally:
        lock.__exit__(None, None, None)


def _identity(job: Job, axes: dict[str, Any], product: bool) -> tuple[str, Any]:
    """Return a name for a sweep, by all that its results depend on, and the structure of its results."""
    one = {
        name: jax.ShapeDtypeStruct(v.shape[1:], jax.dtypes.canonicalize_dtype(v.dtype))
        for name, v in _plain(axes).items()
    }
    units = {name: u.get_unit(v) for name, v in axes.items()}

    def predict(key, point):
        return predict_one(job.predict, key, {n: u.maybe_decimal(v * units[n]) for n, v in point.items()})

    context = {k: v for k, v in job.settings.items() if k != "precision"}
    with brainstate.environ.context(**context):
        program, shapes = jax.make_jaxpr(predict, return_shape=True)(job.key, one)
    digest = hashlib.sha256()
    # Addresses differ between processes and mean nothing.
    digest.update(re.sub(r"0x[0-9a-f]+", "", str(program.jaxpr)).encode())
    for array in (*program.consts, *_plain(axes).values()):
        value = np.asarray(key_data(array))
        digest.update(f"{value.shape}{value.dtype}".encode() + np.ascontiguousarray(value).tobytes())
    settings = {name: str(value) for name, value in sorted(job.settings.items())}
    texts = [FORMAT, jax.__version__, product, settings, {n: str(unit) for n, unit in units.items()}]
    digest.update(json.dumps(texts).encode())
    return digest.hexdigest()[:20], jax.tree.structure(shapes)


def _plain(axes: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(u.get_magnitude(values)) for name, values in axes.items()}
