"""What type checkers are told is what the tables and declarations hold, and they find the mistakes of a user."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from brainmass_delays._core import choices
from brainmass_delays.connectome.fetch import DATASETS
from brainmass_delays.couplings import COUPLINGS
from brainmass_delays.couplings.kernels import NORMALIZATIONS
from brainmass_delays.datasets import RECORDINGS
from brainmass_delays.delays.interpolation import INTERPOLATIONS
from brainmass_delays.fit.fitter import BACKENDS
from brainmass_delays.integrate import control, loops, setup
from brainmass_delays.integrate.steps import STEPS
from brainmass_delays.network import STAGES
from brainmass_delays.nodes.base import METHOD_NAMES
from brainmass_delays.observe.hemodynamics import CONSTANTS

HERE = Path(__file__).parent
TABLES = {
    "InterpolationName": INTERPOLATIONS,
    "Stages": STAGES,
    "Method": [*STEPS, *METHOD_NAMES],
    "CouplingName": COUPLINGS,
    "Backend": BACKENDS,
    "Differentiation": ["reverse", "forward"],
    "Normalization": ["row", "max", "none"],
    "ConnectomeName": DATASETS,
    "RecordingName": RECORDINGS,
    "LaplacianNormalization": NORMALIZATIONS,
    "BalloonConstants": CONSTANTS,
    "SolverName": [*setup.METHODS, setup.STIFF_METHOD],
    "ControllerName": control.CONTROLLERS,
    "LoopName": loops.LOOPS,
}


@pytest.mark.parametrize("name", TABLES)
def test_literals_are_the_tables(name):
    assert set(get_args(getattr(choices, name))) == set(TABLES[name])


def test_the_stub_of_nodes_is_what_their_declarations_imply(tmp_path):
    source = importlib.util.spec_from_file_location("make_stubs", HERE / "make_stubs.py")
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    made = tmp_path / "made.pyi"
    made.write_text(module.text())
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", "--line-length=110", str(made)], check=True)
    assert module.PATH.read_text() == made.read_text(), "run python tests/types/make_stubs.py"


def found(name):
    """Return the lines of a file in which pyright finds errors."""
    command = [
        sys.executable,
        "-m",
        "pyright",
        "--outputjson",
        "--pythonpath",
        sys.executable,
        str(HERE / name),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1])
    errors = [e for e in json.loads(done.stdout)["generalDiagnostics"] if e["severity"] == "error"]
    return {e["range"]["start"]["line"] + 1: e["message"] for e in errors}


needs_pyright = pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="needs pyright")


@needs_pyright
def test_a_user_without_mistakes_sees_none():
    assert found("user.py") == {}


@needs_pyright
def test_every_mistake_is_found():
    lines = (HERE / "mistakes.py").read_text().splitlines()
    assert set(found("mistakes.py")) == {n for n, line in enumerate(lines, 1) if "  # " in line}
