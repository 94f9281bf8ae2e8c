"""Parameters that differ between regions by a few numbers: along maps of the cortex, or by groups."""

import csv
import io
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from ._core.arguments import checked, names, numbers
from ._core.checks import ArgumentError, check_choice, check_finite
from ._core.files import read_once
from ._core.param import HoldsParams, constant, value_of
from ._core.status import is_traced

MOST_BYTES = 2**26  # of a table of maps: a hundred thousand rows of a hundred maps
LINKS = {
    "exp": lambda base, shift: base * u.math.exp(shift),
    "linear": lambda base, shift: base * (1 + shift),
    "add": lambda base, shift: base + shift,
}


class Heterogeneous(HoldsParams, brainstate.nn.Module):
    r"""Let a parameter follow maps: :math:`p_i = p_0 \exp(\sum_k c_k m_{ki})`.

    Pass it wherever a node model takes a parameter.

    Parameters
    ----------
    base : float, Quantity or Param
        Value :math:`p_0` where all maps are 0.
    maps : dict of str to array_like, or array_like, shape (n_maps, n_regions)
        One number per region and map, for instance myelin or a gradient of gene expression, best with mean 0.
    coefficients : dict of str to float, array_like or Param, shape (n_maps,)
        Weights :math:`c_k`; for named maps a dict with the same names, or an array in their order.
    link : {'exp', 'linear', 'add'}, default 'exp'
        ``'exp'`` keeps the sign of the base; ``'linear'`` is :math:`p_0 (1 + \sum_k c_k m_{ki})`; ``'add'``
        is :math:`p_0 + \sum_k c_k m_{ki}`, with coefficients in the unit of the base.

    Attributes
    ----------
    names : tuple of str
        Names of the maps.

    Raises
    ------
    ArgumentError
        If a map is not finite, or the same in all regions, which the base already says; if names or numbers
        of maps and coefficients differ; if the link is unknown.

    Notes
    -----
    ``Param(..., fit=True)`` for base or coefficients trains two or three numbers in place of one per region.
    The gradient is exact in both.

    References
    ----------
    Demirtas, M. et al. (2019). Hierarchical heterogeneity across human cortex shapes large-scale neural
    dynamics. Neuron 101, 1181-1194.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import Heterogeneous, JansenRitStep, Param
    >>> myelin = [-1.0, 0.0, 1.0]
    >>> gain = Heterogeneous(3.25 * u.mV, {'myelin': myelin}, Param([0.1], fit=True))
    >>> node = JansenRitStep(3, Ae=gain)
    >>> [round(float(value), 3) for value in node.Ae.value().mantissa]
    [2.941, 3.25, 3.592]
    """

    def __init__(self, base: Any, maps: Any, coefficients: Any, link: str = "exp"):
        super().__init__()
        value = value_of(base)
        numbers(finite=True, axes=(0, 1))("Heterogeneous.base", value)
        base = jnp.asarray(base) if isinstance(base, list | tuple) else base
        self.names, self.maps = _maps(maps)
        self.base = constant(base)
        self.link = check_choice("Heterogeneous.link", link, LINKS)
        self.coefficients = _per_name("Heterogeneous.coefficients", coefficients, self.names, "map")

    def value(self):
        """Return the parameter of every region, shape (n_regions,)."""
        terms = self.coefficients.value()[:, None] * jnp.asarray(self.maps)
        return LINKS[self.link](self.base.value(), u.math.sum(terms, axis=0))


class Grouped(HoldsParams, brainstate.nn.Module):
    """Let regions of a group share a parameter.

    Pass it wherever a node model takes a parameter.

    Parameters
    ----------
    values : dict, or array_like, Quantity or Param, shape (n_groups,)
        One value per group: by name, or in the sorted order of the names.
    groups : sequence of str or int, length n_regions
        The group of every region, for instance its resting-state network.

    Attributes
    ----------
    names : tuple
        Names of the groups, sorted.

    Raises
    ------
    ArgumentError
        If the values are not one per group.

    Notes
    -----
    The gradient in the value of a group is the sum over its regions.

    Examples
    --------
    >>> from brainmass_delays import Grouped, HopfStep
    >>> part = ['cortex', 'cortex', 'thalamus', 'cortex']
    >>> node = HopfStep(4, a=Grouped({'cortex': -0.02, 'thalamus': 0.1}, part))
    >>> print(node.a.value())
    [-0.02 -0.02  0.1  -0.02]
    """

    def __init__(self, values: Any, groups: Sequence[Any]):
        super().__init__()
        is_listed = isinstance(groups, list | tuple | np.ndarray) and np.ndim(groups) == 1 and len(groups)
        if not is_listed or not all(isinstance(group, str | int | np.integer) for group in groups):
            raise ArgumentError("Grouped.groups", "must be a name or a number per region", repr(groups))
        names, index = np.unique(np.asarray(groups), return_inverse=True)
        self.names, self.index = tuple(names.tolist()), index.ravel()
        self.values = _per_name("Grouped.values", values, self.names, "group")

    def value(self):
        """Return the parameter of every region, shape (n_regions,)."""
        return self.values.value()[jnp.asarray(self.index)]


@checked(labels=names)
def read_maps(path: str | PathLike, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Read maps from a table with one row per region, matched by label.

    Parameters
    ----------
    path : str or path
        A text file with columns separated by commas or, if it ends in ``.tsv``, tabs: first the label of the
        region, then one map per column, named in the first row.
    labels : sequence of str
        Labels of the regions, in the order wanted, such as `Connectome.labels`; other rows are ignored.

    Returns
    -------
    dict of str to np.ndarray, shape (n_regions,)

    Raises
    ------
    ArgumentError
        If a label is missing or stands in two rows, or a value is no finite number.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from brainmass_delays import read_maps
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, 'maps.csv')
    ...     _ = path.write_text('region,myelin\\nV1,1.5\\nMT,0.5\\n')
    ...     read_maps(path, ['MT', 'V1'])
    {'myelin': array([0.5, 1.5])}
    """
    if not len(labels):
        raise ArgumentError("read_maps.labels", "must name at least one region", "none")
    content = read_once("read_maps.path", path, MOST_BYTES, "Keep the rows and columns that you need")
    delimiter = "\t" if str(path).endswith(".tsv") else ","
    try:
        lines = io.StringIO(content.decode("utf-8-sig"), newline="")
        header, *rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except (csv.Error, ValueError) as error:
        raise ArgumentError("read_maps.path", f"{path} must be a table of text", error) from error
    if any(len(row) != len(header) for row in rows):
        got = next(len(row) for row in rows if len(row) != len(header))
        raise ArgumentError("read_maps.path", f"must have {len(header)} cells in every row", got)
    found = {}
    for row in rows:
        if row[0] in found and row[0] in labels:
            raise ArgumentError("read_maps.path", "must have one row per region", f"two rows {row[0]!r}")
        found[row[0]] = row[1:]
    missing = [label for label in labels if label not in found]
    if missing:
        rule = "must all stand in the first column"
        raise ArgumentError("read_maps.labels", rule, f"no row {missing[0]!r}")
    columns = zip(*(found[label] for label in labels), strict=True)
    return {name: _numbers(name, column) for name, column in zip(header[1:], columns, strict=True)}


def _per_name(where: str, values: Any, names: tuple, what: str) -> Param:
    """Return one value per name, given by name or in their order, as a Param."""
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ArgumentError(where, f"must be named like every {what} ({', '.join(names)})", list(values))
        values = u.math.stack([u.math.asarray(values[name]) for name in names])
    numbers(finite=True)(where, value_of(values))
    if not (isinstance(values, Param | u.Quantity) or is_traced(values)):
        values = np.asarray(values)
    param = constant(values)
    shape = u.math.shape(param.value())
    if shape != (len(names),):
        raise ArgumentError(where, f"must be one per {what}, shape ({len(names)},)", shape)
    return param


def _numbers(name: str, column: Sequence[str]) -> np.ndarray:
    """Return one column as finite numbers."""
    try:
        return check_finite(f"read_maps.{name}", [float(cell) for cell in column])
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"read_maps.{name}", "must hold numbers", str(error)) from None


def _maps(maps: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and values of maps, checked."""
    if isinstance(maps, Mapping):
        for name, value in maps.items():
            numbers(unit=u.UNITLESS, traced=False)(f"Heterogeneous.maps.{name}", value)
        names, values = tuple(maps), [np.asarray(m, float) for m in maps.values()]
        if len({v.shape for v in values}) > 1:
            shapes = [v.shape for v in values]
            raise ArgumentError("Heterogeneous.maps", "must all have one number per region", shapes)
        values = np.stack(values)
    else:
        numbers(unit=u.UNITLESS, traced=False)("Heterogeneous.maps", maps)
        values = np.atleast_2d(np.asarray(maps, float))
        names = tuple(str(i) for i in range(len(values)))
    if values.ndim != 2 or not values.size:
        raise ArgumentError("Heterogeneous.maps", "must have shape (n_maps, n_regions)", values.shape)
    for name, value in zip(names, values, strict=True):
        check_finite(f"Heterogeneous.maps.{name}", value)
        if np.ptp(value) == 0:
            rule = "must differ between regions: the base says what they have in common"
            raise ArgumentError(f"Heterogeneous.maps.{name}", rule, value[0])
    return names, values
