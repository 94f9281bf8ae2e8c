"""Rounding once, undoing it, and the saturation report."""

import brainstate
import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.spiking import DelayLayer, freeze_delays, saturation

DELAY = np.array([0.2, 1.7, 4.49, 8.6])


@pytest.mark.parametrize("rule", ["round", "linear", "gaussian", "triangular"])
def test_frozen_layers_shift_by_whole_steps_without_compiling_again(rng, rule):
    layer, compiled = DelayLayer(4, max_delay=9 * u.ms, interpolation=rule, delay=DELAY * u.ms), []
    run = brainstate.transform.jit(lambda x: (compiled.append(1), layer(x))[1])
    x = rng.normal(size=(2, 30, 4))
    soft = run(x)
    exact = DelayLayer(4, max_delay=9 * u.ms, delay=np.rint(DELAY) * u.ms)(x)
    with freeze_delays(layer) as frozen:
        np.testing.assert_allclose(run(x), exact, atol=1e-12)
        np.testing.assert_array_equal(frozen.steps["layer"], [0, 2, 4, 9])
        assert abs(frozen.largest_move - 0.49) < 1e-9
    np.testing.assert_array_equal(run(x), soft)
    np.testing.assert_array_equal(u.get_magnitude(layer.delay.value()), DELAY)
    assert len(compiled) == 1


def test_the_price_of_rounding_is_reported(rng):
    layer, x = (
        DelayLayer(4, max_delay=9 * u.ms, interpolation="linear", delay=DELAY * u.ms),
        rng.normal(size=(2, 30, 4)),
    )
    frozen = freeze_delays(layer, lambda: (layer(x) ** 2).mean())
    rounded = DelayLayer(4, max_delay=9 * u.ms, delay=np.rint(DELAY) * u.ms)
    assert frozen.loss_before != frozen.loss_after
    np.testing.assert_allclose(frozen.loss_after, (rounded(x) ** 2).mean())
    np.testing.assert_allclose(frozen.loss_change, frozen.loss_after - frozen.loss_before)


def test_layers_inside_modules_are_found():
    class Network(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = DelayLayer(4, max_delay=9 * u.ms, delay=DELAY * u.ms)
            self.second = DelayLayer(2, max_delay=5 * u.ms, delay=np.array([0.0, 2.0]) * u.ms)

    network = Network()
    assert set(freeze_delays(network).steps) == {"first", "second"}
    report = saturation(network)
    np.testing.assert_allclose(report, (2 / 6, 1 / 6, 6))
    assert report.total == report.at_min + report.at_max


def test_bad_modules_name_themselves():
    with pytest.raises(
        ArgumentError, match="freeze_delays.module: must contain a layer of delays; got Linear"
    ):
        freeze_delays(brainstate.nn.Linear(2, 2))
    layer = DelayLayer(1, max_delay=5 * u.ms, delay=np.array([2.0]) * u.ms)
    layer.delay.set_value(np.array([6.0]) * u.ms)
    brainstate.transform.jit(layer)(np.zeros((1, 9, 1)))
    with pytest.raises(RunError, match="project_delays"):
        freeze_delays(layer)
