"""What a run records: states, signals, functions of the model, and monitors that keep less."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .._core.memory import check_memory
from .._core.status import concrete, is_traced
from ..delays.signal import Signal
from ..engine.clock import Clock
from ..network import Network
from ..observe import Monitor, Trajectory, emission_steps

RESERVED = ("ts", "status")


class Chosen(NamedTuple):
    """Say which steps are recorded: ``steps`` of the run, from 1 on; and, unless all are, ``indices`` within
    every span and ``valid``, which entries of them count."""

    steps: np.ndarray
    indices: Any = None
    valid: Any = None


class Memory(NamedTuple):
    """Hold what a monitor carries from one run to the next: its state, the step where it stopped, and which
    run it has followed."""

    state: Any
    step: Any
    run: str


class Recording:
    """Turn the ``monitors`` of `Simulator.run` into what is measured after a step, and its results into a
    dict.

    Parameters
    ----------
    model : brainstate.nn.Module
        What is run.
    monitors : None, str, list, callable, Monitor or dict
        As in `Simulator.run`.
    fresh : bool
        Whether this run begins at the initial time.
    """

    def __init__(self, model: brainstate.nn.Module, monitors: Any, fresh: bool):
        self.model, self.fresh = model, fresh
        named = _named(monitors)
        for name in named:
            if name in RESERVED:
                raise ArgumentError(
                    "Simulator.run.monitors", f"must not be named {name!r}", repr(name), "Rename it"
                )
        self.streams = streams(named)
        self.readers = {
            name: _reader(model, spec) for name, spec in named.items() if name not in self.streams
        }
        self.sources = [_reader(model, m.source, f"{type(m).__name__}.source") for m in self.streams.values()]
        self.takes_output = monitors is None

    @property
    def monitors(self) -> list:
        """The monitors that follow the run."""
        return list(self.streams.values())

    def measure(self, output: Any) -> tuple:
        """Return what is recorded after a step, and what monitors watch."""
        recorded = (
            {"output": output} if self.takes_output else {n: r(self.model) for n, r in self.readers.items()}
        )
        recorded = {name: self._recordable(name, value) for name, value in recorded.items()}
        return recorded, [source(self.model) for source in self.sources]

    def _recordable(self, name, value):
        """Return arrays of what a monitor returned."""
        where = f"Simulator.run.monitors[{name!r}]"
        if value is None and not self.takes_output:
            raise ArgumentError(where, "must return what is recorded", "None", "Add a return")
        try:
            return jax.tree.map(jnp.asarray, value)
        except TypeError:
            cure = "Return arrays, or a dict of them"
            raise ArgumentError(where, "must return numbers", repr(value), cure) from None

    def memory(self, first: Any, dt: u.Quantity, clock: Clock) -> list:
        """Return the memory of the monitors, new or as the last run left it."""
        found = []
        for name, source in zip(self.streams, self.sources, strict=True):
            monitor = self.streams[name]
            kept = None if self.fresh else getattr(monitor, "memory", None)
            if kept is not None and (kept.run != clock.run or kept.step != concrete(first)):
                raise ArgumentError(
                    f"Simulator.run.monitors[{name!r}]",
                    "must follow every run from its first on",
                    f"one that has not seen all of the {first} steps before"
                    if kept.run == clock.run
                    else "one that has followed another run",
                    "Pass it to every part, or begin with a new monitor",
                )
            if kept is None and _within_a_window(monitor, first, dt):
                raise ArgumentError(
                    f"Simulator.run.monitors[{name!r}]",
                    f"must not begin within a window of {monitor.period}",
                    f"a new one at step {first}",
                    "Pass the monitor that has followed the run so far",
                )
            if kept is None:
                looks = jax.eval_shape(lambda source=source: jax.tree.map(jnp.asarray, source(self.model)))
                if not jax.tree.leaves(looks):
                    raise ArgumentError(f"{type(monitor).__name__}.source", "must return an array", "None")
                kept = Memory(jax.tree.map(jnp.asarray, monitor.init(looks, dt)), first, clock.run)
            found.append(kept.state)
        return found

    def remember(self, memory: list, step: Any, clock: Clock) -> None:
        """Keep the memory of the monitors, at this step, for a run that continues."""
        for monitor, state in zip(self.streams.values(), memory, strict=True):
            monitor.memory = Memory(state, step, clock.run)

    def choose(self, first: Any, n_steps: int, skipped: int, every: int, spans: Any) -> Chosen:
        """Choose the steps that are recorded, none without readers: multiples of ``every`` on the clock of
        the model."""
        if not self.readers and not self.takes_output:
            return Chosen(np.arange(0))
        cure = "Is the unit of dt or of the duration right? Else run piece by piece with init_states=False"
        check_memory("Simulator.run.duration", {f"numbers of {n_steps} steps": 8 * n_steps}, cure)
        if every == 1 and skipped == 0:
            return Chosen(np.arange(1, n_steps + 1))
        if is_traced(first):
            raise ArgumentError(
                "Simulator.run.sample_every", "needs a clock whose time is known", "a traced clock",
                "Continue a run outside of jax.jit, or record every step",
            )  # fmt: skip
        begin = skipped + 1
        steps = np.arange(begin + -(int(first) + begin) % every, n_steps + 1, every)
        starts = np.cumsum([0, *spans.sizes])
        bounds = np.searchsorted(steps, starts, side="right")
        parts = [steps[a:b] - start - 1 for a, b, start in zip(bounds, bounds[1:], starts, strict=False)]
        main, last = parts[: spans.count], parts[spans.count :]
        width = max((len(p) for p in main), default=0)
        padded = np.zeros((len(main), width), np.int32)
        valid = np.zeros((len(main), width), bool)
        for row, part in enumerate(main):
            padded[row, : len(part)], valid[row, : len(part)] = part, True
        rest = last[0].astype(np.int32) if last else None
        return Chosen(steps, (padded, rest), valid)

    def result(
        self, outcome: Any, chosen: Chosen, first: Any, sizes: Sequence[int], dt: u.Quantity, status: Any
    ):
        """Return what was recorded by name, with the times; ``sizes`` are the steps of every span."""
        values = _merged([jax.tree.map(_flat, part) for part in outcome.recorded])
        if chosen.valid is not None and not chosen.valid.all():
            n_rows = jax.tree.leaves(values)[0].shape[0] if values else chosen.valid.size
            rest = np.arange(chosen.valid.size, n_rows)
            rows = np.concatenate([np.flatnonzero(chosen.valid.ravel()), rest])
            values = jax.tree.map(lambda leaf: leaf[rows], values)
        times = {}
        for n, (name, monitor) in enumerate(self.streams.items()):
            ends = first + np.cumsum([0, *sizes])
            if monitor.period is None:
                times[name], values[name] = ends[-1] * (1.0 * dt), monitor.sample(monitor.memory.state)
                continue
            if is_traced(first):
                raise ArgumentError(
                    f"Simulator.run.monitors[{name!r}]", "needs a clock whose time is known to emit",
                    "a traced clock", "Continue a run outside of jax.jit, or use a monitor without a period",
                )  # fmt: skip
            times[name] = emission_steps(monitor, first, int(ends[-1]), dt) * (1.0 * dt)
            samples = [part[n][0] for part in outcome.samples]
            values[name] = _samples(monitor, samples, np.diff(monitor.schedule(dt).count(ends)))
        return Trajectory(values, (first + chosen.steps) * dt, status, times)


def _samples(monitor, parts, counts):
    """Return what a monitor emitted: ``parts`` hold, by kind of span, samples ``(span, slot, ...)``, of
    which the first ``counts`` of every span count."""
    parts = [part for part in parts if part is not None]
    if not parts or not counts.sum():
        return jax.tree.map(lambda leaf: leaf[None][:0], monitor.sample(monitor.memory.state))
    shapes = [jax.tree.leaves(part)[0].shape for part in parts]
    slots = np.concatenate([np.full(n_spans, n_slots) for n_spans, n_slots, *_ in shapes])
    is_sample = [np.arange(n) < count for n, count in zip(slots, counts, strict=True)]
    rows = np.flatnonzero(np.concatenate(is_sample))
    return jax.tree.map(lambda leaf: leaf[rows], _merged([jax.tree.map(_flat, part) for part in parts]))


def _within_a_window(monitor, first, dt):
    """Tell whether a step lies between two emissions."""
    if monitor.period is None or is_traced(first) or not first:
        return False
    plan = monitor.schedule(dt)
    return int(plan.step(plan.count(first))) != int(first)


def _flat(leaf):
    """Merge the axes of spans and of what a span kept."""
    return leaf.reshape(-1, *leaf.shape[2:])


def _merged(parts):
    return jax.tree.map(lambda *p: jnp.concatenate(p) if len(p) > 1 else p[0], *parts)


def streams(monitors: Any) -> dict[str, Monitor]:
    """Return by name those of the ``monitors`` of a run that follow it with a memory of their own."""
    return {name: monitor for name, monitor in _named(monitors).items() if isinstance(monitor, Monitor)}


def _named(monitors):
    """Return monitors by name."""
    if monitors is None:
        return {}
    if isinstance(monitors, Mapping):
        return dict(monitors)
    if isinstance(monitors, str):
        return {monitors: monitors}
    if isinstance(monitors, list | tuple):
        found = {}
        for spec in monitors:
            if not isinstance(spec, str):
                raise ArgumentError(
                    "Simulator.run.monitors",
                    "must be a dict for anything but names",
                    repr(spec),
                    "Write {name: monitor}",
                )
            found[spec] = spec
        return found
    if callable(monitors):
        return {"output": monitors}
    raise ArgumentError(
        "Simulator.run.monitors", "must be names, a function, a Monitor or a dict", repr(monitors)
    )


def _reader(model, spec, where: str = "Simulator.run.monitors") -> Callable:
    """Return a function of the model that reads what is recorded."""
    if not isinstance(spec, str):
        if not callable(spec):
            raise ArgumentError(where, "must hold names, functions or monitors", repr(spec))
        if inspect.isclass(spec) and issubclass(spec, Monitor):
            cure = f"Write {spec.__name__}('x', ...) with the name of a state"
            raise ArgumentError(where, "must hold monitors, not their class", spec, cure)
        return spec
    found = _signals(model, spec, where)
    if len(found) == 1:
        signal = next(iter(found.values()))
        return lambda _: signal()
    index = np.concatenate([model.regions[name] for name in found])
    order = np.argsort(index)
    return lambda _: u.math.concatenate([signal() for signal in found.values()], axis=-1)[..., order]


def _signals(model, name, where: str) -> dict:
    """Return the signals of a name by population."""
    nodes = model.populations if isinstance(model, Network) else {"": model}
    population, _, item = name.rpartition(".")
    if population:
        if population not in nodes:
            raise ArgumentError(where, f"must name a population of {', '.join(nodes)}", repr(name))
        nodes = {population: nodes[population]}
    if isinstance(vars(model).get(item), brainstate.State):
        state = vars(model)[item]
        return {"": lambda: getattr(model, item).value} if state is not None else {}
    owners = {key: node for key, node in nodes.items() if item in _known(node)}
    if not owners:
        known = sorted({n for node in nodes.values() for n in _known(node)})
        raise ArgumentError(where, f"must name states, of {known}", repr(name))
    if len(owners) > 1 and not (isinstance(model, Network) and set(owners) <= set(model.regions)):
        options = ", ".join(f"{key}.{item}" for key in owners)
        raise ArgumentError(where, "must name a population", repr(name), f"Use one of {options}")
    return {key: Signal(where, node, item) for key, node in owners.items()}


def _known(node):
    """List the states and signals of a node."""
    states = [name for name, value in vars(node).items() if isinstance(value, brainstate.State)]
    return [*states, *getattr(node, "SIGNALS", ())]
