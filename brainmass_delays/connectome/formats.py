"""The kinds of connectome files, and how the fields in each are found and read."""

import bz2
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from .._core.checks import ArgumentError, check_choice
from .._core.files import read_once
from . import arrays, hdf5, matlab
from .budget import Budget
from .text import choose_labels, match_order, read_centres, read_matrix
from .validate import to_label

NAMES = {  # how files of the field call the fields, in lower case
    "weights": ("weights", "weight", "sc", "cm", "cmat", "connectivity", "w", "c"),
    "lengths": (
        "lengths",
        "length",
        "tract_lengths",
        "tract_length",
        "len",
        "dmat",
        "distances",
        "distance",
        "d",
        "l",
    ),
    "labels": ("labels", "names", "region_labels", "regions"),
    "centres": ("centres", "centers", "coordinates", "coords"),
    "signed": ("signed",),
}


class Options(NamedTuple):
    """Hold how a file is to be read."""

    source: Any
    entries: Mapping[str, str]
    encoding: str
    budget: Budget


def read_content(content: bytes, kind: str, role: str) -> dict[str, Any]:
    """Return the fields in the content of a file of a kind, such as ``'.mat'``; a lone matrix is ``role``."""
    return READERS[kind](content, role, Options("the data", {}, "utf-8-sig", Budget("the data")))


def file_content(path: str | PathLike, budget: Budget) -> bytes:
    """Read a file once, within the budget."""
    content = read_once("Connectome.load", path, budget.left, "Allow more with max_memory=")
    budget.take("the content", len(content))
    return content


def _named(names: Iterable[str], options: Options) -> dict[str, str]:
    """Map fields to the names that stand for them, chosen by the caller or else unique."""
    names = list(names)
    found = {
        field: check_choice("Connectome.load.entries", name, names) for field, name in options.entries.items()
    }
    chosen = set(found)
    for name in names:
        stem = PurePosixPath(name).name.split(".")[0].lower()
        field = next((field for field, stems in NAMES.items() if stem in stems), None)
        if field in found and field not in chosen:
            got = f"{found[field]} and {name}"
            raise ArgumentError(
                "Connectome.load", f"{options.source} must hold {field} once", got, "Choose one with entries="
            )
        if field and field not in chosen:
            found[field] = name
    return found


def matched(path: Any, labels: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Put lengths or centers into the order of known labels."""
    try:
        order = match_order(labels, fields.get("labels"))
    except ValueError as error:
        raise ArgumentError("Connectome.load", f"{path} must name the same regions", error) from error
    if order is None:
        return fields
    axes = {"lengths": np.ix_(order, order), "centres": (order,)}
    return {
        name: value[axes[name]] if name in axes and len(value) == len(order) else value
        for name, value in fields.items()
    }


def _read_entries(found: dict[str, Callable], role: str, options: Options) -> dict[str, Any]:
    """Decode the fields among named entries, of which a lone one needs no name."""
    lone = len(found) == 1 and not options.entries
    names = {role: next(iter(found))} if lone else _named(found, options)
    return {field: found[name](options.budget) for field, name in names.items()}


def _read_npz(content: bytes, role: str, options: Options) -> dict[str, Any]:
    """Read arrays by name."""
    found = arrays.entries(content)
    return _clean({field: found[name](options.budget) for field, name in _named(found, options).items()})


def _read_npy(content: bytes, role: str, options: Options) -> dict[str, Any]:
    """Read one array."""
    return {role: arrays.read_array(role, io.BytesIO(content), len(content), options.budget)}


def _read_mat(content: bytes, role: str, options: Options) -> dict[str, Any]:
    """Read MATLAB variables by name, or the only variable."""
    try:
        found = matlab.variables(content)
    except matlab.NewerVersion:
        return _read_hdf5(content, role, options)
    return _clean(_read_entries(found, role, options))


def _read_hdf5(content: bytes, role: str, options: Options) -> dict[str, Any]:
    """Read data sets by name, or the only one."""
    return _clean(_read_entries(hdf5.entries(content, str(options.source)), role, options))


def _clean(fields: dict[str, Any]) -> dict[str, Any]:
    """Return labels as a list of names without padding."""
    if "labels" not in fields:
        return fields
    labels = np.ravel(np.asarray(fields["labels"]))
    if labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels)):  # as MATLAB stores integers
        labels = labels.astype(int)
    return fields | {"labels": [to_label(label).strip() for label in labels]}


def _read_text(content: bytes, role: str, options: Options) -> dict[str, Any]:
    """Read one matrix of numbers, with region names in the first row or column if there are any."""
    matrix, labels = read_matrix(io.BytesIO(content), role, options.encoding, options.budget)
    return {role: matrix} | ({"labels": labels} if labels else {})


def _read_tvb(content: Any, role: str, options: Options) -> dict[str, Any]:
    """Read the text files of The Virtual Brain from a folder or, at any depth, a zip; plain or bz2."""
    list_members = _zip_members if isinstance(content, bytes) else _folder_members
    members = dict(list_members(content, options))
    parts = {}
    for field, name in _named(members, options).items():
        stream = members[name]()
        stream = bz2.BZ2File(stream) if name.endswith(".bz2") else stream
        if field == "centres":
            parts[field] = read_centres(stream, options.encoding, options.budget)
        elif field in ("weights", "lengths"):
            parts[field] = read_matrix(stream, name, options.encoding, options.budget)
    labels = None
    for field in ("weights", "lengths", "centres"):
        if field in parts:
            values, names = parts[field]
            parts[field] = matched(options.source, labels, {field: values, "labels": names})[field]
            labels = choose_labels(labels, names)
    return parts | ({"labels": labels} if labels else {})


def _folder_members(folder: Any, options: Options) -> Iterator[tuple[str, Callable]]:
    """Yield names of the text files of a folder, and functions that open them."""
    for file in Path(folder).iterdir():
        if _is_text(file.name):
            yield file.name, lambda file=file: io.BytesIO(file_content(file, options.budget))


def _zip_members(content: bytes, options: Options) -> Iterator[tuple[str, Callable]]:
    """Yield names of the text files of a zip, and functions that open them."""
    archive = arrays.open_zip(content)
    for info in archive.infolist():
        place = PurePosixPath(info.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            rule = f"{options.source} must not point outside itself"
            raise ArgumentError("Connectome.load", rule, info.filename)
        if not info.is_dir() and _is_text(info.filename):
            yield info.filename, lambda info=info: archive.open(info)


def _is_text(name: str) -> bool:
    """Tell text files from others and from the hidden copies that some systems add."""
    hidden = PurePosixPath(name).name.startswith(".")
    return name.endswith((".txt", ".txt.bz2", ".csv", ".tsv")) and not hidden


READERS = {
    ".npz": _read_npz,
    ".zip": _read_tvb,
    "folder": _read_tvb,
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".csv": _read_text,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".npy": _read_npy,
}
