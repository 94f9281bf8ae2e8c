"""The table that tests/golden made up for the cascade, and the numbers of neurolib with it."""

from pathlib import Path

import numpy as np

from brainmass_delays.nodes import CascadeTable

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nodes_neurolib_aln.npz")
TABLE = CascadeTable(*(GOLDEN[f"table/{name}"] for name in CascadeTable._fields))
