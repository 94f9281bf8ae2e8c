"""Write gallery.md, the page of all examples, from their docstrings: python docs/make_gallery.py.

An example shows the figure of its name in _static/gallery, if there is one.
"""

import ast
from pathlib import Path

DOCS = Path(__file__).parent
PAGE = DOCS / "gallery.md"
SHORT = {"bold": "BOLD", "dde": "DDE", "ode": "ODE"}
INTRODUCTION = """# Gallery

Every file of the folder `examples` is a script that runs as it stands, prints what it found, and fails if it
finds something else. Figures go to the folder `figures`; those with `--quick` have a short run.

*This page is written by `docs/make_gallery.py`.*
"""


def title_of(example: Path) -> str:
    """Return the name of an example as a reader would say it."""
    first, *words = example.stem.split("_")[1:]
    return " ".join([SHORT.get(first, first.capitalize()), *(SHORT.get(word, word) for word in words)])


def section(example: Path) -> str:
    """Return the part of the page on one example."""
    text = example.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text)).replace("``", "`")
    said = "\n\n".join(part for part in said.split("\n\n") if not part.startswith("Run: "))
    figure = f"_static/gallery/{example.stem}.png"
    shown = f"![{title_of(example)}]({figure})\n\n" if (DOCS / figure).exists() else ""
    quick = " --quick" if "--quick" in text else ""
    command = f"    python examples/{example.name}{quick}\n"
    return f"## {title_of(example)}\n\n{said}\n\n{shown}{command}\n{source(example)}"


def source(example: Path) -> str:
    """Return the code of an example, folded."""
    shown = f"```{{literalinclude}} ../examples/{example.name}\n:language: python\n```"
    return f"<details><summary>Code</summary>\n\n{shown}\n\n</details>\n"


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *map(section, sorted((DOCS.parent / "examples").glob("*.py")))])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
