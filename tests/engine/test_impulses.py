"""States that jump at a time: the same however a run is done, as in plain NumPy, and differentiable."""

import pickle

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_equivalence import DT, N_STEPS, networks, same, watch

from brainmass_delays import (
    HopfStep,
    JansenRitStep,
    KuramotoStep,
    LinearStep,
    Network,
    Param,
    Projection,
    Simulator,
)
from brainmass_delays._core.impulses import jumping
from brainmass_delays.engine import program
from brainmass_delays.integrate import solve_dde

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


# ------------------------------------------------------------------------------------------ however it is run


@st.composite
def kicked_networks(draw):
    """Draw a network with what drives it, and impulses: steps, amounts of x, and what y becomes."""
    make, inputs = draw(networks())
    steps = draw(st.lists(st.integers(1, N_STEPS), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = draw(st.sampled_from([(), (make().node.varshape[0],)]))
    amounts = 0.2 * rng.normal(size=(len(steps), *shape))  # Euler's steps diverge after a strong one
    return make, inputs, np.array(steps), amounts


def halved(t, y):
    return 0.5 * y + 0.01 * t.to_decimal(u.ms)


def run(net, case, first=0, n_steps=N_STEPS, seed=True, **options):
    """Run with those impulses that lie in this part."""
    _, inputs, steps, amounts = case
    if seed:
        brainstate.random.seed(5)
    here = (steps > first) & (steps <= first + n_steps)
    impulses = (steps[here] * DT * u.ms, {"x": amounts[here], "node.y": halved})
    sim = Simulator(net, dt=DT * u.ms)
    found = sim.run(n_steps * DT * u.ms, inputs=inputs, impulses=impulses, monitors=watch, **options)
    return found["output"]


def by_hand(net, case):
    _, inputs, steps, amounts = case
    brainstate.random.seed(5)
    found = []
    with brainstate.environ.context(dt=DT * u.ms):
        brainstate.nn.init_all_states(net)
        update = brainstate.transform.jit(net.update)
        for i in range(N_STEPS):
            hits = np.flatnonzero(steps == i + 1)
            total = sum(amounts[hit] for hit in hits)
            end = (i + 1) * DT * u.ms
            jumps = {net.node.x: lambda x, by=total: x + by, net.node.y: lambda y, t=end: halved(t, y)}
            with brainstate.environ.context(i=i, t=i * DT * u.ms), jumping(jumps if hits.size else {}):
                step = net.update if hits.size else update
                step({name: f(i, i * DT * u.ms) for name, f in inputs.items()}) if inputs else step()
            found.append({name: np.asarray(value) for name, value in watch(net).items()})
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def check(case):
    make = case[0]
    expected = run(make(), case)
    one = make()
    one.block = 1
    same(run(one, case), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "SPAN", 10)
        patch.setattr(program, "WHOLE", 0)
        same(run(make(), case), expected)
        same(run(make(), case, progress=True), expected)
    net = make()
    same(brainstate.transform.jit(lambda: run(net, case))(), expected)
    same(run(pickle.loads(pickle.dumps(make())), case), expected)
    batched = run(make(), case, batch_size=2)
    same({name: value[:, 0] for name, value in batched.items()}, expected)
    net, third = make(), N_STEPS // 3
    parts = [run(net, case, i * third, third, seed=i == 0, init_states=i == 0) for i in range(3)]
    same({name: np.concatenate([part[name] for part in parts]) for name in expected}, expected)
    same(by_hand(make(), case), expected)


@given(kicked_networks())
@settings(max_examples=1, **QUIET)
def test_however_a_network_with_impulses_is_run_it_does_the_same(case):
    check(case)


@pytest.mark.slow
@given(kicked_networks())
@settings(max_examples=20, derandomize=False, **QUIET)
def test_however_many_networks_with_impulses_are_run_they_do_the_same(case):
    check(case)


# -------------------------------------------------------------------------------------------------- oracles


def test_impulses_of_a_linear_node_are_sums_of_exponentials():
    node = LinearStep(2, gamma=-0.1, init_x=[1.0, 0.0], method="exp_euler")
    times, amounts = (
        np.array([2.0, 5.0, 5.0, 10.0]),
        np.array([[1.0, 2.0], [2.0, 0.0], [-0.5, 0.3], [4.0, 1.0]]),
    )
    run = Simulator(node, dt=0.5 * u.ms).run(
        10 * u.ms, impulses=(times * u.ms, {"x": amounts}), monitors=["x"]
    )
    t = run["ts"].to_decimal(u.ms)[:, None]
    expected = np.exp(-0.1 * t) * [1.0, 0.0]
    for time, amount in zip(times, amounts, strict=True):
        expected = expected + np.where(t >= time, np.exp(-0.1 * (t - time)), 0.0) * amount
    np.testing.assert_allclose(run["x"], expected, rtol=1e-12)
    assert run["x"][-1, 1] > 1.0  # that at the very end counts


@pytest.mark.parametrize("block", [1, None])
def test_delays_carry_impulses_as_in_plain_loops(block):
    """Euler steps of a directed network with delays of whole steps."""
    rng = np.random.default_rng(1)
    n, n_steps = 4, 60
    weights, lags = rng.uniform(0, 1, (n, n)) * (1 - np.eye(n)), rng.integers(3, 9, (n, n))
    steps, amounts = np.array([1, 7, 7, 31, 60]), rng.normal(size=(5, n))
    x = np.zeros((n_steps + 1, n))
    for i in range(n_steps):
        for a in range(n):
            drive = sum(weights[a, b] * x[max(i - lags[a, b], 0), b] for b in range(n))
            x[i + 1, a] = x[i, a] + 0.5 * (-0.3 * x[i, a] + 0.2 * drive)
        x[i + 1] += amounts[steps == i + 1].sum(0)
    net = Network(
        LinearStep(n, gamma=-0.3, init_x=0.0, method="euler"), conn=weights, delay=0.5 * lags * u.ms,
        coupled_var="x", coupling="additive", k=0.2, block=block,
    )  # fmt: skip
    impulses = (0.5 * steps * u.ms, {"x": amounts})
    run = Simulator(net, dt=0.5 * u.ms).run(30 * u.ms, impulses=impulses, monitors=["x"])
    np.testing.assert_allclose(run["x"], x[1:], rtol=0, atol=1e-13)


def test_delayed_impulses_converge_to_the_adaptive_solution_in_first_order():
    times, amounts = np.array([0.75, 2.5]), np.array([[1.0], [-0.4]])

    def f(t, y, delayed, args):
        return -0.5 * y - 0.8 * delayed

    exact = solve_dde(
        f, jnp.zeros(1), 0.0, 5.0, 1.25, rtol=1e-10, atol=1e-10,
        impulses=(times, amounts),
    ).ys  # fmt: skip
    errors, sizes = [], 0.25 / 2.0 ** np.arange(5)
    for dt in sizes:
        net = Network(
            LinearStep(1, gamma=-0.5, init_x=0.0), conn=np.ones((1, 1)), delay=1.25 * u.ms, coupled_var="x",
            coupling="additive", k=-0.8, self_connection=True,
        )  # fmt: skip
        run = Simulator(net, dt=dt * u.ms).run(
            5 * u.ms, impulses=(times * u.ms, {"x": amounts}), monitors=["x"]
        )
        errors.append(abs(float(run["x"][-1, 0] - exact[0])))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert 0.9 < slope < 1.2, errors
    assert errors[-1] < 0.01


def test_a_function_says_what_a_state_becomes():
    """A phase reset at given times, of one population only."""
    nodes = {"a": KuramotoStep(2, omega=0.1, init_theta=1.0), "b": KuramotoStep(1, omega=0.2, init_theta=0.5)}
    net = Network(
        nodes, projections=Projection("a.theta", "b.theta_inp", weights=np.zeros((1, 2)), delay=1 * u.ms)
    )
    impulses = ([3.0, 7.0] * u.ms, {"a.theta": lambda t, theta: 0.0 * theta + t / u.ms})
    run = Simulator(net, dt=0.5 * u.ms).run(10 * u.ms, impulses=impulses, monitors=["a.theta", "b.theta"])
    t = run["ts"].to_decimal(u.ms)
    expected = np.where(t < 3, 1 + 0.1 * t, np.where(t < 7, 3 + 0.1 * (t - 3), 7 + 0.1 * (t - 7)))
    np.testing.assert_allclose(run["a.theta"], expected[:, None] * np.ones(2), rtol=1e-12)
    np.testing.assert_allclose(run["b.theta"][:, 0], 0.5 + 0.2 * t, rtol=1e-12)


class Pair(brainstate.nn.Module):
    """A model put together by hand: a node of this library, and a leaky count of its own."""

    def __init__(self):
        super().__init__()
        self.node = HopfStep(2, a=-0.1, w=0.0, init_x=0.0, init_y=0.0, method="euler")
        self.past = self.node.prefetch_delay("x", 1.0 * u.ms)

    def init_state(self, batch_size=None, **kwargs):
        self.count = brainstate.HiddenState(jnp.zeros(2))

    def update(self):
        self.count.value = 0.5 * self.count.value + self.past()
        self.node()
        return self.node.x.value


def test_models_put_together_by_hand_jump_too():
    impulses = ([2.0] * u.ms, {"node.x": [1.0], "count": [10.0]})
    seen = {"count": lambda model: model.count.value, "x": lambda model: model.node.x.value}
    run = Simulator(Pair(), dt=0.5 * u.ms).run(5 * u.ms, impulses=impulses, monitors=seen)
    x, count = np.zeros(11), np.zeros(11)
    for i in range(10):
        count[i + 1] = 0.5 * count[i] + x[max(i - 2, 0)] + (10 if i == 3 else 0)
        x[i + 1] = x[i] - 0.5 * (0.1 * x[i] + x[i] ** 3) + (i == 3)
    np.testing.assert_allclose(run["x"][:, 0], x[1:], rtol=1e-12)
    np.testing.assert_allclose(run["count"][:, 1], count[1:], rtol=1e-12)


def test_nodes_of_another_library_jump_before_their_past_is_stored():
    brainmass = pytest.importorskip("brainmass")
    make = {
        "theirs": lambda: brainmass.HopfStep(2, a=-0.1, w=0.0, beta=1.0, method="euler"),
        "ours": lambda: HopfStep(2, a=-0.1, w=0.0, init_x=0.0, init_y=0.0, method="euler"),
    }
    found = {}
    for name, node in make.items():
        node = node()
        node.init_x = node.init_y = lambda shape, **_: jnp.zeros(shape)
        net = Network(
            node, conn=np.array([[0.0, 0.0], [1.0, 0.0]]), delay=1.5 * u.ms, coupled_var="x",
            coupling="additive", k=0.2, stages="frozen",
        )  # fmt: skip
        impulses = ([2.0] * u.ms, {"x": [[0.3, 0.0]]})
        found[name] = Simulator(net, dt=0.5 * u.ms).run(
            10 * u.ms, impulses=impulses, monitors={"x": lambda m: m.node.x.value}
        )["x"]
    assert np.asarray(found["ours"])[3, 0] == pytest.approx(0.3)
    assert np.flatnonzero(np.asarray(found["ours"])[:, 1])[0] == 7  # 1.5 ms and one step after 2 ms
    np.testing.assert_allclose(found["theirs"], found["ours"], rtol=1e-12)


# ------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("gradient", ["reverse", "forward"])
def test_gradients_in_amounts_are_central_differences(gradient):
    rng = np.random.default_rng(3)
    net = Network(
        JansenRitStep(3), conn=rng.uniform(0, 1, (3, 3)) * (1 - np.eye(3)), delay=2.2 * u.ms, coupled_var="E",
        coupling="additive", k=0.3, interpolation="cubic",
    )  # fmt: skip
    times = [1.0, 4.0] * u.ms

    def loss(amounts):
        impulses = (times, {"E": amounts * u.mV, "Ev": 0.1 * amounts[:, :1] * u.mV / u.ms})
        run = Simulator(net, dt=0.5 * u.ms, gradient=gradient).run(
            15 * u.ms, impulses=impulses, monitors=["E", "M"]
        )
        return jnp.sum(run["E"][10:].to_decimal(u.mV) ** 2) + jnp.sum(run["M"].to_decimal(u.mV) ** 2)

    amounts = rng.normal(size=(2, 3))
    found = (jax.grad if gradient == "reverse" else jax.jacfwd)(loss)(jnp.asarray(amounts))
    for i in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[i] = 1e-4
        ends = [float(loss(jnp.asarray(amounts + sign * step))) for sign in (1, -1)]
        assert found[i] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-6), i


def test_a_trained_amount_gets_its_gradient():
    amount = Param([0.5, 1.0], fit=True)
    sim = Simulator(LinearStep(1, gamma=-0.1, init_x=0.0, method="exp_euler"), dt=0.5 * u.ms)

    def end():
        return sim.run(5 * u.ms, impulses=([2.0, 4.0] * u.ms, {"x": amount}), monitors=["x"])["x"][-1, 0]

    slopes = brainstate.transform.grad(end, amount.val)()
    np.testing.assert_allclose(slopes, np.exp([-0.3, -0.1]), rtol=1e-9)


def test_other_times_and_amounts_compile_nothing(compilations):
    sim = Simulator(LinearStep(2, gamma=-0.1, init_x=1.0), dt=0.5 * u.ms)

    def end(time, amount):
        return float(
            sim.run(10 * u.ms, impulses=([time] * u.ms, {"x": [amount]}), monitors=["x"])["x"][-1, 0]
        )

    end(2.0, 1.0), end(3.0, 2.0)
    with compilations() as count:
        values = [end(time, amount) for time, amount in [(4.0, 1.0), (6.5, -1.0)]]
    assert count() == 0
    assert values[0] != values[1]


def test_the_pure_function_of_a_run_takes_impulses():
    run = Simulator(LinearStep(1, gamma=-0.1, init_x=0.0, method="exp_euler"), dt=0.5 * u.ms)
    ends = jax.vmap(
        lambda a: run.function(5 * u.ms, impulses=([2.0] * u.ms, {"x": a[None]}), monitors=["x"])({})["x"][
            -1, 0
        ]
    )(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(ends, np.exp(-0.3) * np.array([1.0, 2.0]), rtol=1e-9)
