"""What a read must know of the step that is under way: the stage, and who serves its values."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Stage(NamedTuple):
    """Tell a read at which stage of a step it is called.

    ``offset`` is the time of the stage in steps after the newest sample; ``slope_known`` says whether the
    step has found its slopes at the newest sample already."""

    offset: float = 0.0
    slope_known: bool = False


START = Stage()
_STAGE: ContextVar[Stage] = ContextVar("stage", default=START)
_SERVER: ContextVar[Any] = ContextVar("server", default=None)


def stage() -> Stage:
    """Return the stage that is being evaluated."""
    return _STAGE.get()


def server() -> Any:
    """Return what serves delayed values, sums and random numbers during a run; None when stepping by hand."""
    return _SERVER.get()


@contextmanager
def at_stage(offset: float, slope_known: bool) -> Iterator[None]:
    """Evaluate what follows at a stage of the step."""
    token = _STAGE.set(Stage(offset, slope_known))
    try:
        yield
    finally:
        _STAGE.reset(token)


@contextmanager
def served_by(source: Any) -> Iterator[None]:
    """Let ``source`` serve what follows."""
    token = _SERVER.set(source)
    try:
        yield
    finally:
        _SERVER.reset(token)
