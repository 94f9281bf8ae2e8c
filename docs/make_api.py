"""Write api.md and the folder api, the lists of all public names, from what the package exports.

python docs/make_api.py
"""

import importlib
import inspect
from pathlib import Path

import brainmass_delays

DOCS = Path(__file__).parent
# Titles of pages of the top level, and what they list.
TOP = {
    "Networks and runs": "Connectome Network Projection Delay PlasticDelay Simulator Param "
    "get_params set_params use_cores prefetch prefetch_delay delay_index ArgumentError RunError",
    "Fits and sweeps": "Fitter FitResult fit_many CohortResult sweep SweepResult",
    "Noise and regional parameters": "WhiteNoise OUNoise ColoredNoise MultiplicativeNoise "
    "Heterogeneous Grouped read_maps",
}
NAMESPACES = {
    "nodes": (),
    "couplings": (),
    "stimuli": (),
    "observe": (),
    "objectives": (),
    "priors": (),
    "datasets": (),
    "integrate": (),
    "spiking": ("tasks", "localization"),
    "predictive": (),
    "viz": (),
}
INTRODUCTION = "# API\n\nEvery public name; its page tells shapes, units, errors, gradients and sources.\n"


def listing(module: str, names: list[str]) -> str:
    """Return a table of names that links to a page of each."""
    lines = "\n".join(f"   {name}" for name in names)
    head = f".. currentmodule:: {module}\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:"
    return f"```{{eval-rst}}\n{head}\n\n{lines}\n```\n"


def first_line(module) -> str:
    """Return what a module says of itself."""
    return (inspect.getdoc(module) or module.__name__).splitlines()[0]


def public(module) -> list[str]:
    """Return the classes and functions that a namespace exports."""
    return sorted((name for name in module.__all__ if callable(getattr(module, name))), key=str.lower)


def tables(module) -> str:
    """Return what is said of the tables that a namespace exports."""
    parts = []
    for name in module.__all__:
        if isinstance(table := getattr(module, name), dict):
            entries = ", ".join(f"``{key}``" for key in table)
            declared = f".. py:currentmodule:: {module.__name__}\n.. py:data:: {name}\n"
            parts.append(f"\n```{{eval-rst}}\n{declared}\n   A dict of all by name: {entries}.\n```\n")
    return "".join(parts)


def part(module, title: str) -> str:
    """Return the list of one module under its title, and register the module itself."""
    declared = f"```{{eval-rst}}\n.. py:module:: {module.__name__}\n```\n"
    names = listing(module.__name__, public(module)) + tables(module)
    return f"{title}\n\n{declared}\n{first_line(module)}\n\n{names}"


def namespace(name: str, inner: tuple[str, ...]) -> str:
    """Return the page of one namespace."""
    module = getattr(brainmass_delays, name)
    parts = [part(module, f"# {name}")]
    for further in inner:
        parts.append(part(importlib.import_module(f"{module.__name__}.{further}"), f"## {name}.{further}"))
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Return every page by its path in this folder."""
    made = {}
    for title, names in TOP.items():
        made[f"api/{title.split()[0].lower()}.md"] = (
            f"# {title}\n\n{listing('brainmass_delays', names.split())}"
        )
    made |= {f"api/{name}.md": namespace(name, inner) for name, inner in NAMESPACES.items()}
    entries = "\n".join(path.removesuffix(".md") for path in made)
    declared = "```{eval-rst}\n.. py:module:: brainmass_delays\n```\n"
    made["api.md"] = f"{INTRODUCTION}\n{declared}\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    return made


if __name__ == "__main__":
    for path, text in pages().items():
        DOCS.joinpath(path).parent.mkdir(exist_ok=True)
        DOCS.joinpath(path).write_text(text)
