"""Regional parameters from maps and groups: values, gradients, tables, mistakes."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError, Grouped, Heterogeneous, HopfStep, JansenRitStep, read_maps

MAPS = np.random.default_rng(5).normal(size=(2, 4))
LINKS = {"exp": lambda b, s: b * np.exp(s), "linear": lambda b, s: b * (1 + s), "add": lambda b, s: b + s}


@pytest.mark.parametrize("link", LINKS)
def test_values_and_gradients_of_every_link(link):
    base, c = 0.4, np.array([0.3, -0.2])

    def response(base, c):
        node = HopfStep(4, a=Heterogeneous(base, MAPS, c, link), init_x=0.2, init_y=0.1)
        brainstate.nn.init_all_states(node)
        with brainstate.environ.context(dt=0.1 * u.ms):
            node.update()
        return jnp.sum(jnp.sin(node.x.value))

    np.testing.assert_allclose(
        Heterogeneous(base, MAPS, c, link).value(), LINKS[link](base, c @ MAPS), rtol=1e-12
    )
    slopes = jax.grad(response, (0, 1))(base, jnp.asarray(c))
    shifts = [(1e-6, 0, 0), (0, 1e-6, 0), (0, 0, 1e-6)]
    ends = [response(base + b, c + [x, y]) - response(base - b, c - [x, y]) for b, x, y in shifts]
    np.testing.assert_allclose(np.r_[slopes[0], slopes[1]], np.array(ends) / 2e-6, rtol=1e-6)


def test_coefficients_train_and_units_stay():
    gain = Heterogeneous(
        Param(3.25 * u.mV, fit=True), {"a": MAPS[0], "b": MAPS[1]}, Param(jnp.array([0.1, 0.2]), fit=True)
    )
    node = JansenRitStep(4, Ae=gain)
    states = node.states(brainstate.ParamState)
    assert sorted(s.value.size for s in states.values()) == [1, 2]
    assert u.get_unit(node.Ae.value()) == u.mV


def test_names_decide_and_not_the_order():
    by_name = Heterogeneous(1.0, {"a": MAPS[0], "b": MAPS[1]}, {"b": 0.5, "a": -0.1})
    np.testing.assert_allclose(by_name.value(), np.exp(-0.1 * MAPS[0] + 0.5 * MAPS[1]), rtol=1e-12)


def test_groups_share_values_and_add_up_gradients():
    def total(values):
        return jnp.sum(Grouped(values, ["b", "a", "b", "b"]).value() * jnp.arange(1.0, 5.0))

    np.testing.assert_allclose(jax.grad(total)(jnp.array([1.0, 2.0])), [2.0, 8.0])
    assert Grouped({"b": 1.0 * u.mV, "a": 2.0 * u.mV}, ["b", "a"]).value().mantissa.tolist() == [1.0, 2.0]


def test_a_table_is_matched_by_label(tmp_path):
    path = tmp_path / "maps.tsv"
    path.write_text("region\tT1w\tPC1\nC\t3\t-1\nA\t1\t0\nunused\tx\ty\nB\t2\t1\n")
    found = read_maps(path, ["A", "B", "C"])
    assert {k: v.tolist() for k, v in found.items()} == {"T1w": [1, 2, 3], "PC1": [0, 1, -1]}
    for labels, text, message in [
        (["D"], None, "no row 'D'"),
        (["A"], "region,m\nA,1\nA,2\n", "two rows 'A'"),
        ([], "region,m\nA,1\n", "read_maps.labels: must name at least one region"),
        (["A"], "region,m\nA,high\n", "read_maps.m: must hold numbers"),
        (["A"], "region,m\nA,nan\n", "read_maps.m: must be finite"),
    ]:
        other = tmp_path / "other.csv"
        other.write_text(text or "region,m\nA,1\n")
        with pytest.raises(ArgumentError, match=message):
            read_maps(other, labels)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Heterogeneous(1.0, [[1.0, np.nan]], [0.1]), "Heterogeneous.maps.0: must be finite"),
        (
            lambda: Heterogeneous(1.0, [[2.0, 2.0]], [0.1]),
            "Heterogeneous.maps.0: must differ between regions",
        ),
        (
            lambda: Heterogeneous(1.0, MAPS, [0.1]),
            r"Heterogeneous.coefficients: must be one per map, shape \(2,\)",
        ),
        (
            lambda: Heterogeneous(1.0, {"a": [1, 2]}, {"b": 1.0}),
            r"must be named like every map \(a\); got \['b'\]",
        ),
        (lambda: Heterogeneous(1.0, MAPS, [0.1, np.nan]), "Heterogeneous.coefficients: must be finite"),
        (lambda: Heterogeneous(1.0, MAPS, [0.1, 0.2], "log"), "Heterogeneous.link: must be one of"),
        (
            lambda: HopfStep(3, a=Heterogeneous(1.0, MAPS, [0.1, 0.2])),
            r"HopfStep.a: must be a scalar or have shape \(3,\)",
        ),
        (
            lambda: JansenRitStep(4, be=Heterogeneous(100.0 * u.Hz, MAPS, [9.0, 0.0], "linear")),
            "JansenRitStep.be: must be positive",
        ),
        (lambda: Grouped([1.0], ["a", "b"]), r"Grouped.values: must be one per group, shape \(2,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
