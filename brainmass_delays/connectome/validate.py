"""The rules that matrices, labels, centers and speeds of a connectome must keep."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import brainunit as u
import numpy as np

from .._core.checks import ArgumentError, check_finite, check_unmasked
from .._core.status import is_traced
from .._core.units import magnitude


def to_array(where: str, value: Any, unit: u.Unit) -> np.ndarray:
    """Return the number of ``unit`` as a real NumPy array; float32 stays, everything else becomes float64."""
    if hasattr(value, "toarray"):
        raise ArgumentError(where, "must be a dense array", type(value).__name__, "Pass its .toarray()")
    check_unmasked(where, value)
    if is_traced(value):
        raise ArgumentError(
            where, "must be concrete numbers", "a traced array", "Build the connectome outside jit and grad"
        )
    try:
        value = u.math.asarray(value) if _holds_quantities(value) else value
        array = np.asarray(magnitude(where, value, unit))
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(where, "must be an array of numbers of one unit", str(error)) from error
    if array.dtype.kind not in "fiub":
        raise ArgumentError(where, "must be real numbers", f"dtype {array.dtype}")
    return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)


def _holds_quantities(value: Any) -> bool:
    """Tell whether ``value`` is a nested list with quantities in it."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
        if isinstance(value, u.Quantity):
            return True
    return False


def to_matrix(where: str, value: Any, unit: u.Unit) -> np.ndarray:
    """Return the number of ``unit`` as a square NumPy matrix."""
    matrix = to_array(where, value, unit)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ArgumentError(where, "must be a square matrix [target, source]", f"shape {matrix.shape}")
    return matrix


def check_weights(weights: np.ndarray, signed: bool) -> None:
    """Refuse weights that are not finite, or negative without ``signed``."""
    check_finite("Connectome.weights", weights, "Replace missing connections by 0")
    if not signed and weights.min() < 0:
        raise ArgumentError(
            "Connectome.weights",
            "must not be negative",
            _first(weights, weights < 0),
            "Pass signed=True if inhibition is meant",
        )


def check_lengths(lengths: np.ndarray, weights: np.ndarray) -> None:
    """Refuse lengths that no delay can be made of, where there are weights; warn of zero lengths."""
    if lengths.shape != weights.shape:
        raise ArgumentError(
            "Connectome.lengths",
            f"must have the shape of weights, {weights.shape}",
            lengths.shape,
            "Load both from one parcellation",
        )
    used = weights != 0
    wrong = used & ~(np.isfinite(lengths) & (lengths >= 0))
    if wrong.any():
        raise ArgumentError(
            "Connectome.lengths",
            "must be finite and not negative where weights are not 0",
            _first(lengths, wrong),
            "Correct the length, or set that weight to 0",
        )
    np.fill_diagonal(used, False)
    zero = used & (lengths == 0)
    if zero.any():
        warnings.warn(
            f"Connectome.lengths: {np.count_nonzero(zero)} connections between different regions have "
            f"length 0 ({_first(lengths, zero)}), so their delay is 0 at every speed.",
            stacklevel=3,
        )


def _first(matrix: np.ndarray, where: np.ndarray) -> str:
    """Name the first marked entry and how many there are."""
    position = tuple(int(i) for i in np.argwhere(where)[0])
    return f"{matrix[position]} at {position}, {np.count_nonzero(where)} in all"


def to_labels(labels: Sequence[str] | None, n_regions: int) -> tuple[str, ...]:
    """Return one name per region."""
    if labels is None:
        return tuple(map(str, range(n_regions)))
    if isinstance(labels, str | bytes):
        raise ArgumentError("Connectome.labels", "must be a sequence of strings", repr(labels))
    try:
        labels = tuple(map(to_label, labels))
    except TypeError as error:
        raise ArgumentError("Connectome.labels", "must be a sequence of strings", repr(labels)) from error
    if len(labels) != n_regions:
        raise ArgumentError("Connectome.labels", f"must be one per region, {n_regions}", len(labels))
    return labels


def to_label(label: Any) -> str:
    """Return a name as text; whole numbers count as names."""
    if isinstance(label, bytes):
        try:
            return label.decode()
        except UnicodeDecodeError as error:
            raise ArgumentError("Connectome.labels", "must be text or UTF-8", repr(label)) from error
    if isinstance(label, str) or (isinstance(label, Integral) and not isinstance(label, bool)):
        return str(label)
    raise ArgumentError("Connectome.labels", "must be strings", repr(label))


def to_centres(centres: Any, n_regions: int) -> np.ndarray | None:
    """Return one position in mm per region, (n_regions, 3)."""
    if centres is None:
        return None
    centres = to_array("Connectome.centres", centres, u.mm)
    if centres.shape != (n_regions, 3):
        raise ArgumentError("Connectome.centres", f"must have shape {(n_regions, 3)}", centres.shape)
    return check_finite("Connectome.centres", centres)


def check_share(where: str, value: Any) -> float:
    """Return ``value`` if it is above 0 and at most 1."""
    if not isinstance(value, Real) or not 0 < value <= 1:
        raise ArgumentError(where, "must be above 0 and at most 1", repr(value))
    return value


def check_speed(speed: Any, edges: np.ndarray) -> None:
    """Refuse speeds that do not fit the matrix or, where known and on an edge, are not positive."""
    if not is_traced(speed) and np.asarray(speed).dtype.kind not in "fiu":
        raise ArgumentError("Connectome.delays.speed", "must be a number", repr(speed))
    try:
        fits = np.broadcast_shapes(np.shape(speed), edges.shape)[-2:] == edges.shape
    except ValueError:
        fits = False
    if not fits:
        rule = f"must be a scalar, one per source, or one per edge {edges.shape}"
        raise ArgumentError("Connectome.delays.speed", rule, f"shape {np.shape(speed)}")
    if is_traced(speed):
        return
    used = np.where(edges, speed, 1.0)
    if not np.all(used > 0):
        got = f"{used[~(used > 0)][0]} mm/ms"
        raise ArgumentError("Connectome.delays.speed", "must be positive", got, "Use inf for no delay")
