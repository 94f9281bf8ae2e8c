"""What each delay reads: between the delays and delayed states of the caller and flat lists of reads."""

from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.status import DELAY_ABOVE_BOUND, flag, is_traced
from .border import Border
from .breakpoints import distinct, generations, propagate


@dataclass(frozen=True)
class Reads:
    """Translate between the delays and delayed states of the caller and flat lists of reads."""

    border: Border
    structure: Any
    shapes: tuple
    delays: jax.Array  # [read]
    units: tuple | None  # of the coupled arrays; None for snapshots
    component: np.ndarray | None
    kept: np.ndarray  # components of the state on the tape

    @classmethod
    def of(cls, border, delays, bound, coupled, keep_all):
        """Resolve live delays, check them, and find what each of them reads."""
        leaves, structure = jax.tree.flatten(delays, is_leaf=_is_delay)
        leaves = [border.time("delays", leaf) for leaf in map(_resolve, leaves)]
        units = component = None
        kept = np.arange(border.size)
        if coupled is not None:
            indices, units = _selection(border, coupled, structure)
            shapes = [np.broadcast_shapes(d.shape, i.shape) for d, i in zip(leaves, indices, strict=True)]
            leaves = [jnp.broadcast_to(d, shape) for d, shape in zip(leaves, shapes, strict=True)]
            indices = [np.broadcast_to(i, shape).ravel() for i, shape in zip(indices, shapes, strict=True)]
            component = np.concatenate(indices)
            kept = kept if keep_all else np.unique(component)
        flat = jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])
        reads = cls(border, structure, tuple(leaf.shape for leaf in leaves), flat, units, component, kept)
        reads._check(bound)
        return reads

    @property
    def column(self):
        """Columns of the tape that the edges read."""
        return None if self.component is None else np.searchsorted(self.kept, self.component)

    def _check(self, bound):
        if is_traced((self.delays, bound)):
            return
        where = f"{self.border.where}.delays"
        if not bool(jnp.all((self.delays >= 0) & (self.delays < jnp.inf))):
            raise ArgumentError(where, "must be finite and not negative", self.delays.min())
        if bound is not None and bool(jnp.any(self.delays > bound)):
            raise ArgumentError(
                where, f"must not exceed max_delay = {bound}", self.delays.max(), "Raise max_delay"
            )

    def status(self, bound):
        """Return the flag of delays outside their bounds; NaN is outside."""
        inside = (self.delays >= 0) & (self.delays <= (jnp.inf if bound is None else bound))
        return flag(~jnp.all(inside), DELAY_ABOVE_BOUND)

    def assemble(self, values):
        """Return the delayed states of one stage as ``f`` receives them."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        parts = zip(jnp.split(values, ends), self.shapes, strict=True)
        if self.units is None:
            leaves = [self.border.unravel(part.reshape(shape + part.shape[1:])) for part, shape in parts]
        else:
            leaves = [
                _with_unit(part.reshape(shape), unit)
                for (part, shape), unit in zip(parts, self.units, strict=True)
            ]
        return jax.tree.unflatten(self.structure, leaves)

    def kinks(self, roots, n_generations, order):
        """Return the kinks that follow the roots by up to ``n_generations`` delays."""
        delays = self.delays if is_traced(self.delays) else jnp.asarray(distinct(self.delays), roots.dtype)
        if n_generations is None:
            n_generations = generations(len(delays), order)
        return propagate(roots, delays, check_count(f"{self.border.where}.kinks", n_generations, 0))


def _selection(border, coupled, structure):
    """Return the flat indices that ``coupled`` selects, one array per leaf, and their units."""

    def select(flat):
        return jax.tree.flatten(coupled(border.unravel(flat)), is_leaf=lambda x: isinstance(x, u.Quantity))

    with jax.ensure_compile_time_eval():
        leaves, got = select(jnp.arange(border.size, dtype=border.dtype))
        probe = jnp.asarray(np.random.default_rng(0).uniform(size=border.size), border.dtype)
        probed, _ = select(probe)
        if got != structure:
            rule = f"must return one array per leaf of delays, {structure}"
            raise ArgumentError(f"{border.where}.coupled", rule, got)
        indices = [np.asarray(u.get_magnitude(leaf)).real.astype(int) for leaf in leaves]
        for index, value in zip(indices, probed, strict=True):
            if not np.array_equal(np.asarray(u.get_magnitude(value)), np.asarray(probe)[index % border.size]):
                raise ArgumentError(
                    f"{border.where}.coupled",
                    "must select entries of the state",
                    "computed values",
                    "Compute in f",
                )
    return indices, tuple(u.get_unit(leaf) for leaf in leaves)


def _with_unit(value, unit):
    return value if unit.is_unitless else value * unit


def _is_delay(x):
    return isinstance(x, u.Quantity) or callable(x) or callable(getattr(x, "value", None))


def _resolve(delay):
    """Return the value of a live delay: a ``Param`` or a zero-argument callable."""
    if callable(getattr(delay, "value", None)):
        return delay.value()
    return delay() if callable(delay) else delay
