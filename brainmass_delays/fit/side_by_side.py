"""Several starts, or candidates, in one program: lanes of a vmap, shared among devices."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from .._core.keys import is_key
from .._core.memory import SMALL, free_memory
from .._core.parameters import stand
from .._core.status import RunError
from ..engine.programs import PROGRAMS
from ..engine.trace import Traced
from .journal import Journal
from .problem import Evaluation, Problem, ZeroGradient
from .steps import Pace, Plan, evaluation, loop, n_best, plan, record

# Share of the free memory that starts side by side may take.
MEMORY_SHARE = 0.5


class Lanes:
    """Take steps of several starts side by side, and tell the journal of each.

    A start that diverges stands still, with its error in ``failures``. As many starts as fit in the memory
    are one program; more are several calls of it.

    Parameters
    ----------
    journals : list of Journal
        One per start; they share target and random key.
    problem : Problem
        What is made small.
    steps : Plan
        The loop of one start.
    size : int
        Lanes of the program.
    program : callable
        `loop` of so many lanes.
    """

    def __init__(self, journals: list[Journal], problem: Problem, steps: Plan, size: int, program: Callable):
        self.journals, self.problem, self.plan = journals, problem, steps
        self.size, self.program = size, program
        self.failures: list[RunError | ZeroGradient | None] = [None] * len(journals)
        self.pace = Pace(steps.room)
        self.before, self.fixed = self._now()
        self.groups = [_stacked([self.before] * size) for _ in range(-(-len(journals) // size))]

    @classmethod
    def made(cls, journals: list[Journal], problem: Problem) -> "Lanes | None":
        """Compile lanes for some starts; None where two do not fit in the memory, or where what is simulated
        cannot be traced side by side."""
        kept = [found for journal in journals if (found := journal.keeper.found()) is not None]
        fixed = int(kept[0].get("engine/lanes", 0)) if kept else 0  # other lanes have other last bits
        step = problem.step(journals[0].target)
        each = lambda size: (np.ones(size, int), np.full(size, np.inf))  # noqa: E731
        found = _fitting(loop, step, journals[0], problem, each, len(journals), fixed)
        return None if found is None else cls(journals, problem, *found)

    def place(self, i: int) -> None:
        """Let a lane begin where the model stands."""
        group, slot = divmod(i, self.size)
        now = self._now()[0]
        self.groups[group] = jax.tree.map(
            lambda all_, one: jnp.asarray(all_).at[slot].set(one), self.groups[group], now
        )

    def take(self, n_steps: int) -> bool:
        """Take some steps of every start that has taken fewer than ``n_steps``; tell if there was one."""
        left = [
            0 if failure else n_steps - len(journal.history)
            for journal, failure in zip(self.journals, self.failures, strict=True)
        ]
        running = [journal for journal, n in zip(self.journals, left, strict=True) if n > 0]
        if not running:
            return False
        at_once = min(journal.steps_until_kept(self.pace.at_once) for journal in running)
        start = time.perf_counter()
        for group in range(len(self.groups)):
            counts = np.clip(self._of(left, group, 0), 0, at_once)
            if counts.any():
                self._take(group, counts)
        self.pace.saw(time.perf_counter() - start)
        return True

    def look(self, i: int) -> Evaluation:
        """Evaluate the loss where the model stands, in the lane of a start."""
        same = _stacked([self._now()[0]] * self.size)
        _, prediction, kept = self._run(same, np.ones(self.size, int), np.full(self.size, np.inf))
        slot = i % self.size
        return evaluation(0, _lane(jax.tree.map(np.asarray, kept), slot), _lane(prediction, slot))

    def keep(self, arrays: Callable[[], dict], *, now: bool = False) -> None:
        """Write the journals for which it is time, with what ``arrays`` says of the states that they need."""
        if self.journals[0].keeper.checkpoint is None:
            return
        due = [
            i
            for i, journal in enumerate(self.journals)
            if self.failures[i] is None and (now or journal.keeper.is_due(len(journal.history)))
        ]
        for i in due:
            self._put(_lane(self.groups[i // self.size], i % self.size))
            whole = lambda: arrays() | {"lanes": np.array(self.size)}  # noqa: E731
            self.journals[i].keep(whole, now=True, write=i == due[-1])

    def finish(self) -> None:
        """Look at the parameters after the last update too, then restore the best ones of each start."""
        self._put(self.before)
        for group, begun in enumerate(self.groups):
            _, predictions, kept = self._run(begun, np.ones(self.size, int), np.full(self.size, np.inf))
            kept = jax.tree.map(np.asarray, kept)
            for slot, journal in enumerate(self.journals[group * self.size : (group + 1) * self.size]):
                if self.failures[group * self.size + slot] is None:
                    found, prediction = _lane(kept, slot), _lane(predictions, slot)
                    stand(self.problem.parameters, _lane(found[0], 0))
                    journal.finish(partial(evaluation, 0, found, prediction))

    def _take(self, group: int, counts: np.ndarray) -> None:
        """Take steps of one group, and tell."""
        begun = self.groups[group]
        bests = np.array(self._of([journal.best_loss for journal in self.journals], group, np.inf))
        self.groups[group], predictions, kept = self._run(begun, counts, bests)
        kept = jax.tree.map(np.asarray, kept)
        for slot in np.flatnonzero(counts):
            i = group * self.size + slot
            journal, told = self.journals[i], _lane(kept, slot)
            for k in range(counts[slot]):
                try:
                    record(journal, self.problem, k, told, None)
                except (RunError, ZeroGradient) as error:
                    self.failures[i] = error
                    break
                except BaseException:
                    if journal.best_loss < bests[slot]:
                        only = np.where(np.arange(self.size) == slot, n_best(journal, told), 0)
                        journal.best_prediction = _lane(self._run(begun, only, bests)[1], slot)
                    raise
            if journal.best_loss < bests[slot]:
                journal.best_prediction = _lane(predictions, slot)

    def _run(self, begun, counts, bests):
        traced, journal = self.plan.traced, self.journals[0]
        return self.program(begun, self.fixed, traced.consts, journal.target, journal.key, counts, bests)

    def _of(self, values: list, group: int, filling: Any) -> list:
        """Return the values of the lanes of a group, with a filling where no start is."""
        mine = values[group * self.size : (group + 1) * self.size]
        return mine + [filling] * (self.size - len(mine))

    def _now(self) -> tuple[list, list]:
        """Return what the states that change hold in the model, and the others."""
        return self.plan.apart([state.value for state in self.plan.traced.states])

    def _put(self, changing: list) -> None:
        self.plan.traced.put(self.plan.joined(changing, self.fixed))


class Generation:
    """Evaluate a loss without its gradient at several places, side by side."""

    def __init__(self, problem: Problem, journal: Journal, steps: Plan, size: int, program: Callable):
        self.problem, self.journal, self.plan = problem, journal, steps
        self.size, self.program = size, program

    @classmethod
    def made(cls, journal: Journal, problem: Problem, n: int) -> "Generation | None":
        """Compile lanes for ``n`` places; None as for `Lanes`."""
        value = problem.value(journal.target)
        found = _fitting(_value, value, journal, problem, lambda size: (), n, 0)
        return None if found is None else cls(problem, journal, *found)

    def evaluate(self, places: list[list]) -> "Found":
        """Evaluate where the parameters have some unconstrained values."""
        traced, begun = self.plan.traced, []
        now, fixed = self.plan.apart([state.value for state in traced.states])
        moved = [self.plan.changing.index(i) for i in self.plan.moved]
        for values in places:
            begun.append(list(now))
            for i, value in zip(moved, values, strict=True):
                begun[-1][i] = value
        parts = []
        for first in range(0, len(places), self.size):
            lanes = begun[first : first + self.size]
            lanes += lanes[-1:] * (self.size - len(lanes))
            given = fixed, traced.consts, self.journal.target, self.journal.key
            parts.append(self.program(_stacked(lanes), *given))
        return Found(parts, [jax.tree.map(np.asarray, (loss, *rest)) for loss, _, *rest in parts], self.size)


class Found(NamedTuple):
    """Hold what was found at several places: of each part, its predictions and the rest."""

    parts: list[tuple]
    told: list[tuple]
    size: int

    def at(self, i: int) -> Evaluation:
        """Return what was found at the place of an index."""
        part, slot = divmod(i, self.size)
        loss, status, scalars, terms = _lane(self.told[part], slot)
        return Evaluation(float(loss), None, int(status), scalars, terms)

    def with_prediction(self, i: int) -> Evaluation:
        """Return the same with the prediction, which takes time to fetch."""
        part, slot = divmod(i, self.size)
        return replace(self.at(i), prediction=_lane(self.parts[part][1], slot))

    def tell(self, journal: Journal, i: int) -> float:
        """Make the place of an index, where the parameters stand, an entry of a journal; return its loss."""
        one = self.at(i)
        is_better = one.loss < journal.best_loss
        return journal.record(
            journal.consider(self.with_prediction(i) if is_better else one), gradient=False
        ).loss


def _value(steps: Plan, changing, fixed, consts, target, key):
    """Return the loss and what else is found, without what the states become."""
    values = steps.joined(changing, fixed)
    if steps.source is not None:
        values[steps.source] = key
    return steps.traced.call(values, consts, target)[1]


def _fitting(
    one: Callable, traced: Traced, journal: Journal, problem: Problem, each: Callable, n: int, fixed: int
) -> tuple[Plan, int, Callable] | None:
    """Compile as many lanes of a function as fit in the memory, at most ``n``, or as many as are ``fixed``;
    None where two do not fit, or where what is simulated cannot be traced side by side."""
    n_devices = jax.local_device_count()
    size = fixed or n_devices * -(-n // n_devices)
    while size > 1:
        steps = plan(problem, traced, journal.key, size)
        make = partial(_compiled, partial(one, steps), steps, journal, size, each(size))
        try:
            program, need = PROGRAMS.get((one.__name__, *steps.key, size, n_devices), make)
        except (NotImplementedError, ValueError):  # of a callback that takes one call at a time
            return None
        limit = max(SMALL, MEMORY_SHARE * free_memory(jax.local_devices()[0]))
        if need <= limit or fixed:
            return steps, size, program
        size = n_devices * (min(size // 2, int(size * limit / need)) // n_devices)
    return None


def _compiled(one: Callable, steps: Plan, journal: Journal, size: int, each: tuple) -> tuple[Callable, float]:
    """Return the program of some lanes, shared among the devices, and the bytes that one device needs."""
    lanes = jax.vmap(one, (0, None, None, None, None, *(0 for _ in each)))
    devices = jax.local_devices()
    if len(devices) > 1:
        split, same = PartitionSpec("start"), PartitionSpec()
        lanes = jax.shard_map(
            lanes, mesh=Mesh(np.array(devices), ("start",)), out_specs=split, check_vma=False,
            in_specs=(split, same, same, same, same, *(split for _ in each)),
        )  # fmt: skip
    program = jax.jit(lanes)
    changing, fixed = steps.apart([state.value for state in steps.traced.states])
    given = _stacked([changing] * size), fixed, steps.traced.consts, journal.target, journal.key
    found = program.lower(*given, *each).compile().memory_analysis()
    return program, 0.0 if found is None else found.temp_size_in_bytes + found.output_size_in_bytes


def _stacked(lanes: list) -> Any:
    """Stack the values of lanes, on the host, where a value costs little."""

    def stack(*leaves):
        if any(map(is_key, leaves[:1])):
            return jnp.stack(leaves)
        if all(leaf is leaves[0] for leaf in leaves):
            one = np.asarray(leaves[0], jnp.result_type(leaves[0]))
            return np.broadcast_to(one, (len(leaves), *one.shape))
        return np.stack([np.asarray(leaf) for leaf in leaves]).astype(jnp.result_type(leaves[0]), copy=False)

    return jax.tree.map(stack, *lanes)


def _lane(values: Any, slot: int) -> Any:
    return jax.tree.map(lambda x: x[slot], values)
