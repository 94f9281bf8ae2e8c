"""The arguments of a network, checked and by name."""

from collections.abc import Mapping

import brainstate
import numpy as np

from .._core.checks import MOST, ArgumentError, check_choice
from .projection import Projection


def block(block):
    if block is None or (isinstance(block, str) and block == "auto"):
        return None
    if isinstance(block, bool) or not isinstance(block, int | np.integer) or not 1 <= block <= MOST:
        raise ArgumentError("Network.block", "must be 'auto' or a whole number of at least 1", repr(block))
    return int(block)


def populations(given):
    """Return the populations by name."""
    named = given if isinstance(given, Mapping) else {"node": given}
    if not named:
        raise ArgumentError("Network.populations", "must hold at least one", given)
    for name, node in named.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ArgumentError("Network.populations", "names must be identifiers", repr(name))
        if not isinstance(node, brainstate.nn.Dynamics):
            where = "Network.populations" if named is not given else f"Network.populations[{name!r}]"
            raise ArgumentError(where, "must be a brainstate.nn.Dynamics", type(node).__name__)
    if len(set(map(id, named.values()))) < len(named):
        raise ArgumentError("Network.populations", "must be different objects", "one node under two names")
    return dict(named)


def regions(regions, populations):
    """Return the indices of the regions of every population."""
    if regions is None:
        return {}
    found = {}
    for name, index in regions.items():
        check_choice("Network.regions", name, populations)
        index = np.asarray(index)
        n = int(np.prod(populations[name].varshape))
        if index.shape != (n,) or not np.issubdtype(index.dtype, np.integer):
            raise ArgumentError(
                f"Network.regions[{name!r}]", f"must hold {n} indices", f"{index.dtype} {index.shape}"
            )
        if len(index) and index.min() < 0:
            raise ArgumentError(f"Network.regions[{name!r}]", "must not be negative", index)
        found[name] = index
    every = np.concatenate(list(found.values()))
    if len(set(every.tolist())) < len(every):
        raise ArgumentError("Network.regions", "must not overlap", "a region in two populations")
    return found


def projections(projections, single, coupled_var, populations):
    """Return the projections by name."""
    if projections is None:
        if len(populations) != 1:
            raise ArgumentError("Network.projections", "are needed for several populations", "None")
        if coupled_var is None or single["conn"] is None:
            missing = "coupled_var" if coupled_var is None else "conn"
            raise ArgumentError(f"Network.{missing}", "is needed, or projections", "None")
        ((name, node),) = populations.items()
        return {"projection": Projection((name, coupled_var), (name, None), **single)}
    if coupled_var is not None or single["conn"] is not None:
        raise ArgumentError("Network.projections", "cannot be combined with conn or coupled_var", "both")
    if isinstance(projections, Projection):
        projections = [projections]
    if not isinstance(projections, Mapping):
        one = len(projections) == 1
        projections = {"projection" if one else f"projection{i}": p for i, p in enumerate(projections)}
    for name, spec in projections.items():
        if not isinstance(spec, Projection):
            raise ArgumentError(f"Network.projections[{name!r}]", "must be a Projection", type(spec).__name__)
    return dict(projections)


def end(where, name, end, populations):
    """Return population and signal of the source of a projection."""
    if isinstance(end, str) and "." in end:
        end = tuple(end.split(".", 1))
    if isinstance(end, tuple) and len(end) != 2:
        raise ArgumentError(f"{where}.{name}", "must be a pair of population and signal", repr(end))
    if not isinstance(end, tuple):
        if len(populations) != 1:
            raise ArgumentError(
                f"{where}.{name}",
                "must name a population",
                repr(end),
                f"Write ({next(iter(populations))!r}, {end!r})",
            )
        end = next(iter(populations)), end
    check_choice(f"{where}.{name}", end[0], populations)
    return end
