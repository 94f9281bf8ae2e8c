"""What a run, a fit or a solve needs is compared with what is free before anything is allocated."""

import gc
import weakref

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import (
    ArgumentError,
    Connectome,
    Fitter,
    HopfStep,
    LinearStep,
    Network,
    Param,
    Simulator,
    integrate,
)
from brainmass_delays._core import memory
from brainmass_delays.delays.past import Past
from brainmass_delays.engine.programs import PROGRAMS

N = 10
CONN = Connectome.synthetic(N)


@pytest.fixture
def free(monkeypatch):
    """Pretend that so many bytes are free."""

    def pretend(n_bytes):
        monkeypatch.setattr(memory, "free_memory", lambda device=None: n_bytes)
        monkeypatch.setattr(memory, "SMALL", 0)

    return pretend


def simulator(speed=5.0, gamma=-0.1, **options):
    """Return a simulator of a small network, at 0.1 ms."""
    node = LinearStep(N, gamma=gamma, init_x=1.0)
    net = Network(node, conn=CONN, coupled_var="x", speed=speed * u.mm / u.ms, k=0.01)
    return Simulator(net, dt=0.1 * u.ms, **options)


def test_a_slip_of_the_unit_of_speed_is_named_before_the_buffer_is_made(free):
    free(1e9)
    said = (
        r"Network\.max_delay: must fit in the 1 GB of memory that are free; got a need of .* \(buffer .*\)\. The "
        r"longest delay is .* ms, .* steps of 0\.1 ms\. Is the unit of the speed or of the delays right\?"
    )
    with pytest.raises(ArgumentError, match=said):
        simulator(speed=1e-5).run(1 * u.ms)


def test_the_need_of_a_buffer_is_what_is_allocated(free):
    sim = simulator(speed=0.01)
    sim.run(1 * u.ms)
    (past,) = sim.model.nodes(Past).values()
    size = past.rings.value.values.values.nbytes
    assert size > 1e6
    free(1.9 * size)
    with pytest.raises(ArgumentError, match=r"Network\.max_delay: .* \(buffer "):
        simulator(speed=0.01).run(1 * u.ms)
    free(4 * size)
    simulator(speed=0.01).run(1 * u.ms)


def test_a_record_that_does_not_fit_is_refused_with_the_ways_to_record_less(free):
    free(1e8)
    said = r"Simulator\.run\.duration: .* record 160 MB\)\. 1000000 steps are asked for\. Record less by sample_every="
    with pytest.raises(ArgumentError, match=said):
        simulator().run(1e5 * u.ms, monitors="x")
    shapes = jax.eval_shape(lambda: simulator().run(1e4 * u.ms, monitors="x")["x"])  # a tenth fits
    assert shapes.shape == (100_000, N)


def test_a_slip_of_the_unit_of_dt_is_named_before_the_steps_are_numbered(free):
    free(1e9)
    said = r"Simulator\.run\.duration: .* steps 28.8 TB\)\. Is the unit of dt or of the duration right"
    with pytest.raises(ArgumentError, match=said):
        Simulator(LinearStep(3), dt=1e-6 * u.ms).run(3600 * u.second, monitors="x")


@pytest.mark.parametrize(
    "checkpoint, said", [(True, r"gradient .* grad_horizon="), (False, r"gradient .* checkpoint=True")]
)
def test_a_gradient_counts(free, checkpoint, said):
    def end(gamma):
        return simulator(gamma=gamma, checkpoint=checkpoint).run(800 * u.ms, monitors=[])["status"] * gamma

    free(3e5)
    simulator().run(800 * u.ms, monitors=[])  # without a gradient
    with pytest.raises(ArgumentError, match=said):
        jax.grad(lambda gamma: end(gamma).astype(float))(-0.1)


def test_a_fit_knows_what_its_program_needs(free):
    class Model(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.x = Param(1.0, fit=True)

    n = 300_000
    fitter = Fitter(Model(), predict=lambda model: jnp.cumsum(jnp.sin(model.x.value() * jnp.arange(n))))
    free(1e6)
    with pytest.raises(
        ArgumentError, match=r"Fitter\.fit: must fit in the 1 MB .* \(loss and gradient .*grad_horizon"
    ):
        fitter.fit(np.zeros(n), n_steps=1)
    free(1e9)
    assert fitter.fit(np.zeros(n), n_steps=1).best_loss > 0


@pytest.mark.parametrize(
    "solve, said",
    [
        (
            lambda: integrate.solve_dde(lambda t, y, d, a: -d, jnp.ones(9), 0.0, 1.0, 0.5, max_steps=10**8),
            r"solve_dde\.max_steps: .* \(past 37\.6 GB\)\. Room for max_steps=100000000 is taken before the first step",
        ),
        (
            lambda: integrate.solve_ode(
                lambda t, y, a: -y, jnp.ones(9), 0.0, 1.0, dense=True, max_steps=10**8
            ),
            r"solve_ode\.max_steps: .* \(dense solution ",
        ),
        (
            lambda: integrate.solve_filter(
                lambda t, y, a: -y, jnp.ones(2), 0.0, 1.0, num=2, strategy="fixed-interval", max_steps=10**9
            ),
            r"solve_filter\.max_steps: .* \(times 8 GB\)",
        ),
        (
            lambda: integrate.solve_filter_on_grid(
                lambda t, y, a: -y, jnp.ones(2), jnp.linspace(0, 1, 10**6), num=2
            ),
            r"solve_filter_on_grid\.grid: .* \(states ",
        ),
        (
            lambda: integrate.solve_filter_dde(
                lambda t, y, d, a: -d, jnp.ones(2), 0.0, 1.0, 0.5, num=2, window=10**5
            ),
            r"solve_filter_dde\.window: .* \(joint covariance .* square",
        ),
    ],
)
def test_solves_that_would_not_fit_are_refused(free, solve, said):
    free(1e7)
    with pytest.raises(ArgumentError, match=said):
        solve()


def test_many_networks_on_one_node_leave_no_buffers():
    node, pasts = LinearStep(N, init_x=1.0), weakref.WeakSet()
    for _ in range(300):
        net = Network(node, conn=CONN, coupled_var="x", speed=5 * u.mm / u.ms, k=0.01)
        pasts.update(net.nodes(Past).values())
    del net
    gc.collect()
    assert len(pasts) <= 1 and len(node.after_updates or ()) <= 1


def test_many_functions_of_one_kind_keep_one_program(compilations):
    sim = simulator()
    sim.run(1 * u.ms, monitors=lambda model: 2.0 * model.node.x.value)
    before = len(PROGRAMS)
    with compilations() as count:
        for _ in range(20):
            sim.run(1 * u.ms, monitors=lambda model: 2.0 * model.node.x.value)
    assert len(PROGRAMS) == before and count() == 0


def test_networks_of_equal_shapes_share_their_program():
    """Also sparse ones, whose regions are connected in another order."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 1, (12, 12)) * (rng.random((12, 12)) < 0.4) * (1 - np.eye(12))
    lengths = rng.uniform(20, 60, (12, 12))

    def simulated(order):
        node = HopfStep(12, a=0.1, w=0.2, init_x=np.linspace(-0.3, 0.3, 12)[order])
        net = Network(
            node,
            conn=weights[np.ix_(order, order)],
            lengths=lengths[np.ix_(order, order)] * u.mm,
            speed=5 * u.mm / u.ms,
            coupled_var="x",
            k=0.2,
            max_delay=14 * u.ms,
        )
        return Simulator(net, dt=0.1 * u.ms).run(30 * u.ms, monitors=["x"])["x"]

    expected = simulated(np.arange(12))
    before = len(PROGRAMS)
    order = rng.permutation(12)
    np.testing.assert_allclose(simulated(order), expected[:, order], rtol=1e-12)
    assert len(PROGRAMS) == before


def test_programs_that_differ_are_kept_up_to_a_number():
    sim = simulator()
    for i in range(PROGRAMS.size + 3):
        PROGRAMS.get(("not a program", i), object)
    assert len(PROGRAMS) == PROGRAMS.size
    sim.run(1 * u.ms)
    assert len(PROGRAMS) == PROGRAMS.size
