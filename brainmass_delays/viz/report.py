"""A fit as one page of HTML that needs no other file."""

import base64
import datetime
import html
import io
import platform
from collections.abc import Iterator
from importlib import metadata
from os import PathLike
from typing import Any

import brainunit as u
import matplotlib.pyplot as plt
import numpy as np

from .._core.files import write_whole
from ..fit.journal import spell
from .fits import plot_fit, plot_profile
from .frame import color_bar, new_axes, with_unit

MOST_LINES = 6  # columns of a time series that are drawn
PACKAGES = ("brainmass_delays", "jax", "brainstate", "brainunit", "numpy", "optax")
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
figure { margin: 1rem 0; } img { max-width: 100%; background: white; border-radius: 4px; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid #8886; border-radius: 4px; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: left; }
tr + tr { border-top: 1px solid #8886; } .grid { display: flex; flex-wrap: wrap; gap: 1rem; }
.grid figure { flex: 1 1 24rem; }
"""


def write_report(result: Any, path: str | PathLike) -> None:
    """Write what `FitResult.report` promises."""
    parts = [
        _section("Parameters", f"<pre>{html.escape(result.summary())}</pre>"),
        _section(
            "Starts", _table(("loss", "starts", "parameters"), _optima(result)) if result.starts else ""
        ),
        _section("Loss and parameters", _figures(_curves(result))),
        _section("Profiles", _figures(_profiles(result))),
        _section("Data and prediction", _figures(_comparison(result))),
        _section("Versions", _table(("package", "version"), _versions())),
    ]
    title = f"Fit of {', '.join(result.best_params) or 'nothing'}"
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    body = f"<h1>{html.escape(title)}</h1>{''.join(parts)}"
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'
    write_whole("FitResult.report.path", path, page.encode())


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}" if content else ""


def _table(head: tuple, rows: list[tuple]) -> str:
    lines = [("th", head), *(("td", row) for row in rows)]
    cells = ("".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row) for tag, row in lines)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _optima(result) -> list[tuple]:
    ends = [(f"{end['loss']:.6g}", end["n_starts"], spell(end["params"])) for end in result.optima()]
    return ends + [("failed", 1, message) for message in result.failures]


def _versions() -> list[tuple]:
    rows = [(name, _version(name)) for name in PACKAGES]
    now = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    return [("written", now), ("Python", platform.python_version()), *rows]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed as a package"


def _figures(drawn: Iterator[tuple[str, Any]]) -> str:
    """Return drawings as images inside of the page, each closed as soon as it is written."""
    images = []
    for caption, ax in drawn:
        content = io.BytesIO()
        ax.figure.savefig(content, format="png", dpi=110)
        plt.close(ax.figure)
        data = base64.b64encode(content.getvalue()).decode()
        alt = html.escape(caption)
        image = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
        images.append(f"<figure>{image}<figcaption>{alt}</figcaption></figure>")
    return f'<div class="grid">{"".join(images)}</div>' if images else ""


def _curves(result):
    if not result.history:
        return
    yield "loss of every evaluation", plot_fit(result)
    for name in result.param_history:
        yield f"{name} at every evaluation", plot_fit(result, parameter=name)
    if any(np.any(np.array(norms) > 0) for norms in result.gradient_norms.values()):
        yield "norm of the gradient at every evaluation", _norms(result.gradient_norms)


def _norms(gradient_norms):
    ax = new_axes(None)
    for name, norms in gradient_norms.items():
        ax.plot(norms, label=name)
    ax.set(xlabel="evaluation", ylabel="norm of the gradient, unconstrained", yscale="log")
    ax.legend()
    return ax


def _profiles(result):
    for name, found in result.found.items():
        if hasattr(found, "interval") and hasattr(found, "losses"):
            yield f"profile of {name}, the others fitted at each value", plot_profile(found)


def _comparison(result):
    """Draw what was predicted, and the data beside it if they are known."""
    target = None if result.context is None else result.context.target
    for name, prediction in _arrays("prediction", result.prediction):
        data = dict(_arrays("prediction", target)).get(name)
        shape = np.shape(u.get_magnitude(prediction))
        same = data is not None and np.shape(u.get_magnitude(data)) == shape
        if len(shape) == 2 and shape[0] == shape[1]:
            for title, matrix in ((f"{name}, data", data if same else None), (name, prediction)):
                if matrix is not None:
                    yield title, _matrix(matrix, prediction)
        elif len(shape) in (1, 2) and shape[0] > 1:
            yield (
                (f"{name} (lines) and data (dots)" if same else name),
                _lines(prediction, data if same else None),
            )


def _arrays(name, value):
    """Yield the arrays of a value, one or a dict of them, by name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _arrays(str(key), item)
    elif hasattr(value, "shape") and np.issubdtype(np.asarray(u.get_magnitude(value)).dtype, np.number):
        yield name, value


def _lines(prediction, data):
    ax = new_axes(None)
    numbers = np.asarray(u.get_magnitude(prediction)).reshape(len(prediction), -1)[:, :MOST_LINES]
    lines = ax.plot(numbers)
    if data is not None:
        points = np.asarray(u.get_magnitude(data)).reshape(len(numbers), -1)
        for line, column in zip(lines, points.T, strict=False):
            ax.plot(column, ".", color=line.get_color(), markersize=3)
    ax.set_xlabel("sample")
    ax.set_ylabel(with_unit("value", prediction))
    return ax


def _matrix(matrix, prediction):
    ax = new_axes(None, size=(5.2, 4.4))
    limit = float(np.nanmax(np.abs(np.asarray(u.get_magnitude(prediction)))))
    image = ax.imshow(np.asarray(u.get_magnitude(matrix)), vmin=-limit, vmax=limit, cmap="RdBu_r")
    color_bar(image, [ax], with_unit("value", matrix))
    ax.set_xlabel("region")
    ax.set_ylabel("region")
    return ax
