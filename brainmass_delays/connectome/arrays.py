"""Read NumPy's .npy and .npz files; nothing is unpickled, and no size is believed before it is checked."""

import io
import math
import zipfile
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from .budget import OVERHEAD, Budget

MOST_MEMBERS = 10_000
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def open_zip(content: bytes) -> zipfile.ZipFile:
    """Open a zip in memory, unless listing its members alone would take long."""
    if content.count(b"PK\x01\x02") > MOST_MEMBERS:  # what every entry of its table begins with
        raise ValueError(f"it holds more than {MOST_MEMBERS} members")
    return zipfile.ZipFile(io.BytesIO(content))


def entries(content: bytes) -> dict[str, Callable[[Budget], np.ndarray]]:
    """Return the arrays of a .npz file by name, as functions that read them within a budget."""
    archive = open_zip(content)
    return {
        info.filename.removesuffix(".npy"): partial(_read_member, archive, info)
        for info in archive.infolist()
        if info.filename.endswith(".npy")
    }


def stored(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file that is not compressed, so that they are no larger than the file."""
    archive = open_zip(content)
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise ValueError("it is compressed")
    if sum(info.file_size for info in archive.infolist()) > len(content):
        raise ValueError("its members announce more bytes than there are")
    budget = Budget("the file", OVERHEAD * len(content) + 1)
    return {name: read(budget) for name, read in entries(content).items()}


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> np.ndarray:
    """Read one array of a .npz file."""
    with archive.open(info) as stream:
        array = read_array(info.filename, stream, info.file_size, budget)
        stream.read(1)  # to the end, where the checksum is compared
    return array


def read_array(name: str, stream: BinaryIO, size: int, budget: Budget) -> np.ndarray:
    """Read one array in NumPy's format out of a stream of a known size."""
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"{name} has version {version} of NumPy's format")
    shape, is_fortran, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are never loaded")
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > size:
        raise ValueError(f"{name} announces {n_bytes} bytes and {size} are there")
    budget.take_array(name, shape, dtype.itemsize)
    return np.ndarray(shape, dtype, stream.read(n_bytes), order="F" if is_fortran else "C")
