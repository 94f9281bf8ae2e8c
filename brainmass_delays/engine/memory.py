"""What a run takes, known from shapes before anything of it is allocated."""

import math
from typing import Any

import jax

from .._core.memory import check_memory
from .layout import Layout
from .program import Spans
from .span import Carry

# Copies while a run goes on, measured: the past by the side of the buffers, and a record while it is put
# together.
OF_PAST, OF_RECORD = 2, 2


def size_of(tree: Any) -> int:
    """Return the bytes of all arrays, or shapes of arrays, in a tree."""
    return sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
        if hasattr(leaf, "shape")
    )


def check_run(
    layout: Layout, spans: Spans, carry: Carry, tracks: tuple, row: Any, n_rows: int, keeps: str | None
) -> None:
    """Refuse a run that needs more memory than is free.

    Parameters
    ----------
    layout : Layout
        What is read.
    spans : Spans
        How the run is divided.
    carry : Carry
        The states that a step writes.
    tracks : tuple of arrays
        The past of all signals.
    row : pytree
        What is recorded after one step, or its shapes.
    n_rows : int
        How many steps are recorded.
    keeps : {None, 'spans', 'steps'}
        What a reverse pass needs: nothing, the state at the end of every span and all steps of one, or
        everything that each step reads.

    Raises
    ------
    ArgumentError
        With how much is needed for what, and the likely cause.
    """
    past, state = size_of(tracks), size_of(carry)
    n_steps = sum(spans.sizes)
    edges = sum(int(t.edges.active.sum()) * len(t.offsets) for t in layout.tables)
    itemsize = max((leaf.dtype.itemsize for leaf in jax.tree.leaves(tracks)), default=4)
    gradient = {
        None: 0,
        "spans": len(spans.sizes) * (past + state) + spans.size * state,
        "steps": n_steps * (state + edges * itemsize),
    }[keeps]
    parts = {"buffer": OF_PAST * past, "record": OF_RECORD * n_rows * size_of(row), "gradient": gradient}
    cures = {
        "buffer": "Is the unit of the speed or of the delays right? Else lower max_delay, or raise dt",
        "record": "Record less by sample_every=, transient= or a Monitor, or run piece by piece with "
        "init_states=False",
        "gradient": "Run a shorter time, or cut gradients by grad_horizon="
        if keeps == "spans"
        else "Use checkpoint=True, which recomputes instead",
    }
    largest = max(parts, key=parts.get)
    cure = f"{n_steps} steps are asked for. {cures[largest]}"
    check_memory("Simulator.run.duration", parts, cure, on_device=True)
