"""The connectome: who is connected to whom, how strongly, and over which tract length."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_choice, check_flag
from .._core.files import replacing
from .._core.param import value_of
from .._core.units import magnitude
from . import interventions
from .complete import straight_lines
from .fetch import fetch
from .load import load
from .selection import Selection
from .synthesize import synthetic
from .validate import check_lengths, check_speed, check_weights, to_centres, to_labels, to_matrix

SPEED = u.mm / u.ms


class Connectome(Selection):
    """Hold weights and tract lengths between regions, checked once and immutable.

    Matrices are ``[target, source]``: ``weights[i, j]`` and ``lengths[i, j]`` belong to the connection from
    region j to region i. An edge exists where its weight is not zero; the length of any other pair is never
    used and may be anything, NaN included.

    Parameters
    ----------
    weights : array_like, shape (n_regions, n_regions)
        Connection strengths, dimensionless. Zero means no connection; a diagonal entry is a self-connection.
    lengths : array_like or Quantity, shape (n_regions, n_regions), or 'centres'
        Tract lengths. A plain number means mm; a quantity may have any unit of length. ``'centres'`` takes
        the straight lines between the centers.
    labels : sequence of str, bytes or int, optional
        One name per region; bytes are read as UTF-8. Default: ``'0', '1', ...``
    centres : array_like or Quantity, shape (n_regions, 3), optional
        Region centers in space. A plain number means mm.
    signed : bool, optional
        Allow negative weights. Default False.

    Raises
    ------
    ArgumentError
        If a matrix is not square, not finite, negative without ``signed``, lacks a length where there is a
        weight, has another dimension than length, or if labels or centers do not match the number of regions.

    Warns
    -----
    UserWarning
        If different regions are connected over a length of 0, which makes their delay 0 at every speed.

    Notes
    -----
    float32 input stays float32, so that 10,000 regions take 0.8 GB; everything else becomes float64. Matrices
    are copied unless they are read-only already.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays.connectome import Connectome
    >>> c = Connectome([[0., 0.5], [1., 0.]], [[0., 20.], [20., 0.]], labels=['V1', 'MT'])
    >>> float(c.delays(4. * u.meter / u.second)[0, 1] / u.ms)
    5.0
    """

    __slots__ = ("_weights", "_lengths", "_labels", "_centres", "_signed", "_changes")

    def __init__(
        self,
        weights: Any,
        lengths: Any,
        labels: Sequence[str] | None = None,
        centres: Any = None,
        *,
        signed: bool = False,
    ):
        signed = check_flag("Connectome.signed", signed)
        weights = to_matrix("Connectome.weights", weights, u.UNITLESS)
        check_weights(weights, signed)
        n = len(weights)
        centres = to_centres(centres, n)
        if isinstance(lengths, str):
            check_choice("Connectome.lengths", lengths, ("centres",))
            lengths = straight_lines(centres)
        lengths = to_matrix("Connectome.lengths", lengths, u.mm)
        check_lengths(lengths, weights)
        self._assign(weights, lengths, to_labels(labels, n), centres, signed)

    def _assign(self, weights, lengths, labels, centres, signed, changes=()):
        """Store checked fields as read-only arrays."""
        self._weights, self._lengths, self._centres = map(_frozen, (weights, lengths, centres))
        self._labels, self._signed, self._changes = labels, signed, changes
        return self

    def __setstate__(self, state):
        """Rebuild a copy or what was pickled, read-only again."""
        self._assign(*(state[1][name] for name in self.__slots__))

    def _replace(self, **changes) -> "Connectome":
        """Return a copy with some fields changed, which must be valid already."""
        fields = {
            "weights": self._weights,
            "lengths": self._lengths,
            "labels": self._labels,
            "centres": self._centres,
            "signed": self._signed,
            "changes": self._changes,
        }
        return object.__new__(Connectome)._assign(**fields | changes)

    @property
    def weights(self) -> np.ndarray:
        """Connection strengths, dimensionless, (n_regions, n_regions), ``[target, source]``, read-only."""
        return self._weights

    @property
    def lengths(self) -> u.Quantity:
        """Tract lengths in mm, (n_regions, n_regions), ``[target, source]``."""
        return u.Quantity(self._lengths, unit=u.mm)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the regions."""
        return self._labels

    @property
    def centres(self) -> u.Quantity | None:
        """Centers of the regions in mm, (n_regions, 3), or None."""
        return None if self._centres is None else u.Quantity(self._centres, unit=u.mm)

    @property
    def signed(self) -> bool:
        """Whether negative weights are allowed."""
        return self._signed

    @property
    def changes(self) -> tuple[interventions.Change, ...]:
        """What `lesion`, `resect` and `rescale` did, in order; a saved file does not keep it."""
        return self._changes

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return len(self._weights)

    @property
    def density(self) -> float:
        """Share of the ordered pairs of different regions that are connected, from 0 to 1."""
        return int(np.count_nonzero(self._edges())) / max(self.n_regions * (self.n_regions - 1), 1)

    @property
    def is_symmetric(self) -> bool:
        """Whether both directions of every connection have the same weight and length."""
        weights, lengths = self._weights, self._used_lengths()
        return np.array_equal(weights, weights.T) and np.array_equal(lengths, lengths.T)

    def __repr__(self) -> str:
        text = f"Connectome({self.n_regions} regions, density {self.density:.3f}, "
        text += "symmetric" if self.is_symmetric else "asymmetric"
        lengths = self._lengths[self._edges()]
        if lengths.size:
            text += f", lengths {lengths.min():.3g} to {lengths.max():.3g} mm, mean {lengths.mean():.3g} mm"
        return text + ")"

    def delays(self, speed: Any) -> u.Quantity:
        """Compute conduction delays from tract lengths.

        Parameters
        ----------
        speed : float, Quantity or Param
            Conduction speed; a plain number means mm/ms, which is m/s. A scalar, one per source
            ``(n_regions,)``, or one per edge ``(n_regions, n_regions)``, whose value does not matter where
            there is no connection. Positive; ``inf`` means no delay.

        Returns
        -------
        Quantity, shape (n_regions, n_regions)
            Delays in ms, ``[target, source]``. Pairs without a connection get 0.

        Raises
        ------
        ArgumentError
            If the speed is not positive, has another dimension, or does not fit the matrix.

        Notes
        -----
        The gradient in speed is ``-length / speed**2`` on edges and 0 elsewhere, even where a length without
        a connection is NaN. Under a trace the value of speed cannot be looked at: bound it (a `Param` with a
        transform) if an optimizer moves it.

        Examples
        --------
        >>> import jax
        >>> from brainmass_delays.connectome import Connectome
        >>> c = Connectome([[0., 1.], [1., 0.]], [[0., 12.], [12., 0.]])
        >>> float(jax.grad(lambda speed: c.delays(speed).mantissa.max())(4.))
        -0.75
        """
        speed = value_of(speed)
        speed = magnitude("Connectome.delays.speed", speed, SPEED)
        speed = np.asarray(speed) if isinstance(speed, list | tuple) else speed
        edges = self._weights != 0
        check_speed(speed, edges)
        return u.Quantity(self._used_lengths() / jnp.where(edges, speed, 1.0), unit=u.ms)

    def _edges(self) -> np.ndarray:
        """Mark the connections between different regions, (n_regions, n_regions) bool."""
        edges = self._weights != 0
        np.fill_diagonal(edges, False)
        return edges

    def _used_lengths(self) -> np.ndarray:
        """Return lengths in mm with 0 where there is no connection."""
        return np.where(self._weights != 0, self._lengths, 0)

    def save(self, path: str | PathLike) -> None:
        """Write a ``.npz`` file that `load` reads.

        Parameters
        ----------
        path : str or path
            File name; must end in ``.npz``. An existing file is replaced whole or, if anything goes wrong
            before the end, a kill included, not at all.

        Raises
        ------
        ArgumentError
            If the name has another ending, or the place is none where a file can be.
        OSError
            If the system refuses to write, e.g. since the disk is full.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> from brainmass_delays.connectome import Connectome
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, 'mine.npz')
        ...     Connectome.synthetic(10).save(path)
        ...     Connectome.load(path).n_regions
        10
        """
        if not isinstance(path, str | PathLike) or Path(path).suffix != ".npz":
            raise ArgumentError("Connectome.save.path", "must end in .npz", repr(path))
        fields = {
            "weights": self._weights,
            "lengths": self._lengths,
            "labels": np.array(self._labels),
            "signed": self._signed,
        }
        if self._centres is not None:
            fields["centres"] = self._centres
        with replacing("Connectome.save.path", path) as file:
            np.savez(file, **fields)

    load = classmethod(load)
    synthetic = classmethod(synthetic)
    fetch = classmethod(fetch)
    lesion = interventions.lesion
    resect = interventions.resect
    resections = interventions.resections
    rescale = interventions.rescale

    def plot(self, **kwargs):
        """Draw weights and lengths: `brainmass_delays.viz.plot_connectivity` with these arguments."""
        from ..viz.matrices import plot_connectivity  # brings matplotlib, which nothing else here needs

        return plot_connectivity(self, **kwargs)


def _frozen(array: np.ndarray | None) -> np.ndarray | None:
    """Return the array read-only, copied if somebody else could write to it."""
    if array is None:
        return None
    if array.flags.writeable or isinstance(array.base, np.ndarray):
        array = array.copy()
        array.flags.writeable = False
    return array
