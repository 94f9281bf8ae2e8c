"""The gradient of a network does not depend on how it is computed, and is the derivative of what was computed."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param, init_maybe_prefetch

from brainmass_delays import HopfStep, Network, Simulator
from brainmass_delays.engine import plan

N, DT, N_STEPS = 4, 0.25, 24
WEIGHTS = np.array([[0.0, 0.5, 0.3, 0.2], [0.1, 0.0, 0.7, 0.0], [0.6, 0.2, 0.0, 0.4], [0.8, 0.25, 0.5, 0.0]])
# The connection 1 -> 0 is shorter than a step, 3 -> 2 has no length.
LENGTHS = np.array(
    [[0.0, 0.41, 11.3, 17.9], [13.7, 0.0, 9.1, 30.0], [12.2, 14.9, 0.0, 0.0], [19.3, 8.7, 16.1, 0.0]]
)
X0 = np.array([0.3, -0.2, 0.5, 0.1])
MASK = np.random.default_rng(1).normal(size=(N_STEPS, N))


class Saturating(brainstate.nn.Module):
    """A user's coupling: nonlinear in source and target, known to no one."""

    def __init__(self, x, y, conn, k=1.0):
        super().__init__()
        self.x, self.y, self.conn, self.k = x, y, Param.init(conn), Param.init(k)

    @brainstate.nn.call_order(2)
    def init_state(self, *args, **kwargs):
        init_maybe_prefetch(self.x)
        init_maybe_prefetch(self.y)

    def update(self):
        return self.k.value() * (self.conn.value() * jnp.tanh(self.x() - self.y()[..., None] ** 2)).sum(-1)


class Problem:
    """A network whose every number trains, and a loss of its trajectory."""

    def __init__(self, coupling, rule, method, delayed_by, block=None, checkpoint=True, grad_horizon=None):
        brainstate.environ.set(precision=64)
        self.params = params = {
            "k": Param(0.8, fit=True),
            "conn": Param(WEIGHTS, fit=True),
            "a": Param(0.2, fit=True),
            "x0": Param(X0, fit=True),
            "history": Param(0.3, fit=True),
        }
        if delayed_by == "speed":
            params["speed"] = Param(3.1 * u.mm / u.ms, fit=True)
            delays = {"lengths": LENGTHS * u.mm, "speed": params["speed"]}
        else:
            params["delay"] = Param(LENGTHS / 3.1 * u.ms, fit=True)
            delays = {"delay": params["delay"]}
        phase, amplitude = np.arange(float(N)), params["history"]
        node = HopfStep(N, a=params["a"], w=0.3, init_x=params["x0"], init_y=0.1, method=method)
        net = Network(
            node,
            conn=params["conn"],
            coupling=coupling,
            coupled_var="x",
            k=params["k"],
            interpolation=rule,
            max_delay=12 * u.ms,
            block=block,
            **delays,
            delay_init=lambda t: amplitude.value() * jnp.cos(0.5 * t.to_decimal(u.ms) + phase),
        )
        self.simulator = Simulator(net, dt=DT * u.ms, checkpoint=checkpoint, grad_horizon=grad_horizon)
        states = {name: p.val for name, p in params.items()}
        self.gradient = brainstate.transform.jit(
            brainstate.transform.grad(self.loss, states, return_value=True)
        )

    def loss(self):
        x = self.simulator.run(N_STEPS * DT * u.ms, monitors=lambda m: m.node.x.value)["output"]
        return jnp.sum(MASK * x) + jnp.sum(x**2)

    def at(self, shifts=None):
        """Return loss and gradients, as plain numbers, with some parameters shifted."""
        before = {name: p.val.value for name, p in self.params.items()}
        for name, shift in (shifts or {}).items():
            unit = u.get_unit(before[name])
            self.params[name].val.value = u.maybe_decimal(before[name] + shift * unit)
        slopes, loss = self.gradient()
        for name, p in self.params.items():
            p.val.value = before[name]
        return float(loss), {name: np.asarray(u.get_magnitude(s)) for name, s in slopes.items()}


CASES = [
    ("diffusive", "linear", "heun", "speed"),
    ("diffusive", "hermite", "rk4", "speed"),
    (Saturating, "linear", "heun", "delay"),
    (Saturating, "hermite", "rk4", "speed"),
    ("additive", "cubic", "heun", "delay"),
]


def assert_same(one, other, tolerance):
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    for name, slope in one[1].items():
        scale = np.abs(slope).max()
        assert scale > 0, name
        np.testing.assert_allclose(slope, other[1][name], rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.fixture(
    scope="module", params=CASES, ids=lambda c: f"{getattr(c[0], '__name__', c[0])}-{c[1]}-{c[3]}"
)
def case(request):
    return request.param, Problem(*request.param)


def test_a_first_gradient_may_meet_a_key_that_nobody_has_read():
    """As in a new process, where brainstate has not made its key yet."""
    brainstate.random.DEFAULT.seed()
    problem = Problem("diffusive", "linear", "heun", "speed")
    assert_same(problem.at(), problem.at(), 1e-15)


def test_the_lean_gradient_equals_plain_autodiff(case):
    arguments, lean = case
    assert_same(lean.at(), Problem(*arguments, checkpoint=False).at(), 1e-10)


@pytest.mark.parametrize("blocks", [pytest.param([1], marks=pytest.mark.slow), [8, 3]], ids=str)
def test_the_gradient_does_not_depend_on_the_blocks(case, blocks, monkeypatch):
    """Nor on blocks within blocks, whose remainders at the end of the run have their own lengths."""
    arguments, automatic = case
    expected = automatic.at()
    monkeypatch.setattr(plan, "choose_blocks", lambda *_: blocks)
    assert_same(expected, Problem(*arguments).at(), 1e-10)


def test_the_gradient_equals_central_differences(case):
    """Along one direction through every entry of each parameter."""
    _, problem = case
    rng, h = np.random.default_rng(2), 1e-5
    _, slopes = problem.at()
    for name, slope in slopes.items():
        along = rng.normal(size=slope.shape)
        if name == "delay":
            along[LENGTHS == 0] = 0.0  # a delay of zero has no other side
        numeric = (problem.at({name: h * along})[0] - problem.at({name: -h * along})[0]) / (2 * h)
        assert np.sum(slope * along) == pytest.approx(numeric, rel=2e-6, abs=1e-9), name


def test_a_horizon_cuts_the_gradient_but_not_the_run():
    """The whole run as one window changes nothing; two windows lose what crosses the border, the initial state's share."""
    arguments = CASES[0]
    whole = Problem(*arguments).at()
    assert_same(whole, Problem(*arguments, grad_horizon=N_STEPS * DT * u.ms).at(), 1e-12)
    halves = Problem(*arguments, grad_horizon=N_STEPS // 2 * DT * u.ms).at()
    assert halves[0] == pytest.approx(whole[0], rel=1e-12)
    assert np.abs(halves[1]["x0"] - whole[1]["x0"]).max() > 1e-3
    first = jax.tree.map(np.isfinite, halves[1])
    assert all(np.all(leaf) for leaf in first.values())
