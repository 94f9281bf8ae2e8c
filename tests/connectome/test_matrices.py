"""Heat maps show the right numbers in the right place."""

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
import pytest

from brainmass_delays.connectome import Connectome
from brainmass_delays.viz.matrices import plot_connectivity, plot_functional_connectivity


@pytest.fixture(autouse=True)
def _close():
    """Close the figures of each test."""
    yield
    plt.close("all")


def test_a_connectome_shows_weights_and_lengths_of_its_edges_only():
    c = Connectome([[0, 3.0], [0.1, 0]], [[9, 30.0], [12.0, np.nan]], labels=["a", "b"])
    weights_ax, lengths_ax = c.plot()
    weights, lengths = (ax.images[0].get_array() for ax in (weights_ax, lengths_ax))
    np.testing.assert_array_equal(weights.filled(-1), [[-1, 3], [0.1, -1]])
    np.testing.assert_array_equal(lengths.filled(-1), [[-1, 30], [12, -1]])
    assert weights_ax.get_xlabel() == "source" and weights_ax.get_ylabel() == "target"
    assert [tick.get_text() for tick in weights_ax.get_yticklabels()] == ["a", "b"]
    assert len(weights_ax.figure.axes) == 4
    weights_ax.figure.canvas.draw()


@pytest.mark.parametrize("weights", [[[0, -2.0], [1, 0]], [[0, 0], [0, 0]], [[1.0, 2], [3, 4]]])
def test_signed_empty_and_full_connectomes_can_be_drawn(weights):
    left, _ = Connectome(weights, [[1, 5.0], [5, 1]], signed=True).plot(colorbar=False)
    left.figure.canvas.draw()
    if np.min(weights) < 0:
        assert left.images[0].get_clim() == (-2, 2)


def test_many_labels_are_left_out():
    ax, _ = Connectome.synthetic(84).plot()
    assert "L01" not in [tick.get_text() for tick in ax.get_xticklabels()]


def test_a_matrix_is_drawn_on_given_axes_with_imshow_options():
    _, ax = plt.subplots()
    assert plot_connectivity(np.arange(4.0).reshape(2, 2) * u.ms, ax=ax, vmax=9, colorbar=False) is ax
    assert ax.images[0].get_clim()[1] == 9
    np.testing.assert_array_equal(ax.images[0].get_array(), [[0, 1], [2, 3]])


def test_functional_connectivity_of_a_series_and_of_a_matrix():
    series = np.random.default_rng(0).normal(size=(50, 4))
    series[:, 1] = -2 * series[:, 0]
    expected = np.corrcoef(series.T)
    for data, options in ((series * u.mV, {}), (expected, {}), (expected, {"is_matrix": True})):
        ax = plot_functional_connectivity(data, **options)
        np.testing.assert_allclose(ax.images[0].get_array(), expected)
        assert ax.images[0].get_clim() == (-1, 1) and ax.get_xlabel() == "region"
    square = series[:4]
    np.testing.assert_allclose(
        plot_functional_connectivity(square).images[0].get_array(), np.corrcoef(square.T)
    )
