"""Results of fits as files of numbers and text."""

import io
import json
from dataclasses import fields
from os import PathLike
from typing import Any

import brainunit as u
import jax
import numpy as np

from .._core.checks import ArgumentError
from .._core.files import read_once, write_whole
from .._core.units import UNIT, plain_arrays
from ..connectome.arrays import stored
from .checkpoint import MAX_BYTES
from .curvature import Uncertainty
from .profile import NoiseFloor, Profile

META = "__result__"
TABLES = ("best_params", "param_history", "terms", "gradient_norms")
KINDS = {"Uncertainty": Uncertainty, "Profile": Profile, "NoiseFloor": NoiseFloor}


def save(result: Any, path: str | PathLike) -> None:
    """Write a result, its starts and what was asked of it."""
    arrays, meta = _pack(result)
    content = io.BytesIO()
    np.savez(content, **arrays, **{META: np.array(json.dumps(meta))})
    write_whole("FitResult.save.path", path, content.getvalue())


def load(kind: type, path: str | PathLike) -> Any:
    """Read a result."""
    where = "FitResult.load.path"
    content = read_once(where, path, MAX_BYTES)
    try:
        arrays = stored(content)
        meta = json.loads(str(arrays.pop(META)))
        return _unpack(kind, arrays, meta)
    except Exception as error:  # damaged bytes make parsers raise anything
        raise ArgumentError(where, "must be a file that FitResult.save has written", str(error)) from None


def _pack(result: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays = {"history": np.array(result.history), "best_loss": np.array(result.best_loss)}
    for table in TABLES:
        arrays |= plain_arrays({f"{table}/{name}": value for name, value in getattr(result, table).items()})
    leaves = jax.tree.leaves(result.prediction, is_leaf=u.math.is_quantity)
    if isinstance(result.prediction, dict):
        arrays |= plain_arrays({f"prediction/{name}": value for name, value in result.prediction.items()})
    elif len(leaves) == 1:
        arrays |= plain_arrays({"prediction": leaves[0]})
    found = {name: _pack_found(f"found/{name}", value, arrays) for name, value in result.found.items()}
    starts = []
    for i, start in enumerate(result.starts):
        inner, meta = _pack(start)
        arrays |= {f"{i}/{name}": value for name, value in inner.items()}
        starts.append(meta)
    meta = {"backend": result.backend, "optimizer": repr(result.optimizer), "failures": result.failures}
    return arrays, meta | {"found": found, "starts": starts}


def _pack_found(prefix: str, value: Any, arrays: dict) -> dict[str, Any]:
    """Write the fields of what was found out; arrays by name, the rest as text."""
    texts: dict[str, Any] = {}
    for field in fields(value):
        entry = getattr(value, field.name)
        if field.name in ("intervals", "bounds"):
            pairs = entry if isinstance(entry, dict) else {"": entry}
            for name, pair in pairs.items():
                for side, end in zip(("low", "high"), pair or (), strict=False):
                    arrays |= plain_arrays({f"{prefix}/{field.name}/{name}/{side}": end})
        elif isinstance(entry, np.ndarray | u.Quantity | jax.Array):
            arrays |= plain_arrays({f"{prefix}/{field.name}": entry})
        elif field.name != "params":
            texts[field.name] = entry
    return {"kind": type(value).__name__, "texts": texts}


def _unpack(kind: type, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Any:
    values = _with_units(arrays)
    tables = {table: _below(values, table) for table in TABLES}
    starts = tuple(_unpack(kind, _below(arrays, str(i)), inner) for i, inner in enumerate(meta["starts"]))
    prediction = values.get("prediction", _below(values, "prediction") or None)
    found = {n: _unpack_found(_below(values, f"found/{n}"), entry) for n, entry in meta["found"].items()}
    for table in ("terms", "gradient_norms"):
        tables[table] = {name: [float(x) for x in series] for name, series in tables[table].items()}
    history = [float(x) for x in values["history"]]
    return kind(
        best_loss=float(values["best_loss"]), history=history, n_steps=len(history), prediction=prediction,
        model=None, backend=meta["backend"], optimizer=meta["optimizer"], starts=starts,
        failures=tuple(meta["failures"]), found=found, **tables,
    )  # fmt: skip


def _unpack_found(values: dict[str, Any], meta: dict[str, Any]) -> Any:
    kind, entries = KINDS[meta["kind"]], dict(meta["texts"])
    for name in ("intervals", "bounds"):
        ends: dict[str, dict] = {}
        for place, value in _below(values, name).items():
            label, side = place.rsplit("/", 1)
            ends.setdefault(label, {})[side] = value
        pairs = {label: (end["low"], end["high"]) for label, end in ends.items()}
        if any(field.name == name for field in fields(kind)):
            entries[name] = pairs if name == "intervals" else pairs.get("")
    entries |= {name: value for name, value in values.items() if "/" not in name}
    if kind is Uncertainty:
        entries["labels"] = tuple(entries["labels"])
    if kind is Profile:
        entries["params"] = [{} for _ in entries["losses"]]
    return kind(**entries)


def _below(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) + 1 :]: value for name, value in values.items() if name.startswith(f"{prefix}/")}


def _with_units(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    units = {
        name[: -len(UNIT)]: u.parse_unit(str(text)) for name, text in arrays.items() if name.endswith(UNIT)
    }
    plain = {name: value for name, value in arrays.items() if not name.endswith(UNIT)}
    return {n: u.Quantity(value, unit=units[n]) if n in units else value for n, value in plain.items()}
