"""A fit that is stopped, by whatever, leaves the best parameters in the model and its history with the error."""

import brainstate
import braintools
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Module, Param

from brainmass_delays import RunError
from brainmass_delays.fit import FitResult, Fitter
from brainmass_delays.fit.descent import Steps


class Parabola(Module):
    """One parameter, whose best value is 3."""

    def __init__(self, x=0.0):
        super().__init__()
        self.x = Param(x)

    def update(self):
        return (self.x.value() - 3.0) ** 2


def wild_fitter(model, **options):
    """Return a fitter that steps over the best value and then away from it."""
    return Fitter(model, braintools.optim.SGD(lr=1.2), **{"loss_fn": lambda m: m(), **options})


def stop_at(step, error):
    """Return a callback that raises at a step."""

    def callback(info):
        if info["step"] == step:
            raise error("stop")

    return callback


def is_best(model, result):
    """Tell whether a model holds the best of a history."""
    assert result.best_loss == min(result.history)
    np.testing.assert_allclose((model.x.value() - 3.0) ** 2, result.best_loss)
    np.testing.assert_allclose(result.best_params["x"], model.x.value())
    return len(result.param_history["x"]) == len(result.history)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit, MemoryError])
@pytest.mark.parametrize(
    "backend, optimizer", [("grad", braintools.optim.SGD), ("scipy", "Nelder-Mead"), ("nevergrad", None)]
)
def test_a_callback_that_raises_leaves_the_best_and_the_history(error, backend, optimizer):
    if backend == "nevergrad":
        pytest.importorskip("nevergrad")
    optimizer = optimizer(lr=1.2) if backend == "grad" else optimizer
    space = {"x": (-5.0, 9.0)} if backend == "nevergrad" else None
    model = Parabola()
    fitter = Fitter(
        model,
        optimizer,
        loss_fn=lambda m: m(),
        backend=backend,
        search_space=space,
        callbacks=stop_at(4, error),
    )
    with pytest.raises(error) as caught:
        fitter.fit(n_steps=20)
    result = caught.value.result
    assert isinstance(result, FitResult) and len(result.history) == 5 and is_best(model, result)
    assert "holds the 5 steps before it" in caught.value.__notes__[0]


def test_a_model_that_raises_later_leaves_the_best(monkeypatch):
    model = Parabola()
    fitter = wild_fitter(model)
    run, calls = Steps._run, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:  # after one step, and two at once
            raise KeyboardInterrupt
        return run(*args, **kwargs)

    monkeypatch.setattr(Steps, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitter.fit(n_steps=10)
    assert len(caught.value.result.history) == 3 and is_best(model, caught.value.result)


def test_an_error_before_the_first_step_leaves_the_start_and_carries_nothing():
    model = Parabola(1.5)

    def broken(m):
        raise RuntimeError("at once")

    with pytest.raises(RuntimeError, match="at once") as caught:
        wild_fitter(model, loss_fn=broken).fit(n_steps=3)
    assert not hasattr(caught.value, "result") and model.x.value() == 1.5


def test_a_run_error_carries_the_history():
    model = Parabola()
    fitter = wild_fitter(model, loss_fn=lambda m: m() + jnp.where(m.x.value() < -3, jnp.nan, 0.0))
    with pytest.raises(RunError, match="loss became nan") as caught:
        fitter.fit(n_steps=20)
    assert len(caught.value.result.history) > 1 and is_best(model, caught.value.result)


def test_nan_after_the_last_update_is_a_warning_and_the_result_is_returned():
    model = Parabola()
    fitter = wild_fitter(model, loss_fn=lambda m: m() + jnp.where(m.x.value() > 7, jnp.nan, 0.0))
    with pytest.warns(UserWarning, match="loss became nan.*It came after the last update"):
        result = fitter.fit(n_steps=1)
    assert result.history == [9.0] and is_best(model, result)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("stop, n_begun", [(2, 1), (7, 2), (11, 3)])
def test_finished_starts_survive(error, stop, n_begun):
    model, seen = Parabola(), []

    def callback(info):
        seen.append(info)
        if len(seen) == stop:
            raise error

    fitter = Fitter(model, braintools.optim.SGD(lr=0.1), loss_fn=lambda m: m(), callbacks=callback)
    with pytest.raises(error) as caught:
        fitter.fit(n_steps=5, starts={"x": [2.5, 0.0, 9.0]})
    result = caught.value.result
    assert len(result.starts) == n_begun and len(result.starts[-1].history) == stop - 5 * (n_begun - 1)
    assert result.best_loss == min(part.best_loss for part in result.starts)
    np.testing.assert_allclose((model.x.value() - 3.0) ** 2, result.best_loss)


def test_a_sweep_of_losses_that_is_stopped_hands_them_out_and_puts_the_parameter_back(monkeypatch):
    model = Parabola(1.0)
    fitter = wild_fitter(model)
    evaluate, calls = fitter._problem.evaluate, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(fitter._problem, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitter.sweep("x", [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(caught.value.result, [9.0, 4.0])
    assert model.x.value() == 1.0


def test_rounded_delays_return_when_the_loss_raises():
    import brainunit as u

    from brainmass_delays.spiking import DelayLayer, freeze_delays

    delay = jnp.array([1.25, 2.75]) * u.ms
    layer, calls = DelayLayer(2, max_delay=9 * u.ms, interpolation="linear", delay=delay), []

    def loss():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 1.0

    with brainstate.environ.context(dt=1 * u.ms), pytest.raises(KeyboardInterrupt):
        freeze_delays(layer, loss)
    np.testing.assert_array_equal(layer.delay.value().to_decimal(u.ms), [1.25, 2.75])
