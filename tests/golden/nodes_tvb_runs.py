"""Write nodes_tvb_runs.npz: trajectories of single nodes of tvb-library 2.10.0, integrated by Heun's method.

python tests/golden/nodes_tvb_runs.py
"""

from pathlib import Path

import numpy as np
import tvb.simulator.models as models

RUNS = {  # name: (model, parameters, initial state, step in ms, steps, every)
    "Epileptor": ("Epileptor", {}, [-1.5, -10.0, 3.5, -1.0, 0.0, 0.0], 0.05, 140_000, 40),
    "Zerlaut": (
        "ZerlautAdaptationFirstOrder",
        {"external_input_ex_ex": 0.0025, "external_input_in_ex": 0.0025},
        [0.001, 0.001, 0.0, 0.0, 0.0], 0.1, 10_000, 20,
    ),
    "ReducedWongWang": ("ReducedWongWang", {}, [0.001], 0.5, 4_000, 20),
}  # fmt: skip


def trajectory(model, parameters, initial, dt, steps, every):
    """Return the states after every so many steps, (steps / every, states)."""
    node = getattr(models, model)()
    for name, value in parameters.items():
        setattr(node, name, np.array([value]))
    coupling = np.zeros((len(np.atleast_1d(node.cvar)), 1, 1))
    x, found = np.array(initial).reshape(-1, 1, 1), []
    for i in range(1, steps + 1):
        k = node.dfun(x, coupling).reshape(x.shape).copy()
        x = x + dt / 2 * (k + node.dfun(x + dt * k, coupling).reshape(x.shape))
        if i % every == 0:
            found.append(x[:, 0, 0])
    return np.array(found)


if __name__ == "__main__":
    found = {name: trajectory(*run) for name, run in RUNS.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **found, versions="tvb-library 2.10.0")
