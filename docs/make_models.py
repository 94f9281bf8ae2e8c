"""Write docs/models.md, the page of all node models, from their declarations: python docs/make_models.py."""

import inspect
import re
from pathlib import Path

from brainmass_delays.nodes import NODES
from brainmass_delays.nodes.describe import short_name, table

PAGE = Path(__file__).parent / "models.md"
INTRODUCTION = """# Node models

Every model below is a declaration and one derivative; `describe('jansen_rit')` prints its table. A plain
number is understood in the unit given here; inputs without a unit are rates per ms where they add to a rate.
Any input can receive the coupling of a network by name; the first one receives it if none is named.

*This page is written by `docs/make_models.py`.*
"""


def section(model):
    """Return the part of the page on one model."""
    doc = inspect.getdoc(model)
    equations = doc.split(".. math::", 1)[1].split("Parameters\n-----")[0]
    formula, *prose = equations.strip("\n").split("\n\n")
    body = "\n".join(line.strip() for line in formula.splitlines()).strip()
    aligned = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}" if "&" in body or r"\\" in body else body
    text = _markdown("\n\n".join(part for part in prose if not part.startswith(" ")))
    sources = doc.split("References\n----------\n")[1].split("\nExamples\n")[0].strip()
    name = model.__name__
    return (
        f"## {name}\n\n`describe('{short_name(model)}')`. {doc.splitlines()[0]}\n\n$$\n{aligned}\n$$\n\n"
        f"{text}{table(model)}\n{sources}\n"
    )


def _markdown(text):
    """Write a paragraph of a docstring as MyST does, with an empty line after it; nothing if it is empty."""
    text = re.sub(r":math:`(.+?)`", r"$\1$", text.strip(), flags=re.DOTALL).replace("``", "`")
    return f"{text}\n\n" if text else ""


def page():
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *map(section, NODES.values())])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
