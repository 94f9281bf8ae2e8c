"""A delay equation in vector form: its field, its history, and the derivatives of its solution at a kink."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._core.arguments import takes, tree_of_numbers
from ..._core.checks import ArgumentError
from ..._core.status import is_traced
from .coordinates import Coordinates, unit_of


class DelayedField:
    """Hold ``y'(t) = f(t, y(t), y(t - delays), args)`` in vectors (d,) and delayed values (J, d)."""

    def __init__(self, where: str, f: Callable, history, t0, delays, *others, args, y0):
        self._history: Any = history if callable(history) else None
        start = history(t0) if callable(history) else history
        tree_of_numbers(f"{where}.history", start)
        self.state = state = Coordinates(where, start, unit_of(t0, *others), "history")
        self.where, self._f, self._args, self._constant = where, f, args, start
        self.t0 = state.time(f"{where}.t0", t0)
        delays = state.time(f"{where}.delays", delays)
        if not is_traced(delays) and not np.all((np.asarray(delays) >= 0) & np.isfinite(delays)):
            raise ArgumentError(f"{where}.delays", "must be finite and not negative", delays)
        if delays.ndim > 1 or not delays.size:
            raise ArgumentError(f"{where}.delays", "must be a number or have shape (J,)", delays.shape)
        self._scalar, self.delays = delays.ndim == 0, jnp.atleast_1d(delays)
        self.initial = state.to_vector(f"{where}.y0", start if y0 is None else y0, 0)

    def field(self, t: jax.Array, value: jax.Array, delayed: jax.Array) -> jax.Array:
        """Evaluate the user's function."""
        state = self.state
        past = state.to_tree(delayed[0] if self._scalar else delayed, 0)
        slope = self._f(state.with_time_unit(t), state.to_tree(value, 0), past, self._args)
        return state.to_vector(f"{self.where}.f", slope, 1)

    def history(self, times: jax.Array, num: int) -> jax.Array:
        """Return the value and ``num`` derivatives of the history at times (J,), shape (J, num + 1, d)."""
        state, name = self.state, f"{self.where}.history"
        if self._history is None:
            constant = state.to_vector(name, self._constant, 0)
            return jnp.zeros((len(times), num + 1, state.size), state.dtype).at[:, 0].set(constant)

        def value(t):
            return state.to_vector(name, self._history(state.with_time_unit(t)), 0)

        def derivative(function, _):
            return lambda t: jax.jvp(function, (t,), (jnp.ones_like(t),))[1]

        functions = list(accumulate(range(num), derivative, initial=value))
        times = jnp.minimum(times, self.t0)  # a history need not make sense after its end
        return jax.vmap(lambda t: jnp.stack([function(t) for function in functions]))(times)

    def coefficients(self, t: jax.Array, value: jax.Array, delayed: jax.Array) -> jax.Array:
        """Return the derivatives of the solution to the right of ``t``, (q, d), given those of the delayed
        states there, (J, q, d), by forward mode along the flow."""

        now = (self.delays == 0)[:, None]  # the past that is the present has the present's derivatives

        def slope(t, value, delayed):
            return self.field(t, value, jnp.where(now, value, delayed[:, 0]))

        def flow(t, value, delayed):
            ahead = jnp.concatenate([delayed[:, 1:], jnp.zeros_like(delayed[:, :1])], axis=1)
            return jnp.ones_like(t), slope(t, value, delayed), ahead

        def derivative(function, _):
            return lambda *point: jax.jvp(function, point, flow(*point))[1]

        functions = accumulate(range(delayed.shape[1] - 2), derivative, initial=slope)
        return jnp.stack([value, *(function(t, value, delayed) for function in functions)])


def live(where: str, delays):
    """Return the value of live delays: a ``Param`` or a zero-argument callable."""
    if callable(getattr(delays, "value", None)):
        return delays.value()
    if not callable(delays):
        return delays
    if not takes(delays, 0):
        cure = "Delays that depend on time or state are for solve_dde"
        raise ArgumentError(
            where, "must be constant: an array, a Param, or a function of nothing", delays, cure
        )
    return delays()
