"""Least squares: few steps, the same books and messages as every fit, forward and by rows, wide valleys."""

from functools import partial

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import GaussianReg, L2Reg, Module, SigmoidT
from scipy.stats import qmc

from brainmass_delays import (
    ArgumentError,
    Connectome,
    HopfStep,
    Network,
    Param,
    RunError,
    Simulator,
    objectives,
)
from brainmass_delays.fit import Fitter, least_squares

pytest.importorskip("optimistix")

SPEED = u.mm / u.ms
T = np.arange(60.0)


class Decay(Module):
    """``scale * exp(-t / tau)``, a voltage."""

    def __init__(self, tau=20.0, scale=1.0, **options):
        super().__init__()
        self.tau = Param(tau * u.ms, t=SigmoidT(1.0 * u.ms, 100.0 * u.ms), **options)
        self.scale = Param(scale)

    def update(self):
        return self.scale.value() * jnp.exp(-T / self.tau.value().to_decimal(u.ms)) * u.mV


DATA = 2.0 * np.exp(-T / 8.0) * u.mV


def fitter(model=None, optimizer=None, **options):
    return Fitter(
        model or Decay(), optimizer, **{"predict": lambda m: m(), "backend": "least_squares", **options}
    )


def network(speed, k, n=6):
    return Network(
        HopfStep(n, a=0.1, init_x=0.1), conn=Connectome.synthetic(n), speed=speed, coupled_var="x", k=k,
        max_delay=200 * u.ms,
    )  # fmt: skip


def trainable(speed, k, n=6):
    return network(
        Param(speed * SPEED, t=SigmoidT(1.5 * SPEED, 12.0 * SPEED)), Param(k, t=SigmoidT(0.02, 1.0)), n
    )


def simulate(model, duration=60 * u.ms):
    return Simulator(model, dt=0.5 * u.ms).run(duration, monitors=["x"])["x"]


@pytest.mark.parametrize("method", least_squares.METHODS)
def test_every_solver_finds_the_parameters_and_keeps_the_books(method):
    model = Decay()
    result = fitter(model, method).fit(DATA)
    np.testing.assert_allclose(result.best_params["tau"].to_decimal(u.ms), 8.0, rtol=1e-6)
    np.testing.assert_allclose(result.best_params["scale"], 2.0, rtol=1e-6)
    assert result.best_params["tau"] == model.tau.value() and result.raw.converged
    assert len(result.history) == result.n_steps == len(result.param_history["tau"]) < 25
    assert result.best_loss == min(result.history)
    np.testing.assert_allclose(result.best_loss, objectives.gaussian()(model(), DATA), atol=1e-12)
    assert result.backend == "least_squares" and result.optimizer["method"] == method


def test_the_jacobian_is_that_of_the_residuals_by_columns_and_by_rows():
    found = {}
    for mode in ("forward", "reverse"):
        result = fitter(Decay(), {"early": None}, mode=mode).fit(DATA, 1)
        found[mode] = result.raw.jacobian

    def residuals(free):
        tau = 1.0 + 99.0 * jax.nn.sigmoid(free[1])
        return free[0] * jnp.exp(-T / tau) - DATA.to_decimal(u.mV)

    free = jnp.array([1.0, np.log(19.0 / 80.0)])
    np.testing.assert_allclose(found["forward"], jax.jacfwd(residuals)(free), rtol=1e-10)
    np.testing.assert_allclose(found["reverse"], found["forward"], rtol=1e-10)


def test_rows_are_chosen_where_there_are_fewer_of_them():
    class Many(Module):
        def __init__(self):
            super().__init__()
            self.x = Param(jnp.linspace(0.5, 1.0, 30))

        def update(self):
            return jnp.array([jnp.sum(self.x.value()), jnp.sum(self.x.value() ** 2)])

    backend = fitter(Many())._backend
    assert backend._residuals(jnp.zeros(2), {"x": jnp.zeros(30)})[1] is False
    assert fitter(Many(), mode="forward")._backend._residuals(jnp.zeros(2), {"x": jnp.zeros(30)})[1] is True
    result = fitter(Many()).fit(jnp.array([20.0, 15.0]))
    np.testing.assert_allclose(result.prediction, [20.0, 15.0], rtol=1e-6)


@pytest.mark.parametrize("mode", ["auto", "reverse"])
def test_a_network_is_fitted_forward_whatever_its_simulator_was_told(mode):
    target = (
        simulate(network(3.0 * SPEED, 0.3))[:, :2]
        if mode == "reverse"
        else simulate(network(3.0 * SPEED, 0.3))
    )
    predict = (lambda m: simulate(m)[:, :2]) if mode == "reverse" else simulate
    if mode == "reverse":  # a way back per residual: keep only a few
        target, whole = target[::40], predict
        predict = lambda m: whole(m)[::40]  # noqa: E731
    result = fitter(trainable(3.5, 0.25), predict=predict, mode=mode).fit(target)
    np.testing.assert_allclose(result.best_params["speed"].to_decimal(SPEED), 3.0, rtol=1e-5)
    np.testing.assert_allclose(result.best_params["coupling.k"], 0.3, rtol=1e-5)


def test_weighing_early_samples_first_widens_the_valley():
    """Of starts all over the bounds, plain steps find the truth from few."""
    predict = partial(simulate, duration=100 * u.ms)
    target = predict(network(3.0 * SPEED, 0.3, n=10))
    starts = {"speed": [9.0, 7.7, 5.9, 10.4, 1.6] * SPEED, "k": [0.48, 0.99, 0.65, 0.08, 0.32]}
    found = {}
    for early in (0.2, None):
        result = fitter(trainable(4.5, 0.2, n=10), {"early": early}, predict=predict).fit(
            target, 40, starts=starts
        )
        speeds = [float(run.best_params["speed"].to_decimal(SPEED)) for run in result.starts]
        found[early] = sum(abs(speed - 3.0) < 0.03 for speed in speeds)
        best, *others = result.optima()
        assert best["n_starts"] == max(1, found[early]) and best["loss"] == result.best_loss
        assert best["n_starts"] + sum(o["n_starts"] for o in others) == 5
    assert found[0.2] > 3 > found[None], found


@pytest.mark.slow
def test_most_of_32_starts_find_the_truth_in_a_few_steps_whatever_the_noise():
    predict = partial(simulate, duration=100 * u.ms)
    clean = np.asarray(predict(network(3.0 * SPEED, 0.3, n=10)))
    points = qmc.LatinHypercube(2, seed=0).random(32)
    starts = {"speed": 1.5 * 8.0 ** points[:, 0] * SPEED, "k": 0.02 * 50.0 ** points[:, 1]}
    fit = fitter(trainable(4.5, 0.2, n=10), predict=predict)
    for seed in range(20):
        data = clean + 0.01 * np.random.default_rng(seed).normal(size=clean.shape)
        result = fit.fit(data, 40, starts=starts)
        errors = [abs(float(run.best_params["speed"].to_decimal(SPEED)) / 3.0 - 1) for run in result.starts]
        n_right, steps = sum(error < 0.01 for error in errors), [run.n_steps for run in result.starts]
        assert n_right >= 0.6 * 32 and np.median(steps) <= 12, (seed, n_right, np.median(steps))
        assert abs(float(result.best_params["speed"].to_decimal(SPEED)) / 3.0 - 1) < 0.01


def test_steps_compile_once_for_all_starts_and_data(compilations):
    fit = fitter()
    fit.fit(DATA, 5)
    with compilations() as count:
        fit.fit(DATA * 1.5, 5, starts={"tau": [5.0, 30.0]})
    assert count() == 0


def test_the_unit_of_the_data_does_not_matter():
    steps = [fitter().fit(data, 50).param_history["tau"] for data in (DATA, DATA.in_unit(u.volt))]
    small = Decay()
    scaled = fitter(small, predict=lambda m: 1e-6 * m()).fit(1e-6 * DATA, 50).param_history["tau"]
    np.testing.assert_allclose(steps[0].to_decimal(u.ms), steps[1].to_decimal(u.ms))
    np.testing.assert_allclose(steps[0].to_decimal(u.ms), scaled.to_decimal(u.ms), rtol=1e-6)


def test_predictions_may_be_dicts_with_weights_and_gaps():
    def predict(model):
        return {"early": model()[:30], "late": model()[30:]}

    late = np.array(DATA.to_decimal(u.mV))[30:]
    late[3] = np.nan
    weights = {"early": 1.0, "late": np.where(np.isnan(late), 0.0, 2.0)}
    objective = objectives.gaussian(sigma=0.1 * u.mV, weights=weights)
    result = fitter(predict=predict, objective=objective).fit({"early": DATA[:30], "late": late * u.mV})
    np.testing.assert_allclose(result.best_params["tau"].to_decimal(u.ms), 8.0, rtol=1e-6)


def test_features_are_fitted_by_of():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, 200))

    class Mixed(Module):
        def __init__(self):
            super().__init__()
            self.share = Param(0.2)

        def update(self):
            a, b, c = mix
            return jnp.stack([a, self.share.value() * a + b, c], axis=1)

    target = np.stack([mix[0], 0.7 * mix[0] + mix[1], mix[2]], axis=1)
    objective = objectives.gaussian(of=objectives.fc)
    result = fitter(Mixed(), objective=objective).fit(target)
    np.testing.assert_allclose(result.best_params["share"], 0.7, rtol=1e-5)


def test_what_diverges_is_refused_and_a_start_that_cannot_be_used_is_reported():
    class Wild(Module):
        def __init__(self):
            super().__init__()
            self.x = Param(4.0)

        def update(self):
            return jnp.full(3, jnp.log(self.x.value()))

    wild = fitter(Wild(), {"max_step": None})
    result = wild.fit(jnp.zeros(3))  # the first full step leads to log of a negative number
    np.testing.assert_allclose(result.best_params["x"], 1.0, rtol=1e-6)
    with pytest.warns(UserWarning, match="start 2: Fitter.fit: step 0, at x=-1: the loss became nan"):
        result = wild.fit(jnp.zeros(3), starts={"x": [2.0, -1.0, 0.5]})
    assert len(result.starts) == 2 and "start 2" in result.failures[0]
    with pytest.raises(RunError, match="no start gave a usable fit"):
        wild.fit(jnp.zeros(3), starts={"x": [-1.0]})


def test_a_flat_model_is_refused_as_by_every_gradient():
    with pytest.raises(ArgumentError, match="exactly 0 with respect to scale, tau"):
        fitter(predict=lambda m: jax.lax.stop_gradient(m())).fit(DATA)


def test_callbacks_stop_it():
    result = fitter(callbacks=lambda info: info["step"] == 2).fit(DATA)
    assert result.n_steps == 3 and result.raw is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"optimizer": "Newton"}, "Fitter.optimizer.method: must be one of 'LevenbergMarquardt'"),
        (
            {"optimizer": {"damping": 3}},
            "Fitter.optimizer: must be one of 'method', 'early', 'max_step', 'tolerance'",
        ),
        ({"optimizer": {"early": 0.0}}, "Fitter.optimizer.early: must be a number above 0; got 0.0"),
        ({"objective": objectives.fc_rmse()}, "Fitter.objective: must be a sum of squares"),
        (
            {"predict": None, "loss_fn": lambda m: 0.0},
            "Fitter.loss_fn: must be None with backend='least_squares'",
        ),
        ({"mode": "backward"}, "Fitter.mode: must be one of 'auto', 'forward', 'reverse'"),
        ({"objective": objectives.gaussian(Param(1.0))}, "Fitter.objective: must have a known sigma"),
        (
            {"model": Decay(reg=L2Reg(0.1))},
            "must be one of|must have regularizations that are sums of squares",
        ),
        ({"model": Decay(reg=GaussianReg(1.0, 1.0))}, "must have regularizations that are sums of squares"),
    ],
)
def test_what_is_no_sum_of_squares_is_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        fitter(**options).fit(DATA, 2)


def test_gaussian_refuses_what_does_not_fit():
    with pytest.raises(ArgumentError, match="gaussian: prediction must have the shape of target"):
        objectives.gaussian()(jnp.ones(3), jnp.ones(4))
    with pytest.raises(ArgumentError, match="gaussian: target must have the structure of the prediction"):
        objectives.gaussian()({"a": jnp.ones(3)}, {"b": jnp.ones(3)})
    with pytest.raises(ArgumentError, match="gaussian.sigma: must be one value, or have the structure"):
        objectives.gaussian({"b": 1.0})({"a": jnp.ones(3)}, {"a": jnp.ones(3)})
    with pytest.raises(ArgumentError, match="gaussian.target: must be real; got complex"):
        objectives.gaussian()(jnp.ones(3), 1j * jnp.ones(3))
    with pytest.raises(
        ArgumentError, match=r"gaussian.prediction: must hold at least one number; got shape \(0,"
    ):
        objectives.gaussian()(jnp.ones(0), jnp.ones(0))
    with pytest.raises(ArgumentError, match="gaussian.of: must be a function"):
        objectives.gaussian(of=3)
