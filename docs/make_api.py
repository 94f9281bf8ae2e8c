"""Write api.md, the list of all public names, from what the package exports.

python docs/make_api.py
"""

import inspect
from pathlib import Path

import brainmass_delays

PAGE = Path(__file__).with_name("api.md")
SECTIONS = {
    "Networks and runs": "Connectome Network Projection Delay PlasticDelay Simulator Param "
    "get_params set_params prefetch prefetch_delay delay_index ArgumentError RunError",
    "Fits and sweeps": "Fitter FitResult fit_many CohortResult sweep SweepResult",
    "Noise and regional parameters": "WhiteNoise OUNoise ColoredNoise MultiplicativeNoise "
    "Heterogeneous Grouped",
}
NAMESPACES = (
    "nodes",
    "couplings",
    "stimuli",
    "observe",
    "objectives",
    "priors",
    "datasets",
    "integrate",
    "spiking",
    "predictive",
    "viz",
)


def listing(module: str, names: list[str]) -> str:
    """Return a table of names that links to a page of each."""
    lines = "\n".join(f"   {name}" for name in names)
    head = f".. currentmodule:: {module}\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:"
    return f"```{{eval-rst}}\n{head}\n\n{lines}\n```\n"


def documented(module) -> list[str]:
    """Return the classes and functions that a namespace exports."""
    names = [n for n in module.__all__ if inspect.isclass(getattr(module, n)) or callable(getattr(module, n))]
    return sorted(names, key=str.lower)


def text() -> str:
    """Return the page."""
    parts = ["# API\n\nEvery public name; its page tells shapes, units, errors, gradients and sources.\n"]
    for title, names in SECTIONS.items():
        known = [name for name in names.split() if hasattr(brainmass_delays, name)]
        parts.append(f"## {title}\n\n{listing('brainmass_delays', known)}")
    for name in NAMESPACES:
        module = getattr(brainmass_delays, name)
        first = (inspect.getdoc(module) or name).splitlines()[0]
        parts.append(f"## `{name}`\n\n{first}\n\n{listing(module.__name__, documented(module))}")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(text())
