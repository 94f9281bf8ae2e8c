"""The named inputs of populations: from what a user writes to what nodes take."""

import inspect
from collections.abc import Mapping
from typing import Any

import brainunit as u

from .._core.checks import ArgumentError, check_choice


class InputNames:
    """Find the inputs of populations by name.

    Parameters
    ----------
    populations : dict
        Nodes by name. Those of this library declare their inputs; of any other, the arguments of ``update``
        count.
    """

    def __init__(self, populations: dict[str, Any]):
        self.names = {name: _names(node) for name, node in populations.items()}
        self.units = {
            name: {i.name: i.unit for i in getattr(node, "INPUTS", ())} for name, node in populations.items()
        }

    def find(self, where: str, target: Any) -> tuple[str, str]:
        """Return population and input of ``'input'``, ``'population.input'`` or a pair; of a pair with None,
        the first input."""
        if isinstance(target, str):
            target = tuple(target.split(".", 1)) if "." in target else (None, target)
        population, name = target
        if population is None:
            owners = [p for p, names in self.names.items() if name in names]
            if len(owners) == 1:
                return owners[0], name
            known = [n for p in self.names for n in self.full_names(p)]
            if owners:
                raise ArgumentError(
                    where, "must name the population too", repr(name), f"Use one of {', '.join(known)}"
                )
            check_choice(where, name, known)
        check_choice(where, population, self.names)
        names = self.names[population]
        if name is None:
            return population, names[0]
        return population, check_choice(where, name, names)

    def full_names(self, population: str) -> list[str]:
        """Return the names of all inputs of a population, with its own where there are several."""
        prefix = "" if len(self.names) == 1 else f"{population}."
        return [prefix + name for name in self.names[population]]

    def given(self, inputs: tuple) -> dict[tuple[str, str], Any]:
        """Return inputs by population and name from the arguments of ``Network.update``."""
        if not inputs:
            return {}
        if len(inputs) == 1 and isinstance(inputs[0], Mapping):
            return {self.find("Network.inputs", target): value for target, value in inputs[0].items()}
        names = [(p, n) for p, of_one in self.names.items() for n in of_one]
        if len(names) == 1 and len(inputs) == 1:
            return {names[0]: inputs[0]}
        if len(self.names) == 1 and not next(iter(self.units.values())):
            return dict(zip(names[1:], inputs, strict=False))  # of another library: what follows the coupling
        known = [n for p in self.names for n in self.full_names(p)]
        raise ArgumentError(
            "Network.inputs",
            "must be given by name",
            f"{len(inputs)} without",
            f"Pass a dict with names of {', '.join(known)}",
        )

    def unit(self, target: tuple[str, str]) -> u.Unit | None:
        """Return the unit of an input; None where a node does not tell."""
        return self.units[target[0]].get(target[1])

    def declared(self, population: str, given: dict) -> tuple:
        """Return the inputs of a node of this library in declared order."""
        return tuple(given.get((population, name)) for name in self.names[population])

    def positional(self, population: str, given: dict, currents: dict) -> list:
        """Return the arguments of ``update`` of a node of another library."""
        values = []
        for name in self.names[population]:
            parts = [x[population, name] for x in (currents, given) if (population, name) in x]
            values.append(sum(parts[1:], parts[0]) if parts else None)
        while values and values[-1] is None:
            values.pop()
        return values


def _names(node):
    declared = getattr(node, "INPUTS", ())
    if declared:
        return [entry.name for entry in declared]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(node.update).parameters.values() if p.kind in kinds]
