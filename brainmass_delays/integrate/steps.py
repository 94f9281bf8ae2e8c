"""Fixed-step methods, each as textbook arithmetic on plain arrays.

A method sees two functions: ``drive(c, state)``, the inputs of the stage at ``t + c * dt``, and ``rate(c,
state, inputs)``, the time derivatives. Units are taken off and put back in one place, `_on_magnitudes`.

References
----------
Hairer, E., Norsett, S. P., Wanner, G. (1993). Solving Ordinary Differential Equations I. Springer.
Hochbruck, M., Ostermann, A. (2010). Exponential integrators. Acta Numerica 19, 209-286.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.units import magnitude


class Step(NamedTuple):
    """Describe one fixed-step method.

    Parameters
    ----------
    offsets : tuple of float
        The distinct stage times ``c`` in units of the step, ascending, at which `advance` calls ``drive``.
    order : int
        Global order on a smooth problem without delays, measured in the tests.
    advance : Callable
        ``advance(rate, drive, state, dt) -> new_state``. ``state`` is a tuple of arrays or Quantities;
        ``drive(c, state)`` returns the inputs of a stage; ``rate(c, state, inputs)`` returns one time
        derivative per state: a Quantity per time, or a plain number in the unit of that state per ms. ``dt``
        is a time, or a plain number of ms.

    Notes
    -----
    Stages run in order, and the rate at ``c = 0`` is known before ``drive`` is called for any later stage.
    The gradient is that of the discrete step.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate.steps import STEPS
    >>> decay = lambda c, state, inputs: (-state[0] + inputs[0],)
    >>> constant = lambda c, state: (2.0,)
    >>> (x,) = STEPS['exp_euler'].advance(decay, constant, (jnp.array(1.0),), 0.5)
    >>> bool(jnp.isclose(x, 2.0 - jnp.exp(-0.5)))
    True
    """

    offsets: tuple[float, ...]
    order: int
    advance: Callable


def per_ms(rate, unit: Any = u.UNITLESS, where: str = "rate"):
    """Return the number of ``unit`` per ms in ``rate``, a Quantity per time or already that plain number."""
    return magnitude(where, rate, unit / u.ms)


def _on_magnitudes(method):
    """Let ``method(f, drive, x, h)`` work on plain arrays, with rates per ms and ``h`` in ms."""

    @wraps(method)
    def advance(rate, drive, state, dt):
        units = [u.get_unit(x) for x in state]

        def attach(xs):
            return tuple(
                x if unit.is_unitless else u.Quantity(x, unit=unit) for x, unit in zip(xs, units, strict=True)
            )

        def f(c, xs, inputs):
            rates = rate(c, attach(xs), inputs)
            return tuple(per_ms(r, unit) for r, unit in zip(rates, units, strict=True))

        new = method(
            f,
            lambda c, xs: drive(c, attach(xs)),
            tuple(u.get_mantissa(x) for x in state),
            magnitude("dt", dt, u.ms),
        )
        return attach(new)

    return advance


def _move(xs, h, slopes):
    """Return ``xs + h * slopes``."""
    return tuple(x + h * k for x, k in zip(xs, slopes, strict=True))


@_on_magnitudes
def _euler(f, drive, x, h):
    """Forward Euler."""
    return _move(x, h, f(0.0, x, drive(0.0, x)))


@_on_magnitudes
def _heun(f, drive, x, h):
    """Two-stage Heun: Euler predictor, trapezoidal corrector."""
    k1 = f(0.0, x, drive(0.0, x))
    predicted = _move(x, h, k1)
    k2 = f(1.0, predicted, drive(1.0, predicted))
    return _move(x, h / 2, tuple(a + b for a, b in zip(k1, k2, strict=True)))


@_on_magnitudes
def _rk4(f, drive, x, h):
    """Classical four-stage Runge-Kutta."""

    def slope(c, xs):
        return f(c, xs, drive(c, xs))

    k1 = slope(0.0, x)
    k2 = slope(0.5, _move(x, h / 2, k1))
    k3 = slope(0.5, _move(x, h / 2, k2))
    k4 = slope(1.0, _move(x, h, k3))
    return _move(x, h / 6, tuple(a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)))


@_on_magnitudes
def _exp_euler(f, drive, x, h):
    """Exponential Euler: each variable linearized in itself, exact for linear decay under constant drive."""
    inputs = drive(0.0, x)
    rates = f(0.0, x, inputs)
    return tuple(xi + h * u.math.exprel(h * _own_slope(f, inputs, x, i)) * rates[i] for i, xi in enumerate(x))


def _own_slope(f, inputs, x, i):
    """Return the derivative of rate ``i`` in variable ``i``, elementwise."""

    def own(xi):
        return f(0.0, (*x[:i], xi, *x[i + 1 :]), inputs)[i]

    return jax.jvp(own, (x[i],), (jnp.ones_like(x[i]),))[1]


STEPS: dict[str, Step] = {
    "euler": Step((0.0,), 1, _euler),
    "heun": Step((0.0, 1.0), 2, _heun),
    "rk4": Step((0.0, 0.5, 1.0), 4, _rk4),
    "exp_euler": Step((0.0,), 1, _exp_euler),
}
