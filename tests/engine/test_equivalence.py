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
    Simulator,
    WhiteNoise,
)
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
