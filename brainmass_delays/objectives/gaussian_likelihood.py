"""The likelihood of data with Gaussian noise, which is a sum of squares."""

import math
from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.arguments import numbers
from .._core.checks import ArgumentError
from .._core.units import magnitude
from .series import in_one_unit, same_shape


class Gaussian:
    """Compare a prediction with data that have Gaussian noise; what `gaussian` returns.

    Its loss and its residuals belong together: the loss is half the sum of the squared residuals, and for a
    known noise the constant that makes it a negative log likelihood.
    """

    kind = "loss"

    def __init__(self, sigma: Any, weights: Any, of: Callable | None):
        self.sigma, self.weights, self.of = sigma, weights, of

    def __call__(self, prediction: Any, target: Any) -> jax.Array:
        """Return the loss, ``sum(residuals**2) / 2`` plus the constant of a known noise."""
        pairs = self._pairs(prediction, target)
        loss = jnp.asarray(sum(0.5 * jnp.sum(_residual(*pair) ** 2) for pair in pairs))
        if self.sigma is None:
            return loss
        return loss + sum(
            _counted(weight, ours) @ jnp.ravel(jnp.broadcast_to(jnp.log(sigma), ours.shape))
            + 0.5 * math.log(2 * math.pi) * jnp.sum(_counted(weight, ours))
            for ours, _, sigma, weight in pairs
        )

    @property
    def is_likelihood(self) -> bool:
        """Whether it is on one scale with priors: the noise is known."""
        return self.sigma is not None

    def residuals(self, prediction: Any, target: Any) -> list[jax.Array]:
        """Return ``sqrt(weight) * (prediction - target) / sigma``, an array per leaf of the prediction."""
        return [_residual(*pair) for pair in self._pairs(prediction, target)]

    def _pairs(self, prediction, target):
        """Return prediction, target, sigma and weight of every leaf, as plain numbers in one unit."""
        if self.of is not None:
            prediction, target = self.of(prediction), self.of(target)
        ours, tree = jax.tree.flatten(prediction, is_leaf=u.math.is_quantity)
        theirs, other = jax.tree.flatten(target, is_leaf=u.math.is_quantity)
        if tree != other:
            raise ArgumentError(
                "gaussian", f"target must have the structure of the prediction, {tree}", other
            )
        sigmas = _per_leaf("gaussian.sigma", self.sigma, tree)
        weights = _per_leaf("gaussian.weights", self.weights, tree)
        return [_pair(*leaves) for leaves in zip(ours, theirs, sigmas, weights, strict=True)]

    def __repr__(self) -> str:
        return f"gaussian(sigma={self.sigma})"


def gaussian(sigma: Any = None, *, weights: Any = None, of: Callable | None = None) -> Gaussian:
    """Make the objective of data with independent Gaussian noise: a sum of squares, or a likelihood.

    Parameters
    ----------
    sigma : float, array_like, Quantity or Param, or a dict of them, optional
        Standard deviation of the noise, which broadcasts to the data, in their unit; one for each entry where
        prediction and target are dicts. With it the loss is a negative log likelihood, on one scale with
        priors. Without, it is half the sum of squared differences.
    weights : array_like or dict of them, optional
        How often each number counts, dimensionless, at least 0. What has weight 0 may be NaN in the data.
    of : callable, optional
        What is compared, applied to prediction and target alike, e.g. `fc` or `psd`.

    Returns
    -------
    Gaussian
        ``loss(prediction, target) -> scalar``; ``loss.residuals(prediction, target)``, a list of arrays, is
        what least squares work on.

    Raises
    ------
    ArgumentError
        If a sigma is not positive or a weight negative; when called, if structures, shapes or dimensions
        differ.

    Notes
    -----
    The gradient is exact, also in a trained ``sigma``, which must be bounded away from 0. The residuals are
    ``sqrt(weight) * (prediction - target) / sigma``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays import objectives
    >>> float(objectives.gaussian()(jnp.full(4, 3.0), jnp.full(4, 1.0)))
    8.0
    >>> nll = objectives.gaussian(sigma=1.0)(jnp.ones(4), jnp.zeros(4))
    >>> bool(jnp.isclose(nll, objectives.gaussian_nll(jnp.ones(4), jnp.zeros(4), sigma=1.0)))
    True
    """
    if of is not None and not callable(of):
        raise ArgumentError("gaussian.of", "must be a function of a prediction", repr(of))
    _check_leaves("gaussian.sigma", sigma, numbers(finite=True, above=0))
    _check_leaves("gaussian.weights", weights, numbers(unit=u.UNITLESS, finite=True, low=0))
    return Gaussian(sigma, weights, of)


def _is_leaf(x) -> bool:
    return u.math.is_quantity(x) or hasattr(x, "value")


def _check_leaves(where, value, rule):
    """Refuse a value, or one of its leaves, that breaks a rule."""
    if value is None:
        return
    leaves = jax.tree.leaves(value, is_leaf=_is_leaf)
    if not leaves:
        raise ArgumentError(where, "must hold at least one number", repr(value))
    for leaf in leaves:
        rule(where, leaf.value() if callable(getattr(leaf, "value", None)) else leaf)


def _pair(ours, theirs, sigma, weight):
    """Return one leaf of everything as plain numbers in the unit of the prediction."""
    same_shape("gaussian", ours, theirs)
    unit = u.get_unit(ours)
    ours, theirs = in_one_unit("gaussian", ours, theirs)
    for name, values in {"prediction": ours, "target": theirs}.items():
        if jnp.iscomplexobj(values):
            raise ArgumentError(
                f"gaussian.{name}", "must be real", "complex numbers", "Give real and imaginary parts"
            )
        if values.size == 0:
            raise ArgumentError(f"gaussian.{name}", "must hold at least one number", f"shape {values.shape}")
    sigma = sigma.value() if callable(getattr(sigma, "value", None)) else sigma
    sigma = jnp.ones(()) if sigma is None else jnp.asarray(magnitude("gaussian.sigma", sigma, unit))
    return ours, theirs, sigma, None if weight is None else jnp.asarray(weight)


def _residual(ours, theirs, sigma, weight):
    """Return the weighted difference; data without weight may be missing."""
    if weight is None:
        return (ours - theirs) / sigma
    counts = jnp.broadcast_to(weight > 0, ours.shape)
    difference = jnp.where(counts, ours - jnp.where(counts, theirs, 0.0), 0.0)
    return jnp.sqrt(jnp.where(weight > 0, weight, 0.0)) * difference / sigma


def _counted(weight, ours):
    """Return how often each number counts, as one row."""
    return jnp.ravel(jnp.broadcast_to(1.0 if weight is None else weight, ours.shape))


def _per_leaf(where, value, tree):
    """Return one value per leaf of a prediction: the same for all, or those of a like structure."""
    if not isinstance(value, dict | list | tuple):
        return [value] * tree.num_leaves
    leaves, found = jax.tree.flatten(value, is_leaf=_is_leaf)
    if found != tree:
        raise ArgumentError(
            where, f"must be one value, or have the structure of the prediction, {tree}", found
        )
    return leaves
