"""Figures and tables of sweeps show the numbers of the sweep."""

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np
import pytest

from brainmass_delays import ArgumentError, SweepResult, sweep, viz

A, B = np.linspace(1.0, 2.0, 6) * u.ms, np.array([0.0, 1.0, 2.0])


@pytest.fixture(scope="module")
def grid():
    with pytest.warns(UserWarning, match="points failed"):
        return sweep(lambda a, b: {"ratio": a / (b - 1), "each": a * np.ones(4)}, {"a": A, "b": B})


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_an_image_shows_the_grid_and_hides_what_failed(grid):
    ax = grid.plot()
    shown = ax.collections[0].get_array()
    expected = np.asarray(u.get_magnitude(A)) / (B[[0, 2], None] - 1)
    np.testing.assert_allclose(shown[[0, 2]], expected, rtol=1e-6)
    assert shown.mask[1].all() and ax.get_xlabel() == "a (ms)" and ax.get_ylabel() == "b"
    assert ax.figure.axes[1].get_ylabel() == "ratio (ms)"


def test_a_line_marks_what_failed():
    with pytest.warns(UserWarning, match="points failed"):
        found = sweep(lambda a: 1.0 / a, {"a": np.array([0.0, 1.0, 4.0])})
    ax = viz.plot_sweep(found)
    line, crosses = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [np.nan, 1.0, 0.25])
    assert crosses.get_xdata().tolist() == [0.0]


def test_arguments_that_are_swept_side_by_side_share_an_axis():
    found = sweep(lambda a, b: a * b, {"a": A, "b": np.arange(6.0)}, product=False)
    np.testing.assert_allclose(found.plot().lines[0].get_ydata(), np.arange(6.0) * A.mantissa, rtol=1e-6)
    table = found.to_xarray()
    assert table["result"].dims == ("point",) and table["a"].dims == ("point",)


def test_a_table_is_found_by_value_and_has_units(grid):
    table = grid.to_xarray()
    assert float(table["ratio"].sel(a=2.0, b=2.0)) == 2.0
    assert table["ratio"].attrs == {"units": "ms"} and table["a"].attrs == {"units": "ms"}
    assert table["each"].dims == ("a", "b", "each_1") and table["status"].values.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sweep(lambda a: {"x": a, "y": a}, {"a": B}).plot(),
            r"plot_sweep.value.*got None.*\['x', 'y'\]",
        ),
        (lambda: sweep(lambda a: {"x": a}, {"a": B}).plot("z"), r"plot_sweep.value: must be one of 'x'"),
        (lambda: sweep(lambda a: a * np.ones(2), {"a": B}).plot(), "one number per point.*such as a mean"),
        (lambda: sweep(lambda a: a.sum(), {"a": np.ones((3, 2))}).plot(), "axes of single numbers"),
        (lambda: viz.plot_sweep([1.0]), "must be a SweepResult"),
        (
            lambda: SweepResult(dict.fromkeys("abc", B), np.ones((3, 3, 3)), np.zeros((3, 3, 3), int)).plot(),
            "one or two axes",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
