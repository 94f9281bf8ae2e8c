"""A network in several parts, or with several projections, is the network that it adds up to."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from test_equivalence import DT

from brainmass_delays import (
    HopfStep,
    Network,
    Param,
    Projection,
    Simulator,
    WilsonCowanStep,
)
from brainmass_delays._core.parameters import find_parameters


def _hopf(regions, **options):
    x0 = np.linspace(-0.4, 0.5, 12)
    a = np.linspace(-0.2, 0.3, 12)
    return HopfStep(len(regions), a=a[regions], w=0.3, init_x=x0[regions], init_y=0.1, **options)


@pytest.mark.parametrize("rule", [pytest.param("linear", marks=pytest.mark.slow), "hermite"])
def test_a_network_in_two_parts_is_the_network(rule):
    rng = np.random.default_rng(0)
    weights, lengths = rng.uniform(0, 1, (12, 12)) * (1 - np.eye(12)), rng.uniform(0.2, 30, (12, 12))
    options = {"coupling": "diffusive", "k": 0.05}
    whole = Network(
        _hopf(np.arange(12)),
        conn=weights,
        lengths=lengths,
        speed=4.0,
        coupled_var="x",
        interpolation=rule,
        **options,
    )
    parts = {"a": np.array([7, 0, 3, 11, 5]), "b": np.array([1, 2, 4, 10, 9, 8, 6])}
    split = Network(
        {name: _hopf(index) for name, index in parts.items()},
        regions=parts,
        interpolation=rule,
        projections={
            f"{s}_to_{t}": Projection(
                (s, "x"), (t, "x_inp"), conn=weights, lengths=lengths, speed=4.0, **options
            )
            for s in parts
            for t in parts
        },
    )
    one, two = (Simulator(net, dt=0.25 * u.ms).run(15 * u.ms, monitors=["x"])["x"] for net in (whole, split))
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-12)


def _rectangular(lengths, now):
    there = Projection(
        ("a", "x"),
        ("b", "x_inp"),
        weights=Param(now["there.coupling.conn"], fit=True),
        k=0.2,
        lengths=lengths,
        speed=Param(now["there.speed"], fit=True),
        max_delay=9 * u.ms,
    )
    back = Projection(
        ("b", lambda n: n.x.value**2),
        ("a", "y_inp"),
        weights=np.ones((5, 2)),
        coupling="additive",
        delay=Param(now["back.delay"], fit=True),
        k=Param(now["back.coupling.k"], fit=True),
        max_delay=5 * u.ms,
    )
    nodes = {"a": _hopf(np.arange(5)), "b": HopfStep(2, a=0.1, w=0.2, init_x=[0.3, -0.2], init_y=0.0)}
    return Network(nodes, interpolation="cubic", projections={"there": there, "back": back})


def test_gradients_of_rectangular_projections_are_differences():
    """A speed, a delay, weights and a strength of populations of other sizes, against central differences."""
    rng = np.random.default_rng(4)
    values = {
        "there.speed": 4.0 * u.mm / u.ms,
        "back.delay": 2.3 * u.ms,
        "back.coupling.k": 0.4,
        "there.coupling.conn": rng.uniform(0, 1, (2, 5)),
    }

    lengths = rng.uniform(1.1, 30, (2, 5))

    def make(now):
        return _rectangular(lengths, now)

    def loss(net):
        return jnp.sum(Simulator(net, dt=DT * u.ms).run(12 * u.ms, monitors=["a.x"])["a.x"][-8:] ** 2)

    net = make(values)
    parameters = find_parameters(net)
    assert sorted(parameters) == sorted(values)
    states = {name: part.state for name, part in parameters.items()}
    slopes = brainstate.transform.grad(lambda: loss(net), states)()
    for name, value in values.items():
        unit, number = u.get_unit(value), np.asarray(u.get_magnitude(value), float)
        step = np.zeros(number.shape)
        step.flat[-1] = 1e-5
        ends = [
            float(loss(make(values | {name: u.maybe_decimal((number + sign * step) * unit)})))
            for sign in (1, -1)
        ]
        found = np.asarray(u.get_mantissa(slopes[name])).flat[-1]
        assert found == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6), name


def test_two_projections_of_one_node_add_up():
    rng = np.random.default_rng(2)
    weights = rng.uniform(0, 1, (5, 5)) * (1 - np.eye(5))
    first = weights * (rng.random((5, 5)) < 0.5)
    node = lambda: WilsonCowanStep(5, rE_init=0.1, rI_init=0.05)  # noqa: E731
    options = {"delay": 3.1 * u.ms, "k": 0.4, "coupling": "additive"}
    one = Network(node(), projections=Projection("rE", "rE_inp", conn=weights, **options))
    two = Network(
        node(), projections=[Projection("rE", "rE_inp", conn=w, **options) for w in (first, weights - first)]
    )
    a, b = (Simulator(net, dt=0.5 * u.ms).run(20 * u.ms, monitors=["rE"])["rE"] for net in (one, two))
    np.testing.assert_allclose(b, a, rtol=0, atol=1e-13)
    assert two.projections["projection1"].max_delay.to_decimal(u.ms) == pytest.approx(3.1)


def test_inputs_are_added_by_name():
    node = HopfStep(3, a=-0.1, init_x=0.1, init_y=0.0)
    net = Network(node, conn=np.ones((3, 3)) - np.eye(3), delay=1.0 * u.ms, coupled_var="x", k=0.1)
    table = np.random.default_rng(0).normal(size=(20, 3))
    sim = Simulator(net, dt=0.1 * u.ms)
    by_table = sim.run(2 * u.ms, inputs={"x_inp": table}, monitors=["x"])["x"]
    by_function = sim.run(
        2 * u.ms, inputs={"node.x_inp": lambda i, t: jnp.asarray(table)[i]}, monitors=["x"]
    )["x"]
    np.testing.assert_allclose(by_table, by_function, rtol=0, atol=1e-14)
    plain = sim.run(2 * u.ms, monitors=["x"])["x"]
    assert np.abs(by_table - plain).max() > 1e-3
