"""Fold the traceback of a cell that fails on purpose to its last lines, the message."""

import re
from html import escape

from docutils import nodes


def message_of(traceback: str) -> str:
    """Return the last lines of a traceback, from the name of its last exception on."""
    starts = [found.start() for found in re.finditer(r"^[\w.]+: ", traceback, re.MULTILINE)]
    return traceback[starts[-1] :].strip() if starts else traceback.strip().splitlines()[-1]


def fold(app, doctree, docname):
    """Put every traceback behind its message, which opens it."""
    if app.builder.format != "html":
        return
    for block in list(doctree.findall(nodes.literal_block)):
        if "traceback" in block["classes"]:
            head = f'<details class="traceback"><summary>{escape(message_of(block.astext()))}</summary>'
            parent, place = block.parent, block.parent.index(block)
            parent.insert(place + 1, nodes.raw("", "</details>", format="html"))
            parent.insert(place, nodes.raw("", head, format="html"))


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
