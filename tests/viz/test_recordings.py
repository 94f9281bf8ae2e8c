"""Figures of recordings and comparisons: what is drawn, how axes are named, nothing cut off, what is refused."""

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
import pytest

from brainmass_delays import ArgumentError, objectives, viz

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 120, 4)).cumsum(axis=1)
TS = np.arange(120) * 0.5 * u.second


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def nothing_is_cut_off(figure):
    """What is drawn, texts included, lies inside the figure."""
    figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.02 and drawn.y0 > -0.02 and drawn.x1 < width + 0.02 and drawn.y1 < height + 0.02


def test_traces_are_stacked_from_the_top():
    names = ["a very long name of a region", "b", "c", "d"]
    ax = viz.plot_traces(X * u.mV, TS, labels=names)
    drawn = [line.get_ydata() for line in ax.lines[:4]]
    places = [y.mean() for y in drawn]
    assert places == sorted(places, reverse=True)
    np.testing.assert_allclose(drawn[2] - places[2], X[:, 2] - X[:, 2].mean(), atol=1e-9)
    assert [t.get_text() for t in ax.get_yticklabels()] == names
    assert ax.get_xlabel() == "time (s)" and ax.texts[0].get_text().endswith("mV")
    nothing_is_cut_off(ax.figure)


def test_mean_and_band():
    ax = viz.plot_mean_and_band(X * u.mV, TS, label="model")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), X.mean(axis=1))
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(
        [edges.min(), edges.max()], [(X.mean(1) - X.std(1)).min(), (X.mean(1) + X.std(1)).max()]
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "signal (mV)")


def test_spectrum_and_band():
    f = objectives.frequencies(40, 0.5 * u.second)
    power = objectives.psd(X * u.mV, 0.5 * u.second, nperseg=40)
    ax = viz.plot_spectrum_and_band(power, f)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), power.to_decimal(u.mV**2 / u.Hz).mean(axis=1))
    assert (ax.get_ylabel(), ax.get_xscale(), ax.get_yscale()) == ("power (mV^2/Hz)", "log", "log")
    assert viz.plot_spectrum_and_band(power, f, decibels=True).get_ylabel() == "power (mV^2/Hz), dB"


def test_bold_is_in_percent_and_seconds_with_a_mark_at_every_sample():
    ax = viz.plot_bold(0.001 * X, tr=720 * u.ms)
    np.testing.assert_allclose(ax.lines[1].get_xdata(), 0.72 * np.arange(1, 121))
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 0.1 * X[:, 1])
    assert ax.lines[0].get_marker() == "." and ax.get_ylabel() == "BOLD change (%)"
    assert viz.plot_bold(100 * X, TS).get_ylabel() == "BOLD (a.u.)"


@pytest.mark.parametrize("colorbar", [True, False])
def test_fc_says_what_its_colors_mean(colorbar):
    ax = viz.plot_functional_connectivity(X, colorbar=colorbar)
    assert [bar.get_ylabel() for bar in ax.figure.axes[1:]] == ["correlation"] * colorbar


def test_fc_beside_data():
    axes = viz.plot_fc_comparison(X, np.corrcoef(Y.T))
    pairs = np.triu_indices(4, k=1)
    np.testing.assert_allclose(axes[2].lines[0].get_xdata(), np.corrcoef(Y.T)[pairs])
    np.testing.assert_allclose(axes[2].lines[0].get_ydata(), np.corrcoef(X.T)[pairs])
    assert axes[2].get_title() == f"r = {float(objectives.fc_corr(X, Y)):.2f}"
    nothing_is_cut_off(axes[0].figure)


def test_fcd_beside_data():
    axes = viz.plot_fcd_comparison(X, Y, window=20 * u.second, step=5 * u.second, dt=0.5 * u.second)
    expected = objectives.fcd(X, window=40, step=10)
    np.testing.assert_allclose(axes[0].images[0].get_array(), expected)
    assert [t.get_text() for t in axes[2].get_legend().get_texts()] == ["simulation", "data"]
    nothing_is_cut_off(axes[0].figure)


def test_lags_have_one_scale_to_both_sides():
    lags = np.array([[0.0, -3, np.nan], [3, 0, 1], [np.nan, -1, 0]]) * u.ms
    ax = viz.plot_lags(lags, labels=["left", "middle", "right"])
    assert ax.images[0].get_clim() == (-3, 3) and ax.images[0].get_array().mask[0, 2]
    assert ax.figure.axes[1].get_ylabel() == "lag (ms)"
    nothing_is_cut_off(ax.figure)


def test_brain_in_three_views():
    places = RNG.normal(size=(9, 3)) * 30
    left, top, back = viz.plot_brain(np.arange(9) - 4.0, places * u.mm, label="change")
    for ax, (right, up) in ((left, (1, 2)), (top, (0, 1)), (back, (0, 2))):
        np.testing.assert_allclose(
            np.sort(ax.collections[0].get_offsets(), axis=0), np.sort(places[:, [right, up]], axis=0)
        )
    assert left.xaxis_inverted() and top.collections[0].get_clim() == (-4, 4)
    nearest = np.argmax(places[:, 2])
    np.testing.assert_allclose(top.collections[0].get_offsets()[-1], places[nearest, :2])
    nothing_is_cut_off(left.figure)


def test_topography():
    pytest.importorskip("mne")
    ax = viz.plot_topography(np.arange(5.0) * u.uvolt, ["Fz", "Cz", "Pz", "C3", "C4"], label="potential")
    assert ax.images and ax.figure.axes[1].get_ylabel() == "potential (uV)"
    with pytest.raises(ArgumentError, match="plot_topography.sensors: .*got 'Xz'"):
        viz.plot_topography(np.arange(2.0), ["Fz", "Xz"])
    with pytest.raises(ArgumentError, match=r"plot_topography.values: must be one per sensor, 2; got \(3,\)"):
        viz.plot_topography(np.arange(3.0), ["Fz", "Cz"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.plot_traces(X, TS[:5]), r"plot_traces.ts: must have one value per sample, \(120,\); got \(5,\)"),
        (lambda: viz.plot_traces(X * np.nan), r"plot_traces.signal: must be finite; got nan at"),
        (lambda: viz.plot_traces(X, labels="ab"), r"plot_traces.labels: must be a sequence of texts; got 'ab'"),
        (lambda: viz.plot_mean_and_band(X, spread="sd"), r"plot_mean_and_band.spread: must be one of 'std'"),
        (lambda: viz.plot_bold(X), r"plot_bold: needs either ts or tr; got neither"),
        (lambda: viz.plot_fc_comparison(X, Y[:, :3]), r"plot_fc_comparison: prediction must have the regions of target, 3; got 4"),
        (lambda: viz.plot_brain(np.ones(3), np.ones((4, 3))), r"plot_brain: needs values \(n_regions,\) and centres"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
