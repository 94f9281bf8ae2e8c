"""Rules of the arguments that the functions of predictive coding share, by name."""

import inspect
from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import any_of, choice, count, each, flag, mapping, numbers, optional
from .._core.arguments import checked as checked_by_rules
from .._core.checks import ArgumentError, check_choice
from .._core.learners import is_optimizer, list_of_layers

ARRAY = numbers(axes=(1, 8))
TAU = numbers(scalar=True, finite=True, above=0)
TOLERANCE = numbers(unit=u.UNITLESS, scalar=True, finite=True, low=0.0)
PENALTY = numbers(unit=u.UNITLESS, scalar=True, finite=True, traced=False, low=0.0)
PRECISION = numbers(unit=u.UNITLESS, scalar=True, finite=True, low=0.0)
STRENGTH = numbers(unit=u.UNITLESS, scalar=True, finite=True)


def BATCH(where: str, value: Any) -> None:
    """Refuse all but an array of real numbers with a batch axis."""
    ARRAY(where, value)
    if not hasattr(value, "shape") or isinstance(value, u.Quantity):
        raise ArgumentError(where, "must be an array", type(value).__name__, "Pass jax.numpy.asarray(value)")


is_layers = list_of_layers("Make them with make_mlp")


def is_params(where: str, value: Any) -> None:
    """Refuse all but layers, or a pair of them and of skips."""
    is_pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], list | tuple)
    is_layers(where, value[0] if is_pair else value)


def is_key(where: str, value: Any) -> None:
    """Refuse what is no key of random numbers."""
    is_new = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    is_old = getattr(value, "shape", None) == (2,) and getattr(value, "dtype", None) == jnp.uint32
    if not (is_new or is_old):
        raise ArgumentError(where, "must be a key", type(value).__name__, "Make one with jax.random.key(0)")


def is_run(where: str, value: Any) -> None:
    """Refuse what holds no course of an inference."""
    if not hasattr(value, "trajectory") or not hasattr(value, "activities"):
        raise ArgumentError(where, "must be an Inference or a Descent", type(value).__name__)


def are_options(where: str, value: Any) -> None:
    """Refuse all but options of `solve_inference` by name."""
    mapping(where, value)
    for name in value:
        check_choice(where, name, OPTIONS)


def is_activation(where: str, value: Any) -> None:
    """Refuse what is neither a function nor a name, which the function looks up."""
    if not callable(value) and not isinstance(value, str):
        raise ArgumentError(where, "must be a function or the name of one", repr(value))


def are_arrays(where: str, value: Any) -> None:
    """Refuse all but layers, or gradients of them."""
    if not isinstance(value, list | tuple) or not value:
        raise ArgumentError(where, "must be a pair or a list of layers, or of their gradients", repr(value))
    for leaf in jax.tree.leaves(value):
        if not callable(leaf) and not hasattr(leaf, "shape"):
            raise ArgumentError(where, "must hold arrays and functions only", repr(leaf))


OPTIONS = (
    "max_t1",
    "method",
    "rtol",
    "atol",
    "controller",
    "dt0",
    "max_steps",
    "stop_rtol",
    "stop_atol",
    "record_at",
    "record_steps",
    "while_loop",
    "param_type",
    "output_energy_scaling",
    "gamma",
    "weight_decay",
    "spectral_penalty",
    "activity_decay",
    "alpha_forward",
    "alpha_backward",
)


def is_state(where: str, value: Any) -> None:
    """Refuse what cannot be the state of an optimizer."""
    if not isinstance(value, tuple):
        raise ArgumentError(where, "must be what optim.init returned", type(value).__name__)


def fits_optimizer(where: str, optim: Any, state: Any, values: Any, cure: str) -> None:
    """Refuse a state of another optimizer, or of other parameters."""
    expected = jax.eval_shape(optim.init, values)
    if jax.tree.structure(state) != jax.tree.structure(expected):
        raise ArgumentError(
            where, "must be the state of this optimizer for these values", "another one", cure
        )


RULES = {
    "params": is_params,
    "model": is_layers,
    "amortizer": is_layers,
    "generator": is_params,
    "activities": each(BATCH),
    "key": is_key,
    "found": is_run,
    "act_fn": is_activation,
    "tau": TAU,
    "errors": each(BATCH),
    "equilib_activities": each(BATCH),
    "amort_activities": each(BATCH),
    "y": optional(BATCH),
    "x": optional(BATCH),
    "labels": BATCH,
    "predicted": BATCH,
    "start": optional(any_of("a guess per layer", BATCH, each(BATCH))),
    "loss_id": choice("MSE", "CE"),
    "param_type": choice("sp", "ntp", "mupc"),
    "gamma": optional(numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False)),
    "output_energy_scaling": PRECISION,
    "weight_decay": PENALTY,
    "spectral_penalty": PENALTY,
    "activity_decay": PENALTY,
    "alpha_forward": PRECISION,
    "alpha_backward": PRECISION,
    "record_layers": flag,
    "record": flag,
    "optim": is_optimizer,
    "opt_state": is_state,
    "optims": each(is_optimizer),
    "opt_states": each(is_state),
    "n_steps": count(),
    "n_layers": count(),
    "batch_size": count(),
    "layer_sizes": each(count(), object),
    "sigma": TOLERANCE,
    "weight": numbers(unit=u.UNITLESS, finite=True),
    "inference_options": optional(are_options),
    "activation_first": flag,
    "use_bias": flag,
    "max_t1": numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False),
    "rtol": TOLERANCE,
    "atol": TOLERANCE,
    "dt0": optional(TOLERANCE),
    "stop_rtol": STRENGTH,
    "stop_atol": STRENGTH,
    "record_steps": optional(count()),
    "record_at": optional(numbers(unit=u.UNITLESS, ndim=1, finite=True)),
}


def checked(function: Callable) -> Callable:
    """Check all arguments of a function whose names stand in `RULES`."""
    parameters = inspect.signature(function).parameters
    rules = {name: rule for name, rule in RULES.items() if name in parameters}
    for name, rule in rules.items():
        rules[name] = optional(rule) if parameters[name].default is None else rule
    return checked_by_rules(**rules)(function)
