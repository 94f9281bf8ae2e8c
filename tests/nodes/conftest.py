"""The small table that tests/golden made up for the cascade, in place of the one that would be downloaded."""

from pathlib import Path

import numpy as np
import pytest

from brainmass_delays import CascadeTable

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nodes_neurolib_aln.npz")
TABLE = CascadeTable(*(GOLDEN[f"table/{name}"] for name in CascadeTable._fields))


@pytest.fixture(autouse=True)
def _small_table(monkeypatch):
    monkeypatch.setattr(CascadeTable, "fetch", lambda: TABLE)
