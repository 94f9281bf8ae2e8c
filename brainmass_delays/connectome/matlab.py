"""Read the numbers and names in MATLAB files up to version 7.2, with every length checked against the file.

The reader of SciPy runs compiled code over what the file claims, and a single wrong bit can end the process;
this one knows arrays, sparse arrays, characters and cells of characters, and nothing else.

References
----------
.. [1] MathWorks. MAT-File Format, version 5 and version 4 (Level 5 and Level 4 MAT-files).
"""

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .budget import Budget

NUMBERS = {  # type of an element -> dtype
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, CHARACTERS, SPARSE = 1, 4, 5  # classes of a matrix that are not plain numbers
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
OTHERS = {2: "a struct", 3: "an object", 16: "a function", 17: "an object"}
COMPLEX = 0x0800
HEAD = 2048  # bytes that hold the name of a variable
MOST_VARIABLES = 10_000
LEVEL_4 = ("f8", "f4", "i4", "i2", "u2", "u1")
TEXT, SPARSE_4 = 1, 2  # kinds of a matrix of level 4

Variables = dict[str, Callable[[Budget], Any]]


class NewerVersion(ValueError):
    """Signal a file of version 7.3, which is HDF5."""


def variables(content: bytes) -> Variables:
    """Return the variables of a file by name, as functions that decode them within a budget."""
    if len(content) < 20:
        raise ValueError("it is too short")
    if 0 in content[:4]:
        return _variables_4(memoryview(content))
    sign = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if sign is None:
        raise ValueError("it does not begin as a MATLAB file does")
    version = content[125 if sign == "<" else 124]
    if version == 2:
        raise NewerVersion("MATLAB v7.3 is HDF5")
    if version != 1:
        raise ValueError(f"its version is {version}")
    found: Variables = {}
    for count, (kind, body) in enumerate(_elements(memoryview(content)[128:], sign)):
        if count == MOST_VARIABLES:
            raise ValueError(f"it holds more than {MOST_VARIABLES} variables")
        name = _name(kind, body, sign)
        if name:
            found[name] = partial(_decode, name, kind, body, sign)
    return found


# ---------------------------------------------------------------------------------------------- level 5


class _Header(NamedTuple):
    """Hold what stands before the data of a matrix, and where the data begin."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    start: int


def _elements(data: memoryview, sign: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and body of the elements of a sequence."""
    at = 0
    while at < len(data):
        kind, body, at = _element(data, at, sign)
        yield kind, body


def _element(data: memoryview, at: int, sign: str) -> tuple[int, memoryview, int]:
    """Return type and body of the element at a position, and the position after it."""
    if at + 8 > len(data):
        raise ValueError("it ends early")
    kind, size = struct.unpack_from(sign + "II", data, at)
    if kind >> 16:  # a small element, with its data in the place of its size
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
    else:
        start, end = at + 8, at + 8 + size + (0 if kind == COMPRESSED else -size % 8)
    if start + size > min(end, len(data)):
        raise ValueError("it ends early")
    return kind, data[start : start + size], end


def _name(kind: int, body: memoryview, sign: str) -> str:
    """Return the name of a variable, unpacking no more than its head."""
    if kind == COMPRESSED:
        head = memoryview(zlib.decompressobj().decompress(body, HEAD))
        body = head[8:]
        kind = struct.unpack_from(sign + "I", head)[0] if len(head) >= 8 else 0
    return _header(body, sign).name if kind == MATRIX else ""


def _header(body: memoryview, sign: str) -> _Header:
    """Read class, shape and name of a matrix."""
    _, flags, at = _element(body, 0, sign)
    _, sizes, at = _element(body, at, sign)
    _, name, at = _element(body, at, sign)
    if len(flags) != 8 or len(sizes) % 4 or not 8 <= len(sizes) <= 128:
        raise ValueError("the head of a variable is damaged")
    word = struct.unpack_from(sign + "I", flags)[0]
    shape = struct.unpack(f"{sign}{len(sizes) // 4}i", sizes)
    if min(shape) < 0:
        raise ValueError("a size in it is negative")
    return _Header(word & 0xFF, bool(word & COMPLEX), shape, bytes(name).decode("latin-1"), at)


def _decode(name: str, kind: int, body: memoryview, sign: str, budget: Budget) -> Any:
    """Return an array, a text, or a list of texts."""
    if kind == COMPRESSED:
        body = _unpack(name, body, sign, budget)
    head = _header(body, sign)
    if head.kind == CELL:
        return [_text(inner, _header(inner, sign), sign) for inner in _cells(name, body, head, sign, budget)]
    if head.kind == CHARACTERS:
        budget.take(name, 16 * len(body))
        return _text(body, head, sign)
    if head.is_complex:
        raise ValueError(f"{name} holds complex numbers")
    if head.kind == SPARSE:
        return _sparse(name, body, head, sign, budget)
    if head.kind not in CLASSES:
        raise ValueError(f"{name} is {OTHERS.get(head.kind, 'damaged')}; save the numbers in it as variables")
    budget.take_array(name, head.shape)
    numbers, _ = _numbers(body, head.start, math.prod(head.shape), sign)
    return numbers.astype(CLASSES[head.kind]).reshape(head.shape, order="F")


def _unpack(name: str, body: memoryview, sign: str, budget: Budget) -> memoryview:
    """Return the body of a compressed matrix, whose checksum holds."""
    unpacking = zlib.decompressobj()
    _, size = struct.unpack(sign + "II", unpacking.decompress(body, 8))
    budget.take(f"unpacking {name}", 2 * size)  # zlib joins pieces, and holds both for a moment
    content = unpacking.decompress(unpacking.unconsumed_tail, size) if size else b""
    if len(content) < size:
        raise ValueError("it ends early")
    if not unpacking.eof:
        unpacking.decompress(unpacking.unconsumed_tail, 1)  # reads and compares the checksum
    if not unpacking.eof:
        raise ValueError(f"{name} holds more than it says")
    return memoryview(content)


def _numbers(body: memoryview, at: int, count: int, sign: str) -> tuple[np.ndarray, int]:
    """Return the numbers of the element at a position, of which there must be as many as expected."""
    kind, data, at = _element(body, at, sign)
    if kind not in NUMBERS:
        raise ValueError(f"it holds numbers of an unknown type, {kind}")
    dtype = np.dtype(sign + NUMBERS[kind])
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{count} numbers are announced and {len(data)} bytes are there")
    return np.frombuffer(data, dtype), at


def _sparse(name: str, body: memoryview, head: _Header, sign: str, budget: Budget) -> np.ndarray:
    """Return a sparse matrix as a dense one."""
    if len(head.shape) != 2:
        raise ValueError(f"{name} is sparse with {len(head.shape)} dimensions")
    n_rows, n_columns = head.shape
    budget.take_array(name, head.shape)
    _, data, at = _element(body, head.start, sign)
    rows = np.frombuffer(data[: len(data) // 4 * 4], sign + "i4")
    ends, at = _numbers(body, at, n_columns + 1, sign)
    if ends[0] != 0 or np.any(np.diff(ends) < 0) or ends[-1] > len(rows):
        raise ValueError(f"the columns of {name} are damaged")
    rows = rows[: ends[-1]]
    if np.any((rows < 0) | (rows >= n_rows)):
        raise ValueError(f"the rows of {name} are damaged")
    kind, data, _ = _element(body, at, sign)
    dtype = np.dtype(sign + NUMBERS.get(kind, "f8"))
    if len(data) < len(rows) * dtype.itemsize:
        raise ValueError(f"{name} has fewer numbers than places")
    dense = np.zeros(head.shape)
    columns = np.repeat(np.arange(n_columns), np.diff(ends))
    dense[rows, columns] = np.frombuffer(data[: len(rows) * dtype.itemsize], dtype)
    return dense


def _cells(name: str, body: memoryview, head: _Header, sign: str, budget: Budget) -> Iterator[memoryview]:
    """Yield the matrices in a cell array, as many as it announces."""
    count, at = math.prod(head.shape), head.start
    if count > budget.most_regions:
        raise ValueError(f"{name} announces {count} cells")
    budget.take(name, 16 * len(body))
    for _ in range(count):
        kind, inner, at = _element(body, at, sign)
        if kind != MATRIX:
            raise ValueError(f"{name} is damaged")
        yield inner


def _text(body: memoryview, head: _Header, sign: str) -> str | list[str]:
    """Return one row of characters as a text, several as a list of texts."""
    if head.kind != CHARACTERS or len(head.shape) != 2:
        raise ValueError("a name in it is no text")
    if not math.prod(head.shape):
        return ""
    kind, data, _ = _element(body, head.start, sign)
    if kind not in ENCODINGS:
        raise ValueError(f"it holds characters of an unknown type, {kind}")
    wide = ENCODINGS[kind] in ("utf-16", "utf-32")
    text = bytes(data).decode(ENCODINGS[kind] + (("-le" if sign == "<" else "-be") if wide else ""))
    return _rows(text, *head.shape)


def _rows(text: str, n_rows: int, n_columns: int) -> str | list[str]:
    """Split characters that are stored column by column into rows."""
    if n_rows == 1:
        return text
    if len(text) != n_rows * n_columns:
        raise ValueError("a table of characters in it is damaged")
    return [text[i::n_rows].rstrip() for i in range(n_rows)]


# ---------------------------------------------------------------------------------------------- level 4


def _variables_4(data: memoryview) -> Variables:
    """Return the variables of a file of level 4."""
    found: Variables = {}
    at = 0
    while at < len(data):
        if at + 20 > len(data) or len(found) == MOST_VARIABLES:
            raise ValueError("it ends early or holds too many variables")
        sign = "<" if 0 <= struct.unpack_from("<i", data, at)[0] < 5000 else ">"
        kind, n_rows, n_columns, imaginary, length = struct.unpack_from(sign + "5i", data, at)
        order, zero, precision, kind = (kind // 1000, kind // 100 % 10, kind // 10 % 10, kind % 10)
        if order != (sign == ">") or zero or precision >= len(LEVEL_4) or kind > SPARSE_4 or imaginary > 1:
            raise ValueError("it does not begin as a MATLAB file does")
        if min(n_rows, n_columns, imaginary) < 0 or length < 1:
            raise ValueError("a size in it is negative")
        dtype = np.dtype(sign + LEVEL_4[precision])
        start = at + 20 + length
        size = n_rows * n_columns * dtype.itemsize
        at = start + size * (1 + imaginary)
        if at > len(data):
            raise ValueError("it ends early")
        name = bytes(data[start - length : start]).rstrip(b"\0").decode("latin-1")
        numbers = np.ndarray((n_rows, n_columns), dtype, data[start : start + size], order="F")
        found[name] = partial(_decode_4, name, numbers, kind, bool(imaginary))
    return found


def _decode_4(name: str, numbers: np.ndarray, kind: int, is_complex: bool, budget: Budget) -> Any:
    """Return an array, a text, or a list of texts."""
    if is_complex:
        raise ValueError(f"{name} holds complex numbers")
    if kind == TEXT:
        budget.take(name, 64 * numbers.size)
        return _rows("".join(map(chr, _whole(numbers.ravel(order="F")))), *numbers.shape)
    if kind != SPARSE_4:
        budget.take_array(name, numbers.shape)
        return np.array(numbers)
    if numbers.shape[1] != 3 or not len(numbers):
        raise ValueError(f"{name} is damaged")
    shape = tuple(int(size) for size in _whole(numbers[-1, :2]))
    places = _whole(numbers[:-1, :2]) - 1
    if min(shape) < 0 or np.any(places < 0) or np.any(places >= shape):
        raise ValueError(f"the places of {name} are damaged")
    budget.take_array(name, shape)
    dense = np.zeros(shape)
    np.add.at(dense, tuple(places.T), numbers[:-1, 2])
    return dense


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as integers; what is none becomes one that no check lets through."""
    if numbers.dtype.kind in "iub":
        return numbers.astype(np.int64)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(numbers), numbers, -1).astype(np.int64)
