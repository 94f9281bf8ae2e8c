"""The Fitter on a small damped oscillator: recovery, bookkeeping, one compilation, and every way to fail."""

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import L2Reg, Module, Param
from oscillators import SECONDS, SPACE, TARGET, Damping, Oscillator, hz, make_fitter

from brainmass_delays import objectives
from brainmass_delays.fit import Fitter

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
    result = make_fitter(model, optimizer, backend=backend, search_space=space).fit(TARGET, n_steps)
    assert abs(hz(result.best_params["frequency"]) - 12) < tolerance * 12
    assert abs(hz(result.best_params["damping.rate"]) - 4) < tolerance * 4
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
    result = make_fitter().fit(TARGET, 20)
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
    result = make_fitter(Oscillator(11.5 * u.Hz), optimizer).fit(TARGET, 10)
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
    result = make_fitter(optimizer=braintools.optim.Adam(lr=0.05)).fit(TARGET, 10)
    np.testing.assert_allclose(result.history, expected, rtol=1e-10)
    np.testing.assert_allclose(result.best_loss, min(expected), rtol=1e-10)


def test_point_after_the_last_update_counts():
    result = make_fitter(optimizer=braintools.optim.Adam(lr=0.05)).fit(TARGET, 1)
    assert result.best_loss < result.history[0] and len(result.history) == 1


def test_schedule_of_the_learning_rate_advances_and_restarts():
    schedule = braintools.optim.ExponentialLR(0.1, gamma=0.5)
    fitter = make_fitter(
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
    result = make_fitter().fit(TARGET, 2)
    assert set(result.best_params) == {"frequency", "damping.rate"}
    assert all(u.get_unit(value) == u.Hz for value in result.best_params.values())
    assert u.get_unit(result.param_history["frequency"]) == u.Hz
    np.testing.assert_allclose(hz(result.param_history["frequency"][0]), 10)
    assert "frequency=" in repr(result) and "Hz" in repr(result)


def test_shared_parameter_takes_its_shortest_name_and_is_trained_once():
    model = Oscillator()
    model.a_part = Damping(1.0 * u.Hz)
    model.a_part.rate = model.frequency
    result = make_fitter(model).fit(TARGET, 1)
    assert set(result.best_params) == {"frequency", "damping.rate"}


def test_bounds_hold_whatever_the_learning_rate():
    result = make_fitter(optimizer=braintools.optim.Adam(lr=2.0)).fit(TARGET, 30)
    frequencies = result.param_history["frequency"].to_decimal(u.Hz)
    assert np.all((frequencies >= 1) & (frequencies <= 30))


def test_search_space_bounds_scipy():
    space = {"frequency": (9.0 * u.Hz, 0.0105 * u.kHz)}
    result = make_fitter(backend="scipy", search_space=space).fit(TARGET, 50)
    np.testing.assert_allclose(hz(result.best_params["frequency"]), 10.5, rtol=1e-6)


def test_unit_of_the_loss_target_is_converted():
    result = make_fitter().fit(TARGET.in_unit(u.volt), 3)
    np.testing.assert_allclose(result.history, make_fitter().fit(TARGET, 3).history)


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
    result = make_fitter(
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
    result = make_fitter(
        predict=None, loss_fn=lambda m: (objectives.timeseries_rmse(m(), TARGET), {"v": m()})
    ).fit(n_steps=2)
    np.testing.assert_allclose(result.prediction["v"].to_decimal(u.mV), result.model().to_decimal(u.mV))


def test_output_of_a_mapping_is_compared_and_transient_dropped():
    fitter = make_fitter(predict=lambda m: {"ts": SECONDS, "output": m(), "status": 0}, transient=10)
    result = fitter.fit(TARGET[10:], 1)
    np.testing.assert_allclose(
        result.history[0], objectives.timeseries_rmse(Oscillator()()[10:], TARGET[10:])
    )
    assert result.prediction.shape == (100,)


def test_mapping_without_output_goes_to_the_objective_whole():
    objective = lambda prediction, target: objectives.timeseries_rmse(prediction["V"], target["V"])  # noqa: E731
    result = make_fitter(predict=lambda m: {"V": m()}, objective=objective).fit({"V": TARGET}, 1)
    np.testing.assert_allclose(result.history[0], objectives.timeseries_rmse(Oscillator()(), TARGET))


def test_callbacks_see_every_step_and_can_stop():
    seen = []
    fitter = make_fitter(callbacks=lambda info: seen.append(dict(info)) or info["step"] == 3)
    result = fitter.fit(TARGET, 50)
    assert [info["step"] for info in seen] == [0, 1, 2, 3]
    assert [info["loss"] for info in seen] == result.history
    assert result.n_steps == 4 and result.best_loss == min(result.history) == seen[-1]["best_loss"]
    assert hz(seen[0]["params"]["frequency"]) == pytest.approx(10)
    assert hz(result.best_params["frequency"]) == hz(seen[-1]["params"]["frequency"])


def test_callbacks_stop_scipy_and_keep_the_best():
    result = make_fitter(backend="scipy", callbacks=[lambda info: info["step"] == 5]).fit(TARGET, 50)
    assert len(result.history) == 6 and result.best_loss == min(result.history) and result.raw is None


def test_progress_bar_counts_steps(capsys):
    make_fitter(progress=True).fit(TARGET, 3)
    assert "3/3" in capsys.readouterr().err


# --- compilation --------------------------------------------------------------------------------------------


def test_compiles_once_for_all_steps_fits_and_targets(compilations):
    model = Oscillator()
    fitter = make_fitter(model, braintools.optim.Adam(lr=braintools.optim.StepLR(0.1, step_size=5)))
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
    fitter = make_fitter()
    short, full = (fitter.sweep(name, [1.0, 2.0], TARGET) for name in ("rate", "damping.rate"))
    np.testing.assert_array_equal(short, full)


def test_second_fit_starts_with_a_fresh_optimizer():
    model = Oscillator()
    fitter = make_fitter(model, braintools.optim.Adam(lr=0.1))
    first = fitter.fit(TARGET, 5)
    model.frequency.set_value(10.0 * u.Hz)
    model.damping.rate.set_value(5.0 * u.Hz)
    np.testing.assert_allclose(fitter.fit(TARGET, 5).history, first.history, rtol=1e-12)
