"""Flags that travel through jit as one integer and are raised by the outermost call."""

import jax
import jax.numpy as jnp
import numpy as np

OK = 0
DELAY_ABOVE_BOUND = 1
NOT_FINITE = 2
MAX_STEPS_REACHED = 4
STEP_UNDERFLOW = 8
NOT_RUN = 16
HISTORY_UNRESOLVED = 1024
ENTRY_MISSING = 2048
ARGUMENT_REFUSED = 4096

MEANINGS = {
    DELAY_ABOVE_BOUND: "a delay passed its static bound",
    NOT_FINITE: "a value became NaN or infinite",
    MAX_STEPS_REACHED: "max_steps was reached before the end time",
    STEP_UNDERFLOW: "the step size underflowed",
    NOT_RUN: "it was not run",
    HISTORY_UNRESOLVED: "the history before the start varies too fast to be tabulated to the tolerance",
    ENTRY_MISSING: "the sparsity given lacks an entry of the Jacobian at the start",
    ARGUMENT_REFUSED: "a time or a tolerance is one that a call outside of jit refuses",
}


class RunError(RuntimeError):
    """Signal a run whose result must not be used; the message names the flags, the place and the cure."""


def flag(condition: jax.Array | bool, bit: int) -> jax.Array:
    """Return ``bit`` as int32 where ``condition`` holds, else 0."""
    return jnp.where(condition, jnp.int32(bit), jnp.int32(OK))


def refused(*good: jax.Array) -> jax.Array:
    """Return the flag of arguments that an eager call refuses, unless all conditions hold everywhere."""
    return flag(~jnp.all(jnp.stack([jnp.all(condition) for condition in good])), ARGUMENT_REFUSED)


def describe(status: int) -> str:
    """Spell out the flags in ``status``; ``'ok'`` if there are none."""
    return ", ".join(text for bit, text in MEANINGS.items() if int(status) & bit) or "ok"


def is_traced(value) -> bool:
    """Tell whether any leaf of ``value`` is abstract, so that its numbers cannot be looked at."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))


def concrete(value):
    """Return the numbers of a value, also where plain `jax.grad` differentiates it; None inside a program."""
    while isinstance(value, jax.core.Tracer) and hasattr(value, "primal"):
        value = value.primal
    return None if isinstance(value, jax.core.Tracer) else np.asarray(value)


def raise_if_failed(where: str, status, detail: str = "") -> None:
    """Raise `RunError` if concrete flags are set; do nothing under a trace, where the caller reports them."""
    if is_traced(status):
        return
    worst = int(jnp.max(jnp.asarray(status)))
    if worst:
        raise RunError(f"{where}: {describe(worst)}. {detail}".rstrip())
