"""Figures of time series and fits: what is drawn, how the axes are named, and what is refused."""

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from scipy.signal import welch

from brainmass_delays import ArgumentError, viz
from brainmass_delays.fit import FitResult
from brainmass_delays.viz.recovery import RUNS, draw_landscape

MM_PER_MS = u.mm / u.ms
SIGNAL = np.random.default_rng(0).normal(size=(300, 3))


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def _result(history, speeds, starts=()):
    return FitResult(
        best_loss=min(history),
        best_params={},
        history=history,
        n_steps=len(history),
        prediction=None,
        model=None,
        param_history={"speed": np.asarray(speeds) * MM_PER_MS},
        starts=starts,
    )


def test_timeseries():
    _, ax = plt.subplots()
    assert viz.plot_timeseries(SIGNAL * u.mV, np.arange(300) * u.ms, labels=["a", "b", "c"], ax=ax) is ax
    np.testing.assert_array_equal(np.stack([line.get_ydata() for line in ax.lines], axis=1), SIGNAL)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "signal (mV)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    ax = viz.plot_timeseries(SIGNAL[:, 0], color="red")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.lines[0].get_color()) == ("sample", "signal", "red")


@pytest.mark.parametrize("dt", [2.0, 2.0 * u.ms, 0.002 * u.second])
def test_power_spectrum(dt):
    ax = viz.plot_power_spectrum(SIGNAL * u.mV, dt, nperseg=100)
    frequencies, power = welch(SIGNAL, 500, nperseg=100, axis=0)
    for line, expected in zip(ax.lines, power.T, strict=True):
        np.testing.assert_allclose(line.get_xdata(), frequencies[1:])
        np.testing.assert_allclose(line.get_ydata(), expected[1:])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("frequency (Hz)", "power (mV²/Hz)", "log")
    assert viz.plot_power_spectrum(SIGNAL, dt, loglog=False).get_yscale() == "linear"


def test_fit_draws_the_loss():
    ax = viz.plot_fit(_result([1.0, 0.1, 0.01], [4.0, 3.5, 3.0]))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 0.1, 0.01])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("step", "loss", "log")
    assert viz.plot_fit(_result([1.0, -0.1], [4.0, 3.0])).get_yscale() == "linear"


def test_fit_draws_a_parameter_from_every_start():
    runs = (_result([1.0, 0.5], [4.0, 3.5]), _result([2.0, 0.4], [2.0, 2.5]))
    _, ax = plt.subplots()
    assert (
        viz.plot_fit(_result([2.0, 0.4], [2.0, 2.5], runs), "speed", true=3.0 * u.meter / u.second, ax=ax)
        is ax
    )
    np.testing.assert_allclose([line.get_ydata()[-1] for line in ax.lines], [3.5, 2.5, 3.0])
    assert ax.get_ylabel() == "speed (mm/ms)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["start 1", "start 2", "true"]


def test_loss_landscape_of_one_parameter():
    speeds = np.linspace(1, 5, 9)
    _, ax = plt.subplots()
    losses = {"nearest": np.round(speeds), "linear": (speeds - 3) ** 2}
    assert viz.plot_loss_landscape(speeds * MM_PER_MS, losses, true=3 * MM_PER_MS, ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), losses["linear"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("speed (mm/ms)", "loss")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["nearest", "linear", "true"]


def test_fits_that_start_and_end_at_one_place_are_all_seen():
    """The color of every fit is in the picture, though all its markers lie on those of the others."""
    fits = [_result([2.0, 1.0], [5.0, 3.0])] * 3
    nothing = [(np.full(2, 4.0), np.full(2, np.nan))] * 2
    figure = draw_landscape({"linear": nothing, "nearest": nothing}, fits, true=4.0)
    figure.legends[0].remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    for color in RUNS:
        seen = np.abs(pixels - to_rgb(color)).max(axis=-1) < 0.02
        assert seen.sum() > 50, color
    sizes = [line.get_markersize() for line in figure.axes[0].lines if line.get_marker() == "*"][:3]
    assert sizes == sorted(set(sizes))


def test_loss_landscape_of_two_parameters():
    speeds, strengths = np.linspace(1, 5, 9) * MM_PER_MS, np.linspace(0, 1, 5)
    surface = np.arange(45.0).reshape(9, 5)
    ax = viz.plot_loss_landscape(
        (speeds, strengths), surface, parameter=("speed", "coupling.k"), true=(3.0, 0.4)
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("speed (mm/ms)", "coupling.k")
    np.testing.assert_allclose(np.ravel(ax.lines[0].get_data()), [3.0, 0.4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: viz.plot_timeseries(np.zeros((2, 3, 4))),
            r"plot_timeseries.signal: must have the shape \(time,\) or \(time, region\)",
        ),
        (
            lambda: viz.plot_timeseries(SIGNAL, np.arange(5)),
            r"plot_timeseries.ts: must have one value per sample, \(300,\); got \(5,\)",
        ),
        (
            lambda: viz.plot_timeseries(SIGNAL, labels=["a"]),
            r"plot_timeseries.labels: must hold one name per region, 3; got 1",
        ),
        (
            lambda: viz.plot_power_spectrum(SIGNAL, 1 * u.mV),
            r"plot_power_spectrum.dt: must have the dimension of ms; got mV",
        ),
        (
            lambda: viz.plot_power_spectrum(SIGNAL, 1.0, nperseg=400),
            r"nperseg: must not exceed the 300 samples; got 400",
        ),
        (
            lambda: viz.plot_fit(_result([1.0], [1.0]), "sped"),
            r"plot_fit.parameter: must be one of 'speed'; got 'sped'. Did you mean",
        ),
        (
            lambda: viz.plot_fit(_result([1.0], [1.0]), "speed", true=1 * u.ms),
            r"plot_fit.true: must have the dimension",
        ),
        (
            lambda: viz.plot_loss_landscape(np.arange(3), np.arange(4)),
            r"losses: must hold one loss per value, \(3,\); got \(4,\)",
        ),
        (
            lambda: viz.plot_loss_landscape(np.zeros((2, 2)), np.arange(4)),
            r"values: must have the shape \(n_values,\)",
        ),
        (
            lambda: viz.plot_loss_landscape((np.arange(3), np.arange(2)), np.zeros((3, 2))),
            r"parameter: must name both",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
