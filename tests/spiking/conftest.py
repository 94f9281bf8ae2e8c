"""One step of 1 ms for all spiking tests."""

import brainstate
import brainunit as u
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _time_step():
    with brainstate.environ.context(dt=1 * u.ms):
        yield


@pytest.fixture
def rng():
    """Give random numbers that do not change from run to run."""
    return np.random.default_rng(0)
