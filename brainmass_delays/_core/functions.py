"""Functions that users give: the variables they use, and how they travel with the object that holds them."""

import builtins
import dis
import functools
import importlib
import inspect
import io
import marshal
import pickle
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import brainstate
import brainunit as u
import jax
import numpy as np

from .states import LOCK

FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
# What a search for Params does not look into.
PLAIN = (
    str,
    bytes,
    int,
    float,
    complex,
    np.ndarray,
    np.generic,
    jax.Array,
    u.Quantity,
    type,
    types.ModuleType,
)


def variables_of(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function knows by name: globals that it uses, also in functions it defines, variables of
    the functions around it, and defaults of its arguments."""
    names = set(_names(function.__code__))
    used = {name: value for name, value in function.__globals__.items() if name in names}
    return used | _closure(function) | _defaults(function)


def _names(code: types.CodeType) -> Iterator[str]:
    # ``co_names`` lists attributes too: ``model.speed`` does not read a global ``speed``.
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _closure(function):
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}


def _is_filled(cell):
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _defaults(function):
    names = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in names if each.default is not each.empty}


def parts_of(value: Any) -> list[tuple[str | None, Any]]:
    """Return what a function uses, or a container or a plain object holds, with names where they have any."""
    if isinstance(value, PLAIN) or value is None:
        return []
    if inspect.isfunction(value):
        return list(variables_of(value).items())
    if inspect.ismethod(value):
        return [(None, value.__self__), (None, value.__func__)]
    if isinstance(value, functools.partial):
        return [(None, value.func), (None, value.args), (None, value.keywords)]
    if isinstance(value, Mapping):
        return [(key if isinstance(key, str) else None, item) for key, item in value.items()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [(None, item) for item in value]
    return [*_slots(value).items(), *getattr(value, "__dict__", {}).items()]


def _slots(value):
    members = {name: member for kind in type(value).__mro__ for name, member in vars(kind).items()}
    slots = [name for name, member in members.items() if inspect.ismemberdescriptor(member)]
    return {name: getattr(value, name) for name in slots if hasattr(value, name)}


def copied(original: brainstate.graph.Node, made: brainstate.graph.Node, memo: dict) -> brainstate.graph.Node:
    """Let functions and plain objects in a copy made by brainstate use the Params and states of the copy."""
    for find in (brainstate.graph.nodes, brainstate.graph.states):
        ours = find(made)
        memo.update({id(value): ours[path] for path, value in find(original).items()})
    holders = [vars(node) for node in brainstate.graph.nodes(made).values()]
    shared: dict[int, Any] = {}
    for holder in holders:
        _replaced(list(holder.values()), _is_shared, lambda each: shared.setdefault(id(each), each))
    own = dict(zip(shared, _own(list(shared.values()), memo), strict=True))
    for holder in holders:
        holder.update(
            {name: _replaced(value, _is_shared, lambda each: own[id(each)]) for name, value in holder.items()}
        )
    return made


def _is_shared(value):
    """Tell whether brainstate shares between copies what may read Params and states of one of them."""
    if isinstance(value, list | tuple | set | dict | brainstate.State | brainstate.graph.Node):
        return False
    return _is_live(value)


def _own(value: Any, memo: dict) -> Any:
    """Return what a copy has in the place of a value: parts that the memo knows, copies of what reads Params
    or states, and all else as it is."""
    file = io.BytesIO()
    copier = _Copier(file, memo)
    copier.dump(value)
    return _Loader(io.BytesIO(file.getvalue()), copier.known).load()


class _Copier(pickle.Pickler):
    """Pickle what has to be copied, within one process."""

    def __init__(self, file: io.BytesIO, memo: dict):
        super().__init__(file, protocol=5)
        self.known = memo

    def persistent_id(self, obj: Any) -> int | None:
        if id(obj) not in self.known:
            if _is_live(obj) and not _is_wrapped(obj):
                return None
            self.known[id(obj)] = obj
        return id(obj)

    def reducer_override(self, obj: Any) -> Any:
        return _reduced(obj, lambda value: value) if inspect.isfunction(obj) else NotImplemented


class _Loader(pickle.Unpickler):
    """Read what a `_Copier` has written."""

    def __init__(self, file: io.BytesIO, known: dict):
        super().__init__(file)
        self.known = known

    def persistent_load(self, pid: int) -> Any:
        return self.known[pid]


def _is_wrapped(value):
    """Tell whether a value is a compiled or caching function, which belongs to its process."""
    return callable(value) and hasattr(value, "__wrapped__") and not isinstance(value, FUNCTIONS)


class Portable:
    """Copy and pickle an object with the functions that it holds: they read the Params and states of the
    copy, where brainstate's own copy would leave them those of the original."""

    def __deepcopy__(self, memo: dict) -> Any:
        with LOCK:
            return copied(self, super().__deepcopy__(memo), memo)

    def __getstate__(self) -> dict[str, Any]:
        return {name: _carried(value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: _released(value) for name, value in state.items()})


class _Carried:
    """Stand for a function in a pickle, where Python would refuse it."""

    def __init__(self, original: Any):
        self.original = original

    def __reduce__(self):
        function = self.original
        if isinstance(function, functools.partial):
            args = (_carried(function.func), *_carried(function.args))
            return _made, (functools.partial, args, _carried(function.keywords))
        if inspect.ismethod(function):
            return getattr, (_carried(function.__self__), function.__name__)
        return _imported(function) or _reduced(function, _carried)


# One for each function, so that a pickle knows again a function that uses itself.
_CARRIERS: weakref.WeakValueDictionary[int, _Carried] = weakref.WeakValueDictionary()


def _imported(function):
    """Return how to import a function, or None."""
    if function.__module__ == "__main__" or _is_live(function):
        return None
    module = sys.modules.get(function.__module__)
    found = functools.reduce(
        lambda owner, name: getattr(owner, name, None), function.__qualname__.split("."), module
    )
    return (getattr, (_Module(module), function.__qualname__)) if found is function else None


class _Module:
    """Stand for a module in a pickle."""

    def __init__(self, module: types.ModuleType):
        self.original = module

    def __reduce__(self):
        return importlib.import_module, (self.original.__name__,)


def _is_live(value: Any) -> bool:
    """Tell whether a value is, holds or uses a Param, a state or a module with states."""
    seen, waiting = {}, [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, brainstate.State | brainstate.graph.Node):
            return True
        if id(value) not in seen:
            seen[id(value)] = value  # kept, so that no other value has its id
            waiting += [part for _, part in parts_of(value)]
    return False


def _made(kind, args, keywords):
    return kind(*args, **keywords)


def _reduced(function: types.FunctionType, own: Callable[[Any], Any]) -> tuple:
    """Return how `pickle` makes a function: first an empty one, as functions may use themselves and each
    other, then its variables, passed through ``own``."""
    names = (function.__module__, function.__name__, function.__qualname__)
    used = set(_names(function.__code__)) & function.__globals__.keys()
    variables = {name: own(function.__globals__[name]) for name in used}
    state = (variables, own(_closure(function)), own(function.__defaults__), own(function.__kwdefaults__))
    return _empty, (marshal.dumps(function.__code__), names), state, None, None, _fill


def _empty(code, names):
    module, name, qualname = names
    code = marshal.loads(code)
    cells = tuple(types.CellType() for _ in code.co_freevars)
    known = {"__builtins__": builtins, "__name__": module}
    function = types.FunctionType(code, known, name, None, cells)
    function.__qualname__ = qualname
    return function


def _fill(function, state):
    variables, closure, function.__defaults__, function.__kwdefaults__ = state
    function.__globals__.update(variables)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name in closure:
            cell.cell_contents = closure[name]


def _carried(value: Any) -> Any:
    """Return a value with stand-ins for the functions and modules in it."""
    return _replaced(value, lambda each: isinstance(each, (*FUNCTIONS, types.ModuleType)), _stand_in)


def _stand_in(value):
    if inspect.ismodule(value):
        return _Module(value)
    return _CARRIERS.setdefault(id(value), _Carried(value))


def _released(value: Any) -> Any:
    """Return a value with what its stand-ins stand for: a shallow copy copies no function."""
    return _replaced(value, lambda each: isinstance(each, _Carried | _Module), lambda each: each.original)


def _replaced(value, is_one, by):
    """Replace what ``is_one`` says, also in plain containers."""
    if is_one(value):
        return by(value)
    if type(value) in (list, tuple, set):
        return type(value)(_replaced(item, is_one, by) for item in value)
    if type(value) is dict:
        return {key: _replaced(item, is_one, by) for key, item in value.items()}
    return value
