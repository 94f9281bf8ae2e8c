"""Write brainmass_delays/nodes/__init__.pyi, which shows type checkers what the declarations of nodes imply.

python tests/types/make_stubs.py
"""

import inspect
from pathlib import Path

from brainmass_delays import nodes

PATH = Path(nodes.__file__).with_suffix(".pyi")
HEAD = '''"""What the declarations of nodes imply, for type checkers; written by tests/types/make_stubs.py."""

from typing import Any, Never

import brainstate
from brainstate.nn import Param

from .._core.choices import Method
'''
# NeuralMass lets a checker read any attribute, for nodes of a user's own; of these nodes all are listed.
LISTED = """class Listed:
    def __getattr__(self, name: Never) -> Never: ...
"""


def constructor(model: type) -> str:
    """Return the constructor of a model as a line of a stub."""
    parts, star = ["self"], False
    for p in inspect.signature(model).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        kind = {"in_size": "int | tuple[int, ...]", "method": "Method"}.get(p.name, "Any")
        parts.append(f"{p.name}: {kind}" + ("" if p.default is p.empty else " = ..."))
    return f"    def __init__({', '.join(parts)}) -> None: ..."


def real(model: type) -> str:
    """Return the name under which the stub knows the model itself, which its annotated double inherits from."""
    return f"{model.__module__.rpartition('.')[2]}.{model.__name__}"


def stub(model: type) -> str:
    """Return the stub of one model."""
    names = [p.name for p in model.PARAMETERS]
    lines = [f"class {model.__name__}(Listed, {real(model)}):"]
    lines += [f"    {name}: Param" for name in names]
    lines += [f"    {s.name}: brainstate.HiddenState" for s in model.STATES]
    sources = [s.argument for s in model.STATES] + [entry.noise for entry in model.INPUTS if entry.noise]
    lines += [f"    {name}: Any" for name in dict.fromkeys(sources)]
    return "\n".join([*lines, constructor(model)])


def text() -> str:
    """Return the whole file."""
    models = [m for m in vars(nodes).values() if inspect.isclass(m) and m.__name__.endswith("Step")]
    rest = [n for n in nodes.__all__ if n not in {m.__name__ for m in models} and n != "NODES"]
    by_module: dict[str, list[str]] = {}
    for name in rest:
        by_module.setdefault(getattr(nodes, name).__module__.rpartition(".")[2], []).append(name)
    imports = [
        f"from .{module} import {name} as {name}"
        for module, names in sorted(by_module.items())
        for name in sorted(names)
    ]
    modules = sorted({real(model).partition(".")[0] for model in models})
    imports.insert(0, f"from . import {', '.join(modules)}")
    declared = f"__all__ = {nodes.__all__!r}\n\nNODES: dict[str, type[NeuralMass]]"
    body = "\n\n".join(map(stub, sorted(models, key=lambda m: m.__name__)))
    return "\n".join([HEAD.rstrip(), *imports, "", declared, "", LISTED, body, ""])


if __name__ == "__main__":
    PATH.write_text(text())
