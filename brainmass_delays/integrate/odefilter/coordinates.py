"""The border between the user's states (pytrees, quantities) and the filter's matrices of coefficients."""

from collections.abc import Callable

import brainunit as u
import jax
import jax.numpy as jnp

from ..._core.checks import ArgumentError, check_count
from ..._core.units import magnitude
from ..border import Border


def _is_quantity(leaf) -> bool:
    return isinstance(leaf, u.Quantity)


def unit_of(*values) -> u.Unit | None:
    """Return the unit of the first quantity among ``values``, or None."""
    return next((u.get_unit(x) for x in values if _is_quantity(x) and not x.is_unitless), None)


class Coordinates:
    """Turn states and their derivatives into vectors of ``d`` numbers and back."""

    def __init__(self, where: str, example, time_unit: u.Unit | None):
        plain = jax.tree.map(u.get_magnitude, example, is_leaf=_is_quantity)
        self._border, _ = Border.of(where, plain, 0.0)
        units = {u.get_unit(leaf) for leaf in jax.tree.leaves(example, is_leaf=_is_quantity)}
        if len(units) > 1:
            raise ArgumentError(f"{where}.u0", "must have one unit, as its entries share one variance",
                                ", ".join(map(str, units)), "Divide each entry by its scale")  # fmt: skip
        self.unit, self.time_unit = units.pop(), time_unit
        self.dtype, self._shapes = self._border.dtype, jax.tree.map(jnp.shape, plain)

    def _unit(self, derivative: int) -> u.Unit:
        """Return the unit of a derivative of the state."""
        return self.unit if self.time_unit is None else self.unit / self.time_unit**derivative

    def to_vector(self, where: str, tree, derivative: int) -> jax.Array:
        """Ravel a state or one of its derivatives, shape (d,)."""
        unit = self._unit(derivative)
        plain = jax.tree.map(
            lambda leaf: jnp.asarray(magnitude(where, leaf, unit)), tree, is_leaf=_is_quantity
        )
        got, size = jax.tree.map(jnp.shape, plain), sum(jnp.size(leaf) for leaf in jax.tree.leaves(plain))
        if self._shapes != got and not size == self._border.size == 1:  # one number is one number
            rule = f"must have the structure and shapes of the state, {self._shapes}"
            raise ArgumentError(where, rule, got)
        return self._border.ravel(plain)

    def to_tree(self, vectors: jax.Array, derivative: int):
        """Give vectors, shape (..., d), the structure and unit of the state; leading axes lead each leaf."""
        return jax.tree.map(lambda leaf: self.with_unit(leaf, derivative), self._border.unravel(vectors))

    def magnitude(self, where: str, value) -> jax.Array:
        """Return a number in the unit of the state."""
        return jnp.asarray(magnitude(where, value, self.unit), self.dtype)

    def with_unit(self, value: jax.Array, derivative: int):
        """Attach the unit of a derivative, if it has one."""
        unit = self._unit(derivative)
        return value if unit.is_unitless else value * unit


class Equation:
    """Hold an initial value problem in vector form; ``field`` maps coefficients (order, d) to (d,)."""

    def __init__(self, where: str, f: Callable, u0, t0, *others, order: int, args):
        self.order = check_count(f"{where}.order", order)
        initial = (u0,) if self.order == 1 else tuple(u0)
        if len(initial) != self.order:
            rule = f"must be a tuple of {self.order} states for order={self.order}"
            raise ArgumentError(f"{where}.u0", rule, len(initial))
        self.time_unit = unit_of(t0, *others)
        self.state = Coordinates(where, initial[0], self.time_unit)
        self.where, self._f, self._args = where, f, args
        self.t0 = self.time(f"{where}.t0", t0)
        self.initial = jnp.stack([self.state.to_vector(f"{where}.u0", c, k) for k, c in enumerate(initial)])

    def time(self, where: str, value) -> jax.Array:
        """Return a time as a plain number of the filter's precision."""
        return jnp.asarray(self.plain_time(where, value), self.state.dtype)

    def plain_time(self, where: str, value):
        """Return a time without its unit; a concrete one stays concrete in a trace, so it can be checked."""
        return magnitude(where, value, self.time_unit or u.UNITLESS)

    def with_time_unit(self, value: jax.Array):
        """Attach the unit of time, if there is one."""
        return value if self.time_unit is None else value * self.time_unit

    def field(self, t: jax.Array, coefficients: jax.Array) -> jax.Array:
        """Evaluate the user's function."""
        arguments = [self.state.to_tree(row, k) for k, row in enumerate(coefficients)]
        value = self._f(self.with_time_unit(t), *arguments, self._args)
        return self.state.to_vector(f"{self.where}.f", value, self.order)
