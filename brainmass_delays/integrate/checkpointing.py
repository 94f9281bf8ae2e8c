"""Online checkpointing: a while loop whose reverse mode keeps O(sqrt(max_steps)) states.

The forward loop stores every ``stride``-th state; the stride doubles whenever the store is full. With an odd
number of slots, step ``i`` always lives in slot ``i % slots``: multiples of a power of two have distinct
remainders, and a step stored after a doubling falls on a slot that the doubling has made free. The backward
pass replays one stride at a time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from .._core.hoisting import hoist
from .._core.trees import fill, inexact, select
from .lanes import any_lane, lane
from .tape import RecordingReader, ReplayingReader, add, blank, write, write_each


def checkpointed_while_loop(cond: Callable, body: Callable, init: Any, *, max_steps: int) -> Any:
    """Run a while loop of at most ``max_steps`` steps that has a reverse mode (see `while_loop`)."""
    state, _ = checkpointed_tape_loop(
        cond, lambda state, _: (body(state), (), ()), init, (), max_steps=max_steps
    )
    return state


def checkpointed_tape_loop(cond, body, init, tapes, *, max_steps):
    """Run `tape_loop` so that neither a stored state nor a backward step contains a copy of a tape."""
    init = jax.tree.map(lambda x: lax.convert_element_type(x, jnp.result_type(x)), init)  # never weakly typed

    def record(state, tapes):
        reader = RecordingReader(tapes[0] if tapes else ())
        return body(state, reader), (reader.indices, reader.values, reader.constants)

    def replay(state, values, constants):
        return body(state, ReplayingReader(values, constants))

    _, (_, values, constants) = jax.eval_shape(record, init, tapes)
    pure_cond, cond_consts, _ = hoist(cond, init)
    pure_record, record_consts, _ = hoist(record, init, tapes)
    pure_replay, replay_consts, _ = hoist(replay, init, values, constants)
    consts = cond_consts, record_consts, replay_consts
    loop = TapeLoop(pure_cond, pure_record, pure_replay, max_steps)
    run = jax.custom_vjp(loop.run)
    run.defvjp(loop.run_and_store, loop.transpose, symbolic_zeros=True)
    return run(consts, init, tapes)


@dataclass(frozen=True)
class TapeLoop:
    """Run a tape loop forward and backward; every function takes what it closed over as last argument.

    ``consts`` holds these last arguments of ``cond``, ``record`` and ``replay``; ``parameters`` those that
    carry a derivative. ``record`` takes a step and tells what it read, ``replay`` takes it from that.
    """

    cond: Callable
    record: Callable
    replay: Callable
    max_steps: int

    def run(self, consts, init, tape):
        """Return the last state and the filled tape."""
        carry = lax.while_loop(
            lambda carry: self._running(consts, *carry[:2]),
            lambda carry: (carry[0] + 1, *self._step(consts, *carry[1:])),
            (0, init, tape),
        )
        return carry[1:]

    def run_and_store(self, consts, init, tape):
        """Do the same and keep every ``stride``-th state."""
        parameters = jax.tree.map(lambda x: inexact(x.value) if x.perturbed else None, consts)
        consts, init, tape = jax.tree.map(lambda x: x.value, (consts, init, tape))
        slots, _ = store_size(self.max_steps)

        def store_and_step(carry):
            n, state, tape, stride, store = carry
            stride = jnp.where(n >= slots * stride, 2 * stride, stride)
            slot = jnp.where(n % stride == 0, n % slots, slots)  # the extra slot takes what is not kept
            store = write(store, slot, state)
            return n + 1, *self._step(consts, state, tape), stride, store

        n, state, tape, stride, store = lax.while_loop(
            lambda carry: self._running(consts, *carry[:2]),
            store_and_step,
            (0, init, tape, 1, blank(init, slots + 1)),
        )
        return (state, tape), (parameters, consts, store, tape, n, stride)

    def transpose(self, residuals, cotangents):
        """Pull cotangents back through the steps taken, one stride after the other."""
        parameters, consts, store, tape, n, stride = residuals
        slots, longest_stride = store_size(self.max_steps)
        first_state = jax.tree.map(lambda x: x[0], store)

        def stride_transposed(carry):
            end, states, *cts = carry
            start = (end - 1) // stride * stride
            states = self._replay(consts, store, tape, start, end, start % slots, states)

            def step_transposed(carry):
                k, *cts = carry
                state = jax.tree.map(lambda x: x[k - start], states)
                return k - 1, *self._step_transposed(parameters, consts, state, tape, *cts)

            _, *cts = lax.while_loop(lambda carry: carry[0] >= start, step_transposed, (end - 1, *cts))
            return start, states, *cts

        ct_state, ct_tape = _dense(cotangents, (first_state, tape))
        carry = n, blank(first_state, longest_stride), ct_state, ct_tape, _zeros(parameters)
        *_, ct_state, ct_tape, ct_consts = lax.while_loop(
            lambda carry: carry[0] > 0, stride_transposed, carry
        )
        return ct_consts, ct_state, ct_tape

    def _replay(self, consts, store, tape, start, end, slot, states):
        """Write the states of the steps from ``start`` to ``end``, from the one stored in ``slot`` on."""

        def step(carry):
            k, states, state = carry
            return k + 1, write(states, k - start, state), self._step(consts, state, tape)[0]

        first = jax.tree.map(lambda x: x[slot], store)
        k, states, state = lax.while_loop(lambda carry: carry[0] < end - 1, step, (start, states, first))
        return write(states, k - start, state)

    def _running(self, consts, n, state):
        return any_lane(self.cond(state, consts[0])) & (n < self.max_steps)

    def _step(self, consts, state, tapes):
        active = lane(self.cond(state, consts[0]))
        (new, rows, slots), _ = self.record(state, tapes, consts[1])
        return select(active, new, state), write_each(tapes, slots, rows, active)

    def _step_transposed(self, parameters, consts, state, tapes, ct_state, ct_tapes, ct_parameters):
        active = lane(self.cond(state, consts[0]))
        _, (indices, values, constants) = self.record(state, tapes, consts[1])

        def outputs(parameters, state_part, values):
            parameters, state_now = fill(parameters, consts)[2], fill(state_part, state)
            new, rows, slots = self.replay(state_now, values, constants, parameters)
            return (inexact(new), inexact(rows)), slots

        _, pull, slots = jax.vjp(outputs, parameters, inexact(state), values, has_aux=True)
        ct_rows = tuple(
            jax.tree.map(lambda x, slot=slot: x[slot], ct) for ct, slot in zip(ct_tapes, slots, strict=True)
        )
        d_parameters, d_state, d_values = pull((ct_state, ct_rows))
        # what stood there before was overwritten
        ct_tapes = write_each(ct_tapes, slots, _zeros(ct_rows), active)
        for index, d in zip(indices, d_values, strict=True):
            ct_tapes = (add(ct_tapes[0], index, select(active, d, _zeros(d))), *ct_tapes[1:])
        d_parameters = select(active, d_parameters, _zeros(d_parameters))
        return select(active, d_state, ct_state), ct_tapes, jax.tree.map(jnp.add, ct_parameters, d_parameters)


def store_size(max_steps: int) -> tuple[int, int]:
    """Return the odd number of stored states and the longest stride: both O(sqrt(max_steps))."""
    stride = 2 ** max(0, int(math.log2(math.sqrt(max_steps))) - 1)
    return max(1, math.ceil(max_steps / stride)) | 1, stride


def _zeros(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def _dense(cotangents, like):
    """Turn symbolic zeros into arrays and drop the cotangents of integer leaves."""

    def dense(x, ct):
        return jnp.zeros_like(x) if isinstance(ct, SymbolicZero) else ct

    return jax.tree.map(dense, inexact(like), _prune(cotangents, like))


def _prune(cotangents, like):
    return jax.tree.map(lambda x, ct: ct if inexact(x) is not None else None, like, cotangents)
