"""Fill in what files leave out: no connection, the other half, lengths from centers."""

import warnings
from numbers import Real
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from .._core.checks import ArgumentError


def drop_missing(fields: dict[str, Any], missing: float | None) -> dict[str, Any]:
    """Set weights to 0 where they have the value that stands for no connection."""
    if missing is None:
        return fields
    if not isinstance(missing, Real) or isinstance(missing, bool):
        raise ArgumentError("Connectome.load.missing", "must be a number, such as -1 or nan", repr(missing))
    missing = float(missing)
    weights = np.asarray(fields["weights"])
    if weights.dtype.kind not in "fiub":
        return fields
    gone = np.isnan(weights) if np.isnan(missing) else weights == missing
    return fields | {"weights": np.where(gone, weights.dtype.type(0), weights)}


def mirror(fields: dict[str, Any], symmetric: bool | None, path: Any) -> dict[str, Any]:
    """Fill the empty triangle of a symmetric matrix, or warn that one is empty."""
    weights = np.asarray(fields["weights"])
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or weights.dtype.kind not in "fiub":
        return fields
    half = _is_triangular(weights)
    if symmetric is None and half and len(weights) > 2:
        warnings.warn(
            f"Connectome.load: the weights in {path} fill only one triangle, so that no connection has a way "
            "back. Pass symmetric=True if they are one half of a symmetric matrix, symmetric=False if not.",
            stacklevel=4,
        )
    if not symmetric:
        return fields
    if not half and not np.array_equal(weights, weights.T, equal_nan=weights.dtype.kind == "f"):
        raise ArgumentError(
            "Connectome.load.symmetric", "must be False or None for weights that are not symmetric", "True"
        )
    if not half:
        return fields
    other = weights.T * ~np.eye(len(weights), dtype=bool)
    lengths = fields["lengths"]
    if np.shape(lengths) == weights.shape:
        lengths = np.asarray(lengths)
        mirrored = (other != 0) & ~(lengths > 0)  # a length that the filled half lacks
        lengths = np.where(mirrored, lengths.T, lengths)
    return fields | {"weights": weights + other, "lengths": lengths}


def straight_lines(centres: np.ndarray | None) -> np.ndarray:
    """Return the distances between centers in mm, (n_regions, n_regions)."""
    if centres is None:
        raise ArgumentError(
            "Connectome.lengths", "can be 'centres' only where there are centers", None, "Pass centres="
        )
    return cdist(centres, centres)


def _is_triangular(weights: np.ndarray) -> bool:
    """Tell whether there are weights between different regions, all on one side of the diagonal."""
    above, below = np.any(np.triu(weights, 1)), np.any(np.tril(weights, -1))
    return bool(above != below)
