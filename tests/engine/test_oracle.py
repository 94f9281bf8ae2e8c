"""Three populations and six projections against a loop in plain NumPy: values, orders and gradients."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import HopfStep, JansenRitStep, Network, Param, Projection, Simulator, WilsonCowanStep
from brainmass_delays.couplings import Coupling

DT = 0.25
SIZES = {"hopf": 3, "jr": 2, "wc": 4}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def firing(v):
    return 5.0 * sigmoid(0.56 * (v - 6.0))  # Hz


# ------------------------------------------------------------------------------------------- the loop in NumPy


def hopf_rates(s, inp):
    r2 = s["x"] ** 2 + s["y"] ** 2
    return {
        "x": (0.2 - r2) * s["x"] - 0.3 * s["y"] + inp("x_inp"),
        "y": (0.2 - r2) * s["y"] + 0.3 * s["x"] + inp("y_inp"),
    }


def jansen_rit_rates(s, inp):
    def synapse(gain, b, drive, y, v):
        return gain * b * drive * 1e-3 - 2 * b * v - b * b * y

    to_e = inp("E_inp") + 135 * 0.8 * firing(135 * s["M"])
    to_i = 135 * 0.25 * firing(135 * 0.25 * s["M"])
    return {
        "M": s["Mv"],
        "E": s["Ev"],
        "I": s["Iv"],
        "Mv": synapse(3.25, 0.1, firing(s["E"] - s["I"]), s["M"], s["Mv"]),
        "Ev": synapse(3.25, 0.1, to_e, s["E"], s["Ev"]),
        "Iv": synapse(22.0, 0.05, to_i, s["I"], s["Iv"]),
    }


def wilson_cowan_rates(s, inp):
    def response(x, a, theta):
        return sigmoid(a * (x - theta)) - sigmoid(-a * theta)

    to_e = 12 * s["rE"] - 4 * s["rI"] + inp("rE_inp")
    to_i = 13 * s["rE"] - 11 * s["rI"] + inp("rI_inp")
    return {
        "rE": -s["rE"] + (1 - s["rE"]) * response(to_e, 1.2, 2.8),
        "rI": -s["rI"] + (1 - s["rI"]) * response(to_i, 1.0, 4.0),
    }


RATES = {"hopf": hopf_rates, "jr": jansen_rit_rates, "wc": wilson_cowan_rates}


def read(samples, lag, rule):
    """Return the value ``lag`` steps before the newest of ``samples``, all older ones being the first."""
    newest = len(samples) - 1

    def at(steps_ago):
        return samples[max(newest - steps_ago, 0)]

    if rule == "nearest":
        return at(max(int(np.floor(lag + 0.5)), 0))
    nodes = np.array([0, 1]) if rule == "linear" else np.array([-1, 0, 1, 2])
    nodes = nodes + max(int(np.floor(lag + 1e-9)), -nodes[0])
    others = [np.delete(nodes, i) for i in range(len(nodes))]
    weights = [np.prod((lag - o) / (n - o)) for n, o in zip(nodes, others, strict=True)]
    return sum(w * at(n) for w, n in zip(weights, nodes, strict=True))


class Loop:
    """Heun's method; couplings at both stages; what travels is stored once per step and read in between."""

    def __init__(self, projections, states, rule):
        self.projections, self.states, self.rule = projections, states, rule
        self.past = {name: [p.signal(states[p.source])] for name, p in projections.items()}

    def inputs(self, c, stage):
        total = {}
        for name, p in self.projections.items():
            now = p.signal(stage[p.source])
            out = np.zeros(len(p.weights))
            for i, j in np.argwhere(p.weights):
                lag = p.delays[i, j] / DT - c
                x = now[j] if p.delays[i, j] == 0 else read([v[j] for v in self.past[name]], lag, self.rule)
                out[i] += p.weights[i, j] * p.pair(x, stage[p.target].get(p.own, np.zeros(len(out)))[i])
            key = p.target, p.entry
            total[key] = total.get(key, 0.0) + p.outer(out)
        return total

    def slopes(self, c, stage):
        inputs = self.inputs(c, stage)
        return {p: RATES[p](of, lambda name, p=p: inputs.get((p, name), 0.0)) for p, of in stage.items()}

    def moved(self, step, *slopes):
        return {
            p: {s: x + step * sum(k[p][s] for k in slopes) for s, x in of.items()}
            for p, of in self.states.items()
        }

    def run(self, n_steps):
        for _ in range(n_steps):
            start = self.slopes(0.0, self.states)
            end = self.slopes(1.0, self.moved(DT, start))
            self.states = self.moved(DT / 2, start, end)
            for name, p in self.projections.items():
                self.past[name].append(p.signal(self.states[p.source]))
        return self.states


# ------------------------------------------------------------------------------------- the same, described once


class Link:
    """One projection, for the loop and for the network."""

    def __init__(
        self, source, signal, target, entry, delays, coupling, k, *, travels=None, pair=None, **more
    ):
        rng = np.random.default_rng(len(source) + 7 * len(entry) + int(10 * k))
        shape = SIZES[target], SIZES[source]
        self.source, self.target, self.entry = source, target, entry
        self.given, self.coupling, self.k = signal, coupling, k
        self.weights = rng.uniform(0.1, 1.0, shape) * (1 - np.eye(*shape) if source == target else 1.0)
        self.delays = np.broadcast_to(delays, shape) if np.ndim(delays) == 0 else rng.uniform(*delays, shape)
        self.signal = travels or (lambda s: s[signal])
        self.pair = pair or (lambda x, y: x)
        self.own = more.get("own", "")
        self.outer = more.get("outer", lambda total: k * total)
        self.unit = more.get("unit", 1.0)


def cube(x, y, conn, k):
    class Cube(Coupling):
        def update(self):
            return self.k.value() * (self.weights() * (self.x() - self.y()[..., None]) ** 3).sum(-1)

    return Cube({"x": x, "y": y}, conn, k=k)


def links(long=(0.3, 4.0)):
    """Six projections: different couplings, delays on and off the grid and none, a kernel of every pair."""
    return {
        "x": Link("hopf", "x", "hopf", "x_inp", long, "diffusive", 0.3, pair=lambda x, y: x - y, own="x"),
        "y": Link("hopf", "y", "wc", "rE_inp", long, "tanh", 0.6, outer=lambda s: 0.6 * np.tanh(2 * s)),
        "now": Link("wc", "rE", "wc", "rI_inp", 0.0, "additive", 0.4),
        "cube": Link("wc", "rE", "wc", "rE_inp", long, cube, 5.0, pair=lambda x, y: (x - y) ** 3, own="rE"),
        "grid": Link("wc", "rE", "jr", "E_inp", 1.5, "additive", 20.0, unit=u.Hz),
        "psp": Link(
            "jr",
            "psp",
            "wc",
            "rE_inp",
            long,
            "sigmoidal_jansen_rit",
            30.0,
            travels=lambda s: firing(s["E"] - s["I"]) * 1e-3,
        ),
    }


STARTS = {
    "hopf": {"x": np.array([0.3, -0.2, 0.5]), "y": np.full(3, 0.1)},
    "jr": {**dict.fromkeys(("M", "I", "Mv", "Ev", "Iv"), np.zeros(2)), "E": np.array([1.0, 2.0])},
    "wc": {"rE": np.array([0.1, 0.2, 0.05, 0.3]), "rI": np.full(4, 0.05)},
}


def network(described, rule="linear", speeds=None, method="heun"):
    nodes = {
        "hopf": HopfStep(3, a=0.2, w=0.3, beta=1.0, init_x=[0.3, -0.2, 0.5], init_y=0.1, method=method),
        "jr": JansenRitStep(2, E_init=[1.0, 2.0] * u.mV, method=method),
        "wc": WilsonCowanStep(4, rE_init=[0.1, 0.2, 0.05, 0.3], rI_init=0.05, method=method),
    }

    def delay(name, link):
        if speeds is None:
            return {"delay": link.delays * u.ms}
        speed = Param(speeds.get(name, 1.0) * u.mm / u.ms)
        return {"lengths": link.delays * u.mm, "speed": speed, "max_delay": 8 * u.ms}

    return Network(
        nodes,
        interpolation=rule,
        projections={
            name: Projection(
                (p.source, p.given),
                (p.target, p.entry),
                weights=p.weights,
                coupling=p.coupling,
                k=p.k * p.unit,
                **(delay(name, p) if p.delays.any() else {"delay": p.delays * u.ms}),
            )
            for name, p in described.items()
        },
    )


RECORDED = ("hopf.x", "hopf.y", "wc.rE", "wc.rI", "jr.E")


def plain(values):
    return np.concatenate([np.asarray(u.get_magnitude(values[name]))[-1] for name in RECORDED])


@pytest.mark.parametrize("rule", ["nearest", "linear", "cubic"])
def test_values_are_those_of_a_plain_loop(rule):
    described = links()
    end = Loop(described, STARTS, rule).run(60)
    expected = np.concatenate([end[p][s] for p, s in (name.split(".") for name in RECORDED)])
    run = Simulator(network(described, rule), dt=DT * u.ms).run(60 * DT * u.ms, monitors=list(RECORDED))
    np.testing.assert_allclose(plain(run), expected, rtol=1e-10, atol=1e-10)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize(
    ("method", "rule", "order"),
    [pytest.param("heun", "linear", 2.0, marks=pytest.mark.slow), ("rk4", "hermite", 4.0)],
)
def test_order_of_convergence(method, rule, order):
    described = links(long=(2.0, 4.0))
    for link in described.values():  # kinks of the constant history then lie on the grids
        link.delays = np.round(link.delays)

    def end(dt):
        run = Simulator(network(described, rule, method=method), dt=dt * u.ms)
        return plain(run.run(12 * u.ms, monitors=list(RECORDED)))

    exact = end(1 / 64)
    errors = [np.abs(end(dt) - exact).max() for dt in (1 / 4, 1 / 8)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def slopes_and_loss(described, rule):
    names = [name for name, link in described.items() if link.delays.any()]
    net = network(described, rule, speeds=dict.fromkeys(names, 1.0))
    speeds = {name: net.projections[name].speed.val for name in names}

    def loss():
        run = Simulator(net, dt=DT * u.ms).run(30 * DT * u.ms, monitors=list(RECORDED))
        return sum(jnp.sum(u.get_magnitude(run[name])[-4:] ** 2) for name in RECORDED)

    found = brainstate.transform.grad(loss, speeds)()
    compiled = brainstate.transform.jit(loss)  # traced once for all differences

    def at(name, speed):
        param = net.projections[name].speed
        param.set_value(speed)
        value = float(compiled())
        param.set_value(1.0)
        return value

    return {name: float(u.get_magnitude(g)) for name, g in found.items()}, at


@pytest.mark.parametrize("rule", [pytest.param("linear", marks=pytest.mark.slow), "cubic"])
def test_the_gradient_in_every_speed_is_the_difference(rule):
    described = links()
    for link in described.values():  # away from samples, so that no lag crosses one
        steps = link.delays / DT
        link.delays = np.where(link.delays > 0, DT * (np.floor(steps) + 0.2 + 0.6 * (steps % 1)), 0.0)
    found, at = slopes_and_loss(described, rule)
    h = 1e-3
    for name, slope in found.items():
        one, two = (at(name, 1 + s) - at(name, 1 - s) for s in (h, 2 * h))
        assert slope == pytest.approx((8 * one - two) / (12 * h), rel=1e-7), name


@pytest.mark.parametrize("rule", ["linear", pytest.param("cubic", marks=pytest.mark.slow)])
def test_on_the_grid_the_gradient_is_that_of_longer_delays(rule):
    described = links()
    for link in described.values():
        link.delays = np.round(link.delays / DT + (link.delays > 0)) * DT
    found, at = slopes_and_loss(described, rule)
    h = 1e-4
    for name, slope in found.items():
        here, one, two = (at(name, 1 - s) for s in (0.0, h, 2 * h))
        assert slope == pytest.approx((3 * here - 4 * one + two) / (2 * h), rel=1e-5), name
