"""Monitors against NumPy, in one go and in stretches."""

import brainunit as u
import numpy as np
import pytest

from brainmass_delays.observe import SubSample, TemporalAverage, apply, emission_steps

X = np.random.default_rng(0).normal(size=(97, 3))
DT = 0.1 * u.ms


def windows(period):
    steps = emission_steps(SubSample(period=period), 0, len(X), DT)
    return steps, np.concatenate([[0], steps[:-1]])


@pytest.mark.parametrize("period", [0.7 * u.ms, 0.25 * u.ms, 0.97 * u.ms])
def test_subsample_and_mean(period):
    steps, before = windows(period)
    ts, kept = apply(SubSample(period=period), X, DT)
    np.testing.assert_array_equal(kept, X[steps - 1])
    np.testing.assert_allclose(ts.to_decimal(u.ms), steps * 0.1)
    _, means = apply(TemporalAverage(period=period), X, DT)
    np.testing.assert_allclose(
        means, [X[a:b].mean(axis=0) for a, b in zip(before, steps, strict=True)], atol=1e-14
    )
