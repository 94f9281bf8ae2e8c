"""Many fits: one per subject, here or by an executor; a subject that fails is a row with its message."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brainstate
import brainunit as u
import numpy as np

from ._core.checks import ArgumentError, check_count, check_flag, check_number
from ._core.files import as_path, make_folder
from ._core.pool import Pool, check_executor
from ._core.progress import tqdm
from ._core.salvage import attach
from .fit import FitResult, Fitter
from .sweeps.program import settings


@dataclass(frozen=True)
class CohortResult:
    """Hold what `fit_many` found.

    Parameters
    ----------
    subjects : tuple
        As they were given.
    results : tuple of FitResult or None
        One per subject, in order; None where the fit failed.
    messages : tuple of str
        Why it failed; empty where it did not.

    Examples
    --------
    >>> from brainmass_delays import CohortResult
    >>> CohortResult(('s1', 's2'), (None, None), ('', 'Connectome.load: no file')).failures()
    ['s2: Connectome.load: no file']
    """

    subjects: tuple[Any, ...]
    results: tuple[FitResult | None, ...]
    messages: tuple[str, ...]

    def failures(self) -> list[str]:
        """Describe every subject that failed."""
        return [f"{s}: {text}" for s, text in zip(self.subjects, self.messages, strict=True) if text]

    def table(self) -> dict[str, Any]:
        """Return the best parameters and losses.

        Returns
        -------
        dict of str to Quantity or numpy.ndarray
            ``'subject'``, ``'loss'`` and every parameter by name, with a leading axis of subjects; NaN where
            a fit failed. With intervals also ``'name.low'`` and ``'name.high'``.
        """
        known = [result for result in self.results if result is not None]
        table: dict[str, Any] = {"subject": np.array([str(s) for s in self.subjects])}
        table["loss"] = np.array([np.nan if r is None else r.best_loss for r in self.results])
        for name, value in {n: v for r in reversed(known) for n, v in r.best_params.items()}.items():
            table[name] = _column(
                [None if r is None else r.best_params.get(name) for r in self.results], value
            )
        ends = [{} if r is None else _ends(r) for r in self.results]
        for name in next(filter(None, ends), {}):
            table[name] = _column([end.get(name) for end in ends], table[name.rsplit(".", 1)[0]][0])
        return table


def fit_many(
    make_problem: Callable,
    subjects: Iterable,
    n_steps: int = 100,
    *,
    executor: Any = None,
    retries: int = 1,
    checkpoints: str | os.PathLike | None = None,
    level: float | None = None,
    progress: bool = False,
    **options: Any,
) -> CohortResult:
    """Fit one model per subject.

    Parameters
    ----------
    make_problem : callable
        ``make_problem(subject)`` returns a `Fitter` and its target. For processes it must be importable or
        picklable.
    subjects : iterable
        Whatever ``make_problem`` takes: names, numbers, paths, connectomes.
    n_steps : int, default 100
        As for `Fitter.fit`.
    executor : concurrent.futures.Executor or callable, optional
        Runs the fits, as for `sweep`: a pool of spawned processes, which share the cores of the machine,
        Dask's ``client.get_executor()``, or a function that makes one, which is called again when a killed
        worker has broken it. Fits that were under way then are made again one by one, so that one whose
        worker is killed every time costs its row only.
    retries : int, default 1
        How often a fit whose worker was lost is made again.
    checkpoints : str or path, optional
        A folder with one checkpoint per subject: fits that were ended go on, finished ones are finished.
    level : float, optional
        Probability of intervals, which `FitResult.uncertainty` then computes where a fit has run; the
        objective must be a likelihood. They are in the table as ``'speed.low'`` and ``'speed.high'``, and in
        ``found['uncertainty']`` of each result.
    progress : bool, default False
        Show a progress bar.
    **options
        Passed to `Fitter.fit`, e.g. ``starts=4``.

    Returns
    -------
    CohortResult
        ``results``, ``messages``, ``table()``.

    Raises
    ------
    ArgumentError
        If ``make_problem`` is no function, there are no subjects, or an option is not one of `Fitter.fit`.

    Notes
    -----
    Whatever a subject raises is its message; the others go on. In one process, subjects of one size share
    compiled programs wherever their steps are the same operations on arrays of the same shapes: a speed that
    has no lower bound above 0, with ``max_delay=``, gives all of them buffers of one length. Results of
    other processes come without their models. Random numbers begin for subject i at seed i.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainstate.nn import Module
    >>> from brainmass_delays import Fitter, Param, fit_many
    >>> class Level(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.x = Param(0.0)
    ...     def update(self):
    ...         return self.x.value() * jnp.ones(3)
    >>> def problem(level):
    ...     return Fitter(Level(), predict=lambda model: model(), backend='scipy'), level * jnp.ones(3)
    >>> fit_many(problem, [1.0, 2.0, float('nan')]).table()['x'].round(3).tolist()
    [1.0, 2.0, nan]
    """
    if not callable(make_problem):
        raise ArgumentError("fit_many.make_problem", "must be callable", type(make_problem).__name__)
    subjects = _listed(subjects)
    check_count("fit_many.retries", retries, 0)
    check_flag("fit_many.progress", progress)
    n_steps = check_count("fit_many.n_steps", n_steps)
    check_executor("fit_many.executor", executor)
    _check_level(level)
    if "checkpoint" in options:
        rule = "must be None, as one file cannot hold many fits"
        raise ArgumentError("fit_many.checkpoint", rule, options["checkpoint"], "Pass checkpoints=, a folder")
    folder = None if checkpoints is None else _folder(checkpoints)
    found: dict[int, tuple[FitResult | None, str]] = {}
    failed: dict[int, Exception] = {}
    with tqdm(total=len(subjects), desc="fit_many", unit="fit", disable=not progress) as bar:

        def keep(i, outcome):
            found[i] = outcome
            bar.update()

        def call(i):
            file = None if folder is None else str(folder / f"{i:06d}.npz")
            given = {**options, "checkpoint": file}
            return _fit_one, make_problem, subjects[i], i, n_steps, level, given, settings()

        try:
            if executor is None:
                for i in range(len(subjects)):
                    function, *arguments = call(i)
                    keep(i, function(*arguments))
            else:
                pool = Pool("fit_many.executor", call, executor, retries, keep, failed)
                pool.run(list(range(len(subjects))))
        except BaseException as error:
            if found:
                attach(error, _together(subjects, found, failed), f"fit_many: {len(found)} fits had ended.")
            raise
    return _together(subjects, found, failed)


def _listed(subjects: Any) -> tuple:
    """Return the subjects in a row."""
    try:
        listed = tuple(None if isinstance(subjects, str | bytes) else subjects)
    except TypeError:
        raise ArgumentError("fit_many.subjects", "must be a sequence of subjects", repr(subjects)) from None
    if not listed:
        raise ArgumentError("fit_many.subjects", "must hold at least one", "none")
    return listed


def _check_level(level: Any) -> None:
    if level is not None and check_number("fit_many.level", level, above=0) >= 1:
        raise ArgumentError("fit_many.level", "must be below 1", level)


def _fit_one(make_problem, subject, number, n_steps, level, options, environment):
    """Fit one subject; return its result and its message, one of which is empty."""
    if brainstate.environ.get_precision() != environment["precision"]:  # workers start with 32 bits
        brainstate.environ.set(precision=environment["precision"])
    context = {k: v for k, v in environment.items() if k != "precision"}
    try:
        with brainstate.environ.context(**context):
            brainstate.random.seed(number)
            problem = make_problem(subject)
            is_pair = isinstance(problem, tuple | list) and len(problem) == 2
            if not is_pair or not isinstance(problem[0], Fitter):
                rule = "must return a Fitter and a target"
                raise ArgumentError("fit_many.make_problem", rule, repr(problem))
            fitter, target = problem
            if level is not None and not fitter._loss.is_measured:
                rule = "needs a likelihood as objective, such as objectives.gaussian(sigma)"
                raise ArgumentError("fit_many.level", rule, repr(fitter.objective))
            result = fitter.fit(target, n_steps, **options)
            if level is not None:
                result.uncertainty(level=level)
            return result, ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _together(subjects, found, failed) -> CohortResult:
    outcomes = []
    for i in range(len(subjects)):
        lost = f"{type(failed[i]).__name__}: {failed[i]}" if i in failed else "it was not run"
        outcomes.append(found.get(i, (None, lost)))
    results, messages = zip(*outcomes, strict=True)
    return CohortResult(subjects, results, messages)


def _folder(path: Any) -> Path:
    folder = Path(as_path("fit_many.checkpoints", path))
    make_folder("fit_many.checkpoints", folder)
    return folder


def _ends(result: FitResult) -> dict[str, Any]:
    """Return the ends of the intervals by name, if they were asked for."""
    found = result.found.get("uncertainty")
    intervals = {} if found is None else found.intervals
    return {
        f"{name}.{side}": end
        for name, pair in intervals.items()
        for side, end in zip(("low", "high"), pair, strict=True)
    }


def _column(values: list, like: Any) -> Any:
    """Stack the values of subjects in the unit of one, NaN where there is none or one of another shape."""
    unit, gap = u.get_unit(like), np.full(np.shape(u.get_magnitude(like)), np.nan)
    return u.maybe_decimal(np.stack([_number(value, unit, gap) for value in values]) * unit)


def _number(value: Any, unit: u.Unit, gap: np.ndarray) -> np.ndarray:
    if value is None or np.shape(u.get_magnitude(value)) != gap.shape:
        return gap
    return np.asarray(u.Quantity(value).to_decimal(unit))
