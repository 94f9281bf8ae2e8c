"""Impulses of a run: states that jump at given times."""

from collections.abc import Callable, Mapping
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.arguments import function_of, numbers
from .._core.checks import ArgumentError, check_finite
from .._core.grid import whole_steps
from .._core.impulses import jumping
from .._core.param import value_of
from .._core.parameters import unique_ending
from .._core.status import is_traced
from .._core.units import magnitude
from ..nodes.base import step_time
from .durations import check_time
from .function import states_by_name
from .stimulation import Stimulation

WHERE = "Simulator.run.impulses"


def drive(
    model: brainstate.nn.Module, inputs: Any, impulses: Any, first: Any, n_steps: int, dt: u.Quantity
) -> "Stimulation | Impulses":
    """Return what drives a model in a run, with impulses if there are any."""
    stimulation = Stimulation(model, inputs, n_steps)
    check_time(stimulation, first, n_steps, dt)
    return stimulation if impulses is None else Impulses(stimulation, impulses, first, n_steps, dt)


class Impulses:
    """Add jumps of states to what drives a model in one run.

    Parameters
    ----------
    stimulation : Stimulation
        What else drives the model.
    impulses : (times, amounts)
        As in `Simulator.run`.
    first, n_steps : int
        The steps of the run on the clock of the model.
    dt : Quantity
        Step size.

    Attributes
    ----------
    rows : dict
        By step, what the stimulation takes, and the row of the amounts that the step ends with, 0 for none.
    """

    def __init__(self, stimulation: Stimulation, impulses: Any, first: Any, n_steps: int, dt: u.Quantity):
        times, amounts = _pair(impulses)
        steps = _steps(times, first, n_steps, dt)
        found, which = np.unique(steps, return_inverse=True)
        rows = np.zeros(n_steps, np.int32)
        rows[found - 1] = 1 + np.arange(found.size)
        self.rows = {"inputs": stimulation.rows, "impulse": jnp.asarray(rows)}
        self.stimulation, self.dt = stimulation, dt
        self.jumps = {
            state: _jump(name, state, amount, which, found.size)
            for name, state, amount in _by_state(stimulation.model, amounts)
        }

    def at(self, i: Any, t: u.Quantity, row: dict) -> tuple:
        """Return the inputs of step ``i``, and which impulse ends it."""
        return self.stimulation.at(i, t, row["inputs"]), row["impulse"]

    def update(self, given: tuple) -> Any:
        """Make one step of the model, and let its states jump at its end."""
        inputs, row = given
        end = step_time() + self.dt
        with jumping({state: lambda x, f=f: f(x, row, end) for state, f in self.jumps.items()}):
            return self.stimulation.update(inputs)


def _pair(impulses):
    """Return times and amounts by name."""
    if not (isinstance(impulses, tuple | list) and len(impulses) == 2):
        cure = "Write impulses=([20.0, 40.0] * brainunit.ms, {'x': [1.0, -1.0]})"
        raise ArgumentError(WHERE, "must be (times, amounts)", type(impulses).__name__, cure)
    times, amounts = impulses
    if not isinstance(amounts, Mapping) or not amounts:
        raise ArgumentError(
            WHERE, "must have amounts by name of a state", repr(amounts), "Write {'x': [1.0]}"
        )
    return times, amounts


def _steps(times, first, n_steps, dt):
    """Return the steps of the run, from 1 on, that end at the times."""
    for value, what in ((times, "times that are"), (first, "a clock that is")):
        if is_traced(value):
            cure = "Amounts may be traced. Give times as numbers, in a run outside of jax.jit if it continues"
            raise ArgumentError(WHERE, f"needs {what} known", "a traced value", cure)
    given = np.asarray(magnitude(WHERE, times, u.ms, plain=False), float)
    if given.ndim != 1:
        rule, cure = "must have one axis of times", "Write [20.0] * brainunit.ms for a single one"
        raise ArgumentError(WHERE, rule, f"shape {given.shape}", cure)
    step = float(dt.to_decimal(u.ms))
    whole, is_whole = whole_steps(check_finite(WHERE, given) / step)
    start, end = first * step, (first + n_steps) * step
    outside = given[(whole <= first) | (whole > first + n_steps)]
    if outside.size:
        rule = f"must lie after the start of the run, {start:g} ms, and not after its end, {end:g} ms"
        cure = "An impulse at the start of a run belongs to the end of the run before"
        cure = cure if first else "Put an impulse at the start into the initial values"
        raise ArgumentError(WHERE, rule, f"{outside[0]:g} ms", cure if outside[0] == start else "")
    between = ~is_whole
    if between.any():
        rule = f"must be at whole numbers of steps of {dt}"
        cure = f"Use {whole[between][0] * step:.6g} ms, or a smaller dt"
        raise ArgumentError(WHERE, rule, f"{given[between][0]:.6g} ms", cure)
    return whole.astype(int) - first


def _by_state(model, amounts):
    """Return name, state and amount of every state that jumps."""
    known = states_by_name(model)
    full = {unique_ending(f"{WHERE} amounts", name, known): name for name in amounts}
    if len(full) < len(amounts):
        raise ArgumentError(WHERE, "must name every state once", list(amounts), "Add the amounts up")
    return [(name, known[key], amounts[name]) for key, name in full.items()]


def _jump(name: str, state: brainstate.State, amount: Any, which: np.ndarray, n_times: int) -> Callable:
    """Return ``f(value, row, t)``, the value of a state after the impulse of a row."""
    where, unit = f"{WHERE} amounts[{name!r}]", u.get_unit(state.value)
    shape, dtype = u.math.shape(state.value), u.get_magnitude(state.value).dtype
    amount = value_of(amount)
    if callable(amount):
        function_of("t, x")(where, amount)
        return lambda x, row, t: u.math.where(row > 0, _like(where, amount(t, x), unit, shape, dtype), x)
    if which.size:
        numbers()(where, amount)
    given = jnp.asarray(magnitude(where, amount, unit))
    if not is_traced(given):
        check_finite(where, given)
    if given.shape[:1] != which.shape:
        rule, cure = f"must have a leading axis of {len(which)}", "Give one amount for each time"
        raise ArgumentError(where, rule, f"shape {given.shape}", cure)
    if not _fits(given.shape[1:], shape):
        rule = f"must have shape ({len(which)},) or ({len(which)}, ...) with that of the state, {shape}"
        raise ArgumentError(where, rule, given.shape)
    # impulses at the same time add up; row 0 is that of steps without any
    table = jnp.zeros((n_times + 1, *given.shape[1:]), dtype).at[1 + which].add(given.astype(dtype))
    return lambda x, row, t: x + u.maybe_decimal(table[row] * unit)


def _like(where, value, unit, shape, dtype):
    """Return what a function gave back in the form of its state."""
    if value is None:
        raise ArgumentError(where, "must return the state after the impulse", "None", "Add a return")
    number = jnp.asarray(magnitude(where, value, unit))
    if jnp.iscomplexobj(number):
        raise ArgumentError(where, "must return real numbers", "complex numbers")
    if not _fits(number.shape, shape):
        raise ArgumentError(where, f"must return shape {shape}", number.shape)
    return u.maybe_decimal(jnp.broadcast_to(number, shape).astype(dtype) * unit)


def _fits(shape, target):
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False
