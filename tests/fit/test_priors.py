"""Priors: densities as SciPy has them, units, least squares, MAP, and the log density for other tools."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from brainstate.nn import IdentityT, Module, SigmoidT, SoftplusT

from brainmass_delays import (
    ArgumentError,
    Connectome,
    HopfStep,
    Network,
    Param,
    RunError,
    Simulator,
    objectives,
    priors,
)
from brainmass_delays.fit import Fitter, log_density

M_S, MM_MS = u.meter / u.second, u.mm / u.ms  # 1 m/s is 1 mm/ms
SAME = {
    "normal": (priors.Normal(2.0, 0.5), scipy.stats.norm(2.0, 0.5)),
    "log-normal": (priors.LogNormal(2.0, 0.3), scipy.stats.lognorm(0.3, scale=2.0)),
    "gamma": (priors.Gamma(2.0, 0.5), scipy.stats.gamma(16, scale=1 / 8)),
    "half-normal": (priors.HalfNormal(1.5), scipy.stats.halfnorm(scale=1.5)),
    "uniform": (priors.Uniform(0.5, 3.0), scipy.stats.uniform(0.5, 2.5)),
}
VALUES = np.array([0.6, 1.2, 1.99, 2.0, 2.7])
each = pytest.mark.parametrize("name", SAME)


@each
def test_densities_are_those_of_scipy(name):
    ours, theirs = SAME[name]
    np.testing.assert_allclose(ours.loss(VALUES), -theirs.logpdf(VALUES).sum(), rtol=1e-12)
    assert ours.loss(-1.0) == np.inf or name == "normal"
    assert np.isfinite(jax.grad(lambda x: ours.loss(x))(2.0))


@each
def test_samples_have_the_distribution(name):
    ours, theirs = SAME[name]
    drawn = np.asarray(ours.sample(jax.random.key(0), (4000,)))
    assert scipy.stats.kstest(drawn, theirs.cdf).pvalue > 1e-3
    assert scipy.stats.kstest(1.1 * drawn, theirs.cdf).pvalue < 1e-3


@each
def test_residuals_are_the_density_up_to_a_constant(name):
    ours, _ = SAME[name]
    values = np.linspace(0.7, 2.9, 40)
    halves = np.array([0.5 * float(ours.residual(v)) ** 2 for v in values])
    losses = np.array([float(ours.loss(v)) for v in values])
    np.testing.assert_allclose(np.diff(halves), np.diff(losses), atol=1e-10)
    slopes = jax.vmap(jax.grad(lambda v: 0.5 * ours.residual(v) ** 2))(values)
    np.testing.assert_allclose(slopes, jax.vmap(jax.grad(ours.loss))(values), atol=1e-8)


def test_the_residual_of_a_gamma_is_smooth_at_its_mode():
    gamma = priors.Gamma(2.0, 0.5)
    mode = 2.0 * 15 / 16
    slope = jax.grad(lambda v: gamma.residual(v))
    np.testing.assert_allclose(slope(mode), slope(mode * 1.01), rtol=0.02)
    curvature = jax.hessian(lambda v: gamma.loss(v))(mode)
    np.testing.assert_allclose(slope(mode) ** 2, curvature, rtol=1e-6)


def test_a_prior_alone_draws_values_with_units():
    key = jax.random.key(0)
    alone, bound = priors.LogNormal(5.0 * u.meter / u.second, 0.3), u.mm / u.ms
    drawn = alone.sample(key, (3,))
    np.testing.assert_allclose(drawn.to_decimal(bound), alone.in_unit("here", bound).sample(key, (3,)))
    assert isinstance(priors.Gamma(2.0, 1.0).sample(key), jax.Array)
    np.testing.assert_allclose(
        priors.Uniform(1.0 * u.mV, 2000.0 * u.uvolt).sample(key, (9,)).to_decimal(u.mV), 1.5, atol=0.5
    )


def test_units_are_converted_and_checked():
    speed = Param(6.0 * MM_MS, reg=priors.Normal(5000.0 * u.mm / u.second, 1.0 * M_S))
    np.testing.assert_allclose(speed.reg_loss(), -scipy.stats.norm(5, 1).logpdf(6))
    with pytest.raises(ArgumentError, match=r"Param.reg: Normal.mean: must have the dimension of m"):
        Param(6.0 * MM_MS, reg=priors.Normal(5.0 * u.mm, 1.0 * MM_MS))
    with pytest.raises(ArgumentError, match="Normal.sd: must be positive; got -1"):
        priors.Normal(0.0, -1.0)
    with pytest.raises(ArgumentError, match="LogNormal.median: must be finite; got nan"):
        priors.LogNormal(np.nan, 1.0)
    with pytest.raises(ArgumentError, match="Param.reg: Uniform: low must be below high"):
        Param(1.0 * u.mV, reg=priors.Uniform(2.0, 1.0 * u.mV))
    with pytest.raises(ArgumentError, match="must have its mode above 0"):
        priors.Gamma(1.0, 2.0).residual(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.Normal("a", 1.0), "Normal.mean: must be a number, .*; got 'a'"),
        (lambda: priors.LogNormal(5.0 * u.mm, "b"), "LogNormal.sigma: must be a number; got 'b'"),
        (lambda: priors.LogNormal(5.0 * u.mm, 1.0 * u.mm), "LogNormal.sigma: must be plain numbers"),
        (lambda: priors.Gamma(1j, 2.0), "Gamma.mean: must be real"),
        (lambda: priors.HalfNormal(None), "HalfNormal.sd: must be a number, .*; got None"),
        (lambda: priors.Uniform(2.0, 1.0), r"Uniform: low must be below high; got \(2.0, 1.0\)"),
        (lambda: priors.Uniform(2.0 * u.mV, 1500.0 * u.uvolt), "Uniform: low must be below high"),
        (lambda: priors.Uniform(1.0 * u.mV, 2.0 * u.mm), "Uniform.high: must have the dimension of mV"),
    ],
)
def test_arguments_are_checked_when_the_prior_is_made(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
    priors.Uniform(500.0, 1.0 * u.mV)  # good for a parameter in microvolt


class Mean(Module):
    def __init__(self, t=None, **options):
        super().__init__()
        self.m = Param(1.0 * u.mV, t=t, **options)

    def update(self):
        return self.m.value() * jnp.ones(5)


DATA = np.array([1.0, 2.0, 2.5, 3.0, 4.0]) * u.mV
SIGMA, PRIOR = 0.8 * u.mV, priors.Normal(1000.0 * u.uvolt, 0.5 * u.mV)
MAP = (2.5 * 5 / 0.64 + 1 / 0.25) / (5 / 0.64 + 1 / 0.25)  # of a normal mean with a normal prior


@pytest.mark.parametrize("backend", ["least_squares", "scipy"])
@pytest.mark.parametrize("carried", [True, False])
def test_the_fit_is_the_mode_of_the_posterior(backend, carried):
    if backend == "least_squares":
        pytest.importorskip("optimistix")
    model = Mean(reg=PRIOR) if carried else Mean()
    fitter = Fitter(
        model, predict=lambda m: m(), backend=backend, objective=objectives.gaussian(SIGMA),
        priors=None if carried else {"m": PRIOR},
    )  # fmt: skip
    result = fitter.fit(DATA, 50)
    np.testing.assert_allclose(result.best_params["m"].to_decimal(u.mV), MAP, rtol=1e-6)
    expected = -scipy.stats.norm(MAP, 0.8).logpdf(DATA.to_decimal(u.mV)).sum() - scipy.stats.norm(
        1, 0.5
    ).logpdf(MAP)
    np.testing.assert_allclose(result.best_loss, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"priors": {"m": PRIOR}}, "Fitter.priors: need an objective on the same scale"),
        ({"priors": {"k": PRIOR}, "objective": objectives.gaussian(SIGMA)}, "Fitter.priors: must be one of 'm'"),
        ({"priors": {"m": 3}, "objective": objectives.gaussian(SIGMA)}, r"Fitter.priors\['m'\]: must be a prior"),
        ({"priors": [PRIOR], "objective": objectives.gaussian(SIGMA)}, "Fitter.priors: must be a dict of priors"),
        ({"model": Mean(reg=PRIOR), "priors": {"m": PRIOR}, "objective": objectives.gaussian(SIGMA)}, "must be given once"),
    ],
)  # fmt: skip
def test_priors_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        Fitter(**{"model": Mean(), "predict": lambda m: m(), **options})


@pytest.mark.parametrize("backend", ["grad", "scipy", "least_squares"])
def test_a_prior_that_excludes_the_start_is_named(backend):
    class Level(Module):
        def __init__(self):
            super().__init__()
            self.x = Param(1.0 * u.mV)

        def update(self):
            return self.x.value() * jnp.ones(3)

    prior = {"x": priors.Uniform(2.0 * u.mV, 3.0 * u.mV)}
    fitter = Fitter(
        Level(),
        predict=lambda m: m(),
        objective=objectives.gaussian(0.1 * u.mV),
        priors=prior,
        backend=backend,
    )
    with pytest.raises(
        RunError, match=r"The prior Uniform\(.* does not allow x=1. mV. Start where they allow"
    ):
        fitter.fit(np.full(3, 2.5) * u.mV, 5)
    with pytest.raises(
        ArgumentError, match="Fitter.sample: needs a density above 0 where the parameters stand"
    ):
        fitter.sample(np.full(3, 2.5) * u.mV, 5, 1)


def test_the_spread_of_a_prior_may_be_fitted_too():
    """Delays are lengths over a speed times factors whose spread is a Param with a prior of its own."""

    class Factors(Module):
        def __init__(self):
            super().__init__()
            self.spread = Param(0.2, t=SoftplusT(0.01), reg=priors.HalfNormal(1.0))
            self.factor = Param(np.ones(40), reg=priors.LogNormal(1.0, self.spread))

        def update(self):
            return self.factor.value()

    factors = np.random.default_rng(0).lognormal(0.0, 0.5, 40)
    fitter = Fitter(Factors(), predict=lambda m: m(), backend="scipy", objective=objectives.gaussian(0.01))
    result = fitter.fit(factors, 200)
    assert set(result.best_params) == {"factor", "spread"}
    assert abs(result.best_params["spread"] - np.log(factors).std()) < 0.05


def density(t=None, space="unconstrained"):
    return log_density(
        Mean(t), lambda m: m(), objectives.gaussian(SIGMA), {"m": PRIOR}, target=DATA, space=space
    )  # fmt: skip


def posterior(m):
    likelihood = scipy.stats.norm(np.expand_dims(m, -1), 0.8).logpdf(DATA.to_decimal(u.mV)).sum(-1)
    return likelihood + scipy.stats.norm(1, 0.5).logpdf(m)


@pytest.mark.parametrize(
    "t",
    [IdentityT(), SigmoidT(0.0 * u.mV, 6.0 * u.mV), SoftplusT(0.0 * u.mV)],
    ids=lambda t: type(t).__name__,
)
def test_the_density_of_unconstrained_values_integrates_to_that_of_constrained_ones(t):
    free, constrained = density(t), density(t, "constrained")
    assert free.names == ("m",) and free.units["m"] == u.mV
    np.testing.assert_allclose(constrained({"m": 2.2}), posterior(2.2))
    np.testing.assert_allclose(constrained({"m": 2200 * u.uvolt}), posterior(2.2))
    grid = np.linspace(-12, 12, 4001)
    mass = scipy.integrate.trapezoid(np.exp(jax.vmap(lambda m: free({"m": m}))(grid)), grid)
    places = np.linspace(1e-6, 6 - 1e-6, 4001)
    there = scipy.integrate.trapezoid(np.exp(posterior(places)), places)
    np.testing.assert_allclose(mass, there, rtol=1e-3)
    back = free.constrain(free.unconstrain({"m": 2.2}))
    np.testing.assert_allclose(back["m"].to_decimal(u.mV), 2.2)


def test_values_outside_of_the_bounds_have_no_density():
    f = density(SigmoidT(0.0 * u.mV, 6.0 * u.mV), "constrained")
    assert f({"m": 7.0}) == -np.inf and np.isfinite(f({"m": 5.0}))
    with pytest.raises(ArgumentError, match="log_density: needs m; got k"):
        f({"k": 1.0})


def test_the_density_of_a_network_has_a_hessian_and_stays_what_it_was():
    speed = Param(3.0 * MM_MS, t=SigmoidT(1.5 * MM_MS, 12.0 * MM_MS))
    net = Network(
        HopfStep(4, a=0.1, init_x=0.1), conn=Connectome.synthetic(4), speed=speed, coupled_var="x", k=0.3
    )

    def predict(model):
        return Simulator(model, dt=0.5 * u.ms).run(20 * u.ms, monitors=["x"])["x"]

    data = predict(net)
    f = log_density(
        net, predict, objectives.gaussian(0.1), {"speed": priors.LogNormal(4.0 * M_S, 0.5)}, target=data
    )
    before = float(f(f.start))
    slope = float(jax.grad(f)(f.start)["speed"])
    step = 1e-5
    sides = [float(f({"speed": f.start["speed"] + s})) for s in (-step, step)]
    np.testing.assert_allclose(slope, (sides[1] - sides[0]) / (2 * step), rtol=1e-5)
    curvature = jax.hessian(f)(f.start)["speed"]["speed"]
    slopes = [float(jax.grad(f)({"speed": f.start["speed"] + s})["speed"]) for s in (-step, step)]
    np.testing.assert_allclose(curvature, (slopes[1] - slopes[0]) / (2 * step), rtol=1e-4)
    net.speed = 8.0 * MM_MS
    assert float(f(f.start)) == before


@pytest.mark.parametrize(
    "change, message",
    [
        ({"likelihood": objectives.fc_rmse()}, "log_density.likelihood: must be a negative log likelihood"),
        ({"likelihood": 3}, "log_density.likelihood: must be callable"),
        ({"predict": 3}, "log_density.predict: must be callable"),
        ({"space": "free"}, "log_density.space: must be one of 'unconstrained', 'constrained'"),
        ({"priors": {"x": PRIOR}}, "log_density.priors: must be one of 'm'"),
    ],
)
def test_what_is_no_density_is_refused(change, message):
    options = {
        "model": Mean(),
        "predict": lambda m: m(),
        "likelihood": objectives.gaussian(SIGMA),
        "target": DATA,
    }
    with pytest.raises(ArgumentError, match=message):
        log_density(**options | change)
