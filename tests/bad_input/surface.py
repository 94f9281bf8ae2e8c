"""Every public argument of the package, found by walking its public names."""

import inspect
from collections.abc import Iterator
from typing import NamedTuple

import brainmass_delays

NAMESPACES = (
    "couplings", "datasets", "integrate", "nodes", "objectives", "observe", "predictive", "spiking", "stimuli", "viz",
)  # fmt: skip
FOREIGN = {"Param"}  # of brainstate, only shown here
# Methods of modules that the library calls with what it has made itself; users write them, or never see them.
CALLED_BY_THE_LIBRARY = {
    "activation", "activity", "advance", "at", "between", "bounds", "check_length", "check_trainable", "combine",
    "compare", "connect", "currents", "derivative", "emit", "excitatory", "features", "features_of", "inhibitory", "init",
    "init_state", "advance_means", "energy", "firing_rate", "firing_rates", "interval", "lookup", "rates", "reset",
    "response", "schedule", "transform", "tree_unflatten", "value", "weights", "refuse_ignored", "refuse_rounding", "sample", "set_values", "start", "step", "step_inputs", "update",
    "with_currents",
}  # fmt: skip


def is_record(part) -> bool:
    """Tell whether a class only holds what the library hands out: a NamedTuple, or a dataclass whose name ends
    a documented result."""
    return inspect.isclass(part) and (issubclass(part, tuple) or part.__name__ in RECORDS)


# Results that are no NamedTuples.
RECORDS = {
    "ArgumentError",
    "CohortResult",
    "FilterSolution",
    "FitResult",
    "Recording",
    "RunError",
    "Solution",
    "SweepResult",
    "Trajectory",
}


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
    homes = ("brainmass_delays.fit.", "brainmass_delays.connectome.")
    parts = [p for p in part.__mro__ if p is part or p.__module__.startswith(homes)]
    for name, member in [item for p in parts for item in vars(p).items()]:
        member = getattr(member, "__func__", member)
        if name.startswith("_") or name in CALLED_BY_THE_LIBRARY:
            continue
        if inspect.isfunction(member):
            yield name, member


def walk() -> Iterator[tuple[str, object]]:
    """Yield every public function, class and method with the name that a user calls it by."""
    parts = {
        name: getattr(brainmass_delays, name) for name in sorted(set(brainmass_delays.__all__) - FOREIGN)
    }
    for namespace in NAMESPACES:
        module = getattr(brainmass_delays, namespace)
        shown = getattr(module, "__all__", None) or [
            name for name, part in vars(module).items() if getattr(part, "__module__", "") == module.__name__
        ]
        parts |= {f"{namespace}.{name}": getattr(module, name) for name in sorted(shown) if name[0] != "_"}
    seen = set()
    for name, part in parts.items():
        if not (inspect.isclass(part) or inspect.isfunction(part)) or id(part) in seen:
            continue
        seen.add(id(part))
        if not is_record(part):
            yield name, part
        if inspect.isclass(part):
            yield from ((f"{name}.{method}", function) for method, function in methods(part))


def arguments() -> list[Argument]:
    """Return all public arguments."""
    return [Argument(owner, name) for owner, part in walk() for name in names(part)]
