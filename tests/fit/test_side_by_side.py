"""Starts that a program runs side by side end where they end one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import brainstate
import braintools
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import Module, SigmoidT

from brainmass_delays import ArgumentError, Fitter, Param, RunError
from brainmass_delays._core.memory import free_memory
from brainmass_delays.fit import side_by_side

TARGET = np.linspace(0.0, 1.0, 20)
STARTS = {"slope": [0.3, 1.9, 0.1, 1.0, 0.6]}
pytestmark = pytest.mark.filterwarnings("ignore:Fitter.fit. the loss went down by:UserWarning")
OPTIMIZERS = {
    "adam": lambda: optax.adam(0.02),
    "momentum": lambda: optax.sgd(0.05, momentum=0.9),
    "schedule": lambda: braintools.optim.Adam(
        lr=braintools.optim.StepLR(base_lr=0.05, step_size=20, gamma=0.5)
    ),
}


class Line(Module):
    """A line with noise, through a bounded slope, that counts its calls in a state of its own."""

    def __init__(self):
        super().__init__()
        self.slope = Param(0.3, t=SigmoidT(0.0, 2.0))
        self.offset = Param(jnp.array([0.5, -0.5]))
        self.calls = brainstate.HiddenState(jnp.zeros((), int))

    def __call__(self):
        self.calls.value = self.calls.value + 1
        noise = 0.01 * brainstate.random.normal(size=20)
        return self.slope.value() * jnp.linspace(0, 1, 20) + self.offset.value().sum() + noise


def fitted(
    optimizer=OPTIMIZERS["adam"], n_steps=90, predict=lambda m: m(), starts=STARTS, loop=False, **options
):
    brainstate.random.seed(0)
    callbacks = [lambda info: None] if loop else None  # which see one start after the other
    fitter = Fitter(Line(), optimizer(), predict=predict, callbacks=callbacks, **options)
    return fitter.fit(TARGET, n_steps=n_steps, starts=starts)


def same(ours, theirs):
    assert len(ours.starts) == len(theirs.starts) and ours.failures == theirs.failures
    for one, other in zip((ours, *ours.starts), (theirs, *theirs.starts), strict=True):
        np.testing.assert_allclose(one.history, other.history, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.best_loss, other.best_loss, rtol=1e-9)
        np.testing.assert_allclose(one.prediction, other.prediction, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.param_history["slope"], other.param_history["slope"], rtol=1e-9)
        for name, value in other.best_params.items():
            np.testing.assert_allclose(one.best_params[name], value, rtol=1e-9)
    for name, value in ours.best_params.items():
        np.testing.assert_array_equal(getattr(ours.model, name).value(), value)


@pytest.fixture
def programs(monkeypatch):
    """List the lanes of the programs that are used."""
    sizes, made = [], side_by_side.Lanes.made

    def spy(*given):
        lanes = made(*given)
        sizes.append(None if lanes is None else (lanes.size, len(lanes.groups)))
        return lanes

    monkeypatch.setattr(side_by_side.Lanes, "made", spy)
    return sizes


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_side_by_side_is_one_after_the_other(name, programs):
    same(fitted(OPTIMIZERS[name]), fitted(OPTIMIZERS[name], loop=True))
    assert programs == [(5, 1)]


def test_starts_that_diverge_stand_still_and_are_reported(programs):
    predict = lambda m: jnp.where(m.slope.value() > 0.7, jnp.nan, 1.0) * m()  # noqa: E731
    found = {}
    for loop in (False, True):
        with pytest.warns(UserWarning) as caught:
            found[loop] = fitted(predict=predict, n_steps=20, loop=loop)
        told = "\n".join(str(warning.message) for warning in caught)
        assert "start 2: Fitter.fit: step 0, at offset=-0.5 .. 0.5, slope=1.9: the loss became nan" in told
    same(found[False], found[True])
    late = found[False].failures[2]  # climbs over the edge on its way
    assert (
        len(found[False].starts) == 2
        and late.startswith("start 5: Fitter.fit: step ")
        and "step 0" not in late
    )
    with pytest.raises(RunError, match="no start gave a usable fit. start 1: .* start 2: "):
        fitted(predict=lambda m: jnp.nan * m())
    assert programs == [(5, 1)] * 2


def test_as_many_as_fit_in_the_memory_run_together(monkeypatch, programs):
    whole = fitted()
    monkeypatch.setattr(side_by_side, "SMALL", 0)
    compiled = side_by_side._compiled
    monkeypatch.setattr(side_by_side.PROGRAMS, "get", lambda key, make: make())
    monkeypatch.setattr(side_by_side, "_compiled", lambda *given: (compiled(*given)[0], float(given[3])))
    monkeypatch.setattr(side_by_side, "free_memory", lambda device: 4.0)  # of which half, for lanes of a byte
    same(fitted(), whole)
    monkeypatch.setattr(side_by_side, "free_memory", lambda device: 1.0)
    same(fitted(), whole)
    assert programs == [(5, 1), (2, 3), None] and free_memory() > 4


def test_what_takes_one_call_at_a_time_runs_one_after_the_other(programs):
    def predict(model):
        shape = jax.ShapeDtypeStruct((), float)
        one = jax.pure_callback(lambda: np.array(1.0), shape)
        seen = jax.lax.stop_gradient(
            jax.pure_callback(lambda x: np.array(0 * x), shape, jax.lax.stop_gradient(model.slope.value()))
        )
        return model() * one + seen

    same(fitted(predict=predict, n_steps=5), fitted(n_steps=5))
    assert programs == [None, (5, 1)]


def test_schedules_that_follow_the_loss_run_one_after_the_other(programs):
    plateau = lambda: braintools.optim.Adam(lr=braintools.optim.ReduceLROnPlateau(base_lr=0.05, patience=3))  # noqa: E731
    same(fitted(plateau, 30), fitted(plateau, 30, loop=True))
    assert programs == []


@pytest.mark.parametrize("loop", [False, True])
def test_a_start_from_which_no_way_leads_is_reported(loop):
    def predict(model):  # flat below 0.5
        return jnp.maximum(model.slope.value(), 0.5) * TARGET + 0 * model.offset.value().sum()

    with pytest.warns(UserWarning) as caught:
        result = fitted(predict=predict, n_steps=20, loop=loop, starts={"slope": [0.2, 0.8, 1.5]})
    assert any(
        "start 1: Fitter.fit: the gradient of the loss must not be zero" in str(w.message) for w in caught
    )
    assert len(result.starts) == 2 and "exactly 0 with respect to" in result.failures[0]
    with pytest.raises(ArgumentError, match="the gradient of the loss must not be zero at the start"):
        fitted(predict=predict, n_steps=20, loop=loop, starts={"slope": [0.2, 0.3]})


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("stop", [3, 17, 100])
def test_what_was_found_before_an_error_is_handed_out(error, stop, monkeypatch):
    record, calls = side_by_side.record, []

    def stopping(*given):
        if len(calls) == stop:
            raise error
        calls.append(1)
        record(*given)

    monkeypatch.setattr(side_by_side, "record", stopping)
    with pytest.raises(error) as caught:
        fitted()
    result = caught.value.result
    assert sum(len(run.history) for run in result.starts) == stop
    for run in result.starts:
        noise = run.prediction - (run.best_params["slope"] * TARGET + run.best_params["offset"].sum())
        assert run.best_loss == min(run.history) and np.std(noise) < 0.02
        np.testing.assert_allclose(np.sqrt(np.mean((run.prediction - TARGET) ** 2)), run.best_loss, rtol=1e-9)


@pytest.mark.parametrize("method", ["DE", "CMA", "OnePlusOne", "NelderMead"])
def test_a_generation_is_one_program_and_finds_what_single_candidates_find(method, monkeypatch):
    ng = pytest.importorskip("nevergrad")
    space = {"slope": (0.0, 2.0), "offset": (-1.0, 1.0)}
    sizes, found, evaluate = [], {}, side_by_side.Generation.evaluate

    def counted(generation, places):
        sizes.append(len(places))
        return evaluate(generation, places)

    monkeypatch.setattr(side_by_side.Generation, "evaluate", counted)
    for together in (True, False):
        if not together:  # nothing fits in the memory
            monkeypatch.setattr(side_by_side.Generation, "made", lambda *given: None)
        brainstate.random.seed(0)
        fitter = Fitter(
            Line(),
            {"method": method, "n_sample": 6},
            predict=lambda m: m(),
            backend="nevergrad",
            search_space=space,
        )
        found[together] = fitter.fit(TARGET, 15)
    ours, theirs = found[True], found[False]
    assert ours.n_steps == 90 and len(ours.param_history["slope"]) == 90
    assert sizes == ([] if ng.optimizers.registry[method].no_parallelization else [6] * 15)
    np.testing.assert_allclose(ours.history, theirs.history, rtol=1e-9)
    np.testing.assert_allclose(ours.prediction, theirs.prediction, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(ours.best_params["slope"], theirs.best_params["slope"])


def test_what_many_starts_have_ended_with_is_not_gone_on_from():
    fitter = Fitter(Line(), predict=lambda m: m())
    fitter.fit(TARGET, 3, starts=STARTS)
    with pytest.raises(ArgumentError, match="Fitter.fit.resume: needs an earlier fit from one start"):
        fitter.fit(TARGET, 3, resume=True)


def test_the_model_keeps_its_states_and_the_random_numbers_go_on():
    after = []
    for loop in (False, True):
        fitted(n_steps=3, loop=loop)
        after.append(brainstate.random.normal())
    assert after[0] == after[1]
    model = Line()
    Fitter(model, loss_fn=lambda m: jnp.mean((m() - TARGET) ** 2)).fit(n_steps=3, starts=STARTS)
    assert int(model.calls.value) == 0


def test_one_number_of_starts_compiles_once(compilations):
    fitter = Fitter(Line(), optax.adam(0.02), predict=lambda m: m())
    fitter.fit(TARGET, 20, starts=STARTS)
    with compilations() as count:
        fitter.fit(2 * TARGET, 30, starts={"slope": [0.2, 0.4, 0.6, 0.8, 1.0]})
    assert count() == 0


@pytest.mark.slow
def test_devices_share_the_starts():
    """Five starts on four devices are eight lanes."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import brainstate, jax
brainstate.environ.set(precision=64)
import test_side_by_side as t
assert jax.local_device_count() == 4
t.same(t.fitted(n_steps=20), t.fitted(n_steps=20, loop=True))
"""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
