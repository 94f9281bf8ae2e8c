"""Mistakes that once gave other numbers without a word: every one is refused or does what it says."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from brainmass_delays import (
    ArgumentError,
    Fitter,
    HopfStep,
    LinearStep,
    Network,
    OUNoise,
    Param,
    Projection,
    SeparableCoupling,
    Simulator,
    WhiteNoise,
    objectives,
    observe,
)

W = np.random.default_rng(0).uniform(0, 1, (3, 3)) * (1 - np.eye(3))
LENGTHS = np.random.default_rng(1).uniform(5, 30, (3, 3)) * u.mm


def network(node=None, **options):
    node = node or HopfStep(3, a=0.1, w=0.5, init_x=[0.1, -0.2, 0.3], init_y=0.1)
    given = {"conn": W, "lengths": LENGTHS, "speed": 5.0 * u.mm / u.ms, "coupled_var": "x", "k": 0.2}
    return Network(node, **{**given, **options})


def simulator(net=None):
    return Simulator(net or network(), dt=0.5 * u.ms)


def bounded(**options):
    return network(speed=Param(4.0 * u.mm / u.ms), k=Param(0.2), max_delay=20 * u.ms, **options)


def fitter(net):
    return Fitter(net, optax.adam(0.1), predict=lambda m: simulator(m).run(10 * u.ms, monitors=["x"])["x"])


ZEROS = np.zeros((20, 3))


def test_a_param_that_is_fixed_later_stays():
    net = bounded()
    search = fitter(net)
    net.speed.fit = False
    moved = search.fit(ZEROS, n_steps=2).best_params
    assert set(moved) == {"coupling.k"}
    assert net.speed.value().to_decimal(u.mm / u.ms) == 4.0
    net.speed.fit = True
    assert set(search.fit(ZEROS, n_steps=2).best_params) == {"coupling.k", "speed"}
    assert net.speed.value().to_decimal(u.mm / u.ms) != 4.0


def test_a_param_that_is_trained_later_or_replaced_moves():
    net = bounded()
    search = fitter(net)
    net.node.a.fit = True
    net.coupling.k = Param(0.6)
    found = search.fit(ZEROS, n_steps=3)
    assert set(found.best_params) == {"coupling.k", "node.a", "speed"}
    assert found.param_history["coupling.k"][0] == pytest.approx(0.6)
    assert found.param_history["coupling.k"][-1] != pytest.approx(0.6, abs=1e-3)


def test_a_foreign_param_that_is_fixed_later_stays():
    net = bounded()
    net.coupling.k = brainstate.nn.Param(0.3)
    net.coupling.k.fit = False
    assert set(fitter(net).fit(ZEROS, n_steps=2).best_params) == {"speed"}


@pytest.mark.parametrize("noise", [WhiteNoise(1, 0.1), OUNoise(1, 0.1), {"x_inp": WhiteNoise(2, 0.1)}])
def test_noise_of_another_shape_is_refused(noise):
    with pytest.raises(ArgumentError, match=r"must have the shape of the population, \(3,\)"):
        network(noise=noise)


def test_noise_that_is_set_later_is_checked():
    node = HopfStep(3)
    for wrong, message in ((WhiteNoise(1, 0.1), "shape of the population"), (0.1, "must be a noise module")):
        with pytest.raises(ArgumentError, match=f"HopfStep.noise_x: .*{message}"):
            node.noise_x = wrong
    node.noise_x = WhiteNoise(3, 0.1)


def test_a_monitor_belongs_to_one_run():
    monitor = {"m": observe.TemporalAverage("x", period=None)}
    first, second = simulator(), simulator()
    first.run(10 * u.ms, monitors=monitor)
    second.run(10 * u.ms, monitors=monitor)
    with pytest.raises(ArgumentError, match="one that has followed another run"):
        first.run(10 * u.ms, monitors=monitor, init_states=False)


def test_a_new_monitor_does_not_begin_within_a_window():
    def means():
        return {"m": observe.TemporalAverage("x", period=4 * u.ms)}

    sim = simulator()
    sim.run(10 * u.ms, monitors=means())
    with pytest.raises(ArgumentError, match="must not begin within a window of 4 ms"):
        sim.run(8 * u.ms, monitors=means(), init_states=False)
    whole = simulator().run(16 * u.ms, monitors=means())["m"]
    sim = simulator()
    sim.run(8 * u.ms, monitors=means())
    np.testing.assert_array_equal(sim.run(8 * u.ms, monitors=means(), init_states=False)["m"], whole[2:])


@pytest.mark.parametrize("batch", [None, 2])
def test_a_saved_run_keeps_fixed_parameters_and_its_batch(batch, tmp_path):
    one, other = simulator(), simulator()
    one.model.node.a = 0.6
    one.run(5 * u.ms, monitors=["x"], batch_size=batch)
    one.save(tmp_path / "run.npz")
    other.load(tmp_path / "run.npz")
    ends = [s.run(5 * u.ms, monitors=["x"], init_states=False)["x"] for s in (one, other)]
    np.testing.assert_array_equal(*ends)


class Bare(SeparableCoupling):
    def __init__(self, x, conn, k=1.0):
        super().__init__({"x": x}, conn, k=k)

    def features(self, x):
        return jnp.sin(x)

    def combine(self, sums, y=None):
        return self.k.value() * sums[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulator(network(coupling=Bare)).run(1 * u.ms), r"Bare.features: must return a tuple"),
        (
            lambda: simulator().run(1 * u.ms, inputs={"x_inp": 0.1, "node.x_inp": 0.2}),
            "must name every input once",
        ),
        (lambda: simulator().run(1 * u.ms, inputs={"x_inp": lambda t: None}), "must return a number"),
        (lambda: simulator().run(1 * u.ms, monitors=lambda m: None), "must return what is recorded"),
        (lambda: Network({"a": LinearStep(2)}, regions={"a": [0, -1]}, projections=[]), "not be negative"),
        (
            lambda: Network(
                {"a": LinearStep(2)},
                regions={"a": [0, 9]},
                projections=[Projection("x", "x_inp", conn=W, delay=1 * u.ms)],
            ),
            "must be indices of a connectome",
        ),
        (
            lambda: Network(LinearStep(3), projections=[Projection(("node", "x", "y"), "x_inp", weights=W)]),
            "must be a name or a pair",
        ),
    ],
)
def test_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


class Mixin:
    def dx(self, *_):
        return 1e3


def test_overrides_are_seen_wherever_they_come_from():
    with pytest.raises(ArgumentError, match="Sub.dx: is never called"):
        type("Sub", (Mixin, HopfStep), {})

    class Own(HopfStep):
        def dx(self, x):
            return -x

        def derivative(self, state, t, drive):
            return self.dx(state[0]), 0.0 * state[1]

    assert type("Sub", (Own,), {"dx": lambda self, x: x})(1).dx(2) == 2


def test_stepping_by_hand_keeps_its_step():
    net = network()
    with brainstate.environ.context(dt=0.5 * u.ms, i=0, t=0 * u.ms):
        brainstate.nn.init_all_states(net)
        net.update()
    with (
        brainstate.environ.context(dt=0.25 * u.ms, i=1, t=0.5 * u.ms),
        pytest.raises(ArgumentError, match="must stay 0.5 ms"),
    ):
        net.update()


def test_a_run_within_a_trace_is_not_continued():
    sim = simulator()
    jax.jit(lambda v: sim.run(2 * u.ms, inputs={"x_inp": v}, monitors=["x"])["x"][-1])(0.1)
    with pytest.raises(ArgumentError, match="after a run inside of jax.jit"):
        sim.run(2 * u.ms, init_states=False)


def test_the_strength_of_a_foreign_coupling_can_be_read():
    class Own(brainstate.nn.Module):
        def __init__(self, x, y, conn, k=1.0):
            super().__init__()
            self.x, self.conn, self.k = x, conn, Param(k, fit=False)

        def update(self):
            return self.k.value() * jnp.sum(self.conn.value() * self.x(), -1)

    net = network(coupling=Own, k=0.3)
    assert net.k.value() == pytest.approx(0.3)


def test_trainable_weights_of_zero_need_no_length():
    weights, lengths = W.copy(), np.array(LENGTHS.mantissa)
    weights[0, 1], lengths[0, 1] = 0.0, np.nan
    ends = [
        simulator(network(conn=conn, lengths=lengths * u.mm)).run(5 * u.ms, monitors=["x"])["x"]
        for conn in (weights, Param(weights))
    ]
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-14)
    net = network(conn=Param(weights), lengths=lengths * u.mm)
    trained = fitter(net).fit(ZEROS, n_steps=2).best_params["coupling.conn"]
    assert trained[0, 1] == 0.0
    assert np.all(np.isfinite(trained))


def test_a_matrix_of_correlations_with_gaps_is_refused():
    fc = np.eye(3)
    fc[1, 1] = np.nan
    with pytest.raises(ArgumentError, match="fc_rmse.*correlation matrix"):
        objectives.fc_rmse(np.random.default_rng(0).normal(size=(20, 3)), fc)
