"""What a fit makes small: a whole loss, or an objective of a prediction and data, with priors."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Module, Param

from .. import objectives
from .._core.arguments import returned
from .._core.checks import ArgumentError
from .._core.parameters import Parameter
from .problem import call_with_model, split_outcome


class Loss:
    """Compute the loss of a model: ``loss(target) -> (scalar, prediction, status, terms)``.

    ``priors`` are added to the objective, by name of a parameter, beside what the Params carry themselves.
    """

    def __init__(self, model: Module, loss_fn, predict, objective, transient: int | None):
        self.model, self.loss_fn, self.predict = model, loss_fn, predict
        self.objective, self.transient = objective, transient
        self.priors: list[tuple[Parameter, Any]] = []

    def __call__(self, target: Any) -> tuple[Any, Any, Any, dict]:
        """Return the loss, the prediction, the status flags of the simulation, and the terms of the loss."""
        if self.loss_fn is not None:
            outcome = call_with_model(self.loss_fn, self.model)
            loss, rest = outcome if isinstance(outcome, tuple) else (outcome, None)
            return returned("Fitter.loss_fn", loss) + self._of_priors(), *split_outcome(rest), {}
        return self._compare(target, *self._predict())

    def residuals(self, target: Any) -> tuple[list, list, tuple]:
        """Return the residuals of the data, those of priors, and what calling the loss returns."""
        prediction, status = self._predict()
        data = self.squares.residuals(self._kept(prediction), target)
        return data, self._residuals_of_priors(), self._compare(target, prediction, status)

    @property
    def squares(self) -> Any:
        """The sum of squares that is made small, None if it is another loss."""
        if self.loss_fn is not None or hasattr(self.objective, "residuals"):
            return None if self.loss_fn is not None else self.objective
        function = getattr(self.objective, "func", self.objective)
        plain = not self.priors and not self._carried()
        is_square = plain and function in (objectives.timeseries_mse, objectives.timeseries_rmse)
        return objectives.gaussian() if is_square else None

    @property
    def is_root(self) -> bool:
        """Whether the loss is the root of a sum of squares."""
        return getattr(self.objective, "func", self.objective) is objectives.timeseries_rmse

    @property
    def is_likelihood(self) -> bool:
        """Whether the loss is known to be a negative log likelihood, or posterior density."""
        loss = self.objective if self.loss_fn is None else self.loss_fn
        return getattr(getattr(loss, "func", loss), "is_likelihood", False)

    @property
    def is_measured(self) -> bool:
        """Whether its scale is known or can be estimated, so that parameters have intervals."""
        return self.is_likelihood or self.squares is not None

    @property
    def follows_time(self) -> bool:
        """Whether residuals are those of time series, whose axis 0 is time."""
        return getattr(self.objective, "of", None) is None

    def _predict(self):
        return split_outcome(call_with_model(self.predict, self.model))

    def _kept(self, prediction):
        return (
            prediction if self.transient is None else jax.tree.map(lambda x: x[self.transient :], prediction)
        )

    def _compare(self, target, prediction, status):
        compared = self._kept(prediction)
        terms = objectives.terms_of(self.objective, compared, target)
        loss = sum(terms.values()) if terms else self.objective(compared, target)
        loss = returned("Fitter.objective", loss)
        return loss + self.model.reg_loss() + self._of_priors(), prediction, status, terms

    def excluded(self) -> list[str]:
        """Say which priors rule out where the parameters stand."""
        texts = []
        for prior, part in [(prior, part) for part, prior in self.priors] + self._carried():
            value = part.value()
            if hasattr(prior, "in_unit") and not np.isfinite(float(prior.loss(u.get_magnitude(value)))):
                texts.append(
                    f"The prior {prior} does not allow {getattr(part, 'name', 'a parameter')}={value}."
                )
        return texts

    def _of_priors(self):
        return sum(prior.loss(u.get_magnitude(part.value())) for part, prior in self.priors)

    def _residuals_of_priors(self) -> list[jax.Array]:
        """Return residuals whose halved squares are the priors, up to constants."""
        pairs = [(prior, part) for part, prior in self.priors] + self._carried()
        return [_residual(prior, part.value()) for prior, part in pairs]

    def _carried(self) -> list[tuple[Any, Param]]:
        """Return the regularizations that Params of the model carry."""
        return [(p.reg, p) for p in self.model.nodes(Param).values() if p.reg is not None and p.fit]


def _residual(prior: Any, value: Any) -> jax.Array:
    if not hasattr(prior, "residual"):
        raise ArgumentError(
            "Fitter.model",
            "must have regularizations that are sums of squares with backend='least_squares'",
            type(prior).__name__,
            "Use a prior of brainmass_delays.priors, or backend='scipy'",
        )
    return jnp.ravel(prior.residual(u.get_magnitude(value)))


def check_loss(loss_fn, predict, objective, backend: str) -> None:
    """Refuse a missing or doubled loss, a score where a loss belongs, and no squares where squares belong."""
    if (loss_fn is None) == (predict is None):
        raise ArgumentError(
            "Fitter",
            "needs either loss_fn or predict",
            "both" if loss_fn else "neither",
            "Pass predict=lambda model: ... and an objective, or loss_fn=lambda model: ...",
        )
    for name, value in {"loss_fn": loss_fn, "predict": predict, "objective": objective}.items():
        if value is not None and not callable(value):
            raise ArgumentError(f"Fitter.{name}", "must be callable", type(value).__name__)
    if loss_fn is not None and objective is not None:
        raise ArgumentError(
            "Fitter.objective", "must be None with loss_fn, which is the whole loss", repr(objective)
        )
    kind = "loss" if objective is None else objectives.kind_of(objective)
    if kind != "loss":
        name = getattr(objective, "func", objective).__name__
        cure = "fcd_distance" if name == "fcd_ks" else f"{name}(as_loss=True)"
        raise ArgumentError(
            "Fitter.objective", "must be a loss to minimize", f"the {kind} {name}", f"Use {cure}"
        )
    if backend == "least_squares":
        _check_squares(loss_fn, objective)


def _check_squares(loss_fn: Callable | None, objective: Callable | None) -> None:
    cure = "Pass predict= and objective=objectives.gaussian(sigma), with of= for what is compared"
    if loss_fn is not None:
        raise ArgumentError(
            "Fitter.loss_fn", "must be None with backend='least_squares'", repr(loss_fn), cure
        )
    if objective is not None and not hasattr(objective, "residuals"):
        raise ArgumentError(
            "Fitter.objective", "must be a sum of squares with backend='least_squares'", repr(objective), cure
        )
    sigma = getattr(objective, "sigma", None)
    if hasattr(sigma, "fit") and sigma.fit:
        raise ArgumentError(
            "Fitter.objective", "must have a known sigma with backend='least_squares'", "one that is trained",
            "Use backend='scipy', or a number: result.uncertainty() estimates it",
        )  # fmt: skip
