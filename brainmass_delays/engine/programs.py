"""Compile each program once: programs are compared by what they compute, never by the names or the addresses
of the functions that they came from."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

MAX_PROGRAMS = 64
# How many derivatives of a function are compared: only those of their rules may tell functions apart.
DERIVATIVES = 3
# Functions whose derivative rules are being read, from the outside in.
_RULES: ContextVar[tuple] = ContextVar("rules", default=())


class Same:
    """Compare one object by identity, and keep it alive so that its address stays its own."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self):
        return id(self.value)

    def __eq__(self, other):
        return isinstance(other, Same) and self.value is other.value


def fingerprint(program: Any) -> tuple:
    """Return a traced program in a form that can be compared and hashed.

    Parameters
    ----------
    program : ClosedJaxpr or Jaxpr
        Constants of the program itself are left out: they must be passed as arguments. Those of programs
        inside it are compared by value.

    Returns
    -------
    tuple
        Equal for programs that do the same operations on the same operands. Functions that cannot be looked
        into, such as callbacks and the backward pass of a ``custom_vjp``, are compared by identity: in doubt
        programs differ. A program that is shared among devices belongs to their mesh.
    """
    found = _Reader().read(program.jaxpr if isinstance(program, ClosedJaxpr) else program)
    return jax.sharding.get_abstract_mesh(), *found


class _Reader:
    """Number the variables of one program in the order of their appearance."""

    def __init__(self):
        self.numbers: dict[Any, int] = {}

    def read(self, jaxpr: Jaxpr) -> tuple:
        variables = (*jaxpr.constvars, *jaxpr.invars)
        head = tuple(self._define(v) for v in variables), len(jaxpr.invars)
        equations = tuple(
            (
                e.primitive.name,
                tuple(self._operand(v) for v in e.invars),
                tuple(self._define(v) for v in e.outvars),
                _of_mapping(e.params, e),
            )
            for e in jaxpr.eqns
        )
        return head, equations, tuple(self._operand(v) for v in jaxpr.outvars)

    def _define(self, variable):
        self.numbers[variable] = len(self.numbers)
        return _aval(variable.aval)

    def _operand(self, v):
        if isinstance(v, Literal):
            return _number(v.val), _aval(v.aval)
        return self.numbers[v]


def _aval(aval):
    return str(aval), getattr(aval, "weak_type", None)


def _number(value):
    array = np.asarray(value)
    return array.dtype.str, array.tobytes()


def _of_mapping(params, equation):
    return tuple((name, _of_parameter(name, value, equation)) for name, value in sorted(params.items()))


def _of_parameter(name, value, equation):
    """Return one parameter of an operation in comparable form."""
    if isinstance(value, ClosedJaxpr):
        return _Reader().read(value.jaxpr), tuple(map(_constant, value.consts))
    if isinstance(value, Jaxpr):
        return _Reader().read(value)
    if name == "jvp_jaxpr_fun":
        return _of_jvp_rule(value, equation)
    if isinstance(value, tuple | list):
        return type(value).__name__, tuple(_of_parameter(name, item, equation) for item in value)
    if isinstance(value, dict):
        return _of_mapping(value, equation)
    if isinstance(value, np.ndarray | jax.Array):
        return _constant(value)
    if callable(value) and not isinstance(value, type):
        return Same(value)
    try:
        hash(value)
    except TypeError:
        return Same(value)
    return type(value), value


def _constant(value):
    if isinstance(value, jax.core.Tracer):
        return Same(value)
    array = np.asarray(value)
    return array.shape, array.dtype.str, array.tobytes()


def _of_jvp_rule(rule, equation):
    """Return the derivative rule of a ``custom_jvp`` as the program that it traces to."""
    n_arguments = len(equation.invars) - equation.params.get("num_consts", 0)
    primal = equation.params["call_jaxpr"]
    own = str(primal.jaxpr.debug_info.func_src_info), _of_parameter("call_jaxpr", primal, equation)
    if _RULES.get().count(own) >= DERIVATIVES:
        return "a higher derivative"  # most rules call the function that they belong to, without an end
    outer = _RULES.set((*_RULES.get(), own))
    try:
        jaxpr, consts, *_ = rule.call_wrapped(*[False] * n_arguments)
        return _Reader().read(jaxpr), tuple(map(_constant, consts))
    except Exception:  # whatever the rule does: it cannot be looked into
        return Same(rule)
    finally:
        _RULES.reset(outer)


class Programs:
    """Keep the programs that were used last.

    Parameters
    ----------
    size : int
        How many.
    """

    def __init__(self, size: int):
        self.size = size
        self._found: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._found)

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the program of ``key``, made if it is not there."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        program = make()
        with self._lock:
            self._found[key] = program
            while len(self._found) > self.size:
                self._found.popitem(last=False)
        return program

    def clear(self) -> None:
        """Forget all programs."""
        with self._lock:
            self._found.clear()


PROGRAMS = Programs(MAX_PROGRAMS)
