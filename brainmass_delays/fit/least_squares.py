"""Least squares: step by the Jacobian of the residuals, which says how far to go, not only where to."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .._core.checks import check_choice, check_count, check_number
from .._core.parameters import store, stored
from ..engine.programs import PROGRAMS
from ..engine.trace import Traced
from .arguments import check_installed
from .backends import options_of
from .checkpoint import pack, unpack
from .journal import Journal
from .problem import Evaluation, Problem, norms_of

METHODS = ("LevenbergMarquardt", "IndirectLevenbergMarquardt", "Dogleg", "GaussNewton")
OPTIONS = {"method": METHODS[0], "early": 0.2, "max_step": 1.0, "tolerance": None}
# Steps with early weights at most, and the step below which they have done their work.
EARLY_STEPS, EARLY_TOLERANCE = 8, 0.1
# Share of the largest curvature that the first step of Levenberg and Marquardt is damped by.
DAMPING = 1e-3
# Refused steps in a row after which a smaller one will not help either.
MAX_REFUSED = 12
# Samples from which on an axis is taken to be a time course.
MIN_SAMPLES = 20
# Columns of a Jacobian that are computed side by side.
MAX_COLUMNS = 32


class Outcome(NamedTuple):
    """Hold how least squares ended: whether steps became small, the residuals and their Jacobian with respect
    to the unconstrained parameters, at the last point."""

    converged: bool
    residuals: np.ndarray
    jacobian: np.ndarray


class LeastSquares:
    """Minimize the sum of squared residuals by a solver of optimistix.

    The first steps weigh early samples of a time course most, since a wrong delay shifts phases the more the
    longer one waits: that widens the valley of the true parameters. Steps are at most ``max_step`` in every
    unconstrained parameter.
    """

    kind, uses_gradient, tolerant, takes_starts, resumes = "residuals", True, False, True, False

    def __init__(self, problem: Problem, optimizer: Any, search_space: dict):
        check_installed("least_squares", "optimistix")
        where, given = "Fitter.optimizer", options_of(optimizer, "least_squares")
        for name in given:
            check_choice(where, name, OPTIONS)
        self.optimizer, self.problem = OPTIONS | given, problem
        check_choice(f"{where}.method", self.optimizer["method"], METHODS)
        for name in ("early", "max_step", "tolerance"):
            if self.optimizer[name] is not None:
                check_number(f"{where}.{name}", self.optimizer[name], above=0)

    @property
    def settings(self) -> str:
        """What must be the same when a fit goes on in another process."""
        return repr(self.optimizer)

    def run(self, journal: Journal, n_steps: int, *, early: bool = True) -> Outcome:
        """Take at most ``n_steps`` steps from where the parameters stand."""
        n_steps = check_count("Fitter.fit.n_steps", n_steps)
        walk = _Walk(self, journal)
        if not (early and self.optimizer["early"] is not None and walk.program.has_course):
            walk.early = np.inf
        walk.go_on()
        while not walk.ended and len(journal.history) < n_steps:
            walk.step(n_steps)
        journal.keep(walk.arrays, now=True)
        journal.restore()
        return walk.outcome()

    def program(self, target: Any) -> tuple["_Program", tuple]:
        """Return the compiled steps, and what they are given beside the parameters."""
        free = stored(self.problem.parameters)
        traced, forward = self._residuals(target, free)
        follows = self.problem.follows_time
        limit, method = self.optimizer["max_step"], self.optimizer["method"]
        key = "least_squares", traced.key, forward, follows, limit, method
        program = PROGRAMS.get(key, lambda: _Program(traced, free, target, forward, follows, limit, method))
        return program, ([state.value for state in traced.states], traced.consts, target)

    def _residuals(self, target, free) -> tuple[Traced, bool]:
        """Return the residuals, and whether columns of their Jacobian are cheaper than rows."""
        mode = self.problem.mode
        traced = self.problem.residuals(target, forward=mode != "reverse")
        n_rows = sum(np.size(leaf) for leaf in jax.tree.leaves(traced.results[0]))
        forward = mode == "forward" or (mode == "auto" and ravel_pytree(free)[0].size <= n_rows)
        return (traced if forward else self.problem.residuals(target, forward=False)), forward


class _Walk:
    """Go down step by step, and tell the journal; what it needs to go on later is in its attributes."""

    def __init__(self, backend: LeastSquares, journal: Journal):
        self.parameters, self.journal = backend.problem.parameters, journal
        self.program, self.given = backend.program(journal.target)
        self.place, self.unravel = ravel_pytree(stored(self.parameters))
        self.early, tolerance = backend.optimizer["early"], backend.optimizer["tolerance"]
        # Steps shrink quadratically near the end, so that this is far from where rounding takes over.
        self.tolerance = float(jnp.finfo(self.place.dtype).eps) ** 0.4 if tolerance is None else tolerance
        self.converged = self.ended = False
        self.state = self.scale = self.found = None
        self.n, self.n_refused, self.moved = 0, 0, np.inf  # in this stage

    def step(self, n_steps: int) -> None:
        """Take one step, and see whether the stage or the walk has ended."""
        if self.state is None:
            self.scale = self._scale()
            self.state = self.program.start(self.place, self._given())
            self.n, self.n_refused, self.moved = 0, 0, np.inf
        before, self.n = self.place, self.n + 1
        self.place, self.state, self.found = self.program.step(self.place, self._given(), self.state)
        store(self.parameters, self.unravel(self.place))
        self.journal.record(self.journal.consider(self._evaluation(self.found)))
        moved = float(jnp.max(jnp.abs(self.place - before)))
        self.n_refused = self.n_refused + 1 if self.n > 1 and moved == 0 else 0
        size = 1 + float(jnp.max(jnp.abs(self.place)))
        tolerance = self.tolerance if self.early == np.inf else EARLY_TOLERANCE
        is_small = self.n > 1 and self.n_refused == 0 and moved <= tolerance * size
        # Where no step helps any more, the last one that did tells whether it is the optimum.
        stuck = self.n_refused >= MAX_REFUSED
        self.moved = self.moved if self.n_refused else moved
        self.converged = self.early == np.inf and (is_small or (stuck and self.moved <= EARLY_TOLERANCE))
        if is_small or stuck or self.found["loss"] == 0 or (self.early != np.inf and self.n >= EARLY_STEPS):
            self.ended, self.early, self.state = self.early == np.inf, np.inf, None
        self.journal.keep(self.arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that a next step depends on."""
        counts = [self.n, self.n_refused, self.converged, self.ended, self.state is not None]
        kept = {"place": np.asarray(self.place), "counts": np.array(counts), "moved": np.array(self.moved)}
        kept |= {"early": np.array(self.early), "found": np.asarray(self.found["jacobian"])}
        if self.state is not None:
            kept |= {"scale": np.asarray(self.scale)} | pack("state", self.program.numbers(self.state))
        return kept

    def go_on(self) -> None:
        """Go back to where the journal was left, if it was."""
        kept = self.journal.go_on(gradient=False)
        if kept is None:
            return
        self.place, self.early = jnp.asarray(kept["place"]), float(kept["early"])
        self.n, self.n_refused, self.converged, self.ended, begun = (int(x) for x in kept["counts"])
        self.converged, self.ended, self.moved = bool(self.converged), bool(self.ended), float(kept["moved"])
        self.found = {"jacobian": jnp.asarray(kept["found"])}
        if begun:
            self.scale = jnp.asarray(kept["scale"])
            like = self.program.start(self.place, self._given())
            numbers = unpack("state", kept, self.program.numbers(like))
            self.state = self.program.with_numbers(like, numbers)
        store(self.parameters, self.unravel(self.place))

    def _given(self) -> tuple:
        return (*self.given, jnp.asarray(self.early, self.place.dtype), self.scale)

    def _scale(self) -> jax.Array:
        """Return what residuals are divided by, so that solvers see a first damping of `DAMPING` times the
        largest curvature whatever the unit of the data (Madsen, Nielsen & Tingleff 2004, section 3.2)."""
        self.scale = jnp.ones((), self.place.dtype)
        if self.found is None:
            self.found = self._look()
        curvature = jnp.max(jnp.sum(self.found["jacobian"] ** 2, axis=0))
        usable = jnp.isfinite(curvature) & (curvature > 0)
        return jnp.where(usable, jnp.sqrt(DAMPING * curvature), 1.0).astype(self.place.dtype)

    def _look(self) -> dict:
        """Evaluate where the walk stands."""
        given = self._given()
        return self.program.step(self.place, given, self.program.start(self.place, given))[2]

    def _evaluation(self, found: dict) -> Evaluation:
        gradient = self.unravel(found["gradient"])
        return Evaluation(
            float(found["loss"]), found["prediction"], int(found["status"]), found["scalars"], found["terms"],
            gradient, norms_of(gradient),
        )  # fmt: skip

    def outcome(self) -> Outcome:
        """Return how the walk ended."""
        if "residuals" not in self.found:
            self.scale = jnp.ones((), self.place.dtype)
            self.found = self._look()
        return Outcome(self.converged, *(np.asarray(self.found[name]) for name in ("residuals", "jacobian")))


class _Program:
    """Steps of a solver on one traced residual function, compiled once for all starts and data.

    ``place`` is the vector of unconstrained values; ``given`` holds what the traced function takes beside it,
    the share of a time course after which its weight has fallen to 1/e, and what residuals are divided by.
    """

    def __init__(self, traced: Traced, free, target, forward: bool, follows: bool, limit, method: str):
        import equinox
        import optimistix

        self.traced, self.unravel, self.follows = traced, ravel_pytree(free)[1], follows
        data = jax.tree.leaves(traced.results[0][0])
        self.has_course = follows and any(x.ndim and x.shape[0] >= MIN_SAMPLES for x in data)
        self.solver = getattr(optimistix, method)(rtol=0.0, atol=0.0)
        self.limit, self.evaluate = limit, materialized(self.residuals, forward)
        self.start, self.step = equinox.filter_jit(self._start), equinox.filter_jit(self._step)
        self._equinox = equinox

    def numbers(self, state: Any) -> Any:
        """Return the numbers of a solver's state, without the programs in it."""
        return self._equinox.filter(state, self._equinox.is_array)

    def with_numbers(self, state: Any, numbers: Any) -> Any:
        """Return a solver's state with other numbers."""
        rest = self._equinox.filter(state, self._equinox.is_array, inverse=True)
        return self._equinox.combine(numbers, rest)

    def residuals(self, place, given):
        """Return all residuals as one vector, and what else an evaluation finds."""
        states, consts, target, early, scale = given
        _, ((data, priors), (loss, prediction, status, scalars, terms)) = self.traced.call(
            states, consts, self.unravel(place), target
        )
        parts = [self._weighted(x, early) for x in data] + priors
        vector = jnp.concatenate([jnp.ravel(part) for part in parts]) / scale
        return vector, {
            "loss": loss, "prediction": prediction, "status": status, "scalars": scalars, "terms": terms,
        }  # fmt: skip

    def _weighted(self, x, early):
        if not (self.follows and x.ndim and x.shape[0] >= MIN_SAMPLES):
            return x
        weights = jnp.exp(-jnp.arange(x.shape[0]) / (early * x.shape[0])).astype(x.dtype)
        return x * weights.reshape(-1, *[1] * (x.ndim - 1))

    def _start(self, place, given):
        shapes = jax.eval_shape(self.evaluate, place, given)
        return self.solver.init(self.evaluate, place, given, {}, *shapes, frozenset())

    def _step(self, place, given, state):
        """Evaluate where the last step led, keep it or go back, and choose the next step."""
        place, state, _ = self.solver.step(self.evaluate, place, given, {}, state, frozenset())
        if self.limit is not None:
            step = state.y_eval - place
            step = step / jnp.maximum(1.0, jnp.max(jnp.abs(step)) / self.limit)
            state = self._equinox.tree_at(lambda s: s.y_eval, state, place + step)
        vector, jacobian = given[-1] * state.f_info.residual, given[-1] * state.f_info.jac.as_matrix()
        found = {"residuals": vector, "jacobian": jacobian, "gradient": jacobian.T @ vector}
        return place, state, state.aux | found


def materialized(residuals: Callable, forward: bool) -> Callable:
    """Let a derivative of ``residuals(place, given) -> vector, rest`` multiply by a Jacobian that is computed
    once, by columns (forward) or by rows: what differentiates it need not store a simulation."""

    @jax.custom_jvp
    def evaluate(place, given):
        return residuals(place, given)

    @evaluate.defjvp
    def _(primals, tangents):
        place, given = primals
        vector, rest, jacobian = (by_columns if forward else by_rows)(residuals, place, given)
        return (vector, rest), (jacobian @ tangents[0], jax.tree.map(_no_tangent, rest))

    return evaluate


def by_columns(residuals: Callable, place: jax.Array, given: Any) -> tuple[jax.Array, Any, jax.Array]:
    """Return the residuals, the rest and the Jacobian, from one tangent simulation per parameter."""

    def column(direction):
        return jax.jvp(lambda x: residuals(x, given), (place,), (direction,), has_aux=True)

    basis = jnp.eye(place.size, dtype=place.dtype)
    if place.size <= MAX_COLUMNS:
        vector, columns, rest = jax.vmap(column)(basis)
    else:
        vector, columns, rest = jax.lax.map(column, basis, batch_size=MAX_COLUMNS)
    vector, rest = jax.tree.map(lambda x: x[0], (vector, rest))  # the same in every lane
    return vector, rest, columns.T


def by_rows(residuals: Callable, place: jax.Array, given: Any) -> tuple[jax.Array, Any, jax.Array]:
    """Return the residuals, the rest and the Jacobian, from one way back per residual."""
    vector, pull, rest = jax.vjp(lambda x: residuals(x, given), place, has_aux=True)
    return vector, rest, jax.vmap(lambda row: pull(row)[0])(jnp.eye(vector.size, dtype=vector.dtype))


def _no_tangent(x):
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)
