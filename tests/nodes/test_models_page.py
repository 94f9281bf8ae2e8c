"""The page of models is what its generator writes, and `describe` finds every model by its names."""

import runpy
from pathlib import Path

import pytest

from brainmass_delays import ArgumentError, describe
from brainmass_delays.nodes import NODES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_its_generator_writes():
    written = (DOCS / "models.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(DOCS / "make_models.py"))["page"]() == written


@pytest.mark.parametrize("name", NODES)
def test_describe_lists_every_declared_quantity(name, capsys):
    model = NODES[name]
    describe(model)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: ")
    named = [entry.name for entry in (*model.PARAMETERS, *model.STATES, *model.INPUTS)]
    assert all(f"| `{entry}` |" in printed for entry in named)


def test_describe_takes_short_names_and_suggests_the_nearest(capsys):
    describe("generic_2d_oscillator")
    describe("fitzhugh_nagumo")
    describe("JansenRitStep")
    describe("WilsonCowan")
    assert capsys.readouterr().out.count("| symbol |") == 4
    with pytest.raises(ArgumentError, match="describe.model: .*'jansen_ritt'. Did you mean 'jansen_rit'"):
        describe("jansen_ritt")
