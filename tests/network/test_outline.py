"""What is printed of networks, simulators and sweeps fits a screen and says what matters."""

import brainunit as u
import jax
import numpy as np
import pytest

from brainmass_delays import (
    Connectome,
    HopfStep,
    LinearStep,
    Network,
    Param,
    Projection,
    Simulator,
    WhiteNoise,
)
from brainmass_delays.sweeps import sweep


def fits(text, n_lines=24):
    lines = text.splitlines()
    return len(lines) <= n_lines and max(map(len, lines)) <= 110


def whole_brain(**options):
    node = HopfStep(94, a=Param(np.linspace(-0.1, 0.1, 94), fit=True), noise_x=WhiteNoise(94, 0.1))
    speed = Param(5 * u.mm / u.ms, fit=True)
    options = {"speed": speed, "max_delay": 100 * u.ms} | options
    return Network(node, conn=Connectome.synthetic(94), coupled_var="x", **options)


def test_a_network_says_what_it_is_made_of():
    text = repr(whole_brain(k=0.3))
    for part in (
        "94 nodes",
        "HopfStep",
        "noise_x WhiteNoise",
        "node.x -> node.x_inp",
        "k 0.3",
        "100 ms",
        "5 mm / ms",
    ):
        assert part in text
    assert "94 values, -0.1 to 0.1" in text
    assert fits(text)


def test_many_parts_are_counted():
    nodes = {f"area_{i}": LinearStep(2, gamma=Param(-0.1, fit=True)) for i in range(30)}
    links = {
        f"link_{i}": Projection(
            (f"area_{i}", "x"), (f"area_{i + 1}", "x_inp"), weights=np.ones((2, 2)), delay=2 * u.ms
        )
        for i in range(29)
    }
    network = Network(nodes, projections=links)
    assert fits(repr(network))
    assert "... 25 more" in repr(network)
    assert "... 24 more" in repr(network)
    assert fits(repr(Simulator(network, dt=1 * u.ms)), 25)


def test_a_simulator_names_its_step_and_model():
    assert (
        repr(Simulator(LinearStep(2), dt=0.5 * u.ms)).splitlines()[0]
        == "Simulator, dt 0.5 ms, gradient reverse"
    )
    assert "of the environment" in repr(Simulator(whole_brain()))


def test_under_a_trace():
    seen = []

    @jax.jit
    def build(speed):
        seen.append(repr(whole_brain(speed=Param(speed * u.mm / u.ms, fit=True))))
        return speed

    build(4.0)
    assert "traced" in seen[0]


@pytest.mark.filterwarnings("ignore:sweep")
def test_a_sweep_counts_points_and_failures():
    axes = {"a": np.linspace(1, 2, 50) * u.mV, "b": [0.0, 4.0]}
    text = repr(sweep(lambda a, b: {"ratio": a / b, "many": a * b * np.ones(50)}, axes))
    assert fits(text)
    for part in ("100 points, 50 failed", "50 values, 1 to 2 mV", "50 x 2 x 50 values, 0 to 8 mV"):
        assert part in text
