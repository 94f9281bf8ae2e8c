"""Tell who lets many connections become shorter than a step."""

import warnings

import brainunit as u
from brainstate.nn import Module

from ..delays.delay import count_below
from ..delays.read import DelayedRead

SHARE = 0.02  # of the connections; fewer cost little


def warn_of_short_delays(model: Module, dt: u.Quantity) -> None:
    """Say how many connections may be shorter than a step, where bounds of trainable delays let many be."""
    step = float(dt.to_decimal(u.ms))
    for read in model.nodes(DelayedRead).values():
        n_short, n_all = count_below(read.delay, read.edges, step), int(read.edges.active.sum())
        if n_short > SHARE * n_all:
            warnings.warn(
                f"Simulator.run: {n_short} of {n_all} connections may be shorter than a step of {step:g} ms "
                f"within the bounds of {read.delay.where}: they are read one by one, which makes runs and "
                "gradients slower, and a step extrapolates what they carry. Lower dt, or bound the delays "
                "from below: a lower upper bound of the speed, or min_delay=.",
                stacklevel=5,
            )
