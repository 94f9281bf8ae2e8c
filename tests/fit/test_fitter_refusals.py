"""What a Fitter refuses, single precision, and the norms that it records."""

import importlib.util

import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import Module, Param
from oscillators import SPACE, TARGET, Oscillator, hz, make_fitter

from brainmass_delays import ArgumentError, objectives
from brainmass_delays.fit import FitResult, Fitter
from brainmass_delays.fit.problem import norms_of

# --- bad input ----------------------------------------------------------------------------------------------


class Fixed(Module):
    def __init__(self):
        super().__init__()
        self.k = Param(1.0, fit=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make_fitter(backend="gard"),
            r"Fitter.backend: must be one of 'grad', 'least_squares', 'scipy', 'nevergrad'; got 'gard'. Did you mean 'grad'",
        ),
        (lambda: Fitter(Oscillator()), r"Fitter: needs either loss_fn or predict; got neither"),
        (lambda: make_fitter(loss_fn=lambda m: 0.0), r"Fitter: needs either loss_fn or predict; got both"),
        (lambda: make_fitter(predict=3), r"Fitter.predict: must be callable; got int"),
        (lambda: make_fitter(objective="rmse"), r"Fitter.objective: must be callable; got str"),
        (
            lambda: make_fitter(predict=None, loss_fn=lambda m: 0.0, objective=objectives.fc_rmse()),
            r"Fitter.objective: must be None with loss_fn",
        ),
        (
            lambda: make_fitter(objective=objectives.fc_corr()),
            r"Fitter.objective: must be a loss to minimize; got the score fc_corr",
        ),
        (lambda: make_fitter(model=Fixed()), r"Fitter.model: must hold a trainable Param"),
        (
            lambda: make_fitter(optimizer="adam"),
            r"Fitter.optimizer: must be an optimizer of braintools.optim or optax.*got str",
        ),
        (
            lambda: make_fitter(optimizer=braintools.optim.Adam(), backend="scipy"),
            r"Fitter.optimizer: must be a method name.*got Adam",
        ),
        (
            lambda: make_fitter(transient=-1),
            r"Fitter.transient: must be a whole number of at least 0; got -1",
        ),
        (
            lambda: make_fitter(search_space={"freqency": (1, 2)}),
            r"Fitter.search_space: must be one of.*Did you mean 'frequency'",
        ),
        (
            lambda: make_fitter(search_space={"frequency": 3.0}),
            r"Fitter.search_space\['frequency'\]: must be a pair",
        ),
        (lambda: make_fitter(search_space={"frequency": (3.0, 2.0)}), r"low must be below high"),
        (
            lambda: make_fitter(search_space={"frequency": (1 * u.ms, 2 * u.ms)}),
            r"must have the dimension of Hz; got ms",
        ),
        (
            lambda: make_fitter().fit(TARGET, 0),
            r"Fitter.fit.n_steps: must be a whole number of at least 1; got 0",
        ),
        (lambda: make_fitter().fit(TARGET[:10], 1), r"timeseries_rmse: prediction must have the shape"),
        (
            lambda: make_fitter(objective=lambda p, t: p - t).fit(TARGET, 1),
            r"the loss must be one number without a unit; got shape \(100,\), unit mV",
        ),
        (lambda: make_fitter().fit(TARGET, 1, starts=3), r"Fitter.search_space: must hold 'damping.rate'"),
        (lambda: make_fitter().fit(TARGET, 1, starts={"rates": [1.0]}), r"Fitter.fit.starts: must be one of"),
        (
            lambda: make_fitter().fit(TARGET, 1, starts={"frequency": [1.0 * u.ms]}),
            r"Fitter.fit.starts\['frequency'\]: must have the dimension",
        ),
        (
            lambda: make_fitter().fit(TARGET, 1, starts={"frequency": [[2.0, 3.0]]}),
            r"must have the shape of the parameter, \(\)",
        ),
        (
            lambda: make_fitter().fit(TARGET, 1, starts={"frequency": [2.0], "damping.rate": [1.0, 2.0]}),
            r"as many values for every parameter",
        ),
        (
            lambda: make_fitter().fit(TARGET, 1, starts={"frequency": 2.0 * u.Hz}),
            r"Fitter.fit.starts\['frequency'\]: must be a sequence, of a value per start; got Quantity\(2",
        ),
        (lambda: make_fitter().sweep("rates", [1.0], TARGET), r"Fitter.sweep.name: must be one of"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_optimizer_of_another_model_is_refused():
    optimizer = braintools.optim.Adam(lr=0.1)
    make_fitter(optimizer=optimizer)
    with pytest.raises(ArgumentError, match="must not be in use for another model"):
        make_fitter(optimizer=optimizer)


def test_search_needs_a_box_and_takes_no_starts():
    pytest.importorskip("nevergrad")
    with pytest.raises(ArgumentError, match="must hold 'damping.rate', which has no bounded transform"):
        make_fitter(backend="nevergrad")
    with pytest.raises(ArgumentError, match="Fitter.fit.starts: must be None with backend='nevergrad'"):
        make_fitter(backend="nevergrad", search_space=SPACE).fit(TARGET, 1, starts=2)
    with pytest.raises(
        ArgumentError,
        match="Fitter.optimizer.method: must be a name in nevergrad.*got 'CAM'. Common ones are 'DE'",
    ):
        make_fitter(optimizer="CAM", backend="nevergrad", search_space=SPACE).fit(TARGET, 1)


def test_missing_nevergrad_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ArgumentError,
        match=r"'nevergrad' needs the nevergrad package.*pip install brainmass_delays\[nevergrad\]",
    ):
        make_fitter(backend="nevergrad", search_space=SPACE)


def test_single_precision(single_precision):
    result = make_fitter(Oscillator(), braintools.optim.Adam(lr=0.1)).fit(TARGET.astype(jnp.float32), 100)
    assert abs(hz(result.best_params["frequency"]) - 12) < 0.3
    result = make_fitter(Oscillator(), backend="scipy").fit(TARGET.astype(jnp.float32), 50)
    assert abs(hz(result.best_params["frequency"]) - 12) < 0.05


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
