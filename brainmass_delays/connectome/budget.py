"""The memory that one load may take: claimed before it is taken, and refused with the number."""

import math

from .._core.checks import ArgumentError, check_number
from .._core.memory import check_memory, spell_bytes

DEFAULT = 2**30  # bytes: about 5,000 regions
OVERHEAD = 1.5  # what reading and checking a matrix takes, relative to the matrix
MOST = 10**6  # regions, whatever the memory: one matrix would take 8 TB
LARGE = 2**26  # bytes above which it is worth asking the system what is free


class Budget:
    """Count what one load takes, and refuse what would take more than is allowed or free.

    A file that claims ``n`` regions needs ``n`` rows of ``n`` numbers. So a bound on memory bounds the
    regions, these bound rows, labels and the length of a line, and all of them bound the time.
    """

    def __init__(self, source: str, max_memory: float | None = None):
        limit = DEFAULT if max_memory is None else max_memory
        self.limit = check_number("Connectome.load.max_memory", limit, above=0)
        self.source, self.taken = source, 0.0

    @property
    def most_regions(self) -> int:
        """Number of regions beyond which not even one matrix would fit."""
        return int(min(math.sqrt(self.limit / (8 * OVERHEAD)), MOST))

    @property
    def left(self) -> float:
        """Bytes that may still be taken."""
        return self.limit - self.taken

    def take(self, what: str, n_bytes: float) -> None:
        """Claim memory before it is allocated."""
        self.taken += n_bytes
        if self.taken > self.limit:
            raise ArgumentError(
                "Connectome.load.max_memory",
                f"must be at least {self.taken:.3g} bytes for {what} of {self.source}",
                f"{self.limit:.3g}",
                "Allow more if this is what you expect of the file",
            )
        if n_bytes > LARGE:
            check_memory("Connectome.load", {what: n_bytes}, "Free memory, or save in float32 as .npz")

    def take_array(self, name: str, shape: tuple[int, ...], itemsize: int = 8) -> None:
        """Claim the memory of an array over regions, and of what it takes to read and check it."""
        size = math.prod(shape) * itemsize
        what = f"{name} between {max(shape, default=1)} regions, {spell_bytes(size)} per matrix,"
        self.take(what, OVERHEAD * size)
