"""The code on the two how-to pages runs, and what it builds makes a step."""

import re
from pathlib import Path

import brainstate
import brainunit as u
import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"


def executed(page):
    """Return the names that the code of one page defines."""
    names = {}
    text = (DOCS / page).read_text(encoding="utf-8")
    for options, block in re.findall(r"```\{code-cell\} ipython3\n((?::.*\n)*)(.*?)```", text, re.S):
        if "raises-exception" not in options:
            exec(block, names)
    return names


@pytest.mark.parametrize("page", ["write_a_node.md", "write_a_coupling.md"])
def test_the_code_of_the_page_runs(page):
    names = executed(page)
    model = names.get("node") or names["SmallNetwork"](3, np.ones((3, 3)), np.full((3, 3), 1.0) * u.ms)
    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(model)
        assert np.all(np.isfinite(np.asarray(model.update())))
