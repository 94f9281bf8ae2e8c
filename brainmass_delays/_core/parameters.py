"""The trainable parameters of a model: found by name, read and set with units, stored without constraints."""

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Module, Param

from .checks import ArgumentError, check_choice
from .params import bounds_of
from .units import magnitude


@dataclass(frozen=True)
class Parameter:
    """One trainable parameter: the state an optimizer moves, and the `Param` that constrains it, if any."""

    name: str
    state: brainstate.ParamState
    param: Param | None = None

    @property
    def is_scalar(self) -> bool:
        """Whether the value is one number."""
        leaves = jax.tree.leaves(self.state.value)
        return len(leaves) == 1 and np.size(leaves[0]) == 1

    def value(self) -> Any:
        """Return the constrained value with its unit."""
        return self.state.value if self.param is None else self.param.value()

    def set(self, value: Any, where: str) -> None:
        """Store a constrained value, which may be a plain number in the parameter's unit."""
        self.state.value = self.unconstrained(value, where)

    def unconstrained(self, value: Any, where: str) -> Any:
        """Return a constrained value as the state stores it."""
        now = self.value()
        unit = u.get_unit(now)
        number = jnp.asarray(magnitude(where, value, unit))
        if number.ndim and number.shape != now.shape:
            raise ArgumentError(where, f"must have the shape of the parameter, {now.shape}", number.shape)
        value = u.maybe_decimal(jnp.broadcast_to(number, now.shape) * unit)
        free = value if self.param is None else self.param.t.inverse(value)
        # The exact type of the old value: a new one would compile the loss again.
        return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), free, self.state.value)

    def box(self) -> tuple[Any, Any] | None:
        """Return the bounds of the transform if both are finite."""
        bounds = (None, None) if self.param is None else bounds_of(self.param)
        return None if any(bound is None for bound in bounds) else bounds


def find_parameters(model: Module) -> dict[str, Parameter]:
    """Return the trainable parameters of a model by dotted name, the shortest where there are several."""
    paths, params = _paths(model), {}
    for node in model.nodes().values():
        for value in (node, *vars(node).values()):
            if isinstance(value, Param) and value.fit:
                params[id(value.val)] = value
    full = {}
    for path, state in model.states(brainstate.ParamState).items():
        owner = params.get(id(state), state)
        found = paths.get(id(owner), tuple(map(str, path)))
        full[found] = Parameter("", state, params.get(id(state)))
    names = _names(list(full))
    found = {names[path]: Parameter(names[path], part.state, part.param) for path, part in full.items()}
    return dict(sorted(found.items()))


# Parts of a path that say how a model is built, not which parameter is meant.
PLUMBING = {"populations", "projections", "delay", "params", "source_read", "target_read", "past", "pasts"}


def _paths(model: Module) -> dict[int, tuple[str, ...]]:
    """Return the shortest path to every module and state that a model reaches, as a reader would write it."""
    found: dict[int, tuple[str, ...]] = {}
    waiting = [(0, (), 0, model)]
    while waiting:
        _, path, _, value = heapq.heappop(waiting)
        if id(value) in found:
            continue
        found[id(value)] = _without_plumbing(path) if path else ()
        for name, child in _children(value):
            longer = (*path, name)
            heapq.heappush(waiting, (len(_without_plumbing(longer)), longer, id(child), child))
    return found


def _children(value: Any) -> list[tuple[str, Any]]:
    """List what hangs below a module or a container."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    elif isinstance(value, brainstate.graph.Node):
        hidden = getattr(value, "graph_invisible_attrs", ())
        items = [(name, child) for name, child in vars(value).items() if name not in hidden]
    else:
        return []
    kinds = (brainstate.graph.Node, brainstate.State, Mapping, list, tuple)
    return [(str(name), child) for name, child in items if isinstance(child, kinds)]


def _without_plumbing(path: tuple) -> tuple[str, ...]:
    """Return a path as a reader would write it."""
    *inner, last = map(str, path)
    return *(part for part in inner if part not in PLUMBING), last


def _names(paths: list[tuple[str, ...]]) -> dict[tuple, str]:
    """Return the names of paths, without the name of an only projection and the inputs of a noise if they are
    still different."""
    short = {path: ".".join(p for p in path if p != "projection" and "." not in p) for path in paths}
    counts = Counter(short.values())
    return {path: name if counts[name] == 1 else ".".join(path) for path, name in short.items()}


def find_by_name(where: str, name: str, parameters: dict[str, Parameter]) -> Parameter:
    """Return the parameter of a name, or of an ending of its name that no other one has."""
    if isinstance(name, str) and name not in parameters:
        ends = [full for full in parameters if full.endswith(f".{name}")]
        if len(ends) > 1:
            cure = f"Write one of {', '.join(ends)}"
            raise ArgumentError(where, "must name one parameter", repr(name), cure)
        name = ends[0] if ends else name
    return parameters[check_choice(where, name, parameters)]


def stored(parameters: dict[str, Parameter]) -> dict[str, Any]:
    """Return the unconstrained values, as the optimizer sees them."""
    return {name: parameter.state.value for name, parameter in parameters.items()}


def store(parameters: dict[str, Parameter], values: dict[str, Any]) -> None:
    """Put unconstrained values back."""
    for name, value in values.items():
        parameters[name].state.value = value


def constrained(parameters: dict[str, Parameter]) -> dict[str, Any]:
    """Return the constrained values with their units."""
    return {name: parameter.value() for name, parameter in parameters.items()}


def search_box(
    parameters: dict[str, Parameter], search_space: dict[str, tuple]
) -> dict[str, tuple[Any, Any]]:
    """Return low and high of every parameter, from ``search_space`` or else from its transform."""
    boxes = {}
    for name, parameter in parameters.items():
        box = search_space.get(name, parameter.box())
        if box is None:
            raise ArgumentError(
                "Fitter.search_space",
                f"must hold {name!r}, which has no bounded transform",
                None,
                f"Pass search_space={{{name!r}: (low, high)}} or Param(..., t=SigmoidT(low, high))",
            )
        boxes[name] = _shaped_box(parameter, box)
    return boxes


def check_search_space(parameters: dict[str, Parameter], search_space: dict[str, tuple]) -> None:
    """Refuse names that are no parameters and bounds that are no interval."""
    for name, box in search_space.items():
        _shaped_box(find_by_name("Fitter.search_space", name, parameters), box)


def _shaped_box(parameter: Parameter, box: tuple) -> tuple[Any, Any]:
    """Return ``box`` with the unit and the shape of the parameter."""
    where = f"Fitter.search_space[{parameter.name!r}]"
    if not (isinstance(box, tuple | list) and len(box) == 2):
        raise ArgumentError(where, "must be a pair (low, high)", repr(box))
    now = parameter.value()
    unit = u.get_unit(now)
    low, high = (np.broadcast_to(np.asarray(magnitude(where, edge, unit), float), now.shape) for edge in box)
    if not np.all(np.isfinite(low) & np.isfinite(high) & (low < high)):
        raise ArgumentError(where, "low must be below high, both finite", f"({box[0]}, {box[1]})")
    return u.maybe_decimal(low * unit), u.maybe_decimal(high * unit)
