"""The layers hold: imports go downwards, formulas know no framework, only viz draws."""

import ast
import importlib
import inspect
import os
import pkgutil
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


def test_there_is_one_way_to_do_each_thing():
    """No function is written twice: neither by the same name, nor privately under two names for its parts."""
    seen = {}
    for path in SOURCES:
        for function in outside_of_classes(ast.parse(path.read_text())):
            place = f"{path.relative_to(ROOT)}:{function.lineno}"
            for looks in appearances(function):
                seen.setdefault(looks, []).append(place)
    assert not [places for places in seen.values() if len(places) > 1]


@pytest.mark.parametrize(
    ("twice", "is_found"),
    [
        ("def f(x):\n  'One.'\n  return x\ndef g():\n  def f(x):\n    return x", True),
        ("def f(x):\n  return x\ndef g(x):\n  return x", False),
        ("class A:\n  def f(x):\n    return x\nclass B:\n  def f(x):\n    return x", False),
        ("def _f(x):\n  y = 2 * x\n  y += 1\n  return y\ndef _g(a: int):\n  b = 2 * a\n  b += 1\n  return b", True),
        ("def _f(x):\n  y = 2 * x\n  y += 1\n  return y\ndef _g(a: int):\n  b = 2 * a\n  b += 1\n  return a", False),
    ],
    ids=["same name", "two names of one statement", "methods", "other names within", "another result"],
)  # fmt: skip
def test_a_copy_is_noticed(twice, is_found):
    looks = [each for function in outside_of_classes(ast.parse(twice)) for each in appearances(function)]
    assert (len(set(looks)) < len(looks)) == is_found


def outside_of_classes(node):
    """Yield every function that is no method, also those within functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield child
        if not isinstance(child, ast.ClassDef):
            yield from outside_of_classes(child)


def appearances(function):
    """Return what a function is compared by: its name and its body; a long private one, the body alone, in which
    its own names are numbered."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    found = [(function.name, *map(ast.dump, body))]
    if function.name.startswith("_") and len(body) > 2:
        nodes = [each for part in (function.args, *body) for each in ast.walk(part)]
        args = [each.arg for each in nodes if isinstance(each, ast.arg)]
        stored = [each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
        numbers = {name: str(i) for i, name in enumerate(dict.fromkeys(args + stored))}
        for each in nodes:
            if isinstance(each, ast.arg):
                each.arg, each.annotation = numbers[each.arg], None
            elif isinstance(each, ast.Name):
                each.id = numbers.get(each.id, each.id)
        found.append(("", *map(ast.dump, body)))
    return found


PACKAGES = [".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES if path.name == "__init__.py"]


@pytest.mark.parametrize("package", [name for name in PACKAGES if "._" not in name])
def test_no_function_hides_a_module(package):
    """A callable by the name of a submodule: which of the two one gets would depend on the order of imports."""
    module = importlib.import_module(package)
    modules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    exported = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    assert not [name for name in exported if name in modules and not inspect.ismodule(getattr(module, name))]
