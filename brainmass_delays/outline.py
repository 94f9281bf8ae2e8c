"""What a network is, on one screen."""

from collections.abc import Iterable
from typing import Any

import brainunit as u
import numpy as np

from ._core.parameters import find_parameters
from ._core.status import is_traced

MOST_LINES = 5  # per part: three parts with their titles fit a screen


def outline(network: Any) -> str:
    """Return the populations, projections and trainable parameters of a network, at most 5 of each."""
    parts = {
        "populations": [(name, _population(node)) for name, node in network.populations.items()],
        "projections": [(name, _projection(p)) for name, p in network.projections.items()],
        "trained": [(name, written(p.value())) for name, p in find_parameters(network).items()],
    }
    lines = [f"Network, {network.n_nodes} nodes, couplings at stages: {network.stages}"]
    for title, rows in parts.items():
        lines += [f"  {title}"] if rows else []
        lines += ["    " + line for line in columns(rows)]
    return "\n".join(lines)


def written(value: Any) -> str:
    """Return a number with its unit, or shape and range of many, for a reader."""
    unit, numbers = u.get_unit(value), u.get_magnitude(value)
    unit = "" if unit.is_unitless else f" {unit}"
    if is_traced(value):
        return f"traced {np.shape(numbers)}{unit}"
    numbers = np.asarray(numbers)
    if numbers.size == 1:
        return f"{numbers.item():.6g}{unit}"
    shape = " x ".join(map(str, numbers.shape))
    if not numbers.size or not np.issubdtype(numbers.dtype, np.number):
        return f"{shape} values{unit}"
    return f"{shape} values, {numbers.min():.6g} to {numbers.max():.6g}{unit}"


def _population(node):
    shape = " x ".join(map(str, getattr(node, "varshape", ())))
    noises = [
        f"{name} {type(part).__name__}"
        for name, part in vars(node).items()
        if name.startswith("noise_") and part is not None
    ]
    return f"{type(node).__name__}, {shape} nodes" + "".join(f", {noise}" for noise in noises)


def _projection(pathway):
    source, target = (".".join(map(_name, end)) for end in (pathway.source, pathway.target))
    strength = getattr(pathway.coupling, "k", None)
    k = "" if strength is None else f", k {written(strength.value())}"
    reads = type(pathway.coupling).__name__
    return (
        f"{source} -> {target}, {reads}{k}, {type(pathway.delay).__name__} up to {written(pathway.max_delay)}"
    )


def _name(part):
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


def columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return names and texts in two columns, at most 5 of them."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows[:MOST_LINES]), default=0)
    lines = [f"{name:<{width}}  {text}" for name, text in rows[:MOST_LINES]]
    return lines + [f"... {len(rows) - MOST_LINES} more"] * (len(rows) > MOST_LINES)
