"""What a delay can be: a quantity, a ``Param``, or a callable; its value, whether it trains, and its static
bound."""

import inspect
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError
from .._core.status import is_traced
from .._core.units import magnitude

# Where a live delay has no lower bound, block reads assume that it shrinks to no less than this share of
# its start.
SHRINK = 0.25


def delay_source(where: str, delay: Any) -> Any:
    """Check a delay and return it: a Quantity, a `Param` or a callable; None is no delay."""
    if delay is None:
        return 0.0 * u.ms
    if isinstance(delay, Param):
        magnitude(where, delay.value(), u.ms, plain=False)
        return delay
    if callable(delay):
        return delay
    value = magnitude(where, delay, u.ms, plain=False)
    if not is_traced(value):
        check_delay(where, value)
    return delay


def check_delay(where: str, value: Any) -> None:
    """Refuse a concrete delay in ms that is negative, NaN or infinite."""
    value = np.asarray(value)
    if not np.all(value >= 0) or not np.all(np.isfinite(value)):
        bad = value[~((value >= 0) & np.isfinite(value))][0]
        raise ArgumentError(where, "must be finite and not negative", f"{bad} ms")


def value_of(source: Any) -> Any:
    """Evaluate a source: what a `Param` holds, what a callable returns, or the value itself."""
    if isinstance(source, Param):
        return source.value()
    return source() if callable(source) else source


def shape_of(source: Any) -> tuple[int, ...]:
    """Return the shape of a source's value without computing it."""
    with brainstate.environ.context(t=0.0 * u.ms):
        return jax.eval_shape(lambda: jnp.asarray(u.get_magnitude(value_of(source)))).shape


def params_of(source: Any) -> dict[str, Param]:
    """Find the Params behind a source: itself, those of a Module, or those in the closure of a function."""
    if isinstance(source, Param):
        return {"value": source}
    if isinstance(source, brainstate.nn.Module):
        return {".".join(map(str, path)): node for path, node in source.nodes(Param).items()}
    if inspect.isfunction(source):
        seen = inspect.getclosurevars(source)
        return {
            name: value
            for name, value in {**seen.globals, **seen.nonlocals}.items()
            if isinstance(value, Param)
        }
    return {}


def is_trainable(source: Any) -> bool:
    """Tell whether any Param behind a source is marked ``fit=True``."""
    return any(param.fit for param in params_of(source).values())


def is_live(source: Any) -> bool:
    """Tell whether a source can change between forward passes."""
    if isinstance(source, Param):
        return source.fit or is_traced(source.value())
    return callable(source) or is_traced(source)


def depends_on_time(source: Any) -> bool:
    """Tell whether a callable reads the time from the environment."""
    if not callable(source) or isinstance(source, Param):
        return False

    def value(t):
        with brainstate.environ.context(t=t * u.ms):
            return u.get_magnitude(source())

    jaxpr = jax.make_jaxpr(value)(0.0).jaxpr
    used = {id(v) for equation in jaxpr.eqns for v in equation.invars}
    return id(jaxpr.invars[0]) in used


def refuse_untrainable(where: str, source: Any, rule: str) -> None:
    """Refuse a trainable delay behind nearest reads: its gradient would be exactly zero."""
    if rule == "nearest" and is_trainable(source):
        raise ArgumentError(
            f"{where}.interpolation",
            "must be differentiable for a delay marked fit=True, whose gradient would be exactly zero",
            "'nearest'",
            "Use 'linear', 'cubic' or 'hermite'",
        )


def transform_bounds(param: Param) -> tuple[Any, Any]:
    """Return the lower and upper bound that a Param's transform keeps; None where none is known."""
    transform = param.t
    low = getattr(transform, "lower", None)
    high = getattr(transform, "upper", low + transform.width if hasattr(transform, "width") else None)
    low, high = (None if is_traced(bound) else bound for bound in (low, high))
    return (high, low) if isinstance(transform, brainstate.nn.NegSoftplusT) else (low, high)


def static_bound(where: str, source: Any, max_delay: Any) -> u.Quantity:
    """Return the static maximum of a delay as a scalar Quantity, or say what is missing."""
    largest = None
    if not is_live(source):
        largest = jnp.max(magnitude(f"{where}.delay", value_of(source), u.ms, plain=False))
    if max_delay is not None:
        bound = magnitude(f"{where}.max_delay", max_delay, u.ms, plain=False)
        if is_traced(bound) or np.ndim(bound) or not np.isfinite(bound) or bound < 0:
            raise ArgumentError(f"{where}.max_delay", "must be one finite, non-negative time", max_delay)
        if largest is not None and not is_traced(largest) and largest > bound * (1 + 1e-6):
            raise ArgumentError(
                f"{where}.delay",
                f"must not pass max_delay, {bound} ms",
                f"{float(largest):.6g} ms",
                "Raise max_delay",
            )
        return float(bound) * u.ms
    if largest is not None:
        return float(largest) * u.ms
    if isinstance(source, Param):
        high = transform_bounds(source)[1]
        if high is not None:
            return float(jnp.max(high.to_decimal(u.ms))) * u.ms
    raise ArgumentError(
        f"{where}.max_delay",
        "is required for a delay that can change, to size its buffer",
        "None",
        "Pass max_delay=, or a Param with a bounded transform such as SigmoidT",
    )


def step_size(where: str) -> u.Quantity:
    """Return dt from the environment, or say how to set it."""
    dt = brainstate.environ.get("dt", None)
    if dt is None:
        raise ArgumentError(
            f"{where}.dt",
            "must be known",
            "None",
            "Run through Simulator(model, dt), or inside brainstate.environ.context(dt=0.1 * brainunit.ms)",
        )
    if not isinstance(dt, u.Quantity):
        raise ArgumentError(f"{where}.dt", "must be a time with a unit", dt, f"Write {dt} * brainunit.ms")
    return dt
