"""Precision, plotting and the store of compiled programs, shared by all tests.

Most of the time of a first run is XLA compiling. Every process of a run (the workers, the scripts that tests start) and
every later run reads and writes one store of compiled programs, ``.jax_cache`` at the root, which git ignores. A program
is found there by its own text, the version of XLA and its flags, so that a change of the code cannot be answered by an
old program; ``make clean`` empties the store. ``JAX_COMPILATION_CACHE_DIR`` puts it elsewhere.
"""

import gc
import os
from contextlib import contextmanager
from pathlib import Path

import brainstate
import jax
import matplotlib
import pytest
from hypothesis import settings

STORE = {
    "jax_compilation_cache_dir": os.environ.get(
        "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache")
    ),
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
for name, value in STORE.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)  # for the scripts that tests start

matplotlib.use("Agg")

# Tracing leaves many small objects that live: to look at all of them again and again is a tenth of the time.
gc.freeze()
gc.set_threshold(50_000, 20, 50)

# Examples of properties are the same in every run, so that the store holds their programs; slow tests draw new ones.
settings.register_profile("same examples", derandomize=True)
settings.load_profile("same examples")


@pytest.fixture(autouse=True)
def _double_precision():
    """Run every test in float64 unless it asks for `single_precision`; importing brainstate had switched to 32 bit."""
    brainstate.environ.set(precision=64)
    yield
    brainstate.environ.set(precision=64)


@pytest.fixture
def single_precision(_double_precision):
    """Run this test in float32."""
    brainstate.environ.set(precision=32)
    yield
    brainstate.environ.set(precision=64)


@pytest.fixture
def strict_promotion():
    """Refuse to promote types and to broadcast unequal numbers of axes, by ``pytest.mark.usefixtures``: for formulas
    that know no framework. Whole networks run without it, for brainstate promotes."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def compilations():
    """Count what is compiled: ``with compilations() as count: ...; count()``."""
    seen = []

    def note(event, *args, **kwargs):
        if event == "/jax/core/compile/jaxpr_to_mlir_module_duration":
            seen.append(event)

    @contextmanager
    def counting():
        before = len(seen)
        yield lambda: len(seen) - before

    jax.monitoring.register_event_duration_secs_listener(note)
    yield counting
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.fixture(scope="module", autouse=True)
def _memory():
    """Let go of compiled programs after a file, where the process fills a quarter of the memory."""
    yield
    if _resident() > os.sysconf("SC_PHYS_PAGES") / 4:
        jax.clear_caches()


def _resident():
    """Return how many pages of memory this process has now, or none where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
