"""Feedback inhibition control: the fixed point, its gradient, its stability, the rates of a noisy network."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, Connectome, Network, Simulator, WhiteNoise, WongWangExcInhStep
from brainmass_delays.nodes import feedback_inhibition, tune_inhibition

CONNECTOME = Connectome.synthetic(76).normalize("max")


def network(J_i, noise=0.0, G=0.5):
    node = WongWangExcInhStep(
        76, J_i=J_i, G=G, noise_e=WhiteNoise(76, noise), noise_i=WhiteNoise(76, noise), method="euler"
    )
    return Network(node, conn=CONNECTOME.weights, coupling="additive", coupled_var="S_e", k=1.0)


def rate_of(S):
    return S / (0.641e-3 * 100 * (1 - S))


def test_the_network_rests_at_the_rate_wanted():
    found = feedback_inhibition(WongWangExcInhStep(76, G=0.5), CONNECTOME.weights)
    node = WongWangExcInhStep(76, G=0.5, J_i=found.J_i)
    H_e, H_i = node.firing_rates(found.S_e, found.S_i, CONNECTOME.weights @ found.S_e)
    np.testing.assert_allclose(H_e, 3.0, rtol=1e-12)
    np.testing.assert_allclose(H_i, found.rate_i.to_decimal(u.Hz), rtol=1e-12)
    rates = node.derivative(
        (found.S_e, found.S_i), 0.0 * u.ms, (CONNECTOME.weights @ found.S_e, 0.0, 0.0, 0.0, 0.0)
    )
    np.testing.assert_allclose(rates, 0.0, atol=1e-15)
    assert found.growth.mantissa < 0


def test_growth_tells_when_the_rest_is_unstable():
    found = feedback_inhibition(WongWangExcInhStep(76, G=30.0), CONNECTOME.weights)
    assert found.growth.mantissa > 0


def test_gradients_equal_central_differences():
    weights = jnp.asarray(Connectome.synthetic(5).normalize("max").weights)

    def total(scale, w_p, rate, lamda):
        node = WongWangExcInhStep(5, w_p=w_p, lamda=lamda)
        return jnp.sum(jnp.sin(feedback_inhibition(node, scale * weights, rate).J_i))

    at = (0.3, 1.4, 3.0, 0.2)
    for i, slope in enumerate(jax.grad(total, (0, 1, 2, 3))(*at)):
        ends = [float(total(*(x + s * (i == j) for j, x in enumerate(at)))) for s in (1e-5, -1e-5)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_a_sweep_over_the_coupling_is_one_program():
    scales = jnp.linspace(0.1, 1.0, 4)
    weights = jnp.asarray(CONNECTOME.weights[:6, :6])
    swept = jax.vmap(lambda s: feedback_inhibition(WongWangExcInhStep(6), s * weights))(scales)
    for i in (0, 3):
        one = feedback_inhibition(WongWangExcInhStep(6), scales[i] * weights)
        np.testing.assert_allclose(swept.J_i[i], one.J_i, rtol=1e-12)
        np.testing.assert_allclose(swept.growth.mantissa[i], one.growth.mantissa, rtol=1e-9)


def test_a_noisy_network_fires_at_3_to_4_hz_everywhere():
    J_i = feedback_inhibition(WongWangExcInhStep(76, G=0.5), CONNECTOME.weights).J_i
    brainstate.random.seed(1)
    run = Simulator(network(J_i, 0.001), dt=1.0 * u.ms).run(
        10 * u.second, monitors=["S_e"], transient=1 * u.second
    )
    rates = rate_of(np.asarray(run["S_e"]).mean(0))
    assert rates.min() > 2.9 and rates.max() < 4.0
    without = Simulator(network(1.0), dt=1.0 * u.ms).run(
        3 * u.second, monitors=["S_e"], transient=1 * u.second
    )
    assert np.ptp(rate_of(np.asarray(without["S_e"]).mean(0))) > 1.0, "without control regions differ"


def test_tuning_corrects_what_noise_adds():
    J_0 = feedback_inhibition(WongWangExcInhStep(76, G=0.5), CONNECTOME.weights).J_i

    def measure(J_i):
        """A stand-in for a simulation: the rate without noise, and the constant that noise adds."""
        return 3.0 + 0.8 * np.linspace(0, 1, 76) - 4.0 * (J_i - np.asarray(J_0))

    J_i, report = tune_inhibition(measure, J_0, tolerance=0.01 * u.Hz)
    assert report["converged"] and report["worst"][-1] < 0.01
    assert np.all(np.diff(report["worst"]) < 0)
    np.testing.assert_allclose(report["rates"], 3.0, atol=0.01)
    _, report = tune_inhibition(measure, J_0, rounds=2, tolerance=0.01 * u.Hz)
    assert not report["converged"] and len(report["worst"]) == 2


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: feedback_inhibition(WongWangExcInhStep(3), np.ones((2, 2))),
            r"feedback_inhibition.weights: must have shape \(3, 3\)",
        ),
        (
            lambda: feedback_inhibition(WongWangExcInhStep(2), np.ones((2, 2)), -1.0),
            "feedback_inhibition.rate: must lie",
        ),
        (
            lambda: feedback_inhibition(WongWangExcInhStep(2), np.ones((2, 2)), 3.0 * u.mV),
            "feedback_inhibition.rate: must have the dimension",
        ),
        (
            lambda: tune_inhibition(lambda J: J * np.nan, np.ones(2)),
            "tune_inhibition.measure: must return finite rates",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
