"""A function of states and arguments as a program that can be compared, compiled and called."""

from collections.abc import Callable
from typing import Any, NamedTuple

import brainstate
import jax

from .powers import evaluate
from .programs import fingerprint


class Traced(NamedTuple):
    """Hold a traced function: ``call(states, consts, *arguments) -> states, results``, the states that it
    uses and which it writes, its constants, the shapes of its results, and what it is compared by."""

    call: Callable
    states: list
    is_written: tuple[bool, ...]
    consts: list
    results: Any
    key: tuple

    def given(self) -> tuple[list, list]:
        """Return the first two arguments of `call` as they are now."""
        return [state.value for state in self.states], self.consts

    def put(self, values: list) -> None:
        """Give the states that were written their new values, of those of all states."""
        for state, value, is_written in zip(self.states, values, self.is_written, strict=True):
            if is_written:
                state.value = value


NOTHING = Traced(lambda values, consts, *arguments: (values, {}), [], (), [], {}, ())


def trace(function: Callable, *arguments: Any) -> Traced:
    """Trace a function of states and arguments once."""
    stateful = brainstate.transform.StatefulFunction(function, return_only_write=False)
    stateful.make_jaxpr(*arguments)
    jaxpr, states = stateful.get_jaxpr(*arguments), stateful.get_state_trace(*arguments)
    tree, written = stateful.get_out_treedef(*arguments), tuple(states.been_writen)

    def call(values, consts, *args):
        leaves = jax.tree.leaves((args, {}, values))
        out, new = jax.tree.unflatten(tree, evaluate(jaxpr.jaxpr, consts, *leaves))
        return new, out

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in jaxpr.jaxpr.outvars]
    results = jax.tree.unflatten(tree, shapes)[0]
    return Traced(
        call, list(states.states), written, list(jaxpr.consts), results, (fingerprint(jaxpr), tree, written)
    )
