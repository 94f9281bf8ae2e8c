"""Rules of what learns: layers, and the optimizer that trains them."""

from typing import Any

from .arguments import Rule
from .checks import ArgumentError


def list_of_layers(cure: str = "") -> Rule:
    """Return the rule of a list of layers, each of which can be called."""

    def check(where, value):
        if not isinstance(value, list | tuple) or not value or not all(map(callable, value)):
            is_list = isinstance(value, list | tuple)
            got = f"[{', '.join(type(x).__name__ for x in value)}]" if is_list else type(value).__name__
            raise ArgumentError(where, "must be a list of layers that can be called", got, cure)

    return check


def is_optimizer(where: str, value: Any) -> None:
    """Refuse what is no optimizer of optax."""
    if not (callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))):
        cure = "Make one, e.g. optax.adam(1e-3)"
        raise ArgumentError(where, "must be an optimizer of optax", type(value).__name__, cure)
