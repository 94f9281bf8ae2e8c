"""Whether the result of a run can be used."""

import warnings
from typing import Any

from brainstate.nn import Module

from .._core.status import DELAY_ABOVE_BOUND, NOT_FINITE, RunError, concrete, describe, flag, is_traced
from ..delays.past import Past
from ..delays.read import DelayedRead


def status_of(model: Module, outcome: Any) -> Any:
    """Collect the flags of a run: delays outside their bounds, and values that are not finite."""
    status = flag(~outcome.is_finite, NOT_FINITE)
    for past in model.nodes(Past).values():
        status = status | flag(past.n_outside.value > 0, DELAY_ABOVE_BOUND)
    return status


def raise_if_failed(model: Module, status: Any) -> None:
    """Raise what went wrong if it can be seen, with what helps."""
    value = concrete(status)
    if value is None or not int(value):
        return
    details = []
    if int(value) & DELAY_ABOVE_BOUND and not is_traced(status):
        reads = model.nodes(DelayedRead).values()
        details = [text for text in (read.explain() for read in reads) if text]
    if not details:
        shows = "under jax.disable_jit() and jax.debug_nans(True) the run stops at the line"
        details = [f"Lower dt, or check parameters and inputs; {shows}."]
    raise RunError(f"Simulator.run: {describe(int(value))}. " + " ".join(details))


def warn_if_still(outcome: Any) -> None:
    """Say so where nothing moved."""
    still = concrete(outcome.is_still)
    if still is not None and bool(still):
        warnings.warn(
            "Simulator.run: nothing moved: every state and every recorded number stayed exactly what it was "
            "at the start. The model rests at a fixed point, perhaps an unstable one: give it another start "
            "by init_x= (the name of the state), another history by delay_init=, inputs, or noise.",
            stacklevel=5,
        )
