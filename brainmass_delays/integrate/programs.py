"""Compile a function of arrays once for all calls that trace to the same program.

Whether two calls are the same cannot be told from their functions: what these read may have changed. So
every call traces, and programs are compared equation by equation. Arrays that a function closes over are
arguments of its program; numbers and small constants are part of it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import linear_util
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from .._core.status import is_traced
from .checkpointing import TapeLoop

MOST_PROGRAMS = 64
NUMBERS = (int, float, complex, np.ndarray, np.generic)
SCRATCH = {"DebugInfo", "Store", "EqualStore", "DynamicJaxprTrace"}  # differ between traces, mean nothing
CACHES = {"cells", "sentinel"}  # of JAX's own closures
_programs: OrderedDict = OrderedDict()
_lock = threading.Lock()


def run_compiled(function: Callable[[Any], Any], argument: Any) -> Any:
    """Return ``function(argument)``, compiled; arrays in ``argument`` may be traced.

    Leaves of ``argument`` that are no JAX arrays are part of the program.
    """
    leaves, structure = jax.tree.flatten(argument)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]

    def of_arrays(arrays):
        full = list(leaves)
        for place, array in zip(places, arrays, strict=True):
            full[place] = array
        return function(jax.tree.unflatten(structure, full))

    arrays = [leaves[i] for i in places]
    closed, out = jax.make_jaxpr(of_arrays, return_shape=True)(arrays)
    found = find_program(closed)(closed.consts, arrays)
    return jax.tree.unflatten(jax.tree.structure(out), found)


def as_arrays(tree: Any) -> Any:
    """Return ``tree`` with its numbers as arrays, so that a program does not depend on them."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, NUMBERS) else x, tree)


def as_axis(values: Any) -> Any:
    """Return a list of numbers as one array; anything else as it is."""
    plain = isinstance(values, list | tuple) and all(isinstance(x, NUMBERS) for x in values)
    return np.asarray(values) if plain else values


def find_program(closed: ClosedJaxpr) -> Callable:
    """Return ``(consts, arguments) -> leaves``, compiled, for a program that equals this one."""
    key = fingerprint(closed.jaxpr)
    with _lock:
        program = _programs.get(key)
        if program is None:
            jaxpr = closed.jaxpr
            program = _programs[key] = jax.jit(
                lambda consts, args: jaxpr_as_fun(ClosedJaxpr(jaxpr, consts))(*args)
            )
        _programs.move_to_end(key)
        while len(_programs) > MOST_PROGRAMS:
            _programs.popitem(last=False)
    return program


def fingerprint(jaxpr: Jaxpr) -> tuple:
    """Return a hashable value that is equal for two programs only if they compute the same."""
    names: dict = {}

    def name(var):
        return names.setdefault(var, len(names)), var.aval

    def atom(x):
        if isinstance(x, Literal):
            return "literal", x.aval, _constant(x.val)
        return names[x] if x in names else name(x)

    heads = tuple(name(v) for v in (*jaxpr.constvars, *jaxpr.invars)), len(jaxpr.constvars)
    equations = tuple(
        (
            equation.primitive,
            tuple(atom(x) for x in equation.invars),
            tuple(name(v) for v in equation.outvars),
            tuple((k, _parameter(v)) for k, v in sorted(equation.params.items()) if k != "out_trees"),
        )
        for equation in jaxpr.eqns
    )
    return heads, equations, tuple(atom(x) for x in jaxpr.outvars)


class _Same:
    """Compare an object by identity, and keep it alive so that no other takes its place."""

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return id(self.value)

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value


def _parameter(value):
    """Return what identifies a parameter of an equation."""
    if isinstance(value, ClosedJaxpr):
        return fingerprint(value.jaxpr), tuple(_constant(c) for c in value.consts)
    if isinstance(value, Jaxpr):
        return fingerprint(value)
    if isinstance(value, tuple | list):
        return type(value), tuple(_parameter(v) for v in value)
    if isinstance(value, dict):
        return dict, tuple((_parameter(k), _parameter(v)) for k, v in value.items())
    if type(value).__name__ in SCRATCH:
        return type(value)
    if isinstance(value, linear_util.WrappedFun):  # the rule of a custom derivative
        steps = tuple((_function(step), _parameter(params)) for step, params in value.transforms)
        return _function(value.f), steps
    if isinstance(value, np.ndarray | jax.Array):
        return _constant(value)
    if callable(value):
        return _function(value)
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    return type(value), value


def _function(function):
    """Identify a function by itself; a closure that JAX makes anew in every trace by what it holds."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, TapeLoop):  # its rules follow from its program
        return TapeLoop, function.__name__, owner.max_steps
    if type(function).__name__ == "ClosedRule":
        return _function(function.rule)
    inner = getattr(function, "__qualname__", ""), getattr(function, "__module__", None) or ""
    if "<locals>" not in inner[0] or not inner[1].startswith("jax._src."):
        return _Same(function)
    names = function.__code__.co_freevars
    cells = [
        (name, _parameter(cell.cell_contents))
        for name, cell in zip(names, function.__closure__ or (), strict=True)
        if name not in CACHES
    ]
    return function.__code__, tuple(cells)


def _constant(value):
    """Identify an array by its contents; one whose contents are not known by itself."""
    if is_traced(value) or jnp.issubdtype(getattr(value, "dtype", np.dtype(object)), jax.dtypes.extended):
        return _Same(value)
    array = np.asarray(value)
    if array.dtype == object:
        return _Same(value)
    return array.dtype, array.shape, getattr(value, "weak_type", False), array.tobytes()
