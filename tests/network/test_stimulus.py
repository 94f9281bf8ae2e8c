"""A stimulus that is part of a network acts like the same one given to a run, and trains."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import (
    ArgumentError,
    HopfStep,
    LinearStep,
    Network,
    Param,
    Projection,
    Simulator,
    get_params,
    stimuli,
)
from brainmass_delays.integrate import solve_network

W = np.random.default_rng(0).uniform(0, 1, (3, 3)) * (1 - np.eye(3))
SITE = np.array([0.0, 1.0, 0.5])


def pulse(onset=4.0 * u.ms):
    return stimuli.Pulse(0.2, onset=onset, width=5.0 * u.ms, edge=3.0 * u.ms).at(SITE)


def network(stages="each", **options):
    node = HopfStep(3, a=0.1, w=0.3, init_x=[0.1, 0.0, -0.1], init_y=0.05)
    return Network(node, conn=W, delay=1.3 * u.ms, coupled_var="x", k=0.2, stages=stages, **options)


def x_of(net, dt=0.1 * u.ms, monitors=("x",), **options):
    return np.asarray(Simulator(net, dt).run(15 * u.ms, monitors=list(monitors), **options)[monitors[0]])


@pytest.mark.parametrize("stages", ["each", "middle", "frozen"])
def test_it_acts_like_an_input_of_the_run(stages):
    inside = x_of(network(stages, stimulus=pulse()))
    np.testing.assert_allclose(inside, x_of(network(stages), inputs={"x_inp": pulse()}), rtol=0, atol=1e-13)
    by_name = x_of(network(stages, stimulus={"x_inp": pulse()}))
    np.testing.assert_array_equal(inside, by_name)
    assert np.abs(inside - x_of(network(stages))).max() > 0.05


def test_it_adds_to_the_inputs_of_a_run():
    both = x_of(network(stimulus=pulse()), inputs={"x_inp": pulse()})
    np.testing.assert_allclose(both, x_of(network(stimulus=2 * pulse())), rtol=0, atol=1e-13)


def test_every_population_has_its_own():
    nodes = {"a": HopfStep(3, init_x=0.1), "b": LinearStep(2, gamma=-1.0)}
    link = Projection("a.x", "b.x_inp", weights=np.ones((2, 3)), delay=1 * u.ms, coupling="additive")
    stimulus = {"b.x_inp": stimuli.Constant(np.array([1.0, 0.0]))}
    net = Network(nodes, projections=[link], stimulus=stimulus)
    still = Network(nodes, projections=[link])
    difference = x_of(net, monitors=("b.x",)) - x_of(still, monitors=("b.x",))
    t = 0.1 * np.arange(1, 151)
    np.testing.assert_allclose(difference, np.stack([1 - np.exp(-t), 0 * t], 1), atol=1e-3)


def test_it_trains_with_the_gradient_of_central_differences():
    net = network(stimulus=pulse(Param(4.2 * u.ms)))
    assert "onset" in next(name for name in get_params(net) if name.endswith("onset"))
    run = Simulator(net, 0.1 * u.ms).function(15 * u.ms, monitors=["x"])

    def loss(onset):
        return jnp.sum(run({"onset": onset * u.ms})["x"] ** 2)

    gradient = jax.grad(loss)(4.2)
    np.testing.assert_allclose(gradient, (loss(4.2 + 1e-5) - loss(4.2 - 1e-5)) / 2e-5, rtol=1e-6)
    assert abs(gradient) > 1e-3


def test_an_equation_has_it_too():
    net = network(stimulus=pulse(), interpolation="hermite")
    with brainstate.environ.context(dt=0.02 * u.ms):
        brainstate.nn.init_all_states(net)
    found = solve_network(net, 15 * u.ms, rtol=1e-8, atol=1e-9).ys["x"]
    np.testing.assert_allclose(found, x_of(net, dt=0.02 * u.ms)[-1], rtol=0, atol=2e-3)
    still = x_of(network(), dt=0.02 * u.ms)[-1]
    assert np.abs(np.asarray(found) - still).max() > 0.05


@pytest.mark.parametrize(
    ("stimulus", "message"),
    [
        (lambda t: t, "Network.stimulus: must be a Stimulus"),
        ({"z_inp": stimuli.Constant(1.0)}, "Network.stimulus: must be one of 'x_inp'"),
        (3.0, "Network.stimulus: must be a Stimulus"),
    ],
)
def test_what_is_no_stimulus_is_refused(stimulus, message):
    with pytest.raises(ArgumentError, match=message):
        network(stimulus=stimulus)


def test_a_stimulus_of_other_regions_is_refused():
    net = network(stimulus=stimuli.Constant(np.ones(99)))
    with pytest.raises(ArgumentError, match=r"x_inp: must be a number or have shape .*; got \(99,\)"):
        Simulator(net, dt=0.1 * u.ms).run(1 * u.ms)


def test_the_class_of_a_stimulus_is_no_stimulus():
    with pytest.raises(ArgumentError, match="must be an object, not its class; got .* Write Pulse"):
        Simulator(network(), dt=0.1 * u.ms).run(1 * u.ms, inputs={"x_inp": stimuli.Pulse})
