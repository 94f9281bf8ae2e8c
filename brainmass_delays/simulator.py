"""Simulate: advance a model over time, record what is asked for, and say whether the result can be used."""

import math
from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from ._core.checks import ArgumentError, check_count
from ._core.status import DELAY_ABOVE_BOUND, NOT_FINITE, RunError, describe, flag, is_traced
from ._core.units import magnitude
from .compiled import CompiledRun, identity
from .network import Network
from .prefetched import run_network


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
    checkpoint : bool, default True
        Recompute each block of steps of a `Network` in the reverse pass instead of storing what it read.

    Raises
    ------
    ArgumentError
        If ``dt`` is missing, has no unit of time, or is not positive.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import HopfStep, Simulator
    >>> result = Simulator(HopfStep(2, a=-0.2), dt=0.1 * u.ms).run(10 * u.ms, monitors=['x'])
    >>> result['x'].shape, result['ts'].shape
    ((100, 2), (100,))
    """

    def __init__(
        self,
        model: brainstate.nn.Module,
        dt: Any = None,
        *,
        grad_horizon: Any = None,
        checkpoint: bool = True,
    ):
        if not isinstance(model, brainstate.nn.Module):
            raise ArgumentError("Simulator.model", "must be a brainstate Module", type(model).__name__)
        self.model, self.checkpoint = model, checkpoint
        self._dt = None if dt is None else _time("Simulator.dt", dt)
        self.grad_horizon = None if grad_horizon is None else _time("Simulator.grad_horizon", grad_horizon)
        self._compiled = {}

    @property
    def dt(self) -> u.Quantity:
        """The step size: as given, or of the environment."""
        dt = brainstate.environ.get("dt", None) if self._dt is None else self._dt
        if dt is None:
            raise ArgumentError(
                "Simulator.dt", "is needed", "None", "Pass Simulator(model, dt=0.1 * brainunit.ms)"
            )
        return _time("Simulator.dt", dt)

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
    ) -> dict[str, Any]:
        """Simulate for ``duration``.

        Parameters
        ----------
        duration : Quantity
            Simulated time, a whole number of steps.
        inputs : None, array or callable, optional
            Further inputs of ``model.update``: an array with one row per step, or ``inputs(i, t)`` that
            returns one value or a tuple.
        monitors : None, list of str, callable or dict, optional
            What to record after every step: None the model's output; names of states of the model (or of
            its node); ``f(model)`` under the key ``'output'``; or a dict of name to either.
        transient : Quantity or int, optional
            Time or steps to leave out at the start.
        sample_every : int, optional
            Record every so many steps.
        batch_size : int, optional
            Run this many copies at once; states and outputs get a batch axis.
        init_states : bool, default True
            Initialize the states first; False continues from where they are.
        jit : bool, default True
            Compile. One compilation serves all runs of equal length, monitors and shapes, whatever the
            parameters.
        progress : bool, default False
            Show a progress bar, by running in ten parts.

        Returns
        -------
        dict
            ``'ts'``, times after each recorded step, ``(time,)``; one trajectory ``(time, ..., n_nodes)``
            per monitor; and ``'status'``, int32: 0, or flags as in `brainmass_delays.RunError`.

        Raises
        ------
        ArgumentError
            For a duration that is not a whole number of steps, unknown monitors, or inputs of another length.
        RunError
            If a delay left its static bounds or a value is not finite. Inside a trace nothing can be
            raised: the flags are in ``'status'`` and the values read at such connections are NaN.

        Notes
        -----
        Differentiable in every ``Param`` and in the initial states. A `Network` is run in blocks of
        prefetched reads; the reverse pass keeps O(n_nodes) numbers per step."""
        dt = self.dt
        n_steps = _count_steps("Simulator.run.duration", duration, dt)
        every = 1 if sample_every is None else check_count("Simulator.run.sample_every", sample_every)
        skipped = _transient_steps(transient, dt, n_steps)
        if batch_size is not None:
            batch_size = check_count("Simulator.run.batch_size", batch_size)
        with brainstate.environ.context(dt=dt):
            if init_states:
                brainstate.nn.init_all_states(self.model, *([] if batch_size is None else [batch_size]))
            recorded, failed = self._record(n_steps, dt, inputs, monitors, jit, progress)
        result = jax.tree.map(lambda leaf: leaf[skipped::every], recorded)
        result["ts"] = ((np.arange(n_steps) + 1) * dt)[skipped::every]
        result["status"] = failed
        self._raise_if_failed(failed)
        return result

    def _record(self, n_steps, dt, inputs, monitors, jit, progress):
        """Run all steps, in parts if a progress bar is shown."""
        parts = (
            [n_steps]
            if not progress
            else [len(p) for p in np.array_split(np.arange(n_steps), min(10, n_steps))]
        )
        bar = _bar(len(parts)) if progress else None
        done, outs, failed = 0, [], jnp.int32(0)
        for part in parts:
            out, status = self._run_part(part, done, n_steps, inputs, monitors, jit)
            outs.append(out)
            failed = failed | status
            done += part
            if bar is not None:
                bar.update()
        if bar is not None:
            bar.close()
        return jax.tree.map(
            lambda *leaves: jnp.concatenate(leaves) if len(leaves) > 1 else leaves[0], *outs
        ), failed

    def _run_part(self, n_steps, done, n_total, inputs, monitors, jit):
        """Run some steps, compiled once per kind of call; parameters that do not train are arguments too."""
        function = inputs if callable(inputs) else None
        table = None if inputs is None or function is not None else _table(inputs, n_total)
        if not jit:
            return self._steps(n_steps, done, function, table, monitors)
        key = (n_steps, done, identity(function), identity(monitors), float(self.dt.to_decimal(u.ms)))
        if key not in self._compiled:
            self._compiled[key] = CompiledRun(
                self.model,
                lambda table: self._steps(n_steps, done, function, table, monitors),
                (function, monitors),
            )
        return self._compiled[key](table)

    def _steps(self, n_steps, done, inputs, table, monitors):
        """Run steps ``done`` to ``done + n_steps`` and return what was recorded and the flags."""
        measure, inputs_at = _measure(self.model, monitors), _inputs_at(inputs, table)
        if isinstance(self.model, Network) and not self.model.delay_varies:
            out = run_network(
                self.model,
                n_steps,
                self.dt,
                inputs_at,
                measure,
                start=done,
                lean=self.checkpoint,
                horizon=self._horizon_steps(),
            )
        else:
            out = self._step_by_step(n_steps, done, inputs_at, measure)
        return out, self._status(out)

    def _step_by_step(self, n_steps, done, inputs_at, measure):
        """Call the model's own ``update`` at every step."""
        horizon, dt = self._horizon_steps(), self.dt

        def step(i):
            if horizon is not None:
                self._cut_gradients(i % horizon == 0)
            t = i * dt
            with brainstate.environ.context(i=i, t=t):
                return measure(self.model.update(*inputs_at(i, t)))

        return brainstate.transform.for_loop(step, done + np.arange(n_steps))

    def _cut_gradients(self, here):
        """Stop gradients through all states where ``here`` holds."""
        for state in self.model.states().values():
            if not isinstance(state, brainstate.ParamState):
                state.value = jax.tree.map(
                    lambda x: jnp.where(here, jax.lax.stop_gradient(x), x), state.value
                )

    def _horizon_steps(self):
        return (
            None
            if self.grad_horizon is None
            else _count_steps("Simulator.grad_horizon", self.grad_horizon, self.dt)
        )

    def _status(self, recorded):
        """Collect the flags of a run: delays outside their bounds, and values that are not finite."""
        finite = [
            jnp.all(jnp.isfinite(u.get_magnitude(leaf)))
            for leaf in jax.tree.leaves(recorded)
            if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
        ]
        status = flag(~jnp.all(jnp.stack(finite)), NOT_FINITE) if finite else jnp.int32(0)
        for buffer in _delay_buffers(self.model):
            status = status | flag(jnp.max(buffer.n_outside.value) > 0, DELAY_ABOVE_BOUND)
        return status

    def _raise_if_failed(self, status):
        if is_traced(status) or not int(status):
            return
        details = (
            [buffer.reader.explain() for buffer in _delay_buffers(self.model)]
            if int(status) & DELAY_ABOVE_BOUND
            else []
        )
        if not details:
            details = [
                "Lower dt, or check parameters and inputs; jit=False with jax_debug_nans shows the place."
            ]
        raise RunError(f"Simulator.run: {describe(status)}. " + " ".join(details))


def _bar(total):
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="simulate", unit="part")


def _time(where, value):
    number = magnitude(where, value, u.ms, plain=False)
    if is_traced(number) or np.ndim(number) or not np.isfinite(number) or number <= 0:
        raise ArgumentError(where, "must be one positive time", value)
    return value


def _count_steps(where: str, duration: Any, dt: u.Quantity) -> int:
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
            else _count_steps("Simulator.run.transient", transient, dt)
        )
    else:
        n = check_count("Simulator.run.transient", transient, minimum=0)
    if n >= n_steps:
        raise ArgumentError(
            "Simulator.run.transient", f"must be shorter than the run of {n_steps} steps", f"{n} steps"
        )
    return n


def _table(inputs, n_steps):
    table = inputs if isinstance(inputs, u.Quantity) else jnp.asarray(inputs)
    if not table.ndim or len(table) != n_steps:
        raise ArgumentError(
            "Simulator.run.inputs", f"must have one row for each of {n_steps} steps", np.shape(table)
        )
    return table


def _inputs_at(function, table) -> Callable:
    if function is not None:

        def call(i, t):
            value = function(i, t)
            return value if isinstance(value, tuple) else (value,)

        return call
    return (lambda i, t: ()) if table is None else (lambda i, t: (table[i],))


def _measure(model, monitors) -> Callable:
    """Turn monitors into a function of the model's output that returns a dict of values."""
    if monitors is None:
        return lambda out: {"output": out}
    if callable(monitors):
        return lambda out: {"output": monitors(model)}
    if isinstance(monitors, str):
        monitors = [monitors]
    named = monitors if isinstance(monitors, dict) else {name: name for name in monitors}
    readers = {name: spec if callable(spec) else _state_reader(model, spec) for name, spec in named.items()}
    return lambda out: {name: reader(model) for name, reader in readers.items()}


def _state_reader(model, name):
    owners = [
        owner
        for owner in (model, getattr(model, "node", None))
        if isinstance(getattr(owner, name, None), brainstate.State)
    ]
    if not owners:
        known = [
            n
            for owner in (model, getattr(model, "node", model))
            for n, v in vars(owner).items()
            if isinstance(v, brainstate.State)
        ]
        raise ArgumentError(
            "Simulator.run.monitors", f"must name states, of {sorted(set(known))}", repr(name)
        )
    return lambda _: getattr(owners[0], name).value


def _delay_buffers(model):
    from .delays.prefetch import DelayBuffer

    return [node for node in model.nodes(DelayBuffer).values() if hasattr(node, "n_outside")]
