"""Write nodes_neurolib.npz: Euler steps and a run of the thalamus of neurolib. Run with neurolib==0.6.2 installed.

python tests/golden/nodes_neurolib.py
"""

from pathlib import Path

import numpy as np
from neurolib.models.thalamus.loadDefaultParams import loadDefaultParams
from neurolib.models.thalamus.timeIntegration import timeIntegration

N, DT = 200, 0.01
RANGES = {
    "V_t": (-80, -45), "V_r": (-80, -45), "Ca": (1e-4, 1e-3), "h_T_t": (0, 1), "h_T_r": (0, 1), "m_h1": (0, 1),
    "m_h2": (0, 1), "s_et": (0, 0.5), "s_gt": (0, 0.5), "s_er": (0, 0.5), "s_gr": (0, 0.5), "ds_et": (-0.01, 0.01),
    "ds_gt": (-0.01, 0.01), "ds_er": (-0.01, 0.01), "ds_gr": (-0.01, 0.01),
}  # fmt: skip


def step(state):
    """Return one state after a step of DT ms, in the order of RANGES."""
    params = loadDefaultParams(seed=1)
    params.update(duration=DT, dt=DT, ext_current_t=0.3, ext_current_r=-0.2)
    params.update(
        {f"{name}_init": np.array([x]) if name[0] == "V" else np.array(x) for name, x in state.items()}
    )
    _, V_t, V_r, _, _, *rest = timeIntegration(params)
    return [V_t[0, -1], V_r[0, -1], *map(float, rest)]


def run(duration=20000.0):
    """Return the rate of the relay every ms, and the mean rate of the reticulum, of a run from fixed initial values."""
    params = loadDefaultParams(seed=1)
    params.update(duration=duration, dt=DT, V_t_init=np.array([-68.0]), V_r_init=np.array([-68.0]))
    _, _, _, Q_t, Q_r, *_ = timeIntegration(params)
    return {"Q_t": Q_t[0, ::100], "mean_Q_r": Q_r.mean()}


if __name__ == "__main__":
    rng = np.random.default_rng(20261126)
    states = {name: rng.uniform(*limits, N) for name, limits in RANGES.items()}
    after = np.array([step({k: v[i] for k, v in states.items()}) for i in range(N)]).T
    found = {"before": np.stack(list(states.values())), "after": after}
    found |= {f"run/{k}": np.float32(v) for k, v in run().items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **found, versions="neurolib 0.6.2")
