"""The border between the user's states (pytrees, quantities) and the filter's matrices of coefficients."""

from collections.abc import Callable

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ..._core.arguments import function_of, numbers
from ..._core.checks import ArgumentError, check_count
from ..._core.status import is_traced
from ..._core.trees import is_quantity
from ..._core.units import magnitude, with_unit
from ..border import Border
from ..solution import is_inside


def unit_of(*values) -> u.Unit | None:
    """Return the unit of the first quantity among ``values``, or None."""
    return next((u.get_unit(x) for x in values if is_quantity(x) and not x.is_unitless), None)


class Coordinates:
    """Turn states and their derivatives into vectors of ``d`` numbers and back; each leaf has a unit."""

    def __init__(self, where: str, example, time_unit: u.Unit | None, argument: str = "y0"):
        plain = jax.tree.map(u.get_magnitude, example, is_leaf=is_quantity)
        self._border, _ = Border.of(where, plain, 0.0)
        self.time_unit = time_unit
        leaves, self._structure = jax.tree.flatten(example, is_leaf=is_quantity)
        self._units = [u.get_unit(leaf) for leaf in leaves]
        self.dtype, self._shapes = self._border.dtype, [jnp.shape(leaf) for leaf in leaves]
        _check_real(f"{where}.{argument}", self.dtype)

    def _key(self):
        return (
            self._structure,
            tuple(self._shapes),
            tuple(map(str, self._units)),
            str(self.time_unit),
            self.dtype,
        )

    def __eq__(self, other):
        return isinstance(other, Coordinates) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    @property
    def size(self) -> int:
        """Number of entries of the state."""
        return self._border.size

    @property
    def unit(self) -> u.Unit | None:
        """The unit all leaves have, or None."""
        return self._units[0] if len(set(self._units)) == 1 else None

    def check_one_unit(self, where: str) -> None:
        """Refuse leaves of several units, which cannot share one variance."""
        if self.unit is None:
            raise ArgumentError(where, "must have one unit, as its entries share one variance",
                                ", ".join(map(str, set(self._units))),
                                "Divide each entry by its scale, or choose covariance='dense'")  # fmt: skip

    def _derivative_units(self, derivative: int) -> list[u.Unit]:
        """Return the units of the leaves of a derivative of the state."""
        per = None if self.time_unit is None else self.time_unit**derivative
        return [unit if per is None else unit / per for unit in self._units]

    def to_vector(self, where: str, tree, derivative: int) -> jax.Array:
        """Ravel a state or one of its derivatives, shape (d,)."""
        leaves, structure = jax.tree.flatten(tree, is_leaf=is_quantity)
        if structure == self._structure:
            units = self._derivative_units(derivative)
            leaves = [
                jnp.asarray(magnitude(where, leaf, unit)) for leaf, unit in zip(leaves, units, strict=True)
            ]
        if any(map(jnp.iscomplexobj, leaves)) and not jnp.issubdtype(self.dtype, jnp.complexfloating):
            raise ArgumentError(where, "must be real", "complex numbers")
        shapes, size = [jnp.shape(leaf) for leaf in leaves], sum(jnp.size(leaf) for leaf in leaves)
        one_number = size == self.size == 1
        if structure != self._structure or (shapes != self._shapes and not one_number):
            rule = f"must have the structure and shapes of the state, {self._structure} {self._shapes}"
            raise ArgumentError(where, rule, f"{structure} {shapes}")
        for leaf in leaves:
            _check_real(where, jnp.result_type(leaf))
        return self._border.ravel(leaves)

    def to_tree(self, vectors: jax.Array, derivative: int):
        """Give vectors, shape (..., d), the structure and units of the state; leading axes lead each leaf."""
        leaves = jax.tree.leaves(self._border.unravel(vectors))
        units = self._derivative_units(derivative)
        return jax.tree.unflatten(
            self._structure, [with_unit(leaf, unit) for leaf, unit in zip(leaves, units, strict=True)]
        )

    def filled(self, value):
        """Return a tree like the state filled with ``value`` if that is one number, else ``value``."""
        structure = jax.tree.structure(value, is_leaf=is_quantity)
        if not jax.tree_util.treedef_is_leaf(structure) or jnp.size(u.get_magnitude(value)) != 1:
            return value
        number = value.reshape(()) if jnp.ndim(value) else value
        return jax.tree.unflatten(
            self._structure, [jnp.ones(shape, self.dtype) * number for shape in self._shapes]
        )

    def time(self, where: str, value, *, plain: bool = False) -> jax.Array:
        """Return a time as a number of the filter's precision; ``plain`` lets one without a unit pass."""
        return jnp.asarray(self.plain_time(where, value, plain=plain), self.dtype)

    def plain_time(self, where: str, value, *, plain: bool = False):
        """Return a time without its unit; a concrete one stays concrete in a trace, so it can be checked."""
        if self.time_unit is not None and not plain and not is_quantity(value):
            rule = f"must have a unit of time, since one of t0, t1, save_at and delays has {self.time_unit}"
            cure = f"Multiply it by brainunit.{self.time_unit}, or give no unit at all"
            raise ArgumentError(where, rule, "a plain number" if is_traced(value) else value, cure)
        value = magnitude(where, value, self.time_unit or u.UNITLESS, plain=plain)
        numbers()(where, value)
        return value

    def with_time_unit(self, value: jax.Array):
        """Attach the unit of time, if there is one."""
        return value if self.time_unit is None else value * self.time_unit

    def magnitude(self, where: str, value) -> jax.Array:
        """Return a number in the unit of the state."""
        unit = u.UNITLESS if self.unit is None else self.unit
        return jnp.asarray(magnitude(where, value, unit), self.dtype)

    def with_unit(self, value: jax.Array, derivative: int):
        """Attach the one unit of a derivative, if it has one."""
        return with_unit(value, self._derivative_units(derivative)[0])


def _check_real(where: str, dtype) -> None:
    """Refuse complex numbers, of which no covariance is kept."""
    if jnp.issubdtype(dtype, jnp.complexfloating):
        cure = "Write real and imaginary part as two entries"
        raise ArgumentError(where, "must be real", dtype, cure)


def check_span(where: str, t0, t1, slack: float = 0.0) -> None:
    """Refuse times without their units that are no span where they are known."""
    for name, time in (("t0", t0), ("t1", t1)):
        numbers(scalar=True, finite=True)(f"{where}.{name}", time)
    if not is_traced((t0, t1, slack)) and not np.asarray(t1) - np.asarray(t0) > slack:
        cure = "Lower eps, or take a smaller unit of time" if slack and t1 > t0 else ""
        by = f" by more than eps={slack}" if cure else ""
        raise ArgumentError(f"{where}.t1", f"must be after t0={t0}{by}", t1, cure)


def check_increasing(where: str, times, start, end) -> None:
    """Refuse times without their units that are no increasing axis within a span, where they are known."""
    if np.ndim(times) != 1 or np.shape(times)[0] == 0:
        raise ArgumentError(where, "must have shape (K,) with K > 0", np.shape(times))
    if is_traced((times, start, end)):
        return
    times = np.asarray(times)
    if not (np.all(np.diff(times) > 0) and times[0] >= start and times[-1] <= end):
        raise ArgumentError(where, f"must increase within [{start}, {end}]", times)


def are_increasing(times: jax.Array, start, end) -> jax.Array:
    """Tell whether times increase within a span, up to rounding."""
    return jnp.all(jnp.diff(times) > 0) & jnp.all(is_inside(times, start, end))


class Equation:
    """Hold an initial value problem in vector form; ``field`` maps coefficients (order, d) to (d,)."""

    def __init__(self, where: str, f: Callable, y0, t0, *others, order: int, args):
        self.order = check_count(f"{where}.order", order)
        initial = (y0,) if self.order == 1 else y0
        if not isinstance(initial, tuple | list) or len(initial) != self.order:
            rule = f"must be a tuple of {self.order} states for order={self.order}"
            got = f"{len(initial)} states" if isinstance(initial, tuple | list) else type(initial).__name__
            raise ArgumentError(f"{where}.y0", rule, got)
        states = ["y", "dy", *(f"d{k}y" for k in range(2, self.order))][: self.order]
        function_of(", ".join(["t", *states, "args"]))(f"{where}.f", f)
        self.state = Coordinates(where, initial[0], unit_of(t0, *others))
        self.where, self._f, self._args = where, f, args
        self.t0 = self.state.time(f"{where}.t0", t0)
        self.initial = jnp.stack([self.state.to_vector(f"{where}.y0", c, k) for k, c in enumerate(initial)])

    def field(self, t: jax.Array, coefficients: jax.Array) -> jax.Array:
        """Evaluate the user's function."""
        arguments = [self.state.to_tree(row, k) for k, row in enumerate(coefficients)]
        value = self._f(self.state.with_time_unit(t), *arguments, self._args)
        return self.state.to_vector(f"{self.where}.f", value, self.order)
