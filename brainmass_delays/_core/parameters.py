"""The parameters of a model: found by name, read and set with units, stored without constraints."""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import brainstate
import brainunit as u
import jax
import numpy as np
from brainstate.nn import Module, Param

from .checks import ArgumentError, check_choice, check_flag
from .functions import parts_of
from .param import as_stored, bounds_of, check_numbers, set_param
from .states import put
from .units import magnitude


@dataclass(frozen=True)
class Parameter:
    """One parameter: the state that an optimizer moves, if trained, and the `Param` around it, if any."""

    name: str
    state: brainstate.ParamState | None
    param: Param | None = None

    @property
    def is_trained(self) -> bool:
        """Whether an optimizer moves it."""
        return self.state is not None and (self.param is None or self.param.fit)

    @property
    def is_scalar(self) -> bool:
        """Whether the value is one number."""
        leaves = jax.tree.leaves(self.value())
        return len(leaves) == 1 and np.size(leaves[0]) == 1

    def value(self) -> Any:
        """Return the constrained value with its unit."""
        return self.state.value if self.param is None else self.param.value()

    def held(self) -> Any:
        """Return the value as it is stored."""
        return self.param.val if self.state is None else self.state.value

    def put(self, held: Any) -> None:
        """Store a value as it was stored before."""
        if self.state is None:
            self.param.clear_cache()
            self.param.val = held
        else:
            self.state.value = held

    def set(self, value: Any, where: str) -> None:
        """Store a constrained value, which may be a plain number in the parameter's unit."""
        if self.param is None:
            check_numbers(where, value, finite=True)
            self.state.value = self.unconstrained(value, where)
        else:
            set_param(where, self.param, value)

    def unconstrained(self, value: Any, where: str) -> Any:
        """Return a constrained value as the state stores it."""
        transform = None if self.param is None else self.param.t
        held = self.state.value
        now = held if transform is None else transform.forward(held)
        return as_stored(where, value, now, held, transform)

    def box(self) -> tuple[Any, Any] | None:
        """Return the bounds of the transform if both are finite."""
        bounds = (None, None) if self.param is None else bounds_of(self.param)
        return None if any(bound is None for bound in bounds) else bounds


def find_parameters(model: Module, *, fixed: bool = False) -> dict[str, Parameter]:
    """Return the parameters of a model by dotted name, the shortest where there are several: those that are
    trained, or all of them with ``fixed=True``."""
    paths = _paths(model)
    params = {id(part): part for part, _ in paths.values() if isinstance(part, Param)}
    owners = {id(param.val): param for param in params.values()}
    full = {}
    for path, state in model.states(brainstate.ParamState).items():
        owner = owners.get(id(state))
        found = paths[id(owner or state)][1] if id(owner or state) in paths else tuple(map(str, path))
        full[found] = Parameter("", state, owner)
    for param in params.values():
        path = paths[id(param)][1]
        # Weights that are not trained are data, and may be packed.
        if not isinstance(param.val, brainstate.State) and path[-1] != "conn":
            full[path] = Parameter("", None, param)
    names = _names(list(full))
    found = {
        names[path]: replace(part, name=names[path])
        for path, part in full.items()
        if fixed or part.is_trained
    }
    return dict(sorted(found.items()))


def get_params(model: Module, *, fixed: bool = True) -> dict[str, Any]:
    """Return the parameters of a model by name, constrained and with their units.

    Parameters
    ----------
    model : brainstate.nn.Module
        A `Network`, a node, or any Module that holds Params.
    fixed : bool, default True
        Whether those that are not trained are listed too, without weights of connections.

    Returns
    -------
    dict of str to Quantity or jax.Array

    Examples
    --------
    >>> from brainmass_delays import HopfStep, get_params, set_params
    >>> node = HopfStep(2)
    >>> set_params(node, {'a': -0.1})
    >>> print(round(float(get_params(node)['a']), 3))
    -0.1
    """
    check_flag("get_params.fixed", fixed)
    return constrained(find_parameters(_module("get_params.model", model), fixed=fixed))


def set_params(model: Module, values: Mapping[str, Any]) -> None:
    """Set parameters of a model by name, all of them or none.

    Parameters
    ----------
    model : brainstate.nn.Module
        A `Network`, a node, or any Module that holds Params.
    values : mapping of str to Quantity, float or array_like
        Constrained values by name, as `get_params` and ``FitResult.best_params`` give them, or by an ending
        of the name that no other one has. Plain numbers are in the unit of the parameter.

    Raises
    ------
    ArgumentError
        If a name is unknown, or a value is not finite, has another unit or shape or lies outside of its
        bounds; then nothing was changed.

    Examples
    --------
    >>> from brainmass_delays import JansenRitStep, get_params, set_params
    >>> node = JansenRitStep(2)
    >>> set_params(node, {'C': 108.0, 'v0': 5.5})
    >>> get_params(node)['v0']
    Quantity(5.5, "mV")
    """
    known = find_parameters(_module("set_params.model", model), fixed=True)
    if not isinstance(values, Mapping):
        raise ArgumentError("set_params.values", "must be a dict of values by name", type(values).__name__)
    pairs = [(find_by_name("set_params.values", name, known), value) for name, value in values.items()]
    before = [(parameter, parameter.held()) for parameter, _ in pairs]
    try:
        for parameter, value in pairs:
            parameter.set(value, f"set_params.values[{parameter.name!r}]")
    except BaseException:
        for parameter, held in before:
            parameter.put(held)
        raise


def _module(where: str, model: Any) -> Module:
    if not isinstance(model, Module):
        raise ArgumentError(where, "must be a brainstate.nn.Module", type(model).__name__)
    return model


# Parts of a path that say how a model is built, not which parameter is meant.
PLUMBING = {"populations", "projections", "delay", "params", "source_read", "target_read", "past", "pasts"}


def _paths(model: Module) -> dict[int, tuple[Any, tuple[str, ...]]]:
    """Return every module and state that a model reaches with its shortest path, as a reader writes it."""
    found: dict[int, tuple[Any, tuple[str, ...]]] = {}
    waiting = [(0, (), 0, model)]
    while waiting:
        _, path, _, value = heapq.heappop(waiting)
        if id(value) in found:
            continue
        found[id(value)] = value, _without_plumbing(path) if path else ()
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
    return parameters[unique_ending(where, name, parameters)]


def unique_ending(where: str, name: str, names: Collection[str]) -> str:
    """Return the one of ``names`` that is ``name`` or, alone, ends with it."""
    if isinstance(name, str) and name not in names:
        ends = [full for full in names if full.endswith(f".{name}")]
        if len(ends) > 1:
            raise ArgumentError(where, "must name one only", repr(name), f"Write one of {', '.join(ends)}")
        name = ends[0] if ends else name
    return check_choice(where, name, names)


def stored(parameters: dict[str, Parameter]) -> dict[str, Any]:
    """Return the unconstrained values, as the optimizer sees them."""
    return {name: parameter.state.value for name, parameter in parameters.items()}


def store(parameters: dict[str, Parameter], values: dict[str, Any]) -> None:
    """Put unconstrained values back."""
    for name, value in values.items():
        parameters[name].state.value = value


def stand(parameters: dict[str, Parameter], values: list[Any]) -> None:
    """Let the parameters stand at unconstrained values for a look; it is no write that hooks are told of."""
    put([parameter.state for parameter in parameters.values()], values)
    for parameter in parameters.values():
        if parameter.param is not None:
            parameter.param.clear_cache()


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


def params_behind(function: Callable) -> dict[str, Param]:
    """Find the Params that a function uses: in its closure, globals, defaults, its partial arguments, the
    object it is a method of, and in functions and containers among those.

    Names are those under which the function knows them, with a number where two Params share one.
    """
    found: dict[int, tuple[str, Param]] = {}
    _collect("param", function, found, set())
    names: dict[str, Param] = {}
    for name, param in found.values():
        unique, count = name, 1
        while unique in names:
            count += 1
            unique = f"{name}_{count}"
        names[unique] = param
    return names


def _collect(name, value, found, seen):
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Param):
        found[id(value)] = name, value
    elif isinstance(value, brainstate.graph.Node):
        for path, param in value.nodes(Param).items():
            found.setdefault(id(param), (str(path[-1]) if path else name, param))
    else:
        for key, item in parts_of(value):
            _collect(key if key is not None and key.isidentifier() else name, item, found, seen)
