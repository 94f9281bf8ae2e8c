"""Which regions and connections of a connectome are kept, and how its weights are scaled."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Self

import numpy as np

from .._core.checks import ArgumentError, check_choice
from .._core.choices import Normalization
from .validate import check_share


class Selection:
    """Make other connectomes of one: fewer regions, fewer connections, other scales."""

    def threshold(self, *, density: float | None = None, weight: float | None = None) -> Self:
        """Remove weak connections between different regions; keep self-connections.

        Parameters
        ----------
        density : float, optional
            Keep this share of the pairs of different regions, the strongest first, and among equals the
            shortest first. Pairs of a symmetric connectome are kept or removed together. A connectome that is
            sparser already stays as it is.
        weight : float, optional
            Keep connections of at least this absolute weight. Give either this or ``density``.

        Returns
        -------
        Connectome

        Raises
        ------
        ArgumentError
            If not exactly one of the two is given, or if it is out of range.

        Examples
        --------
        >>> from brainmass_delays.connectome import Connectome
        >>> Connectome.synthetic(20).threshold(density=0.1).density
        0.1
        """
        if (density is None) == (weight is None):
            raise ArgumentError(
                "Connectome.threshold",
                "needs either density or weight",
                "neither" if density is None else "both",
            )
        if density is not None:
            keep = self._strongest(check_share("Connectome.threshold.density", density))
        else:
            if not isinstance(weight, Real) or not 0 <= weight < np.inf:
                raise ArgumentError(
                    "Connectome.threshold.weight", "must be finite and not negative", repr(weight)
                )
            keep = np.abs(self._weights) >= weight
        np.fill_diagonal(keep, True)
        return self._replace(weights=np.where(keep, self._weights, 0))

    def _strongest(self, density: float) -> np.ndarray:
        """Mark the strongest share of the pairs of different regions, (n_regions, n_regions) bool."""
        n_pairs = self.n_regions * (self.n_regions - 1)
        candidates = self._edges()
        symmetric = self.is_symmetric
        if symmetric:
            candidates, n_pairs = np.triu(candidates), n_pairs // 2
        edges = np.flatnonzero(candidates)
        order = np.lexsort((self._lengths.flat[edges], -np.abs(self._weights.flat[edges])))
        keep = np.zeros_like(candidates)
        keep.flat[edges[order[: round(density * n_pairs)]]] = True
        return keep | keep.T if symmetric else keep

    def normalize(self, how: Normalization = "row") -> Self:
        """Scale the weights.

        Parameters
        ----------
        how : {'row', 'max', 'none'}, optional
            ``'row'`` (default): the absolute weights that enter each region sum to 1, self-connections
            included; a region without input stays without. ``'max'``: the largest absolute weight is 1.
            ``'none'``: as it is.

        Returns
        -------
        Connectome

        Examples
        --------
        >>> from brainmass_delays.connectome import Connectome
        >>> float(Connectome.synthetic(20).normalize('max').weights.max())
        1.0
        """
        check_choice("Connectome.normalize.how", how, ("row", "max", "none"))
        if how == "none":
            return self
        size = np.abs(self._weights)
        scale = size.sum(axis=1, keepdims=True) if how == "row" else size.max(initial=0)
        return self._replace(weights=self._weights / np.where(scale > 0, scale, 1))

    def transpose(self) -> Self:
        """Exchange source and target, e.g. for matrices that were stored as ``[source, target]``.

        Examples
        --------
        >>> from brainmass_delays.connectome import Connectome
        >>> Connectome([[0., 2.], [0., 0.]], [[0., 9.], [9., 0.]]).transpose().weights[1, 0]
        np.float64(2.0)
        """
        return self._replace(weights=self._weights.T, lengths=self._lengths.T)

    def select(self, regions: Iterable[int | str]) -> Self:
        """Keep some regions, in the order given, and the connections between them.

        Parameters
        ----------
        regions : iterable of int or str
            Indices or labels.

        Raises
        ------
        ArgumentError
            If a region is unknown or named twice, or a label belongs to several.

        Examples
        --------
        >>> from brainmass_delays.connectome import Connectome
        >>> Connectome.synthetic(20).select(['L01', 'R01']).labels
        ('L01', 'R01')
        """
        given = regions
        try:
            regions = None if isinstance(regions, str | bytes) else list(regions)
        except TypeError:
            regions = None
        if regions is None:
            rule = "must be a list of labels or whole numbers"
            raise ArgumentError("Connectome.select.regions", rule, repr(given))
        indices = [self._index(region) for region in regions]
        if not indices or len(set(indices)) < len(indices):
            raise ArgumentError(
                "Connectome.select.regions", "must name at least one, each only once", indices
            )
        square = np.ix_(indices, indices)
        return self._replace(
            weights=self._weights[square],
            lengths=self._lengths[square],
            labels=tuple(self._labels[i] for i in indices),
            centres=None if self._centres is None else self._centres[indices],
        )

    def _index(self, region: int | str, where: str = "Connectome.select.regions") -> int:
        """Return the index of a region given by index or label, for the argument that messages name."""
        if isinstance(region, str):
            check_choice(where, region, self._labels)
            if (count := self._labels.count(region)) > 1:
                raise ArgumentError(
                    where,
                    "must be labels of one region each",
                    f"{region!r}, which {count} regions have",
                    "Select these by their indices",
                )
            return self._labels.index(region)
        if not isinstance(region, Integral) or isinstance(region, bool) or not 0 <= region < self.n_regions:
            rule = f"must be labels or whole numbers from 0 to {self.n_regions - 1}"
            cure = "Write numpy.flatnonzero(mask)" if isinstance(region, bool | np.bool_) else ""
            raise ArgumentError(where, rule, repr(region), cure)
        return int(region)
