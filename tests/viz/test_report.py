"""The page of a fit holds its table, figures that open, and no other file."""

import base64
import io
import re

import brainunit as u
import jax.numpy as jnp
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from brainstate.nn import Module, SigmoidT

from brainmass_delays import ArgumentError, FitResult, Fitter, Param


class Line(Module):
    def __init__(self):
        super().__init__()
        self.slope = Param(0.3 / u.ms, t=SigmoidT(0.0 / u.ms, 2.0 / u.ms))

    def __call__(self):
        x = jnp.linspace(0, 1, 20) * u.ms
        return {
            "x": u.math.stack([self.slope.value() * x] * 3, 1),
            "fc": jnp.eye(4) * self.slope.value() * u.ms,
        }


def distance(prediction, target):
    return sum(jnp.mean((prediction[name] - target[name]) ** 2) for name in target)


@pytest.fixture(scope="module")
def fit():
    target = {"x": np.linspace(0, 1, 20)[:, None] * np.ones(3), "fc": np.eye(4)}
    fitter = Fitter(Line(), optax.adam(0.1), predict=lambda m: m(), objective=distance)
    return fitter, target, fitter.fit(target, n_steps=40)


def test_a_page_says_and_shows_what_the_result_holds(fit, tmp_path):
    fitter, target, result = fit
    result.found["slope"] = fitter.profile("slope", np.linspace(0.5, 1.5, 5) / u.ms, target=target)
    result.report(tmp_path / "fit.html")
    page = (tmp_path / "fit.html").read_text()
    assert list(tmp_path.iterdir()) == [tmp_path / "fit.html"] and not re.search(
        r'(src|href)="(?!data:)', page
    )
    line = next(line for line in result.summary().splitlines() if line.startswith("slope"))
    assert line in page and "brainstate" in page and "Python" in page
    images = re.findall(r'alt="([^"]*)" src="data:image/png;base64,([^"]*)"', page)
    assert [alt for alt, _ in images] == [
        "loss of every evaluation", "slope at every evaluation", "norm of the gradient at every evaluation", "profile of slope, the others fitted at each value",
        "fc, data", "fc", "x (lines) and data (dots)",
    ]  # fmt: skip
    for _, data in images:
        assert np.ptp(matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))) > 0.5
    assert not plt.get_fignums()


def test_a_result_of_a_file_is_reported_without_data(fit, tmp_path):
    fit[2].save(tmp_path / "fit.npz")
    FitResult.load(tmp_path / "fit.npz").report(tmp_path / "fit.html")
    page = (tmp_path / "fit.html").read_text()
    assert 'alt="x"' in page and "data (dots)" not in page


def test_names_and_messages_do_no_harm(tmp_path):
    runs = tuple(FitResult(0.1 * i, {"<b>k": 1.0 * i}, [1.0], 1, None, None) for i in (1, 2))
    result = FitResult(0.1, {"<b>k": 1.0}, [1.0], 1, None, None, starts=runs, failures=("<script>bad",))
    result.report(tmp_path / "fit.html")
    page = (tmp_path / "fit.html").read_text()
    assert "&lt;b&gt;k" in page and "<b>k" not in page and "<script" not in page and "<td>0.2</td>" in page


@pytest.mark.parametrize("path", [3, None, "missing/fit.html"])
def test_a_page_that_cannot_be_written_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=r"FitResult\.report\.path"):
        FitResult(0.1, {"k": 1.0}, [1.0], 1, None, None).report(path)
