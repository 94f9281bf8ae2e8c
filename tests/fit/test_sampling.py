"""Draws from posteriors that are known, with units, and read by ArviZ."""

import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Module, SigmoidT

from brainmass_delays import (
    ArgumentError,
    Connectome,
    HopfStep,
    Network,
    Param,
    Simulator,
    objectives,
    priors,
)
from brainmass_delays.fit import Fitter

SPEED = u.mm / u.ms


class Mean(Module):
    def __init__(self):
        super().__init__()
        self.m = Param(2.0 * u.mV)
        self.n = Param(jnp.array([0.5, 0.5]), t=SigmoidT(0.0, 1.0))

    def update(self):
        return {"m": self.m.value() * jnp.ones(5), "n": self.n.value()}


DATA = {"m": np.array([1.0, 2.0, 2.5, 3.0, 4.0]) * u.mV, "n": np.array([0.4, 0.6])}


def fitter(**options):
    objective = objectives.gaussian(sigma={"m": 0.8 * u.mV, "n": 0.05})
    return Fitter(Mean(), predict=lambda m: m(), objective=objective, backend="scipy", **options)


def test_draws_have_the_posterior_of_the_text_book():
    pytest.importorskip("numpyro")
    made = fitter(priors={"m": priors.Normal(1000.0 * u.uvolt, 0.5 * u.mV)})
    made.fit(DATA, 20)
    samples = made.sample(DATA, 400, 2, n_warmup=200)
    precision = 5 / 0.64 + 1 / 0.25
    mean, sd = (2.5 * 5 / 0.64 + 1 / 0.25) / precision, precision**-0.5
    drawn = samples.draws["m"].to_decimal(u.mV)
    assert drawn.shape == (2, 400) and samples.draws["n"].shape == (2, 400, 2)
    assert abs(drawn.mean() - mean) < 0.15 * sd and abs(drawn.std() / sd - 1) < 0.15
    np.testing.assert_allclose(samples.draws["n"].mean((0, 1)), DATA["n"], atol=0.01)
    np.testing.assert_allclose(samples.draws["n"].std((0, 1)), 0.05, rtol=0.15)
    low, high = (x.to_decimal(u.mV) for x in samples.interval("m", 0.9))
    np.testing.assert_allclose([low, high], mean + np.array([-1.645, 1.645]) * sd, atol=0.3 * sd)
    assert (
        all(np.all(abs(r - 1) < 0.05) for r in samples.r_hat().values())
        and not samples.stats["diverging"].any()
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of ArviZ, of its next generation
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("package", ["arviz", "arviz_base"])
def test_arviz_reads_them(package, monkeypatch):
    pytest.importorskip("numpyro")
    module = pytest.importorskip(package)
    samples = fitter().sample(DATA, 20, 2, n_warmup=20)
    if package == "arviz_base":
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "arviz_base" or None)
    data = samples.to_arviz()
    assert data is not None and module.__version__
    np.testing.assert_array_equal(data.posterior["m"].values, samples.groups()["posterior"]["m"])
    assert data.sample_stats["diverging"].shape == (2, 20)


def test_what_is_no_likelihood_is_not_sampled(monkeypatch):
    plain = Fitter(Mean(), predict=lambda m: m()["n"])
    with pytest.raises(ArgumentError, match="Fitter.log_density: needs a likelihood as objective"):
        plain.sample(DATA["n"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match="Fitter.sample: needs the numpyro package"):
        fitter().sample(DATA, 2, 1)


def test_what_cannot_be_sampled_says_why():
    pytest.importorskip("numpyro")
    made, gap = fitter(), {"m": DATA["m"], "n": np.array([np.nan, 0.6])}
    with pytest.raises(ArgumentError, match=r"needs a density above 0.*The target is not finite at \(0,\)"):
        made.sample(gap, 5, 1, n_warmup=5)
    with pytest.raises(ArgumentError, match="Samples.r_hat: needs at least 4 draws per chain; got 2"):
        made.sample(DATA, 2, 1, n_warmup=2).r_hat()


@pytest.mark.slow
def test_intervals_of_a_speed_cover_it():
    pytest.importorskip("numpyro")

    def network(speed, k):
        return Network(
            HopfStep(4, a=0.1, init_x=0.1), conn=Connectome.synthetic(4), speed=speed, coupled_var="x", k=k,
            max_delay=200 * u.ms,
        )  # fmt: skip

    def simulate(model):
        return Simulator(model, dt=1.0 * u.ms).run(60 * u.ms, monitors=["x"])["x"]

    clean = np.asarray(simulate(network(3.0 * SPEED, 0.3)))
    model = network(
        Param(3.0 * SPEED, t=SigmoidT(1.5 * SPEED, 12.0 * SPEED)), Param(0.3, t=SigmoidT(0.02, 1.0))
    )
    made = Fitter(model, predict=simulate, objective=objectives.gaussian(0.02), backend="scipy")
    hits = {"speed": 0, "coupling.k": 0}
    for seed in range(20):
        data = clean + 0.02 * np.random.default_rng(seed).normal(size=clean.shape)
        made.fit(data, 20)
        samples = made.sample(data, 150, 2, n_warmup=100, seed=seed)
        for name, truth, unit in (("speed", 3.0, SPEED), ("coupling.k", 0.3, u.UNITLESS)):
            low, high = (float(u.Quantity(end).to_decimal(unit)) for end in samples.interval(name))
            hits[name] += low <= truth <= high
    assert all(15 <= n <= 20 for n in hits.values()), hits
