"""What a run promises beside its numbers: clocks, copies, threads, warnings and refusals."""

import copy
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import (
    ArgumentError,
    Fitter,
    HopfStep,
    LinearStep,
    Network,
    OUNoise,
    Param,
    RunError,
    Simulator,
    WhiteNoise,
    observe,
    prefetch_delay,
    use_cores,
)

DT = 0.25 * u.ms
W = 1 - np.eye(3)


def network(**options):
    node = HopfStep(3, a=0.2, w=0.3, init_x=[0.3, -0.2, 0.5], init_y=0.1, noise_x=WhiteNoise(3, 0.1))
    return Network(node, conn=W, delay=1.7 * u.ms, coupled_var="x", k=0.3, **options)


def test_monitors_that_stream_give_what_they_give_afterwards():
    """Odd periods, across spans and continued runs."""
    monitors = {
        "x": "x",
        "mean": observe.TemporalAverage("x", period=0.7 * u.ms),
        "some": observe.SubSample("x", period=1.3 * u.ms),
        "both": observe.TemporalAverage("x", period=0.5 * u.ms) >> observe.SubSample(period=2.1 * u.ms),
        "fc": observe.Covariance("x"),
    }
    sim = Simulator(network(), DT)
    parts = [sim.run(t * u.ms, monitors=monitors, init_states=t == 5) for t in (5, 3, 4)]
    x = jnp.concatenate([part["x"] for part in parts])
    for name in ("mean", "some", "both"):
        ts, expected = observe.apply(monitors[name], x, DT)
        np.testing.assert_allclose(
            np.concatenate([part[name] for part in parts]), expected, rtol=0, atol=1e-12
        )
        times = np.concatenate([part.times(name).to_decimal(u.ms) for part in parts])
        np.testing.assert_array_equal(times, ts.to_decimal(u.ms))
    np.testing.assert_allclose(parts[-1]["fc"], observe.apply(monitors["fc"], x, DT)[1], rtol=0, atol=1e-12)


def test_sampling_follows_the_clock_of_the_model():
    sim = Simulator(network(), DT)
    brainstate.random.seed(0)
    whole = sim.run(10 * u.ms, monitors=["x"])
    brainstate.random.seed(0)
    parts = [sim.run(t * u.ms, monitors=["x"], sample_every=7, init_states=t == 5) for t in (5, 2.5, 2.5)]
    np.testing.assert_array_equal(np.concatenate([p["x"] for p in parts]), whole["x"][6::7])
    np.testing.assert_allclose(
        np.concatenate([p["ts"].to_decimal(u.ms) for p in parts]), 0.25 * np.arange(7, 41, 7)
    )


def test_copies_are_independent_and_equal():
    net = network()
    sim = Simulator(net, DT)
    sim.run(3 * u.ms)
    others = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), pickle.loads(pickle.dumps(sim)).model]
    first = sim.run(3 * u.ms, monitors=["x"], init_states=False)["x"]
    for other in others:
        np.testing.assert_array_equal(
            Simulator(other, DT).run(3 * u.ms, monitors=["x"], init_states=False)["x"], first
        )


def test_eight_threads_on_one_simulator_agree_with_one():
    sim = Simulator(network(), DT)

    def run(seed):
        brainstate.environ.set(precision=64)  # every thread has an environment of its own
        x0 = np.full(3, 0.1 * seed)
        net = Network(
            HopfStep(3, a=0.2, w=0.3, init_x=x0, init_y=0.1), conn=W, delay=1.7 * u.ms, coupled_var="x", k=0.3
        )
        shared = sim.run(3 * u.ms, monitors=["x"])["x"]
        return np.asarray(Simulator(net, DT).run(3 * u.ms, monitors=["x"])["x"]), np.isfinite(shared).all()

    alone = [run(seed)[0] for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(run, range(8)))
    for (x, is_finite), expected in zip(found, alone, strict=True):
        np.testing.assert_array_equal(x, expected)
        assert is_finite


def test_fits_copies_and_runs_in_threads_agree_with_one_after_another():
    def made():
        return Network(LinearStep(3, gamma=Param(-0.5, fit=True), init_x=1.0), conn=W, coupled_var="x", k=0.1)

    shared, done = made(), threading.Event()
    sim = Simulator(shared, DT)
    decay = np.asarray(sim.run(3 * u.ms, monitors=["x"])["x"])

    def fit(model):
        brainstate.environ.set(precision=64)
        fitter = Fitter(model, predict=lambda net: Simulator(net, DT).run(3 * u.ms, monitors=["x"])["x"])
        return fitter.fit(np.zeros((12, 3)), n_steps=5).best_loss

    def copies():
        brainstate.environ.set(precision=64)
        found = []
        while not done.is_set() or not found:
            other = copy.deepcopy(sim) if len(found) % 2 else pickle.loads(pickle.dumps(sim))
            found.append(np.asarray(other.run(3 * u.ms, monitors=["x"])["x"]))
        return found

    expected = fit(made())
    with ThreadPoolExecutor(4) as pool:
        made_copies = pool.submit(copies)
        try:
            found = list(pool.map(fit, [made(), made(), copy.deepcopy(shared)]))
        finally:
            done.set()
        for x in made_copies.result():
            np.testing.assert_array_equal(x, decay)
    assert found == [expected] * 3


def test_a_model_that_ran_first_inside_a_fit_can_be_pickled():
    model = Network(LinearStep(3, gamma=Param(-0.5, fit=True), init_x=1.0), conn=W, coupled_var="x", k=0.1)
    fitter = Fitter(model, predict=lambda net: Simulator(net, DT).run(3 * u.ms, monitors=["x"])["x"])
    fitter.fit(np.zeros((12, 3)), n_steps=2)
    x = [
        Simulator(each, DT).run(3 * u.ms, monitors=["x"])["x"]
        for each in (model, pickle.loads(pickle.dumps(model)))
    ]
    np.testing.assert_array_equal(*x)
    for use in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(ArgumentError, match=r"Fitter: cannot be copied.*another Fitter"):
            use(fitter)


def test_a_thread_that_computes_in_32_bits_beside_64_is_told_so():
    """From brainstate 0.6 on, threads share their precision, and none can be beside another."""
    simulator = Simulator(network(), DT)
    with ThreadPoolExecutor(1) as pool:
        run = partial(pool.submit, simulator.run, 3 * u.ms, monitors=["x"])
        if pool.submit(brainstate.environ.get_precision).result() == 64:
            assert run().result()["x"].dtype == np.float64
            return
        with pytest.raises(ArgumentError, match=r"precision of this thread.*environ\.set\(precision=64\)"):
            run().result()


def test_reads_that_nobody_uses_any_more_leave_nothing_behind():
    node = LinearStep(3, gamma=-0.1)
    for _ in range(30):
        Network(node, conn=W, delay=1.0 * u.ms, coupled_var="x")
        prefetch_delay(node, "x", 1.0 * u.ms)
    assert len(node.after_updates or ()) <= 10


def test_a_run_in_which_nothing_moves_warns():
    net = Network(HopfStep(3, a=0.2, init_x=0.0, init_y=0.0), conn=W, delay=1.0 * u.ms, coupled_var="x")
    with pytest.warns(UserWarning, match="nothing moved.*init_x=.*delay_init=.*noise"):
        Simulator(net, DT).run(2 * u.ms, monitors=["x"])


def test_a_blow_up_is_reported_whatever_is_recorded():
    class Explosive(LinearStep):
        def derivative(self, state, t, drive):
            return (state[0] ** 3,)

    sim = Simulator(Explosive(1, init_x=10.0), DT)
    with pytest.raises(RunError, match="NaN or infinite"):
        sim.run(50 * u.ms, monitors=lambda m: m.x.value > 0.5)


def test_the_gradient_beyond_a_bound_is_nan_and_plain_grad_raises():
    def loss(speed):
        net = Network(
            LinearStep(3, gamma=-0.1, init_x=[1.0, 0.0, 0.0]),
            conn=W,
            lengths=10 * W,
            coupled_var="x",
            speed=speed * u.mm / u.ms,
            max_delay=5 * u.ms,
        )
        return Simulator(net, DT).run(12 * u.ms, monitors=["x"])["x"].sum()

    assert np.isnan(float(jax.jit(jax.grad(loss))(1.0)))
    with pytest.raises((RunError, ArgumentError), match="above the bound of 5 ms"):
        jax.grad(loss)(1.0)
    assert np.isfinite(float(jax.grad(loss)(2.5)))


REFUSED = {
    "continue what never began": (
        lambda: Simulator(network(), DT).run(1 * u.ms, init_states=False),
        "init_states: must be True",
    ),
    "noise of another shape": (
        lambda: HopfStep(4, noise_x=WhiteNoise(1, 0.1)),
        "HopfStep.noise_x: must have the shape",
    ),
    "complex weights": (lambda: network_of(conn=W * 1j), "Network.conn: must hold real numbers"),
    "noise that is a number": (lambda: network(noise=0.1), "Network.noise: must be a noise module; got 0.1"),
    "lengths without a speed": (lambda: network_of(lengths=10 * W), "Network.lengths: needs a speed"),
    "a monitor called ts": (
        lambda: Simulator(network(), DT).run(1 * u.ms, monitors={"ts": "x"}),
        "must not be named 'ts'",
    ),
    "an input by position": (
        lambda: Simulator(network(), DT).run(1 * u.ms, inputs=np.ones((4, 3))),
        "x_inp, y_inp",
    ),
    "an input too wide": (
        lambda: Simulator(network(), DT).run(1 * u.ms, inputs={"x_inp": np.ones((4, 5))}),
        "(time, ..., 3)",
    ),
    "an unknown input": (
        lambda: Simulator(network(), DT).run(1 * u.ms, inputs={"z_inp": 1.0}),
        "must be one of",
    ),
    "a delay beside lengths": (lambda: network_of(delay=1 * u.ms, lengths=W), "cannot be combined with"),
}


def network_of(**options):
    return Network(LinearStep(3), **{"conn": W, "coupled_var": "x"} | options)


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(call, message):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert message in str(caught.value)


def test_refused_in_a_second_run():
    noise = OUNoise(2, 0.1)
    with pytest.raises(ArgumentError, match="object of its own"):
        HopfStep(2, noise_x=noise, noise_y=noise)
    sim = Simulator(network(), DT)
    sim.run(1 * u.ms)
    with pytest.raises(ArgumentError, match="belongs to the first run"):
        sim.run(1 * u.ms, init_states=False, batch_size=2)
    with pytest.raises(ArgumentError, match="must stay what it was to continue"):
        Simulator(sim.model, 0.5 * u.ms).run(1 * u.ms, init_states=False)


def test_self_connections_are_counted_before_they_are_dropped():
    with pytest.warns(UserWarning, match="2 connections of a region with itself"):
        dropped = network_of(conn=np.ones((3, 3)) - np.diag([0, 0, 1.0]), delay=1 * u.ms)
    assert dropped.source_read.edges.active.sum() == 6
    kept = network_of(conn=Param(np.ones((3, 3))), delay=1 * u.ms, self_connection=True)
    assert kept.source_read.edges.active.all()


def test_forward_mode_gives_the_gradient():
    def loss(k, gradient):
        net = Network(
            LinearStep(3, gamma=-0.1, init_x=[1.0, 0.0, 0.0]), conn=W, delay=1.1 * u.ms, coupled_var="x", k=k
        )
        return (Simulator(net, DT, gradient=gradient).run(12 * u.ms, monitors=["x"])["x"] ** 2).sum()

    forward = jax.jacfwd(lambda k: loss(k, "forward"))(0.2)
    assert float(forward) == pytest.approx(float(jax.grad(lambda k: loss(k, "reverse"))(0.2)), rel=1e-10)


def test_a_run_goes_on_from_a_file(tmp_path):
    """Bit for bit, noise and clock included, in another process's model; a foreign file is refused."""
    first = Simulator(network(interpolation="hermite"), DT)
    first.run(3 * u.ms)
    first.save(tmp_path / "run.npz")
    second = Simulator(network(interpolation="hermite"), DT)
    second.load(tmp_path / "run.npz")
    a, b = (sim.run(3 * u.ms, monitors=["x"], init_states=False) for sim in (first, second))
    np.testing.assert_array_equal(a["x"], b["x"])
    np.testing.assert_array_equal(a["ts"].to_decimal(u.ms), b["ts"].to_decimal(u.ms))
    with pytest.raises(ArgumentError, match=r"Simulator\.load\.path: must hold"):
        Simulator(HopfStep(2), DT).load(tmp_path / "run.npz")
    (tmp_path / "broken.npz").write_bytes((tmp_path / "run.npz").read_bytes()[:500])
    with pytest.raises(ArgumentError, match="must be a file that Simulator.save has written"):
        second.load(tmp_path / "broken.npz")
    with pytest.raises(ArgumentError, match=r"in steps of"):
        Simulator(network(interpolation="hermite"), 0.5 * u.ms).load(tmp_path / "run.npz")


@pytest.mark.parametrize("key", [None, 7])
def test_a_trace_that_reads_the_first_key_leaves_none_of_its_own(key):
    """The key of brainstate.random is made at its first read, here within a trace."""
    drawn = {} if key is None else {"key": jax.random.key(key)}
    vars(brainstate.random.DEFAULT)["_value"] = np.array([3, 5], np.uint32)
    node = HopfStep(2, noise_x=WhiteNoise(2, 0.1), init_x=0.1)
    run = Simulator(node, dt=DT).function(2 * u.ms, monitors=["x"])
    twice = [jax.jit(lambda a: a * jnp.sum(run(**drawn)["x"]))(a) for a in (1.0, 2.0)]
    assert float(twice[1]) == pytest.approx(2 * float(twice[0]))
    assert brainstate.random.rand(1).shape == (1,)


def test_two_cores_give_the_same_results():
    """Points are shared, by a call that an import does not forestall and that comes too late once JAX has started."""
    program = Path(__file__).parent / "two_cores.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "equal", "True"]


def test_more_cores_than_there_are():
    for n in (0, 10**6, 1.5, "two"):
        with pytest.raises(ArgumentError, match=r"use_cores\.n"):
            use_cores(n)
