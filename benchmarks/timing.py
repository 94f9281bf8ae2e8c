"""Time programs side by side, and write tables."""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import numpy as np
from cases import SPEED, speeds

PACKAGES = ("jax", "jaxlib", "numpy", "brainstate", "brainunit", "brainmass", "tvboptim", "neurolib", "numba")


def alternate(runners: dict[str, Callable], repetitions: int) -> dict[str, np.ndarray]:
    """Time every runner once per repetition, in turn, at another speed each; seconds, after a first call."""
    return in_turn(runners, SPEED, speeds(repetitions))


def in_turn(runners: dict[str, Callable], first: Any, arguments: Iterable) -> dict[str, np.ndarray]:
    """Time every runner at every argument, in turn; seconds, after a call with the first one."""
    for run in runners.values():
        jax.block_until_ready(run(first))
    times = {name: [] for name in runners}
    for argument in arguments:
        for name, run in runners.items():
            start = time.perf_counter()
            jax.block_until_ready(run(argument))
            times[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in times.items()}


def per_step(times: np.ndarray, n_steps: int) -> str:
    """Return the median in microseconds per step."""
    return f"{np.median(times) / n_steps * 1e6:.3g}"


def ratio(slower: np.ndarray, faster: np.ndarray) -> float:
    """Return the median of the ratios within each repetition: a change of the load leaves it alone."""
    return float(np.median(slower / faster))


def best(times: dict[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """Return the name and times of the fastest."""
    return min(times.items(), key=lambda item: np.median(item[1]))


def run_sections(sections: dict[str, Callable[[bool], str]], description: str | None, quick: str) -> None:
    """Print the machine and the sections that the command line chooses; ``quick`` says what --quick does."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--only", nargs="*", choices=sections, default=list(sections))
    arguments = parser.parse_args()
    print(machine() + "\n")
    for name in arguments.only:
        print(sections[name](arguments.quick) + "\n", flush=True)
        jax.clear_caches()


def table(header: Iterable[str], rows: Iterable[Iterable]) -> str:
    """Format a markdown table; None becomes a dash."""
    lines = [list(map(str, header)), ["---"] * len(list(header))]
    lines += [["–" if cell is None else str(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """Describe the machine, the day and the versions in one paragraph."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    day = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{day}; {_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"Python {platform.python_version()}, {', '.join(found)}; float32."
    )


def _processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
