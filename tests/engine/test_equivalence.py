"""However a network is run, it does the same: by hand, in blocks, in spans, traced, batched, copied, continued."""

import pickle

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainmass_delays import (
    Coupling,
    HopfStep,
    Network,
    OUNoise,
    Param,
    PowerLawCoupling,
    Projection,
    Simulator,
    WhiteNoise,
    WilsonCowanStep,
)
from brainmass_delays._core.parameters import find_parameters
from brainmass_delays.engine import program

DT, N_STEPS = 0.25, 36


class TwoReads(Coupling):
    """Compare the source with a delayed read that the coupling makes itself."""

    def __init__(self, x, y, conn, k=1.0):
        super().__init__({"x": x, "y": y}, conn, k=k)
        self.own = x.past.signal.node.prefetch_delay(x.past.signal.item, 1.3 * u.ms)

    def update(self):
        weights = self.weights()
        return self.k.value() * (weights * jnp.tanh(self.x() - self.own()[..., None, :] * 0.5)).sum(-1)


COUPLINGS = {
    "additive": "additive",
    "diffusive": "diffusive",
    "kuramoto": "kuramoto",
    "tanh": "tanh",
    "power": lambda x, y, w, k: PowerLawCoupling(x, y, w, k=k, p=1.5),
    "two reads": TwoReads,
}


@st.composite
def networks(draw):
    """Draw a function that builds one and the same network again and again, and how it is driven and watched."""
    n = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = (
        rng.uniform(0.1, 1, (n, n))
        * (rng.random((n, n)) < draw(st.sampled_from([0.5, 1.0])))
        * (1 - np.eye(n))
    )
    lengths = (
        rng.uniform(0.1, 12.0, (n, n)) // 0.01 * 0.01 + 0.003
    )  # no lag near a half of a step for nearest reads
    x0 = rng.normal(size=n) * 0.3
    rule = draw(st.sampled_from(["nearest", "linear", "cubic", "hermite"]))
    options = {
        "coupling": COUPLINGS[draw(st.sampled_from(sorted(COUPLINGS)))],
        "interpolation": rule if rule != "hermite" else "hermite",
        "stages": draw(st.sampled_from(["each", "middle", "frozen"])),
    }
    method = draw(st.sampled_from(["euler", "heun", "rk4", "exp_euler"]))
    noise = draw(st.sampled_from([None, "white", "ou"]))
    driven = draw(st.booleans())

    def make():
        noises = {
            "white": lambda: WhiteNoise(n, 0.1),
            "ou": lambda: OUNoise(n, 0.1, tau=3 * u.ms),
            None: lambda: None,
        }
        node = HopfStep(n, a=0.2, w=0.3, init_x=x0, init_y=0.1, noise_x=noises[noise](), method=method)
        return Network(
            node,
            conn=weights,
            lengths=lengths * u.mm,
            speed=Param(3.1 * u.mm / u.ms, fit=rule != "nearest"),
            coupled_var="x",
            k=0.4,
            max_delay=6 * u.ms,
            **options,
        )

    inputs = {"y_inp": lambda i, t: 0.1 * jnp.sin(t / u.ms)} if driven else None
    return make, inputs


def watch(net):
    """Look at the present and, after the step, at the past."""
    return {"x": net.node.x.value, "past": net.source_read()}


def run(net, inputs, seed=True, **options):
    if seed:
        brainstate.random.seed(5)
    found = Simulator(net, dt=DT * u.ms).run(
        options.pop("duration", N_STEPS * DT) * u.ms, inputs=inputs, monitors=watch, **options
    )["output"]
    return {name: np.asarray(value) for name, value in found.items()}


def by_hand(net, inputs):
    brainstate.random.seed(5)

    def step(i):
        with brainstate.environ.context(i=i, t=i * DT * u.ms):
            given = {name: f(i, i * DT * u.ms) for name, f in (inputs or {}).items()}
            net.update(given) if given else net.update()
            return watch(net)

    with brainstate.environ.context(dt=DT * u.ms):
        brainstate.nn.init_all_states(net)
        return brainstate.transform.for_loop(step, np.arange(N_STEPS))


def same(a, b, atol=1e-12):
    for name in b:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=atol, err_msg=name)


def check(case, monkeypatch):
    make, inputs = case
    expected = by_hand(make(), inputs)
    same(run(make(), inputs), expected)
    one = make()
    one.block = 1
    same(run(one, inputs), expected)
    monkeypatch.setattr(program, "SPAN", 10)
    monkeypatch.setattr(program, "WHOLE", 0)
    same(run(make(), inputs), expected)
    same(run(make(), inputs, progress=True), expected)
    monkeypatch.undo()
    net = make()
    same(brainstate.transform.jit(lambda: _raw(net, inputs))(), expected)
    same(run(pickle.loads(pickle.dumps(make())), inputs), expected)
    batched = run(make(), inputs, batch_size=2)
    same({name: value[:, 0] for name, value in batched.items()}, expected)
    net = make()
    parts = [run(net, inputs, seed=i == 0, duration=N_STEPS * DT / 3, init_states=i == 0) for i in range(3)]
    same({name: np.concatenate([part[name] for part in parts]) for name in expected}, expected)


def _raw(net, inputs):
    brainstate.random.seed(5)
    return Simulator(net, dt=DT * u.ms).run(N_STEPS * DT * u.ms, inputs=inputs, monitors=watch)["output"]


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@given(networks())
@settings(max_examples=2, **QUIET)
def test_however_a_network_is_run_it_does_the_same(case):
    with pytest.MonkeyPatch.context() as monkeypatch:
        check(case, monkeypatch)


@pytest.mark.slow
@given(networks())
@settings(max_examples=40, derandomize=False, **QUIET)
def test_however_many_networks_are_run_they_do_the_same(case):
    with pytest.MonkeyPatch.context() as monkeypatch:
        check(case, monkeypatch)


def _gradient(net, inputs, **options):
    speed = net.speed.val

    def loss():
        brainstate.random.seed(5)
        x = Simulator(net, dt=DT * u.ms, **options).run(N_STEPS * DT * u.ms, inputs=inputs, monitors=["x"])[
            "x"
        ]
        return jnp.sum(x[-12:] ** 2)

    slope = brainstate.transform.jit(brainstate.transform.grad(loss, {"speed": speed}))()
    return float(u.get_magnitude(slope["speed"]))


@pytest.mark.parametrize(
    "stages, coupling",
    [
        ("each", "kuramoto"),
        ("middle", "two reads"),
        pytest.param("each", "two reads", marks=pytest.mark.slow),
        pytest.param("middle", "kuramoto", marks=pytest.mark.slow),
    ],
)
def test_gradients_do_not_depend_on_blocks_and_spans(coupling, stages, monkeypatch):
    rng = np.random.default_rng(3)
    weights, lengths = rng.uniform(0.1, 1, (3, 3)) * (1 - np.eye(3)), rng.uniform(0.1, 12, (3, 3))

    def make():
        node = HopfStep(3, a=0.2, w=0.3, init_x=[0.3, -0.1, 0.2], init_y=0.1, noise_x=WhiteNoise(3, 0.1))
        return Network(
            node,
            conn=weights,
            lengths=lengths * u.mm,
            speed=Param(3.1 * u.mm / u.ms, fit=True),
            coupled_var="x",
            coupling=COUPLINGS[coupling],
            k=0.4,
            max_delay=6 * u.ms,
            interpolation="cubic",
            stages=stages,
        )

    whole = _gradient(make(), None)
    assert _gradient(make(), None, checkpoint=False) == pytest.approx(whole, rel=1e-9)
    monkeypatch.setattr(program, "SPAN", 10)
    monkeypatch.setattr(program, "WHOLE", 0)
    assert _gradient(make(), None) == pytest.approx(whole, rel=1e-9)
    net = make()
    ends = []
    for shift in (1e-5, -1e-5):
        net.speed.set_value((3.1 + shift) * u.mm / u.ms)
        ends.append(float(jnp.sum(jnp.asarray(run(net, None)["x"][-12:]) ** 2)))
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(whole, rel=1e-5)


# ------------------------------------------------------------------------------------------ several populations


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


def test_gradients_of_rectangular_projections_are_differences():
    """A speed, a delay, weights and a strength of populations of other sizes, against central differences."""
    rng = np.random.default_rng(4)
    values = {
        "there.speed": 4.0 * u.mm / u.ms,
        "back.delay": 2.3 * u.ms,
        "back.coupling.k": 0.4,
        "there.coupling.conn": rng.uniform(0, 1, (2, 5)),
    }

    def make(now):
        return Network(
            {"a": _hopf(np.arange(5)), "b": HopfStep(2, a=0.1, w=0.2, init_x=[0.3, -0.2], init_y=0.0)},
            interpolation="cubic",
            projections={
                "there": Projection(
                    ("a", "x"),
                    ("b", "x_inp"),
                    weights=Param(now["there.coupling.conn"], fit=True),
                    k=0.2,
                    lengths=rng_lengths,
                    speed=Param(now["there.speed"], fit=True),
                    max_delay=9 * u.ms,
                ),
                "back": Projection(
                    ("b", lambda n: n.x.value**2),
                    ("a", "y_inp"),
                    weights=np.ones((5, 2)),
                    coupling="additive",
                    delay=Param(now["back.delay"], fit=True),
                    k=Param(now["back.coupling.k"], fit=True),
                    max_delay=5 * u.ms,
                ),
            },
        )

    rng_lengths = rng.uniform(1.1, 30, (2, 5))

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
