"""The clock of a model: how many steps it has made, and of which size."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .._core.status import concrete, is_traced

NAME = "run_clock"


class Clock(brainstate.nn.Module):
    """Count the steps of a model since its initial time; it is one of its states."""

    def __init__(self):
        super().__init__()
        self.i, self.dt, self.run, self.batch = None, None, "", None

    def start(self, dt: u.Quantity, batch: int | None = None) -> None:
        """Begin at the initial time."""
        self.batch = batch
        self.i, self.dt = brainstate.ShortTermState(jnp.int32(0)), dt
        self.run = uuid.uuid4().hex  # which run it is, also in a copy

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Be afterwards the clock of the run that it is the clock of now."""
        before = self.dt, self.run, self.batch
        try:
            yield
        finally:
            self.dt, self.run, self.batch = before

    def check(self, dt: u.Quantity, batch_size: Any) -> None:
        """Refuse to continue what was never begun, or with another step."""
        where = "Simulator.run"
        if self.i is None:
            raise ArgumentError(
                f"{where}.init_states", "must be True for the first run of a model", "False", "Leave it out"
            )
        if concrete(self.i.value) is None and not is_traced(jnp.zeros(())):
            raise ArgumentError(
                f"{where}.init_states", "must be True after a run inside of jax.jit, whose states are gone",
                "False", "Run outside of it first",
            )  # fmt: skip
        if batch_size is not None:
            raise ArgumentError(
                f"{where}.batch_size", "belongs to the first run; a continued one keeps its batch", batch_size
            )
        if abs(self.dt.to_decimal(u.ms) / dt.to_decimal(u.ms) - 1) > 1e-9:
            raise ArgumentError(
                "Simulator.dt", "must stay what it was to continue a run, whose past is in steps of it",
                f"{dt} after {self.dt}", "Begin again with init_states=True",
            )  # fmt: skip

    def step(self) -> Any:
        """Return the number of steps made: an int where it is known."""
        value = concrete(self.i.value)
        return self.i.value if value is None else int(value)


def clock_of(model: brainstate.nn.Module) -> Clock:
    """Return the clock of a model, which gets one at its first run."""
    if not isinstance(vars(model).get(NAME), Clock):
        setattr(model, NAME, Clock())
    return vars(model)[NAME]
