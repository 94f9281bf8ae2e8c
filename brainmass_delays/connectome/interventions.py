"""Lesions and other changes to a connectome, each on record in the connectome that it makes."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import brainunit as u
import numpy as np

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_finite


class Change(NamedTuple):
    """Record what was done to a connectome.

    Parameters
    ----------
    what : {'lesion', 'resect', 'rescale'}
        The method.
    regions : tuple of str
        Labels of the regions concerned, all of whose connections changed.
    edges : tuple of (str, str)
        Labels (target, source) of single connections concerned.
    weight : float or array
        Factor of the weights.
    speed : float or array
        Factor of the conduction speed.
    """

    what: str
    regions: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    weight: Any = 1.0
    speed: Any = 1.0


def lesion(
    self,
    regions: int | str | Iterable[int | str] = (),
    edges: Iterable[tuple[int | str, int | str]] = (),
    *,
    weight: float = 0.0,
    speed_factor: float = 1.0,
):
    """Weaken or slow all connections of some regions, or single connections.

    Parameters
    ----------
    regions : int, str or iterable of those, optional
        Indices or labels; every connection from and to them is changed, self-connections included.
    edges : iterable of (target, source), optional
        Single connections, by index or label.
    weight : float, default 0.0
        What is left of the weights: 0 cuts the connection, 1 leaves it as strong as it was.
    speed_factor : float, default 1.0
        What is left of the conduction speed, positive: 0.5 doubles the delay, as demyelination does.

    Returns
    -------
    Connectome
        With the change added to `changes`.

    Raises
    ------
    ArgumentError
        If a region is unknown, a connection does not exist, nothing is named, or a factor is out of range.

    Notes
    -----
    The slower speed is kept as a longer length, ``length / speed_factor``, so that delays follow at any
    speed, also one that is being trained.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> healthy = Connectome.synthetic(20)
    >>> slowed = healthy.lesion(['L01'], weight=1.0, speed_factor=0.5)
    >>> float(slowed.delays(5.0).max() / healthy.delays(5.0).max()) > 1
    True
    >>> slowed.changes[0].what, slowed.changes[0].speed
    ('lesion', 0.5)
    """
    regions = _listed("Connectome.lesion.regions", regions)
    if not isinstance(edges, Iterable) or np.ndim(edges) == 0:
        raise ArgumentError("Connectome.lesion.edges", "must be pairs (target, source)", repr(edges))
    edges = tuple(edges)
    mask = _mask(self, "Connectome.lesion", regions, edges)
    if not (is_number(weight) and math.isfinite(weight) and weight >= 0):
        raise ArgumentError("Connectome.lesion.weight", "must be finite and not negative", repr(weight))
    if not (is_number(speed_factor) and math.isfinite(speed_factor) and speed_factor > 0):
        rule = "must be finite and positive"
        raise ArgumentError("Connectome.lesion.speed_factor", rule, repr(speed_factor), "Cut with weight=0")
    named = _names(self, regions), tuple(_names(self, edge) for edge in edges)
    change = Change("lesion", *named, weight, speed_factor)
    return self._replace(
        weights=np.where(mask, self._weights * weight, self._weights),
        lengths=np.where(mask, self._lengths / speed_factor, self._lengths),
        changes=(*self._changes, change),
    )


def resect(self, regions: int | str | Iterable[int | str]):
    """Cut all connections of some regions, which stay in place but reach nobody.

    Parameters
    ----------
    regions : int, str or iterable of those
        Indices or labels.

    Returns
    -------
    Connectome
        Of the same size, so that results before and after can be compared region by region.

    Raises
    ------
    ArgumentError
        If a region is unknown or none is named.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> cut = Connectome.synthetic(20).resect(['L01', 3])
    >>> float(cut.weights[:, 3].sum()), cut.changes[0].regions
    (0.0, ('L01', 'L04'))
    """
    regions = _listed("Connectome.resect.regions", regions)
    mask = _mask(self, "Connectome.resect", regions, ())
    change = Change("resect", _names(self, regions), weight=0.0)
    return self._replace(weights=np.where(mask, 0, self._weights), changes=(*self._changes, change))


def resections(self, regions: Iterable[int | str] | None = None) -> np.ndarray:
    """Return the weights after the resection of each region in turn, to be swept in one program.

    Parameters
    ----------
    regions : iterable of int or str, optional
        Indices or labels; all regions if not given.

    Returns
    -------
    np.ndarray, shape (n_resections, n_regions, n_regions)

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> Connectome.synthetic(20).resections().shape
    (20, 20, 20)
    """
    regions = range(self.n_regions) if regions is None else _listed("Connectome.resections.regions", regions)
    if not len(regions):
        raise ArgumentError("Connectome.resections.regions", "must name at least one region", repr(regions))
    return np.stack([self.resect([region]).weights for region in regions])


def rescale(self, weights: Any = 1.0, lengths: Any = 1.0):
    """Multiply weights and lengths.

    Parameters
    ----------
    weights, lengths : float or array, default 1.0
        Factors: a scalar, one per target region as a column ``(n_regions, 1)``, one per source region
        ``(n_regions,)``, or one per connection. Not negative; factors of lengths are positive.

    Returns
    -------
    Connectome
        With the change added to `changes`.

    Raises
    ------
    ArgumentError
        If a factor is out of range or does not fit.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> c = Connectome([[0., 0.5], [1., 0.]], [[0., 20.], [20., 0.]])
    >>> c.rescale(weights=2.0, lengths=1.5).lengths[0, 1]
    Quantity(30., "mm")
    """
    for name, value in (("weights", weights), ("lengths", lengths)):
        numbers(unit=u.UNITLESS, finite=True, traced=False)(f"Connectome.rescale.{name}", value)
    weights, lengths = np.asarray(weights, float), np.asarray(lengths, float)
    for name, factor in (("weights", weights), ("lengths", lengths)):
        where = f"Connectome.rescale.{name}"
        check_finite(where, factor)
        if np.any(factor < 0) or (name == "lengths" and np.any(factor == 0)):
            rule = "must be positive" if name == "lengths" else "must not be negative"
            raise ArgumentError(where, rule, factor.min())
        if not _fits(factor.shape, self._weights.shape):
            raise ArgumentError(where, f"must broadcast to {self._weights.shape}", factor.shape)
    change = Change("rescale", weight=weights, speed=1 / lengths)
    dtype = self._weights.dtype
    return self._replace(
        weights=(self._weights * weights).astype(dtype),
        lengths=(self._lengths * lengths).astype(self._lengths.dtype),
        changes=(*self._changes, change),
    )


def _mask(connectome, where: str, regions: tuple, edges: tuple) -> np.ndarray:
    """Mark the connections concerned, (n_regions, n_regions) bool."""
    if not regions and not edges:
        raise ArgumentError(where, "needs at least one region or connection, by regions or edges", "none")
    mask = np.zeros(connectome.weights.shape, bool)
    for region in regions:
        i = connectome._index(region, f"{where}.regions")
        mask[i], mask[:, i] = True, True
    for edge in edges:
        if not isinstance(edge, tuple | list) or len(edge) != 2:
            raise ArgumentError(f"{where}.edges", "must hold pairs (target, source)", repr(edge))
        target, source = (connectome._index(end, f"{where}.edges") for end in edge)
        if connectome.weights[target, source] == 0:
            raise ArgumentError(f"{where}.edges", "must name connections that exist", repr(edge))
        mask[target, source] = True
    return mask


def is_number(value: Any) -> bool:
    """Tell whether a value is one real number."""
    return isinstance(value, int | float | np.integer | np.floating)


def _listed(where: str, regions: Any) -> tuple:
    """Return regions as a tuple; a label or an index is one region."""
    if isinstance(regions, str) or np.isscalar(regions):
        return (regions,)
    if isinstance(regions, Mapping) or not isinstance(regions, Iterable) or np.ndim(regions) == 0:
        raise ArgumentError(where, "must be regions, by label or by number", repr(regions))
    return tuple(regions)


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether ``shape`` broadcasts to ``target``."""
    return len(shape) <= 2 and all(a in (1, b) for a, b in zip(shape[::-1], target, strict=False))


def _names(connectome, regions: Iterable[int | str]) -> tuple[str, ...]:
    """Return labels of regions given by index or label."""
    return tuple(connectome.labels[connectome._index(region)] for region in regions)
