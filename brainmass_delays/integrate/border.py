"""The border of the solvers: pytrees and quantities outside, one flat vector and plain times inside."""

import math
from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers, tree_of_numbers
from .._core.checks import ArgumentError
from .._core.status import is_traced
from .._core.trees import is_quantity
from .._core.units import magnitude


@dataclass(frozen=True)
class Border:
    """Translate times, states and slopes between the caller's form and flat vectors of magnitudes.

    The unit of time is that of ``t0``; every leaf of the state keeps the unit of the initial state.
    """

    where: str
    time_unit: u.Unit
    structure: Any
    shapes: tuple
    dtypes: tuple

    @classmethod
    def of(cls, where: str, y0: Any, t0: Any) -> tuple["Border", jax.Array]:
        """Return the border of a problem and its flat initial state."""
        tree_of_numbers(f"{where}.y0", y0)
        leaves, structure = jax.tree.flatten(y0)
        leaves = [_as_inexact(x) for x in leaves]
        if not sum(x.size for x in leaves):
            raise ArgumentError(f"{where}.y0", "must hold at least one number", "an empty state")
        shapes, dtypes = tuple(x.shape for x in leaves), tuple(x.dtype for x in leaves)
        border = cls(where, u.get_unit(t0), structure, shapes, dtypes)
        return border, border._ravel(leaves)

    @property
    def size(self) -> int:
        """Number of components of the flat state."""
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def dtype(self):
        """Precision of the flat state."""
        return jnp.result_type(*self.dtypes)

    @property
    def time_dtype(self):
        """Precision of times: real, as precise as the state."""
        return jnp.finfo(self.dtype).dtype

    def time(self, name: str, value: Any) -> jax.Array:
        """Return a time of the caller as magnitude."""
        where, unit = f"{self.where}.{name}", u.get_unit(value)
        if name != "t0" and not u.have_same_dim(unit, self.time_unit):
            cure = "All times carry the unit of t0, or none do"
            raise ArgumentError(where, f"must have the dimension of t0, {self.time_unit}", f"{value}", cure)
        value = magnitude(where, value, self.time_unit, plain=False)
        numbers()(where, value)
        return jnp.asarray(value, self.time_dtype)

    def with_time_unit(self, t):
        """Return an inner time as the caller writes it."""
        return t if self.time_unit.is_unitless else t * self.time_unit

    def ravel(self, state: Any) -> jax.Array:
        """Return the flat vector ``(d,)`` of a state in the structure and units of the initial one."""
        return self._ravel(jax.tree.leaves(state))

    def _ravel(self, leaves):
        return jnp.concatenate([jnp.ravel(x) for x in leaves]).astype(self.dtype)

    def unravel(self, y: jax.Array) -> Any:
        """Return the pytree of a flat state ``(d,)``; leading axes of ``y`` lead every leaf."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        parts = zip(jnp.split(y, ends, axis=-1), self.shapes, self.dtypes, strict=True)
        leaves = [part.reshape(y.shape[:-1] + shape).astype(dtype) for part, shape, dtype in parts]
        return jax.tree.unflatten(self.structure, leaves)

    def like_state(self, name: str, value: Any) -> jax.Array:
        """Return a number, or a pytree like the state, as a flat vector in the units of the state."""
        state = self.unravel(jnp.zeros(self.size, self.time_dtype))
        leaves, structure = jax.tree.flatten(state, is_leaf=is_quantity)
        values, got = jax.tree.flatten(value, is_leaf=is_quantity)
        if got != structure:
            if not jax.tree_util.treedef_is_leaf(got) or isinstance(value, u.Quantity):
                raise ArgumentError(
                    f"{self.where}.{name}", f"must be a number or have the structure {structure}", got
                )
            values = values * len(leaves)
        parts = [
            magnitude(f"{self.where}.{name}", v, u.get_unit(x)) for v, x in zip(values, leaves, strict=True)
        ]
        kinds = [jnp.iscomplexobj(u.get_magnitude(x)) for x in leaves]
        shapes = [x.shape for x in leaves]
        return jnp.concatenate([self._fill(name, *row) for row in zip(parts, shapes, kinds, strict=True)])

    def _fill(self, name, value, shape, is_complex):
        """Return ``value`` broadcast to the shape of a leaf of the state, raveled."""
        value = jnp.asarray(value)
        if jnp.iscomplexobj(value) and not is_complex:
            raise ArgumentError(f"{self.where}.{name}", "must be real, as the state is", value.dtype)
        try:
            return jnp.ravel(jnp.broadcast_to(value, shape))
        except ValueError:
            rule = f"must be a number or have the shape of the state, {shape}"
            raise ArgumentError(f"{self.where}.{name}", rule, f"shape {value.shape}") from None

    def slopes(self, f):
        """Return ``(t, y, *rest) -> dy/dt`` on magnitudes for ``f(t, y, *rest)`` of the caller."""

        def flat(t, y, *rest):
            state = self.unravel(y)
            return self._ravel_slope(f(self.with_time_unit(t), state, *rest), state)

        return flat

    def event(self, event, args):
        """Return ``(t, y) -> value`` on magnitudes for an event function of the caller, or None."""
        if event is None:
            return None
        return lambda t, y: u.get_mantissa(event(self.with_time_unit(t), self.unravel(y), args))

    def _ravel_slope(self, slope, state):
        expected, got = (jax.tree.structure(x, is_leaf=is_quantity) for x in (state, slope))
        if expected != got:
            raise ArgumentError(f"{self.where}.f", f"must return the structure of y0, {expected}", got)
        slopes, leaves = (jax.tree.leaves(x, is_leaf=is_quantity) for x in (slope, state))
        return self._ravel([self._slope_leaf(s, x) for s, x in zip(slopes, leaves, strict=True)])

    def _slope_leaf(self, slope, leaf):
        unit = u.get_unit(leaf) / self.time_unit
        value = jnp.asarray(magnitude(f"{self.where}.f", slope, unit, plain=False))
        if value.shape != leaf.shape:
            rule = f"must return slopes of the shape of y0, {leaf.shape}"
            raise ArgumentError(f"{self.where}.f", rule, value.shape)
        if jnp.iscomplexobj(value) and not jnp.iscomplexobj(u.get_magnitude(leaf)):
            cure = "Start from complex numbers if the state is complex"
            raise ArgumentError(
                f"{self.where}.f", "must return real slopes, as y0 is real", value.dtype, cure
            )
        return value


def check_span(where: str, t0: jax.Array, t1: jax.Array) -> None:
    """Refuse an empty, endless or reversed time span where its numbers are known."""
    for name, time in (("t0", t0), ("t1", t1)):
        numbers(scalar=True, finite=True)(f"{where}.{name}", time)
    if not is_traced((t0, t1)) and not bool(t1 > t0):
        cure = "To integrate backward, substitute -t in f"
        raise ArgumentError(f"{where}.t1", f"must be later than t0 = {t0}", t1, cure)


def _as_inexact(x):
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))
