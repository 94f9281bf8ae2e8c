"""Write nodes_neurolib_aln.npz: two Euler steps of the ALN model of neurolib, with a table made up here, and runs.

    python tests/golden/nodes_neurolib_aln.py

The runs use its own table (neurolib/models/aln/aln-precalc/quantities_cascade.h5, 1.2 MB) and its defaults.
"""

from pathlib import Path

import numpy as np
from neurolib.models.aln.loadDefaultParams import loadDefaultParams
from neurolib.models.aln.timeIntegration import timeIntegration

N, DT = 200, 0.1
RANGES = {
    "mufe": (-1, 3), "mufi": (-1, 3), "IA": (0, 200), "seem": (0, 0.5), "seim": (0, 0.5), "siem": (0, 0.5),
    "siim": (0, 0.5), "seev": (5e-4, 2e-3), "seiv": (5e-4, 2e-3), "siev": (5e-4, 2e-3), "siiv": (5e-4, 2e-3),
}  # fmt: skip
GIVEN = {"a": 5.0, "b": 15.0, "ext_exc_rate": 0.002, "filter_sigma": 1}
RATES = {"rates_exc": 12.0, "rates_inh": 25.0}  # Hz, before the start


def table():
    """Return a smooth made-up table: means, spreads, and the four quantities [mu, sigma]."""
    mu, sigma = np.linspace(-1.5, 3.5, 26), np.linspace(0.5, 6.0, 12)
    m, s = np.meshgrid(mu, sigma, indexing="ij")
    rate = 0.08 / (1 + np.exp(-2 * (m - 1))) + 0.002 * s
    return {"mu": mu, "sigma": sigma, "rate": rate, "potential": -60 + 5 * np.tanh(m) + s, "tau_mu": 3 + 10 / (1 + m**2) + s, "tau_sigma": 1 + 4 / (1 + m**2) + 0.3 * s}  # fmt: skip


def steps(state, quantities, n):
    """Return one state after n steps, in the order of RANGES."""
    params = loadDefaultParams(seed=1)
    params.update(duration=n * DT, dt=DT, **GIVEN)
    params.update({f"{k}_init": np.array([[v]]) for k, v in RATES.items()})
    params.update({f"{k}_init": np.array([[x]]) if k == "IA" else np.array([x]) for k, x in state.items()})
    params.update(
        Irange=quantities["mu"], dI=quantities["mu"][1] - quantities["mu"][0],
        sigmarange=quantities["sigma"], ds=quantities["sigma"][1] - quantities["sigma"][0],
        precalc_r=quantities["rate"], precalc_V=quantities["potential"],
        precalc_tau_mu=quantities["tau_mu"], precalc_tau_sigma=quantities["tau_sigma"],
    )  # fmt: skip
    _, _, _, mufe, mufi, IA, seem, seim, siem, siim, seev, seiv, siev, siiv, *_ = timeIntegration(params)
    return [
        mufe[0],
        mufi[0],
        IA[0, -1],
        seem[0],
        seim[0],
        siem[0],
        siim[0],
        seev[0],
        seiv[0],
        siev[0],
        siiv[0],
    ]


RUNS = {"default": {}, "adapting": {"mue_ext_mean": 1.0, "mui_ext_mean": 0.5, "b": 20.0}}
START = {"mufe": 1.0, "mufi": 1.0, **{f"s{pair}m": 0.1 for pair in ("ee", "ei", "ie", "ii")}}
START |= {f"s{pair}v": 0.001 for pair in ("ee", "ei", "ie", "ii")}


def run(given, duration=6000.0):
    """Return the excitatory and the inhibitory rate in Hz, every ms, of a run of one node without noise."""
    params = loadDefaultParams(seed=1)
    params.update(duration=duration, dt=DT, **given)
    params.update(mue_ou=np.array([params["mue_ext_mean"]]), mui_ou=np.array([params["mui_ext_mean"]]))
    params.update({f"{name}_init": np.array([x]) for name, x in START.items()})
    params.update({f"{name}_init": np.zeros((1, 1)) for name in ("IA", "rates_exc", "rates_inh")})
    _, exc, inh, *_ = timeIntegration(params)
    return np.float32([exc[0, 9::10], inh[0, 9::10]])


if __name__ == "__main__":
    rng, quantities = np.random.default_rng(20261126), table()
    states = {name: rng.uniform(*limits, N) for name, limits in RANGES.items()}
    after = np.array([steps({k: v[i] for k, v in states.items()}, quantities, 2) for i in range(N)]).T
    found = {f"table/{k}": v for k, v in quantities.items()}
    found |= {"before": np.stack(list(states.values())), "after": after}
    found |= {f"run/{name}": run(given) for name, given in RUNS.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **found, versions="neurolib 0.6.2")
