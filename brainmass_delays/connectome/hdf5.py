"""Read the numbers and names in HDF5 files: MATLAB 7.3, and whatever else holds named matrices."""

import importlib.util
import io
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .._core.checks import ArgumentError
from .budget import Budget

MOST_ENTRIES = 10_000


def entries(content: bytes, source: str) -> dict[str, Callable[[Budget], Any]]:
    """Return the data sets of a file by path, as functions that decode them within a budget."""
    if importlib.util.find_spec("h5py") is None:
        raise ArgumentError(
            "Connectome.load",
            f"{source} is HDF5 (as MATLAB v7.3 is), which needs the h5py package",
            None,
            "Run pip install brainmass_delays[hdf5], or save it in MATLAB with save(..., '-v7')",
        )
    import h5py

    file = h5py.File(io.BytesIO(content), "r")
    found = {}

    def visit(name, item):  # follows hard links only, so nothing outside the file is reached
        if len(found) == MOST_ENTRIES:
            raise ValueError(f"it holds more than {MOST_ENTRIES} entries")
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            found[name] = partial(_decode, name, item, is_matlab=content[:6] == b"MATLAB")

    file.visititems(visit)
    return found


def _decode(name: str, data, budget: Budget, *, is_matlab: bool) -> Any:
    """Return an array, a text, or a list of texts."""
    import h5py

    if data.external or data.is_virtual:
        raise ValueError(f"{name} lies in another file")
    if data.shape is None:
        raise ValueError(f"{name} is empty")
    if h5py.check_ref_dtype(data.dtype) is h5py.Reference:
        return _referenced(name, data, budget)
    budget.take_array(name, data.shape, max(data.dtype.itemsize, 8))
    if h5py.check_string_dtype(data.dtype):
        return [text.strip("\0 ") for text in np.atleast_1d(data.asstr()[()]).ravel()]
    if data.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds no numbers but {data.dtype}")
    numbers = data[()]
    return numbers.T if is_matlab else numbers  # MATLAB stores columns, HDF5 rows


def _referenced(name: str, data, budget: Budget) -> list[str]:
    """Return the texts that a cell array of MATLAB refers to."""
    if math.prod(data.shape) > budget.most_regions:
        raise ValueError(f"{name} announces {math.prod(data.shape)} cells")
    texts = []
    for reference in np.ravel(data[()], order="F"):
        codes = data.file[reference]
        budget.take(name, 64 * codes.size)
        texts.append("".join(map(chr, np.ravel(codes[()]).astype(int))))
    return texts
