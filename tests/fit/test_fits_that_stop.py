"""Several starts, and fits that must stop: no number, no slope, or a run that failed."""

import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param
from oscillators import SECONDS, SPACE, TARGET, Oscillator, hz, make_fitter

from brainmass_delays import ArgumentError, RunError, objectives
from brainmass_delays._core.status import DELAY_ABOVE_BOUND
from brainmass_delays.fit import Fitter
from brainmass_delays.network import Network
from brainmass_delays.nodes import Generic2dOscillatorStep
from brainmass_delays.simulation import Simulator

# --- several starts -----------------------------------------------------------------------------------------


def test_multi_start_finds_what_one_start_misses():
    single = make_fitter(Oscillator(25.0 * u.Hz, 3.0 * u.Hz), braintools.optim.Adam(lr=0.05)).fit(TARGET, 60)
    assert abs(hz(single.best_params["frequency"]) - 12) > 10
    model = Oscillator(25.0 * u.Hz, 3.0 * u.Hz)
    fitter = make_fitter(model, braintools.optim.Adam(lr=0.05))
    result = fitter.fit(TARGET, 60, starts={"frequency": [25.0, 18.0, 11.0]})
    assert abs(hz(result.best_params["frequency"]) - 12) < 0.1
    assert len(result.starts) == 3 and result.best_loss == min(r.best_loss for r in result.starts)
    assert model.frequency.value() == result.best_params["frequency"]
    np.testing.assert_allclose([hz(r.param_history["frequency"][0]) for r in result.starts], [25, 18, 11])
    np.testing.assert_allclose([hz(r.param_history["damping.rate"][0]) for r in result.starts], 3)


@pytest.mark.parametrize("backend", ["grad", "scipy"])
def test_random_starts_fill_the_search_space_and_repeat(backend):
    fitter = make_fitter(backend=backend, search_space=SPACE)
    result = fitter.fit(TARGET, 2, starts=5)
    starts = np.sort([hz(r.param_history["damping.rate"][0]) for r in result.starts])
    assert np.array_equal(np.floor(starts / 4), np.arange(5))  # one in each fifth: a Latin hypercube
    again = fitter.fit(TARGET, 2, starts=5)
    assert again.best_loss == result.best_loss


def test_failed_start_is_reported_and_the_others_kept():
    fitter = make_fitter(predict=lambda m: jnp.where(m.damping.rate.value() > 6 * u.Hz, jnp.nan, 1) * m())
    with pytest.warns(UserWarning, match="start 2: Fitter.fit: step 0.*nan"):
        result = fitter.fit(TARGET, 3, starts={"damping.rate": [5.0, 7.0]})
    assert len(result.starts) == 1
    with pytest.raises(RunError, match="no start gave a usable fit"):
        fitter.fit(TARGET, 3, starts={"damping.rate": [8.0, 7.0]})


def test_sweep_evaluates_and_leaves_the_model_alone():
    model = Oscillator()
    losses = make_fitter(model).sweep("frequency", [8.0, 12.0, 16.0], TARGET)
    expected = [objectives.timeseries_rmse(Oscillator(f * u.Hz)(), TARGET) for f in (8.0, 12.0, 16.0)]
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    assert hz(model.frequency.value()) == pytest.approx(10)


# --- runs that must stop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["grad", "scipy"])
def test_nan_loss_stops_and_keeps_the_best(backend):
    model = Oscillator()
    predict = lambda m: jnp.where(m.damping.rate.value() < 4.8 * u.Hz, jnp.nan, 1.0) * m()  # noqa: E731
    optimizer = braintools.optim.Adam(lr=0.06) if backend == "grad" else None
    with pytest.raises(
        RunError,
        match=r"Fitter.fit: step \d+, at damping.rate=4.*Hz.*loss became nan.*best ones seen, of loss",
    ):
        make_fitter(model, optimizer, predict=predict, backend=backend).fit(TARGET, 50)
    assert 4.8 <= hz(model.damping.rate.value()) <= 5
    assert np.isfinite(hz(model.frequency.value()))


def test_nan_at_the_start_keeps_the_start():
    model = Oscillator()
    with pytest.raises(RunError, match="step 0.*loss became inf.*keeps those of the start"):
        make_fitter(model, predict=lambda m: m() / 0.0).fit(jnp.zeros(100) * u.mV, 5)
    assert hz(model.frequency.value()) == pytest.approx(10)


def test_nan_gradient_stops():
    predict = lambda m: m() + jnp.sqrt((m.damping.rate.value() - 5.0 * u.Hz) / u.Hz) * u.mV  # noqa: E731
    with pytest.raises(RunError, match=r"gradient with respect to damping.rate is not finite"):
        make_fitter(predict=predict).fit(TARGET, 5)


def test_search_ranks_nan_last_and_says_so():
    pytest.importorskip("nevergrad")
    predict = lambda m: jnp.where(m.damping.rate.value() > 10 * u.Hz, jnp.nan, 1.0) * m()  # noqa: E731
    with pytest.warns(UserWarning, match=r"not finite for \d+ of 80 candidates"):
        result = make_fitter(predict=predict, backend="nevergrad", search_space=SPACE).fit(TARGET, 10)
    assert np.isfinite(result.best_loss) and hz(result.best_params["damping.rate"]) <= 10
    with pytest.raises(RunError, match="finite for none of 8 candidates"):
        make_fitter(predict=lambda m: m() * jnp.nan, backend="nevergrad", search_space=SPACE).fit(TARGET, 1)
    gap = TARGET.at[7].set(jnp.nan * u.mV)
    with pytest.raises(RunError, match=r"none of 8 candidates. The target is not finite at \(7,\)"):
        make_fitter(backend="nevergrad", search_space=SPACE).fit(gap, 1)


def test_candidates_at_a_bound_are_as_good_as_others():
    """The box is that of the transform, whose ends no unconstrained number has, and the optimum is at one."""
    pytest.importorskip("nevergrad")
    model = Oscillator()
    fitter = make_fitter(
        model,
        "TwoPointsDE",
        loss_fn=lambda m: -m.frequency.value() / u.Hz,
        predict=None,
        backend="nevergrad",
        search_space=SPACE,
    )
    assert fitter.fit(n_steps=60).best_loss <= -0.999 * hz(fitter._backend._box["frequency"][1])


def test_zero_gradient_is_an_error_when_nothing_trains_and_a_warning_else():
    rounded = lambda m: jnp.round(_hz_traced(m.frequency)) * SECONDS  # noqa: E731
    with pytest.raises(
        ArgumentError, match="exactly 0 with respect to damping.rate, frequency.*nearest read"
    ):
        make_fitter(predict=rounded).fit(SECONDS, 5)
    half = lambda m: (jnp.round(_hz_traced(m.frequency)) + _hz_traced(m.damping.rate)) * SECONDS  # noqa: E731
    with pytest.warns(UserWarning, match="exactly 0 with respect to frequency. Look for"):
        make_fitter(predict=half).fit(SECONDS, 1)


def _hz_traced(param):
    return param.value().to_decimal(u.Hz)


def test_perfect_start_is_no_error():
    assert make_fitter(Oscillator(12.0 * u.Hz, 4.0 * u.Hz)).fit(TARGET, 2).best_loss < 1e-12


def test_parameter_captured_by_a_function_is_refused():
    hidden = Param(jnp.ones(3))
    with pytest.raises(
        ArgumentError, match=r"Fitter.model: must reach every trainable Param.*got 1 .*of shape \(3,\)"
    ):
        make_fitter(predict=lambda m: m() * hidden.value().sum()).fit(TARGET, 1)


# --- what delays ask of the Fitter --------------------------------------------------------------------------


class Guarded(Oscillator):
    """Refuse to train when told so."""

    trainable = True

    def check_trainable(self):
        if not self.trainable:
            raise ArgumentError(
                "Network.interpolation", "must not be 'nearest' for a trainable delay", None, "Use 'linear'"
            )


def test_module_can_refuse_to_be_trained():
    model = Guarded()
    model.trainable = False
    with pytest.raises(ArgumentError, match="must not be 'nearest'"):
        make_fitter(model).fit(TARGET, 1)
    with pytest.raises(ArgumentError, match="must not be 'nearest'"):
        make_fitter(model, backend="scipy").fit(TARGET, 1)
    assert np.isfinite(
        make_fitter(model, "Nelder-Mead", backend="scipy").fit(TARGET, 5).best_loss
    )  # needs no gradient


def test_delays_beyond_their_bound_stop_the_fit():
    """A network trained toward slower conduction than its buffer holds."""
    lengths = np.array([[0, 20, 30], [20, 0, 40], [30, 40, 0]]) * u.mm

    def network(speed, max_delay):
        return Network(
            Generic2dOscillatorStep(3),
            conn=np.ones((3, 3)) - np.eye(3),
            lengths=lengths,
            speed=speed,
            coupling="additive",
            coupled_var="V",
            k=0.4,
            max_delay=max_delay,
        )

    def run(model):
        return Simulator(model, dt=0.5 * u.ms).run(20 * u.ms, monitors=["V"])

    target = run(network(2.0 * u.mm / u.ms, 30 * u.ms))["V"]
    for predict in (lambda m: run(m), lambda m: run(m)["V"]):  # with and without the status at hand
        model = network(Param(4.0 * u.mm / u.ms), 12 * u.ms)
        objective = lambda p, t: objectives.timeseries_mse(p["V"] if isinstance(p, dict) else p, t)  # noqa: E731
        fitter = Fitter(model, braintools.optim.Adam(lr=0.1), predict=predict, objective=objective)
        with pytest.raises(
            RunError,
            match=r"step \d+, at speed=3.*2 of 6 connections above the bound of 12 ms, up to 1\d\.\d+ ms"
            r".*max_delay.*best ones seen",
        ):
            fitter.fit(target, 50)
        assert model.speed.value().to_decimal(u.mm / u.ms) >= 40 / 12


def test_status_of_the_simulation_stops_the_fit():
    def predict(m):
        passed = m.damping.rate.value() < 4.7 * u.Hz
        return {"output": m(), "status": jnp.array([0, 1]) * jnp.where(passed, DELAY_ABOVE_BOUND, 0)}

    with pytest.raises(
        RunError, match=r"step \d+, at damping.rate=4.*a delay passed its static bound.*max_delay"
    ):
        make_fitter(optimizer=braintools.optim.Adam(lr=0.1), predict=predict).fit(TARGET, 30)
