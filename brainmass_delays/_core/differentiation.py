"""Which mode of differentiation a computation must allow, told to whatever runs inside of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FORWARD = ContextVar("forward", default=False)


@contextmanager
def allowing_forward(wanted: bool = True) -> Iterator[None]:
    """Let runs inside be differentiated forward, whatever their `Simulator` was told.

    Examples
    --------
    >>> from brainmass_delays._core.differentiation import allowing_forward, forward_is_wanted
    >>> with allowing_forward():
    ...     print(forward_is_wanted())
    True
    """
    token = _FORWARD.set(wanted)
    try:
        yield
    finally:
        _FORWARD.reset(token)


def forward_is_wanted() -> bool:
    """Tell whether a caller is going to differentiate forward."""
    return _FORWARD.get()
