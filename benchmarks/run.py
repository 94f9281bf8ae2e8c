"""Run all benchmarks and write their tables into README.md.

    python benchmarks/run.py [--quick]

Every script runs in a process of its own; what it prints replaces the text between its markers. A script that
fails leaves its old table, and this one ends with an error. One that finds nothing to measure says so, and an older
table stays.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = (
    "accuracy", "memory", "streaming", "speed", "couplings", "users", "startup", "resting", "recordings", "node_models",
    "solvers", "spiking", "predictive", "fitting", "gpu",
)  # fmt: skip


def section(text: str, name: str, body: str) -> str:
    """Replace what stands between the markers of ``name``, which are added at the end if they are missing."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    if start not in text:
        return f"{text.rstrip()}\n\n## {name.capitalize()}\n\n{start}\n{body}\n{end}\n"
    before, rest = text.split(start, 1)
    return f"{before}{start}\n{body}\n{end}{rest.split(end, 1)[1]}"


def has_numbers(body: str) -> bool:
    """Tell a table from a notice that nothing could be measured, which leaves an older table."""
    return not body.startswith("> ") or "|" in body


def output(name: str, quick: bool) -> str | None:
    """Run one script; return what it printed, or None if it failed."""
    script = HERE / f"{name}.py"
    options = ["--quick"] if quick and "--quick" in script.read_text() else []
    done = subprocess.run([sys.executable, str(script), *options], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def main():
    """Run the scripts that are there and rewrite the page after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, printed and not written")
    quick, failed = parser.parse_args().quick, []
    page = HERE / "README.md"
    text = page.read_text()
    unpaired = [name for name in SCRIPTS if text.count(f"<!-- {name}: ") not in (0, 2)]
    if unpaired:
        sys.exit(f"{page} lacks a marker of {', '.join(unpaired)}")
    for name in SCRIPTS:
        if not (HERE / f"{name}.py").exists():
            continue
        start = time.monotonic()
        body = output(name, quick)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        if body is None:
            failed.append(name)
            print(f"{name} failed", file=sys.stderr)
            continue
        print(f"## {name}\n\n{body}\n", flush=True)
        if not quick and (has_numbers(body) or f"<!-- {name}:" not in page.read_text()):
            page.write_text(section(page.read_text(), name, body))
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
