"""Mistakes that would show late or nowhere are refused where they are made."""

import traceback

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_hidden_mistakes import W, network, simulator

from brainmass_delays import (
    ArgumentError,
    HopfStep,
    LinearStep,
    Network,
    NeuralMass,
    Param,
    Projection,
    RunError,
    Simulator,
    WhiteNoise,
)
from brainmass_delays.nodes import StateVariable

DT = 0.25 * u.ms

TABLE = np.linspace(0.0, 1.0, 20)


@pytest.mark.parametrize(
    "options",
    [
        {"inputs": {"x_inp": lambda t: 1.0 if t > 1 * u.ms else 0.0}},
        {"inputs": {"x_inp": lambda t: float(t / u.ms)}},
        {"inputs": {"x_inp": lambda i, t: TABLE[i]}},
        {"inputs": {"x_inp": lambda i, t: list(TABLE)[i]}},
        {"monitors": lambda m: 1.0 if m.node.x.value[0] > 0 else 0.0},
    ],
)
def test_a_number_that_is_needed_too_early_is_shown(options):
    with pytest.raises(
        ArgumentError, match=r"known only while it runs.*lambda.*test_named_mistakes.py:\d+.*jnp"
    ):
        simulator().run(2 * u.ms, **options)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t: jnp.ones(2), r"must return a number or shape \(..., 3\); got \(2,\)"),
        (lambda a, b, c: 1.0, r"must be a function f\(t\) or f\(i, t\); got a function \(a, b, c\)"),
        (lambda: 1.0, r"must be a function f\(t\) or f\(i, t\); got a function \(\)"),
    ],
)
def test_an_input_function_that_does_not_fit_is_named(function, message):
    with pytest.raises(ArgumentError, match=rf"Simulator.run.inputs\['x_inp'\]: {message}"):
        simulator().run(2 * u.ms, inputs={"x_inp": function})


def test_a_method_that_is_set_later_is_checked():
    node = HopfStep(2)
    node.method = "rk2"
    assert node.method == "heun"
    with pytest.raises(ArgumentError, match="HopfStep.method: must be one of"):
        node.method = "foo"


def test_a_read_without_states_says_so():
    with pytest.raises(ArgumentError, match="must be initialized before it is read"):
        network().source_read()


class Deaf(LinearStep):
    """Forgets its input."""

    def derivative(self, state, t, drive):
        return (-self.gamma.value() * state[0],)


@pytest.mark.parametrize(
    "run",
    [
        lambda: simulator(network(Deaf(3, gamma=-1.0, init_x=0.5))).run(5 * u.ms),
        lambda: simulator(Deaf(3, noise_x=WhiteNoise(3, 0.1))).run(5 * u.ms),
        lambda: simulator(Deaf(3)).run(5 * u.ms, inputs={"x_inp": np.ones((10, 3))}),
        lambda: simulator(Deaf(3)).run(5 * u.ms, inputs=lambda i, t: 1.0),
    ],
    ids=["coupling", "noise", "table", "function"],
)
def test_an_input_that_no_rate_depends_on_is_refused(run):
    with pytest.raises(ArgumentError, match=r"Deaf.derivative: must use the input x_inp .*drive\[0\]"):
        run()


def test_a_model_without_inputs_may_have_no_use_for_them():
    x = simulator(Deaf(3, gamma=-1.0, init_x=0.5)).run(5 * u.ms, monitors=["x"])["x"]
    assert np.all(np.diff(x[:, 0]) > 0)


def test_a_past_that_the_step_does_not_store_is_refused():
    class ByHand(brainstate.nn.Module):
        def __init__(self, stores):
            super().__init__()
            self.node = HopfStep(3, init_x=0.1)
            self.read = self.node.prefetch_delay("x", 2.0 * u.ms)
            self.step = self.node if stores else self.node.update

        def update(self):
            return self.step(0.1 * self.read())

    with pytest.raises(ArgumentError, match=r"stores its past when it is called.*self\.node\(\.\.\.\)"):
        simulator(ByHand(False)).run(5 * u.ms)
    assert np.isfinite(simulator(ByHand(True)).run(5 * u.ms)["output"]).all()


@pytest.mark.parametrize("name", ["delay", "edges", "coupling", "source", "weights", "max_delay", "k"])
def test_parts_of_a_projection_are_not_replaced(name):
    pathway = network(coupling="kuramoto" if name == "k" else "additive").projections["projection"]
    if name == "k":
        pathway.k = 0.7
        assert float(pathway.coupling.k.value()) == 0.7
        return
    with pytest.raises(ArgumentError, match=rf"Projection.{name}: cannot be changed after construction"):
        setattr(pathway, name, 9.0 * u.ms)


def test_settings_of_a_simulator_are_checked_wherever_they_are_set():
    sim = simulator()
    sim.gradient, sim.grad_horizon, sim.checkpoint = "forward", 3 * u.ms, False
    with pytest.raises(ArgumentError, match=r"Simulator.gradient: must be one of.*forward"):
        sim.gradient = "fwd"
    with pytest.raises(ArgumentError, match=r"Simulator.grad_horizon"):
        sim.grad_horizon = 3.0
    for name in ("model", "dt", "seed"):
        with pytest.raises(ArgumentError, match=rf"Simulator.{name}: cannot be set"):
            setattr(sim, name, 1.0)


def test_a_difference_needs_something_to_be_taken_from():
    nodes = {"a": HopfStep(3, init_x=0.1), "b": LinearStep(3)}

    def projected(coupling, **options):
        given = {"weights": W, "delay": 2.0 * u.ms, "coupling": coupling} | options
        return Network(nodes, projections={"ab": Projection("a.y", "b.x_inp", **given)})

    with pytest.raises(
        ArgumentError, match=r"compared: is needed, since LinearStep has no 'y'.*compared= one of x"
    ):
        projected("diffusive")
    projected("diffusive", compared="x")
    projected("additive")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: simulator(network(delay_init=lambda t, x: x)), r"delay_init: must be a function of \(t\)"),
        (
            lambda: simulator(network(delay_init=lambda t: jnp.cos(t))).run(5 * u.ms),
            "delay_init: must take a time with a unit.*Divide",
        ),
        (lambda: simulator().run(5 * u.ms, monitors=lambda m: "abc"), "must return numbers; got 'abc'"),
        (lambda: network().equation(), r"Network.equation: must be initialized.*init_all_states"),
        (
            lambda: Projection(lambda: 3, "b.x_inp", weights=W),
            r"Projection.source: must be a function of \(node\)",
        ),
    ],
)
def test_a_message_names_the_argument_and_the_cure(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


class Tank(NeuralMass):
    """Simulate a level that falls through a hole, until its root is undefined."""

    STATES = (StateVariable("level", 0.01),)

    def derivative(self, state, t, inflow):
        return ((inflow[0] - jnp.sqrt(state[0])) / u.ms,)


@pytest.mark.parametrize("speed", [5.0, Param(5.0 * u.mm / u.ms)], ids=["fixed", "live"])
def test_a_nan_is_found_at_the_line_that_makes_it(speed):
    """The engine makes none of its own under ``jax.debug_nans``, which would stop there."""
    net = Network(
        Tank(3), conn=W, lengths=W * u.mm, speed=speed, max_delay=5 * u.ms, coupled_var="level", k=0.001
    )
    with pytest.raises(RunError, match=r"under jax.disable_jit\(\) and jax.debug_nans\(True\)"):
        Simulator(net, dt=DT).run(2 * u.ms)
    with jax.disable_jit(), jax.debug_nans(True), pytest.raises(FloatingPointError) as stop:
        Simulator(net, dt=DT).run(2 * u.ms)
    lines = [frame.line for frame in traceback.extract_tb(stop.value.__cause__.__traceback__)]
    assert any("jnp.sqrt(state[0])" in line for line in lines)
