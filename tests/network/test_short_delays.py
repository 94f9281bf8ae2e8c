"""Bounds that let many connections become shorter than a step are told of, once; what is fixed is not."""

import warnings

import brainunit as u
import numpy as np
import pytest
from brainstate.nn import SigmoidT

from brainmass_delays import HopfStep, Network, Param, Simulator

MM_PER_MS = u.mm / u.ms
N = 11
WEIGHTS = 1.0 - np.eye(N)


def lengths(n_short):
    """Return tract lengths of 30 mm, but for some of 5 mm."""
    values = np.where(np.eye(N, dtype=bool), 0.0, 30.0)
    rows, columns = np.nonzero(WEIGHTS)
    values[rows[:n_short], columns[:n_short]] = 5.0
    return values


def simulator(n_short, **delays):
    node = HopfStep(N, a=-0.1, init_x=0.1)
    given = {"lengths": lengths(n_short)} | delays
    return Simulator(Network(node, conn=WEIGHTS, coupled_var="x", k=0.1, **given), dt=1.0 * u.ms)


def speed(fastest):
    return Param(4.0 * MM_PER_MS, fit=True, t=SigmoidT(1.0 * MM_PER_MS, fastest * MM_PER_MS))


def told(run):
    """Return what a run warns of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run.run(5.0 * u.ms)
    return found


def test_a_warning_counts_the_connections_that_bounds_let_be_shorter_than_a_step():
    run = simulator(7, speed=speed(10.0))
    (warning,) = told(run)
    assert "7 of 110 connections may be shorter than a step of 1 ms" in str(warning.message)
    assert warning.filename == __file__
    assert not told(run), "the same Simulator says it once"


def test_a_run_as_a_function_warns_too():
    with pytest.warns(UserWarning, match="7 of 110 connections"):
        simulator(7, speed=speed(10.0)).function(5.0 * u.ms)({"speed": 3.0})


@pytest.mark.parametrize(
    "n_short, delays",
    [
        (7, {"speed": speed(4.9)}),  # 5 mm take more than a step at the upper bound
        (1, {"speed": speed(10.0)}),  # less than one in fifty
        (7, {"speed": 10.0 * MM_PER_MS}),  # known to be shorter, and chosen so
        (7, {"speed": Param(4.0 * MM_PER_MS, fit=True), "max_delay": 40.0 * u.ms}),  # nobody stated a bound
        (7, {"speed": speed(10.0), "min_delay": 1.0 * u.ms}),
    ],
    ids=["long enough", "few", "fixed", "no bound", "min_delay"],
)
def test_nothing_is_said_where_bounds_do_not_say_so(n_short, delays):
    assert not told(simulator(n_short, **delays))


def test_bounds_of_delays_themselves_count():
    bounds = SigmoidT(0.5 * u.ms, 25.0 * u.ms)
    run = simulator(0, lengths=None, delay=Param(np.full((N, N), 10.0) * u.ms, t=bounds))
    (warning,) = told(run)
    assert "110 of 110 connections" in str(warning.message)
