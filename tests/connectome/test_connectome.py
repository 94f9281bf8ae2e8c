"""Connectome: what it stores, what it computes, and that nobody can change it."""

import contextlib
import copy
import pickle

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome

WEIGHTS = np.array([[0.3, 0.0, 2.0], [1.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
LENGTHS = np.array([[0.0, np.nan, 30.0], [12.0, 0.0, 7.0], [-1.0, np.inf, 0.0]])


@pytest.fixture
def directed():
    """Return three regions whose missing edges carry NaN, infinite and negative lengths."""
    return Connectome(WEIGHTS, LENGTHS, labels=["a", "b", "c"], centres=np.eye(3))


def test_entry_i_j_is_the_connection_from_j_to_i(directed):
    assert directed.weights[1, 0] == 1.0 and directed.weights[0, 1] == 0.0
    assert directed.lengths[1, 0] == 12.0 * u.mm
    assert directed.delays(2.0)[1, 0] == 6.0 * u.ms
    assert directed.delays(2.0)[0, 1] == 0.0 * u.ms


@pytest.mark.parametrize("unit", [u.mm, u.cm, u.meter, u.um])
def test_lengths_and_centres_of_any_length_unit_are_stored_in_mm(unit):
    factor = float((1.0 * u.mm).to_decimal(unit))
    c = Connectome(
        WEIGHTS, np.where(WEIGHTS != 0, LENGTHS, 0) * factor * unit, centres=np.eye(3) * factor * unit
    )
    np.testing.assert_allclose(c.lengths.to_decimal(u.mm)[1, 0], 12.0, rtol=1e-14)
    np.testing.assert_allclose(c.centres.to_decimal(u.mm), np.eye(3), rtol=1e-14)


@pytest.mark.parametrize(
    "speed", [3.0, 3, 3.0 * u.mm / u.ms, 3.0 * u.meter / u.second, 300.0 * u.cm / u.second, np.float32(3.0)]
)
def test_speed_of_any_unit_gives_the_same_delays(directed, speed):
    expected = np.array([[0, 0, 10], [4, 0, 7 / 3], [0, 0, 0]])
    np.testing.assert_allclose(directed.delays(speed).to_decimal(u.ms), expected, rtol=1e-7)
    assert u.get_unit(directed.delays(speed)) == u.ms


def test_a_list_of_quantities_of_different_length_units_is_converted():
    lengths = [[0 * u.mm, 2 * u.cm], [20 * u.mm, 0 * u.mm]]
    np.testing.assert_allclose(Connectome([[0, 1], [1, 0]], lengths).lengths[0, 1].to_decimal(u.mm), 20.0)


def test_infinite_speed_means_no_delay_and_has_a_finite_gradient(directed):
    assert np.all(directed.delays(np.inf) == 0 * u.ms)
    assert jax.grad(lambda speed: directed.delays(speed).mantissa.sum())(np.inf) == 0.0


def test_gradient_in_speed_is_the_closed_form_despite_nan_lengths(directed):
    slope = jax.jacobian(lambda speed: directed.delays(speed).mantissa)(2.5)
    expected = -np.where(WEIGHTS != 0, LENGTHS, 0.0) / 2.5**2
    np.testing.assert_allclose(slope, expected, rtol=1e-14)


def test_gradient_reaches_one_speed_per_source_and_per_edge(directed):
    per_source = jax.grad(lambda v: directed.delays(v).mantissa.sum())(jnp.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(per_source, [-12.0, 0.0, -37.0 / 16], rtol=1e-14)
    per_edge = jax.grad(lambda v: directed.delays(v).mantissa.sum())(jnp.where(WEIGHTS != 0, 2.0, jnp.nan))
    np.testing.assert_allclose(per_edge, -np.where(WEIGHTS != 0, LENGTHS, 0.0) / 4, rtol=1e-14)


def test_speed_may_be_a_param_and_trains(directed):
    speed = brainstate.nn.Param(3.0 * u.mm / u.ms, fit=True)
    assert directed.delays(speed)[1, 0] == 4.0 * u.ms
    loss = brainstate.transform.grad(
        lambda: directed.delays(speed).to_decimal(u.ms).sum(),
        brainstate.graph.states(speed, brainstate.ParamState),
    )
    (slope,) = jax.tree.leaves(loss())
    np.testing.assert_allclose(slope, -(30 + 12 + 7) / 9, rtol=1e-12)


def test_vmap_over_speeds_equals_a_loop(directed):
    speeds = jnp.array([1.0, 2.0, 5.0])
    batched = jax.vmap(lambda speed: directed.delays(speed).mantissa)(speeds)
    np.testing.assert_array_equal(batched, [directed.delays(s).mantissa for s in speeds])
    np.testing.assert_array_equal(batched, directed.delays(speeds[:, None, None]).mantissa)


@given(scale=st.floats(0.01, 100), speed=st.floats(0.1, 100))
@settings(max_examples=25, deadline=None)
def test_scaling_lengths_and_speed_alike_changes_no_delay(scale, speed):
    lengths = np.where(WEIGHTS != 0, LENGTHS, 0.0)
    one = Connectome(WEIGHTS, lengths).delays(speed).mantissa
    other = Connectome(WEIGHTS, lengths * scale).delays(speed * scale).mantissa
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_nothing_can_change_it(directed):
    weights = WEIGHTS.copy()
    c = Connectome(weights, LENGTHS)
    weights[1, 0] = 99
    assert c.weights[1, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        c.weights[0, 0] = 1
    with pytest.raises(AttributeError):
        c.weights = weights
    lengths = directed.lengths
    with contextlib.suppress(ValueError):
        lengths[1, 0] = 5 * u.mm
    assert directed.lengths[1, 0] == 12 * u.mm


def test_a_view_of_somebody_elses_array_is_copied():
    weights = WEIGHTS.copy()
    view = weights.view()
    view.flags.writeable = False
    c = Connectome(view, LENGTHS)
    weights[1, 0] = 99
    assert c.weights[1, 0] == 1.0


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_are_equal_and_cannot_be_changed_either(directed, again):
    other = again(directed)
    np.testing.assert_array_equal(other.weights, directed.weights)
    assert other.labels == directed.labels and other.signed == directed.signed
    for array in (other.weights, other.lengths.mantissa, other.centres.mantissa):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_a_label_that_several_regions_have_selects_none():
    c = Connectome(WEIGHTS, LENGTHS, labels=["a", "b", "a"])
    with pytest.raises(
        ArgumentError, match="must be labels of one region each; got 'a', which 2 regions have"
    ):
        c.select(["a"])
    assert c.select(["b", 2]).labels == ("b", "a")


def test_float32_stays_and_everything_else_becomes_float64(single_precision):
    c = Connectome(WEIGHTS.astype(np.float32), LENGTHS.astype(np.float32))
    assert c.weights.dtype == np.float32 and c.lengths.mantissa.dtype == np.float32
    for other in (c.threshold(density=0.5), c.threshold(weight=0.4), c.normalize("row"), c.normalize("max")):
        assert other.weights.dtype == np.float32
    assert c.delays(3.0).mantissa.dtype == np.float32
    assert Connectome([[0, 1], [1, 0]], [[0, 9], [9, 0]]).weights.dtype == np.float64


def test_jax_arrays_are_accepted():
    c = Connectome(jnp.asarray(WEIGHTS), jnp.asarray(LENGTHS) * u.mm)
    np.testing.assert_array_equal(c.weights, WEIGHTS)


def test_density_counts_pairs_of_different_regions(directed):
    assert directed.density == 3 / 6
    assert Connectome([[1.0]], [[0.0]]).density == 0.0


def test_zero_length_between_different_regions_warns_and_on_the_diagonal_does_not(directed, recwarn):
    Connectome(WEIGHTS, LENGTHS)
    assert not recwarn
    with pytest.warns(UserWarning, match=r"1 connections between different regions have length 0.*\(0, 1\)"):
        Connectome([[0, 1], [1, 0]], [[0, 0], [5, 0]])


def test_signed_weights_need_a_flag_and_keep_their_sign():
    c = Connectome([[0, -2.0], [1.0, 0]], [[0, 5], [5, 0]], signed=True)
    np.testing.assert_allclose(c.normalize("row").weights, [[0, -1], [1, 0]])
    np.testing.assert_allclose(c.normalize("max").weights, [[0, -1], [0.5, 0]])
    np.testing.assert_allclose(c.threshold(weight=1.5).weights, [[0, -2], [0, 0]])


def test_normalize_row_makes_inputs_sum_to_one(directed):
    np.testing.assert_allclose(directed.normalize("row").weights.sum(axis=1), [1, 1, 0])
    np.testing.assert_allclose(directed.normalize("row").weights[0], [0.3 / 2.3, 0, 2 / 2.3])
    np.testing.assert_allclose(directed.normalize("max").weights, WEIGHTS / 2)
    assert directed.normalize("none") is directed
    no_edges = Connectome(np.zeros((2, 2)), np.zeros((2, 2)))
    for how in ("row", "max"):
        np.testing.assert_array_equal(no_edges.normalize(how).weights, 0)


def test_threshold_by_weight_keeps_self_connections(directed):
    np.testing.assert_array_equal(directed.threshold(weight=0.6).weights, [[0.3, 0, 2], [1, 0, 0], [0, 0, 0]])
    assert directed.threshold(weight=0.6).labels == directed.labels


def test_threshold_by_density_keeps_the_strongest(directed):
    np.testing.assert_array_equal(
        directed.threshold(density=1 / 6).weights, [[0.3, 0, 2], [0, 0, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(directed.threshold(density=1.0).weights, directed.weights)


@pytest.mark.parametrize("density", [0.02, 0.1, 0.25])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_threshold_reaches_the_density_and_keeps_symmetry(density, asymmetric):
    c = Connectome.synthetic(41, seed=3, asymmetric=asymmetric)
    kept = c.threshold(density=density)
    assert abs(kept.density - density) <= 1 / (41 * 40) + 1e-12
    assert kept.is_symmetric == c.is_symmetric
    off_diagonal = ~np.eye(41, dtype=bool)
    dropped = c.weights[(kept.weights == 0) & off_diagonal]
    assert kept.weights[kept.weights > 0].min() >= dropped.max()


def test_threshold_breaks_ties_by_length():
    weights = 1.0 - np.eye(3)
    lengths = np.array([[0, 9, 5], [9, 0, 7], [5, 7, 0.0]])
    kept = Connectome(weights, lengths).threshold(density=1 / 3)
    np.testing.assert_array_equal(np.argwhere(kept.weights), [[0, 2], [2, 0]])


def test_transpose_swaps_weights_and_lengths(directed):
    other = directed.transpose()
    np.testing.assert_array_equal(other.weights, WEIGHTS.T)
    np.testing.assert_array_equal(other.delays(2.0).mantissa, directed.delays(2.0).mantissa.T)
    assert not directed.is_symmetric and Connectome.synthetic(6).is_symmetric


def test_select_reorders_everything(directed):
    other = directed.select(["c", 0])
    assert other.labels == ("c", "a")
    np.testing.assert_array_equal(other.weights, WEIGHTS[np.ix_([2, 0], [2, 0])])
    np.testing.assert_array_equal(other.centres.mantissa, np.eye(3)[[2, 0]])
    assert other.delays(2.0)[1, 0] == 15.0 * u.ms


def test_repr_summarizes(directed):
    assert (
        repr(directed) == "Connectome(3 regions, density 0.500, asymmetric, lengths 7 to 30 mm, mean 16.3 mm)"
    )
    assert repr(Connectome([[1.0]], [[0.0]])) == "Connectome(1 regions, density 0.000, symmetric)"
