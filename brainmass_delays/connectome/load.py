"""Read connectome files of the usual kinds; nothing is unpickled and nothing is written to disk."""

import bz2
import io
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import scipy.io

from .._core.checks import ArgumentError

if TYPE_CHECKING:
    from .connectome import Connectome

MAX_BYTES = 2**30  # of one matrix, unpacked: 10,000 regions in float64

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


def load(
    cls,
    path: str | PathLike,
    lengths_path: str | PathLike | None = None,
    *,
    transpose: bool = False,
    signed: bool = False,
) -> "Connectome":
    """Read a connectome from files.

    Parameters
    ----------
    path : str or path
        A ``.npz`` file, a TVB ``.zip`` or folder (weights, tract_lengths, centres; plain or ``.bz2``), or
        a ``.mat`` file with both matrices. Or the weights alone, as ``.csv``, ``.tsv``, ``.txt``,
        ``.npy`` or ``.mat``.
    lengths_path : str or path, optional
        The tract lengths in mm, where ``path`` holds the weights alone.
    transpose : bool, optional
        The files are ``[source, target]``. Default False.
    signed : bool, optional
        Allow negative weights. Default False; a ``.npz`` file remembers it.

    Returns
    -------
    Connectome

    Raises
    ------
    ArgumentError
        If a file is missing, malformed, too large or of an unknown kind, or does not hold a valid
        connectome. The message names the file.

    Notes
    -----
    Nothing is unpickled and nothing is extracted to disk. ``.npz`` and ``.mat`` files may name the
    matrices as is usual in the field (``weights``, ``sc``, ``cm``, ``C``; ``lengths``, ``tract_lengths``,
    ``len``, ``D``).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from brainmass_delays.connectome import Connectome
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     weights, lengths = pathlib.Path(folder, 'weights.csv'), pathlib.Path(folder, 'lengths.csv')
    ...     _ = weights.write_text('0, 1\\n2, 0'), lengths.write_text('0, 30\\n30, 0')
    ...     Connectome.load(weights, lengths)
    Connectome(2 regions, density 1.000, asymmetric, lengths 30 to 30 mm, mean 30 mm)
    """
    fields = read(path, lengths_path)
    signed = signed or bool(fields.pop("signed", False))
    try:
        loaded = cls(**fields, signed=signed)
    except ArgumentError as error:
        raise ArgumentError("Connectome.load", f"{path} must hold a valid connectome", error) from error
    return loaded.transpose() if transpose else loaded


def read(path: str | PathLike, lengths_path: str | PathLike | None = None) -> dict[str, Any]:
    """Return the fields of the connectome in one file, or in a file of weights and one of lengths."""
    fields = _read_file(Path(path), "weights")
    if lengths_path is not None:
        fields = {**fields, "lengths": _read_file(Path(lengths_path), "lengths")["lengths"]}
    elif "lengths" not in fields:
        raise ArgumentError(
            "Connectome.load",
            f"{path} must hold lengths too",
            f"only {', '.join(fields)}",
            "Name the file of lengths with lengths_path",
        )
    return fields


def _read_file(path: Path, role: str) -> dict[str, Any]:
    """Return the fields in a file; a lone matrix without a name is taken for ``role``."""
    if not path.exists():
        raise ArgumentError("Connectome.load", f"{path} must exist", "no such file")
    kind = "folder" if path.is_dir() else path.suffix.lower()
    if kind not in READERS:
        raise ArgumentError(
            "Connectome.load",
            f"{path} must be one of {', '.join(READERS)}",
            repr(kind),
            "Save other kinds as .npz with arrays named weights and lengths",
        )
    try:
        fields = READERS[kind](path, role)
    except ArgumentError:
        raise
    except (
        Exception
    ) as error:  # broken bytes make parsers raise anything: zlib.error, struct.error, KeyError, ...
        raise ArgumentError("Connectome.load", f"{path} must be a readable {kind} file", error) from error
    if role not in fields:
        raise ArgumentError(
            "Connectome.load",
            f"{path} must hold {role}",
            f"only {', '.join(fields) or 'other names'}",
            f"Name the matrix one of {', '.join(NAMES[role])}",
        )
    return fields


def _named(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Map fields to the names that stand for them, each of which must be unique."""
    found = {}
    for name in names:
        stem = PurePosixPath(name).name.split(".")[0].lower()
        field = next((field for field, stems in NAMES.items() if stem in stems), None)
        if field in found:
            got = f"{found[field]} and {name}"
            raise ArgumentError("Connectome.load", f"{path} must hold {field} once", got)
        if field:
            found[field] = name
    return found


def _check_size(path: Path, name: str, n_bytes: int) -> None:
    """Refuse what would unpack to more than MAX_BYTES."""
    if n_bytes > MAX_BYTES:
        raise ArgumentError(
            "Connectome.load",
            f"{path}: {name} must unpack to at most {MAX_BYTES} bytes",
            "a larger one",
            "Save large connectomes in float32 as .npz",
        )


def _read_npz(path: Path, role: str) -> dict[str, Any]:
    """Read arrays by name."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            _check_size(path, info.filename, info.file_size)
    with np.load(path, allow_pickle=False) as arrays:
        return {field: arrays[name] for field, name in _named(path, arrays.files).items()}


def _read_npy(path: Path, role: str) -> dict[str, Any]:
    """Read one array."""
    return {role: np.load(path, allow_pickle=False)}


def _read_mat(path: Path, role: str) -> dict[str, Any]:
    """Read MATLAB variables by name, or the only variable."""
    try:
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
    except NotImplementedError as error:
        raise ArgumentError(
            "Connectome.load",
            f"{path} must not be a MATLAB v7.3 file",
            error,
            "Save it in MATLAB with save(..., '-v7')",
        ) from error
    for name, shape in shapes.items():
        _check_size(path, name, 8 * math.prod(shape))
    names = {role: next(iter(shapes))} if len(shapes) == 1 else _named(path, shapes)
    arrays = scipy.io.loadmat(path, variable_names=list(names.values()))
    fields = {field: arrays[name] for field, name in names.items()}
    if "labels" in fields:
        fields["labels"] = [str(np.ravel(label)[0]).strip() for label in np.ravel(fields["labels"])]
    return {field: value.toarray() if hasattr(value, "toarray") else value for field, value in fields.items()}


def _read_text(path: Path, role: str) -> dict[str, Any]:
    """Read one matrix of numbers, with region names in the first row or column if there are any."""
    _check_size(path, "the text", path.stat().st_size)
    matrix, labels = _parse_matrix(path.read_text(encoding="utf-8-sig"))
    return {role: matrix} | ({"labels": labels} if labels else {})


def _read_tvb(path: Path, role: str) -> dict[str, Any]:
    """Read the text files of The Virtual Brain from a folder or, at any depth, a zip; plain or bz2."""
    fields = {}
    with _members(path) as members:
        for field, name in _named(path, members).items():
            with members[name]() as stream:
                stream = bz2.BZ2File(stream) if name.endswith(".bz2") else stream
                content = stream.read(MAX_BYTES + 1)
            _check_size(path, name, len(content))
            text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig").read()
            if field == "centres":
                fields["labels"], fields["centres"] = _parse_centres(text)
            elif field in ("weights", "lengths"):
                fields[field] = _parse_matrix(text)[0]
    return fields


@contextmanager
def _members(path: Path) -> Iterator[dict[str, Callable[[], BinaryIO]]]:
    """Hand out the text files of a zip or a folder as functions that open them."""
    if path.is_dir():
        yield {file.name: lambda file=file: file.open("rb") for file in path.iterdir() if _is_text(file.name)}
        return
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        for info in infos:
            place = PurePosixPath(info.filename.replace("\\", "/"))
            if place.is_absolute() or ".." in place.parts:
                raise ArgumentError("Connectome.load", f"{path} must not point outside itself", info.filename)
            _check_size(path, info.filename, info.file_size)
        yield {
            info.filename: lambda info=info: archive.open(info) for info in infos if _is_text(info.filename)
        }


def _is_text(name: str) -> bool:
    """Tell text files from others and from the hidden copies that some systems add."""
    hidden = PurePosixPath(name).name.startswith(".")
    return name.endswith((".txt", ".txt.bz2", ".csv", ".tsv")) and not hidden


def _parse_matrix(text: str) -> tuple[np.ndarray, list[str]]:
    """Return the numbers of a table and the names in its first row or column, if there are any."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("it holds no numbers")
    delimiter = next((sign for sign in ";," if sign in lines[-1]), None)

    def cells(line: str) -> list[str]:
        return [cell.strip(' \t"') for cell in line.split(delimiter)]

    first, last = cells(lines[0]), cells(lines[-1])
    corner = first[0] == "" or len(first) < len(last)
    header = corner or not all(map(_is_number, first[1:] or first))
    column = corner or not _is_number(last[0])
    columns = range(1, len(last)) if column else None
    if header and len(lines) == 1:
        raise ValueError("it holds no numbers")
    numbers = np.loadtxt(lines[header:], delimiter=delimiter, ndmin=2, usecols=columns)
    if header:
        return numbers, first[-numbers.shape[1] :]
    return numbers, [cells(line)[0] for line in lines] if column else []


def _parse_centres(text: str) -> tuple[list[str] | None, np.ndarray]:
    """Return the names, if given, and x, y, z from lines of ``name x y z``."""
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    named = not _is_number(rows[0][0])
    positions = np.array([row[named : named + 3] for row in rows], float)
    return [row[0] for row in rows] if named else None, positions


def _is_number(word: str) -> bool:
    """Tell whether a word of a table is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


READERS = {
    ".npz": _read_npz,
    ".zip": _read_tvb,
    "folder": _read_tvb,
    ".mat": _read_mat,
    ".csv": _read_text,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".npy": _read_npy,
}
