"""When a monitor emits: at whole multiples of its period, each rounded to the nearest step, in integers.

A period of ``num / den`` steps is kept as a fraction, so that an hour of steps of 0.1 ms neither drifts nor
depends on the precision of floating point numbers. Every function takes step numbers that may be traced.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import brainunit as u

from .._core.checks import ArgumentError
from .._core.units import magnitude

LARGEST = 2**31 - 1  # int32, in which steps are counted under a trace


@dataclass(frozen=True)
class Schedule:
    """Emit every ``num / den`` steps; the m-th emission (from 1) falls on step ``round(m num / den)``."""

    num: int
    den: int

    def count(self, i: Any) -> Any:
        """Return how many emissions there are up to and including step ``i``."""
        whole, rest = i // self.num, i % self.num  # so that products stay inside int32
        return whole * self.den + ((2 * rest + 1) * self.den - 1) // (2 * self.num)

    def step(self, m: Any) -> Any:
        """Return the step of the m-th emission."""
        whole, rest = m // self.den, m % self.den
        return whole * self.num + (2 * rest * self.num + self.den) // (2 * self.den)

    def slots(self, n_steps: int) -> int:
        """Return the most emissions that any ``n_steps`` steps in a row can hold."""
        return -(-n_steps * self.den // self.num)


@dataclass(frozen=True)
class Never:
    """Emit at no step: the result is what stands at the end of the run."""

    def count(self, i: Any) -> Any:
        """Return 0."""
        return 0 * i

    def slots(self, n_steps: int) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True)
class Nested:
    """Emit at the ``outer`` schedule of the emissions of the ``inner`` one."""

    inner: Schedule
    outer: Any

    def count(self, i: Any) -> Any:
        """Return how many emissions there are up to and including step ``i``."""
        return self.outer.count(self.inner.count(i))

    def step(self, m: Any) -> Any:
        """Return the step of the m-th emission."""
        return self.inner.step(self.outer.step(m))

    def slots(self, n_steps: int) -> int:
        """Return the most emissions that any ``n_steps`` steps in a row can hold."""
        return self.outer.slots(self.inner.slots(n_steps))


EVERY_STEP = Schedule(1, 1)
NEVER = Never()


def schedule(where: str, period: Any, dt: u.Quantity) -> Schedule | Never:
    """Return the schedule of a period: 0 is every step, None never."""
    if period is None:
        return NEVER
    ratio = float(magnitude(where, period, u.ms, plain=False)) / float(dt.to_decimal(u.ms))
    if ratio == 0:
        return EVERY_STEP
    if ratio < 1 - 1e-9:
        raise ArgumentError(
            where, f"must be at least the interval of what comes in, {dt}", period, f"Use {dt} or more"
        )
    # The largest denominator for which no product above leaves int32.
    denominator = max(1, math.isqrt(int(LARGEST / (4 * ratio))))
    fraction = Fraction(ratio).limit_denominator(denominator)
    return Schedule(fraction.numerator, fraction.denominator)
