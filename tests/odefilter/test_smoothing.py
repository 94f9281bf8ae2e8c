"""Smoothers against an obvious NumPy program in covariance form, and against each other."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from brainmass_delays.integrate import log_likelihood_series, solve_filter, solve_filter_on_grid


def field(t, u, args):
    x, y = u
    return jnp.stack([0.5 * x - 0.05 * x * y, -0.5 * y + 0.05 * x * y])


START = np.array([20.0, 20.0])


def rauch_tung_striebel(times, observed, start, n_coefficients):
    """Filter and smooth over ``times``; at times that are not ``observed`` the equation is not looked at."""
    order = n_coefficients - 1
    mean, covariance = start, np.zeros((n_coefficients, n_coefficients))
    states, predictions = [(mean, covariance)], []
    for before, after, look in zip(times[:-1], times[1:], observed[1:], strict=True):
        h = after - before
        matrix, noise = np.zeros((2, n_coefficients, n_coefficients))
        for i in range(n_coefficients):
            for j in range(n_coefficients):
                if j >= i:
                    matrix[i, j] = h ** (j - i) / math.factorial(j - i)
                power = 2 * order + 1 - i - j
                noise[i, j] = h**power / (power * math.factorial(order - i) * math.factorial(order - j))
        mean, covariance = matrix @ mean, matrix @ covariance @ matrix.T + noise
        predictions.append((matrix, mean, covariance))
        if look:
            gain = covariance[:, 1] / covariance[1, 1]
            mean = mean - np.outer(gain, mean[1] - np.asarray(field(after, mean[0], None)))
            covariance = covariance - np.outer(gain, gain) * covariance[1, 1]
        states.append((mean, covariance))
    smoothed = [states[-1]]
    for (mean, covariance), (matrix, ahead, spread) in zip(states[-2::-1], predictions[::-1], strict=True):
        gain = covariance @ matrix.T @ np.linalg.pinv(spread, rcond=1e-15)
        later, later_spread = smoothed[-1]
        smoothed.append((mean + gain @ (later - ahead), covariance + gain @ (later_spread - spread) @ gain.T))
    return smoothed[::-1]


def test_checkpoints_equal_a_smoother_over_all_steps():
    checkpoints = np.array([0.0, 0.05, 0.08, 1.0, 2.0])
    options = {"num": 2, "rtol": 1e-3, "atol": 1e-3}
    solution = jax.jit(lambda: solve_filter(field, START, 0.0, 2.0, save_at=checkpoints, **options))()
    steps = jax.jit(lambda: solve_filter(
        field, START, 0.0, 3.0, strategy="fixed-interval", max_steps=64, **options
    ))()  # fmt: skip
    ends = np.unique(steps.ts)
    assert np.any((ends[:-1] < 0.05) & (ends[1:] > 0.08))  # one step passes two checkpoints
    ends = ends[: 1 + np.searchsorted(ends, 2.0)]
    times = np.union1d(ends, checkpoints)
    start = np.stack([np.asarray(row[0]) for row in solution.mean])
    expected = rauch_tung_striebel(times, np.isin(times, ends), start, 3)
    for k, t in enumerate(checkpoints):
        mean, covariance = expected[np.flatnonzero(times == t)[0]]
        np.testing.assert_allclose(np.stack([row[k] for row in solution.mean]), mean, rtol=1e-7, atol=1e-7)
        std = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        np.testing.assert_allclose(np.stack([row[k] for row in solution.std])[[0, 2]], std[[0, 2]], atol=1e-6)


def test_fixed_interval_over_its_own_steps_equals_the_grid():
    options = {"num": 2, "calibration": "mle"}
    run = jax.jit(
        lambda: solve_filter(field, START, 0.0, 1.0, strategy="fixed-interval", max_steps=16, **options)
    )()
    n = int(run.accepted[-1])
    grid = jax.jit(lambda: solve_filter_on_grid(field, START, run.ts[: n + 1], **options))()
    np.testing.assert_allclose(run.ys[: n + 1], grid.ys, rtol=1e-12)
    np.testing.assert_allclose(run.std[0][: n + 1], grid.std[0], rtol=1e-10, atol=1e-15)
    assert np.ptp(run.std[0][n:]) < 1e-15


def test_checkpoints_do_not_change_the_filter_at_the_end():
    f = jax.jit(
        lambda save_at: solve_filter(field, START, 0.0, 1.0, save_at=save_at, num=2, rtol=1e-4, clip=True)
    )
    one, two = f(np.array([1.0])), f(np.array([0.3, 1.0]))
    plain = jax.jit(lambda: solve_filter(field, START, 0.0, 1.0, num=2, rtol=1e-4))()
    np.testing.assert_allclose(one.ys[-1], plain.ys, rtol=1e-13)
    np.testing.assert_allclose(one.std[0][-1], plain.std[0], rtol=1e-10)
    # Clipping at the first checkpoint changes the steps after it, so that agreement is up to the tolerance.
    np.testing.assert_allclose(two.ys[-1], plain.ys, rtol=1e-3)
    direct = jax.jit(lambda: solve_filter(field, two.mean[0][0], 0.3, 1.0, num=2, rtol=1e-4))()
    np.testing.assert_allclose(two.ys[-1], direct.ys, rtol=1e-3)


def test_fixed_interval_has_a_reverse_mode_with_every_loop():
    def value(y0):
        return solve_filter(field, y0, 0.0, 1.0, num=2, strategy="fixed-interval", max_steps=16).ys[-1, 0]

    def reference(y0):
        return solve_filter(field, y0, 0.0, 1.0, num=2, while_loop="checkpointed", max_steps=16).ys[0]

    np.testing.assert_allclose(
        jax.jit(jax.grad(value))(START), jax.jit(jax.grad(reference))(START), rtol=1e-10
    )


def test_likelihood_of_checkpoints_is_that_of_a_dense_gaussian():
    times, noise = np.array([0.0, 0.4, 1.0]), 0.3
    solution = jax.jit(
        lambda: solve_filter(field, START, 0.0, 1.0, save_at=times, num=2, output_scale=30.0)
    )()
    data = np.asarray(solution.ys) + np.array([[0.1, -0.2], [0.3, 0.1], [-0.2, 0.2]])
    factor = solution.posterior.terminal.factor[0]
    gains, _, factors = (part[:, 0] for part in solution.posterior.kernels)
    # The joint covariance of the three values, from the backward kernels.
    last = factor.T @ factor
    middle = gains[1] @ last @ gains[1].T + factors[1].T @ factors[1]
    first = gains[0] @ middle @ gains[0].T + factors[0].T @ factors[0]
    first_middle, middle_last = gains[0] @ middle, gains[1] @ last
    first_last = gains[0] @ middle_last
    joint = np.array([
        [first[0, 0], first_middle[0, 0], first_last[0, 0]],
        [first_middle[0, 0], middle[0, 0], middle_last[0, 0]],
        [first_last[0, 0], middle_last[0, 0], last[0, 0]],
    ]) + noise**2 * np.eye(3)  # fmt: skip
    residual = data - np.asarray(solution.ys)
    expected = -0.5 * np.sum(residual * np.linalg.solve(joint, residual))
    expected -= np.linalg.slogdet(2.0 * np.pi * joint)[1]
    got = log_likelihood_series(solution, data, obs_std=noise, average=False)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
