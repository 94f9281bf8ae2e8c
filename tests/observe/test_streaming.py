"""Every monitor while a model runs: what it gives afterwards, whatever the way of running."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from monitor_cases import DT, MONITORS

from brainmass_delays import ArgumentError, HopfStep, Network, Param, Simulator, WhiteNoise
from brainmass_delays.observe import Balloon, Covariance, LeadField, SubSample, TemporalAverage, apply

RANDOM = {"mean, sensors, noise, spectrum"}  # draws noise of its own
QUICK = ("mean", "lead field", "correlations so far", "mean, balloon, correlation", "mean, mean, peak")
SETS = [QUICK, pytest.param(tuple(MONITORS), marks=pytest.mark.slow)]
every_set = pytest.mark.parametrize("names", SETS, ids=["some", "all"])


def activity(model):
    """Return what is watched: positive, as hemodynamics need it."""
    return 0.5 + 0.2 * model.node.x.value


def network(k=0.3):
    """Three noisy oscillators, the source of every monitor."""
    node = HopfStep(3, a=0.2, w=0.3, init_x=[0.3, -0.2, 0.5], init_y=0.1, noise_x=WhiteNoise(3, 0.1))
    return Network(node, conn=1 - np.eye(3), delay=1.7 * u.ms, coupled_var="x", k=k)


def watching(names):
    """Return the monitors by name, each at the end of a chain that watches the activity."""
    return {name: SubSample(activity) >> MONITORS[name]() for name in names}


def afterwards(monitors, x):
    """Return what the monitors give for a stored trajectory."""
    return {name: apply(monitor, x, DT) for name, monitor in monitors.items()}


def check(result, expected, names=None):
    for name in names or expected:
        ts, values = expected[name]
        assert np.all(np.isfinite(values)) or "spectra so far" in name  # none before the first segment
        np.testing.assert_allclose(result[name], values, rtol=1e-11, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(result.times(name).to_decimal(u.ms), ts.to_decimal(u.ms), rtol=1e-12)


def run(sim, duration, **options):
    brainstate.random.seed(3)
    return sim.run(duration, **options)


@every_set
def test_in_one_run_and_behind_a_progress_bar(names):
    monitors, sim = watching(names), Simulator(network(), DT)
    whole = run(sim, 10.3 * u.ms, monitors={**monitors, "x": activity})
    check(whole, afterwards(monitors, whole["x"]))
    check(
        run(sim, 10.3 * u.ms, monitors={**monitors, "x": activity}, progress=True),
        afterwards(monitors, whole["x"]),
    )


@every_set
def test_across_spans_and_continued_runs(names):
    """Spans of 1.7 ms divide no period; a run may stop where nothing is emitted."""
    monitors = watching(names)
    sim = Simulator(network(), DT, grad_horizon=1.7 * u.ms)
    brainstate.random.seed(3)
    parts = [
        sim.run(t * u.ms, monitors={**monitors, "x": activity}, init_states=n == 0)
        for n, t in enumerate((5.2, 0.2, 4.9))
    ]
    expected = afterwards(monitors, jnp.concatenate([part["x"] for part in parts]))
    for name, monitor in monitors.items():
        got = parts[-1][name] if monitor.period is None else np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(got, expected[name][1], rtol=1e-11, atol=1e-12, err_msg=name)


@every_set
def test_a_batch(names):
    names = [name for name in names if name not in RANDOM]
    monitors = watching(names)
    result = run(Simulator(network(), DT), 10.3 * u.ms, monitors={**monitors, "x": activity}, batch_size=2)
    assert result["x"].shape == (103, 2, 3)
    check(result, afterwards(monitors, result["x"]))


@every_set
def test_as_a_pure_function_under_jit_and_vmap(names):
    monitors, sim = watching(names), Simulator(network(Param(0.3, fit=True)), DT)
    function = sim.function(10.3 * u.ms, monitors={**monitors, "x": activity})
    keys = jax.random.split(jax.random.key(1), 2)
    alone = function({"k": 0.2}, key=keys[1])
    check(alone, afterwards(monitors, alone["x"]))
    check(jax.jit(function)({"k": 0.2}, key=keys[1]), afterwards(monitors, alone["x"]))
    mapped = jax.vmap(lambda k, key: function({"k": k}, key=key))(jnp.array([0.5, 0.2]), keys)
    check(jax.tree.map(lambda leaf: leaf[1], mapped), afterwards(monitors, alone["x"]))


def test_a_function_leaves_the_memory_of_monitors_alone():
    monitor = TemporalAverage("x", period=0.7 * u.ms)
    sim = Simulator(network(Param(0.3, fit=True)), DT)
    brainstate.random.seed(3)
    first = sim.run(1 * u.ms, monitors={"mean": monitor, "x": "x"})
    jax.jit(sim.function(2 * u.ms, monitors={"mean": monitor}))({"k": 0.1})
    second = sim.run(1 * u.ms, monitors={"mean": monitor, "x": "x"}, init_states=False)
    x = jnp.concatenate([first["x"], second["x"]])
    np.testing.assert_allclose(
        np.concatenate([first["mean"], second["mean"]]), apply(monitor, x, DT)[1], rtol=0, atol=1e-12
    )


def test_what_a_continued_run_refuses():
    monitor, sim = TemporalAverage("x", period=0.7 * u.ms), Simulator(network(), DT)
    sim.run(1 * u.ms, monitors={"mean": monitor})
    sim.run(1 * u.ms, init_states=False)
    with pytest.raises(ArgumentError, match="must follow every run from its first on"):
        sim.run(1 * u.ms, monitors={"mean": monitor}, init_states=False)
    other = Simulator(network(), DT)
    other.run(1 * u.ms)
    with pytest.raises(ArgumentError, match="must follow every run from its first on"):
        other.run(1 * u.ms, monitors={"mean": monitor}, init_states=False)
    with pytest.raises(ArgumentError, match="must hold monitors, not their class"):
        sim.run(1 * u.ms, monitors={"mean": TemporalAverage})

    def go_on():
        return sim.run(
            1 * u.ms, monitors={"mean": TemporalAverage("x", period=0.7 * u.ms)}, init_states=False
        )["mean"]

    with pytest.raises(ArgumentError, match="a clock whose time is known"):
        brainstate.transform.jit(go_on)()


CHAINS = {
    "sensors": lambda p: (
        TemporalAverage(activity, period=0.3 * u.ms)
        >> LeadField(matrix=Param(p * jnp.array([[1.0, 2.0, -1.0]]), fit=True), period=0 * u.ms)
        >> Covariance()
    ),
    "bold": lambda p: Balloon(
        activity,
        period=1.1 * u.ms,
        kappa=Param(650 * p * u.Hz),
        gamma=4.1e5 * u.Hz,
        tau=0.98 * u.ms,
        efficacy=1e5,
        step=0.2 * u.ms,
    ),
}


@pytest.mark.parametrize(
    "mode, name",
    [
        ("reverse", "bold"),
        ("forward", "sensors"),
        pytest.param("reverse", "sensors", marks=pytest.mark.slow),
        pytest.param("forward", "bold", marks=pytest.mark.slow),
    ],
)
def test_gradients_in_the_model_and_in_the_monitor(name, mode):
    """Streaming equals afterwards, in both modes, across spans."""
    sim = Simulator(network(Param(0.3, fit=True)), DT, gradient=mode)
    key = jax.random.key(0)

    def streaming(k, p):
        return jnp.sum(
            sim.function(10.3 * u.ms, monitors={"seen": CHAINS[name](p)})({"k": k}, key=key)["seen"]
        )

    def stored(k, p):
        x = sim.function(10.3 * u.ms, monitors={"x": activity})({"k": k}, key=key)["x"]
        return jnp.sum(apply(CHAINS[name](p), x, DT)[1])

    slope = {"reverse": jax.grad, "forward": jax.jacfwd}[mode]
    ours, theirs = (jax.jit(slope(f, (0, 1)))(0.3, 1.1) for f in (streaming, stored))
    for a, b in zip(ours, theirs, strict=True):
        assert abs(b) > 1e-6
        np.testing.assert_allclose(a, b, rtol=1e-9)
