"""solve_dde on networks: one component per edge, gradients in every edge, and `Network` to tolerance."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import TIGHT, directed_graph, network_slope
from scipy.special import lambertw

from brainmass_delays import ArgumentError, HopfStep, LinearStep, Network
from brainmass_delays.integrate import solve_dde, solve_network

CONSTANT = np.array([0.1, 0.2, 0.3, 0.4])  # NumPy keeps float64 whatever the precision at import
HISTORIES = {"constant": CONSTANT, "function": lambda t: jnp.cos(t * CONSTANT)}


@pytest.mark.parametrize("history", ["constant", pytest.param("function", marks=pytest.mark.slow)])
def test_edges_equal_snapshots(history):
    """Reading one component per edge is reading the whole state at every delay and picking that component."""
    _, delays = directed_graph()

    def end(delays, coupled):
        def f(t, x, delayed, args):
            edges = delayed if coupled else delayed[jnp.arange(4)[:, None], jnp.arange(4), jnp.arange(4)]
            return network_slope(t, x, edges, args)

        return solve_dde(
            f, HISTORIES[history], 0.0, 3.0, delays, max_delay=2.0, coupled=(lambda x: x) if coupled else None,
            kinks=2, while_loop="checkpointed", max_steps=400, rtol=1e-10, atol=1e-10,
        ).ys  # fmt: skip

    (edges, d_edges), (snapshots, d_snapshots) = (
        jax.jit(jax.value_and_grad(lambda d, c=c: end(d, c)[0]))(jnp.asarray(delays)) for c in (True, False)
    )
    np.testing.assert_allclose(edges, snapshots, rtol=1e-9)
    np.testing.assert_allclose(d_edges, d_snapshots, atol=1e-7)


@pytest.mark.parametrize("history", [pytest.param("constant", marks=pytest.mark.slow), "function"])
def test_gradient_in_every_edge_against_differences(history):
    _, delays = directed_graph()

    @jax.jit
    def end(delays):
        return solve_dde(
            network_slope, HISTORIES[history], 0.0, 5.0, delays, coupled=lambda x: x, max_delay=2.0,
            while_loop="checkpointed", max_steps=1000, **TIGHT,
        ).ys[2]  # fmt: skip

    grad = jax.jit(jax.grad(end))(jnp.asarray(delays))
    for target, source in ((2, 0), (0, 1), (1, 3), (3, 2)):
        shift = np.zeros((4, 4))
        shift[target, source] = 1e-4
        near, far = (end(delays + s * shift) - end(delays - s * shift) for s in (1, 2))
        np.testing.assert_allclose(grad[target, source], (8 * near - far) / 12e-4, rtol=1e-7)
    np.testing.assert_allclose(np.diag(grad), 0.0)  # exactly zero delays are constants


def judged_by_jitcdde(f, past, t1, tmp_path, monkeypatch):
    """Return the end state of another program; its equations ``f(y, t)`` are symbols."""
    jitcdde = pytest.importorskip("jitcdde")
    monkeypatch.chdir(tmp_path)  # its compiler reads the pyproject.toml of the working directory
    judge = jitcdde.jitcdde(f(jitcdde.y, jitcdde.t), verbose=False)
    judge.constant_past(past)
    judge.set_integration_parameters(rtol=1e-11, atol=1e-11, first_step=1e-4, max_step=0.02)
    # its step_on_discontinuities runs past t1 if there is more than one delay, and its first stage is the slope
    # before the start, so that the first step has to be tiny
    judge.integrate_blindly(1e-9, step=1e-9)
    judge.integrate_blindly(4.0, step=5e-4)
    return judge.integrate(t1)


@pytest.mark.slow
def test_agreement_with_jitcdde(tmp_path, monkeypatch):
    weights, delays = directed_graph()

    def equations(y, t):
        from symengine import cos

        return [
            -y(i) + sum(weights[i, j] * y(j, t - delays[i, j]) for j in range(4) if i != j) + cos(t + i)
            for i in range(4)
        ]

    theirs = judged_by_jitcdde(equations, CONSTANT.tolist(), 12.0, tmp_path, monkeypatch)
    ours = solve_dde(network_slope, CONSTANT, 0.0, 12.0, jnp.asarray(delays), coupled=lambda x: x, **TIGHT).ys
    np.testing.assert_allclose(ours, theirs, rtol=1e-7)


def hopf_network(speed):
    weights, lengths = directed_graph()
    nodes = HopfStep(4, a=0.2, w=1.5, init_x=CONSTANT, init_y=0.5)
    network = Network(
        nodes, conn=weights, lengths=lengths * u.mm, speed=speed, coupling="diffusive", coupled_var="x", k=0.4,
        max_delay=4.0 * u.ms,
    )  # fmt: skip
    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(network)
    return network


@pytest.mark.slow
def test_a_network_agrees_with_jitcdde(tmp_path, monkeypatch):
    """Hopf nodes, diffusive coupling in x."""
    weights, delays = directed_graph()

    def equations(y, t):
        f = []
        for i in range(4):
            growth = 0.2 - y(2 * i) ** 2 - y(2 * i + 1) ** 2
            drive = sum(
                0.4 * weights[i, j] * (y(2 * j, t - delays[i, j]) - y(2 * i)) for j in range(4) if i != j
            )
            f.append(growth * y(2 * i) - 1.5 * y(2 * i + 1) + drive)
            f.append(growth * y(2 * i + 1) + 1.5 * y(2 * i))
        return f

    past = np.stack([CONSTANT, np.full(4, 0.5)], -1).ravel()
    theirs = judged_by_jitcdde(equations, past, 12.0, tmp_path, monkeypatch).reshape(4, 2)
    ours = solve_network(hopf_network(1.0 * u.mm / u.ms), 12.0 * u.ms, **TIGHT).ys
    np.testing.assert_allclose(ours["x"], theirs[:, 0], atol=2e-8)
    np.testing.assert_allclose(ours["y"], theirs[:, 1], atol=2e-8)


def test_a_network_follows_its_closed_form():
    """Two nodes that excite each other from x = exp(s t) on: s = gamma + W(k tau exp(-gamma tau)) / tau."""
    gamma, k, tau = -0.5, 0.7, 1.3
    s = gamma + (lambertw(k * tau * np.exp(-gamma * tau)) / tau).real
    network = Network(
        LinearStep(2, gamma=gamma, init_x=1.0), conn=1.0 - np.eye(2), delay=tau * (1 - np.eye(2)) * u.ms, k=k,
        coupling="additive", coupled_var="x", delay_init=lambda t: jnp.exp(s * t / u.ms) * jnp.ones(2),
    )  # fmt: skip
    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(network)
    solution = solve_network(network, 10.0 * u.ms, kinks=0, **TIGHT)
    np.testing.assert_allclose(solution.ys["x"], np.exp(10 * s), rtol=1e-9)


def test_solve_network_reaches_the_parameters_of_the_network():
    @jax.jit
    def end(speed):
        network = hopf_network(speed * u.mm / u.ms)
        return solve_network(network, 4.0 * u.ms, while_loop="checkpointed", max_steps=1000, **TIGHT).ys["x"][
            0
        ]

    near, far = (end(1 + s * 1e-4) - end(1 - s * 1e-4) for s in (1, 2))
    np.testing.assert_allclose(jax.jit(jax.grad(end))(1.0), (8 * near - far) / 12e-4, rtol=1e-7)


def test_solve_network_names_what_it_needs():
    with pytest.raises(
        ArgumentError, match=r"solve_network.network: must have a method equation\(\); got int"
    ):
        solve_network(3, 1.0 * u.ms)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_of_1560_edges_says_what_it_passed_and_keeps_ten_tolerances(seed):
    """40 Hopf nodes, each edge with a delay of its own, a constant history; landing on all of 1560 kinks judges."""
    n, random = 40, np.random.default_rng(seed)
    weights = random.uniform(size=(n, n)) / n * (1 - np.eye(n))
    places = random.uniform(size=(n, 3))
    lengths = np.linalg.norm(places[:, None] - places[None], axis=-1)
    delays = (0.3 + lengths * random.uniform(0.8, 1.2, size=(n, n))) * (1 - np.eye(n))

    def f(t, state, delayed, args):
        x, y = state
        growth = 0.1 - x**2 - y**2
        return growth * x - 3 * y + (weights * (delayed - x[:, None])).sum(1), growth * y + 3 * x

    def end(tolerance, kinks=None):
        history = 0.3 * np.cos(np.arange(n)), 0.3 * np.sin(np.arange(n))
        solution = solve_dde(
            f,
            history,
            0.0,
            4.0,
            delays,
            coupled=lambda u: u[0],
            rtol=tolerance,
            atol=tolerance,
            max_steps=8000,
            kinks=kinks,
        )
        return solution.ys[0], solution.statistics

    exact, _ = end(1e-12, kinks=1)
    for kinks, bound, landings in ((None, 10.0, 0), (1, 1.0, 1560), (0, 50.0, 0)):
        found, count = end(1e-9, kinks)
        worst = np.max(np.abs(found - exact) / (1 + np.abs(exact))) / 1e-9
        print(
            f"seed {seed}, kinks={kinks}: {worst:.2f} tolerances, {count.accepted} steps, {count.landings} landings"
        )
        assert worst < bound
        assert count.landings == landings
        assert count.kinks_missed == 1560 - landings
