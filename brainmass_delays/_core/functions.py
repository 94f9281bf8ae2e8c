"""Functions that users give: the variables they use, and how they travel with the object that holds them."""

import builtins
import copy
import functools
import importlib
import inspect
import marshal
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import brainstate

FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)


def variables_of(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function knows by name: globals that it uses, also in functions it defines, variables of
    the functions around it, and defaults of its arguments."""
    names = set(_names(function.__code__))
    used = {name: value for name, value in function.__globals__.items() if name in names}
    return used | _closure(function) | _defaults(function)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
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


def copied(original: brainstate.graph.Node, made: brainstate.graph.Node, memo: dict) -> brainstate.graph.Node:
    """Let the functions in a copy that brainstate made use the modules, Params and states of the copy."""
    for find in (brainstate.graph.nodes, brainstate.graph.states):
        ours = find(made)
        memo.update({id(value): ours[path] for path, value in find(original).items()})
    for node in brainstate.graph.nodes(made).values():
        for name, value in vars(node).items():
            vars(node)[name] = _replaced(value, FUNCTIONS, lambda each: copy.deepcopy(_Carried(each), memo))
    return made


class Portable:
    """Copy and pickle an object with the functions that it holds: they read the Params and states of the
    copy, where brainstate's own copy would leave them those of the original."""

    def __deepcopy__(self, memo: dict) -> Any:
        return copied(self, super().__deepcopy__(memo), memo)

    def __getstate__(self) -> dict[str, Any]:
        return {name: _carried(value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: _released(value) for name, value in state.items()})


class _Carried:
    """Stand for a function in a copy or a pickle, where Python would share it or refuse it."""

    def __init__(self, original: Any):
        self.original = original

    def __deepcopy__(self, memo: dict) -> Any:
        if not _is_live(self.original, set()):
            return self.original
        return _made(*self._parts(lambda value: _own(value, memo)))

    def __reduce__(self):
        function = self.original
        if (
            inspect.isfunction(function)
            and function.__module__ != "__main__"
            and not _is_live(function, set())
        ):
            module = sys.modules.get(function.__module__)
            found = functools.reduce(
                lambda owner, name: getattr(owner, name, None), function.__qualname__.split("."), module
            )
            if found is function:
                return getattr, (_Module(module), function.__qualname__)
        return _made, self._parts(_carried)

    def _parts(self, own):
        """Return what makes the function again, its variables passed through ``own``."""
        function = self.original
        if isinstance(function, functools.partial):
            return functools.partial, (own(function.func), *own(function.args)), own(function.keywords)
        if inspect.ismethod(function):
            return getattr, (own(function.__self__), function.__name__), {}
        return _function, _function_parts(function, own), {}


class _Module:
    """Stand for a module in a pickle."""

    def __init__(self, module: types.ModuleType):
        self.original = module

    def __deepcopy__(self, memo: dict) -> types.ModuleType:
        return self.original

    def __reduce__(self):
        return importlib.import_module, (self.original.__name__,)


def _is_live(value, seen):
    """Tell whether a value is, holds or uses a Param, a state or a module with states."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, brainstate.State | brainstate.graph.Node):
        return True
    if inspect.isfunction(value):
        value = variables_of(value)
    if isinstance(value, functools.partial):
        value = (value.func, value.args, value.keywords)
    if inspect.ismethod(value):
        value = (value.__self__, value.__func__)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return isinstance(value, list | tuple | set) and any(_is_live(item, seen) for item in value)


def _own(value, memo):
    """Return what a copy has in the place of a value that a function uses."""
    if not _is_live(value, set()):
        return value
    if not isinstance(value, brainstate.graph.Node) or id(value) in memo:
        return copy.deepcopy(_carried(value), memo)
    memo[id(value)] = made = object.__new__(type(value))
    vars(made).update({name: _own(item, memo) for name, item in vars(value).items()})
    return made


def _made(kind, args, keywords):
    return kind(*args, **keywords)


def _function_parts(function, own):
    variables = variables_of(function)
    names = set(_names(function.__code__))
    return (
        marshal.dumps(function.__code__),
        (function.__module__, function.__name__, function.__qualname__),
        {name: own(variables[name]) for name in names & function.__globals__.keys() & variables.keys()},
        own(_closure(function)),
        own(function.__defaults__),
        own(function.__kwdefaults__),
    )


def _function(code, names, variables, closure, defaults, keyword_defaults) -> types.FunctionType:
    module, name, qualname = names
    code = marshal.loads(code)
    cells = tuple(
        types.CellType(closure[each]) if each in closure else types.CellType() for each in code.co_freevars
    )
    known = {"__builtins__": builtins, "__name__": module, **variables}
    function = types.FunctionType(code, known, name, defaults, cells)
    function.__kwdefaults__, function.__qualname__ = keyword_defaults, qualname
    return function


def _carried(value: Any) -> Any:
    """Return a value with stand-ins for the functions and modules in it."""
    kinds = (*FUNCTIONS, types.ModuleType)
    return _replaced(value, kinds, lambda each: (_Module if inspect.ismodule(each) else _Carried)(each))


def _released(value: Any) -> Any:
    """Return a value with what its stand-ins stand for: a shallow copy copies no function."""
    return _replaced(value, (_Carried, _Module), lambda each: each.original)


def _replaced(value, kinds, by):
    """Replace what is of some kinds, also in plain containers and partial functions."""
    if isinstance(value, kinds):
        return by(value)
    if type(value) in (list, tuple, set):
        return type(value)(_replaced(item, kinds, by) for item in value)
    if type(value) is dict:
        return {key: _replaced(item, kinds, by) for key, item in value.items()}
    return value
