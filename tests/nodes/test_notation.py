"""The notation page names every parameter, state and input of every model with its unit and default."""

from pathlib import Path

import pytest

from brainmass_delays.nodes import NODES
from brainmass_delays.nodes.declaration import shown, unit_name

PAGE = Path(__file__).parents[2] / "docs" / "notation.md"


@pytest.mark.parametrize("name", NODES)
def test_the_page_agrees_with_the_declaration(name):
    section = PAGE.read_text(encoding="utf-8").split(f"### {name}\n")[1].split("###")[0]
    model = NODES[name]
    for p in model.PARAMETERS:
        default = shown(p.default).split()[0]
        assert (
            f"| ${p.symbol}$ | `{p.name}` | {p.meaning} | {unit_name(p.plain_unit)} | {default} |" in section
        )
    for s in model.STATES:
        assert f"`{s.name}` | state | {unit_name(s.unit)} | {shown(s.default)} |" in section
    for entry in model.INPUTS:
        assert f"`{entry.name}` | input | {unit_name(entry.unit)} |" in section
