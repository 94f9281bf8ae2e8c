"""SciPy's minimizers, and the options that engines take."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree

from .._core.checks import ArgumentError
from .._core.parameters import search_box, store, stored
from .journal import Journal
from .problem import Problem

_DERIVATIVE_FREE = {"nelder-mead", "powell", "cobyla", "cobyqa"}


class Scipy:
    """Run a minimizer of SciPy from where the parameters stand, with the exact gradient if it takes one."""

    tolerant, takes_starts, resumes = False, True, False

    def __init__(self, problem: Problem, optimizer: Any, search_space: dict):
        options = options_of(optimizer, "scipy")
        self.method = options.pop("method", "L-BFGS-B")
        self.uses_gradient = str(self.method).lower() not in _DERIVATIVE_FREE
        self.kind = "gradient" if self.uses_gradient else "value"
        self.optimizer, self.problem, self._arguments = {"method": self.method, **options}, problem, options
        self._search_space = search_space

    @property
    def settings(self) -> str:
        """What must be the same when a fit goes on in another process."""
        return repr(self.optimizer)

    def run(self, journal: Journal, n_steps: int) -> scipy.optimize.OptimizeResult:
        """Minimize with at most ``n_steps`` iterations; an interrupted run is made again up to where it was,
        from the evaluations that were kept."""
        start, unravel = ravel_pytree(stored(self.problem.parameters))
        kept = journal.go_on(gradient=self.uses_gradient)
        journal.replay_gradients(kept, lambda x: unravel(jnp.asarray(x)))
        gradients: list[np.ndarray] = []

        def loss(x):
            store(self.problem.parameters, unravel(jnp.asarray(x, start.dtype)))
            evaluation = journal.step(gradient=self.uses_gradient)
            flat = np.asarray(ravel_pytree(evaluation.gradient)[0]) if self.uses_gradient else None
            if flat is not None:
                gradients.append(flat)
            if not journal.replay:
                journal.keep(lambda: {"gradients": np.array(gradients)} if gradients else {})
            return evaluation.loss if flat is None else (evaluation.loss, flat.astype(float))

        limit = "maxfun" if str(self.method).lower() == "tnc" else "maxiter"
        arguments = {**self._arguments, "options": {limit: n_steps, **self._arguments.get("options", {})}}
        result = scipy.optimize.minimize(
            loss,
            np.asarray(start, float),
            jac=self.uses_gradient,
            method=self.method,
            bounds=self._bounds(),
            **arguments,
        )
        journal.restore()
        return result

    def _bounds(self) -> scipy.optimize.Bounds | None:
        """Return the search space in the space where parameters have no constraints."""
        if not self._search_space:
            return None
        low = jax.tree.map(lambda x: jnp.full_like(x, -jnp.inf), stored(self.problem.parameters))
        high = jax.tree.map(lambda x: jnp.full_like(x, jnp.inf), low)
        for name in self._search_space:
            parameter = self.problem.parameters[name]
            box = search_box({name: parameter}, self._search_space)[name]
            low[name], high[name] = (parameter.unconstrained(edge, "Fitter.search_space") for edge in box)
        edges = [np.asarray(ravel_pytree(edge)[0], float) for edge in (low, high)]
        return scipy.optimize.Bounds(np.minimum(*edges), np.maximum(*edges))


def options_of(optimizer: Any, backend: str) -> dict[str, Any]:
    """Return the options of a backend that takes a method name, a dict, or nothing."""
    if isinstance(optimizer, str):
        return {"method": optimizer}
    if optimizer is not None and not isinstance(optimizer, dict):
        raise ArgumentError(
            "Fitter.optimizer",
            f"must be a method name, a dict of options or None with backend={backend!r}",
            type(optimizer).__name__,
            "Optimizers of braintools.optim belong to backend='grad'",
        )
    return dict(optimizer or {})
