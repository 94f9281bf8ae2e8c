"""The grid of a sweep: its axes, its points, and results in their places."""

import inspect
import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import brainunit as u
import jax
import numpy as np

from .._core.checks import ArgumentError, check_choice
from .._core.status import NOT_RUN, describe
from .._core.trees import is_quantity
from .._core.units import unit_attribute
from ..outline import columns, written


class SweepResult(NamedTuple):
    """Hold what `sweep` found.

    Parameters
    ----------
    axes : dict
        The values swept, by name, with their units, in the order of the result's axes.
    results : pytree
        What ``predict`` returned, NumPy arrays ``(*grid, ...)`` with their units; the grid has one axis per
        swept argument, or one axis in all with ``product=False``.
    status : int array, shape ``(*grid,)``
        0, or the flags of every point: a delay outside its bounds, a value that is not finite.

    Examples
    --------
    >>> from brainmass_delays.sweeps import sweep
    >>> result = sweep(lambda a, b: a / b, {'a': [1.0, 2.0], 'b': [0.0, 4.0]})
    >>> result.results.tolist(), result.status.tolist()
    ([[inf, 0.25], [inf, 0.5]], [[2, 0], [2, 0]])
    >>> result.failures()
    ['a=1.0, b=0.0: a value became NaN or infinite', 'a=2.0, b=0.0: a value became NaN or infinite']
    """

    axes: dict[str, Any]
    results: Any
    status: np.ndarray

    def __repr__(self) -> str:
        n_failed = int(np.count_nonzero(self.status))
        lines = [f"SweepResult, {self.status.size} points, {f'{n_failed} failed' if n_failed else 'all ok'}"]
        names = [f"axis {name}" for name in self.axes]
        values = [written(value) for value in self.axes.values()]
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.results, is_leaf=is_quantity):
            names.append(f"results{jax.tree_util.keystr(path)}")
            values.append(written(leaf))
        return "\n".join(lines + [f"  {line}" for line in columns(zip(names, values, strict=True))])

    def failures(self) -> list[str]:
        """Describe every point that failed."""
        return [
            f"{self._describe(index)}: {describe(self.status[index])}"
            for index in map(tuple, np.argwhere(self.status))
        ]

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset`; needs the extra ``xarray``.

        Returns
        -------
        xarray.Dataset
            One variable per result, ``result`` where there is one without a name, and ``status``. Dimensions
            are the swept arguments, with their values as coordinates, or ``point`` for arguments that were
            swept side by side; further ones are ``NAME_1``, ... Units are the attribute ``units``.

        Raises
        ------
        ImportError
            If xarray is missing.

        Examples
        --------
        >>> from brainmass_delays.sweeps import sweep
        >>> found = sweep(lambda a, b: {'sum': a + b}, {'a': [1.0, 2.0], 'b': [0.0, 4.0, 8.0]})
        >>> float(found.to_xarray()['sum'].sel(a=2.0, b=4.0))
        6.0
        """
        import xarray

        is_grid = self.status.ndim == len(self.axes)
        dims = list(self.axes) if is_grid else ["point"]
        coords = {
            name: ([name] if is_grid else dims, *_array_and_unit(values))
            for name, values in self.axes.items()
            if np.ndim(u.get_magnitude(values)) == 1
        }
        data = {"status": (dims, self.status)}
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.results, is_leaf=is_quantity):
            name = ".".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path) or "result"
            more = [f"{name}_{i}" for i in range(1, np.ndim(u.get_magnitude(leaf)) - len(dims) + 1)]
            data[name] = ([*dims, *more], *_array_and_unit(leaf))
        return xarray.Dataset(data, coords)

    def plot(self, value: str | None = None, **kwargs):
        """Draw one number per point: `brainmass_delays.viz.plot_sweep` with these arguments."""
        from ..viz.sweeps import plot_sweep  # brings matplotlib, which nothing else here needs

        return plot_sweep(self, value, **kwargs)

    def _describe(self, index):
        """Write a point as ``name=value, ...``; an axis of arrays by its position."""
        positions = index if len(index) == len(self.axes) else index * len(self.axes)
        parts = zip(self.axes.items(), positions, strict=True)
        return ", ".join(f"{name}={v[i]}" if v.ndim == 1 else f"{name}[{i}]" for (name, v), i in parts)


def _array_and_unit(values):
    """Return numbers and the attribute that names their unit."""
    return np.asarray(u.get_magnitude(values)), unit_attribute(values)


def mapping(axes):
    if not isinstance(axes, Mapping) or not axes:
        raise ArgumentError(
            "sweep.axes", "must be a dict of at least one argument name and its values", repr(axes)
        )
    return axes


def axis(name, values):
    """Return the values of an axis as an array or Quantity of NumPy numbers, the swept axis first."""
    where = f"sweep.axes[{name!r}]"
    if isinstance(values, list | tuple) and any(isinstance(v, u.Quantity) for v in values):
        values = u.math.asarray(values)
    unit = u.get_unit(values) if isinstance(values, u.Quantity) else u.UNITLESS
    array = np.asarray(u.get_magnitude(values))
    if array.dtype != bool and not np.issubdtype(array.dtype, np.number):
        raise ArgumentError(where, "must hold numbers", repr(values), "Sweep an index and look up the rest")
    if not array.ndim or not len(array):
        raise ArgumentError(
            where, "must hold at least one value", repr(values), "Write a list, even for one value"
        )
    held = jax.dtypes.canonicalize_dtype(array.dtype)
    if array.dtype.kind in "iu" and not np.array_equal(array, array.astype(held)):
        cure = "Set brainstate.environ.set(precision=64), or sweep an index and look up the rest"
        raise ArgumentError(where, f"must hold integers that fit {held}", array, cure)
    return array if unit.is_unitless else u.Quantity(array, unit=unit)


def check_signature(predict, axes):
    """Compare the names of the axes with the arguments of ``predict``."""
    if not callable(predict):
        raise ArgumentError("sweep.predict", "must be callable", type(predict).__name__)
    parameters = inspect.signature(predict).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        if not named:
            raise ArgumentError("sweep.predict", "must take the axes by name", inspect.signature(predict))
        for name in axes:
            check_choice("sweep.axes", name, named)
    lacking = [name for name, p in named.items() if p.default is p.empty and name not in axes]
    if lacking:
        raise ArgumentError(
            "sweep.axes",
            "must name every argument of predict that has no default",
            f"nothing for {', '.join(lacking)}",
            "Sweep it, or fix it by functools.partial",
        )


def grid_shape(axes, product):
    lengths = {name: len(u.get_magnitude(values)) for name, values in axes.items()}
    if product:
        return tuple(lengths.values())
    if len(set(lengths.values())) > 1:
        raise ArgumentError(
            "sweep.axes",
            "must be of one length with product=False",
            lengths,
            "Sweep all combinations with product=True",
        )
    return tuple(lengths.values())[:1]


def points(axes, shape, positions):
    """Take the points at some flat positions of the grid; positions past the end repeat the last point."""
    index = np.unravel_index(np.minimum(positions, math.prod(shape) - 1), shape)
    index = index if len(index) == len(axes) else index * len(axes)
    return {name: values[i] for (name, values), i in zip(axes.items(), index, strict=True)}


class Chunks(NamedTuple):
    """Hold how a grid is divided into chunks of one size."""

    axes: dict[str, Any]
    shape: tuple[int, ...]
    size: int

    @property
    def n(self) -> int:
        """How many there are."""
        return -(-math.prod(self.shape) // self.size)

    def points(self, i: int) -> dict[str, Any]:
        """Return the points of a chunk; the last one is filled up."""
        return points(self.axes, self.shape, i * self.size + np.arange(self.size))


def gather(axes, shape, size, finished):
    """Put the results of chunks into their places in the grid; what is missing is NaN and flagged."""
    results, status = next(iter(finished.values()))
    missing = jax.tree.map(lambda x: np.full_like(x, np.nan if x.dtype.kind in "fc" else 0), results)
    missing = missing, np.full_like(status, NOT_RUN)
    n_points = math.prod(shape)
    results, status = jax.tree.map(
        lambda *leaves: np.concatenate(leaves)[:n_points].reshape(*shape, *leaves[0].shape[1:]),
        *(finished.get(i, missing) for i in range(-(-n_points // size))),
    )
    return SweepResult(axes, results, status)


def warn_of_failures(result):
    if failures := result.failures():
        warnings.warn(
            f"sweep: {len(failures)} of {result.status.size} points failed, the first at {failures[0]}. "
            "See result.failures().",
            stacklevel=3,
        )
