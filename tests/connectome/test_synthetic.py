"""Connectome.synthetic: geometry, distance rule and weights as promised, the same on every machine."""

import brainunit as u
import numpy as np
import pytest
from scipy import stats

from brainmass_delays.connectome import Connectome


@pytest.fixture(scope="module")
def brain():
    return Connectome.synthetic(400, seed=1)


def edges_of(c):
    """Return lengths in mm and weights of all edges."""
    edges = c.weights > 0
    return c.lengths.to_decimal(u.mm)[edges], c.weights[edges]


@pytest.mark.parametrize("n_regions", [2, 3, 8, 20, 84, 85])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_every_size_is_valid_connected_and_of_brain_size(n_regions, asymmetric):
    c = Connectome.synthetic(n_regions, seed=4, asymmetric=asymmetric)
    assert c.n_regions == n_regions == len(set(c.labels))
    assert np.all((c.weights > 0).any(axis=1)), "a region without input"
    assert c.weights.max() == 1.0 and np.all(np.diag(c.weights) == 0)
    lengths, _ = edges_of(c)
    assert lengths.min() > 5 and lengths.max() < 300
    assert np.abs(c.centres.to_decimal(u.mm)).max() < 100


def test_default_has_the_lengths_and_density_of_published_connectomes():
    lengths, _ = edges_of(Connectome.synthetic())
    assert 75 < lengths.mean() < 105
    assert Connectome.synthetic().density == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("density", [0.05, 0.5, 1.0])
def test_density_is_met(density):
    for asymmetric in (False, True):
        c = Connectome.synthetic(50, density=density, asymmetric=asymmetric)
        assert c.density == pytest.approx(density, abs=1e-3)


def test_asymmetric_draws_both_directions_but_one_tract():
    c = Connectome.synthetic(30, asymmetric=True)
    assert not c.is_symmetric
    np.testing.assert_array_equal(c.lengths.mantissa, c.lengths.mantissa.T)
    assert Connectome.synthetic(30).is_symmetric


def test_hemispheres_mirror_each_other(brain):
    centres = brain.centres.to_decimal(u.mm)
    left, right = centres[:200], centres[200:]
    assert np.all(left[:, 0] < 0.5) and np.all(right[:, 0] > -0.5)
    assert np.abs(left * [-1, 1, 1] - right).max() < 15
    assert brain.labels[0] == "L01" and brain.labels[200] == "R01"
    mirror = np.arange(200)
    assert np.all(brain.weights[mirror, mirror + 200] > 0)


def test_tracts_are_longer_than_straight_lines_on_the_whole_and_cross_at_the_midline(brain):
    centres = brain.centres.to_decimal(u.mm)
    straight = np.linalg.norm(centres[:, None] - centres, axis=-1)
    ratio = (brain.lengths.mantissa / np.where(straight > 0, straight, 1))[~np.eye(400, dtype=bool)]
    assert 1.1 < np.median(ratio) < 1.8
    same = np.arange(400) < 200
    crossing = same[:, None] != same
    assert np.median((brain.lengths.mantissa / np.maximum(straight, 1))[crossing]) > np.median(ratio)


def test_connection_chance_falls_exponentially_with_length():
    """At low density, where few pairs are used up, the log chance falls by 1 per 40 mm."""
    lengths, connected = [], []
    for seed in range(20):
        c = Connectome.synthetic(200, seed=seed, density=0.05)
        pairs = np.tril_indices(200, -1)
        mirror = pairs[0] - pairs[1] == 100
        lengths.append(c.lengths.mantissa[pairs][~mirror])
        connected.append(c.weights[pairs][~mirror] > 0)
    lengths, connected = np.concatenate(lengths), np.concatenate(connected)
    bins = np.arange(60, 190, 10)
    chance = [connected[(lengths >= low) & (lengths < low + 10)].mean() for low in bins]
    fit = stats.linregress(bins + 5, np.log(chance))
    assert fit.slope == pytest.approx(-1 / 40, rel=0.1)
    assert fit.rvalue < -0.98


def test_weights_of_equal_length_are_log_normal(brain):
    keep = np.tril_indices(400, -1)
    used = brain.weights[keep] > 0
    lengths, weights = brain.lengths.mantissa[keep][used], brain.weights[keep][used]
    fit = stats.linregress(lengths, np.log(weights))
    assert fit.slope == pytest.approx(-1 / 40, rel=0.05)
    residual = np.log(weights) - fit.slope * lengths - fit.intercept
    assert residual.std() == pytest.approx(1.0, rel=0.05)
    assert stats.kstest(residual / residual.std(), "norm").pvalue > 1e-3


def test_the_seed_decides():
    np.testing.assert_array_equal(
        Connectome.synthetic(20, seed=5).weights, Connectome.synthetic(20, seed=5).weights
    )
    assert np.any(Connectome.synthetic(20, seed=5).weights != Connectome.synthetic(20, seed=6).weights)


def test_the_same_on_every_machine():
    """Numbers that seed 0 gave with NumPy 2 on Linux x86-64."""
    c = Connectome.synthetic(84, seed=0)
    assert np.count_nonzero(c.weights) == 2092
    np.testing.assert_allclose(
        c.lengths.mantissa[10, [3, 50, 83]],
        [128.79281619721021, 128.6978967093657, 154.45775930261428],
        rtol=1e-12,
    )
    np.testing.assert_allclose(c.weights.sum(), 144.65442684299364, rtol=1e-12)
