"""Read connectome files of the usual kinds; nothing is unpickled and nothing is written to disk."""

import os
from codecs import lookup
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.checks import ArgumentError, check_choice, check_flag
from .._core.files import as_path
from .budget import Budget
from .complete import drop_missing, mirror
from .formats import NAMES, READERS, Options, file_content, matched
from .text import choose_labels

if TYPE_CHECKING:
    from .connectome import Connectome


def load(
    cls,
    path: str | PathLike,
    lengths: str | PathLike | None = None,
    *,
    entries: Mapping[str, str] | None = None,
    missing: float | None = None,
    symmetric: bool | None = None,
    transpose: bool = False,
    signed: bool = False,
    encoding: str = "utf-8",
    max_memory: float | None = None,
) -> "Connectome":
    """Read a connectome from files.

    Parameters
    ----------
    path : str or path
        A ``.npz`` file, a TVB ``.zip`` or folder (weights, tract_lengths, centres; plain or ``.bz2``), or
        a ``.mat``, ``.h5`` or ``.hdf5`` file with both matrices. Or the weights alone, as ``.csv``, ``.tsv``,
        ``.txt``, ``.npy`` or any of these.
    lengths : str or path, optional
        The file of tract lengths in mm, where ``path`` holds the weights alone; ``'centres'`` takes the
        straight lines between the centers of the regions instead.
    entries : dict of str to str, optional
        Names of the matrices in the file where they are not the usual ones, e.g.
        ``{'weights': 'fiber_count', 'lengths': 'fiber_mm'}``; also ``'labels'``, ``'centres'``, ``'signed'``.
    missing : float, optional
        A weight of this value (``-1``, ``nan``) means that there is no connection.
    symmetric : bool, optional
        True: the connectome is symmetric, and where only one triangle is filled the other one is its mirror
        image. False: it is directed. Default: as the file has it, with a warning if one triangle is empty.
    transpose : bool, optional
        The files are ``[source, target]``. Default False.
    signed : bool, optional
        Allow negative weights. Default False; a ``.npz`` file remembers it.
    encoding : str, optional
        How text files write letters, e.g. ``'latin-1'``. Default ``'utf-8'``.
    max_memory : float, optional
        Bytes that loading may take. Default 1 GiB, about 5,000 regions.

    Returns
    -------
    Connectome

    Raises
    ------
    ArgumentError
        If a file is missing, malformed, not a regular file, of an unknown kind, claims more regions than
        ``max_memory`` or the free memory allow, or does not hold a valid connectome. The message names the
        file.

    Warns
    -----
    UserWarning
        If the weights fill one triangle only and ``symmetric`` is not given.

    Notes
    -----
    Nothing is unpickled and nothing is extracted to disk; every file is opened and read once. ``.npz``,
    ``.mat`` and HDF5 files may name the matrices as is usual in the field (``weights``, ``sc``, ``cm``,
    ``C``; ``lengths``, ``tract_lengths``, ``len``, ``D``). HDF5, and so MATLAB v7.3, needs the extra
    ``hdf5``. Names in the first row or column of text become labels; where weights, lengths, rows, columns or
    centers name the regions in different orders, they are put into that of the weights.

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
    signed, transpose = (
        check_flag("Connectome.load.signed", signed),
        check_flag("Connectome.load.transpose", transpose),
    )
    if symmetric is not None:
        check_flag("Connectome.load.symmetric", symmetric)
    options = Options(path, _mapping(entries), _encoding(encoding), Budget(str(path), max_memory))
    fields = _read(path, lengths, options)
    signed = _remembered(path, fields.pop("signed", False)) or signed
    fields = mirror(drop_missing(fields, missing), symmetric, path)
    try:
        loaded = cls(**fields, signed=signed)
    except ArgumentError as error:
        raise ArgumentError("Connectome.load", f"{path} must hold a valid connectome", error) from error
    return loaded.transpose() if transpose else loaded


def _mapping(entries: Any) -> Mapping[str, str]:
    """Return the names of entries by field."""
    if entries is None:
        return {}
    if not isinstance(entries, Mapping) or not all(isinstance(name, str) for name in entries.values()):
        rule = "must be a dict of field and name in the file"
        raise ArgumentError("Connectome.load.entries", rule, repr(entries))
    for name in entries:
        check_choice("Connectome.load.entries", name, NAMES)
    return entries


def _remembered(path: Any, signed: Any) -> bool:
    """Return whether a file says that its weights are signed; a text that says so is no answer."""
    value = np.asarray(signed)
    if value.size == 1 and value.dtype.kind in "biuf" and value.item() in (0, 1):
        return bool(value.item())
    raise ArgumentError("Connectome.load", f"{path} must hold true or false as signed", repr(signed))


def _encoding(name: Any) -> str:
    """Return the name of an encoding; UTF-8 with or without a mark at its start."""
    try:
        known = lookup(name).name
    except (LookupError, TypeError, ValueError) as error:
        raise ArgumentError("Connectome.load.encoding", "must name an encoding", repr(name)) from error
    return "utf-8-sig" if known == "utf-8" else known


def _read(path: str | PathLike, lengths: str | PathLike | None, options: Options) -> dict[str, Any]:
    """Return the fields in one file, or in a file of weights and one of lengths."""
    if lengths is None or (isinstance(lengths, str) and lengths == "centres"):
        fields = _read_file("path", path, "weights", options)
        if lengths is not None:
            fields["lengths"] = lengths
        elif "lengths" not in fields:
            raise ArgumentError(
                "Connectome.load",
                f"{path} must hold lengths too",
                f"only {', '.join(fields)}",
                "Name their file with lengths=, or pass lengths='centres' for lines between the centers",
            )
        return fields
    names = dict(options.entries)
    chosen = {"lengths": names.pop("lengths")} if "lengths" in names else {}
    fields = _read_file("path", path, "weights", options._replace(entries=names))
    other = _read_file("lengths", lengths, "lengths", options._replace(source=lengths, entries=chosen))
    fields["lengths"] = matched(lengths, fields.get("labels"), other)["lengths"]
    labels = choose_labels(fields.get("labels"), other.get("labels"))
    return fields | ({"labels": labels} if labels else {})


def _read_file(argument: str, path: str | PathLike, role: str, options: Options) -> dict[str, Any]:
    """Return the fields in a file; a lone matrix without a name is taken for ``role``."""
    path = as_path(f"Connectome.load.{argument}", path)
    kind = "folder" if os.path.isdir(path) else Path(path).suffix.lower()
    if not os.path.exists(path):  # unlike Path.exists, False also for a name that is too long
        raise ArgumentError(f"Connectome.load.{argument}", f"{path} must exist", "no such file")
    if kind not in READERS:
        raise ArgumentError(
            f"Connectome.load.{argument}",
            f"{path} must be one of {', '.join(READERS)}",
            repr(kind),
            "Save other kinds as .npz with arrays named weights and lengths",
        )
    try:
        content = path if kind == "folder" else file_content(path, options.budget)
        fields = READERS[kind](content, role, options)
    except ArgumentError:
        raise
    except UnicodeError as error:
        rule = f"{path} must be text in {options.encoding.removesuffix('-sig')}"
        raise ArgumentError(
            "Connectome.load", rule, error, "Pass encoding='latin-1', or what it is"
        ) from error
    except Exception as error:  # broken bytes make parsers raise anything: zlib.error, struct.error, KeyError
        raise ArgumentError("Connectome.load", f"{path} must be a readable {kind} file", error) from error
    if role not in fields:
        raise ArgumentError(
            "Connectome.load",
            f"{path} must hold {role}",
            f"only {', '.join(fields) or 'other names'}",
            f"Name the matrix one of {', '.join(NAMES[role])}, or say which it is with entries=",
        )
    return fields
