"""Fit the trainable parameters of a model to data."""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import Any

import brainstate
from brainstate.nn import Module

from .. import objectives
from .._core.checks import ArgumentError, check_choice, check_count, check_flag
from .._core.choices import Backend
from .._core.parameters import check_search_space, find_by_name
from .._core.states import alone
from .arguments import as_callbacks, as_target
from .backends import Scipy
from .checkpoint import fingerprint_of, named, opened
from .density import bind_priors
from .descent import GradientDescent
from .evolution import Nevergrad
from .journal import Journal
from .least_squares import LeastSquares
from .loss import Loss, check_loss
from .problem import MODES, Problem
from .profile import NoiseFloor
from .result import FitResult
from .run import Run
from .starts import starting_values

BACKENDS = {"grad": GradientDescent, "least_squares": LeastSquares, "scipy": Scipy, "nevergrad": Nevergrad}
DEFAULTS = {"least_squares": objectives.gaussian()}


class Fitter(Run):
    """Fit the trainable parameters of a model, by gradient or without.

    Every ``Param(..., fit=True)`` that the model reaches is moved in the space of its transform, where it has
    no bounds, and reported as the constrained value with its unit.

    Parameters
    ----------
    model : brainstate.nn.Module
        The model; its trainable parameters are found through its attributes and named by their path,
        ``'speed'`` or ``'coupling.k'``.
    optimizer : optional
        ``backend='grad'``: an optimizer of ``braintools.optim`` or a plain optax transformation; default
        ``Adam(lr=0.01)``. Otherwise a method name or a dict of options with the key ``'method'``: default
        ``'L-BFGS-B'`` for ``scipy``; ``{'method': 'DE', 'n_sample': 8, 'seed': 0}`` for ``nevergrad``;
        ``{'method': 'LevenbergMarquardt', 'early': 0.2, 'max_step': 1.0, 'tolerance': None}`` for
        ``least_squares``, which also knows ``'IndirectLevenbergMarquardt'``, ``'Dogleg'`` and
        ``'GaussNewton'``. Its first steps weigh the samples of a time course by ``exp(-t / (early *
        duration))``, since a wrong delay shifts phases the more the longer one waits; None turns that off.
        ``max_step`` bounds the change of an unconstrained parameter per step, and ``tolerance`` is the one
        below which a fit has ended.
    loss_fn : callable, optional
        ``loss_fn(model)`` or ``loss_fn()``, the whole loss: one plain number, or a pair of it and anything
        else.
    objective : callable, optional
        ``objective(prediction, target) -> scalar``, to be minimized; default `objectives.timeseries_rmse`,
        and `objectives.gaussian` for ``least_squares``, which needs an objective with ``residuals``.
    predict : callable, optional
        ``predict(model)`` or ``predict()``; needed without ``loss_fn``. Of a mapping, the entry ``'output'``
        is what the objective sees (the whole mapping if there is none), and ``'status'`` stops the fit when
        it holds flags.
    backend : {'grad', 'least_squares', 'scipy', 'nevergrad'}, default 'grad'
        Gradient descent, least squares (``least_squares``, an extra), which for few parameters and data with
        noise finds the optimum in about ten steps, SciPy's minimizers, or evolutionary search (``nevergrad``,
        an extra), whose generations of ``n_sample`` candidates are simulated side by side.
    callbacks : callable or list of callable, optional
        Each is called at every entry of the history with a dict of ``'step'``, ``'loss'``, ``'best_loss'``,
        ``'params'`` and ``'model'``; returning True ends the fit.
    transient : int, optional
        Samples dropped from the start of the prediction (axis 0), not of the target.
    search_space : dict of str to (low, high), optional
        Bounds of constrained values with units, for ``nevergrad``, ``scipy`` and random starts; where it is
        silent, the bounds of the parameter's transform hold.
    progress : bool, default False
        Show a progress bar.
    mode : {'auto', 'forward', 'reverse'}, default 'auto'
        How ``least_squares`` differentiates: forward, one tangent simulation per parameter, whose memory does
        not grow with time, whatever the `Simulator` was told; in reverse, one way back per residual; by
        default what takes fewer.
    priors : dict of str to Prior, optional
        Priors by name of a parameter, beside those that Params carry as ``reg``. The fit is then the maximum
        of the posterior density of the constrained values (MAP), and the objective a likelihood, such as
        ``objectives.gaussian(sigma)``.

    Raises
    ------
    ArgumentError
        If neither or both of ``loss_fn`` and ``predict`` are given, a name is unknown, the model has no
        trainable parameter, or an argument does not suit the backend.

    Notes
    -----
    Every evaluation of a fit draws the same random numbers, those of ``brainstate.random`` when it begins
    (common random numbers), so that differences of the loss are due to the parameters. Where the model is
    stochastic, a warning compares what was gained with what other random numbers change.

    The loss is compiled once for all steps, starts and further calls of `fit` with targets of the same shape.
    With the objective path the regularization of the parameters, ``model.reg_loss()``, is added.

    *What the gradient is*: that of the loss as simulated, by differentiation through every time step, in
    reverse mode but for ``mode``, with respect to the unconstrained parameters. A parameter behind a nearest
    read has none: modules that offer ``check_trainable()`` are asked before the first step and may refuse. A
    gradient that is zero for every parameter is an error, one that is zero for some a warning. A run whose
    delays leave their static bounds stops with the number of connections and the excess.

    Examples
    --------
    >>> import brainstate, braintools, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays import Fitter, Param
    >>> class Decay(brainstate.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.tau = Param(20.0 * u.ms)
    ...     def update(self):
    ...         return jnp.exp(-jnp.arange(50.0) / (self.tau.value() / u.ms))
    >>> target = jnp.exp(-jnp.arange(50.0) / 10.0)
    >>> fitter = Fitter(Decay(), braintools.optim.Adam(lr=0.5), predict=lambda model: model())
    >>> result = fitter.fit(target, n_steps=100)
    >>> print(round(result.best_params['tau'].to_decimal(u.ms).item(), 1))
    10.0
    """

    def __init__(
        self,
        model: Module,
        optimizer: Any = None,
        *,
        loss_fn: Callable | None = None,
        objective: Callable | None = None,
        predict: Callable | None = None,
        backend: Backend = "grad",
        callbacks: Callable | Sequence[Callable] | None = None,
        transient: int | None = None,
        search_space: dict[str, tuple] | None = None,
        progress: bool = False,
        mode: str = "auto",
        priors: dict[str, Any] | None = None,
    ):
        check_choice("Fitter.backend", backend, BACKENDS)
        check_choice("Fitter.mode", mode, MODES)
        check_loss(loss_fn, predict, objective, backend)
        if not isinstance(model, Module):
            raise ArgumentError("Fitter.model", "must be a brainstate.nn.Module", repr(model))
        self.model, self.backend = model, backend
        self.progress = check_flag("Fitter.progress", progress)
        self.loss_fn, self.predict, self.mode = loss_fn, predict, mode
        self.objective = objective or DEFAULTS.get(backend, objectives.timeseries_rmse)
        self.callbacks = as_callbacks(callbacks)
        self.transient = None if transient is None else check_count("Fitter.transient", transient, minimum=0)
        if search_space is not None and not isinstance(search_space, dict):
            raise ArgumentError("Fitter.search_space", "must be a dict of bounds", repr(search_space))
        self.search_space = dict(search_space or {})
        self._loss = Loss(model, loss_fn, predict, self.objective, self.transient)
        self._problem = Problem(model, self._loss, mode)
        self._loss.priors = self._bound(priors)
        check_search_space(self._problem.parameters, self.search_space)
        self.search_space = {
            find_by_name("Fitter.search_space", name, self._problem.parameters).name: box
            for name, box in self.search_space.items()
        }
        self._backend = BACKENDS[backend](self._problem, optimizer, self.search_space)
        self._problem.kind = self._backend.kind
        self._journal: Journal | None = None
        self._key: Any = None
        self._floor: NoiseFloor | None = None

    def _bound(self, priors: dict[str, Any] | None) -> list:
        """Return the priors in the units of their parameters, beside a likelihood on the same scale."""
        found = bind_priors("Fitter.priors", priors, self._problem.parameters)
        if found and self.loss_fn is None and not objectives.is_likelihood(self.objective):
            raise ArgumentError(
                "Fitter.priors", "need an objective on the same scale, a likelihood", repr(self.objective),
                "Pass objective=objectives.gaussian(sigma)",
            )  # fmt: skip
        return found

    def __reduce_ex__(self, protocol: Any) -> Any:
        cure = "Copy the model, and make another Fitter for it; a FitResult can be copied and pickled"
        raise ArgumentError(
            "Fitter",
            "cannot be copied or pickled, as what it has traced is of its model",
            "copy or pickle",
            cure,
        )

    @property
    def optimizer(self) -> Any:
        """The optimizer or the options in use."""
        return self._backend.optimizer

    @alone
    def fit(
        self,
        target: Any = None,
        n_steps: int = 100,
        *,
        starts: int | dict | None = None,
        resume: bool = False,
        checkpoint: str | PathLike | None = None,
        every: int = 10,
    ) -> FitResult:
        """Move the parameters from where they stand or from several starts; the model keeps the best.

        Parameters
        ----------
        target : array_like, Quantity or pytree of them, optional
            What the objective compares the prediction with.
        n_steps : int, default 100
            Steps (``grad``, ``least_squares``), iterations (``scipy``) or generations of ``n_sample``
            candidates (``nevergrad``), per start.
        starts : int or dict of str to sequence, optional
            Fit from several starts and keep the best: a number of points drawn from the search space by Latin
            hypercube with a fixed seed, or the starting values of some parameters by name, one per start.
            Parameters not named start where they stand. Where there are no callbacks and the learning rate
            does not follow the loss, ``grad`` runs them side by side, on all devices, as many at once as fit
            in half of the free memory; otherwise one runs after another.
        resume : bool, default False
            ``backend='grad'``: go on where the last fit of this Fitter ended, with its last parameters and
            the memory and learning rate of its optimizer, so that ``fit(n_steps=50)`` and then
            ``fit(n_steps=50, resume=True)`` do what ``fit(n_steps=100)`` does. By default the optimizer is
            fresh and starts from the best parameters, which the model holds.
        checkpoint : str or path, optional
            A file (.npz) that the fit is written to while it runs and goes on from if it exists: a fit that
            was killed and is started again ends exactly where it would have ended. It must belong to the same
            parameters and bounds, data, starts, settings and versions; where a fit without ``starts`` begins
            is read from it. ``FILE.lock`` beside it keeps other processes out.
        every : int, default 10
            Steps (``grad``, ``least_squares``), function evaluations or candidates between two writes.

        Returns
        -------
        FitResult
            The best outcome; `FitResult.starts` holds all of them. A start that fails is reported as a
            warning.

        Raises
        ------
        ArgumentError
            If a trainable parameter is out of reach or cannot have a gradient, or a start is no value of it;
            if the checkpoint is damaged, of another fit, or in use.
        OSError
            If the checkpoint cannot be written, e.g. since the disk is full; the old one is as it was.
        RunError
            If the loss or a gradient is not finite, or a delay passes its bound, naming the step and the
            parameters. After the last update it is a warning.
        Exception
            Whatever the model, a callback or Ctrl-C raises. The model keeps the best parameters seen, and the
            attribute ``result`` of any of these errors is the `FitResult` until then.
        """
        n_steps = check_count("Fitter.fit.n_steps", n_steps)
        target = as_target("Fitter.fit.target", target)
        self._problem.refresh()
        if self._backend.uses_gradient:
            self._problem.check_trainable()
            self._problem.check_reads(target)
        if check_flag("Fitter.fit.resume", resume) and (starts is not None or not self._backend.resumes):
            raise ArgumentError(
                "Fitter.fit.resume", "must be False with starts, and with a backend without steps", True
            )
        if starts is not None and not self._backend.takes_starts:
            raise ArgumentError(
                "Fitter.fit.starts",
                f"must be None with backend={self.backend!r}",
                repr(starts),
                "It searches the whole space in one run",
            )
        parameters = self._problem.parameters
        values = None if starts is None else starting_values(starts, parameters, self.search_space)
        identity = partial(self._identity, target, values)
        with opened(checkpoint, every, identity) as kept, self._same_random_numbers(kept, resume):
            if values is None:
                with self._bar(n_steps) as bar:
                    result = self._run(target, n_steps, bar, 0, resume=resume, kept=kept)
            else:
                self._journal = None
                result = self._run_starts(target, n_steps, values, kept=kept)
            self._compare_with_noise(result, target)
        return result

    def _identity(self, target: Any, starts: list[dict] | None) -> dict[str, Any]:
        """Return what must be the same when a fit goes on in another process."""
        return fingerprint_of(
            self._problem.parameters,
            target,
            starts,
            backend=self.backend,
            optimizer=self._backend.settings,
            precision=brainstate.environ.get_precision(),
            search_space=named(self.search_space),
            transient=self.transient,
        )
