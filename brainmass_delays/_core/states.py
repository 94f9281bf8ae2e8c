"""Look at a model as if its states had other values, and see what a function reads."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar

import brainstate
import brainunit as u
import jax

P = ParamSpec("P")
T = TypeVar("T")
LOCK = threading.RLock()  # tracing changes global states, and a run those of its model, which copies read


def alone(function: Callable[P, T]) -> Callable[P, T]:
    """Let one thread at a time call a function that traces."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with LOCK:
            return function(*args, **kwargs)

    return call


@contextmanager
def holding(states: list[brainstate.State], values: list[Any]) -> Iterator[None]:
    """Let ``states`` have other values for a while: those at a stage of a step, or tangents of them.

    It is no write: nothing is recorded, and whatever the states held comes back.
    """
    before = [state.value for state in states]  # a read, so that a trace knows the state
    put(states, values)
    try:
        yield
    finally:
        put(states, before)


def put(states: Iterable[brainstate.State], values: Iterable[Any]) -> None:
    """Let states have other values; it is no write that a trace would record."""
    for state, value in zip(states, values, strict=True):
        vars(state)["_value"] = value


def write(state: brainstate.State, value: Any) -> None:
    """Write a final state, unless a plain JAX transformation is under way: what it traces must not outlive
    it."""
    with suppress(brainstate.TraceContextError):
        state.value = value


@contextmanager
def untouched(*modules: brainstate.nn.Module) -> Iterator[None]:
    """Give models back the states they had: those that a trace makes in their place hold no numbers."""
    nodes = [node for module in modules for node in module.nodes().values()]
    before = [dict(vars(node)) for node in nodes]
    try:
        yield
    finally:
        for node, attributes in zip(nodes, before, strict=True):
            for name, value in list(vars(node).items()):
                if value is attributes.get(name) or not _is_of_trace(value):
                    continue
                if name in attributes:
                    vars(node)[name] = attributes[name]
                else:
                    del vars(node)[name]


def _is_of_trace(value):
    """Tell whether a value is a state, or holds states, also in modules, or traced numbers."""
    leaves = jax.tree.leaves(value, is_leaf=lambda x: isinstance(x, brainstate.State | brainstate.graph.Node))
    return any(
        len(brainstate.graph.states(leaf)) > 0
        if isinstance(leaf, brainstate.graph.Node)
        else isinstance(leaf, brainstate.State | jax.core.Tracer)
        for leaf in leaves
    )


def varies(function: Callable) -> bool:
    """Tell whether what a function returns can change during a run: it reads the time, or a state that is
    no parameter."""

    def value(t):
        with brainstate.environ.context(t=t * u.ms):
            return jax.tree.map(u.get_magnitude, function())

    traced = brainstate.transform.StatefulFunction(value).make_jaxpr(0.0)
    states = traced.get_states(0.0)
    if any(not isinstance(state, brainstate.ParamState) for state in states):
        return True
    jaxpr = traced.get_jaxpr(0.0).jaxpr
    t = jaxpr.invars[0]
    return any(t is v for equation in jaxpr.eqns for v in equation.invars) or t in jaxpr.outvars


def make_key() -> None:
    """Make the key of ``brainstate.random``, which waits for its first read: a trace that comes first takes
    it for another type of state. This is no read, so no trace takes note of it."""
    with jax.ensure_compile_time_eval():
        brainstate.random.DEFAULT.check_if_deleted()


def present_key() -> jax.Array:
    """Return the key of ``brainstate.random``, made if it is not there."""
    make_key()
    return brainstate.random.DEFAULT.value
