"""The loss along one parameter, with all others fitted anew at every value."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import brainstate
import brainunit as u
import numpy as np
import scipy.stats

from .._core.parameters import Parameter, constrained, store, stored
from .._core.status import RunError
from .backends import Scipy
from .curvature import SPANS
from .journal import Journal
from .least_squares import LeastSquares
from .problem import Problem


@dataclass(frozen=True)
class Profile:
    """Hold the lowest loss at each value of one parameter; what `Fitter.profile` returns.

    Parameters
    ----------
    name : str
        Name of the parameter.
    values : Quantity or array, shape (value,)
        In ascending order.
    losses : numpy.ndarray, shape (value,)
        The lowest loss at each; NaN where none was finite.
    params : list of dict
        The other parameters there.
    threshold : float or None
        The loss that the interval of 95 % ends at: for a likelihood, the lowest plus 1.92 (Wilks); for
        squares with an unknown noise, by Student's t; for another loss, the lowest plus twice the spread of
        `Fitter.noise_floor`, or None if that is not known.
    bounds : (low, high) or None
        Bounds of the parameter.
    """

    name: str
    values: Any
    losses: np.ndarray
    params: list[dict[str, Any]]
    threshold: float | None
    bounds: tuple[Any, Any] | None

    @property
    def interval(self) -> tuple[Any, Any] | None:
        """The values between which the loss lies below the threshold; where it never rises above on one side,
        the bound, or else the last value looked at."""
        if self.threshold is None:
            return None
        unit = u.get_unit(self.values)
        x, y = (
            np.asarray(u.get_magnitude(self.values)),
            np.where(np.isfinite(self.losses), self.losses, np.inf),
        )
        i = int(np.argmin(y))
        outside = (
            (x[0], x[-1]) if self.bounds is None else [u.Quantity(b).to_decimal(unit) for b in self.bounds]
        )
        low = _crossing(x[: i + 1][::-1], y[: i + 1][::-1], self.threshold, outside[0])
        high = _crossing(x[i:], y[i:], self.threshold, outside[1])
        return u.maybe_decimal(low * unit), u.maybe_decimal(high * unit)

    @property
    def identified(self) -> bool | None:
        """Whether the interval says more than the bounds; None without a threshold."""
        if self.threshold is None:
            return None
        unit = u.get_unit(self.values)
        ends = self.bounds or (self.values[0], self.values[-1])
        low, high, bottom, top = (float(u.Quantity(x).to_decimal(unit)) for x in (*self.interval, *ends))
        return high - low < SPANS * (top - bottom)


def _crossing(x, y, threshold, outside):
    """Return where the loss crosses the threshold on the way out; the root of its rise is about straight."""
    rise = np.sqrt(np.maximum(y - y[0], 0.0))
    limit = np.sqrt(max(threshold - y[0], 0.0))
    above = np.flatnonzero(rise > limit)
    if not len(above):
        return float(outside)
    j = above[0]
    if not np.isfinite(rise[j]) or j == 0:
        return float(x[j])
    share = (limit - rise[j - 1]) / (rise[j] - rise[j - 1])
    return float(x[j - 1] + share * (x[j] - x[j - 1]))


def threshold_of(loss: Any, target_size: int, n_parameters: int, best: float, floor: Any) -> float | None:
    """Return the loss at which an interval of 95 % ends."""
    if loss.is_likelihood:
        return best + 0.5 * float(scipy.stats.chi2.ppf(0.95, 1))
    squares = loss.squares
    if squares is not None:
        dof = max(target_size - n_parameters, 1)
        rise = 1 + float(scipy.stats.t.ppf(0.975, dof)) ** 2 / dof
        return best * (np.sqrt(rise) if loss.is_root else rise)
    return None if floor is None else best + 2 * floor.spread


def profile(
    problem: Problem, part: Parameter, values: Any, target: Any, n_steps: int, bar: Any, key: Any
) -> tuple[np.ndarray, list[dict]]:
    """Fit the others at every value, outwards from where the parameter stands, each from its neighbor's end;
    return losses and parameters."""
    inner = (
        Problem(problem.model, problem.loss, problem.mode, held=(part.name,))
        if _others(problem, part)
        else None
    )
    has_squares = problem.loss.squares is not None and importlib.util.find_spec("optimistix")
    backend = (LeastSquares if has_squares else Scipy)(inner, None, {}) if inner else None
    number = np.asarray(u.get_magnitude(values))
    unit = u.get_unit(values)
    now = float(u.Quantity(part.value()).to_decimal(unit))
    ways = (
        [i for i in np.argsort(number) if number[i] >= now],
        [i for i in np.argsort(-number) if number[i] < now],
    )
    losses, params = np.full(len(number), np.nan), [{} for _ in number]
    before = stored(problem.all_parameters)
    try:
        for way in ways:
            store(problem.all_parameters, before)
            for i in way:
                part.set(values[i], f"Fitter.profile.values[{i}]")
                losses[i] = _fit(inner or problem, backend, target, n_steps, bar, key)
                params[i] = constrained({n: p for n, p in problem.parameters.items() if n != part.name})
                bar.update()
    finally:
        store(problem.all_parameters, before)
    return losses, params


def with_present(
    problem: Problem, part: Parameter, values: Any, losses: np.ndarray, params: list[dict], now: float
) -> tuple[Any, np.ndarray, list[dict]]:
    """Take the value where the parameter stands, of loss ``now``, among those of a profile: the valley ends
    where it does, between the values that a user has thought of."""
    unit = u.get_unit(values)
    numbers, present = np.asarray(u.get_magnitude(values)), float(u.Quantity(part.value()).to_decimal(unit))
    at = int(np.searchsorted(numbers, present))
    if not 0 < at < len(numbers) or numbers[at] == present:
        return values, losses, params
    others = constrained({n: p for n, p in problem.parameters.items() if n != part.name})
    values = u.maybe_decimal(np.insert(numbers, at, present) * unit)
    return values, np.insert(losses, at, now), [*params[:at], others, *params[at:]]


def _others(problem, part):
    return [name for name in problem.parameters if name != part.name]


def _fit(problem, backend, target, n_steps, bar, key) -> float:
    """Return the lowest loss at one value, whose parameters the model then holds."""
    brainstate.random.DEFAULT.value = key
    if backend is None:
        loss = problem.evaluate(target, gradient=False).loss
        return loss if np.isfinite(loss) else np.nan
    journal = Journal(problem, target, [], type(bar)(disable=True), key=key, begins=False)
    try:
        if isinstance(backend, LeastSquares):
            backend.run(journal, n_steps, early=False)
        else:
            backend.run(journal, n_steps)
    except RunError:
        journal.restore()
    return journal.best_loss if np.isfinite(journal.best_loss) else np.nan


@dataclass(frozen=True)
class NoiseFloor:
    """Hold the losses of the same parameters with other random numbers; what `Fitter.noise_floor` returns.

    Parameters
    ----------
    losses : numpy.ndarray, shape (seed,)
        One per seed.
    """

    losses: np.ndarray

    @property
    def spread(self) -> float:
        """Their standard deviation."""
        return float(np.std(self.losses, ddof=1))

    def hides(self, improvement: float) -> bool:
        """Tell whether a change of the loss is no larger than two losses with other random numbers differ."""
        return bool(self.spread > 0 and improvement <= 2 * np.sqrt(2) * self.spread)
