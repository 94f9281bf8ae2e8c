"""The loss of a model as a compiled function of its trainable parameters."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from brainstate.nn import Module

from .._core.checks import ArgumentError
from .._core.differentiation import allowing_forward
from .._core.memory import check_memory
from .._core.parameters import find_parameters, stored
from .._core.states import holding, untouched
from .._core.status import OK
from ..delays.read import DelayedRead
from ..engine.programs import PROGRAMS
from ..engine.trace import Traced, trace

MODES = ("auto", "forward", "reverse")


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation of the loss found, ``norms`` those of the gradients."""

    loss: float
    prediction: Any
    status: int
    scalars: dict[str, Any]
    terms: dict[str, Any]
    gradient: dict[str, Any] = field(default_factory=dict)
    norms: dict[str, Any] = field(default_factory=dict)


class ZeroGradient(ArgumentError):
    """Say that the loss does not change with any parameter where a fit begins."""


class Problem:
    """Hold a model, its trainable parameters, and its loss with and without gradient.

    ``loss(target) -> (scalar, prediction, status, terms)``, where terms are numbers by name that shall be
    recorded, is traced whenever `refresh` was called before: what it
    reads counts as it is then, and a loss that does the same as before compiles nothing. The target is an
    argument, so new data compile nothing either. ``loss.residuals(target)`` says what least squares work on,
    and ``mode`` how they differentiate. Parameters that are ``held`` stay where they are.
    """

    def __init__(self, model: Module, loss: Callable, mode: str = "auto", held: tuple[str, ...] = ()):
        self.model, self.loss, self.mode, self.held = model, loss, mode, held
        self.kind = "value"  # of what a fit compiles: 'value', 'gradient', 'step' or 'residuals'
        self.update: Callable | None = None  # what follows a gradient in the same program
        self.prepare: Callable = lambda: None  # what an engine does when other parameters may train
        self.refresh()

    def refresh(self) -> None:
        """Look again at which parameters train and at what the loss does."""
        self.all_parameters = find_parameters(self.model)
        self.parameters = {n: part for n, part in self.all_parameters.items() if n not in self.held}
        self._traced: dict[tuple, Traced] = {}
        if not self.parameters:
            raise ArgumentError(
                "Fitter.model",
                "must hold a trainable Param as an attribute, or below one",
                None,
                "Declare model.k = Param(value, fit=True); a Param captured by a function is invisible",
            )
        self.prepare()

    def _value(self, target):
        value, prediction, status, terms = self.loss(target)
        scalars = {name: part.value() for name, part in self.parameters.items() if part.is_scalar}
        return _scalar(value), (prediction, jnp.max(jnp.asarray(status)), scalars, terms)

    def _without_gradient(self, target):
        value, rest = self._value(target)
        return value, *rest

    def _with_gradient(self, target):
        states = {name: parameter.state for name, parameter in self.parameters.items()}
        gradient, value, rest = brainstate.transform.grad(
            lambda: self._value(target), states, has_aux=True, return_value=True, check_states=False
        )()
        return value, *rest, gradient, norms_of(gradient)

    def _with_step(self, target):
        *found, gradient, norms = self._with_gradient(target)
        self.update(gradient)
        return *found, norms

    def _with_residuals(self, free, target):
        """Return the residuals of the data and of priors at unconstrained values, and what else is known."""
        with holding([self.parameters[name].state for name in free], list(free.values())):
            data, priors, (value, prediction, status, terms) = self.loss.residuals(target)
            scalars = {name: part.value() for name, part in self.parameters.items() if part.is_scalar}
        status = jnp.max(jnp.asarray(status))
        return (data, priors), (_scalar(value), prediction, status, scalars, terms)

    def _of_free(self, free, target):
        """Return the loss at unconstrained values."""
        with holding([self.parameters[name].state for name in free], list(free.values())):
            return self._value(target)[0]

    def _trace(self, kind, *arguments, forward=False):
        leaves = jax.tree.leaves(arguments)
        key = kind, forward, jax.tree.structure(arguments), tuple(map(jax.typeof, leaves))
        if key not in self._traced:
            functions = {
                "value": self._without_gradient,
                "gradient": self._with_gradient,
                "step": self._with_step,
                "residuals": self._with_residuals,
                "free": self._of_free,
            }
            with untouched(self.model), allowing_forward(forward):
                self._traced[key] = trace(functions[kind], *arguments)
        return self._traced[key]

    @property
    def follows_time(self) -> bool:
        """Whether axis 0 of the residuals is time."""
        return self.loss.follows_time

    def step(self, target: Any) -> Traced:
        """Return one step, the loss with its gradient and the update, as a traced function of the target."""
        return self._trace("step", target)

    def value(self, target: Any) -> Traced:
        """Return the loss without its gradient as a traced function of the target."""
        return self._trace("value", target)

    def residuals(self, target: Any, *, forward: bool) -> Traced:
        """Return the residuals as a traced function of the unconstrained values and the target."""
        return self._trace("residuals", stored(self.parameters), target, forward=forward)

    def loss_of(self, target: Any) -> Traced:
        """Return the loss as a traced function of the unconstrained values and the target, in every mode."""
        return self._trace("free", stored(self.parameters), target, forward=True)

    def evaluate(self, target: Any, *, gradient: bool) -> Evaluation:
        """Evaluate the loss at the parameters that the model holds now."""
        traced = self._trace("gradient" if gradient else "value", target)
        arguments = [state.value for state in traced.states], traced.consts, target
        program = PROGRAMS.get(("loss", traced.key), lambda: fitting(jax.jit(traced.call), arguments))
        new, (value, prediction, status, *rest) = program(*arguments)
        traced.put(new)
        return Evaluation(float(value), prediction, int(status), *rest)

    def _looked_at(self, target: Any) -> Traced:
        """Return the function that the fit is going to compile, so that nothing is traced for a look."""
        if self.kind == "residuals":
            return self.residuals(target, forward=self.mode != "reverse")
        return self._trace(self.kind, target)

    def is_random(self, target: Any) -> bool:
        """Tell whether the loss draws from ``brainstate.random``."""
        traced = self._looked_at(target)
        pairs = zip(traced.states, traced.is_written, strict=True)
        return any(state is brainstate.random.DEFAULT and written for state, written in pairs)

    def check_trainable(self) -> None:
        """Ask every module that can tell whether its trainable parameters have a gradient."""
        for module in self.model.nodes().values():
            getattr(module, "check_trainable", lambda: None)()

    def delays_outside(self) -> list[str]:
        """Say for every delayed read how many of its delays leave their bounds now, and by how much."""
        messages = []
        for read in self.model.nodes(DelayedRead).values():
            if not read.delay.varies() and (text := read.explain()):
                messages.append(text)
        return messages

    def check_reads(self, target: Any) -> None:
        """Refuse trainable parameters that the loss reads and the model does not reach."""
        known = {id(state) for state in self.model.states(brainstate.ParamState).values()}
        read = self._looked_at(target).states
        hidden = [s for s in read if isinstance(s, brainstate.ParamState) and id(s) not in known]
        if hidden:
            shapes = ", ".join(str(u.math.shape(jax.tree.leaves(state.value)[0])) for state in hidden)
            raise ArgumentError(
                "Fitter.model",
                "must reach every trainable Param that the loss reads",
                f"{len(hidden)} that no attribute leads to, of shape {shapes}",
                "Make it an attribute, e.g. model.offset = offset, or declare it with fit=False",
            )

    def check_gradient(self, first: Evaluation) -> None:
        """Refuse a first gradient that is zero for all parameters, and warn where it is zero for some."""
        zero = [name for name, norm in first.norms.items() if norm == 0]
        if not zero or first.loss == 0:
            return
        error = ZeroGradient(
            "Fitter.fit",
            "the gradient of the loss must not be zero at the start",
            f"exactly 0 with respect to {', '.join(zero)}",
            "Look for a nearest read or another rounding, a stop_gradient, a coupling strength of zero, or a "
            "Param that the loss never reads; declare with fit=False what shall not be trained",
        )
        if len(zero) == len(self.parameters):
            raise error
        warnings.warn(str(error), stacklevel=2)


def fitting(program: Callable, arguments: tuple) -> Callable:
    """Return a program, compiled, if what it needs is free; an accelerator's own refusal is clear enough."""
    found = program.lower(*arguments).compile().memory_analysis()
    if found is not None and jax.default_backend() == "cpu":
        need = {"loss and gradient": found.temp_size_in_bytes, "results": found.output_size_in_bytes}
        cure = "Simulate a shorter time, record less, or give the Simulator a grad_horizon"
        check_memory("Fitter.fit", need, cure)
    return program


def norms_of(gradient: dict[str, Any]) -> dict[str, jax.Array]:
    """Return the norm of every part of a gradient: finite if all of its numbers are, 0 if all are 0."""
    return {
        name: _norm(jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(g)]))
        for name, g in gradient.items()
    }


def _norm(x: jax.Array) -> jax.Array:
    """Return the Euclidean norm, which no square of a large or small number spoils."""
    largest = jnp.max(jnp.abs(x), initial=0)
    is_usual = (largest > 0) & jnp.isfinite(largest)
    return jnp.where(
        is_usual, largest * jnp.sqrt(jnp.sum((x / jnp.where(is_usual, largest, 1)) ** 2)), largest
    )


def _scalar(value: Any) -> jax.Array:
    """Return the loss if it is one plain number."""
    if not u.get_unit(value).is_unitless or u.math.shape(value) != ():
        raise ArgumentError(
            "Fitter",
            "the loss must be one number without a unit",
            f"shape {u.math.shape(value)}, unit {u.get_unit(value)}",
            "Take a mean, and strip units with brainunit.get_magnitude",
        )
    return jnp.asarray(u.get_magnitude(value))


def call_with_model(function: Callable, model: Module) -> Any:
    """Call ``function(model)``, or ``function()`` if it needs no argument."""
    needed = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return function(model) if needed else function()


def split_outcome(outcome: Any) -> tuple[Any, Any]:
    """Return what an objective compares, and the flags in ``'status'`` if the outcome is a mapping."""
    if not isinstance(outcome, Mapping):
        return outcome, OK
    rest = {name: value for name, value in outcome.items() if name != "status"}
    return rest.get("output", rest), outcome.get("status", OK)
