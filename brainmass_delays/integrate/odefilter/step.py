"""One step of the filter: extrapolate, compare with the equation, correct."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..._core.arguments import numbers
from ..._core.checks import ArgumentError, check_choice, check_count
from ..._core.status import is_traced
from .coordinates import Coordinates, Equation
from .gaussian import (
    Gaussian,
    Transition,
    column_norms,
    observe,
    predict,
    predict_and_reverse,
    stack,
    upper_root,
    whiten,
)
from .layout import COVARIANCES, Layout
from .prior import Dynamics, Prior, check_scale, covariance_root, initial_root, wiener_prior
from .taylor import coefficient_rows

CALIBRATIONS = ("none", "mle", "dynamic")
LINEARIZATIONS = ("ts0", "ts1")
DEFAULT_NUM = 3


class Step(NamedTuple):
    """Hold the state at the end of a step, the way back, and what calibration and control need.

    ``error`` (d,) is the local error of the observed derivative, ``surprise`` (block,) the mean square of the
    whitened residuals, ``scale`` (block,) the local diffusion.
    """

    gaussian: Gaussian
    kernel: Any  # Kernel; None without smoothing
    error: jax.Array
    surprise: jax.Array
    scale: jax.Array


class Filter:
    """Hold an initial value problem and its prior in blocks, and take steps."""

    def __init__(
        self, where: str, f: Callable, y0, t0, *others, num, order, args, output_scale, calibration, damp,
        linearization, covariance, y0_std,
    ):  # fmt: skip
        check_choice(f"{where}.calibration", calibration, CALIBRATIONS)
        check_choice(f"{where}.linearization", linearization, LINEARIZATIONS)
        if not is_traced(damp) and not np.all(np.asarray(damp) >= 0):
            raise ArgumentError(f"{where}.damp", "must not be negative", damp)
        self.calibration, self.damp, self.linearization = calibration, damp, linearization
        prior = y0 if isinstance(y0, Prior) else None
        if prior is not None:
            order = check_count(f"{where}.order", order)
            _check_prior(where, prior, order, num=num, output_scale=output_scale, y0_std=y0_std)
            y0 = prior.mean[0] if order == 1 else prior.mean[:order]
        self.equation = Equation(where, f, y0, t0, *others, order=order, args=args)
        state, spread = self.equation.state, None
        if jnp.issubdtype(state.dtype, jnp.complexfloating):
            raise ArgumentError(f"{where}.y0", "must be real", state.dtype, "Split it into two real parts")
        if check_choice(f"{where}.covariance", covariance, COVARIANCES) == "isotropic":
            state.check_one_unit(f"{where}.y0")
        if prior is None:
            num = check_count(f"{where}.num", DEFAULT_NUM if num is None else num)
            rows, spread = _initial_rows(where, self.equation, num, y0_std)
            output_scale = 1.0 if output_scale is None else output_scale
            check_scale(f"{where}.output_scale", output_scale)
            prior = wiener_prior(rows, output_scale=output_scale)
        else:
            rows = jnp.stack([state.to_vector(f"{where}.y0", row, k) for k, row in enumerate(prior.mean)])
        self.layout = Layout.of(covariance, len(rows), state.size)
        self.dynamics = Dynamics.of(where, prior, self.layout, state, state.time_unit)
        root = (
            initial_root(where, prior, self.layout, state.dtype)
            if spread is None
            else covariance_root(self.layout, spread)
        )
        self.initial = Gaussian(self.layout.mean(rows.astype(state.dtype)), root)

    def transition(self, step: jax.Array, scale: jax.Array) -> Transition:
        """Discretize the prior, the diffusion of each block multiplied by ``scale`` (block,)."""
        return self.dynamics.transition(step, scale)

    @property
    def no_scale(self) -> jax.Array:
        """The scale that leaves the diffusion of every block as it is."""
        return jnp.ones(self.layout.n_blocks, self.equation.state.dtype)

    def step(self, gaussian: Gaussian, t: jax.Array, step: jax.Array, *, smoothing: bool) -> Step:
        """Step from ``t`` to ``t + step``, the equation linearized at the extrapolated mean."""
        extrapolation = self.transition(step, self.no_scale)
        residual, rows = self.linearize(t + step, extrapolation.matrix @ gaussian.mean)
        damp = self.observation_noise()
        root = upper_root(stack(extrapolation.noise @ rows.mT, damp))
        local = rms(whiten(root, residual))
        error = (local[:, None] * column_norms(root))[..., None]
        scale = self.no_scale
        if self.calibration == "dynamic":
            scale = jax.lax.stop_gradient(local)
            extrapolation = self.transition(step, scale)
        if smoothing:
            predicted, kernel = predict_and_reverse(gaussian, extrapolation)
        else:
            predicted, kernel = predict(gaussian, extrapolation), None
        corrected, root = observe(predicted, rows, residual, damp)
        surprise = rms(whiten(root, residual)) ** 2
        error = jnp.broadcast_to(error, residual.shape).reshape(-1)
        return Step(corrected, kernel, error, surprise, scale)

    def linearize(self, t: jax.Array, mean: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return "derivative less field" (block, c, column) and its linear part (block, c, n) at a mean."""
        order, layout = self.equation.order, self.layout
        rows = layout.rows(mean)
        residual = rows[order] - self.equation.field(t, rows[:order])
        linear = jnp.broadcast_to(layout.coefficient(order, mean.dtype), (*layout.entries[:2], mean.shape[1]))
        if self.linearization == "ts1":
            jacobian = jax.jacfwd(self.equation.field, argnums=1)(t, rows[:order])
            for k in range(order):
                linear -= layout.coupling(jacobian[:, k]) @ layout.coefficient(k, mean.dtype)
        return layout.mean(residual[None]), linear

    def observation_noise(self) -> jax.Array:
        """Return the root of the noise on "the residual is zero", (block, c, c)."""
        blocks, components, _ = self.layout.entries
        damp = jnp.asarray(self.damp, self.equation.state.dtype)
        return jnp.broadcast_to(
            damp * jnp.eye(components, dtype=damp.dtype), (blocks, components, components)
        )


def rms(white: jax.Array) -> jax.Array:
    """Return the root mean square of each block; zero has gradient zero."""
    square = jnp.mean(white**2, axis=(-2, -1))
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _initial_rows(where: str, equation: Equation, num: int, y0_std) -> tuple[jax.Array, jax.Array | None]:
    """Return the initial coefficients, and how they depend on each uncertain initial number times its std."""
    rows = coefficient_rows(equation, num)
    if y0_std is None:
        return rows, None
    std = _initial_std(where, equation.state, equation.order, y0_std)
    jacobian = jax.jacfwd(lambda initial: coefficient_rows(equation, num, initial=initial))(equation.initial)
    factors = jnp.moveaxis(jacobian * std, (2, 3), (0, 1))  # [order, entry, coefficient, entry]
    return rows, factors.reshape(-1, *rows.shape)


def _initial_std(where: str, state: Coordinates, order: int, y0_std) -> jax.Array:
    """Return the standard deviation of every initial number, shape (order, d)."""
    parts = (y0_std,) if order == 1 else y0_std
    if not isinstance(parts, tuple) or len(parts) != order:
        raise ArgumentError(f"{where}.y0_std", f"must be a tuple of {order} for order={order}", y0_std)
    name = f"{where}.y0_std"
    std = jnp.stack([state.to_vector(name, state.filled(part), k) for k, part in enumerate(parts)])
    numbers(finite=True, low=0)(name, std)
    return std


def _check_prior(where: str, prior: Prior, order: int, **options) -> None:
    """Refuse options that a ready-made prior already fixes, and priors too short for the equation."""
    for name, value in options.items():
        if value is not None:
            raise ArgumentError(
                f"{where}.{name}", "must be left out if y0 is a prior", value, "Put it into the prior"
            )
    if len(prior.mean) <= order:
        raise ArgumentError(f"{where}.y0", f"must have at least {order + 1} coefficients for order={order}",
                            len(prior.mean))  # fmt: skip
