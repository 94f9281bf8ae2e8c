"""The outcome of a fit."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brainstate.nn import Module

from .._core.units import plain_arrays
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
        Loss of every evaluation in order: one per step (``grad``), function evaluation (``scipy``) or
        candidate (``nevergrad``).
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
        SciPy's or nevergrad's own result.
    starts : tuple of FitResult
        One result per start of a multi-start fit, in order; empty otherwise.
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
