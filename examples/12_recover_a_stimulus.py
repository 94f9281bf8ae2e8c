"""Where, when and for how long was the network stimulated? Found from its response by gradient descent.

One region gets a smooth pulse. From a noisy recording of all regions the onset, the width and one strength
per region are trained together; the strengths name the site.
"""

import brainunit as u
import numpy as np
import optax
from brainstate.nn import SigmoidT

from brainmass_delays import Connectome, Fitter, HopfStep, Network, Param, Simulator, stimuli

N, SITE, DT = 12, 7, 0.5 * u.ms
ONSET, WIDTH = 60.0 * u.ms, 25.0 * u.ms
BRAIN = Connectome.synthetic(N).normalize("row")


def network(onset, width, strengths):
    """Return damped oscillators that a pulse drives."""
    pulse = stimuli.Pulse(onset=onset, width=width, amplitude=1.0, edge=10.0 * u.ms).at(strengths)
    node = HopfStep(N, a=-0.1, w=0.05)
    fibres = {"conn": BRAIN, "speed": 5.0 * u.mm / u.ms, "coupled_var": "x", "k": 0.1}
    return Network(node, stimulus=pulse, **fibres)


def simulate(net):
    """Return what is recorded, 200 ms of every region."""
    return Simulator(net, dt=DT).run(200 * u.ms, monitors=["x"])["x"]


def main():
    """Recover the stimulus and print it beside the truth."""
    strengths = np.zeros(N)
    strengths[SITE] = 0.1
    clean = simulate(network(ONSET, WIDTH, strengths))
    data = clean + 0.02 * np.std(clean) * np.random.default_rng(0).normal(size=clean.shape)
    model = network(
        Param(90.0 * u.ms, t=SigmoidT(0.0 * u.ms, 180.0 * u.ms)),
        Param(50.0 * u.ms, t=SigmoidT(5.0 * u.ms, 100.0 * u.ms)),
        Param(np.full(N, 0.02)),
    )
    result = Fitter(model, optax.adam(0.03), predict=simulate).fit(data, n_steps=500)
    found = {name.rpartition(".")[2]: value for name, value in result.best_params.items()}
    strengths = np.asarray(found["amplitude"])
    site = int(np.argmax(np.abs(strengths)))
    print(f"site  {BRAIN.labels[site]} for {BRAIN.labels[SITE]}, strength {strengths[site]:.4f} for 0.1")
    print(f"      all others at most {np.abs(np.delete(strengths, site)).max():.4f}")
    for name, true in (("onset", ONSET), ("width", WIDTH)):
        print(f"{name} {float(found[name] / u.ms):.2f} ms for {float(true / u.ms):.2f} ms")
    return result, found, site


if __name__ == "__main__":
    main()
