"""Write nodes_tvb.npz: right-hand sides of tvb-library at random states. Run with tvb-library==2.10.0 installed.

    python tests/golden/nodes_tvb.py

Only numbers are taken from tvb-library (GPL-3.0), none of its code. Every case holds states (variables, 200), coupling
(variables, 200), rates (variables, 200), and the parameters that differ from the defaults.
"""

import json
from pathlib import Path

import numpy as np
import tvb.simulator.models as models

N = 200
STRENGTHS = {"Kvf": 0.7, "Kf": 0.3, "Ks": -0.4}
RATE = (0.0, 2.0)
POTENTIAL = (-2.0, 1.5)
EPILEPTOR = {"x1": (-2, 1), "y1": (-20, 2), "z": (-2, 5), "x2": (-2, 0.5), "y2": (0, 2), "g": (-1, 1)}
FIRST_TWO = {"x1": EPILEPTOR["x1"], "z": EPILEPTOR["z"]}
MASS = {"r": RATE, "V": POTENTIAL, "A": (0, 1), "B": (-0.5, 0.5)}
GUTKIN = {
    "r_e": (0, 0.2), "V_e": POTENTIAL, "s_ee": (0, 1), "s_ei": (0, 1),
    "r_i": (0, 0.2), "V_i": POTENTIAL, "s_ie": (0, 1), "s_ii": (0, 1),
}  # fmt: skip
CASES = {  # name: (model of TVB, ranges of the states, ranges of the coupling, parameters)
    "ReducedWongWang": ("ReducedWongWang", {"S": (0, 1)}, [(0, 1)], {}),
    "WongWangExcInh": ("ReducedWongWangExcInh", {"S_e": (0, 1), "S_i": (0, 1)}, [(0, 1)], {"lamda": 0.4, "I_ext": 0.02}),
    "Epileptor": ("Epileptor", EPILEPTOR, [(-1, 1), (-1, 1)], STRENGTHS),
    "Epileptor modified": ("Epileptor", EPILEPTOR, [(-1, 1), (-1, 1)], {"modification": True, "tt": 0.3, "slope": 0.5}),
    "Epileptor2D": ("Epileptor2D", FIRST_TWO, [(-1, 1)], {"Kvf": 0.7, "Ks": -0.4}),
    "Epileptor2D modified": ("Epileptor2D", FIRST_TWO, [(-1, 1)], {"modification": True, "tt": 0.3, "slope": 0.5}),
    "CoombesByrne2D": ("CoombesByrne2D", {"r": RATE, "V": POTENTIAL}, [(0, 1)] * 2, {}),
    "CoombesByrne4D": ("CoombesByrne", {"r": RATE, "V": POTENTIAL, "g": (0, 4), "q": (-1, 1)}, [(0, 1)] * 4, {}),
    "GastSchmidtKnoscheSD": ("GastSchmidtKnosche_SD", MASS, [(0, 1)] * 4, {"tau": 1.5, "I": 0.3}),
    "GastSchmidtKnoscheSF": ("GastSchmidtKnosche_SF", MASS, [(0, 1)] * 4, {"tau": 1.5, "I": 0.3}),
    "DumontGutkin": ("DumontGutkin", GUTKIN, [(0, 1)] * 4, {"J_ee": 2.0, "J_ie": 3.0, "I_e": 0.4, "I_i": 0.2}),
    "LarterBreakspear": ("LarterBreakspear", {"V": (-1, 1), "W": (0, 1), "Z": (-1, 1)}, [(0, 1)], {"tau_K": 1.2, "t_scale": 0.5}),
    "Zerlaut": (
        "ZerlautAdaptationFirstOrder",
        {"E": (0.0, 0.1), "I": (0.0, 0.1), "W_e": (0, 200), "W_i": (0, 50), "ou_drift": (0, 0)},
        [(0, 0.02)],
        {"external_input_ex_ex": 0.000315, "external_input_in_ex": 0.000315, "a_i": 1.0, "b_i": 5.0, "tau_w_i": 100.0,
         "external_input_ex_in": 0.0002, "external_input_in_in": 0.0001, "K_ext_i": 30},
    ),
}  # fmt: skip


def numbers(rng, model, ranges, couplings, parameters):
    """Return states, coupling and rates of one case."""
    state = np.stack([rng.uniform(*r, (N, 1)) for r in ranges.values()])
    coupling = np.stack([rng.uniform(*r, (N, 1)) for r in couplings])
    instance = getattr(models, model)()
    for name, value in parameters.items():
        setattr(instance, name, np.array([value]) if not isinstance(value, int) else np.array(value))
    assert list(instance.state_variables) == list(ranges), instance.state_variables
    rates = instance.dfun(state.copy(), coupling.copy())
    return {"state": state[..., 0], "coupling": coupling[..., 0], "rates": np.asarray(rates)[..., 0]}


if __name__ == "__main__":
    rng, found = np.random.default_rng(20261126), {}
    for name, (model, ranges, couplings, parameters) in CASES.items():
        found |= {f"{name}/{k}": v for k, v in numbers(rng, model, ranges, couplings, parameters).items()}
        found[f"{name}/parameters"] = json.dumps(parameters)
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **found, versions="tvb-library 2.10.0")
