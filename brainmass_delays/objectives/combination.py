"""Objectives made of others."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core.arguments import checked, function
from .._core.checks import ArgumentError
from .series import in_one_unit, root, same_shape


class Combination:
    """Add up objectives with weights; what `combine` returns."""

    def __init__(self, parts: dict[str, tuple[Any, Callable]]):
        self.parts = parts

    def __call__(self, prediction: Any, target: Any = None) -> jax.Array:
        """Return the weighted sum."""
        return sum(self.terms(prediction, target).values(), jnp.zeros(()))

    def terms(self, prediction: Any, target: Any = None) -> dict[str, jax.Array]:
        """Return the weighted terms by name; their sum is the loss."""
        return {name: weight * part(prediction, target) for name, (weight, part) in self.parts.items()}

    def __repr__(self) -> str:
        return f"combine({', '.join(f'{name}: {weight}' for name, (weight, _) in self.parts.items())})"


def combine(*weighted_objectives: tuple[float, Callable], **named: tuple[float, Callable]) -> Combination:
    """Add up objectives with weights.

    Parameters
    ----------
    *weighted_objectives : (float, callable)
        Pairs of a dimensionless weight and an objective ``(prediction, target) -> scalar``. A score that
        should grow, such as `fc_corr`, takes a negative weight.
    **named : (float, callable)
        The same by name. Terms without a name are called by their objective, with a number if it occurs
        twice.

    Returns
    -------
    Combination
        ``loss(prediction, target=None)``, the weighted sum; ``loss.terms(prediction, target)``, its terms by
        name.

    Raises
    ------
    ArgumentError
        If there is no pair, or one is not a (number, callable) pair.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays import objectives
    >>> parts = {'rmse': (2.0, objectives.timeseries_rmse()), 'mse': (0.5, objectives.timeseries_mse())}
    >>> loss = objectives.combine(**parts)
    >>> float(loss(jnp.full((4, 2), 3.0), jnp.full((4, 2), 1.0)))
    6.0
    >>> {name: float(term) for name, term in loss.terms(jnp.full(4, 3.0), jnp.full(4, 1.0)).items()}
    {'rmse': 4.0, 'mse': 2.0}
    """
    if not weighted_objectives and not named:
        raise ArgumentError("combine", "needs at least one (weight, objective) pair")
    for pair in (*weighted_objectives, *named.values()):
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
            raise ArgumentError(
                "combine",
                "must be given (weight, objective) pairs",
                repr(pair),
                "Write combine((1.0, timeseries_rmse()), (0.5, fc_corr(as_loss=True)))",
            )
    parts = dict(named)
    for pair in weighted_objectives:
        name = _name(pair[1])
        taken = sum(known == name or known.startswith(f"{name}_") for known in parts)
        parts[f"{name}_{taken + 1}" if taken else name] = pair
    return Combination(parts)


@checked(objective=function)
def terms_of(objective: Callable, prediction: Any, target: Any) -> dict[str, jax.Array]:
    """Return the weighted terms of a combination by name; nothing for other objectives."""
    return objective.terms(prediction, target) if isinstance(objective, Combination) else {}


@checked(analysis=function)
def rmse_of(analysis: Callable, **options: Any) -> Callable[[Any, Any], jax.Array]:
    """Make a loss of an analysis: the root mean squared difference of what it returns.

    Parameters
    ----------
    analysis : callable
        ``analysis(series, **options)`` returns an array, e.g. `coherence`, `plv`, `metastability` or
        `envelope_correlation`.
    **options
        Passed to it.

    Returns
    -------
    callable
        ``loss(prediction, target) -> scalar``, in the unit of the analysis of the prediction.

    Raises
    ------
    ArgumentError
        When called, if the two results differ in shape or dimension.

    Notes
    -----
    Its gradient is that of the analysis, and 0 where the loss is 0. A mean over the entries of a symmetric
    matrix counts every pair twice and the diagonal once.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> loss = objectives.rmse_of(objectives.metastability)
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> float(loss(x, x))
    0.0
    """
    return functools.partial(_rmse_of, analysis=analysis, options=options)


def _rmse_of(prediction, target, *, analysis, options):
    """Return the root mean squared difference of an analysis; a function of its own, so that it pickles."""
    where = f"rmse_of({_name(analysis)})"
    ours, theirs = analysis(prediction, **options), analysis(target, **options)
    same_shape(where, ours, theirs)
    ours, theirs = in_one_unit(where, ours, theirs)
    difference = ours - theirs
    return root(jnp.mean(jnp.real(difference) ** 2 + jnp.imag(difference) ** 2))


def _name(function: Callable) -> str:
    """Return the name of a function, configured or not."""
    return getattr(getattr(function, "func", function), "__name__", type(function).__name__)
