"""Every public argument, every strange value: our own error that names it, or the documented result.

The rows stand in ``rows*.py``, the values in `values.py`, what is missing or unclear in `gaps.py`.
"""

import importlib
import random
from pathlib import Path

import gaps
import pytest
import surface
import table
import values

import brainmass_delays

for _part in sorted(Path(__file__).parent.glob("rows*.py")):
    importlib.import_module(_part.stem)

PAIRS = [(argument, kind) for argument in table.ROWS for kind in values.KINDS]
SAMPLE = random.Random(0).sample(PAIRS, 120)
PUBLIC = {str(argument) for argument in surface.arguments()}


def judge(argument, kind):
    """Return what is wrong with a call, nothing if it is as the table says."""
    call, accepted = table.ROWS[argument]
    outcome = values.try_out(call, values.KINDS[kind], argument.rsplit(".", 1)[1])
    expected = "accepted" if kind in accepted else "clear"
    return "" if outcome.kind == expected else f"{argument} {kind}: {outcome.kind}: {outcome.said}"


def known(argument, kind):
    """Tell whether a pair is known to be unclear."""
    return kind in gaps.UNCLEAR.get(argument, "").split()


@pytest.mark.parametrize("argument, kind", SAMPLE)
def test_a_sample_of_strange_values(argument, kind):
    if known(argument, kind):
        pytest.xfail("known to be unclear")
    assert not judge(argument, kind)


@pytest.mark.slow
@pytest.mark.parametrize("argument", table.ROWS)
def test_every_strange_value(argument):
    wrong = [said for kind in values.KINDS if not known(argument, kind) and (said := judge(argument, kind))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_what_is_known_to_be_unclear_still_is():
    """A mended pair leaves the list, so that the list only shrinks."""
    mended = [
        f"{argument} {kind}"
        for argument, kinds in gaps.UNCLEAR.items()
        for kind in kinds.split()
        if argument in table.ROWS and not judge(argument, kind)
    ]
    assert not mended, f"take these out of UNCLEAR in gaps.py: {', '.join(mended)}"


def in_gap(argument):
    """Tell whether an argument belongs to what is named as a gap, itself or by its owner."""
    parts = argument.split(".")
    return any(".".join(parts[: i + 1]) in gaps.GAPS for i in range(len(parts)))


def test_every_public_argument_has_a_row_or_is_a_named_gap():
    missing = sorted(argument for argument in PUBLIC if argument not in table.ROWS and not in_gap(argument))
    assert not missing, f"add rows to one of tests/bad_input/rows*.py for {', '.join(missing)}"


def test_every_row_and_every_gap_is_public_and_no_gap_is_filled():
    assert set(table.ROWS) <= PUBLIC
    assert set(gaps.UNCLEAR) <= set(table.ROWS)
    empty = [gap for gap in gaps.GAPS if not any(a == gap or a.startswith(gap + ".") for a in PUBLIC)]
    filled = [
        gap
        for gap in gaps.GAPS
        if all(a in table.ROWS for a in PUBLIC if a == gap or a.startswith(gap + "."))
    ]
    assert not empty and not filled, f"take these out of GAPS: {', '.join([*empty, *filled])}"
    assert len(table.ROWS) >= 1400


def test_a_new_argument_is_noticed(monkeypatch):
    """The check above can fail."""

    def newcomer(strange):
        return strange

    monkeypatch.setattr(brainmass_delays, "newcomer", newcomer, raising=False)
    monkeypatch.setattr(brainmass_delays, "__all__", [*brainmass_delays.__all__, "newcomer"])
    assert "newcomer.strange" in {str(argument) for argument in surface.arguments()}


@pytest.mark.parametrize(
    "call, kind",
    [
        (lambda v: 1 / 0, "foreign"),
        (lambda v: float("nan"), "nan"),
        (lambda v: 1.0, "accepted"),
        (lambda v: [] if isinstance(v, float) else v + object(), "foreign"),
    ],
)
def test_outcomes_are_told_apart(call, kind):
    assert values.try_out(call, values.KINDS["string"], "x").kind == kind


def test_an_error_that_does_not_name_the_argument_or_the_value_is_vague():
    def vague(v):
        raise brainmass_delays.ArgumentError("f.other", "must be right", repr(v))

    def mute(v):
        raise brainmass_delays.ArgumentError("f.mine", "must be right")

    assert values.try_out(vague, 1.0, "mine").kind == "vague"
    assert values.try_out(vague, 1.0, "other").kind == "clear"
    assert values.try_out(mute, 1.0, "mine").kind == "vague"


def test_a_call_that_takes_too_long_is_slow(monkeypatch):
    monkeypatch.setattr(values, "SECONDS", 1)

    def endless(v):
        while True:
            pass

    assert values.try_out(endless, 1.0, "x").kind == "slow"
