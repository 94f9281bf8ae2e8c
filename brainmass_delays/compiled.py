"""Compile a run once, and find it again whatever the values of its parameters."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import brainstate
import jax
import jax.numpy as jnp
from brainstate import TraceContextError
from brainstate.nn import Param

from ._core.status import is_traced


class CompiledRun:
    """Compile a stateful run as a pure function of all it reads, so that later runs find it whatever the
    values.

    States are matched by their path in the model: initializing makes new ones. Params that do not train are
    arguments too."""

    def __init__(self, model, run: Callable, kept: Any):
        self.model, self.run, self.kept = model, run, kept
        self._programs = {}

    def __call__(self, table):
        held = self._constants()
        values, states = [c.val for c in held], self.model.states()
        leaves, tree = jax.tree.flatten((values, table, [s.value for s in states.values()]))
        key = tree, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
        if key not in self._programs:
            self._programs[key] = self._trace(held, values, table, states)
        program, slots, written = self._programs[key]
        slots = [states[slot] if isinstance(slot, tuple) else slot for slot in slots]
        new, out = program([s.value for s in slots], values, table)
        if any(is_traced(leaf) for leaf in jax.tree.leaves(program.consts)):
            del self._programs[key]  # it closes over the values of an outer trace
        for state, value, is_written in zip(slots, new, written, strict=True):
            if is_written:
                _write(state, value)
        return out

    def _constants(self) -> list[Param]:
        """Find the Params that do not train."""
        found = {
            id(p): p for p in self.model.nodes(Param).values() if not isinstance(p.val, brainstate.State)
        }
        return list(found.values())

    def _trace(self, held, values, table, states):
        """Trace the run once; return the program, where its states are, and which of them it writes."""

        def core(values, table):
            before = [c.val for c in held]
            for c, value in zip(held, values, strict=True):
                c.val = value
            try:
                return self.run(table)
            finally:
                for c, value in zip(held, before, strict=True):
                    c.val = value

        stateful = brainstate.transform.StatefulFunction(core, return_only_write=False).make_jaxpr(
            values, table
        )
        trace = stateful.get_state_trace(values, table)
        paths = {id(state): path for path, state in states.items()}
        slots = [paths.get(id(state), state) for state in trace.states]
        return _Program(stateful, values, table), slots, list(trace.been_writen)


class _Program:
    """Call a traced run under jit."""

    def __init__(self, stateful, values, table):
        self.consts = stateful.get_jaxpr(values, table).consts
        self._call = jax.jit(stateful.jaxpr_call)

    def __call__(self, *args):
        return self._call(*args)


def _write(state, value):
    """Write a final state, unless a plain JAX transformation is under way: what it traces must not outlive
    it."""
    with suppress(TraceContextError):
        state.value = value


def identity(function) -> Any:
    """Recognize a function written at one place of a program although every call makes a new object of it."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function) if isinstance(function, list | tuple | dict | str | None) else id(function)
    cells = tuple(id(cell.cell_contents) for cell in function.__closure__ or ())
    return code, cells, tuple(map(id, function.__defaults__ or ()))
