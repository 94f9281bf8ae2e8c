"""How sharply a loss rises around its optimum, and what that says of the parameters."""

from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.flatten_util import ravel_pytree

from .._core.checks import ArgumentError, check_choice
from .._core.parameters import Parameter, stored
from .least_squares import by_columns, by_rows
from .problem import Problem

METHODS = ("auto", "gauss_newton", "hessian")
# An interval of 95 % that covers this share of the bounds says nothing that the bounds did not say.
SPANS = 0.9
# Eigenvalues below this share of the largest are rounding.
RANK = 1e-12
# Share of a parameter in directions without curvature, squared, from which on it is not identified.
TOUCHED = 1e-6
# A direction of a Jacobian with a larger ratio of spread to the sharpest one is sloppy.
SLOPPY = 1e-3


@dataclass(frozen=True)
class Curvature:
    """Hold the curvature of a loss in the unconstrained parameters at a point.

    ``matrix``, shape (parameter, parameter), is that of a negative log likelihood; ``dof`` is infinite where
    its scale is known, and otherwise the number of data beyond that of parameters, which the estimate
    ``sigma`` of the noise comes from."""

    labels: tuple[str, ...]
    place: np.ndarray
    matrix: np.ndarray
    method: str
    dof: float
    sigma: float | None
    is_likelihood: bool


def curvature(problem: Problem, loss: Any, target: Any, method: str) -> Curvature:
    """Compute the curvature where the parameters stand."""
    check_choice("FitResult.uncertainty.method", method, METHODS)
    squares = loss.squares
    if method == "auto":
        method = "gauss_newton" if squares is not None else "hessian"
    free = stored(problem.parameters)
    place, unravel = ravel_pytree(free)
    labels = labels_of(problem.parameters)
    if method == "hessian":
        return _by_hessian(problem, loss, target, place, unravel, labels)
    if squares is None:
        raise ArgumentError(
            "FitResult.uncertainty.method", "must be 'hessian' for an objective that is no sum of squares",
            "'gauss_newton'",
        )  # fmt: skip
    n_data, vector, jacobian = jacobian_at(problem, target, place, unravel)
    matrix, dof, sigma = jacobian.T @ jacobian, np.inf, None
    if getattr(squares, "sigma", None) is None:
        dof = float(max(n_data - place.size, 1))
        sigma = float(np.sqrt(np.sum(vector[:n_data] ** 2) / dof))
        matrix = matrix / sigma**2 if sigma > 0 else matrix
    return Curvature(labels, np.asarray(place), matrix, method, dof, sigma, True)


def _by_hessian(problem, loss, target, place, unravel, labels) -> Curvature:
    traced = problem.loss_of(target)
    given = [state.value for state in traced.states], traced.consts
    hessian = jax.jit(jax.hessian(lambda x: traced.call(*given, unravel(x), target)[1]))
    matrix, is_likelihood = np.asarray(hessian(place)), loss.is_likelihood
    return Curvature(labels, np.asarray(place), matrix, "hessian", np.inf, None, is_likelihood)


def jacobian_at(
    problem: Problem, target: Any, place: Any, unravel: Any
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the number of data, the residuals of data and priors, and their Jacobian."""
    traced = problem.residuals(target, forward=True)
    n_data = sum(np.size(leaf) for leaf in jax.tree.leaves(traced.results[0][0]))
    forward = place.size <= n_data
    traced = traced if forward else problem.residuals(target, forward=False)
    given = [state.value for state in traced.states], traced.consts

    def residuals(x, given):
        _, ((data, priors), _) = traced.call(*given, unravel(x), target)
        return jnp.concatenate([jnp.ravel(part) for part in data + priors]), ()

    vector, _, jacobian = jax.jit(lambda x: (by_columns if forward else by_rows)(residuals, x, given))(place)
    return n_data, np.asarray(vector), np.asarray(jacobian)


def labels_of(parameters: dict[str, Parameter]) -> tuple[str, ...]:
    """Return a name for every number that is moved: ``speed``, or ``w[0, 1]``."""
    labels = []
    for name, value in stored(parameters).items():
        shape = u.math.shape(value)
        labels += [f"{name}{list(i)}" for i in np.ndindex(*shape)] if shape else [name]
    return tuple(labels)


@dataclass(frozen=True)
class Uncertainty:
    """Hold how sure a fit is of its parameters; what `FitResult.uncertainty` returns.

    Parameters
    ----------
    labels : tuple of str
        One per number that was fitted.
    level : float
        Probability of the intervals.
    intervals : dict of str to (low, high)
        By name of a parameter, constrained and with its unit.
    identified : dict of str to bool
        Whether the interval of 95 % tells more than the bounds; for a parameter without bounds, whether the
        loss rises with it at all.
    covariance : numpy.ndarray, shape (label, label)
        Of the unconstrained parameters.
    correlation : numpy.ndarray, shape (label, label)
        The same scaled to a diagonal of 1.
    sigma : float or None
        The noise of the data, in their unit, if it was estimated.
    method : str
        ``'gauss_newton'`` or ``'hessian'``.
    """

    labels: tuple[str, ...]
    level: float
    intervals: dict[str, tuple[Any, Any]]
    identified: dict[str, bool]
    covariance: np.ndarray
    correlation: np.ndarray
    sigma: float | None
    method: str


def uncertainty(found: Curvature, parameters: dict[str, Parameter], level: float) -> Uncertainty:
    """Make intervals of a curvature, by a normal density of the unconstrained parameters (Laplace)."""
    if not found.is_likelihood:
        raise ArgumentError(
            "FitResult.uncertainty",
            "needs a likelihood, whose scale says how far is too far",
            "another loss",
            "Fit with objective=objectives.gaussian(sigma), or compare Fitter.profile and Fitter.noise_floor",
        )
    values, vectors = np.linalg.eigh(found.matrix)
    if values[-1] <= 0:  # flat, or the top of a hill: nothing is known
        values, vectors = np.zeros(len(values)), np.eye(len(values))
        sd, correlation = np.full(len(values), np.inf), np.eye(len(values))
        covariance = np.diag(sd)
    else:
        values = np.maximum(values, RANK * values[-1])
        covariance = (vectors / values) @ vectors.T
        sd = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(sd, sd)
    intervals = _intervals(found, parameters, sd, level)
    wide = _intervals(found, parameters, sd, 0.95)
    flat = (vectors**2 @ (values <= 10 * RANK * values[-1])) > TOUCHED
    identified = {
        name: _is_identified(part, wide[name], flat[_places(found.labels, name)])
        for name, part in parameters.items()
    }
    return Uncertainty(
        found.labels, level, intervals, identified, covariance, correlation, found.sigma, found.method,
    )  # fmt: skip


def _intervals(found, parameters, sd, level):
    quantile = scipy.stats.t.ppf(0.5 + level / 2, found.dof)
    free = stored(parameters)
    unravel = ravel_pytree(free)[1]
    ends = [unravel(jnp.asarray(found.place + sign * quantile * sd)) for sign in (-1, 1)]
    made = {}
    for name, part in parameters.items():
        low, high = (end[name] if part.param is None else part.param.t.forward(end[name]) for end in ends)
        made[name] = (u.math.minimum(low, high), u.math.maximum(low, high))
    return made


def _places(labels, name):
    return [i for i, label in enumerate(labels) if label == name or label.startswith(f"{name}[")]


def _is_identified(part: Parameter, interval, flat) -> bool:
    """Tell whether an interval says more than the bounds."""
    box, unit = part.box(), u.get_unit(part.value())
    if box is None:
        return not np.any(flat)
    low, high, bottom, top = (np.asarray(u.Quantity(x).to_decimal(unit)) for x in (*interval, *box))
    return bool(np.all(high - low < SPANS * (top - bottom)))


@dataclass(frozen=True)
class Identifiability:
    """Hold which combinations of parameters the data fix; what `FitResult.identifiability` returns.

    Parameters
    ----------
    labels : tuple of str
        One per number that was fitted.
    eigenvalues : numpy.ndarray, shape (direction,)
        Curvature of the loss along each direction of the unconstrained parameters, the largest first.
    directions : numpy.ndarray, shape (direction, label)
        Unit vectors.
    condition : float
        Ratio of the largest and the smallest eigenvalue; infinite if the smallest is not positive.
    """

    labels: tuple[str, ...]
    eigenvalues: np.ndarray
    directions: np.ndarray
    condition: float

    @property
    def stiff(self) -> list[str]:
        """The directions that the data fix, in words."""
        return [self._words(i) for i, value in enumerate(self.eigenvalues) if value > self._border]

    @property
    def sloppy(self) -> list[str]:
        """The directions in which the data leave the parameters loose, in words."""
        return [self._words(i) for i, value in enumerate(self.eigenvalues) if value <= self._border]

    @property
    def _border(self):
        return SLOPPY**2 * self.eigenvalues[0]

    def _words(self, i):
        """Write a direction as a sum, its large parts first."""
        vector = self.directions[i] * np.sign(self.directions[i][np.argmax(np.abs(self.directions[i]))])
        order = [j for j in np.argsort(-np.abs(vector)) if abs(vector[j]) > 0.1]
        return " ".join(f"{vector[j]:+.2f} {self.labels[j]}" for j in order)

    def __repr__(self):
        lines = [f"{value:.3g}: {self._words(i)}" for i, value in enumerate(self.eigenvalues)]
        return "\n".join([f"Identifiability(condition={self.condition:.3g})", *lines])


def identifiability(found: Curvature) -> Identifiability:
    """Return the directions of a curvature."""
    values, vectors = np.linalg.eigh(found.matrix)
    order = np.argsort(-values)
    smallest = values.min()
    condition = float(values.max() / smallest) if smallest > 0 else np.inf
    return Identifiability(found.labels, values[order], vectors[:, order].T, condition)
