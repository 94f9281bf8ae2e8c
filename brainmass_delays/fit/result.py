"""The outcome of a fit."""

from dataclasses import dataclass, field
from typing import Any

import brainunit as u
import numpy as np
from brainstate.nn import Module

from .._core.units import magnitude, plain_arrays
from .journal import spell


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
    """

    best_loss: float
    best_params: dict[str, Any]
    history: list[float]
    n_steps: int
    prediction: Any
    model: Module
    param_history: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, list[float]] = field(default_factory=dict)
    backend: str = "grad"
    optimizer: Any = None
    raw: Any = None
    starts: tuple["FitResult", ...] = ()
    failures: tuple[str, ...] = ()

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
        found: list[dict[str, Any]] = []
        for run in sorted(self.starts or (self,), key=lambda run: run.best_loss):
            known = next((o for o in found if _is_close(o["params"], run.best_params, rtol)), None)
            if known is None:
                found.append({"loss": run.best_loss, "params": run.best_params, "n_starts": 1})
            else:
                known["n_starts"] += 1
        return found

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
