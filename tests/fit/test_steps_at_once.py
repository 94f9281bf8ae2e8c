"""Steps that a compiled loop takes together are those that are taken one by one."""

import brainstate
import braintools
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import Module, SigmoidT

from brainmass_delays import Fitter, Param, RunError

TARGET = np.linspace(0.0, 1.0, 20)


class Line(Module):
    """A line with noise, through a bounded slope."""

    def __init__(self):
        super().__init__()
        self.slope = Param(0.3, t=SigmoidT(0.0, 2.0))
        self.offset = Param(jnp.array([0.5, -0.5]))

    def __call__(self):
        noise = 0.01 * brainstate.random.normal(size=20)
        return self.slope.value() * jnp.linspace(0, 1, 20) + self.offset.value().sum() + noise


def fitted(optimizer, n_steps=150, **options):
    model = Line()
    brainstate.random.seed(0)
    fitter = Fitter(model, optimizer(), predict=lambda m: m(), **options)
    return fitter.fit(TARGET, n_steps=n_steps)


OPTIMIZERS = {
    "adam": lambda: optax.adam(0.02),
    "momentum": lambda: optax.sgd(0.05, momentum=0.9),
    "schedule": lambda: braintools.optim.Adam(
        lr=braintools.optim.StepLR(base_lr=0.05, step_size=20, gamma=0.5)
    ),
    "plateau": lambda: braintools.optim.Adam(lr=braintools.optim.ReduceLROnPlateau(base_lr=0.05, patience=3)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_many_at_once_are_as_many_one_by_one(name):
    one_by_one = fitted(OPTIMIZERS[name], callbacks=[lambda info: None])
    at_once = fitted(OPTIMIZERS[name])
    assert at_once.history == one_by_one.history
    assert at_once.best_loss == one_by_one.best_loss
    np.testing.assert_array_equal(at_once.prediction, one_by_one.prediction)
    for key, value in one_by_one.best_params.items():
        np.testing.assert_array_equal(at_once.best_params[key], value)
    np.testing.assert_array_equal(at_once.param_history["slope"], one_by_one.param_history["slope"])


def test_they_are_those_of_a_loop_by_hand():
    x, y = jnp.linspace(0, 1, 20), jnp.asarray(TARGET)

    class Parabola(Module):
        def __init__(self):
            super().__init__()
            self.a = Param(2.0)

        def __call__(self):
            return self.a.value() * x

    result = Fitter(Parabola(), optax.adam(0.1), predict=lambda m: m()).fit(TARGET, n_steps=90)
    tx, a = optax.adam(0.1), jnp.asarray(2.0)
    state, losses = tx.init(a), []
    for _ in range(90):
        loss, gradient = jax.value_and_grad(lambda a: jnp.sqrt(jnp.mean((a * x - y) ** 2)))(a)
        updates, state = tx.update(gradient, state, a)
        a = optax.apply_updates(a, updates)
        losses.append(float(loss))
    np.testing.assert_allclose(result.history, losses, rtol=1e-9, atol=1e-12)


def test_a_step_in_the_middle_that_fails_ends_the_fit_there():
    class Cliff(Module):
        def __init__(self):
            super().__init__()
            self.x = Param(1.0)

        def __call__(self):
            return jnp.where(self.x.value() < 0.475, jnp.nan, self.x.value()) * jnp.ones(3)

    model = Cliff()
    with pytest.raises(RunError, match=r"step 11, at x=0\.45: the loss became nan") as caught:
        Fitter(model, optax.sgd(0.05), loss_fn=lambda m: m().mean()).fit(n_steps=40)
    result = caught.value.result
    np.testing.assert_allclose(result.history, 1 - 0.05 * np.arange(11), rtol=1e-9)
    np.testing.assert_allclose([result.best_loss, model.x.value()], 0.5, rtol=1e-9)


def test_a_learning_rate_that_the_loss_decides_is_followed():
    rates = []
    optimizer = OPTIMIZERS["plateau"]()
    Fitter(
        Line(),
        optimizer,
        predict=lambda m: m(),
        callbacks=[lambda i: rates.append(float(optimizer.current_lr))],
    ).fit(TARGET, n_steps=150)
    assert rates[-1] < rates[0]
