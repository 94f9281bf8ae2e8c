"""Let states jump at the end of a step, before anything is stored or returned that follows from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import brainstate

_JUMPS: ContextVar[dict[int, Callable] | None] = ContextVar("jumps", default=None)


@contextmanager
def jumping(jumps: dict[brainstate.State, Callable]) -> Iterator[None]:
    """Let each state jump once, from its value to ``jumps[state](value)``: where its step ends, or here."""
    waiting = {id(state): jump for state, jump in jumps.items()}
    token = _JUMPS.set(waiting)
    try:
        yield
        for state in [s for s in jumps if id(s) in waiting]:
            state.value = landed(state, state.value)
    finally:
        _JUMPS.reset(token)


def landed(state: brainstate.State, value: Any) -> Any:
    """Return what a state holds after the step that brought it to ``value``."""
    jump = (_JUMPS.get() or {}).pop(id(state), None)
    return value if jump is None else jump(value)


def land(node: brainstate.nn.Module) -> None:
    """Let those states of a node of any library jump that have not done so in this step."""
    for state in node.states().values() if _JUMPS.get() else ():
        if id(state) in (_JUMPS.get() or {}):
            state.value = landed(state, state.value)
