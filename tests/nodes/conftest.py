"""A small table for the cascade, in place of the one that would be downloaded."""

import pytest
from small_table import TABLE

from brainmass_delays.nodes import CascadeTable


@pytest.fixture(autouse=True)
def _small_table(monkeypatch):
    monkeypatch.setattr(CascadeTable, "fetch", lambda: TABLE)
