"""Write networks_tvb.npz: two delayed networks of tvb-library 2.10.0, deterministic Heun steps of 0.25 ms.

python tests/golden/networks_tvb.py
"""

from pathlib import Path

import numpy as np
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator import coupling, integrators, models, monitors
from tvb.simulator.simulator import Simulator

N, DT, STEPS, SPEED = 8, 0.25, 400, 4.0


def connectivity():
    """Return weights without self-connections and lengths of 1 to 20 ms."""
    rng = np.random.default_rng(11)
    weights = rng.uniform(0.1, 1.0, (N, N)) * (1 - np.eye(N))
    lengths = rng.uniform(4.0, 80.0, (N, N)) * (1 - np.eye(N))
    found = Connectivity(
        weights=weights,
        tract_lengths=lengths,
        region_labels=np.array([f"r{i}" for i in range(N)]),
        centres=np.zeros((N, 3)),
        speed=np.array([SPEED]),
    )
    found.configure()
    return found


def run(model, link, initial):
    """Return the states after every tenth step, (40, state, region)."""
    simulator = Simulator(
        model=model,
        connectivity=connectivity(),
        coupling=link,
        integrator=integrators.HeunDeterministic(dt=DT),
        monitors=(monitors.Raw(),),
        initial_conditions=np.broadcast_to(initial[None, :, :, None], (200, *initial.shape, 1)).copy(),
        simulation_length=STEPS * DT,
    )
    simulator.configure()
    ((_, data),) = simulator.run()
    return data[9::10, ..., 0]


if __name__ == "__main__":
    rng = np.random.default_rng(12)
    jr = models.JansenRit(variables_of_interest=["y0", "y1", "y2", "y3", "y4", "y5"], mu=np.array([0.22]))
    jr_start = rng.uniform(0.0, 1.0, (6, N)) * np.array([0.1, 10.0, 5.0, 0.01, 0.3, 0.2])[:, None]
    wc = models.WilsonCowan(variables_of_interest=["E", "I"], P=np.array([1.25]))
    wc_start = rng.uniform(0.05, 0.4, (2, N))
    jr_link = coupling.SigmoidalJansenRit(a=np.array([0.3]))
    wc_link = coupling.Linear(a=np.array([0.02]))
    links = connectivity()
    np.savez_compressed(
        Path(__file__).with_suffix(".npz"),
        weights=links.weights,
        lengths=links.tract_lengths,
        jansen_rit_start=jr_start,
        jansen_rit=run(jr, jr_link, jr_start),
        wilson_cowan_start=wc_start,
        wilson_cowan=run(wc, wc_link, wc_start),
        versions="tvb-library 2.10.0",
    )
