"""How sure a fit is: intervals with the coverage they claim, profiles, directions, noise, and what is not identified."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from brainstate.nn import Module, SigmoidT

from brainmass_delays import (
    ArgumentError,
    Connectome,
    HopfStep,
    Network,
    Param,
    Simulator,
    WhiteNoise,
    objectives,
    priors,
)
from brainmass_delays.fit import Fitter

SPEED = u.mm / u.ms
X = np.linspace(-1.0, 1.0, 12)
LINE = 0.5 + 2.0 * X


class Line(Module):
    def __init__(self, **options):
        super().__init__()
        self.offset = Param(0.0 * u.mV)
        self.slope = Param(1.0, **options)

    def update(self):
        return self.offset.value().to_decimal(u.mV) + self.slope.value() * X


def fitted(model=None, target=LINE, objective=None, backend="least_squares", **options):
    if backend == "least_squares":
        pytest.importorskip("optimistix")
    fitter = Fitter(model or Line(), predict=lambda m: m(), backend=backend, objective=objective, **options)
    return fitter, fitter.fit(target, 100)


def normal_equations(sigma):
    design = np.stack([np.ones_like(X), X], axis=1)
    return sigma**2 * np.linalg.inv(design.T @ design)


NOISY = LINE + 0.3 * np.random.default_rng(0).normal(size=12)


@pytest.mark.parametrize("method", ["gauss_newton", "hessian"])
def test_a_line_has_the_intervals_of_the_text_book(method):
    _, result = fitted(target=NOISY, objective=objectives.gaussian(0.3))
    found = result.uncertainty(level=0.9, method=method)
    np.testing.assert_allclose(found.covariance, normal_equations(0.3), rtol=1e-8, atol=1e-15)
    low, high = found.intervals["offset"]
    width = 2 * scipy.stats.norm.ppf(0.95) * np.sqrt(normal_equations(0.3)[0, 0])
    np.testing.assert_allclose((high - low).to_decimal(u.mV), width, rtol=1e-8)
    np.testing.assert_allclose(np.diag(found.correlation), 1.0)
    assert found.labels == ("offset", "slope") and found.identified == {"offset": True, "slope": True}


@pytest.mark.parametrize("backend", ["least_squares", "scipy"])
def test_an_unknown_noise_is_estimated_and_pays_with_students_t(backend):
    """scipy's linregress gives the standard error; a fit by the root mean squared difference is one by squares."""
    _, result = fitted(target=NOISY, backend=backend)
    found, known = result.uncertainty(level=0.95), scipy.stats.linregress(X, NOISY)
    low, high = found.intervals["slope"]
    half = scipy.stats.t.ppf(0.975, 10) * known.stderr
    np.testing.assert_allclose([low, high], [known.slope - half, known.slope + half], rtol=1e-5)
    residuals = NOISY - known.intercept - known.slope * X
    np.testing.assert_allclose(found.sigma, np.sqrt(np.sum(residuals**2) / 10), rtol=1e-5)


def test_a_prior_narrows_the_interval():
    options = {"target": NOISY, "objective": objectives.gaussian(0.3)}
    widths = []
    for prior in (None, {"slope": priors.Normal(2.0, 0.05)}):
        low, high = fitted(priors=prior, **options)[1].uncertainty().intervals["slope"]
        widths.append(float(high - low))
    data = normal_equations(0.3)[1, 1]
    np.testing.assert_allclose(widths[1] / widths[0], np.sqrt(1 / (1 + data / 0.05**2)), rtol=1e-6)


def test_bounds_hold_for_intervals_and_flat_parameters_are_named():
    class Flat(Line):
        def update(self):
            return super().update() + 1e-9 * self.k.value()

    model = Flat()
    model.k = Param(0.4, t=SigmoidT(0.0, 1.0))
    _, result = fitted(model, NOISY, objectives.gaussian(0.3))
    found = result.uncertainty()
    assert found.identified == {"k": False, "offset": True, "slope": True}
    np.testing.assert_allclose(found.intervals["k"], [0.0, 1.0], atol=1e-3)
    table = result.summary().splitlines()
    assert "not identified" in next(line for line in table if line.startswith("k"))
    assert "not identified" not in next(line for line in table if line.startswith("slope"))
    directions = result.identifiability()
    assert directions.sloppy == ["+1.00 k"] and len(directions.stiff) == 2 and directions.condition > 1e12
    assert "+1.00 k" in repr(directions)


@pytest.mark.parametrize("method", ["gauss_newton", "hessian"])
def test_where_the_loss_is_flat_nothing_is_known(method):
    class Step(Module):
        def __init__(self):
            super().__init__()
            self.slope = Param(1.5, t=SigmoidT(0.0, 2.0))
            self.free = Param(1.0)

        def update(self):
            edge = jnp.maximum(self.slope.value() - 1.0, 0.0) ** 2  # flat below 1
            return jnp.array([1.0, 2.0]) * edge + 0 * self.free.value()

    fitter = Fitter(Step(), predict=lambda m: m(), objective=objectives.gaussian(0.1), backend="scipy")
    with pytest.warns(UserWarning, match="exactly 0 with respect to free"):
        result = fitter.fit(np.array([-1.0, -1.0]), 50)
    assert result.best_params["slope"] <= 1.0
    found = result.uncertainty(method=method)
    np.testing.assert_allclose([float(x) for x in found.intervals["slope"]], [0.0, 2.0], atol=1e-6)
    assert found.identified == {"slope": False, "free": False} and np.all(np.isinf(np.diag(found.covariance)))
    assert result.summary().count("not identified") == 2


def test_only_a_sum_of_two_is_identified():
    class Sum(Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = Param(0.1), Param(0.3)

        def update(self):
            return (self.a.value() + self.b.value()) * jnp.ones(6)

    _, result = fitted(Sum(), np.ones(6), objectives.gaussian(0.1))
    directions = result.identifiability()
    np.testing.assert_allclose(np.abs(directions.directions), np.sqrt(0.5), rtol=1e-6)
    assert directions.stiff == ["+0.71 a +0.71 b"] and directions.sloppy[0].count("0.71") == 2
    assert result.uncertainty().identified == {"a": False, "b": False}


def test_another_loss_has_no_scale():
    class Spread(Module):
        def __init__(self):
            super().__init__()
            self.share = Param(0.2)

        def update(self):
            t = jnp.arange(40.0)
            return jnp.stack([jnp.sin(t), jnp.sin(t + self.share.value()), jnp.cos(t)], axis=1)

    target = np.array(Spread()())
    fitter = Fitter(Spread(), predict=lambda m: m(), backend="scipy", objective=objectives.fc_rmse())
    result = fitter.fit(target + 0.1 * np.cos(np.arange(40.0))[:, None], 5)
    with pytest.raises(ArgumentError, match="FitResult.uncertainty: needs a likelihood"):
        result.uncertainty()
    with pytest.raises(ArgumentError, match="FitResult.uncertainty.method: must be 'hessian'"):
        result.uncertainty(method="gauss_newton")
    assert result.identifiability().labels == ("share",) and "interval" in result.summary()


def oscillator(rate=5.0, frequency=10.0):
    class Oscillator(Module):
        def __init__(self):
            super().__init__()
            self.rate = Param(rate * u.Hz, t=SigmoidT(0.1 * u.Hz, 50.0 * u.Hz))
            self.frequency = Param(frequency * u.Hz, t=SigmoidT(1.0 * u.Hz, 30.0 * u.Hz))

        def update(self):
            t = np.arange(100) * 0.004
            rate, frequency = (p.value().to_decimal(u.Hz) for p in (self.rate, self.frequency))
            return jnp.exp(-rate * t) * jnp.cos(2 * np.pi * frequency * t)

    return Oscillator()


TRUE = np.exp(-4 * np.arange(100) * 0.004) * np.cos(2 * np.pi * 12 * np.arange(100) * 0.004)


def covered(interval, truth, unit):
    low, high = (float(end.to_decimal(unit)) for end in interval)
    return low <= truth <= high


def test_intervals_of_90_percent_cover_90_of_100():
    """A binomial with 100 tries of 0.9 lies between 84 and 96 with a probability of 96 %; seeds are fixed."""
    pytest.importorskip("optimistix")
    fitter = Fitter(
        oscillator(), {"early": None}, predict=lambda m: m(), backend="least_squares", objective=objectives.gaussian(0.1)
    )  # fmt: skip
    hits = {"rate": 0, "frequency": 0}
    for seed in range(100):
        data = TRUE + 0.1 * np.random.default_rng(seed).normal(size=100)
        found = fitter.fit(data, 30).uncertainty(level=0.9)
        for name, truth in (("rate", 4.0), ("frequency", 12.0)):
            hits[name] += covered(found.intervals[name], truth, u.Hz)
    assert all(84 <= n <= 96 for n in hits.values()), hits


def network(speed, k):
    return Network(
        HopfStep(6, a=0.1, init_x=0.1),
        conn=Connectome.synthetic(6),
        speed=speed,
        coupled_var="x",
        k=k,
        max_delay=200 * u.ms,
    )


def simulate(model):
    return Simulator(model, dt=0.5 * u.ms).run(50 * u.ms, monitors=["x"])["x"]


@pytest.mark.slow
def test_intervals_of_speed_and_coupling_cover_90_of_100():
    pytest.importorskip("optimistix")
    clean = np.asarray(simulate(network(3.0 * SPEED, 0.3)))
    model = network(
        Param(3.0 * SPEED, t=SigmoidT(1.5 * SPEED, 12.0 * SPEED)), Param(0.3, t=SigmoidT(0.02, 1.0))
    )
    fitter = Fitter(
        model, {"early": None}, predict=simulate, backend="least_squares", objective=objectives.gaussian(0.02)
    )  # fmt: skip
    hits = {"speed": 0, "coupling.k": 0}
    for seed in range(100):
        data = clean + 0.02 * np.random.default_rng(seed).normal(size=clean.shape)
        found = fitter.fit(data, 30).uncertainty(level=0.9)
        hits["speed"] += covered(found.intervals["speed"], 3.0, SPEED)
        hits["coupling.k"] += covered([u.Quantity(x) for x in found.intervals["coupling.k"]], 0.3, u.UNITLESS)
    assert all(84 <= n <= 96 for n in hits.values()), hits


@pytest.mark.slow
def test_the_speed_of_noise_below_the_bifurcation_is_not_identified():
    """Functional connectivity and spectra of 3.5 s differ more between seeds than between speeds."""
    conn = Connectome.synthetic(40, seed=1).normalize("max")

    def noisy(speed):
        noise = {"noise_x": WhiteNoise(40, 0.02), "noise_y": WhiteNoise(40, 0.02)}
        node = HopfStep(40, a=-0.02, w=2 * np.pi * 10 * u.Hz, **noise)
        return Network(node, conn=conn, speed=speed, coupled_var="x", k=0.03, max_delay=260 * u.ms)

    def predict(model):
        simulator = Simulator(model, dt=1.0 * u.ms)
        return simulator.run(4000 * u.ms, monitors=["x"], transient=500 * u.ms, sample_every=2)["x"]

    brainstate.random.seed(123)
    data = predict(noisy(5.5 * SPEED))
    brainstate.random.seed(0)
    model = noisy(Param(4.0 * SPEED, t=SigmoidT(2.0 * SPEED, 14.0 * SPEED)))
    objective = objectives.combine((1.0, objectives.fc_rmse()), (0.05, objectives.spectrum(nperseg=256)))
    fitter = Fitter(model, backend="scipy", predict=predict, objective=objective)
    with pytest.warns(UserWarning, match="the parameters may mean nothing"):
        result = fitter.fit(data, 5)
    profile = result.found["speed"] = fitter.profile("speed", [2.1, 3.0, 5.5, 8.0, 13.9] * SPEED, data)
    assert profile.identified is False and "not identified" in result.summary()
    np.testing.assert_allclose([float(x.to_decimal(SPEED)) for x in profile.interval], [2.0, 14.0], rtol=1e-6)
