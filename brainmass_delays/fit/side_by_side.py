"""Several starts of a gradient fit in one program: lanes of a vmap, shared among devices."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from .._core.memory import SMALL, free_memory
from .._core.status import RunError
from ..engine.programs import PROGRAMS
from .journal import Journal
from .problem import Evaluation, Problem, ZeroGradient
from .steps import Pace, Plan, evaluation, loop, n_best, plan, record, stand, strong

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
        n_devices = jax.local_device_count()
        size = n_devices * -(-len(journals) // n_devices)
        kept = [found for journal in journals if (found := journal.keeper.found()) is not None]
        size = int(kept[0].get("engine/lanes", size)) if kept else size  # other lanes have other last bits
        while size > 1:
            steps = plan(problem, journals[0].target, journals[0].key, size)
            try:
                program, need = PROGRAMS.get(
                    ("lanes", *steps.key, size, n_devices), partial(_compiled, steps, journals[0], size)
                )
            except (NotImplementedError, ValueError):  # of a callback that takes one call at a time
                return None
            limit = max(SMALL, MEMORY_SHARE * free_memory(jax.local_devices()[0]))
            if need <= limit or kept:
                return cls(journals, problem, steps, size, program)
            size = n_devices * (min(size // 2, int(size * limit / need)) // n_devices)
        return None

    def place(self, i: int) -> None:
        """Let a lane begin where the model stands."""
        group, slot = divmod(i, self.size)
        now = self._now()[0]
        self.groups[group] = jax.tree.map(lambda all_, one: all_.at[slot].set(one), self.groups[group], now)

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
                    stand(self.problem, found, 0)
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


def _compiled(steps: Plan, journal: Journal, size: int) -> tuple[Callable, float]:
    """Return the program of some lanes, shared among the devices, and the bytes that one device needs."""
    lanes = jax.vmap(partial(loop, steps), (0, None, None, None, None, 0, 0))
    devices = jax.local_devices()
    if len(devices) > 1:
        split, same = PartitionSpec("start"), PartitionSpec()
        lanes = jax.shard_map(
            lanes, mesh=Mesh(np.array(devices), ("start",)), out_specs=split, check_vma=False,
            in_specs=(split, same, same, same, same, split, split),
        )  # fmt: skip
    program = jax.jit(lanes)
    changing, fixed = steps.apart([state.value for state in steps.traced.states])
    counts, bests = np.ones(size, int), np.full(size, np.inf)
    given = _stacked([changing] * size), fixed, steps.traced.consts, journal.target, journal.key
    found = program.lower(*given, counts, bests).compile().memory_analysis()
    return program, 0.0 if found is None else found.temp_size_in_bytes + found.output_size_in_bytes


def _stacked(lanes: list) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack([strong(leaf) for leaf in leaves]), *lanes)


def _lane(values: Any, slot: int) -> Any:
    return jax.tree.map(lambda x: x[slot], values)
