"""Precision and plotting shared by all tests."""

from contextlib import contextmanager

import brainstate
import jax
import matplotlib
import pytest

matplotlib.use("Agg")


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
def compilations():
    """Count what is compiled: ``with compilations() as count: ...; count()``."""
    seen = []

    def note(event, *args, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(event)

    @contextmanager
    def counting():
        before = len(seen)
        yield lambda: len(seen) - before

    jax.monitoring.register_event_duration_secs_listener(note)
    yield counting
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.fixture(scope="session", autouse=True)
def _compilation_cache(tmp_path_factory):
    """Keep compiled programs between test files of one session."""
    yield
    jax.clear_caches()
