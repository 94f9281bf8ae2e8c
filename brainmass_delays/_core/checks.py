"""One class and one message format for every argument that cannot be used."""

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# Words of other programs for arguments here.
SYNONYMS = {
    "distance": "lengths",
    "tract_lengths": "lengths",
    "conduction_speed": "speed",
    "dynamics": "node",
}
MOST = 2**31 - 1  # the largest count: what 32 bits can index


class ArgumentError(ValueError):
    """Signal an argument that breaks a rule: ``Where.what: rule; got value`` and the cure.

    Parameters
    ----------
    where : str
        Class or function and argument, e.g. ``'Connectome.lengths'``.
    rule : str
        What must hold, e.g. ``'must have the shape of weights, (76, 76)'``.
    got : object, optional
        The offending value, or a short description of it.
    cure : str, optional
        One sentence that tells the user what to do.

    Examples
    --------
    >>> from brainmass_delays import ArgumentError
    >>> print(ArgumentError('Connectome.lengths', 'must be finite', 'nan at (0, 1)', 'Replace it by 0.'))
    Connectome.lengths: must be finite; got nan at (0, 1). Replace it by 0.
    """

    def __init__(self, where: str, rule: str, got: Any = None, cure: str = ""):
        message = f"{where}: {rule}"
        if got is not None:
            message += f"; got {got}"
        message = message.removesuffix(".") + "."
        if cure:
            message += f" {cure}" if cure.endswith((".", "?")) else f" {cure}."
        super().__init__(message)


def check_choice(where: str, value: Any, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; else name them and the nearest one."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:  # an array would be compared entry by entry
        return value
    if not choices:
        raise ArgumentError(where, "has nothing to choose from", repr(value))
    rule = f"must be one of {', '.join(map(repr, choices))}"
    raise ArgumentError(where, rule, repr(value), did_you_mean(value, choices))


def did_you_mean(value: Any, choices: Iterable[str]) -> str:
    """Return the question that names the choice that is spelled nearly so, or nothing."""
    by_letters = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(value).lower(), by_letters, n=1)
    return f"Did you mean {by_letters[near[0]]!r}?" if near else ""


def misspelled(signature: inspect.Signature, given: Mapping[str, Any]) -> str:
    """Return what names that are no arguments may have been meant to be, as the end of a sentence."""
    kinds = {p.kind for p in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return ""
    known = [p.name for p in signature.parameters.values() if p.kind in NAMED and p.name != "self"]
    wrong = [name for name in given if name not in signature.parameters]
    cures = [(name, cure) for name in wrong if (cure := did_you_mean(SYNONYMS.get(name, name), known))]
    spelled = [cure if len(wrong) == 1 else f"{name!r}: {cure}" for name, cure in cures]
    return f". {' '.join(spelled)}" if spelled else ""


def check_unmasked(where: str, value: Any) -> None:
    """Refuse numbers with gaps: NumPy forgets the mask of an array, and of those in a list, in silence."""
    for part in value if isinstance(value, list | tuple) else (value,):
        part = getattr(part, "mantissa", part)
        if isinstance(part, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(part)):
            cure = "Say what stands in the gaps with .filled(0)"
            raise ArgumentError(where, "must hold every number", "a masked array", cure)


def check_finite(where: str, value: Any, cure: str = "") -> np.ndarray:
    """Return ``value`` as a NumPy array if every entry is finite."""
    if isinstance(value, Mapping):
        entry = f"Take one entry, such as result[{next(iter(value), '')!r}]"
        raise ArgumentError(where, "must be numbers", type(value).__name__, entry)
    array = _as_numbers(where, value)
    if not np.all(np.isfinite(array)):
        position = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        at = f" at {position}" if array.ndim else ""
        raise ArgumentError(where, "must be finite", f"{array[position]}{at}", cure)
    return array


def _as_numbers(where: str, value: Any) -> np.ndarray:
    """Return ``value`` as a NumPy array of numbers whose values are known."""
    check_unmasked(where, value)
    try:
        array = np.asarray(value)
    except Exception as error:  # of NumPy for ragged lists, of JAX for what is traced, of brainunit for units
        raise ArgumentError(where, "must be known numbers without a unit", repr(value)) from error
    if array.dtype.kind not in "biufc":
        raise ArgumentError(where, "must be numbers", repr(value))
    return array


def check_positive(where: str, value: Any, cure: str = "") -> Any:
    """Return ``value`` if every entry is finite and above zero."""
    array = check_finite(where, value, cure)
    if array.dtype.kind == "c" or not np.all(array > 0):
        raise ArgumentError(
            where, "must be positive", array if array.dtype.kind == "c" else array.min(), cure
        )
    return value


def check_count(where: str, value: Any, minimum: int = 1) -> int:
    """Return ``value`` as an int if it is a whole number from ``minimum`` to `MOST`."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not float(value).is_integer() or value < minimum:
        raise ArgumentError(where, f"must be a whole number of at least {minimum}", repr(value))
    if value > MOST:
        raise ArgumentError(where, f"must be a whole number of at most {MOST}", repr(value))
    return int(value)


def check_number(where: str, value: Any, *, above: float = -math.inf, cure: str = "") -> float:
    """Return ``value`` if it is one real number above a bound; infinity is one, NaN is none."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not value > above:
        rule = "must be a number" if above == -math.inf else f"must be a number above {above:g}"
        raise ArgumentError(where, rule, repr(value), cure)
    return float(value)


def check_flag(where: str, value: Any) -> bool:
    """Return ``value`` if it is True or False; a text such as ``'False'`` is neither."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(where, "must be True or False", repr(value))
    return bool(value)
