"""Arguments of a fit, checked and in the form that it uses."""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .._core.status import is_traced


def check_installed(backend: str, package: str) -> None:
    """Refuse a backend without the package that it runs, which the extra of its name brings."""
    if importlib.util.find_spec(package) is None:
        cure = f"Run pip install brainmass_delays[{backend}], or use backend='scipy'"
        raise ArgumentError("Fitter.backend", f"'{backend}' needs the {package} package", None, cure)


def as_target(where: str, target: Any, *, traced: bool = False) -> Any:
    """Return the data as arrays of JAX."""
    if not traced and is_traced(target):
        raise ArgumentError(where, "must be known before tracing", "a traced value", "Fit outside of jax.jit")
    try:
        return jax.tree.map(jnp.asarray, target)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(where, "must be numbers, or a pytree of them", repr(target)) from error


def as_callbacks(callbacks) -> list[Callable]:
    """Return the callbacks as a list of functions."""
    if callbacks is None:
        return []
    found = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    if not all(map(callable, found)):
        raise ArgumentError("Fitter.callbacks", "must be a function or a list of them", repr(callbacks))
    return found
