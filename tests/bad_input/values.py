"""Values that most arguments must refuse, by kind, and what became of a call with one."""

import signal
import warnings
from contextlib import contextmanager
from typing import NamedTuple

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from brainmass_delays import ArgumentError, RunError

SECONDS = 10


class Traced:
    """Stand for a number whose value is not known, inside ``jax.jit``."""

    def __repr__(self):
        return "a traced number"


KINDS = {
    "type": object(),
    "mapping": {"a": 1},
    "function": lambda *_: None,
    "none": None,
    "shape": np.ones((2, 3, 5)),
    "unit": 2.0 * u.kelvin,
    "nan": np.nan,
    "inf": np.inf,
    "zero": 0.0,
    "negative": -1.5,
    "half": 2.5,
    "huge": 10**30,
    "empty": [],
    "one": [1.0],
    "bool": True,
    "string": "wrong",
    "bytes": b"wrong",
    "complex": 1.0 + 2.0j,
    "objects": np.array([object(), None], dtype=object),
    "traced": Traced(),
}


class Outcome(NamedTuple):
    """Say how a call ended: ``'clear'``, ``'accepted'``, or one of the unclear ways, and what was said."""

    kind: str
    said: str

    @property
    def is_unclear(self) -> bool:
        """Tell whether a user would be left alone with it."""
        return self.kind not in ("clear", "accepted")


class _TooSlow(BaseException):
    """Leave a call that takes too long."""


@contextmanager
def _limit(seconds):
    """Raise in the block when its time is over: that of the processor, or far longer by the clock, for calls that wait."""

    def stop(*_):
        raise _TooSlow

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, seconds),
        signal.SIGALRM: (signal.ITIMER_REAL, 60 * seconds),
    }
    before = {sign: signal.signal(sign, stop) for sign in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for sign, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(sign, before[sign])


def try_out(call, value, name) -> Outcome:
    """Call with a value, and judge what comes of it by the eyes of a user who mistook one argument."""
    try:
        with _limit(SECONDS), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            returned = _traced(call) if isinstance(value, Traced) else call(value)
    except _TooSlow:
        return Outcome("slow", f"more than {SECONDS} s")
    except ArgumentError as error:
        said = str(error)
        names_all = name in said and "; got " in said
        return Outcome("clear" if names_all else "vague", said)
    except RunError as error:
        return Outcome("clear", str(error))
    except Exception as error:
        return Outcome("foreign", f"{type(error).__name__}: {error}"[:300])
    finally:
        plt.close("all")
    if _has_nan(returned) and not any(issubclass(w.category, UserWarning) for w in caught):
        return Outcome("nan", repr(returned)[:200])
    return Outcome("accepted", repr(returned)[:200])


def _traced(call):
    """Call with a traced number, and keep what is returned from leaving the trace."""

    def inside(value):
        call(value)
        return value

    return brainstate.transform.jit(inside)(jnp.float64(1.0))


def _has_nan(returned) -> bool:
    """Tell whether numbers that were returned hold a NaN, flags beside them allowed."""
    if hasattr(returned, "status"):
        return False
    leaves = jax.tree.leaves(returned)
    return any(
        np.any(np.isnan(leaf))
        for leaf in leaves
        if isinstance(leaf, float | np.ndarray | jax.Array | np.generic)
        and np.asarray(leaf).dtype.kind in "fc"
    )
