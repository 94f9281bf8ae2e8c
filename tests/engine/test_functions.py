"""A run as a pure function: what it takes, maps over, differentiates and refuses."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_runs import DT, network

from brainmass_delays import (
    ArgumentError,
    HopfStep,
    Network,
    Param,
    Simulator,
)


def test_the_pure_function_of_a_run():
    """A dict of parameters and a key, mapped, differentiated both ways, and nothing of the model moves."""
    net = network(speed=None)
    net.coupling.k = Param(0.3, fit=True)
    run = Simulator(net, DT, gradient="forward").function(4 * u.ms, monitors=["x"])
    key = jax.random.key(1)
    one = run({"coupling.k": 0.2}, key=key)["x"]
    np.testing.assert_array_equal(jax.jit(lambda k: run({"coupling.k": k}, key=key)["x"])(0.2), one)
    many = jax.vmap(lambda k: run({"coupling.k": k}, key=key)["x"])(jnp.array([0.2, 0.4]))
    np.testing.assert_allclose(many[0], one, rtol=0, atol=1e-13)
    seeds = jax.vmap(lambda key: run({"coupling.k": 0.2}, key=key)["x"])(jax.random.split(key, 3))
    assert np.unique(np.asarray(seeds[:, -1, 0])).size == 3
    loss = lambda k: (run({"coupling.k": k}, key=key)["x"] ** 2).sum()  # noqa: E731
    forward, twice = jax.jacfwd(loss)(0.2), jax.hessian(loss)(0.2)
    h = 1e-5
    assert float(forward) == pytest.approx(float((loss(0.2 + h) - loss(0.2 - h)) / (2 * h)), rel=1e-7)
    slope = jax.jacfwd(loss)
    assert float(twice) == pytest.approx(float((slope(0.2 + h) - slope(0.2 - h)) / (2 * h)), rel=1e-6)
    assert float(net.coupling.k.value()) == 0.3 and not hasattr(net.node, "x")
    with pytest.raises(ArgumentError, match="must be one of 'coupling.k'"):
        run({"q": 1.0})


def _oscillators(**options):
    node = HopfStep(3, a=0.1, w=0.3, init_x=0.3, init_y=0.0)
    speed = Param(4.0 * u.mm / u.ms, fit=True)
    lengths = np.array([[0.0, 9.0, 17.0], [11.0, 0.0, 6.0], [15.0, 8.0, 0.0]])
    return Network(
        node,
        conn=np.ones((3, 3)) - np.eye(3),
        lengths=lengths,
        speed=speed,
        max_delay=9 * u.ms,
        coupled_var="x",
        k=0.2,
        **options,
    )


@pytest.mark.parametrize("init", [None, lambda t: 0.4 * jnp.cos(0.3 * (t / u.ms))])
def test_a_function_starts_where_it_is_told(init):
    """Other initial values give what a model built with them gives; histories follow."""
    start = {"x": np.array([0.1, -0.2, 0.4]), "node.y": np.array([0.0, 0.3, -0.1])}
    run = Simulator(_oscillators(delay_init=init), dt=0.25 * u.ms).function(10 * u.ms, monitors=["x", "y"])
    other = _oscillators(delay_init=init)
    built = HopfStep(3, a=0.1, w=0.3, init_x=start["x"], init_y=start["node.y"])
    net = Network(
        built,
        conn=np.ones((3, 3)) - np.eye(3),
        delay=other.delay(),
        coupled_var="x",
        k=0.2,
        delay_init=init,
    )
    expected = Simulator(net, dt=0.25 * u.ms).run(10 * u.ms, monitors=["x", "y"])
    found = run(states=start)
    np.testing.assert_allclose(found["x"], expected["x"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["y"], expected["y"], rtol=0, atol=1e-12)
    assert not jnp.allclose(found["x"], run()["x"])


def test_all_arguments_of_a_function_can_be_mapped_and_differentiated():
    run = Simulator(_oscillators(), dt=0.25 * u.ms).function(5 * u.ms, monitors=["x"])

    def end(speed, x):
        return jnp.sum(run({"speed": speed}, states={"x": x})["x"][-1] ** 2)

    speeds, starts = jnp.array([3.3, 4.7]), jnp.array([[0.1, 0.2, 0.3], [0.3, -0.1, 0.0]])
    both = jax.vmap(end)(speeds, starts)
    np.testing.assert_allclose(both, [end(*pair) for pair in zip(speeds, starts, strict=True)], rtol=1e-12)
    slope = jax.jit(jax.grad(end, argnums=1))(speeds[0], starts[0])
    h = 1e-5 * jnp.array([0.0, 1.0, 0.0])
    difference = (end(speeds[0], starts[0] + h) - end(speeds[0], starts[0] - h)) / 2e-5
    assert float(slope[1]) == pytest.approx(float(difference), rel=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(states={"z": 1.0}), r"Simulator.function.states: must be one of 'node.x', 'node.y'"),
        (lambda f: f(states={"x": np.ones(2)}), r"states\['x'\]: must have shape \(3,\); got \(2,\)"),
        (lambda f: f(states={"x": 1.0 * u.mV}), r"states\['x'\]: must have the dimension"),
        (lambda f: f({"speeed": 1.0}), "Did you mean 'speed'"),
    ],
)
def test_a_function_refuses_what_it_does_not_know(call, message):
    run = Simulator(_oscillators(), dt=0.25 * u.ms).function(5 * u.ms, monitors=["x"])
    with pytest.raises(ArgumentError, match=message):
        call(run)
    with pytest.raises(ArgumentError, match=r"Simulator.function: must be one of .*'monitors'"):
        Simulator(_oscillators(), dt=0.25 * u.ms).function(5 * u.ms, monitor=["x"])
