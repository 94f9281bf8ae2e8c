"""The outcome of a fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, NamedTuple

import brainunit as u
import numpy as np
from brainstate.nn import Module

from .._core.arguments import numbers
from .._core.checks import ArgumentError, check_choice, check_number
from .._core.files import as_path
from .._core.parameters import store, stored
from .._core.states import alone
from .._core.units import magnitude, plain_arrays
from . import storage
from .curvature import METHODS, Identifiability, Uncertainty, curvature, identifiability, uncertainty
from .journal import spell
from .problem import Problem
from .summary import summary


class Context(NamedTuple):
    """Hold what a result needs to look at the loss again: the best parameters, and the data."""

    problem: Problem
    target: Any
    best: dict[str, Any]

    @contextmanager
    def at_best(self) -> Iterator[None]:
        """Let the model hold the best parameters for a while."""
        before = stored(self.problem.parameters)
        store(self.problem.parameters, self.best)
        try:
            yield
        finally:
            store(self.problem.parameters, before)


@dataclass(frozen=True)
class FitResult:
    """Hold the outcome of a fit.

    Parameters
    ----------
    best_loss : float
        Lowest loss seen; the model holds the parameters that gave it.
    best_params : dict of str to Quantity or jax.Array
        Those parameters by dotted name, constrained and with units.
    history : list of float
        Loss of every evaluation in order: one per step (``grad``, ``least_squares``), function evaluation
        (``scipy``) or candidate (``nevergrad``). Where least squares refuse a step it is that of the point
        they go back to.
    n_steps : int
        Evaluations recorded, at most the steps asked for with ``grad``.
    prediction : object
        What the objective compared at the best parameters (or the second result of ``loss_fn``).
    model : brainstate.nn.Module
        The fitted model.
    param_history : dict of str to Quantity or jax.Array, shape (n_steps,)
        The value of every scalar parameter at every entry of ``history``.
    terms : dict of str to list of float
        The weighted terms of a loss made with `objectives.combine` at every entry of ``history``, by name;
        with the regularization they add up to it. Empty for other losses.
    gradient_norms : dict of str to list of float
        By parameter, the norm of its gradient at every evaluation that had one, in unconstrained values:
        norms that grow by orders of magnitude say that the run is too long or chaotic (`grad_horizon` of
        the Simulator cuts it, ``optax.clip_by_global_norm`` in the optimizer limits it).
    backend : str
        Name of the backend.
    optimizer : object
        The optimizer that ran.
    raw : object
        SciPy's or nevergrad's own result; ``converged``, ``residuals`` and ``jacobian`` of least squares.
    starts : tuple of FitResult
        One result per start of a multi-start fit, in order, without those that failed; empty otherwise.
    failures : tuple of str
        Why starts failed, one message each.
    context : object
        What `uncertainty` needs to look at the loss again; it is left out of copies and files.
    found : dict
        What was asked of this result, and ``'noise_floor'``, so that `summary` can show it.
    """

    best_loss: float
    best_params: dict[str, Any]
    history: list[float]
    n_steps: int
    prediction: Any
    model: Module
    param_history: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, list[float]] = field(default_factory=dict)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    backend: str = "grad"
    optimizer: Any = None
    raw: Any = None
    starts: tuple["FitResult", ...] = ()
    failures: tuple[str, ...] = ()
    context: Context | None = field(default=None, repr=False, compare=False)
    found: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def optima(self, rtol: float = 0.01) -> list[dict[str, Any]]:
        """Return the distinct ends of the starts, the best first.

        Parameters
        ----------
        rtol : float, default 0.01
            Ends are the same if every parameter is, up to this share of its size.

        Returns
        -------
        list of dict
            ``'loss'``, ``'params'`` and ``'n_starts'``, the number of starts that ended there.
        """
        numbers(unit=u.UNITLESS, scalar=True, finite=True, low=0, traced=False)("FitResult.optima.rtol", rtol)
        found: list[dict[str, Any]] = []
        for run in sorted(self.starts or (self,), key=lambda run: run.best_loss):
            known = next((o for o in found if _is_close(o["params"], run.best_params, rtol)), None)
            if known is None:
                found.append({"loss": run.best_loss, "params": run.best_params, "n_starts": 1})
            else:
                known["n_starts"] += 1
        return found

    @alone
    def uncertainty(self, *, level: float = 0.9, method: str = "auto") -> Uncertainty:
        """Say how sure the fit is: intervals by a normal approximation around the optimum (Laplace).

        Parameters
        ----------
        level : float, default 0.9
            Probability of the intervals.
        method : {'auto', 'gauss_newton', 'hessian'}
            The curvature of a sum of squares by its Jacobian, or of any likelihood by second derivatives; by
            default the first where there are squares.

        Returns
        -------
        Uncertainty
            ``intervals`` by name, constrained and with units, ``identified``, ``covariance`` and more.

        Raises
        ------
        ArgumentError
            If the loss is no likelihood, or the result was read from a file or a pickle.

        Notes
        -----
        The noise of `objectives.gaussian`, or with priors of the model, is taken as known; without a sigma it
        is estimated and intervals are those of Student's t. They assume that the loss is quadratic in the
        unconstrained parameters; `Fitter.profile` does not.
        """
        check_number("FitResult.uncertainty.level", level, above=0)
        if level >= 1:
            raise ArgumentError("FitResult.uncertainty.level", "must be below 1", level)
        with self._looking("uncertainty") as (problem, target, _):
            found = curvature(problem, problem.loss, target, method)
            self.found["uncertainty"] = uncertainty(found, problem.parameters, level)
        return self.found["uncertainty"]

    @alone
    def identifiability(self, *, method: str = "auto") -> Identifiability:
        """Return directions of the unconstrained parameters: those that the data fix, and the loose ones.

        Parameters
        ----------
        method : {'auto', 'gauss_newton', 'hessian'}
            As in `uncertainty`.

        Returns
        -------
        Identifiability
            ``eigenvalues``, ``condition``, and ``stiff`` and ``sloppy`` directions in words.
        """
        check_choice("FitResult.identifiability.method", method, METHODS)
        with self._looking("identifiability") as (problem, target, _):
            return identifiability(curvature(problem, problem.loss, target, method))

    @contextmanager
    def _looking(self, what: str) -> Iterator[Context]:
        if self.context is None:
            raise ArgumentError(
                f"FitResult.{what}", "needs the model and the data", "a result from a file or a pickle",
                "Ask for it before saving: it is kept",
            )  # fmt: skip
        with self.context.at_best():
            yield self.context

    def summary(self) -> str:
        """Return a table: parameter, start, best value, interval, and what is doubtful about it.

        Returns
        -------
        str
            One line per parameter. Intervals are those that `uncertainty` gave last, or gives by default if
            the loss is a likelihood, and those of a `Profile` put into ``found[name]``.
        """
        if "uncertainty" not in self.found and self.context is not None and self._is_measured():
            self.uncertainty()
        return summary(self)

    def save(self, path: str | PathLike) -> None:
        """Write the result to a file (.npz) of numbers and text, without its model.

        Parameters
        ----------
        path : str or path
            An existing file is replaced, whole or not at all.

        Raises
        ------
        ArgumentError
            If the file cannot be written.

        Notes
        -----
        Predictions are kept if they are one array or a dict of arrays; ``raw`` is left out.
        """
        storage.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike) -> "FitResult":
        """Read what `save` has written.

        Parameters
        ----------
        path : str or path
            The file. It is read as numbers and text: nothing in it is run.

        Raises
        ------
        ArgumentError
            If it is no such file, or damaged.

        Examples
        --------
        >>> import tempfile
        >>> from brainmass_delays import FitResult
        >>> result = FitResult(best_loss=0.5, best_params={}, history=[2.0, 0.5], n_steps=2, prediction=None,
        ...                    model=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(f'{folder}/fit.npz')
        ...     FitResult.load(f'{folder}/fit.npz').history
        [2.0, 0.5]
        """
        return storage.load(cls, path)

    def report(self, path: str | PathLike) -> None:
        """Write the fit as one page of HTML: table, curves, profiles, data beside prediction, versions.

        Parameters
        ----------
        path : str or path
            The page, which needs no other file; an existing one is replaced, whole or not at all. Profiles
            are shown if they were put into ``found[name]``, data where the result is of this process.

        Raises
        ------
        ArgumentError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> from brainmass_delays import FitResult
        >>> result = FitResult(best_loss=0.5, best_params={'k': 0.2}, history=[2.0, 0.5], n_steps=2,
        ...                    prediction=None, model=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.report(f'{folder}/fit.html')
        ...     'Fit of k' in pathlib.Path(folder, 'fit.html').read_text()
        True
        """
        from ..viz.report import write_report  # brings matplotlib, which nothing else here needs

        write_report(self, as_path("FitResult.report.path", path))

    def _is_measured(self) -> bool:
        return self.context.problem.loss.is_measured

    def __getstate__(self):
        """Leave out the model and what belongs to this process."""
        return vars(self) | {"model": None, "context": None, "optimizer": repr(self.optimizer)}

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return plain arrays, with units as strings beside them.

        Returns
        -------
        dict of str to numpy.ndarray
            ``best_loss``, ``history``, every parameter under its name and its history under
            ``history.name``; units of ``name`` under ``name.unit``. ``np.savez(path, **result.to_numpy())``
            works, and `set_params` takes ``best_params`` back into a model.
        """
        histories = {f"history.{name}": values for name, values in self.param_history.items()}
        losses = {"best_loss": self.best_loss, "history": self.history}
        return plain_arrays({**losses, **self.best_params, **histories})

    def __repr__(self):
        params = spell(self.best_params)
        loss = f"best_loss={self.best_loss:.6g}"
        return f"FitResult({loss}, n_steps={self.n_steps}, backend={self.backend!r}, {params})"


def _is_close(ours: dict[str, Any], theirs: dict[str, Any], rtol: float) -> bool:
    """Tell whether all parameters agree."""
    return all(
        np.allclose(
            u.get_magnitude(ours[name]), magnitude(name, theirs[name], u.get_unit(ours[name])), rtol, 0
        )
        for name in ours
    )
