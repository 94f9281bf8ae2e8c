"""What each delay reads: between the delays and delayed states of the caller and flat lists of reads."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import takes
from .._core.checks import ArgumentError
from .._core.status import is_traced
from .._core.trees import is_quantity
from .._core.units import with_unit
from .border import Border


@dataclass(frozen=True)
class Reads:
    """Translate between the delays and delayed states of the caller and flat lists of reads.

    ``delays(t, y)`` returns all delays, shape (read,); ``constant`` tells whether they depend on neither.
    """

    border: Border
    structure: Any
    shapes: tuple
    parts: tuple  # per leaf: an array, or a function (t, y) -> array
    low: jax.Array | None
    high: jax.Array | None
    units: tuple | None  # of the coupled arrays; None for snapshots
    component: np.ndarray | None
    kept: np.ndarray  # components of the state on the tape

    @classmethod
    def of(cls, border, structure, leaves, bounds, coupled, args, start, keep_all):
        """Find what each of the delays of `resolve` reads; ``start`` is ``(t0, y0)``."""
        parts = [_part(border, leaf, args) for leaf in leaves]
        shapes = [jax.eval_shape(lambda part=part: _values(part, *start)).shape for part in parts]
        units = component = None
        kept = np.arange(border.size)
        if coupled is not None:
            indices, units = _selection(border, coupled, structure)
            shapes = [np.broadcast_shapes(s, i.shape) for s, i in zip(shapes, indices, strict=True)]
            indices = [np.broadcast_to(i, shape).ravel() for i, shape in zip(indices, shapes, strict=True)]
            component = np.concatenate(indices)
            kept = kept if keep_all else np.unique(component)
        return cls(
            border, structure, tuple(shapes), tuple(parts), bounds[0], bounds[1], units, component, kept
        )

    @property
    def constant(self) -> bool:
        """Whether no delay is a function."""
        return not any(callable(part) for part in self.parts)

    @property
    def n_reads(self) -> int:
        """Number of delays."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def column(self):
        """Columns of the tape that the edges read."""
        return None if self.component is None else np.searchsorted(self.kept, self.component)

    def delays(self, t, y) -> jax.Array:
        """Return the delays as magnitudes, shape (read,)."""
        leaves = [_values(part, t, y) for part in self.parts]
        full = [jnp.broadcast_to(d, shape) for d, shape in zip(leaves, self.shapes, strict=True)]
        return jnp.concatenate([jnp.ravel(leaf) for leaf in full])

    def present(self, t, y) -> jax.Array:
        """Return what all delays would read if the state had always been ``y``.

        What a delay depends on, its value depends on. A nothing with a derivative stands for that, as the
        pattern of a Jacobian leaves out what is multiplied by 0.
        """
        delays = self.delays(t, y)
        nothing = delays - jax.lax.stop_gradient(delays)
        if self.component is not None:
            return y[self.component] + nothing
        return y + nothing[:, None]

    def outside(self, t, y, slack=0.0):
        """Tell whether a delay is outside its bounds by more than ``slack``; NaN is outside."""
        delays = self.delays(t, y)
        low = 0.0 if self.low is None else self.low
        high = jnp.inf if self.high is None else self.high
        return ~jnp.all((delays >= low - slack) & (delays <= high + slack) & (delays < jnp.inf))

    def assemble(self, values):
        """Return the delayed states of one stage as ``f`` receives them."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        parts = zip(jnp.split(values, ends), self.shapes, strict=True)
        if self.units is None:
            leaves = [self.border.unravel(part.reshape(shape + part.shape[1:])) for part, shape in parts]
        else:
            leaves = [
                with_unit(part.reshape(shape), unit)
                for (part, shape), unit in zip(parts, self.units, strict=True)
            ]
        return jax.tree.unflatten(self.structure, leaves)


def resolve(border, delays) -> tuple[Any, list]:
    """Return the structure of the delays, and each as magnitudes or as a function (t, y, args)."""
    leaves, structure = jax.tree.flatten(delays, is_leaf=_is_delay)
    if not leaves:
        raise ArgumentError(f"{border.where}.delays", "must hold at least one delay", repr(delays))
    return structure, [_resolved(border, leaf) for leaf in leaves]


def _resolved(border, leaf):
    if callable(getattr(leaf, "value", None)):
        leaf = leaf.value()
    if not callable(leaf):
        return border.time("delays", leaf)
    if takes(leaf, 0):
        return border.time("delays", leaf())
    if not takes(leaf, 3, unsaid=False):
        rule = "must be an array, a Param, or a function of nothing or of (t, y, args)"
        cure = "Write lambda t, y, args: ... for a delay that depends on time or state"
        raise ArgumentError(f"{border.where}.delays", rule, f"a function {_signature(leaf)}", cure)
    return leaf


def check_delays(border, leaves, low, high) -> None:
    """Refuse constant delays outside their bounds, where numbers are known."""
    constants = [jnp.ravel(leaf) for leaf in leaves if not callable(leaf)]
    if is_traced((low, high, constants)) or not constants:
        return
    delays = jnp.concatenate(constants)
    where = f"{border.where}.delays"
    if not bool(jnp.all((delays >= 0) & (delays < jnp.inf))):
        raise ArgumentError(where, "must be finite and not negative", delays.min())
    if low is not None and bool(jnp.any(delays < low)):
        rule = f"must not be below min_delay = {low}"
        raise ArgumentError(where, rule, delays.min(), "Lower min_delay")
    if high is not None and bool(jnp.any(delays > high)):
        raise ArgumentError(where, f"must not exceed max_delay = {high}", delays.max(), "Raise max_delay")


def _part(border, leaf, args) -> jax.Array | Callable:
    """Return a delay that depends on time or state as a function (t, y) of magnitudes."""
    if not callable(leaf):
        return leaf
    return lambda t, y: border.time("delays", leaf(border.with_time_unit(t), border.unravel(y), args))


def _values(part: Any, t: Any, y: Any) -> Any:
    return part(t, y) if callable(part) else part


def _signature(function):
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "without a signature"


def check_right_side(where: str, f: Callable) -> None:
    """Refuse what is no function of ``(t, y, delayed, args)``, delayed slopes among its arguments or not."""
    if takes(f, 4, unsaid=False):
        return
    cure = ""
    if any(takes(f, n) for n in (5, 6, 7)):
        cure = (
            "Neutral equations, whose right side reads slopes of the past, cannot be solved here: "
            "their kinks are not smoothed from one delay to the next"
        )
    elif takes(f, 3):
        cure = "The delayed state comes between y and args"
    raise ArgumentError(
        f"{where}.f", "must be a function of (t, y, delayed, args)", f"a function {_signature(f)}", cure
    )


def _selection(border, coupled, structure):
    """Return the flat indices that ``coupled`` selects, one array per leaf, and their units."""

    def select(flat):
        return jax.tree.flatten(coupled(border.unravel(flat)), is_leaf=is_quantity)

    with jax.ensure_compile_time_eval():
        leaves, got = select(jnp.arange(border.size, dtype=border.dtype))
        probe = jnp.asarray(np.random.default_rng(0).uniform(size=border.size), border.dtype)
        probed, _ = select(probe)
        if got != structure:
            rule = f"must return one array per leaf of delays, {structure}"
            raise ArgumentError(f"{border.where}.coupled", rule, got)
        indices = [np.real(np.asarray(u.get_magnitude(leaf))).astype(int) for leaf in leaves]
        for index, value in zip(indices, probed, strict=True):
            if not np.array_equal(np.asarray(u.get_magnitude(value)), np.asarray(probe)[index % border.size]):
                raise ArgumentError(
                    f"{border.where}.coupled",
                    "must select entries of the state",
                    "computed values",
                    "Compute in f",
                )
    return indices, tuple(u.get_unit(leaf) for leaf in leaves)


def _is_delay(x):
    return isinstance(x, u.Quantity) or callable(x) or callable(getattr(x, "value", None))
