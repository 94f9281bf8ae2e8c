"""The trainable parameters of a model: found by name, read and set with units, stored without constraints."""

from dataclasses import dataclass
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Module, Param

from .._core.checks import ArgumentError, check_choice
from .._core.units import magnitude


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
        transform = getattr(self.param, "t", None)
        low, width, high = (getattr(transform, edge, None) for edge in ("lower", "width", "upper"))
        if low is None or (width is None and high is None):
            return None
        return low, (low + width if high is None else high)


def find_parameters(model: Module) -> dict[str, Parameter]:
    """Return the trainable parameters of a model by dotted name, the shortest where there are several."""
    nodes = model.nodes()
    params: dict[int, Param] = {}
    paths: dict[int, list[tuple]] = {}
    for path, node in nodes.items():
        candidates = [(path, node)] + [((*path, name), value) for name, value in vars(node).items()]
        for candidate, value in candidates:
            if isinstance(value, Param) and value.fit:
                params[id(value.val)] = value
                paths.setdefault(id(value.val), []).append(candidate)
    found = {}
    for path, state in model.states(brainstate.ParamState).items():
        path = min(paths.get(id(state), [path]), key=len)
        name = ".".join(map(str, path))
        found[name] = Parameter(name, state, params.get(id(state)))
    return dict(sorted(found.items()))


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
        check_choice("Fitter.search_space", name, parameters)
        _shaped_box(parameters[name], box)


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
