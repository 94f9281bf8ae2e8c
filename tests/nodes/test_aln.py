"""The cascade model: two Euler steps of neurolib (tests/golden/nodes_neurolib_aln.py), gradients, signals, the table."""

from pathlib import Path

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.integrate.steps import per_ms
from brainmass_delays.nodes.aln import ALNStep, CascadeTable

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nodes_neurolib_aln.npz")
TABLE = CascadeTable(*(GOLDEN[f"table/{name}"] for name in CascadeTable._fields))


def placed(numbers, **options):
    """Return a node in a state given as numbers, the spreads at their start."""
    node = ALNStep(numbers.shape[1], table=TABLE, method="euler", **options)
    brainstate.nn.init_all_states(node)
    for s, x in zip(node.STATES, numbers, strict=False):
        getattr(node, s.name).value = x if s.unit.is_unitless else x * s.unit
    return node


def test_two_steps_are_those_of_neurolib():
    """The second step sees the spread after the first: it is filtered in both."""
    node = placed(GOLDEN["before"], a=5.0, b=15.0)
    far = 0.002 * u.kHz
    with brainstate.environ.context(dt=0.1 * u.ms):
        for _ in range(2):
            node.update(E_inp=far, E_inp2=far, E_local=12.0 * u.Hz, I_local=25.0 * u.Hz)
    for s, expected in zip(node.STATES, GOLDEN["after"], strict=False):
        found = u.get_mantissa(getattr(node, s.name).value)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=s.name)


def test_gradients_equal_central_differences():
    numbers = jnp.asarray(np.vstack([GOLDEN["before"][:, :3], np.full((2, 3), 1.7)]))
    names = [p.name for p in ALNStep.PARAMETERS]

    def rates(values, numbers):
        node = ALNStep(3, table=TABLE, **dict(zip(names, values, strict=True)))
        state = tuple(
            x if s.unit.is_unitless else x * s.unit for x, s in zip(numbers, node.STATES, strict=True)
        )
        drive = node.step_inputs((0.002, 0.003, 0.012, 0.025, 0.1, -0.1))
        found = node.derivative(state, 0.0 * u.ms, drive)
        return jnp.stack([per_ms(r, s.unit) for r, s in zip(found, node.STATES, strict=True)])

    at = jnp.array([float(p.default) for p in ALNStep.PARAMETERS])
    weight = jnp.asarray(np.random.default_rng(0).normal(size=(13, 3))) / (1 + abs(rates(at, numbers)))

    def loss(values, numbers):
        return jnp.sum(weight * rates(values, numbers))

    slopes, by_state = jax.grad(loss, (0, 1))(at, numbers)
    steps = 1e-6 * np.maximum(1.0, np.abs(at))
    ends = jax.vmap(loss, (0, None))(at + np.concatenate([np.diag(steps), -np.diag(steps)]), numbers)
    np.testing.assert_allclose(
        slopes, (ends[: len(at)] - ends[len(at) :]) / (2 * steps), rtol=1e-5, atol=1e-8
    )
    direction = jnp.asarray(np.random.default_rng(1).normal(size=(13, 3))) * 1e-6
    expected = (loss(at, numbers + direction) - loss(at, numbers - direction)) / 2
    np.testing.assert_allclose(jnp.sum(by_state * direction), expected, rtol=1e-5)


def test_signals_are_the_rates_of_the_table():
    node = placed(GOLDEN["before"])
    state = tuple(getattr(node, s).value for s in node.STATE_NAMES)
    rate_e, rate_i = (node.SIGNALS[name](node, state).to_decimal(u.kHz) for name in ("rate_e", "rate_i"))
    np.testing.assert_allclose(rate_i, TABLE.lookup(GOLDEN["before"][1], 1.5)[0], rtol=1e-12)
    np.testing.assert_allclose(
        rate_e, TABLE.lookup(GOLDEN["before"][0] - GOLDEN["before"][2] / 200, 1.5)[0], rtol=1e-12
    )


def test_the_table_is_exact_at_its_points_and_holds_its_border():
    for name, found in zip(
        ("rate", "potential", "tau_mu", "tau_sigma"), TABLE.lookup(TABLE.mu[7], TABLE.sigma[3]), strict=True
    ):
        np.testing.assert_allclose(found, getattr(TABLE, name)[7, 3], rtol=1e-12)
    np.testing.assert_allclose(TABLE.lookup(99.0, -3.0)[0], TABLE.rate[-1, 0], rtol=1e-12)
    assert float(jax.grad(lambda mu: TABLE.lookup(mu, 2.0)[0])(99.0)) == 0.0


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ArgumentError, match="CascadeTable.read: needs the package h5py. pip install h5py"):
        CascadeTable.read("quantities_cascade.h5")
