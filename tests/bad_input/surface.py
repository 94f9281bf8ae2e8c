"""Every public argument of the package, found by walking its public names."""

import inspect
from collections.abc import Iterator
from typing import NamedTuple

import brainmass_delays

NAMESPACES = ("integrate", "objectives", "predictive", "spiking", "viz")
FOREIGN = {"Param"}  # of brainstate, only shown here


class Argument(NamedTuple):
    """Name an argument: ``Connectome.threshold.density``, ``viz.plot_fit.result``."""

    owner: str
    name: str

    def __str__(self):
        return f"{self.owner}.{self.name}"


def names(part) -> list[str]:
    """Return the names of the arguments of a function or a class, ``*args`` and ``**kwargs`` left out."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for function in (part, getattr(part, "__init__", None)):  # a metaclass may hide the arguments of a class
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            continue
        if found := [p.name for p in parameters if p.name not in ("self", "cls") and p.kind not in kinds]:
            return found
    return []


def methods(part) -> Iterator[tuple[str, object]]:
    """Yield the public methods that a class of this package defines."""
    for name, member in vars(part).items():
        member = getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(member):
            yield name, member


def walk() -> Iterator[tuple[str, object]]:
    """Yield every public function, class and method with the name that a user calls it by."""
    parts = {
        name: getattr(brainmass_delays, name) for name in sorted(set(brainmass_delays.__all__) - FOREIGN)
    }
    for namespace in NAMESPACES:
        module = getattr(brainmass_delays, namespace)
        parts |= {f"{namespace}.{name}": getattr(module, name) for name in sorted(module.__all__)}
    seen = set()
    for name, part in parts.items():
        if not (inspect.isclass(part) or inspect.isfunction(part)) or id(part) in seen:
            continue
        seen.add(id(part))
        yield name, part
        if inspect.isclass(part):
            yield from ((f"{name}.{method}", function) for method, function in methods(part))


def arguments() -> list[Argument]:
    """Return all public arguments."""
    return [Argument(owner, name) for owner, part in walk() for name in names(part)]
