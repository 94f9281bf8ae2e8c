"""What a run returns: recorded values by name, each with its own times and unit."""

import io
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import brainunit as u
import jax
import numpy as np

from .._core.checks import ArgumentError, check_choice
from .._core.files import read_once, write_whole
from .._core.status import describe, is_traced
from .._core.units import UNIT, parts_by_name, plain_arrays, unit_attribute
from ..connectome import arrays

MAX_BYTES = 2**34
TIMES = ".ts"  # ending of names in plain form, beside the name of a value
RESERVED = ("ts", "status")


@jax.tree_util.register_pytree_with_keys_class
class Trajectory(Mapping):
    """Hold what was recorded: a mapping of names to values, ``'ts'`` and ``'status'``.

    Parameters
    ----------
    values : dict of str to array or Quantity
        What was recorded, time first unless it is one result of the whole run.
    ts : Quantity
        Times of the values that have none of their own.
    status : int or array, optional
        Flags as in `brainmass_delays.RunError`; 0 is none.
    times : dict of str to Quantity, optional
        Times of values with a period of their own.

    Raises
    ------
    ArgumentError
        If a value is called ``'ts'`` or ``'status'``, or times belong to no value.

    Notes
    -----
    A pytree: it passes through `jax.jit`, `jax.vmap` and `jax.grad` with its values.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays.observe import Trajectory
    >>> result = Trajectory({'x': np.zeros((50, 3)) * u.mV, 'bold': np.zeros((2, 3))},
    ...     ts=np.arange(50) * u.ms, times={'bold': np.array([20., 40.]) * u.ms})
    >>> result
    Trajectory, 0 to 49 ms, ok
      x     (50, 3) float64, mV
      bold  (2, 3) float64, every 20 ms
    >>> result['x'].shape, result.times('bold').shape
    ((50, 3), (2,))
    """

    def __init__(self, values: dict[str, Any], ts: Any, status: Any = 0, times: dict[str, Any] | None = None):
        for name in RESERVED:
            if name in values:
                raise ArgumentError("Trajectory.values", f"must not be called {name!r}", sorted(values))
        for name in times or {}:
            if name not in values:
                raise ArgumentError("Trajectory.times", f"must be of values, {sorted(values)}", repr(name))
        self._entries = dict(values) | {"ts": ts, "status": status}
        self._times = dict(times or {})

    def __getitem__(self, name: str) -> Any:
        try:
            return self._entries[name]
        except KeyError:
            raise KeyError(f"{name!r}; recorded are {', '.join(self)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def times(self, name: str) -> Any:
        """Return the times of a value.

        Parameters
        ----------
        name : str
            Of a value.

        Returns
        -------
        Quantity, shape (time,) or ()
        """
        check_choice("Trajectory.times.name", name, self)
        return self._times.get(name, self["ts"])

    def tree_flatten_with_keys(self):
        """Return values and times as the children of a pytree."""
        key = jax.tree_util.GetAttrKey
        return ((key("entries"), self._entries), (key("times"), self._times)), None

    @classmethod
    def tree_unflatten(cls, _, children):
        """Return a result with other leaves, which may be anything."""
        result = object.__new__(cls)
        result._entries, result._times = children
        return result

    def __repr__(self) -> str:
        ts, status = self["ts"], self["status"]
        state = "" if is_traced(status) else f", {describe(int(np.max(np.asarray(status))))}"
        lines = [f"Trajectory{_span(ts)}{state}"]
        names = [name for name in self if name not in RESERVED]
        width = max(map(len, names), default=0)
        for name in names[:20]:
            lines.append(f"  {name:<{width}}  {_form(self[name])}{_every(self._times.get(name))}")
        return "\n".join(lines + [f"  ... {len(names) - 20} more"] * (len(names) > 20))

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return plain arrays, with units as strings beside them.

        Returns
        -------
        dict of str to numpy.ndarray
            For every entry its numbers under its name and, if it has one, its unit under ``name.unit``; for
            values with times of their own these under ``name.ts``. ``np.savez(path, **result.to_numpy())``
            works.

        Examples
        --------
        >>> import brainunit as u
        >>> import numpy as np
        >>> from brainmass_delays.observe import Trajectory
        >>> plain = Trajectory({'x': np.zeros((2, 3)) * u.mV}, ts=np.arange(2) * u.ms).to_numpy()
        >>> sorted(plain), str(plain['x.unit'])
        (['status', 'ts', 'ts.unit', 'x', 'x.unit'], 'mV')
        """
        return plain_arrays({**self, **{name + TIMES: times for name, times in self._times.items()}})

    def save(self, path: str | PathLike) -> None:
        """Write a ``.npz`` file that `load` reads, whole or not at all.

        Parameters
        ----------
        path : str or path
            File name; must end in ``.npz``. An existing file is replaced.

        Raises
        ------
        ArgumentError
            If the name has another ending or cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import brainunit as u
        >>> import numpy as np
        >>> from brainmass_delays.observe import Trajectory
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, 'run.npz')
        ...     Trajectory({'x': np.ones(2) * u.mV}, ts=np.arange(2) * u.ms).save(path)
        ...     Trajectory.load(path)['x'].to_decimal(u.mV).tolist()
        [1.0, 1.0]
        """
        if not isinstance(path, str | PathLike) or Path(path).suffix != ".npz":
            raise ArgumentError("Trajectory.save.path", "must end in .npz", repr(path))
        stream = io.BytesIO()
        np.savez(stream, **self.to_numpy())
        write_whole("Trajectory.save.path", path, stream.getvalue())

    @classmethod
    def load(cls, path: str | PathLike) -> "Trajectory":
        """Read a file that `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : str or path
            A ``.npz`` file.

        Returns
        -------
        Trajectory
            With NumPy arrays and Quantities of them.

        Raises
        ------
        ArgumentError
            If it is no such file.
        """
        where = "Trajectory.load.path"
        content = read_once(where, path, MAX_BYTES)
        try:
            plain = arrays.stored(content)
            units = {
                name[: -len(UNIT)]: u.parse_unit(str(plain.pop(name)))
                for name in [*plain]
                if name.endswith(UNIT)
            }
            entries = {n: u.Quantity(v, unit=units[n]) if n in units else v for n, v in plain.items()}
            times = {n[: -len(TIMES)]: entries.pop(n) for n in [*entries] if n.endswith(TIMES)}
            return cls(times=times, ts=entries.pop("ts"), status=entries.pop("status"), values=entries)
        except Exception as error:  # damaged bytes make parsers raise anything
            raise ArgumentError(where, f"{path} must be a file that Trajectory.save wrote", error) from error

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset`; needs the extra ``xarray``.

        Returns
        -------
        xarray.Dataset
            One variable per value, with its unit as attribute ``units``; its first dimension is ``time``, or
            ``time_NAME`` where it has times of its own, in the unit of ``ts``; the others are ``NAME_1``,
            ..., the last of them ``region`` where it is as long as that of most values.

        Raises
        ------
        ImportError
            If xarray is missing.
        """
        import xarray

        values = {name: value for name, value in parts_by_name(self) if name not in RESERVED}
        lasts = [np.shape(value)[-1] for value in values.values() if np.ndim(value) > 1]
        regions = max(set(lasts), key=lasts.count, default=None)
        data, coords = {}, {}
        for name, value in values.items():
            times = self._times.get(name, self["ts"])
            dims = _dimensions(name, value, times, name in self._times, regions)
            data[name] = (dims, np.asarray(u.get_magnitude(value)), unit_attribute(value))
            if dims and dims[0].startswith("time"):
                coords[dims[0]] = (dims[:1], np.asarray(u.get_magnitude(times)), unit_attribute(times))
        return xarray.Dataset(data, coords, {"status": int(np.max(np.asarray(self["status"])))})


def _dimensions(name, value, times, own_times, regions):
    """Return the names of the dimensions of a value."""
    shape = np.shape(value)
    dims = [f"{name}_{axis}" for axis in range(len(shape))]
    if shape and np.shape(times) == shape[:1]:
        dims[0] = f"time_{name}" if own_times else "time"
    if len(shape) > 1 and shape[-1] == regions:
        dims[-1] = "region"
    return dims


def _form(value: Any) -> str:
    """Return shape, dtype and unit of a value, or of each of several by name."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_form(part)}" for name, part in value.items())
    unit = u.get_unit(value)
    number = u.get_magnitude(value)
    return f"{np.shape(number)} {np.result_type(number)}" + ("" if unit.is_unitless else f", {unit}")


def _span(ts: Any) -> str:
    """Return from when to when."""
    if is_traced(ts) or not np.size(ts):
        return ""
    numbers = np.ravel(np.asarray(u.get_magnitude(ts)))
    return f", {numbers[0]:.6g} to {numbers[-1]:.6g} {u.get_unit(ts)}"


def _every(times: Any) -> str:
    """Return the interval of times of their own."""
    if times is None or is_traced(times):
        return ""
    numbers = np.ravel(np.asarray(u.get_magnitude(times)))
    if len(numbers) < 2:
        return f", at {numbers[0]:.6g} {u.get_unit(times)}" if len(numbers) else ", never"
    mean = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
    even = np.allclose(np.diff(numbers), mean, rtol=1e-3)
    return f", every {mean:.6g} {u.get_unit(times)}" + ("" if even else " on average")
