"""Several starts of one fit: where they are, side by side or one after the other, and what became of them."""

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import brainunit as u
import numpy as np
from scipy.stats import qmc

from .._core.checks import ArgumentError, check_count
from .._core.parameters import Parameter, find_by_name, search_box, store, stored
from .._core.progress import tqdm
from .._core.salvage import attach
from .._core.status import RunError
from .journal import Journal
from .problem import ZeroGradient
from .result import FitResult

# What ends one start and leaves the others alone.
UNUSABLE = (RunError, ZeroGradient)


def starting_values(
    starts: int | dict, parameters: dict[str, Parameter], search_space: dict
) -> list[dict[str, Any]]:
    """Return the values that each start sets: those given by name, or a Latin hypercube of a fixed seed."""
    if not isinstance(starts, dict):
        starts = _latin_hypercube(check_count("Fitter.fit.starts", starts), parameters, search_space)
    for name in starts:
        find_by_name("Fitter.fit.starts", name, parameters)
    for name, values in starts.items():
        if not isinstance(values, list | tuple) and np.ndim(u.get_magnitude(values)) == 0:
            where = f"Fitter.fit.starts[{name!r}]"
            raise ArgumentError(where, "must be a sequence, of a value per start", repr(values))
    lengths = {name: len(values) for name, values in starts.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ArgumentError(
            "Fitter.fit.starts", "must hold as many values for every parameter, at least 1", lengths
        )
    return [{name: values[i] for name, values in starts.items()} for i in range(next(iter(lengths.values())))]


def _latin_hypercube(n_starts: int, parameters: dict[str, Parameter], search_space: dict) -> dict[str, list]:
    boxes = search_box(parameters, search_space)
    sizes = [u.math.size(low) for low, _ in boxes.values()]
    points = np.split(qmc.LatinHypercube(sum(sizes), rng=0).random(n_starts), np.cumsum(sizes)[:-1], axis=1)
    return {
        name: [low + (high - low) * x.reshape(u.math.shape(low)) for x in part]
        for (name, (low, high)), part in zip(boxes.items(), points, strict=True)
    }


def run_starts(
    run: Callable[[tqdm, int], FitResult], parameters: dict[str, Parameter], starts: list[dict], bar: tqdm
) -> FitResult:
    """Run from every start and keep the best outcome; a start that fails is left out and reported."""
    results, failures, unusable = [], [], []
    before = stored(parameters)
    with bar, _handing_out(results, failures, parameters, before):
        for i, start in enumerate(starts):
            bar.set_description(f"start {i + 1}/{len(starts)}")
            _place(start, parameters, before)
            try:
                results.append((run(bar, i), stored(parameters)))
            except UNUSABLE as error:
                failures.append(f"start {i + 1}: {error}")
                unusable.append(error)
    return _concluded(results, failures, unusable, parameters, before)


def run_together(
    begin: Callable[[int], Journal],
    run: Callable[[list[Journal]], list | None],
    conclude: Callable[[Journal, Any], FitResult],
    parameters: dict[str, Parameter],
    starts: list[dict],
    bar: tqdm,
) -> FitResult | None:
    """Run from all starts side by side and keep the best outcome; a start that fails is left out and
    reported. ``run`` returns what the engine says of each start, its error if it failed, or None if it cannot
    run them so."""
    journals, results, failures, unusable = [], [], [], []
    before = stored(parameters)

    def gather(outcomes):
        for i, (journal, outcome) in enumerate(zip(journals, outcomes, strict=True)):
            if isinstance(outcome, UNUSABLE):
                failures.append(f"start {i + 1}: {outcome}")
                unusable.append(outcome)
            elif journal.history:
                journal.restore()
                results.append((conclude(journal, outcome), stored(parameters)))

    with _handing_out(results, failures, parameters, before):
        for i, start in enumerate(starts):
            _place(start, parameters, before)
            journals.append(begin(i))
        bar.set_description(f"{len(starts)} starts")
        try:
            outcomes = run(journals)
        except BaseException:
            gather([None] * len(journals))
            raise
        if outcomes is None:
            store(parameters, before)
            return None
        gather(outcomes)
    bar.close()
    return _concluded(results, failures, unusable, parameters, before)


def _place(start: dict[str, Any], parameters: dict[str, Parameter], before: dict[str, Any]) -> None:
    """Let the parameters stand at a start."""
    store(parameters, before)
    for name, value in start.items():
        find_by_name("Fitter.fit.starts", name, parameters).set(value, f"Fitter.fit.starts[{name!r}]")


@contextmanager
def _handing_out(results: list, failures: list[str], parameters: dict[str, Parameter], before: dict):
    """Hand out what was found with an error that ends all starts."""
    try:
        yield
    except BaseException as error:
        if isinstance(partial := getattr(error, "result", None), FitResult):
            results.append((partial, stored(parameters)))
        store(parameters, before)
        if results:
            note = f"Fitter.fit: so are all {len(results)} starts begun."
            attach(error, _best_of(results, parameters, failures), note)
        raise


def _concluded(
    results: list[tuple[FitResult, dict]],
    failures: list[str],
    unusable: list[Exception],
    parameters: dict[str, Parameter],
    before: dict,
) -> FitResult:
    """Return the best outcome; warn of the starts that failed."""
    if not results:
        store(parameters, before)
        if all(isinstance(error, ZeroGradient) for error in unusable):
            raise unusable[0]  # which is then no matter of the start
        raise RunError("Fitter.fit: no start gave a usable fit. " + " ".join(failures))
    for failure in failures:
        warnings.warn(failure, stacklevel=5)
    return _best_of(results, parameters, failures)


def _best_of(
    results: list[tuple[FitResult, dict]], parameters: dict[str, Parameter], failures: list[str]
) -> FitResult:
    """Put the best outcome into the model and return it together with all of them."""
    best, values = min(results, key=lambda pair: pair[0].best_loss)
    store(parameters, values)
    return FitResult(
        **{**vars(best), "starts": tuple(result for result, _ in results), "failures": tuple(failures)}
    )
