"""The thalamus beside neurolib, from tests/golden/nodes_neurolib.py: 200 Euler steps, and a run that spindles."""

from pathlib import Path

import brainstate
import brainunit as u
import jax
import numpy as np
import pytest

from brainmass_delays.nodes import ThalamusStep

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nodes_neurolib.npz")


def test_a_step_is_that_of_neurolib():
    before, after = GOLDEN["before"], GOLDEN["after"]
    node = ThalamusStep(200, method="euler")
    brainstate.nn.init_all_states(node)
    for s, x in zip(node.STATES, before, strict=True):
        getattr(node, s.name).value = x if s.unit.is_unitless else x * s.unit
    with brainstate.environ.context(dt=0.01 * u.ms):
        node.update(V_t_inp=0.3 * u.mV, V_r_inp=-0.2 * u.mV)
    for s, expected in zip(node.STATES, after, strict=True):
        if s.name == "ds_et":  # the reference leaves out the decay of the paper where no cortex is attached
            expected = expected + 0.01 * (-(0.07**2) * before[7] - 2 * 0.07 * before[11])
        found = u.get_mantissa(getattr(node, s.name).value)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15, err_msg=s.name)


@pytest.mark.slow
def test_a_run_has_the_rates_and_the_spindle_frequency_of_neurolib():
    node = ThalamusStep(1, method="euler")
    brainstate.nn.init_all_states(node)

    def one(_):
        with brainstate.environ.context(dt=0.01 * u.ms):
            node.update()
        return node.firing_rate(node.V_t.value.mantissa)[0], node.firing_rate(node.V_r.value.mantissa)[0]

    Q_t, Q_r = brainstate.transform.for_loop(one, np.arange(2_000_000))
    found, expected = 1e3 * np.asarray(Q_t)[::100], GOLDEN["run/Q_t"]
    assert abs(found.mean() / expected.mean() - 1) < 0.05
    assert abs(1e3 * float(Q_r.mean()) / GOLDEN["run/mean_Q_r"] - 1) < 0.05
    assert abs(peak(found) / peak(expected) - 1) < 0.05


def peak(rate):
    """Return the dominant frequency above 5 Hz of a rate sampled every ms, in Hz."""
    x = rate[5000:20000] - rate[5000:20000].mean()
    f = np.fft.rfftfreq(len(x), 1e-3)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    smooth = np.convolve(power, np.ones(9), "same") * (f > 5)
    return f[smooth.argmax()]


def test_calcium_at_and_below_zero_keeps_value_and_gradient_finite():
    node = ThalamusStep(1)

    def bound(Ca):
        return node._h_channels(-60.0, Ca, 0.1, 0.1)[1]

    for Ca in (-1e-3, 0.0, 1e-30):
        assert np.isfinite(bound(Ca))
        assert np.isfinite(jax.grad(bound)(Ca))
