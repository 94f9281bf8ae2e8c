"""solve_ode on the DETEST collection: errors at the end in tolerances, and work."""

import jax
import numpy as np
import pytest
from detest import DETEST, END, reference, slope

from brainmass_delays.integrate import solve_ode

QUICK = ("A3", "B3", "E1")


def errors(name, method, tolerances):
    """Return the largest error at the end by tolerance, in tolerances, and the evaluations."""
    _, start = DETEST[name]
    exact = reference(name)

    @jax.jit
    def solve(tolerance):
        solution = solve_ode(
            slope(name),
            np.asarray(start),
            0.0,
            END,
            method=method,
            rtol=tolerance,
            atol=tolerance,
            max_steps=20_000,
        )
        return solution.ys, solution.statistics.evaluations, solution.status

    rows = [solve(tolerance) for tolerance in tolerances]
    assert not any(status for _, _, status in rows), name
    found = [
        np.max(np.abs(y - exact) / (1 + np.abs(exact))) / t
        for (y, _, _), t in zip(rows, tolerances, strict=True)
    ]
    return np.array(found), sum(int(evaluations) for _, evaluations, _ in rows)


@pytest.mark.parametrize("name", QUICK)
def test_errors_are_of_the_size_of_the_tolerance(name):
    found, _ = errors(name, "dopri5", np.logspace(-3, -9, 7))
    assert 0.01 < np.median(found) < 10


@pytest.mark.slow
@pytest.mark.parametrize(("method", "most"), [("dopri5", 1.92), ("tsit5", 1.60)])
def test_median_over_all_problems(method, most):
    """The orbits D1 to D5 amplify errors, to some thousand tolerances; the median does not know them."""
    tolerances = np.logspace(-3, -9, 25)
    found, evaluations = zip(*(errors(name, method, tolerances) for name in DETEST), strict=True)
    print(
        f"{method}: median {np.median(found):.2f}, largest {np.max(found):.0f}, {sum(evaluations)} evaluations"
    )
    assert np.median(found) < most
    assert np.max(found) < 5000
    assert sum(evaluations) < 360_000
