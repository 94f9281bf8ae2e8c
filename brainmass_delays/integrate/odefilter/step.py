"""One step of the filter: extrapolate, compare with the equation, correct."""

from collections.abc import Callable
from typing import NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ..._core.checks import ArgumentError, check_choice, check_count, check_positive
from ..._core.status import is_traced
from .coordinates import Equation
from .gaussian import Gaussian, Kernel, Transition, observe, predict, predict_and_reverse, residual_std
from .prior import WienerPrior, transition, wiener_prior
from .taylor import coefficient_rows

CALIBRATIONS = ("none", "mle", "dynamic")
DEFAULT_NUM = 3


class Step(NamedTuple):
    """Hold the state at the end of a step, the way back, and what calibration and control need."""

    gaussian: Gaussian
    kernel: Kernel | None
    residual: jax.Array
    surprise: jax.Array
    scale: jax.Array


class Filter:
    """Hold an initial value problem and its prior in vector form, and take steps."""

    def __init__(
        self, where: str, f: Callable, u0, t0, *others, num, order, args, output_scale, calibration, damp
    ):
        check_choice(f"{where}.calibration", calibration, CALIBRATIONS)
        if not is_traced(damp) and not np.all(np.asarray(damp) >= 0):
            raise ArgumentError(f"{where}.damp", "must not be negative", damp)
        self.calibration, self.damp = calibration, damp
        prior = u0 if isinstance(u0, WienerPrior) else None
        if prior is not None:
            order = check_count(f"{where}.order", order)
            _check_prior(where, prior, num, order, output_scale)
            u0 = prior.mean[0] if order == 1 else prior.mean[:order]
        self.equation = Equation(where, f, u0, t0, *others, order=order, args=args)
        state = self.equation.state
        if prior is None:
            num = check_count(f"{where}.num", DEFAULT_NUM if num is None else num)
            mean = coefficient_rows(self.equation, num)
            prior = wiener_prior(mean, output_scale=1.0 if output_scale is None else output_scale)
        else:
            mean = jnp.stack([state.to_vector(f"{where}.u0", row, k) for k, row in enumerate(prior.mean)])
        self.initial = Gaussian(mean.astype(state.dtype), jnp.asarray(prior.cholesky, state.dtype).T)
        self.output_scale = jnp.asarray(prior.output_scale, state.dtype)

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients, the value included."""
        return len(self.initial.mean)

    def transition(self, step: jax.Array, scale: jax.Array) -> Transition:
        """Discretize the prior, with its diffusion multiplied by ``scale``."""
        return transition(self.n_coefficients - 1, step, scale * self.output_scale)

    def step(self, gaussian: Gaussian, t: jax.Array, step: jax.Array, *, smoothing: bool) -> Step:
        """Step from ``t`` to ``t + step``, the equation linearized to order zero at the extrapolated mean."""
        order, damp = self.equation.order, jnp.asarray(self.damp, gaussian.mean.dtype)
        extrapolation = self.transition(step, 1.0)
        mean = extrapolation.matrix @ gaussian.mean
        residual = mean[order] - self.equation.field(t + step, mean[:order])
        scale = jnp.ones_like(step)
        if self.calibration == "dynamic":
            rms = jnp.sqrt(jnp.mean(jax.lax.stop_gradient(residual) ** 2))
            scale = jax.lax.stop_gradient(rms / residual_std(extrapolation.noise, order, damp))
            extrapolation = self.transition(step, scale)
        predicted, kernel = (
            predict_and_reverse(gaussian, extrapolation)
            if smoothing
            else (predict(gaussian, extrapolation), None)
        )
        corrected, std = observe(predicted, order, residual, damp)
        surprise = jnp.mean((residual / jnp.where(std > 0, std, 1.0)) ** 2)
        return Step(corrected, kernel, residual, surprise, scale)


def _check_prior(where: str, prior: WienerPrior, num, order: int, output_scale) -> None:
    """Refuse options that a ready-made prior already fixes, and priors too short for the equation."""
    for name, value in (("num", num), ("output_scale", output_scale)):
        if value is not None:
            raise ArgumentError(
                f"{where}.{name}", "must be left out if u0 is a prior", value, "Put it into the prior"
            )
    if len(prior.mean) <= order:
        raise ArgumentError(f"{where}.u0", f"must have at least {order + 1} coefficients for order={order}",
                            len(prior.mean))  # fmt: skip


def checked_positive(where: str, value):
    """Return ``value`` unless it is concrete and not positive."""
    plain = u.get_magnitude(value)
    if not is_traced(plain):
        check_positive(where, plain)
    return value
