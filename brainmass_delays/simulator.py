"""Simulate: advance a model over time, record what is asked for, and say whether the result can be used."""

import math
import threading
import warnings
from collections.abc import Callable
from os import PathLike
from typing import Any

import brainstate
import brainunit as u
import jax
import numpy as np

from ._core.checks import ArgumentError, check_count
from ._core.parameters import find_by_name, find_parameters
from ._core.states import holding, untouched, write
from ._core.status import DELAY_ABOVE_BOUND, NOT_FINITE, RunError, concrete, describe, flag, is_traced
from ._core.units import magnitude
from .delays.past import Past
from .delays.read import DelayedRead
from .engine.clock import clock_of
from .engine.program import divide_run
from .engine.run import Run, Settings
from .network import Network
from .observe import Trajectory
from .recording import Recording, streams
from .snapshot import load_states, save_states
from .stimulation import Stimulation

LOCK = threading.RLock()  # tracing changes global states, and a run changes those of its model


class Simulator:
    """Advance a model in steps of ``dt`` and record trajectories.

    Parameters
    ----------
    model : brainstate.nn.Module
        A `Network`, a node, or any Module whose ``update(*inputs)`` makes one step.
    dt : Quantity
        Step size, a time.
    grad_horizon : Quantity, optional
        Cut gradients every so often: the state at the end of each window is a constant for the next. By
        default gradients run through the whole simulation.
    gradient : {'reverse', 'forward'}, default 'reverse'
        Which mode of differentiation runs must allow. ``'reverse'`` keeps a few numbers per node and step;
        ``'forward'``, for few parameters, keeps nothing.
    checkpoint : bool, default True
        Recompute blocks of steps in the reverse pass instead of storing what they read.

    Raises
    ------
    ArgumentError
        If ``dt`` is missing, has no unit of time, or is not positive.

    Notes
    -----
    A run is compiled once for all models that do the same operations on arrays of the same shapes: it is
    traced at every call, so that whatever its functions read counts as it is now, and looked up by what it
    computes.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import HopfStep, Simulator
    >>> result = Simulator(HopfStep(2, a=-0.2, init_x=0.1), dt=0.1 * u.ms).run(10 * u.ms, monitors=['x'])
    >>> result['x'].shape, result['ts'].shape
    ((100, 2), (100,))
    """

    def __init__(
        self,
        model: brainstate.nn.Module,
        dt: Any = None,
        *,
        grad_horizon: Any = None,
        gradient: str = "reverse",
        checkpoint: bool = True,
    ):
        if not isinstance(model, brainstate.nn.Module):
            raise ArgumentError("Simulator.model", "must be a brainstate Module", type(model).__name__)
        if gradient not in ("reverse", "forward"):
            raise ArgumentError("Simulator.gradient", "must be 'reverse' or 'forward'", repr(gradient))
        self.model, self.checkpoint, self.gradient = model, checkpoint, gradient
        self._dt = None if dt is None else _time("Simulator.dt", dt)
        self.grad_horizon = None if grad_horizon is None else _time("Simulator.grad_horizon", grad_horizon)
        self._layouts: dict = {}

    def __getstate__(self):
        """Leave the plans of runs out of copies: they belong to this model."""
        return vars(self) | {"_layouts": {}}

    def __repr__(self) -> str:
        model = repr(self.model) if isinstance(self.model, Network) else type(self.model).__name__
        dt = "of the environment" if self._dt is None else self._dt
        return f"Simulator, dt {dt}, gradient {self.gradient}\n{model}"

    @property
    def dt(self) -> u.Quantity:
        """The step size: as given, or of the environment."""
        dt = brainstate.environ.get("dt", None) if self._dt is None else self._dt
        if dt is None:
            raise ArgumentError(
                "Simulator.dt", "is needed", "None", "Pass Simulator(model, dt=0.1 * brainunit.ms)"
            )
        return _time("Simulator.dt", dt)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Steps per block of prefetched reads in the last run, and per block within those blocks."""
        layout = next(iter(self._layouts.values()), None)
        return () if layout is None else tuple(level.block for level in layout.plan.levels)

    def run(
        self,
        duration: Any,
        *,
        inputs: Any = None,
        monitors: Any = None,
        transient: Any = None,
        sample_every: int | None = None,
        batch_size: int | None = None,
        init_states: bool = True,
        jit: bool = True,
        progress: bool = False,
    ) -> Trajectory:
        """Simulate for ``duration``.

        Parameters
        ----------
        duration : Quantity
            Simulated time, a whole number of steps.
        inputs : None, dict, array or callable, optional
            Further inputs. For a `Network` or a node of this library by name, ``{'E_inp': value}``, each an
            array with one row per step, a number, or a function ``f(i, t)`` or ``f(t)``; a single value
            where there is one input only. For any other model an array, or ``inputs(i, t)`` that returns one
            value or a tuple.
        monitors : None, str, list, callable, Monitor or dict, optional
            What to record after every step: None the model's output; names of states or signals
            (``'x'``, ``'population.x'``); ``f(model)`` under the key ``'output'``; a `Monitor`, which keeps
            less than every step; or a dict of name to any of these.
        transient : Quantity or int, optional
            Time or steps to leave out at the start.
        sample_every : int, optional
            Record every so many steps of the model's clock.
        batch_size : int, optional
            Run this many copies at once; states and outputs get a batch axis.
        init_states : bool, default True
            Initialize the states, the clock and the monitors first; False continues from where they are.
        jit : bool, default True
            Compile.
        progress : bool, default False
            Show a progress bar; the run can be interrupted between its spans.

        Returns
        -------
        Trajectory
            A mapping: ``'ts'``, times after each recorded step, ``(time,)``; one trajectory ``(time, ...,
            n_nodes)`` per monitor; and ``'status'``, int32: 0, or flags as in `brainmass_delays.RunError`.

        Raises
        ------
        ArgumentError
            For a duration that is not a whole number of steps, unknown monitors, or inputs of another length.
        RunError
            If a delay left its static bounds or a value is not finite. Inside a trace nothing can be
            raised: the flags are in ``'status'`` and the values read at such connections are NaN.

        Notes
        -----
        Differentiable in every ``Param`` and in the initial states. Steps run in blocks of prefetched reads
        and in spans, after each of which only the state and what is kept remain: memory grows with what is
        recorded, not with the duration. The reverse pass recomputes spans and keeps O(n_nodes) numbers per
        step of one of them."""
        with LOCK:
            return self._run(
                duration, inputs, monitors, transient, sample_every, batch_size, init_states, jit, progress
            )

    def save(self, path: str | PathLike) -> None:
        """Write the state of the model to a file (.npz): states, buffers, keys of noise, clock, parameters.

        Parameters
        ----------
        path : str or path
            An existing file is replaced, whole or not at all.

        Raises
        ------
        ArgumentError
            If the model was not run yet, or the file cannot be written.
        """
        with LOCK:
            clock_of(self.model).check(self.dt, None)
            save_states(self.model, path, self.dt)

    def load(self, path: str | PathLike) -> None:
        """Put the model into the state that `save` has written, so that ``init_states=False`` continues.

        Parameters
        ----------
        path : str or path
            A file of `save`, of a model of the same structure. It holds numbers only.

        Raises
        ------
        ArgumentError
            If the file is no such file, is damaged, or belongs to another model or step size.

        Examples
        --------
        >>> import tempfile
        >>> import brainunit as u
        >>> from brainmass_delays import LinearStep, Simulator
        >>> first, second = (
        ...     Simulator(LinearStep(1, gamma=-0.1, init_x=1.0), dt=0.1 * u.ms) for _ in range(2))
        >>> _ = first.run(5 * u.ms)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first.save(f'{folder}/run.npz')
        ...     second.load(f'{folder}/run.npz')
        >>> end = second.run(5 * u.ms, monitors=['x'], init_states=False)
        >>> round(float(end['x'][-1, 0]), 3), end['ts'][-1]
        (0.368, Quantity(10., "ms"))
        """
        with LOCK, brainstate.environ.context(dt=self.dt):
            brainstate.nn.init_all_states(self.model)
            clock_of(self.model).start(self.dt)
            load_states(self.model, path, self.dt)

    def function(self, duration: Any, **options: Any) -> Callable[..., Trajectory]:
        """Return the run as a pure function of the model's trainable parameters.

        Parameters
        ----------
        duration : Quantity
            Simulated time, as in `run`.
        **options
            ``inputs``, ``monitors``, ``transient``, ``sample_every`` and ``batch_size`` of `run`.

        Returns
        -------
        callable
            ``f(params, *, key=None)`` runs from the initial states and returns what `run` does. ``params``
            is a dict of constrained values by name (plain numbers in the unit of the parameter); those it
            lacks are as in the model. ``key`` is a JAX key for all that is drawn; by default that of
            ``brainstate.random``, the same at every call. Both may be mapped by `jax.vmap`.

        Raises
        ------
        ArgumentError
            For names that are no trainable parameters, and as `run`. Inside a trace, runs that fail are
            flagged in ``'status'``.

        Notes
        -----
        Nothing of the model changes. It composes with `jax.jit`, `jax.grad`, `jax.vmap`, and, with
        ``Simulator(gradient='forward')``, with `jax.jvp`, `jax.jacfwd` and `jax.hessian`.

        Examples
        --------
        >>> import brainunit as u
        >>> import jax
        >>> from brainmass_delays import LinearStep, Param, Simulator
        >>> node = LinearStep(1, gamma=Param(-0.1, fit=True), init_x=1.0)
        >>> run = Simulator(node, dt=0.1 * u.ms).function(10 * u.ms, monitors=['x'])
        >>> slope = jax.grad(lambda gamma: run({'gamma': gamma})['x'][-1, 0])(-0.1)
        >>> round(float(slope), 3)
        3.679
        """

        def run(params: dict | None = None, *, key: Any = None) -> Trajectory:
            params = params or {}
            known = find_parameters(self.model)
            chosen = [find_by_name("Simulator.function.params", name, known) for name in params]
            values = [
                part.unconstrained(value, f"Simulator.function.params[{part.name!r}]")
                for part, value in zip(chosen, params.values(), strict=True)
            ]
            now = brainstate.random.DEFAULT.value if key is None else jax.random.key_data(key)

            def call(values, key):
                with holding([part.state for part in chosen], values):
                    brainstate.random.DEFAULT.value = key
                    return self.run(duration, **options)

            with LOCK, untouched(self.model, *streams(options.get("monitors")).values()):
                stateful = brainstate.transform.StatefulFunction(call)
                states = stateful.get_states(values, now, compile_if_miss=True)
                return stateful.jaxpr_call([state.value for state in states], values, now)[1]

        return run

    def _run(
        self, duration, inputs, monitors, transient, sample_every, batch_size, init_states, jit, progress
    ):
        dt, where = self.dt, "Simulator.run"
        n_steps = count_steps(f"{where}.duration", duration, dt)
        every = 1 if sample_every is None else check_count(f"{where}.sample_every", sample_every)
        skipped = _transient_steps(transient, dt, n_steps)
        _check_precision()
        clock = clock_of(self.model)
        with brainstate.environ.context(dt=dt):
            if init_states:
                batch = [] if batch_size is None else [check_count(f"{where}.batch_size", batch_size)]
                brainstate.nn.init_all_states(self.model, *batch)
                clock.start(dt)
            else:
                clock.check(dt, batch_size)
            first = 0 if init_states else clock.step()  # a known number, also where a trace made the clock
            stimulation = Stimulation(self.model, inputs, n_steps)
            recording = Recording(self.model, monitors, clock.i, init_states)
            _check_time(stimulation, first, n_steps, dt)
            settings = self._settings(jit)
            spans = divide_run(n_steps, settings.span)
            chosen = recording.choose(first, n_steps, skipped, every, spans)
            run = Run(
                self.model, dt, stimulation.update, stimulation.at, stimulation.rows, recording.measure,
                recording.monitors, settings,
            )  # fmt: skip
            memory = recording.memory(first, dt)
            bar = _bar(n_steps) if progress else None
            outcome, memory = run(first, n_steps, self._layouts, chosen.indices, memory, bar)
            recording.remember(memory, first + n_steps)
            write(clock.i, clock.i.value + n_steps)
        status = self._status(outcome)
        self._raise_if_failed(status)
        if init_states:
            _warn_if_still(outcome)
        return recording.result(outcome, chosen, first, spans.sizes, dt, status)

    def _settings(self, jit):
        lean = self.gradient == "reverse" and self.checkpoint
        block = getattr(self.model, "block", None) if isinstance(self.model, Network) else None
        horizon = self.grad_horizon
        span = None if horizon is None else count_steps("Simulator.grad_horizon", horizon, self.dt)
        return Settings(lean, span, horizon is not None, block, jit)

    def _status(self, outcome):
        """Collect the flags of a run: delays outside their bounds, and values that are not finite."""
        status = flag(~outcome.is_finite, NOT_FINITE)
        for past in self.model.nodes(Past).values():
            status = status | flag(past.n_outside.value > 0, DELAY_ABOVE_BOUND)
        return status

    def _raise_if_failed(self, status):
        value = concrete(status)
        if value is None or not int(value):
            return
        details = []
        if int(value) & DELAY_ABOVE_BOUND and not is_traced(status):
            reads = self.model.nodes(DelayedRead).values()
            details = [text for text in (read.explain() for read in reads) if text]
        if not details:
            details = [
                "Lower dt, or check parameters and inputs; jit=False with jax_debug_nans shows the place."
            ]
        raise RunError(f"Simulator.run: {describe(int(value))}. " + " ".join(details))


def _bar(total):
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="simulate", unit="step")


def _time(where, value):
    number = magnitude(where, value, u.ms, plain=False)
    if is_traced(number) or np.ndim(number) or not np.isfinite(number) or number <= 0:
        raise ArgumentError(
            where, "must be one positive time", "a traced value" if is_traced(number) else value
        )
    return value


def count_steps(where: str, duration: Any, dt: u.Quantity) -> int:
    """Return how many steps a duration has; anything but a whole number raises."""
    _time(where, duration)
    ratio = magnitude(where, duration, u.ms) / dt.to_decimal(u.ms)
    n_steps = round(ratio)
    if n_steps < 1 or abs(ratio - n_steps) > 1e-6 * max(1, n_steps):
        raise ArgumentError(
            where,
            f"must be a whole number of steps of {dt}",
            f"{duration}, {ratio:.6g} steps",
            f"Use {max(1, math.ceil(ratio)) * dt}",
        )
    return n_steps


def _transient_steps(transient, dt, n_steps):
    if transient is None:
        return 0
    if isinstance(transient, u.Quantity):
        n = (
            0
            if float(u.get_magnitude(transient)) == 0
            else count_steps("Simulator.run.transient", transient, dt)
        )
    else:
        n = check_count("Simulator.run.transient", transient, minimum=0)
    if n >= n_steps:
        raise ArgumentError(
            "Simulator.run.transient", f"must be shorter than the run of {n_steps} steps", f"{n} steps"
        )
    return n


def _check_precision():
    """Warn where JAX computes in 64 bits and states would be made in 32."""
    if jax.config.jax_enable_x64 and brainstate.environ.get_precision() == 32:
        warnings.warn(
            "Simulator.run: jax_enable_x64 is set, but states are made with 32 bits. Use "
            "brainstate.environ.set(precision=64), which sets both.",
            stacklevel=4,
        )


def _check_time(stimulation, first, n_steps, dt):
    """Refuse functions of time where 32 bits no longer tell one step from the next."""
    if not stimulation.uses_time or brainstate.environ.get_precision() != 32 or is_traced(first):
        return
    step = float(dt.to_decimal(u.ms))
    end = (int(first) + n_steps) * step
    if np.spacing(np.float32(end)) > 0.01 * step:
        raise ArgumentError(
            "Simulator.run.inputs",
            f"functions of time need more precision at {end:g} ms in steps of {step:g} ms",
            "32 bits",
            "Use brainstate.environ.set(precision=64)",
        )


def _warn_if_still(outcome):
    still = concrete(outcome.is_still)
    if still is not None and bool(still):
        warnings.warn(
            "Simulator.run: nothing moved: every state and every recorded number stayed exactly what it was "
            "at the start. The model rests at a fixed point, perhaps an unstable one: give it another start "
            "by init_x= (the name of the state), another history by delay_init=, inputs, or noise.",
            stacklevel=4,
        )
