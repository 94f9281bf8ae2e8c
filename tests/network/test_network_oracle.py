"""Networks on a directed graph agree with an independent program, however they are stepped and read."""

import math

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from delay_network_oracle import IDENTITY, simulate

from brainmass_delays import HopfStep, Network, PowerLawCoupling, Simulator
from brainmass_delays.engine import plan

DT, N_STEPS = 0.25, 25
WEIGHTS = np.array(
    [
        [0.0, 0.5, 0.0, 0.3, 0.2],
        [0.1, 0.0, 0.7, 0.0, 0.4],
        [0.6, 0.2, 0.0, 0.0, 0.0],
        [0.0, 0.9, 0.3, 0.0, 0.1],
        [0.8, 0.0, 0.25, 0.5, 0.0],
    ]
)
# Off the grid and asymmetric; one connection is shorter than a step, one has no length.
DELAYS = np.array(
    [
        [0.0, 1.93, 9.9, 2.61, 0.1],
        [0.83, 0.0, 0.0, 9.9, 3.07],
        [1.27, 2.11, 0.0, 9.9, 9.9],
        [9.9, 0.57, 1.61, 0.0, 3.49],
        [2.39, 9.9, 0.67, 1.13, 0.0],
    ]
)
X0, Y0 = np.array([0.3, -0.2, 0.5, 0.1, -0.4]), np.array([0.1, 0.4, -0.3, 0.2, 0.0])
PHASE = np.arange(5.0)
EDGES = {
    "diffusive": lambda x, y: x - y,
    "additive": lambda x, y: x,
    "power": lambda x, y: math.copysign(abs(x - y) ** 1.5, x - y),
    "kuramoto": lambda s, c, y: s * math.cos(y) - c * math.sin(y),
}
FEATURES = {"kuramoto": ((np.sin, np.cos), (np.cos, lambda x: -np.sin(x)))}


def power(x, y, conn, k):
    """Couple by a kernel that must see every delayed value."""
    return PowerLawCoupling(x, y, conn, k=k, p=1.5)


def smooth(t):
    """Return a history that meets the initial state."""
    return X0 + 0.3 * (np.sin(0.9 * t + PHASE) - np.sin(PHASE))


def smooth_slope(t):
    return 0.27 * np.cos(0.9 * t + PHASE)


def smooth_init(t):
    return X0 + 0.3 * (jnp.sin(0.9 * t.to_decimal(u.ms) + PHASE) - np.sin(PHASE))


def network(method, rule, stages, history, coupling, block=None):
    node = HopfStep(5, a=0.2, w=0.3, beta=1.0, init_x=X0, init_y=Y0, method=method)
    return Network(
        node,
        conn=WEIGHTS,
        delay=DELAYS * u.ms,
        coupling={"power": power}.get(coupling, coupling),
        coupled_var="x",
        k=0.8,
        stages=stages,
        interpolation=rule,
        delay_init=smooth_init if history == "smooth" else None,
        block=block,
    )


def expected(method, rule, stages, history, coupling):
    before, slope = (smooth, smooth_slope) if history == "smooth" else (lambda t: X0, lambda t: 0 * X0)
    return simulate(
        WEIGHTS,
        DELAYS,
        EDGES[coupling],
        n_steps=N_STEPS,
        dt=DT,
        x0=X0,
        y0=Y0,
        before=before,
        slope_before=slope,
        method=method,
        rule=rule,
        stages=stages,
        k=0.8,
        features=FEATURES.get(coupling, IDENTITY),
    )


def run(net):
    return np.asarray(Simulator(net, dt=DT * u.ms).run(N_STEPS * DT * u.ms, monitors=["x"])["x"])


def step_by_hand(net):
    def step(i):
        with brainstate.environ.context(i=i, t=i * DT * u.ms):
            net.update()
            return net.node.x.value

    with brainstate.environ.context(dt=DT * u.ms):
        brainstate.nn.init_all_states(net)
        return np.asarray(brainstate.transform.for_loop(step, np.arange(N_STEPS)))


EVERY_STAGE = [
    ("euler", "nearest", "constant", "diffusive"),
    ("euler", "linear", "smooth", "kuramoto"),
    ("euler", "cubic", "constant", "power"),
    ("euler", "hermite", "smooth", "additive"),
    ("heun", "nearest", "smooth", "power"),
    ("heun", "linear", "constant", "diffusive"),
    ("heun", "cubic", "smooth", "additive"),
    ("heun", "hermite", "constant", "kuramoto"),
    ("rk4", "nearest", "constant", "additive"),
    ("rk4", "linear", "smooth", "diffusive"),
    ("rk4", "cubic", "constant", "diffusive"),
    ("rk4", "hermite", "smooth", "diffusive"),
    ("heun", "hermite", "smooth", "power"),
]
ONCE = [
    ("euler", "cubic", "smooth", "diffusive"),
    ("heun", "linear", "constant", "kuramoto"),
    ("rk4", "nearest", "smooth", "diffusive"),
    ("rk4", "hermite", "constant", "additive"),
]


@pytest.mark.parametrize(
    ("stages", "case"), [("each", c) for c in EVERY_STAGE] + [("frozen", c) for c in ONCE]
)
def test_network_agrees_with_the_loops(stages, case):
    method, rule, history, coupling = case
    x = run(network(method, rule, stages, history, coupling))
    np.testing.assert_allclose(x, expected(method, rule, stages, history, coupling), rtol=0, atol=1e-10)


BLOCKS = [[1], [5], [8], [6, 3], [7, 2], "stepwise"]
SCHEMES = [
    ("rk4", "hermite", "constant", "diffusive"),
    ("rk4", "cubic", "smooth", "kuramoto"),
    ("rk4", "hermite", "smooth", "kuramoto"),
    ("heun", "hermite", "smooth", "power"),
    ("heun", "linear", "constant", "additive"),
]


def with_blocks():
    """Pair every scheme with all blocks; two of a scheme, every one at least once, are quick."""
    for i, case in enumerate(SCHEMES):
        for j, blocks in enumerate(BLOCKS):
            is_quick = (j - i) % len(BLOCKS) in (0, 3)
            yield pytest.param(
                case, blocks, marks=[] if is_quick else [pytest.mark.slow], id="-".join((*case, str(blocks)))
            )


@pytest.mark.parametrize("case, blocks", list(with_blocks()))
def test_the_blocks_do_not_change_the_result(case, blocks, monkeypatch):
    method, rule, history, coupling = case
    net = network(method, rule, "each", history, coupling)
    monkeypatch.setattr(plan, "choose_blocks", lambda *_: blocks)
    x = step_by_hand(net) if blocks == "stepwise" else run(net)
    np.testing.assert_allclose(x, expected(method, rule, "each", history, coupling), rtol=0, atol=1e-10)


def test_the_block_a_user_asks_for_is_used():
    for block in (3, 50):
        net = network("heun", "linear", "each", "constant", "additive", block)
        simulator = Simulator(net, dt=DT * u.ms)
        x = simulator.run(N_STEPS * DT * u.ms, monitors=["x"])["x"]
        assert simulator.blocks[0] == block
        np.testing.assert_allclose(
            x, expected("heun", "linear", "each", "constant", "additive"), rtol=0, atol=1e-10
        )


def test_the_oracle_depends_on_what_it_compares():
    """Transposing the graph or shifting the delays by half a step must show."""
    base = expected("rk4", "hermite", "each", "smooth", "diffusive")

    def variant(weights, delays):
        return simulate(
            weights,
            delays,
            EDGES["diffusive"],
            n_steps=N_STEPS,
            dt=DT,
            x0=X0,
            y0=Y0,
            before=smooth,
            slope_before=smooth_slope,
            method="rk4",
            rule="hermite",
            stages="each",
            k=0.8,
        )

    assert np.abs(variant(WEIGHTS.T, DELAYS.T) - base).max() > 1e-2
    assert np.abs(variant(WEIGHTS, DELAYS + DT / 2) - base).max() > 1e-3
