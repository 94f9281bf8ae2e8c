"""Networks that papers are built on, on the HCP connectome where it can be fetched; docs/literature_networks.md has more."""

import brainstate
import brainunit as u
import numpy as np
import pytest

from brainmass_delays import (
    Connectome,
    JansenRitStep,
    Network,
    Param,
    Projection,
    Simulator,
    StuartLandauStep,
    WhiteNoise,
    WongWangExcInhStep,
)
from brainmass_delays.nodes import feedback_inhibition


@pytest.fixture(scope="module")
def hcp():
    """Return the measured connectome, or skip the test without a network."""
    try:
        return Connectome.fetch("hcp")
    except ConnectionError as error:
        pytest.skip(f"the HCP connectome cannot be fetched here: {error}")


def firing(connectome, J_i, G, noise, seconds):
    """Return the mean excitatory rate of every region in Hz."""
    n = connectome.n_regions
    brainstate.random.seed(0)
    kicks = {f"noise_{x}": WhiteNoise(n, noise) for x in "ei"}
    node = WongWangExcInhStep(n, J_i=J_i, G=G, method="euler", **kicks)
    net = Network(node, conn=connectome.weights, coupled_var="S_e", coupling="additive")
    run = Simulator(net, dt=1.0 * u.ms).run(seconds * u.second, monitors=["S_e"], transient=1 * u.second)
    S = np.asarray(run["S_e"]).mean(0)
    return 1e3 * S / (0.641 * 100 * (1 - S))


def test_every_region_of_the_hcp_connectome_fires_at_3_to_4_hz(hcp):
    """Deco et al. (2014): the inhibition is solved for; with the same inhibition everywhere regions differ."""
    brain = hcp.normalize("max")
    found = feedback_inhibition(WongWangExcInhStep(94, G=0.3), brain.weights, 3.4 * u.Hz)
    assert found.growth.mantissa < 0
    rates = firing(brain, found.J_i, 0.3, 0.001, 10)
    assert rates.min() > 3.0 and rates.max() < 4.0
    assert np.ptp(firing(brain, np.ones(94), 0.3, 0.001, 4)) > 2.0


@pytest.mark.slow
def test_the_rhythm_of_delayed_oscillators_slows_with_the_mean_delay(hcp):
    """Cabral et al. (2022): 40 Hz, a = -5, mean weight 1; at K = 10 and 3 ms below the 30 Hz of their figure 4."""
    n = hcp.n_regions
    weights = hcp.weights / hcp.weights[~np.eye(n, dtype=bool)].mean()
    length = hcp.lengths[weights > 0].mean()
    kicks = {f"noise_{x}": WhiteNoise(n, 1e-3 * u.Hz**0.5) for x in "xy"}
    node = StuartLandauStep(n, a=-5 * u.Hz, f=40 * u.Hz, init_x=0.0, **kicks)
    shared = {"conn": weights, "lengths": hcp.lengths, "max_delay": 60 * u.ms}
    shared |= {"speed": Param(length / (3 * u.ms), fit=True), "k": Param(10.0, fit=True)}
    net = Network(node, projections=[Projection(x, f"{x}_inp", **shared) for x in "xy"])
    run = Simulator(net, dt=0.2 * u.ms).function(
        6 * u.second, monitors=["x"], transient=2 * u.second, sample_every=10
    )

    def peak(K, delay):
        x = np.asarray(run({"speed": length / (delay * u.ms), "k": K})["x"])
        power = (np.abs(np.fft.rfft(x - x.mean(0), axis=0)) ** 2).mean(1)
        return np.fft.rfftfreq(len(x), 2e-3)[np.convolve(power, np.ones(5), "same").argmax()]

    peaks = [peak(10.0, delay) for delay in (1.0, 3.0, 6.0, 10.0)]
    assert np.all(np.diff(peaks) < 0), peaks
    assert peaks[1] < 30 < peak(1.0, 3.0) < 40, peaks


def test_columns_of_jansen_and_rit_have_alpha_waves_in_a_network():
    brain = Connectome.synthetic(20, seed=0).normalize("row")
    brainstate.random.seed(0)
    net = Network(
        JansenRitStep(20, noise_E=WhiteNoise(20, 1.0 * u.Hz**0.5)),
        projections=Projection(
            "psp", "E_inp", conn=brain, speed=10 * u.mm / u.ms, coupling="sigmoidal_jansen_rit", k=20 * u.Hz
        ),
    )
    run = Simulator(net, dt=0.5 * u.ms).run(
        4 * u.second, inputs={"E_inp": 220 * u.Hz}, monitors=["psp"], sample_every=4
    )
    eeg = np.asarray(run["psp"].to_decimal(u.mV))[500:]
    peaks = np.fft.rfftfreq(len(eeg), 2e-3)[np.abs(np.fft.rfft(eeg - eeg.mean(0), axis=0)).argmax(0)]
    assert peaks.min() > 8 and peaks.max() < 12
    assert eeg.std(0).min() > 0.3
