"""A linear node with delayed feedback and white noise has the variance of Küchler and Mensch, whatever the step."""

import brainstate
import brainunit as u
import numpy as np
import pytest

from brainmass_delays import LinearStep, Network, Simulator
from brainmass_delays.noise import WhiteNoise

LANES = 2000


def variance(a, b, tau, sigma):
    """Return the stationary variance of ``dx = (a x(t) + b x(t - tau)) dt + sigma dW``.

    U. Küchler and B. Mensch, Langevin's stochastic differential equation extended by a time-delayed term, Stochastics and
    Stochastic Reports 40 (1992) 23-42.
    """
    rate = np.emath.sqrt(b**2 - a**2)
    angle = rate * tau
    return float(np.real(sigma**2 * (b * np.sin(angle) - rate) / (2 * rate * (a + b * np.cos(angle)))))


@pytest.mark.parametrize("dt", [0.1, 0.05])
@pytest.mark.parametrize(
    ("a", "b", "tau", "sigma", "known"),
    [(-1.0, -0.5, 1.0, 1.0, 0.460391765), (-0.5, -1.0, 1.0, 0.3, 0.0736869)],
)
def test_the_variance_is_that_of_the_closed_form(a, b, tau, sigma, known, dt):
    assert variance(a, b, tau, sigma) == pytest.approx(known, rel=1e-6)
    node = LinearStep(1, gamma=a, noise_x=WhiteNoise(1, sigma=sigma), init_x=0.0, method="heun")
    net = Network(
        node,
        conn=np.array([[b]]),
        delay=np.array([[tau]]) * u.ms,
        coupling="additive",
        coupled_var="x",
        self_connection=True,
    )
    brainstate.random.seed(5)
    run = Simulator(net, dt=dt * u.ms).run(
        50 * u.ms,
        batch_size=LANES,
        transient=20 * u.ms,
        sample_every=round(1 / dt),
        monitors=lambda m: m.node.x.value,
    )
    squares = np.asarray(run["output"])[..., 0].T ** 2
    assert squares.shape == (LANES, 30)
    lanes = squares.mean(1)
    assert abs(lanes.mean() - known) < 3 * lanes.std(ddof=1) / np.sqrt(LANES)
