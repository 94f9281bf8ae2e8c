"""The layers hold: imports go downwards, formulas know no framework, only viz draws."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "brainmass_delays").rglob("*.py"))


def python(code, **environment):
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )


def test_import_contracts():
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = python(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 3 kept, 0 broken." in done.stdout


def test_a_broken_layer_is_noticed(tmp_path):
    """The check above can fail: a buffer that imports brainstate breaks the third contract."""
    package = tmp_path / "brainmass_delays"
    for source in SOURCES:
        target = package / source.relative_to(ROOT / "brainmass_delays")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text())
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    buffer = package / "delays" / "buffer.py"
    buffer.write_text(buffer.read_text() + "\nimport brainstate\n")
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode != 0
    assert "Formulas know no framework BROKEN" in done.stdout


def test_importing_the_package_loads_no_drawing_and_warns_of_nothing():
    code = "import sys, brainmass_delays; assert 'brainmass_delays.viz' not in sys.modules"
    done = python(code, PYTHONWARNINGS="error::UserWarning:brainmass_delays")
    assert done.returncode == 0, done.stderr
    assert not done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "brainmass_delays")))
def test_file_is_about_one_concept(path):
    assert not re.search(r"utils|helpers|common|misc", path.stem)
    text = path.read_text()
    assert not text.strip() or text.startswith(('"""', 'r"""')), "a file starts with what it is about"


@pytest.mark.parametrize("folder", ["brainmass_delays", "tests", "benchmarks", "examples", "docs"])
def test_files_and_functions_are_short(folder):
    texts = {path.relative_to(ROOT): path.read_text() for path in (ROOT / folder).rglob("*.py")}
    assert texts
    assert not [path for path, text in texts.items() if len(text.splitlines()) > 350]
    assert not [(path, name) for path, text in texts.items() for name, n in functions(text) if n > 50]


def functions(text):
    """Yield the name and the length of every function, without its docstring."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            yield node.name, node.end_lineno - node.lineno - docstring.count("\n")


NAMED_ONCE = ["units", "problem", "history", "kernels", "solution", "adaptive"]


@pytest.mark.parametrize("name", NAMED_ONCE)
def test_one_file_name_means_one_thing(name):
    assert sum(name in (path.stem, path.parent.name * (path.stem == "__init__")) for path in SOURCES) <= 1
