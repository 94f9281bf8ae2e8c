"""Simulate: advance a model over time, record what is asked for, and say whether the result can be used."""

from collections.abc import Callable
from os import PathLike
from typing import Any

import brainstate

from .._core.arguments import checked
from .._core.arguments import flag as is_flag
from .._core.checks import check_choice, check_count
from .._core.choices import Differentiation
from .._core.differentiation import forward_is_wanted
from .._core.states import LOCK, make_key, write
from .._core.tracing import explained
from ..engine.clock import clock_of
from ..engine.memory import size_of
from ..engine.program import divide_run
from ..engine.run import Run, Settings
from ..network import Network
from ..observe import Trajectory
from .durations import check_precision, count_steps, transient_steps
from .function import run_function, start_from
from .impulses import drive
from .outcome import raise_if_failed, status_of, warn_if_still
from .recording import Recording
from .settings import Held
from .short_delays import warn_of_short_delays
from .snapshot import batch_of, put_states, read_states, save_states

FUNCTION_OPTIONS = ("inputs", "impulses", "monitors", "transient", "sample_every", "batch_size")


class Simulator(Held):
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
        gradient: Differentiation = "reverse",
        checkpoint: bool = True,
    ):
        self._hold(model=model, dt=dt, grad_horizon=grad_horizon, gradient=gradient, checkpoint=checkpoint)
        self._layouts: dict = {}

    def __repr__(self) -> str:
        model = repr(self.model) if isinstance(self.model, Network) else type(self.model).__name__
        dt = "of the environment" if self._dt is None else self._dt
        return f"Simulator, dt {dt}, gradient {self.gradient}\n{model}"

    @property
    def blocks(self) -> tuple[int, ...]:
        """Steps per block of prefetched reads in the last run, and per block within those blocks."""
        layout = next(iter(self._layouts.values()), None)
        return () if layout is None else tuple(level.block for level in layout.plan.levels)

    @checked("Simulator.run", init_states=is_flag, jit=is_flag, progress=is_flag)
    def run(
        self,
        duration: Any,
        *,
        inputs: Any = None,
        impulses: tuple[Any, Any] | None = None,
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
        impulses : (times, amounts), optional
            States jump at ``times``, shape (impulse,), each the end of a step of this run. Amounts are a dict
            of state to an array ``(impulse,)`` or ``(impulse, ..., n_nodes)``, or to a function ``(t, x)``
            that returns what it becomes. What is recorded then is the state after it, which delays read.
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
            A mapping: ``'ts'``, times after each recorded step, ``(time,)``, none where only monitors with a
            memory follow the run; one trajectory ``(time, ..., n_nodes)`` per monitor; and ``'status'``,
            int32: 0, or flags as in `brainmass_delays.RunError`.

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
        with LOCK, explained("Simulator.run"):
            return self._run_from(
                None,
                duration,
                inputs,
                impulses,
                monitors,
                transient,
                sample_every,
                batch_size,
                init_states,
                jit,
                progress,
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
            save_states(self.model, path, self.dt, clock_of(self.model).batch)

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
            stored = read_states(path)
            batch = batch_of(stored)
            brainstate.nn.init_all_states(self.model, *([] if batch is None else [batch]))
            clock_of(self.model).start(self.dt, batch)
            put_states(self.model, stored, self.dt)

    def function(self, duration: Any, **options: Any) -> Callable[..., Trajectory]:
        """Return the run as a pure function of the model's trainable parameters.

        Parameters
        ----------
        duration : Quantity
            Simulated time, as in `run`.
        **options
            ``inputs``, ``impulses``, ``monitors``, ``transient``, ``sample_every`` and ``batch_size`` of
            `run`.

        Returns
        -------
        callable
            ``f(params, *, states=None, key=None)`` runs from the initial states and returns what `run` does.
            ``params`` is a dict of constrained values by name (plain numbers in the unit of the parameter);
            those it lacks are as in the model. ``states`` holds other initial values by name, ``'x'`` or
            ``'population.x'``; a constant history follows them. ``key`` is a JAX key for all that is drawn;
            by default that of ``brainstate.random``, the same at every call. All three may be mapped by
            `jax.vmap`.

        Raises
        ------
        ArgumentError
            For names that are no trainable parameters or no states, and as `run`. Inside a trace, runs that
            fail are flagged in ``'status'``.

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

        for name in options:
            check_choice("Simulator.function", name, FUNCTION_OPTIONS)
        return run_function(self, duration, options)

    def _run_from(
        self,
        states,
        duration,
        inputs=None,
        impulses=None,
        monitors=None,
        transient=None,
        sample_every=None,
        batch_size=None,
        init_states=True,
        jit=True,
        progress=False,
    ):
        """Run from other initial values of states by name, or from those of the model; see `run`."""
        dt, where = self.dt, "Simulator.run"
        n_steps = count_steps(f"{where}.duration", duration, dt)
        every = 1 if sample_every is None else check_count(f"{where}.sample_every", sample_every)
        skipped = transient_steps(transient, dt, n_steps)
        check_precision()
        make_key()
        clock = clock_of(self.model)
        if not self._layouts:
            warn_of_short_delays(self.model, dt)
        with brainstate.environ.context(dt=dt):
            if init_states:
                batch = [] if batch_size is None else [check_count(f"{where}.batch_size", batch_size)]
                brainstate.nn.init_all_states(self.model, *batch)
                start_from(self.model, states or {})
                clock.start(dt, *batch)
            else:
                clock.check(dt, batch_size)
            first = 0 if init_states else clock.step()  # a known number, also where a trace made the clock
            driven = drive(self.model, inputs, impulses, first, n_steps, dt)
            recording = Recording(self.model, monitors, init_states)
            spans = self._spans(n_steps)
            chosen = recording.choose(first, n_steps, skipped, every, spans)
            run = Run(
                self.model, dt, driven.update, driven.at, driven.rows, recording.measure,
                recording.monitors, self._settings(jit),
            )  # fmt: skip
            memory = recording.memory(first, dt, clock)
            bar = _bar(n_steps) if progress else None
            outcome, memory = run(first, spans, self._layouts, chosen.indices, memory, bar)
            recording.remember(memory, first + n_steps, clock)
            write(clock.i, clock.i.value + n_steps)
        status = status_of(self.model, outcome)
        raise_if_failed(self.model, status)
        if init_states:
            warn_if_still(outcome)
        return recording.result(outcome, chosen, first, spans.sizes, dt, status)

    def _settings(self, jit):
        lean = self.gradient == "reverse" and self.checkpoint and not forward_is_wanted()
        block = getattr(self.model, "block", None) if isinstance(self.model, Network) else None
        return Settings(lean, self.grad_horizon is not None, block, jit)

    def _spans(self, n_steps):
        """Divide a run, where gradients are cut if they are."""
        horizon, states = self.grad_horizon, self.model.states(brainstate.HiddenState).values()
        size = None if horizon is None else count_steps("Simulator.grad_horizon", horizon, self.dt)
        return divide_run(n_steps, size_of([state.value for state in states]), size)


def _bar(total):
    from .._core.progress import tqdm

    return tqdm(total=total, desc="simulate", unit="step")
