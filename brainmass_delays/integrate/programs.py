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
import numpy as np
from jax.extend import linear_util
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from .checkpointing import TapeLoop

MOST_PROGRAMS = 64
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
    if isinstance(value, ClosedJaxpr):
        return fingerprint(value.jaxpr), tuple(_constant(c) for c in value.consts)
    if isinstance(value, Jaxpr):
        return fingerprint(value)
    if isinstance(value, tuple | list):
        return type(value), tuple(_parameter(v) for v in value)
    if isinstance(value, dict):
        return dict, tuple((_parameter(k), _parameter(v)) for k, v in value.items())
    if isinstance(value, linear_util.WrappedFun):
        return _wrapped(value)
    if isinstance(value, np.ndarray | jax.Array):
        return _constant(value)
    if callable(value):
        return _function(value)
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    return type(value), value


def _wrapped(value):
    """Return what identifies the rule of a custom derivative: its function and how it is called."""
    steps = tuple((_function(step), _parameter(params)) for step, params in value.transforms)
    return _function(value.f), steps, _parameter(value.in_type)


def _function(function):
    """Identify a function by itself; the rules of a loop over a tape follow from its program."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, TapeLoop):
        return TapeLoop, function.__name__, owner.max_steps
    return _Same(function)


def _constant(value):
    """Identify an array by its contents; one whose contents are not known by itself."""
    if isinstance(value, jax.core.Tracer) or jax.dtypes.issubdtype(
        getattr(value, "dtype", np.dtype(object)), jax.dtypes.extended
    ):
        return _Same(value)
    array = np.asarray(value)
    if array.dtype == object:
        return _Same(value)
    return array.dtype, array.shape, getattr(value, "weak_type", False), array.tobytes()
