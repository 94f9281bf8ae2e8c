"""The log density of parameters given data, as one pure function for samplers and other tools."""

from collections.abc import Callable, Mapping
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
from brainstate.nn import Module

from .. import objectives
from .._core.checks import ArgumentError, check_choice
from .._core.parameters import Parameter, find_by_name, stored
from .._core.units import magnitude
from .loss import Loss
from .problem import Problem

SPACES = ("unconstrained", "constrained")


class LogDensity:
    """A log density; what `log_density` returns. Call it with a dict of plain numbers by name.

    Parameters
    ----------
    names : tuple of str
        Names of the parameters.
    space : {'unconstrained', 'constrained'}
        What the numbers are.
    units : dict of str to Unit
        Unit of each constrained parameter.
    start : dict of str to jax.Array
        Where the model stood, in that space.
    """

    def __init__(self, problem: Problem, target: Any, space: str):
        self._parameters, self.space = problem.parameters, space
        self.names = tuple(self._parameters)
        self.units = {name: u.get_unit(part.value()) for name, part in self._parameters.items()}
        free = stored(self._parameters)
        self._types = jax.tree.map(jax.typeof, free)
        traced = problem.loss_of(target)
        given = [state.value for state in traced.states], traced.consts
        self._loss = jax.jit(lambda free: traced.call(*given, free, target)[1])
        self.start = {
            name: u.get_magnitude(value)
            for name, value in (free if space == "unconstrained" else self.constrain(free)).items()
        }

    def __call__(self, values: Mapping[str, Any]) -> jax.Array:
        """Return the log density, up to a constant of the data; minus infinity where it is none."""
        if self.space == "unconstrained":
            free = {name: self._typed(name, values[name]) for name in self._checked(values)}
            density = -self._loss(free) + self.log_jacobian(free)
        else:
            density = -self._loss(self.unconstrain(values))
        return jnp.where(jnp.isnan(density), -jnp.inf, density)

    def constrain(self, free: Mapping[str, Any]) -> dict[str, Any]:
        """Return the constrained values with their units of unconstrained ones."""
        return {
            name: _forward(self._parameters[name], self._typed(name, free[name]))
            for name in self._checked(free)
        }

    def unconstrain(self, values: Mapping[str, Any]) -> dict[str, jax.Array]:
        """Return the unconstrained values of constrained ones; plain numbers are in the parameter's unit."""
        return {
            name: self._parameters[name].unconstrained(values[name], f"log_density[{name!r}]")
            for name in self._checked(values)
        }

    def log_jacobian(self, free: Mapping[str, Any]) -> jax.Array:
        """Return the log of how much the transforms stretch volumes, which a density of unconstrained values
        has more than one of constrained values."""
        return sum(_log_stretch(self._parameters[name], self._typed(name, free[name])) for name in self.names)

    def _typed(self, name, value):
        """Return numbers as a state stores them, which is with a unit where no transform takes it away."""
        (kind,), tree = jax.tree.flatten(self._types[name])
        number = jnp.asarray(u.get_magnitude(value), kind.dtype)
        return tree.unflatten([jnp.broadcast_to(number, kind.shape)])

    def _checked(self, values):
        if set(values) != set(self.names):
            raise ArgumentError("log_density", f"needs {', '.join(self.names)}", ", ".join(map(str, values)))
        return self.names

    def __repr__(self):
        return f"LogDensity({', '.join(self.names)}; {self.space})"


def log_density(
    model: Module,
    predict: Callable,
    likelihood: Callable,
    priors: Mapping[str, Any] | None = None,
    *,
    target: Any = None,
    space: str = "unconstrained",
) -> LogDensity:
    """Return the log posterior density of a model's trainable parameters as one pure function.

    Parameters
    ----------
    model : brainstate.nn.Module
        The model; priors that its Params carry count too.
    predict : callable
        ``predict(model)``, as for `Fitter`.
    likelihood : callable
        ``likelihood(prediction, target)``, the negative log likelihood that a Fitter minimizes, such as
        ``objectives.gaussian(sigma)``.
    priors : dict of str to Prior, optional
        By name of a parameter.
    target : array_like, Quantity or pytree of them, optional
        The data.
    space : {'unconstrained', 'constrained'}, default 'unconstrained'
        What the function takes: numbers without bounds, as samplers want them, with the log determinant of
        the transforms in the density; or plain numbers in the units of the parameters.

    Returns
    -------
    LogDensity
        ``f({'speed': 0.3, ...}) -> scalar``, with ``names``, ``start``, ``units``, ``constrain``,
        ``unconstrain`` and ``log_jacobian`` beside it.

    Raises
    ------
    ArgumentError
        For names that are no parameters, priors of another dimension, and an objective that is no likelihood.

    Notes
    -----
    It composes with `jax.jit`, `jax.grad`, `jax.vmap`, `jax.jvp` and `jax.hessian`. Random numbers are those
    of now at every call. Where the model stands later does not matter to it.

    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from brainstate.nn import Module
    >>> from brainmass_delays import Param, objectives, priors
    >>> from brainmass_delays.fit import log_density
    >>> class Mean(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.m = Param(0.0)
    >>> f = log_density(Mean(), lambda model: model.m.value() * jnp.ones(3), objectives.gaussian(sigma=1.0),
    ...                 {'m': priors.Normal(0.0, 1.0)}, target=jnp.array([1.0, 2.0, 3.0]))
    >>> float(jax.grad(f)({'m': 1.5})['m']), float(jax.hessian(f)({'m': 1.5})['m']['m'])
    (0.0, -4.0)
    """
    check_choice("log_density.space", space, SPACES)
    for name, value in {"predict": predict, "likelihood": likelihood}.items():
        if not callable(value):
            raise ArgumentError(f"log_density.{name}", "must be callable", type(value).__name__)
    if not objectives.is_likelihood(likelihood):
        raise ArgumentError(
            "log_density.likelihood", "must be a negative log likelihood", repr(likelihood),
            "Use objectives.gaussian(sigma)",
        )  # fmt: skip
    loss = Loss(model, None, predict, likelihood, None)
    problem = Problem(model, loss)
    loss.priors = bind_priors("log_density.priors", priors, problem.parameters)
    return LogDensity(problem, jax.tree.map(jnp.asarray, target), space)


def bind_priors(
    where: str, priors: Mapping[str, Any] | None, parameters: dict[str, Parameter]
) -> list[tuple[Parameter, Any]]:
    """Return parameters with their priors, in the units of the parameters."""
    if priors is not None and not isinstance(priors, Mapping):
        raise ArgumentError(where, "must be a dict of priors by name", type(priors).__name__)
    pairs = []
    for name, prior in (priors or {}).items():
        part = find_by_name(where, name, parameters)
        if not hasattr(prior, "in_unit"):
            raise ArgumentError(
                f"{where}[{name!r}]", "must be a prior", repr(prior), "Take one of brainmass_delays.priors"
            )
        if part.param is not None and part.param.reg is not None:
            raise ArgumentError(f"{where}[{name!r}]", "must be given once", f"the Param has {part.param.reg}")
        pairs.append((part, prior.in_unit(f"{where}[{name!r}]", u.get_unit(part.value()))))
    return pairs


def _forward(part: Parameter, free: Any) -> Any:
    return free if part.param is None else part.param.t.forward(free)


def _log_stretch(part: Parameter, free: jax.Array) -> jax.Array:
    """Return the log of the slope of a transform that acts on every number for itself, summed."""
    unit = u.get_unit(part.value())

    (number,), tree = jax.tree.flatten(free)

    def value(x):
        return jnp.asarray(magnitude("log_density", _forward(part, tree.unflatten([x])), unit))

    shape = jax.eval_shape(value, number).shape
    if shape != number.shape:
        raise ArgumentError(
            "log_density",
            f"needs a transform of {part.name!r} that keeps the shape",
            f"{number.shape} and {shape}",
        )
    if part.param is not None and type(part.param.t).__name__ in MIXING:
        return part.param.t.log_abs_det_jacobian(free, value(number))
    return jnp.sum(jnp.log(jnp.abs(jax.jvp(value, (number,), (jnp.ones_like(number),))[1])))


# Transforms of brainstate in which one number depends on others.
MIXING = {"OrderedT", "SimplexT", "UnitVectorT", "ChainT"}
