"""What a monitor is: a pure recursion over the steps of a run, whose state rides in the run's own scan."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .._core.param import HoldsParams
from .._core.trees import select
from .._core.units import missing_unit
from .schedule import NEVER, Nested, Schedule, schedule


class Monitor(HoldsParams, brainstate.nn.Module):
    """Turn the values of every step into the few that are kept.

    To write a monitor, subclass and define `init`, `update` and `sample`; they must be pure, so a monitor
    holds Params and fixed settings, never a State. Chain monitors with ``>>``: the second receives what the
    first emits.

    Parameters
    ----------
    source : str or callable, optional
        What comes in at every step: the name of a state or signal of the model, or ``f(model)``. The first
        monitor of a chain needs one to be used in a run.
    period : Quantity, optional
        Time between emissions. The m-th falls on the step nearest to ``m * period`` on the clock of the
        model; a period need not be a whole number of steps. 0: every step. None: one result, at the end.

    Raises
    ------
    ArgumentError
        If the source is neither, or the period is no time or negative.

    Notes
    -----
    The engine calls `init` once, `advance` for every stretch of steps, and, if the period is None, `sample`
    at the end. `advance` repeats `update`; a subclass may override it by something faster with the same
    result. Values and samples are arrays or Quantities of shape ``(..., n_nodes)``; units travel with them.
    Everything is differentiable, forward and in reverse, unless a subclass says otherwise.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import Monitor, apply
    >>> class Peak(Monitor):
    ...     def init(self, value, dt):
    ...         return jnp.zeros(value.shape)
    ...     def update(self, state, value, i, dt):
    ...         return jnp.maximum(state, jnp.abs(value))
    ...     def sample(self, state):
    ...         return state
    >>> ts, peak = apply(Peak('x'), jnp.array([[1., -5.], [2., 3.]]), dt=0.1 * u.ms)
    >>> peak.tolist()
    [2.0, 5.0]
    """

    def __init__(self, source: str | Callable | None = None, period: Any = None):
        super().__init__()
        where = f"{type(self).__name__}"
        if isinstance(source, Monitor):
            raise ArgumentError(
                f"{where}.source", "must not be a monitor", type(source).__name__, "Write first >> second"
            )
        if not (source is None or isinstance(source, str) or callable(source)):
            raise ArgumentError(
                f"{where}.source", "must be the name of a state or a function of the model", repr(source)
            )
        self.source, self.period = source, check_period(f"{where}.period", period)

    def init(self, value: Any, dt: Any) -> Any:
        """Return the state before the first step, a pytree of arrays.

        Parameters
        ----------
        value : array, ShapeDtypeStruct or Quantity of either, shape (..., n_nodes)
            What a value looks like; its numbers must not matter.
        dt : Quantity
            Interval of the values.
        """
        raise NotImplementedError

    def update(self, state: Any, value: Any, i: Any, dt: Any) -> Any:
        """Return the state after one more value.

        Parameters
        ----------
        state : pytree
            The state before.
        value : array or Quantity, shape (..., n_nodes)
            The value of the step just made.
        i : int or array, shape ()
            Number of that step, on the clock of the model; the first is 1.
        dt : Quantity
            Interval of the values.
        """
        raise NotImplementedError

    def sample(self, state: Any) -> Any:
        """Return what is emitted in this state."""
        raise NotImplementedError

    def reset(self, state: Any) -> Any:
        """Return the state after an emission; by default emissions change nothing."""
        return state

    def schedule(self, dt: Any) -> Any:
        """Return at which of the incoming values there is an emission."""
        return schedule(f"{type(self).__name__}.period", self.period, dt)

    def interval(self, dt: Any) -> u.Quantity | None:
        """Return the time between emissions: the period, ``dt`` if that is 0, None if there is one result."""
        return dt if self.period is not None and float(u.get_magnitude(self.period)) == 0 else self.period

    def advance(self, state: Any, values: Any, i: Any, dt: Any, n: Any = None) -> tuple[Any, Any, Any]:
        """Take a stretch of values and return the new state and what was emitted on the way.

        Parameters
        ----------
        state : pytree
            The state before.
        values : array or Quantity, shape (time, ..., n_nodes)
            Values of the steps ``i + 1``, ``i + 2``, ...
        i : int or array, shape ()
            Number of the last step made before; may be traced.
        dt : Quantity
            Interval of the values.
        n : int or array, shape (), optional
            How many of the rows count, from the first; by default all.

        Returns
        -------
        state : pytree
            The state after.
        samples : array or Quantity, shape (slots, ...)
            Emissions in their order; as many slots as ``time`` steps can emit at most. None without any.
        n_samples : int or array, shape ()
            How many of the slots count, from the first.
        """
        plan = self.schedule(dt)
        n_rows = jax.tree.leaves(values)[0].shape[0]

        def step(state, row):
            j, value = row
            new = self.update(state, value, i + j + 1, dt)
            out = self.sample(new) if plan is not NEVER else None
            if plan is not NEVER:
                new = select(plan.count(i + j + 1) > plan.count(i + j), self.reset(new), new)
            return new if n is None else select(j < n, new, state), out

        state, outs = jax.lax.scan(step, state, (jnp.arange(n_rows), values))
        return state, *pick(plan, outs, i, n_rows, n)

    def __rshift__(self, other: "Monitor") -> "Chain":
        """Feed what this monitor emits to another one."""
        return Chain(self, other)


class Chain(Monitor):
    """Feed what one monitor emits to the next; written ``first >> second``.

    Parameters
    ----------
    first, second : Monitor
        The second sees the period of the first as its time step, and has no source of its own.

    Raises
    ------
    ArgumentError
        If the first emits only one result, at the end, or the second has a source.
    """

    def __init__(self, first: Monitor, second: Monitor):
        if not isinstance(first, Monitor):
            raise ArgumentError(
                "Monitor.>>", "must begin with a monitor", repr(first), "The first must be one"
            )
        if not isinstance(second, Monitor):
            raise ArgumentError(
                "Monitor.>>", "must be followed by a monitor", repr(second), "The second must be one"
            )
        if first.period is None:
            raise ArgumentError(
                "Monitor.>>",
                "needs a first monitor that emits during the run",
                f"{type(first).__name__} without a period",
                "Give it a period",
            )
        if second.source is not None:
            raise ArgumentError(
                "Monitor.>>", "feeds the second monitor, which must have no source", repr(second.source)
            )
        super().__init__(first.source, second.period)
        self.first, self.second = first, second

    def init(self, value, dt):
        """Return the states of both."""
        first = self.first.init(value, dt)
        emitted = jax.eval_shape(self.first.sample, first)
        return first, self.second.init(emitted, self.first.interval(dt))

    def sample(self, state):
        """Return what the second emits."""
        return self.second.sample(state[1])

    def schedule(self, dt):
        """Return at which of the values that the first receives the second emits."""
        outer = self.second.schedule(self.first.interval(dt))
        return NEVER if outer is NEVER else Nested(self.first.schedule(dt), outer)

    def interval(self, dt):
        """Return the time between emissions of the second."""
        return self.second.interval(self.first.interval(dt))

    def advance(self, state, values, i, dt, n=None):
        """Advance the first, then the second by what the first emitted."""
        first, emitted, count = self.first.advance(state[0], values, i, dt, n)
        done = self.first.schedule(dt).count(i)
        second, samples, n_samples = self.second.advance(
            state[1], emitted, done, self.first.interval(dt), count
        )
        return (first, second), samples, n_samples


def pick(plan: Any, outs: Any, i: Any, n_rows: int, n: Any = None) -> tuple[Any, Any]:
    """Select the rows at which a stretch emits: ``(slots, ...)`` and how many of them count."""
    slots = plan.slots(n_rows)
    if not slots:
        return None, 0
    if plan == Schedule(1, 1):
        return outs, n_rows if n is None else n
    rows, count = emission_rows(plan, i, n_rows, n)
    return jax.tree.map(lambda leaf: leaf[rows], outs), count


def emission_rows(plan: Any, i: Any, n_rows: int, n: Any = None) -> tuple[Any, Any]:
    """Return the row of every slot, of the steps ``i + 1``, ... in a stretch, and how many slots count."""
    before = plan.count(i)
    rows = plan.step(before + 1 + np.arange(plan.slots(n_rows))) - i - 1
    count = plan.count(i + (n_rows if n is None else n)) - before
    return jnp.clip(rows, 0, n_rows - 1), count


def check_period(where: str, period: Any) -> Any:
    """Return a period that is None or one time that is not negative."""
    if period is None:
        return None
    if not (isinstance(period, u.Quantity) and u.have_same_dim(period, u.ms)):
        raise ArgumentError(where, "must be a time or None", repr(period), missing_unit(period))
    number = u.get_magnitude(period)
    if np.ndim(number) or not np.isfinite(number) or number < 0:
        raise ArgumentError(where, "must be one finite time of at least 0", period)
    return period
