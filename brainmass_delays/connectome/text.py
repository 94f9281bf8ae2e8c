"""Tables of numbers in text, with names of regions in the first row, the first column, or both."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO

import numpy as np

from .budget import Budget

CELL = 64  # characters of the longest number
NAME = 1000  # characters of the longest name
EXTRA_LINES = 1000  # blank lines and comments that are skipped
DECIMAL = r"-?\d+,\d+"
CROWDED = {";": r"\d,\d", "\t": r"\d,\d", ",": r"\d\s+-?[\d.]"}  # what no cell between these signs may hold

Labels = Sequence[str] | None


def read_matrix(stream: BinaryIO, name: str, encoding: str, budget: Budget) -> tuple[np.ndarray, Labels]:
    """Return the numbers of a table, rows and columns in one order, and the names of the regions."""
    lines = _lines(stream, encoding, budget)
    head = list(islice(lines, 2))
    if not head:
        raise ValueError("it holds no numbers")
    delimiter = _delimiter(*head)
    first, last = (_cells(line, delimiter) for line in (head[0], head[-1]))
    corner = first[0] == "" or len(first) == len(last) - 1
    header = corner or not all(map(_is_number, first[1:] or first))
    column = corner or not _is_number(last[0])
    if header and len(head) == 1:
        raise ValueError("it holds no numbers")
    if header and "" in first[1:]:
        raise ValueError("a cell of its first row is empty")
    width = len(last)
    budget.take_array(name, (width, width))
    cells = []  # the first one of every row

    def rows() -> Iterator[str]:
        for line in chain(head[header:], lines):
            if len(cells) > width + 1:
                raise ValueError(f"it has more rows than its {width} columns allow")
            row = _cells(line, delimiter) if column else line.split(delimiter, 1)
            if column and len(row) != width:
                raise ValueError(f"its rows have {width} and {len(row)} cells")
            cells.append(row[0].strip())
            yield line

    columns = range(1, width) if column else None
    numbers = np.loadtxt(rows(), delimiter=delimiter, ndmin=2, usecols=columns, quotechar='"', comments=None)
    above = first[-numbers.shape[1] :] if header else None
    left = cells if column else None
    if not header and len(numbers) == numbers.shape[1] + 1 and _are_ids(numbers[0]):
        above, numbers, left = first[-numbers.shape[1] :], numbers[1:], left and left[1:]
    named = column or (header and _is_number(first[0]))
    if not named and numbers.shape[1] == len(numbers) + 1 and _are_ids(numbers[:, 0]):
        left, numbers, above = cells[-len(numbers) :], numbers[:, 1:], above and above[1:]
    return _in_one_order(np.ascontiguousarray(numbers), left, above)


def read_centres(stream: BinaryIO, encoding: str, budget: Budget) -> tuple[np.ndarray, Labels]:
    """Return x, y, z from lines of ``name x y z`` or ``x y z``, and the names, if given."""
    names, positions, delimiter = [], [], None
    for line in _lines(stream, encoding, budget):
        if not positions:
            delimiter = _delimiter(line)
        cells = [cell for cell in _cells(line, delimiter) if cell]
        name, numbers = cells[:-3], cells[-3:]
        if not all(map(_is_number, numbers)) and not positions and not names:
            names.append(None)  # a header, at most one
            continue
        if len(numbers) < 3 or not all(map(_is_number, numbers)) or any(map(_is_number, name[1:])):
            raise ValueError(f"a line must be 'name x y z' or 'x y z', not {line[:80]!r}")
        names.append(" ".join(name))
        positions.append(numbers)
        if len(positions) > budget.most_regions:
            raise ValueError("it has too many lines")
    if not positions:
        raise ValueError("it holds no numbers")
    names = names[-len(positions) :]
    if any(names) != all(names):
        raise ValueError("some of its lines have a name and some have none")
    return np.array(positions, float), names if all(names) else None


def match_order(known: Labels, labels: Labels) -> np.ndarray | None:
    """Return where each known label stands among other labels; None if the two need no matching.

    Labels that only count (0, 1, ... or 1, 2, ...) beside others, and numbers beside names, are matched by
    position.
    """
    if known is None or labels is None or list(known) == list(labels):
        return None
    worth = _worth(known), _worth(labels)
    if set(known) != set(labels) and (0 in worth or worth[0] != worth[1]):
        return None
    if sorted(known) != sorted(labels) or len(set(known)) < len(known):
        only = sorted(set(known) ^ set(labels)) or sorted({x for x in known if list(known).count(x) > 1})
        raise ValueError(f"the names of its regions do not match: {', '.join(only[:6])}")
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place[label] for label in known])


def choose_labels(*candidates: Labels) -> Labels:
    """Return the labels that say most, names rather than numbers; None if none are given."""
    return max((labels for labels in candidates if labels is not None), key=_worth, default=None)


def _in_one_order(numbers: np.ndarray, left: Labels, above: Labels) -> tuple[np.ndarray, Labels]:
    """Put the columns of a table into the order of its rows, where both are named."""
    order = match_order(left, above)
    return (numbers if order is None else numbers[:, order]), choose_labels(left, above)


def _lines(stream: BinaryIO, encoding: str, budget: Budget) -> Iterator[str]:
    """Yield the lines that hold something, as far as a table between regions can need them."""
    longest = (CELL + 1) * budget.most_regions + NAME
    extra = 0
    text = io.TextIOWrapper(stream, encoding)
    while line := text.readline(longest):
        if len(line) == longest:
            raise ValueError(f"a line of it is longer than {longest} characters")
        if line.strip() and not line.lstrip().startswith("#"):
            yield line
        elif (extra := extra + 1) > EXTRA_LINES:
            raise ValueError(f"it holds more than {EXTRA_LINES} blank lines and comments")


def _delimiter(*lines: str) -> str | None:
    """Return the sign between the cells of lines, of which the last holds numbers; None for white space."""
    line, bare = lines[-1], re.sub(r'"[^"]*"', "", "".join(lines))
    signs = [sign for sign in ";," if sign in bare]
    if not signs and all(map(_is_number, line.strip().split("\t")[1:])):
        signs = ["\t"] if "\t" in line.strip() else []
    for sign in signs[:1]:
        cells = _cells(line, sign)
        if any(re.search(CROWDED[sign], cell) for cell in cells[1:]) or re.fullmatch(DECIMAL, cells[0]):
            raise ValueError("a cell of it holds two numbers; write decimal points, and one separator")
        return sign
    return None


def _cells(line: str, delimiter: str | None) -> list[str]:
    """Split a line into cells; a separator inside quotes belongs to the cell."""
    if '"' not in line:
        return [cell.strip() for cell in line.strip("\r\n").split(delimiter)]
    line = line.strip("\r\n") if delimiter else " ".join(line.split())
    reader = csv.reader([line], delimiter=delimiter or " ", skipinitialspace=True)
    return [cell.strip() for cell in next(reader)]


def _is_number(word: str) -> bool:
    """Tell whether a word of a table is a number, as NumPy reads it; Python takes ``1_000`` for one too."""
    try:
        float(word)
    except ValueError:
        return False
    return word.isascii() and "_" not in word


def _are_ids(numbers: np.ndarray) -> bool:
    """Tell whether numbers could name regions: whole, not negative, each only once."""
    return (
        len(numbers) > 1
        and bool(np.all((numbers >= 0) & (numbers == np.round(numbers))))
        and len(np.unique(numbers)) == len(numbers)
    )


def _worth(labels: Sequence[str]) -> int:
    """Tell how much labels say: 0 if they only count from 0 or 1, 1 if they are numbers, else 2."""
    if any(list(labels) == [str(i + start) for i in range(len(labels))] for start in (0, 1)):
        return 0
    return 1 if all(map(_is_number, labels)) else 2
