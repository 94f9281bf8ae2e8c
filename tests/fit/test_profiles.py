"""Profiles of the loss: their intervals, and what is held fixed along them."""

import pickle

import brainstate
import braintools
import brainunit as u
import numpy as np
import pytest
from brainstate.nn import Module, SigmoidT
from test_uncertainty import LINE, NOISY, TRUE, Line, fitted, oscillator

from brainmass_delays import (
    ArgumentError,
    Param,
    objectives,
)
from brainmass_delays.fit import Fitter


def test_a_profile_of_a_nearly_quadratic_loss_agrees_with_laplace():
    data = TRUE + 0.05 * np.random.default_rng(1).normal(size=100)
    fitter, result = fitted(oscillator(), data, objectives.gaussian(0.05))
    low, high = (float(x.to_decimal(u.Hz)) for x in result.uncertainty(level=0.95).intervals["frequency"])
    best = 0.5 * (low + high)
    profile = fitter.profile("frequency", (best + np.linspace(-1.2, 1.2, 9) * (high - low)) * u.Hz, data)
    assert profile.name == "frequency" and profile.identified
    ends = [float(x.to_decimal(u.Hz)) for x in profile.interval]
    np.testing.assert_allclose(ends[1] - ends[0], high - low, rtol=0.15)
    np.testing.assert_allclose(ends, [low, high], atol=0.1 * (high - low))
    assert result.best_params["frequency"] == fitter.model.frequency.value()  # as it was
    # the rate was fitted anew: below a cut through the loss
    cut = fitter.sweep("frequency", profile.values, data)
    assert np.all(profile.losses <= cut + 1e-9) and profile.losses[0] < cut[0] - 1e-3


def test_a_coarse_profile_has_the_interval_of_a_fine_one():
    """The lowest point lies between the values, and is among them."""
    fitter, result = fitted(target=NOISY)
    low, high = (float(x) for x in result.uncertainty(level=0.95).intervals["slope"])
    coarse = fitter.profile("slope", [low - 1.0, low + 0.8 * (high - low), high + 1.0], NOISY)
    np.testing.assert_allclose(coarse.interval, [low, high], rtol=0, atol=0.02 * (high - low))
    assert float(result.best_params["slope"]) in coarse.values and len(coarse.params) == 4
    assert coarse.params[1].keys() == coarse.params[0].keys()


def test_a_profile_with_estimated_noise_has_the_interval_of_students_t():
    fitter, result = fitted(target=NOISY)
    low, high = result.uncertainty(level=0.95).intervals["slope"]
    profile = fitter.profile("slope", np.linspace(float(low) - 0.3, float(high) + 0.3, 15), NOISY)
    np.testing.assert_allclose(profile.interval, [low, high], rtol=1e-3)


class Noisy(Module):
    """A random walk whose spread the parameter hardly changes."""

    def __init__(self, effect=1e-6):
        super().__init__()
        self.k = Param(0.5, t=SigmoidT(0.0, 1.0))
        self.effect = effect

    def update(self):
        return (
            brainstate.random.normal(size=(200, 3))
            + self.effect * self.k.value() * np.sin(np.arange(200.0))[:, None]
        )


def test_random_numbers_are_held_fixed_and_the_noise_floor_is_that_of_seeds():
    brainstate.random.seed(0)
    data = np.random.default_rng(0).normal(size=(200, 3))
    fitter = Fitter(Noisy(2.0), braintools.optim.Adam(lr=0.1), predict=lambda m: m())
    result = fitter.fit(data, 10)
    assert np.all(np.diff(result.history) < 0)  # smooth descent, as without noise
    floor = fitter.noise_floor(data, seeds=8)
    assert 0.005 < floor.spread < 0.1 and len(floor.losses) == 8
    now = brainstate.random.normal()
    with pytest.warns(UserWarning, match="the parameters may mean nothing"):  # little is left to gain
        fitter.fit(data, 2)
    assert brainstate.random.normal() != now


def test_a_gain_below_the_spread_of_seeds_warns_and_nothing_is_identified():
    brainstate.random.seed(0)
    data = np.random.default_rng(0).normal(size=(200, 3))
    objective = objectives.combine((1.0, objectives.timeseries_mse()))
    fitter = Fitter(Noisy(0.02), backend="scipy", predict=lambda m: m(), objective=objective)
    with pytest.warns(UserWarning, match="the loss went down by .* with other random numbers it differs by"):
        result = fitter.fit(data, 10)
    profile = fitter.profile("k", np.linspace(0.05, 0.95, 7), data)
    assert profile.identified is False
    np.testing.assert_allclose(profile.interval, (0.0, 1.0), atol=1e-6)
    result.found["k"] = profile
    assert "not identified" in result.summary() and "other random numbers change it by" in result.summary()


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda f: f.profile("a", [1.0, 2.0], LINE), "Fitter.profile.name: must be one of 'offset', 'slope'"),
        (lambda f: f.profile("slope", [1.0], LINE), "Fitter.profile.values: must be a sequence of at least two"),
        (lambda f: f.profile("offset", [1.0, 2.0] * u.ms, LINE), "Fitter.profile.values: must have the dimension of mV"),
        (lambda f: f.noise_floor(LINE), "Fitter.noise_floor: needs a loss that draws from brainstate.random"),
        (lambda f: f.noise_floor(LINE, seeds=1), "must be a whole number of at least 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_explored_is_refused(act, message):
    with pytest.raises(ArgumentError, match=message):
        act(Fitter(Line(), predict=lambda m: m(), backend="scipy"))


def test_a_loss_that_seeds_itself_has_no_noise_floor():
    def predict(model):
        brainstate.random.seed(3)
        return model()

    with pytest.raises(ArgumentError, match="needs a loss that leaves the seed alone"):
        Fitter(Noisy(), predict=predict).noise_floor(np.zeros((200, 3)))


def test_results_are_pickled_without_their_model():
    _, result = fitted(target=NOISY)
    result.uncertainty()
    copy = pickle.loads(pickle.dumps(result))
    assert copy.model is None and copy.summary() == result.summary() and copy.history == result.history
    with pytest.raises(
        ArgumentError, match="needs the model and the data; got a result from a file or a pickle"
    ):
        copy.identifiability()
