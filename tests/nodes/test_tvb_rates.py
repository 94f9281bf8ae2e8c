"""The rates of tvb-library at 200 random states each, from tests/golden/nodes_tvb.py.

Where its documentation and its code differ, the code has the equation of the paper: Coombes-Byrne
(documentation - g r^2, code and paper - g r) and Epileptor (documentation 0.002 g, code b_b g with b_b = 2).
"""

import json
from pathlib import Path

import brainunit as u
import numpy as np
import pytest

from brainmass_delays.integrate.steps import per_ms
from brainmass_delays.nodes import NODES

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nodes_tvb.npz")
kHz = u.kHz
CASES = {  # case: (model, units of the states in TVB, which input takes which coupling)
    "ReducedWongWang": ("ReducedWongWangStep", [1], {"coupling": 0}),
    "WongWangExcInh": ("WongWangExcInhStep", [1, 1], {"coupling": 0}),
    "Epileptor": ("EpileptorStep", [1] * 6, {"x1_inp": 0, "x2_inp": 1}),
    "Epileptor modified": ("EpileptorStep", [1] * 6, {"x1_inp": 0, "x2_inp": 1}),
    "Epileptor2D": ("Epileptor2DStep", [1] * 2, {"x1_inp": 0}),
    "Epileptor2D modified": ("Epileptor2DStep", [1] * 2, {"x1_inp": 0}),
    "CoombesByrne2D": ("CoombesByrneStep", [1] * 2, {"v_inp": 0}),
    "CoombesByrne4D": ("CoombesByrne4DStep", [1] * 4, {"v_inp": 0}),
    "GastSchmidtKnoscheSD": ("GastSchmidtKnoscheSDStep", [kHz, 1, 1, 1], {"v_inp": 0}),
    "GastSchmidtKnoscheSF": ("GastSchmidtKnoscheSFStep", [kHz, 1, 1, 1], {"v_inp": 0}),
    "DumontGutkin": ("DumontGutkinStep", [kHz, 1, kHz, kHz, kHz, 1, kHz, kHz], {"coupling": 0}),
    "LarterBreakspear": ("LarterBreakspearStep", [1] * 3, {"V_inp": 0}),
    "Zerlaut": ("ZerlautStep", [kHz, kHz, u.pA, u.pA], {"E_inp": 0}),
}


@pytest.mark.parametrize("case", CASES)
def test_rates_are_those_of_tvb(case):
    name, units, couplings = CASES[case]
    state, coupling, rates = (GOLDEN[f"{case}/{key}"] for key in ("state", "coupling", "rates"))
    node = NODES[name](200, **json.loads(str(GOLDEN[f"{case}/parameters"])))
    given = [None] * len(node.INPUTS)
    for i, entry in enumerate(node.INPUTS):
        if entry.name in couplings:
            given[i] = coupling[couplings[entry.name]] * (kHz if entry.unit.has_same_dim(u.Hz) else 1)
    found = node.derivative(
        tuple(x * unit for x, unit in zip(state, units, strict=False)),
        0.0 * u.ms,
        node.step_inputs(tuple(given)),
    )
    for s, rate, expected, unit in zip(node.STATES, found, rates, units, strict=False):
        scale = 1.0 if unit == 1 else float((1.0 * unit).to_decimal(s.unit))
        # The absolute part is for sums that cancel: the terms are of the size of the largest rate.
        np.testing.assert_allclose(
            per_ms(rate, s.unit),
            expected * scale,
            rtol=1e-12,
            atol=1e-13 * scale * np.abs(expected).max(),
            err_msg=s.name,
        )
