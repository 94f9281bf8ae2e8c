"""Step-size control: from the error of one attempt to the length of the next.

References
----------
.. [1] G. Söderlind. Digital filters in adaptive time-stepping. ACM Trans. Math. Softw. 29 (2003) 1-26.
.. [2] C. A. Kennedy, M. H. Carpenter. Additive Runge-Kutta schemes for convection-diffusion-reaction
   equations. Appl. Numer. Math. 44 (2003) 139-181.
.. [3] E. Hairer, S. P. Nørsett, G. Wanner. Solving Ordinary Differential Equations I. Springer, 1993.
   Section II.4.
"""

from dataclasses import dataclass, replace

import brainunit as u
import jax.numpy as jnp

from .._core.arguments import numbers
from .._core.checks import check_choice


@dataclass(frozen=True)
class Controller:
    """Propose the next step from the margin ``power = error_norm**(-1 / order)`` of this attempt and the last
    two.

    The proposal is ``h * clip(safety * power**(i + p + d) * last**(-p - 2 d) * last_but_one**d)``; an attempt
    is accepted when ``power >= 1``, and only accepted attempts are remembered.

    Parameters
    ----------
    integral, proportional, derivative : float, dimensionless
        The gains i, p, d.
    safety : float, default 0.9
        Factor that makes the next attempt a little shorter than the error asks for.
    shortest, longest : float, default 0.2 and 10
        Bounds of the ratio of consecutive steps.
    sudden : float, default infinite
        Largest ratio unless the step before had room for more, too: the error estimate of one number passes
        through 0, and a step that is five times too long for its problem may then be accepted as well.

    Examples
    --------
    >>> from brainmass_delays.integrate import Controller
    >>> factor, memory = Controller(integral=1.0)(2.0, Controller().start(float))
    >>> print(factor)
    1.8
    """

    integral: float = 1.0
    proportional: float = 0.0
    derivative: float = 0.0
    safety: float = 0.9
    shortest: float = 0.2
    longest: float = 10.0
    sudden: float = float("inf")

    def __post_init__(self):
        """Refuse what is no gain and no bound."""
        for name in ("integral", "proportional", "derivative"):
            gain = numbers(unit=u.UNITLESS, scalar=True, finite=True, low=0.0, traced=False)
            gain(f"Controller.{name}", getattr(self, name))
        for name in ("safety", "shortest", "longest"):
            bound = numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False)
            bound(f"Controller.{name}", getattr(self, name))
        numbers(unit=u.UNITLESS, scalar=True, above=0, traced=False)("Controller.sudden", self.sudden)

    def start(self, dtype):
        """Return the memory before the first attempt: two margins of 1."""
        return jnp.ones((2,), dtype)

    def __call__(self, power, memory):
        """Return the ratio of the next step to this one, and the new memory; NaN counts as far too long."""
        i, p, d = self.integral, self.proportional, self.derivative
        factor = self.safety * power ** (i + p + d)
        if p or d:
            factor *= memory[0] ** (-p - 2 * d) * memory[1] ** d
        factor = jnp.where(jnp.isnan(factor), self.shortest, jnp.clip(factor, self.shortest, self.longest))
        if self.sudden < self.longest:
            factor = jnp.minimum(factor, jnp.maximum(self.sudden, self.safety * memory[0]))
        largest = self.longest ** (1 / max(i, 0.1))  # an error of zero must not be remembered as infinity
        remembered = jnp.stack([jnp.minimum(power, largest), memory[0]])
        return factor, jnp.where(power >= 1, remembered, memory)


CONTROLLERS = {
    "integral": Controller(),
    "pi": Controller(integral=0.3, proportional=0.4),
    "pid": Controller(integral=0.47, proportional=0.01, derivative=0.1),
}


def resolve_controller(controller: str | Controller, where: str, **changes) -> Controller:
    """Return the controller of that name with some fields changed, or a given `Controller` as it is."""
    if isinstance(controller, Controller):
        return controller
    return replace(CONTROLLERS[check_choice(where, controller, CONTROLLERS)], **changes)


def scaled_norm(error, before, after, rtol, atol):
    """Return the root mean square of ``error / (atol + rtol * max(|before|, |after|))``."""
    scale = atol + rtol * jnp.maximum(jnp.abs(before), jnp.abs(after))
    return jnp.sqrt(jnp.mean((jnp.abs(error) / scale) ** 2))


def starting_step(flow, t0, y0, slope, norm, *, power, fallback, longest=jnp.inf):
    """Guess a first step at which an explicit Euler step errs by a hundredth of the tolerance [3]_.

    ``norm`` measures states and slopes in tolerances, ``power`` is the inverse order of the error, and
    ``fallback`` the step for a state or slope of size 0.
    """
    size, speed = norm(y0), norm(slope)
    moving = (size > 1e-5) & (speed > 1e-5)
    trial = jnp.where(moving, 0.01 * size / jnp.where(moving, speed, 1.0), fallback)
    trial = jnp.minimum(trial, longest)
    bend = norm(flow(t0 + trial, y0 + trial * slope) - slope) / trial
    steepest = jnp.maximum(speed, bend)
    flat = steepest <= 1e-15
    step = (0.01 / jnp.where(flat, 1.0, steepest)) ** power
    step = jnp.minimum(100 * trial, jnp.where(flat, jnp.maximum(fallback, 1e-3 * trial), step))
    return jnp.where(jnp.isfinite(step) & (step > 0), step, fallback)
