"""What an objective is: callable at once or configured first, and marked as a loss, a score or a report."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, overload

from .._core.arguments import checked
from .._core.arguments import function as is_function

KINDS = ("loss", "score", "report")
Options = ParamSpec("Options")


class Objective(Protocol[Options]):
    """Tell type checkers of an objective: data with options give a number, options alone a callable."""

    @overload
    def __call__(
        self, prediction: Any, target: Any, /, *args: Options.args, **kwargs: Options.kwargs
    ) -> Any: ...
    @overload
    def __call__(self, *, prediction: Any, target: Any, **kwargs: Any) -> Any: ...
    @overload
    def __call__(self, *args: Options.args, **kwargs: Options.kwargs) -> Callable[[Any, Any], Any]: ...


def objective(
    kind: str, *, likelihood: bool = False
) -> Callable[[Callable[Concatenate[Any, Any, Options], Any]], Objective[Options]]:
    """Mark a function of (prediction, target): 'loss' to minimize, 'score' to maximize, 'report' to read; a
    ``likelihood`` is a negative log likelihood.

    The function can then be called with data, or with its options alone, which returns the configured
    callable.
    """

    def mark(function: Callable[Concatenate[Any, Any, Options], Any]) -> Objective[Options]:
        @functools.wraps(function)
        def called_or_configured(*data: Any, **options: Any) -> Any:
            if data or "prediction" in options:
                return function(*data, **options)
            inspect.signature(function).bind(None, None, **options)  # a misspelled option fails here
            return functools.partial(called_or_configured, **options)

        vars(called_or_configured).update(kind=kind, is_likelihood=likelihood)
        return called_or_configured

    return mark


@checked(objective=is_function)
def kind_of(objective: Callable) -> str:
    """Return whether an objective is a ``'loss'``, a ``'score'`` or a ``'report'``.

    Parameters
    ----------
    objective : callable
        One of `brainmass_delays.objectives`, as it is or configured; anything else counts as a loss.

    Examples
    --------
    >>> from brainmass_delays import objectives
    >>> objectives.kind_of(objectives.fc_corr), objectives.kind_of(objectives.fc_corr(as_loss=True))
    ('score', 'loss')
    """
    function, options = getattr(objective, "func", objective), getattr(objective, "keywords", {})
    return "loss" if options.get("as_loss", False) else getattr(function, "kind", "loss")


@checked(objective=is_function)
def is_likelihood(objective: Callable) -> bool:
    """Tell whether an objective can be a negative log likelihood; what is not of this package may be one.

    Examples
    --------
    >>> from brainmass_delays import objectives
    >>> [objectives.is_likelihood(f) for f in (objectives.gaussian(sigma=0.1), objectives.fc_rmse())]
    [True, False]
    """
    function = getattr(objective, "func", objective)
    return getattr(function, "is_likelihood", getattr(function, "kind", None) is None)


@checked(objective=is_function)
def is_score(objective: Callable) -> bool:
    """Tell whether an objective of this package grows as the fit improves."""
    return kind_of(objective) == "score"
