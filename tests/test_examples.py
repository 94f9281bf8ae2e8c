"""Every example runs as a user would run it, and leaves the figures it draws."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import brainunit as u
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
QUICK = ("03",)  # the others belong to the slow lane


def lane(path):
    return pytest.param(path, id=path.stem, marks=[] if path.name.startswith(QUICK) else [pytest.mark.slow])


def run(path, folder):
    """Run one example in an empty folder, with the options for little work that it has."""
    text = path.read_text()
    options = ["--quick"] if "--quick" in text else []
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONWARNINGS": "error::UserWarning:brainmass_delays"}
    command = [sys.executable, path, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=1200)


@pytest.mark.parametrize("path", [lane(p) for p in EXAMPLES])
def test_example(path, tmp_path):
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), "an example prints what it found"
    if "savefig" in path.read_text():
        figures = list(tmp_path.rglob("*.png")) + list(tmp_path.rglob("*.svg"))
        assert figures
        assert all(figure.stat().st_size > 5000 for figure in figures)


@pytest.mark.slow
def test_a_stimulus_is_recovered():
    path = next(p for p in EXAMPLES if p.stem.startswith("12"))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    _, found, site = example.main()
    assert site == example.SITE
    assert abs(float((found["onset"] - example.ONSET) / u.ms)) < 0.2
    assert abs(float((found["width"] - example.WIDTH) / u.ms)) < 0.2


def test_the_four_first_examples_exist():
    first = ["01_simulate", "02_train_speed", "03_custom_coupling", "04_train_edge_delays"]
    assert [path.stem for path in EXAMPLES[:4]] == first
