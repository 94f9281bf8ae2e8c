"""A fit as a file that is written while it runs, so that it can be killed and started again."""

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.files import as_path, locked, read_once, write_whole
from .._core.keys import is_key, key_data
from .._core.parameters import Parameter, stored
from ..connectome import arrays as files

WHERE = "Fitter.fit.checkpoint"
FORMAT = 3
MAX_BYTES = 2**34
META = "__fit__"


class Checkpoint:
    """Keep a fit in a file: what each start has found, and where the present one stands.

    The file is replaced as a whole, holds numbers and text only, and is locked while a fit uses it. Each
    start is a dict of arrays, with those of its engine under ``engine/``.
    """

    def __init__(self, path: Any, every: int, fingerprint: dict[str, Any]):
        self.path, self.every, self.fingerprint = path, every, fingerprint
        self.starts: list[dict[str, np.ndarray]] = []
        self.key: np.ndarray | None = None

    def read(self) -> bool:
        """Read the file, if there is one, or refuse one of another fit."""
        if not os.path.exists(self.path):
            return False
        content = read_once(WHERE, self.path, MAX_BYTES)
        try:
            arrays = files.stored(content)
            meta = json.loads(str(arrays.pop(META)))
            found, key = meta["fingerprint"], arrays.pop("key")
            if meta["n_starts"] > len(arrays):
                raise ValueError("it announces more starts than it holds")
            starts: list[dict[str, np.ndarray]] = [{} for _ in range(meta["n_starts"])]
            for name, array in arrays.items():
                index, rest = name.split("/", 1)
                starts[int(index)][rest] = array
        except Exception as error:  # damaged bytes make parsers raise anything
            raise ArgumentError(
                WHERE, "must be a file that a fit has written, whole", f"{self.path}: {error}",
                "Delete it to begin anew, or name another file",
            ) from None  # fmt: skip
        self._compare(found)
        self.key, self.starts = key, starts
        return True

    def _compare(self, found: dict[str, Any]) -> None:
        for name, ours in self.fingerprint.items():
            if found.get(name) != ours:
                raise ArgumentError(
                    WHERE,
                    f"must be of this fit, whose {name} is {_short(ours)}",
                    _short(found.get(name, "none")),
                    f"Delete {self.path} to begin anew, or name another file",
                )

    def keep(self, index: int, arrays: dict[str, np.ndarray], *, write: bool = True) -> None:
        """Note what the start of an index has come to, and write all."""
        self.starts += [{} for _ in range(index + 1 - len(self.starts))]
        self.starts[index] = arrays
        if write:
            self.write()

    def write(self) -> None:
        """Write what was noted."""
        meta = {"fingerprint": self.fingerprint, "n_starts": len(self.starts)}
        named = {f"{i}/{name}": array for i, start in enumerate(self.starts) for name, array in start.items()}
        content = io.BytesIO()
        np.savez(content, **named, key=self.key, **{META: np.array(json.dumps(meta))})
        write_whole(WHERE, self.path, content.getvalue())


class Keeper:
    """Keep one start of a fit in a `Checkpoint`, or nothing without one."""

    def __init__(self, checkpoint: Checkpoint | None, index: int):
        self.checkpoint, self.index = checkpoint, index

    def found(self) -> dict[str, np.ndarray] | None:
        """Return what the file holds of this start."""
        starts = () if self.checkpoint is None else self.checkpoint.starts
        return starts[self.index] or None if self.index < len(starts) else None

    def is_due(self, n_steps: int) -> bool:
        """Tell whether to write after so many steps."""
        return self.checkpoint is not None and n_steps % self.checkpoint.every == 0

    def steps_until_due(self, n_steps: int, wanted: int) -> int:
        """Return how many of the steps that are wanted may follow ``n_steps`` before it is time to write."""
        return (
            wanted
            if self.checkpoint is None
            else min(wanted, self.checkpoint.every - n_steps % self.checkpoint.every)
        )

    def keep(self, arrays: dict[str, np.ndarray], *, write: bool = True) -> None:
        """Note what this start has come to, and write it."""
        self.checkpoint.keep(self.index, arrays, write=write)


@contextmanager
def opened(path: Any, every: int, fingerprint: Callable[[], dict]) -> Iterator[Checkpoint | None]:
    """Open a checkpoint for one process, or none without a path."""
    every = check_count("Fitter.fit.every", every)
    if path is None:
        yield None
        return
    name = as_path(WHERE, path)
    checkpoint = Checkpoint(name, every, fingerprint())
    if not os.path.isdir(os.path.dirname(os.path.abspath(name))):
        raise ArgumentError(WHERE, "must lie in a folder that exists", name, "Make the folder first")
    try:
        lock = locked(f"{name}.lock", timeout=0.1)
        lock.__enter__()
    except TimeoutError:
        raise ArgumentError(
            WHERE, "must be used by one fit at a time", f"{name}, which another process writes",
            "Wait for it, or name another file",
        ) from None  # fmt: skip
    try:
        yield checkpoint
    finally:
        lock.__exit__(None, None, None)


def fingerprint_of(
    parameters: dict[str, Parameter], target: Any, starts: list[dict] | None, **more: Any
) -> dict[str, Any]:
    """Return what must be the same when a fit goes on: its parameters with their bounds, data, starts that
    were asked for, settings and versions."""
    kinds = {}
    for name, part in parameters.items():
        types = [str(jax.typeof(leaf)) for leaf in jax.tree.leaves(part.state.value)]
        bounds = "" if part.param is None else named(part.param.t)
        kinds[name] = [str(u.get_unit(part.value())), *types, bounds]
    versions = {
        "format": FORMAT,
        "brainmass_delays": sys.modules["brainmass_delays"].__version__,
        "jax": jax.__version__,
    }
    asked = None if starts is None else f"{len(starts)}, digest {digest_of(starts)}"
    return versions | {"parameters": kinds, "target": digest_of(target), "starts": asked} | more


def digest_of(tree: Any) -> str:
    """Return a short name for the numbers in a tree and its structure."""
    digest = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def named(thing: Any) -> str:
    """Return how something prints, without addresses, which differ between processes."""
    return re.sub(r"0x[0-9a-f]+", "", repr(thing))


def pack(prefix: str, tree: Any) -> dict[str, np.ndarray]:
    """Return the leaves of a tree as arrays by name; Python's own numbers are told apart."""
    arrays = {}
    for i, leaf in enumerate(jax.tree.leaves(tree)):
        plain = isinstance(leaf, bool | int | float)
        value = key_data(leaf)
        arrays[f"{prefix}/{i}{'p' if plain else ''}"] = np.asarray(value)
    return arrays


def unpack(prefix: str, arrays: dict[str, np.ndarray], like: Any) -> Any:
    """Return a tree of the structure of ``like`` with the leaves that `pack` made."""
    leaves, tree = jax.tree.flatten(like)
    new = []
    for i, old in enumerate(leaves):
        if f"{prefix}/{i}p" in arrays:
            new.append(arrays[f"{prefix}/{i}p"].item())
        elif f"{prefix}/{i}" not in arrays:
            raise ArgumentError(WHERE, f"must hold {prefix}/{i}", "none", "Delete the file to begin anew")
        else:
            value = jnp.asarray(arrays[f"{prefix}/{i}"])
            new.append(jax.random.wrap_key_data(value) if is_key(old) else value)
    return tree.unflatten(new)


def history_arrays(journal: Any) -> dict[str, np.ndarray]:
    """Return what a journal has written so far, as arrays."""
    arrays = {"history": np.array(journal.history), "best_loss": np.array(journal.best_loss)}
    arrays |= {f"term/{name}": np.array(values) for name, values in journal.terms.items()}
    arrays |= {f"norm/{name}": np.array(values) for name, values in journal.norms.items()}
    for name, values in journal.scalars.items():
        arrays[f"scalar/{name}"] = np.array([np.asarray(u.get_magnitude(value)) for value in values])
    return arrays | pack("best", journal.best) | {"n_refused": np.array(journal.n_refused)}


def load_history(journal: Any, arrays: dict[str, np.ndarray]) -> None:
    """Put back what a journal had written."""
    journal.history = [float(x) for x in arrays["history"]]
    journal.best_loss, journal.n_refused = float(arrays["best_loss"]), int(arrays["n_refused"])
    for kind, into in (("term", journal.terms), ("norm", journal.norms)):
        into |= {n[5:]: [float(x) for x in a] for n, a in arrays.items() if n.startswith(f"{kind}/")}
    for name, part in journal.problem.parameters.items():
        if (values := arrays.get(f"scalar/{name}")) is not None:
            unit = u.get_unit(part.value())
            journal.scalars[name] = [u.maybe_decimal(jnp.asarray(x) * unit) for x in values]
    journal.best = unpack("best", arrays, stored(journal.problem.parameters))


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text if len(text) < 200 else text[:197] + "..."
