"""Say where a user's function looks at a number that is known only when the compiled program runs."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

from .checks import ArgumentError

TOO_EARLY = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
LIBRARY = str(Path(__file__).parents[1])


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Raise an `ArgumentError` with the user's line where a trace needs a number too early."""
    try:
        yield
    except TOO_EARLY as error:
        cure = "Write jnp.where for if, jnp for np, jnp.asarray(table)[i] for table[i], and no float()"
        rule = "calls functions with numbers that are known only while it runs"
        raise ArgumentError(where, rule, _place(error), cure) from error


def _place(error: Exception) -> str:
    """Return the last line that is neither of this library nor of an installed one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(LIBRARY)]
    frame = (own or frames)[-1]
    return f"{frame.line or 'a line'!r}, {Path(frame.filename).name}:{frame.lineno}"
