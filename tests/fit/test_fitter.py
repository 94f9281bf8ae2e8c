"""The Fitter on a small damped oscillator: recovery, bookkeeping, one compilation, and every way to fail."""

import importlib.util

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import L2Reg, Module, Param, SigmoidT

from brainmass_delays import ArgumentError, RunError, objectives
from brainmass_delays._core.status import DELAY_ABOVE_BOUND
from brainmass_delays.fit import FitResult, Fitter
from brainmass_delays.fit.problem import norms_of
from brainmass_delays.network import Network
from brainmass_delays.nodes import Generic2dOscillatorStep
from brainmass_delays.simulation import Simulator

SECONDS = np.arange(100) * 0.004


class Damping(Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = Param(rate)


class Oscillator(Module):
    """``exp(-rate t) cos(2 pi frequency t)``, a voltage; the rate sits one level down."""

    def __init__(self, frequency=10.0 * u.Hz, rate=5.0 * u.Hz):
        super().__init__()
        self.frequency = Param(frequency, t=SigmoidT(1.0 * u.Hz, 30.0 * u.Hz))
        self.damping = Damping(rate)
        self.phase = Param(0.0, fit=False)
        self.n_traces = 0

    def update(self):
        self.n_traces += 1
        rate, frequency = self.damping.rate.value().to_decimal(u.Hz), self.frequency.value().to_decimal(u.Hz)
        t = jnp.asarray(SECONDS, brainstate.environ.dftype())
        return jnp.exp(-rate * t) * jnp.cos(2 * np.pi * frequency * t) * u.mV


TARGET = (
    np.exp(-4 * SECONDS) * np.cos(2 * np.pi * 12 * SECONDS) * u.mV
)  # NumPy: float64 whatever the precision at import
SPACE = {"damping.rate": (0.0 * u.Hz, 20.0 * u.Hz)}


def _predict(model):
    return model()


def _fitter(model=None, optimizer=None, **options):
    return Fitter(model or Oscillator(), optimizer, **{"predict": _predict, **options})


def _hz(quantity):
    return float(quantity.to_decimal(u.Hz))


# --- recovery by every backend ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "optimizer", "n_steps", "tolerance"),
    [
        ("grad", braintools.optim.Adam(lr=0.1), 150, 0.02),
        ("grad", optax.adam(0.1), 150, 0.02),
        ("scipy", None, 100, 1e-4),
        ("scipy", {"method": "SLSQP", "options": {"ftol": 1e-12}}, 100, 1e-3),
        ("scipy", "TNC", 300, 1e-3),
        ("scipy", "BFGS", 100, 1e-4),
        ("scipy", "Nelder-Mead", 200, 1e-3),
        ("nevergrad", "CMA", 40, 1e-2),
    ],
    ids=lambda value: str(getattr(type(value), "__name__", value)) if not isinstance(value, str) else value,
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of the cma package
def test_recovers_the_parameters(backend, optimizer, n_steps, tolerance):
    if backend == "nevergrad":
        pytest.importorskip("nevergrad")
    model = Oscillator()
    space = SPACE if backend == "nevergrad" else None
    result = _fitter(model, optimizer, backend=backend, search_space=space).fit(TARGET, n_steps)
    assert abs(_hz(result.best_params["frequency"]) - 12) < tolerance * 12
    assert abs(_hz(result.best_params["damping.rate"]) - 4) < tolerance * 4
    assert model.n_traces == 1
    # what the result says is what the model holds, and reproduces the loss
    assert result.best_params["frequency"] == model.frequency.value()
    np.testing.assert_allclose(
        objectives.timeseries_rmse(model(), TARGET), result.best_loss, rtol=1e-6, atol=1e-12
    )
    np.testing.assert_allclose(result.prediction.to_decimal(u.mV), model().to_decimal(u.mV), atol=1e-12)
    assert result.best_loss <= min(result.history)
    assert len(result.history) == result.n_steps == len(result.param_history["frequency"])
    assert result.model is model and result.backend == backend


def test_default_optimizer_improves():
    result = _fitter().fit(TARGET, 20)
    assert result.best_loss < result.history[0]


OPTIMIZERS = [
    "SGD",
    "Momentum",
    "MomentumNesterov",
    "Adam",
    "AdamW",
    "Adagrad",
    "Adadelta",
    "RMSprop",
    "Adamax",
    "Nadam",
    "RAdam",
    "Lamb",
    "Lars",
    "Lookahead",
    "Yogi",
    "LBFGS",
    "Rprop",
    "Adafactor",
    "AdaBelief",
    "Lion",
    "Novograd",
    "Fromage",
]  # not SM3: it takes no scalars


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_braintools_optimizer_lowers_the_loss(name):
    optimizer = getattr(braintools.optim, name)
    if name == "Lookahead":
        optimizer = optimizer(base_optimizer=optax.adam(0.1), sync_period=2)
    else:
        optimizer = optimizer(lr=0.05)
    result = _fitter(Oscillator(11.5 * u.Hz), optimizer).fit(TARGET, 10)
    assert result.best_loss < result.history[0]


def test_steps_are_those_of_the_optimizer():
    """Ten Adam steps written by hand give the same losses, and the first loss is that of the start."""
    rate, frequency = 5.0, float(Oscillator().frequency.val.value)

    def loss(free):
        f = 1 + 29 / (1 + jnp.exp(-free[0]))
        prediction = jnp.exp(-free[1] * SECONDS) * jnp.cos(2 * np.pi * f * SECONDS)
        return jnp.sqrt(jnp.mean((prediction - TARGET.to_decimal(u.mV)) ** 2))

    free, adam, expected = jnp.array([frequency, rate]), optax.adam(0.05), []
    state = adam.init(free)
    for _ in range(10):
        value, gradient = jax.value_and_grad(loss)(free)
        expected.append(float(value))
        updates, state = adam.update(gradient, state)
        free = free + updates
    result = _fitter(optimizer=braintools.optim.Adam(lr=0.05)).fit(TARGET, 10)
    np.testing.assert_allclose(result.history, expected, rtol=1e-10)
    np.testing.assert_allclose(result.best_loss, min(expected), rtol=1e-10)


def test_point_after_the_last_update_counts():
    result = _fitter(optimizer=braintools.optim.Adam(lr=0.05)).fit(TARGET, 1)
    assert result.best_loss < result.history[0] and len(result.history) == 1


def test_schedule_of_the_learning_rate_advances_and_restarts():
    schedule = braintools.optim.ExponentialLR(0.1, gamma=0.5)
    fitter = _fitter(
        optimizer=braintools.optim.SGD(lr=schedule),
        loss_fn=lambda m: m.damping.rate.value() / u.Hz,
        predict=None,
    )
    with pytest.warns(UserWarning, match="frequency"):
        first = fitter.fit(n_steps=4)
    np.testing.assert_allclose(-np.diff([*first.history, first.best_loss]), [0.1, 0.05, 0.025, 0.0125])
    with pytest.warns(UserWarning):
        second = fitter.fit(n_steps=4)
    np.testing.assert_allclose(-np.diff(second.history), [0.1, 0.05, 0.025])


# --- names, units, bounds -----------------------------------------------------------------------------------


def test_names_and_units():
    result = _fitter().fit(TARGET, 2)
    assert set(result.best_params) == {"frequency", "damping.rate"}
    assert all(u.get_unit(value) == u.Hz for value in result.best_params.values())
    assert u.get_unit(result.param_history["frequency"]) == u.Hz
    np.testing.assert_allclose(_hz(result.param_history["frequency"][0]), 10)
    assert "frequency=" in repr(result) and "Hz" in repr(result)


def test_shared_parameter_takes_its_shortest_name_and_is_trained_once():
    model = Oscillator()
    model.a_part = Damping(1.0 * u.Hz)
    model.a_part.rate = model.frequency
    result = _fitter(model).fit(TARGET, 1)
    assert set(result.best_params) == {"frequency", "damping.rate"}


def test_bounds_hold_whatever_the_learning_rate():
    result = _fitter(optimizer=braintools.optim.Adam(lr=2.0)).fit(TARGET, 30)
    frequencies = result.param_history["frequency"].to_decimal(u.Hz)
    assert np.all((frequencies >= 1) & (frequencies <= 30))


def test_search_space_bounds_scipy():
    space = {"frequency": (9.0 * u.Hz, 0.0105 * u.kHz)}
    result = _fitter(backend="scipy", search_space=space).fit(TARGET, 50)
    np.testing.assert_allclose(_hz(result.best_params["frequency"]), 10.5, rtol=1e-6)


def test_unit_of_the_loss_target_is_converted():
    result = _fitter().fit(TARGET.in_unit(u.volt), 3)
    np.testing.assert_allclose(result.history, _fitter().fit(TARGET, 3).history)


def test_weights_outside_a_param_are_trained_too():
    class Linear(Module):
        def __init__(self):
            super().__init__()
            self.layer = brainstate.nn.Linear(2, 1)

    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    result = Fitter(Linear(), backend="scipy", predict=lambda m: m.layer(x)).fit(jnp.ones((2, 1)), 50)
    assert result.best_loss < 1e-4
    assert list(result.best_params) == ["layer.weight"]


def test_regularization_is_added():
    model = Oscillator()
    model.damping.rate = Param(5.0, reg=L2Reg(weight=0.1))
    result = _fitter(
        model, predict=lambda m: m.damping.rate.value() * SECONDS, objective=objectives.timeseries_mse
    )
    model.frequency = Param(1.0, fit=False)
    result = Fitter(model, predict=result.predict, objective=objectives.timeseries_mse).fit(jnp.zeros(100), 1)
    np.testing.assert_allclose(
        result.history[0], np.mean((5 * SECONDS) ** 2) + float(model.damping.rate.reg.loss(5.0))
    )


# --- calling conventions ------------------------------------------------------------------------------------


def test_predict_and_loss_may_take_the_model_or_nothing():
    for options in [
        lambda model: {"predict": lambda m: m()},
        lambda model: {"predict": lambda: model()},
        lambda model: {"loss_fn": lambda: objectives.timeseries_rmse(model(), TARGET)},
        lambda model: {"loss_fn": lambda m: (objectives.timeseries_rmse(m(), TARGET), m())},
    ]:
        model = Oscillator()
        expected = float(objectives.timeseries_rmse(model(), TARGET))
        np.testing.assert_allclose(Fitter(model, **options(model)).fit(TARGET, 1).history, [expected])


def test_loss_fn_keeps_its_second_result():
    result = _fitter(
        predict=None, loss_fn=lambda m: (objectives.timeseries_rmse(m(), TARGET), {"v": m()})
    ).fit(n_steps=2)
    np.testing.assert_allclose(result.prediction["v"].to_decimal(u.mV), result.model().to_decimal(u.mV))


def test_output_of_a_mapping_is_compared_and_transient_dropped():
    fitter = _fitter(predict=lambda m: {"ts": SECONDS, "output": m(), "status": 0}, transient=10)
    result = fitter.fit(TARGET[10:], 1)
    np.testing.assert_allclose(
        result.history[0], objectives.timeseries_rmse(Oscillator()()[10:], TARGET[10:])
    )
    assert result.prediction.shape == (100,)


def test_mapping_without_output_goes_to_the_objective_whole():
    objective = lambda prediction, target: objectives.timeseries_rmse(prediction["V"], target["V"])  # noqa: E731
    result = _fitter(predict=lambda m: {"V": m()}, objective=objective).fit({"V": TARGET}, 1)
    np.testing.assert_allclose(result.history[0], objectives.timeseries_rmse(Oscillator()(), TARGET))


def test_callbacks_see_every_step_and_can_stop():
    seen = []
    fitter = _fitter(callbacks=lambda info: seen.append(dict(info)) or info["step"] == 3)
    result = fitter.fit(TARGET, 50)
    assert [info["step"] for info in seen] == [0, 1, 2, 3]
    assert [info["loss"] for info in seen] == result.history
    assert result.n_steps == 4 and result.best_loss == min(result.history) == seen[-1]["best_loss"]
    assert _hz(seen[0]["params"]["frequency"]) == pytest.approx(10)
    assert _hz(result.best_params["frequency"]) == _hz(seen[-1]["params"]["frequency"])


def test_callbacks_stop_scipy_and_keep_the_best():
    result = _fitter(backend="scipy", callbacks=[lambda info: info["step"] == 5]).fit(TARGET, 50)
    assert len(result.history) == 6 and result.best_loss == min(result.history) and result.raw is None


def test_progress_bar_counts_steps(capsys):
    _fitter(progress=True).fit(TARGET, 3)
    assert "3/3" in capsys.readouterr().err


# --- compilation --------------------------------------------------------------------------------------------


def test_compiles_once_for_all_steps_fits_and_targets(compilations):
    model = Oscillator()
    fitter = _fitter(model, braintools.optim.Adam(lr=braintools.optim.StepLR(0.1, step_size=5)))
    fitter.fit(TARGET, 3, starts={"frequency": [9.0 * u.Hz, 14.0 * u.Hz]})
    fitter.fit(TARGET, 3)
    traced, other = model.n_traces, 2 * TARGET
    with compilations() as count:
        fitter.fit(TARGET, 3)
        fitter.fit(other, 3)
        fitter.fit(TARGET, 3, starts={"frequency": [9.0 * u.Hz, 14.0 * u.Hz]})
    assert count() == 0
    assert model.n_traces == traced + 3  # once per call, to see what the loss does now
    fitter.sweep("frequency", np.linspace(5, 20, 4) * u.Hz, TARGET)  # the loss without its gradient
    with compilations() as count:
        fitter.sweep("frequency", np.linspace(5, 20, 4) * u.Hz, TARGET)
    assert count() == 0


def test_an_ending_of_a_name_that_only_one_parameter_has_will_do():
    fitter = _fitter()
    short, full = (fitter.sweep(name, [1.0, 2.0], TARGET) for name in ("rate", "damping.rate"))
    np.testing.assert_array_equal(short, full)


def test_second_fit_starts_with_a_fresh_optimizer():
    model = Oscillator()
    fitter = _fitter(model, braintools.optim.Adam(lr=0.1))
    first = fitter.fit(TARGET, 5)
    model.frequency.set_value(10.0 * u.Hz)
    model.damping.rate.set_value(5.0 * u.Hz)
    np.testing.assert_allclose(fitter.fit(TARGET, 5).history, first.history, rtol=1e-12)


# --- several starts -----------------------------------------------------------------------------------------


def test_multi_start_finds_what_one_start_misses():
    single = _fitter(Oscillator(25.0 * u.Hz, 3.0 * u.Hz), braintools.optim.Adam(lr=0.05)).fit(TARGET, 60)
    assert abs(_hz(single.best_params["frequency"]) - 12) > 10
    model = Oscillator(25.0 * u.Hz, 3.0 * u.Hz)
    fitter = _fitter(model, braintools.optim.Adam(lr=0.05))
    result = fitter.fit(TARGET, 60, starts={"frequency": [25.0, 18.0, 11.0]})
    assert abs(_hz(result.best_params["frequency"]) - 12) < 0.1
    assert len(result.starts) == 3 and result.best_loss == min(r.best_loss for r in result.starts)
    assert model.frequency.value() == result.best_params["frequency"]
    np.testing.assert_allclose([_hz(r.param_history["frequency"][0]) for r in result.starts], [25, 18, 11])
    np.testing.assert_allclose([_hz(r.param_history["damping.rate"][0]) for r in result.starts], 3)


@pytest.mark.parametrize("backend", ["grad", "scipy"])
def test_random_starts_fill_the_search_space_and_repeat(backend):
    fitter = _fitter(backend=backend, search_space=SPACE)
    result = fitter.fit(TARGET, 2, starts=5)
    starts = np.sort([_hz(r.param_history["damping.rate"][0]) for r in result.starts])
    assert np.array_equal(np.floor(starts / 4), np.arange(5))  # one in each fifth: a Latin hypercube
    again = fitter.fit(TARGET, 2, starts=5)
    assert again.best_loss == result.best_loss


def test_failed_start_is_reported_and_the_others_kept():
    fitter = _fitter(predict=lambda m: jnp.where(m.damping.rate.value() > 6 * u.Hz, jnp.nan, 1) * m())
    with pytest.warns(UserWarning, match="start 2: Fitter.fit: step 0.*nan"):
        result = fitter.fit(TARGET, 3, starts={"damping.rate": [5.0, 7.0]})
    assert len(result.starts) == 1
    with pytest.raises(RunError, match="no start gave a usable fit"):
        fitter.fit(TARGET, 3, starts={"damping.rate": [8.0, 7.0]})


def test_sweep_evaluates_and_leaves_the_model_alone():
    model = Oscillator()
    losses = _fitter(model).sweep("frequency", [8.0, 12.0, 16.0], TARGET)
    expected = [objectives.timeseries_rmse(Oscillator(f * u.Hz)(), TARGET) for f in (8.0, 12.0, 16.0)]
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    assert _hz(model.frequency.value()) == pytest.approx(10)


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
        _fitter(model, optimizer, predict=predict, backend=backend).fit(TARGET, 50)
    assert 4.8 <= _hz(model.damping.rate.value()) <= 5
    assert np.isfinite(_hz(model.frequency.value()))


def test_nan_at_the_start_keeps_the_start():
    model = Oscillator()
    with pytest.raises(RunError, match="step 0.*loss became inf.*keeps those of the start"):
        _fitter(model, predict=lambda m: m() / 0.0).fit(jnp.zeros(100) * u.mV, 5)
    assert _hz(model.frequency.value()) == pytest.approx(10)


def test_nan_gradient_stops():
    predict = lambda m: m() + jnp.sqrt((m.damping.rate.value() - 5.0 * u.Hz) / u.Hz) * u.mV  # noqa: E731
    with pytest.raises(RunError, match=r"gradient with respect to damping.rate is not finite"):
        _fitter(predict=predict).fit(TARGET, 5)


def test_search_ranks_nan_last_and_says_so():
    pytest.importorskip("nevergrad")
    predict = lambda m: jnp.where(m.damping.rate.value() > 10 * u.Hz, jnp.nan, 1.0) * m()  # noqa: E731
    with pytest.warns(UserWarning, match=r"not finite for \d+ of 80 candidates"):
        result = _fitter(predict=predict, backend="nevergrad", search_space=SPACE).fit(TARGET, 10)
    assert np.isfinite(result.best_loss) and _hz(result.best_params["damping.rate"]) <= 10
    with pytest.raises(RunError, match="finite for none of 8 candidates"):
        _fitter(predict=lambda m: m() * jnp.nan, backend="nevergrad", search_space=SPACE).fit(TARGET, 1)
    gap = TARGET.at[7].set(jnp.nan * u.mV)
    with pytest.raises(RunError, match=r"none of 8 candidates. The target is not finite at \(7,\)"):
        _fitter(backend="nevergrad", search_space=SPACE).fit(gap, 1)


def test_candidates_at_a_bound_are_as_good_as_others():
    """The box is that of the transform, whose ends no unconstrained number has, and the optimum is at one."""
    pytest.importorskip("nevergrad")
    model = Oscillator()
    fitter = _fitter(
        model,
        "TwoPointsDE",
        loss_fn=lambda m: -m.frequency.value() / u.Hz,
        predict=None,
        backend="nevergrad",
        search_space=SPACE,
    )
    assert fitter.fit(n_steps=60).best_loss <= -0.999 * _hz(fitter._backend._box["frequency"][1])


def test_zero_gradient_is_an_error_when_nothing_trains_and_a_warning_else():
    rounded = lambda m: jnp.round(_hz_traced(m.frequency)) * SECONDS  # noqa: E731
    with pytest.raises(
        ArgumentError, match="exactly 0 with respect to damping.rate, frequency.*nearest read"
    ):
        _fitter(predict=rounded).fit(SECONDS, 5)
    half = lambda m: (jnp.round(_hz_traced(m.frequency)) + _hz_traced(m.damping.rate)) * SECONDS  # noqa: E731
    with pytest.warns(UserWarning, match="exactly 0 with respect to frequency. Look for"):
        _fitter(predict=half).fit(SECONDS, 1)


def _hz_traced(param):
    return param.value().to_decimal(u.Hz)


def test_perfect_start_is_no_error():
    assert _fitter(Oscillator(12.0 * u.Hz, 4.0 * u.Hz)).fit(TARGET, 2).best_loss < 1e-12


def test_parameter_captured_by_a_function_is_refused():
    hidden = Param(jnp.ones(3))
    with pytest.raises(
        ArgumentError, match=r"Fitter.model: must reach every trainable Param.*got 1 .*of shape \(3,\)"
    ):
        _fitter(predict=lambda m: m() * hidden.value().sum()).fit(TARGET, 1)


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
        _fitter(model).fit(TARGET, 1)
    with pytest.raises(ArgumentError, match="must not be 'nearest'"):
        _fitter(model, backend="scipy").fit(TARGET, 1)
    assert np.isfinite(
        _fitter(model, "Nelder-Mead", backend="scipy").fit(TARGET, 5).best_loss
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
        _fitter(optimizer=braintools.optim.Adam(lr=0.1), predict=predict).fit(TARGET, 30)


# --- bad input ----------------------------------------------------------------------------------------------


class Fixed(Module):
    def __init__(self):
        super().__init__()
        self.k = Param(1.0, fit=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: _fitter(backend="gard"),
            r"Fitter.backend: must be one of 'grad', 'least_squares', 'scipy', 'nevergrad'; got 'gard'. Did you mean 'grad'",
        ),
        (lambda: Fitter(Oscillator()), r"Fitter: needs either loss_fn or predict; got neither"),
        (lambda: _fitter(loss_fn=lambda m: 0.0), r"Fitter: needs either loss_fn or predict; got both"),
        (lambda: _fitter(predict=3), r"Fitter.predict: must be callable; got int"),
        (lambda: _fitter(objective="rmse"), r"Fitter.objective: must be callable; got str"),
        (
            lambda: _fitter(predict=None, loss_fn=lambda m: 0.0, objective=objectives.fc_rmse()),
            r"Fitter.objective: must be None with loss_fn",
        ),
        (
            lambda: _fitter(objective=objectives.fc_corr()),
            r"Fitter.objective: must be a loss to minimize; got the score fc_corr",
        ),
        (lambda: _fitter(model=Fixed()), r"Fitter.model: must hold a trainable Param"),
        (
            lambda: _fitter(optimizer="adam"),
            r"Fitter.optimizer: must be an optimizer of braintools.optim or optax.*got str",
        ),
        (
            lambda: _fitter(optimizer=braintools.optim.Adam(), backend="scipy"),
            r"Fitter.optimizer: must be a method name.*got Adam",
        ),
        (lambda: _fitter(transient=-1), r"Fitter.transient: must be a whole number of at least 0; got -1"),
        (
            lambda: _fitter(search_space={"freqency": (1, 2)}),
            r"Fitter.search_space: must be one of.*Did you mean 'frequency'",
        ),
        (
            lambda: _fitter(search_space={"frequency": 3.0}),
            r"Fitter.search_space\['frequency'\]: must be a pair",
        ),
        (lambda: _fitter(search_space={"frequency": (3.0, 2.0)}), r"low must be below high"),
        (
            lambda: _fitter(search_space={"frequency": (1 * u.ms, 2 * u.ms)}),
            r"must have the dimension of Hz; got ms",
        ),
        (
            lambda: _fitter().fit(TARGET, 0),
            r"Fitter.fit.n_steps: must be a whole number of at least 1; got 0",
        ),
        (lambda: _fitter().fit(TARGET[:10], 1), r"timeseries_rmse: prediction must have the shape"),
        (
            lambda: _fitter(objective=lambda p, t: p - t).fit(TARGET, 1),
            r"the loss must be one number without a unit; got shape \(100,\), unit mV",
        ),
        (lambda: _fitter().fit(TARGET, 1, starts=3), r"Fitter.search_space: must hold 'damping.rate'"),
        (lambda: _fitter().fit(TARGET, 1, starts={"rates": [1.0]}), r"Fitter.fit.starts: must be one of"),
        (
            lambda: _fitter().fit(TARGET, 1, starts={"frequency": [1.0 * u.ms]}),
            r"Fitter.fit.starts\['frequency'\]: must have the dimension",
        ),
        (
            lambda: _fitter().fit(TARGET, 1, starts={"frequency": [[2.0, 3.0]]}),
            r"must have the shape of the parameter, \(\)",
        ),
        (
            lambda: _fitter().fit(TARGET, 1, starts={"frequency": [2.0], "damping.rate": [1.0, 2.0]}),
            r"as many values for every parameter",
        ),
        (
            lambda: _fitter().fit(TARGET, 1, starts={"frequency": 2.0 * u.Hz}),
            r"Fitter.fit.starts\['frequency'\]: must be a sequence, of a value per start; got Quantity\(2",
        ),
        (lambda: _fitter().sweep("rates", [1.0], TARGET), r"Fitter.sweep.name: must be one of"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_optimizer_of_another_model_is_refused():
    optimizer = braintools.optim.Adam(lr=0.1)
    _fitter(optimizer=optimizer)
    with pytest.raises(ArgumentError, match="must not be in use for another model"):
        _fitter(optimizer=optimizer)


def test_search_needs_a_box_and_takes_no_starts():
    pytest.importorskip("nevergrad")
    with pytest.raises(ArgumentError, match="must hold 'damping.rate', which has no bounded transform"):
        _fitter(backend="nevergrad")
    with pytest.raises(ArgumentError, match="Fitter.fit.starts: must be None with backend='nevergrad'"):
        _fitter(backend="nevergrad", search_space=SPACE).fit(TARGET, 1, starts=2)
    with pytest.raises(
        ArgumentError,
        match="Fitter.optimizer.method: must be a name in nevergrad.*got 'CAM'. Common ones are 'DE'",
    ):
        _fitter(optimizer="CAM", backend="nevergrad", search_space=SPACE).fit(TARGET, 1)


def test_missing_nevergrad_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ArgumentError,
        match=r"'nevergrad' needs the nevergrad package.*pip install brainmass_delays\[nevergrad\]",
    ):
        _fitter(backend="nevergrad", search_space=SPACE)


def test_single_precision(single_precision):
    result = _fitter(Oscillator(), braintools.optim.Adam(lr=0.1)).fit(TARGET.astype(jnp.float32), 100)
    assert abs(_hz(result.best_params["frequency"]) - 12) < 0.3
    result = _fitter(Oscillator(), backend="scipy").fit(TARGET.astype(jnp.float32), 50)
    assert abs(_hz(result.best_params["frequency"]) - 12) < 0.05


class Point(Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = Param(3.0), Param(jnp.array([-1.0, 2.0]))


def squared(prediction, target):
    return jnp.sum((prediction - target) ** 2)


@pytest.mark.parametrize(
    "settings", [{"optimizer": optax.adam(0.3)}, {"backend": "scipy"}], ids=["grad", "scipy"]
)
def test_norms_of_the_gradient_are_recorded(settings, tmp_path):
    """Of (a - 1)^2 + |b|^2 they are 2 |a - 1| and 2 |b|, at every evaluation and from a file."""
    fitter = Fitter(
        Point(), predict=lambda m: jnp.append(m.b.value(), m.a.value() - 1), objective=squared, **settings
    )
    result = fitter.fit(np.zeros(3), 5)
    assert result.gradient_norms["a"][0] == 4 and len(result.gradient_norms["a"]) == result.n_steps
    np.testing.assert_allclose(
        result.gradient_norms["a"], 2 * np.abs(np.asarray(result.param_history["a"]) - 1), rtol=1e-12
    )
    np.testing.assert_allclose(result.gradient_norms["b"][0], 2 * np.sqrt(5), rtol=1e-12)
    result.save(tmp_path / "fit.npz")
    assert FitResult.load(tmp_path / "fit.npz").gradient_norms == result.gradient_norms


def test_norms_hold_for_numbers_of_any_size():
    for x in ([1e200, 1e200], [1e-200, 1e-200], [0.0, 0.0]):
        norm = norms_of({"a": {"x": jnp.array(x)}})["a"]
        np.testing.assert_allclose(norm, np.sqrt(2) * x[0], rtol=1e-12)
    assert np.isnan(norms_of({"a": jnp.array([1.0, np.nan])})["a"])
    assert np.isinf(norms_of({"a": jnp.array([1.0, -np.inf])})["a"])
