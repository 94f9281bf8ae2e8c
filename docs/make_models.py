"""Write docs/models.md, the page of all node models, from their declarations: python docs/make_models.py.

With the argument ``figures`` also draw every model again, into docs/_static/models.
"""

import inspect
import re
import sys
from pathlib import Path

import brainstate
import brainunit as u
import matplotlib.pyplot as plt
import numpy as np

from brainmass_delays import Network, Projection
from brainmass_delays.nodes import NODES
from brainmass_delays.nodes.description import short_name, table

PAGE = Path(__file__).parent / "models.md"
FIGURES = Path(__file__).parent / "_static" / "models"
# What is drawn: step and duration in ms, parameters, constant inputs, states of the phase plane.
RUNS = {
    "LinearStep": (0.01, 1, {"init_x": 1.0}, {}, None),
    "HopfStep": (0.1, 200, {"a": 0.05}, {}, "xy"),
    "StuartLandauStep": (0.1, 300, {"a": 20.0 * u.Hz, "init_x": 0.1}, {}, "xy"),
    "Generic2dOscillatorStep": (0.1, 1000, {"a": -1.5, "b": -15.0, "d": 0.015, "tau": 4.0}, {}, "VW"),
    "KuramotoStep": (0.1, 200, {"omega": 0.0628, "init_theta": 0.0}, {}, None),
    "FitzHughNagumoStep": (0.1, 300, {}, {"V_inp": 0.7}, "Vw"),
    "WilsonCowanStep": (0.05, 60, {}, {"rE_inp": 1.25}, ("rE", "rI")),
    "JansenRitStep": (0.5, 1500, {}, {"E_inp": 220.0 * u.Hz}, ("E", "I")),
    "MontbrioPazoRoxinStep": (0.01, 40, {"delta": 1.0 * u.kHz, "init_r": 500.0 * u.Hz}, {}, ("v", "r")),
    "CoombesByrneStep": (0.01, 20, {}, {}, ("v", "r")),
    "CoombesByrne4DStep": (0.005, 20, {}, {}, ("v", "r")),
    "GastSchmidtKnoscheSDStep": (0.005, 150, {}, {}, ("v", "r")),
    "GastSchmidtKnoscheSFStep": (0.005, 150, {}, {}, ("v", "r")),
    "DumontGutkinStep": (0.02, 300, {"eta_e": 10.0, "eta_i": 0.0, "J_ie": 20.0}, {}, ("r_e", "r_i")),
    "ReducedWongWangStep": (0.5, 2000, {}, {"coupling": 0.3}, None),
    "WongWangExcInhStep": (0.5, 2000, {}, {"coupling": 0.1}, ("S_e", "S_i")),
    "EpileptorStep": (0.05, 6000, {}, {}, ("z", "x1")),
    "Epileptor2DStep": (0.05, 6000, {}, {}, ("z", "x1")),
    "LarterBreakspearStep": (0.1, 500, {"d_V": 0.57}, {}, ("V", "Z")),
    "ThalamusStep": (0.02, 5000, {}, {}, ("V_t", "V_r")),
    "ZerlautStep": (0.1, 2000, {}, {"E_stim": 2.0 * u.Hz, "I_stim": 2.0 * u.Hz}, ("E", "W_e")),
    "ALNStep": (0.1, 1000, {}, {}, ("mufe", "mufi")),
}
# What a node sends to itself, and after how long.
LOCAL = {"ALNStep": {("rate_e", "E_local"): 4.0 * u.ms, ("rate_i", "I_local"): 2.0 * u.ms}}
INTRODUCTION = """# Node models

Every model below is a declaration and one derivative; `describe('jansen_rit')` prints its table. A plain
number is understood in the unit given here; inputs without a unit are rates per ms where they add to a rate.
Any input can receive the coupling of a network by name; the first one receives it if none is named.

*This page is written by `docs/make_models.py`.*
"""


def section(model):
    """Return the part of the page on one model."""
    doc = inspect.getdoc(model)
    equations = doc.split(".. math::", 1)[1].split("Parameters\n-----")[0]
    formula, *prose = equations.strip("\n").split("\n\n")
    body = "\n".join(line.strip() for line in formula.splitlines()).strip()
    aligned = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}" if "&" in body or r"\\" in body else body
    text = _markdown("\n\n".join(part for part in prose if not part.startswith(" ")))
    sources = doc.split("References\n----------\n")[1].split("\nExamples\n")[0].strip()
    name = model.__name__
    return (
        f"## {name}\n\n`describe('{short_name(model)}')`. {doc.splitlines()[0]}\n\n$$\n{aligned}\n$$\n\n"
        f"{text}![Time course and phase plane](_static/models/{short_name(model)}.png)\n\n"
        f"{caption(model)}\n\n{table(model)}\n{sources}\n"
    )


def _markdown(text):
    """Write a paragraph of a docstring as MyST does, with an empty line after it; nothing if it is empty."""
    text = re.sub(r":math:`(.+?)`", r"$\1$", text.strip(), flags=re.DOTALL).replace("``", "`")
    return f"{text}\n\n" if text else ""


def caption(model):
    """Say what the figure of one model shows."""
    _, duration, parameters, inputs, _ = RUNS[model.__name__]
    given = ", ".join(f"`{name}` = {value:g}" for name, value in (parameters | inputs).items())
    given += " and ".join(
        f"`{source}` at `{target}` after {delay:g}"
        for (source, target), delay in LOCAL.get(model.__name__, {}).items()
    )
    return f"*{duration:g} ms of one node from its default start{', with ' + given if given else ''}.*"


def trajectory(model):
    """Return times and a dict of the states of one run, as numbers of their units."""
    dt, duration, parameters, inputs, _ = RUNS[model.__name__]
    brainstate.random.seed(1)
    node = whole = model(1, **parameters)
    if local := LOCAL.get(model.__name__):
        options = {"weights": np.ones((1, 1)), "coupling": "additive", "self_connection": True}
        parts = [Projection(*ends, delay=delay, **options) for ends, delay in local.items()]
        whole = Network(node, projections=parts)
    with brainstate.environ.context(dt=dt * u.ms):
        brainstate.nn.init_all_states(whole)

    def one(_):
        with brainstate.environ.context(dt=dt * u.ms):
            whole.update(**inputs)
        return {s: u.get_mantissa(getattr(node, s).value)[0] for s in node.STATE_NAMES}

    n = round(duration / dt)
    return dt * np.arange(1, n + 1), brainstate.transform.for_loop(one, np.arange(n))


def draw(model):
    """Draw time course and phase plane of one model."""
    times, states = trajectory(model)
    plane = RUNS[model.__name__][-1]
    units = {s.name: "" if s.unit.is_unitless else f" ({s.unit})" for s in model.STATES}
    first = plane[-1] if plane and plane[0] in ("z", "v") else model.STATE_NAMES[0]
    figure, axes = plt.subplots(
        1, 2 if plane else 1, figsize=(6.4, 2.0), dpi=80, layout="constrained", squeeze=False
    )
    axes[0, 0].plot(times, states[first], lw=0.7)
    axes[0, 0].set(xlabel="time (ms)", ylabel=first + units[first])
    if plane:
        axes[0, 1].plot(states[plane[0]], states[plane[1]], lw=0.5)
        axes[0, 1].set(xlabel=plane[0] + units[plane[0]], ylabel=plane[1] + units[plane[1]])
    figure.savefig(FIGURES / f"{short_name(model)}.png")
    plt.close(figure)


def page():
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *map(section, NODES.values())])


if __name__ == "__main__":
    if "figures" in sys.argv:
        brainstate.environ.set(precision=64)
        FIGURES.mkdir(exist_ok=True)
        for drawn in NODES.values():
            draw(drawn)
    PAGE.write_text(page(), encoding="utf-8")
