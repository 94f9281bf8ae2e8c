"""The filter for delay equations: an obvious NumPy program, closed forms, orders, gradients, bad input."""

import math

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.integrate import log_likelihood_series, solve_filter_dde, solve_filter_on_grid


def decay(t, y, delayed, args):
    return -delayed


def steps_solution(t):
    """Solve y' = -y(t - 1) from the constant history 1 by the method of steps."""
    return sum((-1) ** k * (t - k + 1) ** k / math.factorial(k) for k in range(int(t) + 2))


def mackey_glass(t, y, delayed, args):
    return 2.0 * delayed / (1.0 + delayed**8) - y


def joint_oracle(h, delay_steps, n_steps, start):
    """Filter the Mackey-Glass equation with two derivatives, keeping the covariance of all nodes."""
    q, history = 3, start[0]
    mean, covariance = np.array(start), np.zeros((q, q))
    matrix, noise = np.zeros((2, q, q))
    for i in range(q):
        for j in range(q):
            matrix[i, j] = h ** (j - i) / math.factorial(j - i) if j >= i else 0.0
            power = 5 - i - j
            noise[i, j] = h**power / (power * math.factorial(2 - i) * math.factorial(2 - j))
    surprise = 0.0
    for n in range(1, n_steps + 1):
        last = slice(q * (n - 1), q * n)
        ahead = np.zeros((q * (n + 1), q * n))
        ahead[: q * n] = np.eye(q * n)
        ahead[q * n :, last] = matrix
        mean, covariance = ahead @ mean, ahead @ covariance @ ahead.T
        covariance[q * n :, q * n :] += noise
        source = n - delay_steps
        past = history if source < 0 else mean[q * source]
        slope = 2.0 / (1.0 + past**8) - 16.0 * past**8 / (1.0 + past**8) ** 2
        row = np.zeros(q * (n + 1))
        row[q * n], row[q * n + 1] = 1.0, 1.0
        if source >= 0:
            row[q * source] -= slope
        residual = mean[q * n + 1] - (2.0 * past / (1.0 + past**8) - mean[q * n])
        variance = row @ covariance @ row
        gain = covariance @ row / variance
        mean, covariance = mean - gain * residual, covariance - np.outer(gain, gain) * variance
        surprise += residual**2 / variance
    return mean[::q], covariance[::q, ::q], surprise / n_steps


def test_means_and_covariances_are_those_of_the_joint_distribution_of_all_nodes():
    start = [0.9, 2.0 * 0.9 / (1.0 + 0.9**8) - 0.9]
    start.append(-start[1])  # the delayed value rests
    expected, covariance, surprise = joint_oracle(0.25, 4, 8, start)
    times = np.linspace(0.0, 2.0, 9)
    solution = jax.jit(lambda: solve_filter_dde(
        mackey_glass, 0.9, 0.0, 2.0, 1.0, num=2, rtol=None, dt0=0.25, save_at=times, window=5, kinks=0,
        max_steps=64, correct_underconfidence=False,
    ))()  # fmt: skip
    np.testing.assert_allclose(solution.ys, expected, rtol=1e-10)
    factor = solution.posterior.factor[0]
    np.testing.assert_allclose(
        factor.T @ factor, surprise * covariance, rtol=1e-7, atol=1e-9 * covariance.max()
    )
    # The joint density and samples are those of the same Gaussian.
    data, noise = expected + 0.1 * np.cos(times), 0.05
    total = surprise * covariance + noise**2 * np.eye(9)
    residual = data - expected
    density = (
        -0.5 * residual @ np.linalg.solve(total, residual) - 0.5 * np.linalg.slogdet(2 * np.pi * total)[1]
    )
    got = log_likelihood_series(solution, data, obs_std=noise, average=False)
    np.testing.assert_allclose(got, density, rtol=1e-8)
    samples = np.asarray(solution.sample(jax.random.key(0), 4000))
    spread = np.sqrt(np.diag(surprise * covariance)[1:])
    scaled = (samples[:, 1:] - expected[1:]) / spread
    correlation = surprise * covariance[1:, 1:] / np.outer(spread, spread)
    np.testing.assert_allclose(scaled.mean(0), 0.0, atol=4 / np.sqrt(4000))
    np.testing.assert_allclose(scaled.T @ scaled / 4000, correlation, atol=6 / np.sqrt(4000))


@pytest.mark.parametrize("num", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_mean_converges_at_the_order_of_the_prior_across_kinks(num):
    end, sizes = 3.6, np.array([0.2, 0.1, 0.05])

    @jax.jit
    def end_value(dt):
        solution = solve_filter_dde(
            decay, 1.0, 0.0, end, 1.0, num=num, rtol=None, dt0=dt, window=22, covariance="isotropic"
        )
        return solution.ys, solution.std[0]

    values = [end_value(dt) for dt in sizes]
    errors = np.abs([value - steps_solution(end) for value, _ in values])
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] > num + 0.5
    z = errors / np.array([std for _, std in values])
    assert np.all((z > 1e-3) & (z < 10.0))


def smooth_start(t):
    return 0.9 + 0.2 * jnp.sin(t)


TIMES = np.linspace(0.4, 3.0, 5)
DATA = 0.9 + 0.1 * np.cos(3.0 * TIMES)


def likelihood(p, kinks):
    """Return the density of the data; parameters: delay, log output scale, a rate, log noise."""
    solution = solve_filter_dde(
        lambda t, y, delayed, rate: rate * delayed / (1.0 + delayed**8) - y, smooth_start, 0.0, 3.0, p[0],
        args=p[2], num=2, rtol=None, dt0=0.21, save_at=TIMES, window=8, kinks=kinks, calibration="none",
        output_scale=jnp.exp(p[1]), covariance="isotropic", while_loop="checkpointed", max_steps=64,
    )  # fmt: skip
    return log_likelihood_series(solution, DATA, obs_std=jnp.exp(p[3]), average=False)


@pytest.mark.parametrize("kinks", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_gradient_of_the_likelihood_is_right_in_the_delay(kinks):
    """With kinks the steps move with the delay."""
    point = np.array([1.0371, 0.4, 1.9, -2.5])
    function = jax.jit(lambda p: likelihood(p, kinks))
    gradient = jax.jit(jax.grad(lambda p: likelihood(p, kinks)))(point)
    for k in range(4):
        shift = 1e-4 * np.eye(4)[k]
        near, far = (function(point + s * shift) - function(point - s * shift) for s in (1, 2))
        np.testing.assert_allclose(gradient[k], (8.0 * near - far) / 12e-4, rtol=1e-6, err_msg=str(k))


def test_without_delay_it_is_the_filter_of_an_ordinary_equation():
    def field(t, y, args):
        return jnp.stack([y[1], -y[0] * (1.0 + 0.1 * y[1])])

    options = {"num": 2, "linearization": "ts1", "covariance": "dense", "calibration": "mle"}
    start = np.array([1.0, 0.0])
    solution = jax.jit(lambda: solve_filter_dde(
        lambda t, y, delayed, args: field(t, delayed, args), start, 0.0, 1.0, 0.0, window=2, kinks=0,
        rtol=None, dt0=0.125, **options,
    ))()  # fmt: skip
    expected = jax.jit(lambda: solve_filter_on_grid(field, start, np.linspace(0.0, 1.0, 9), **options))()
    for k in range(3):
        np.testing.assert_allclose(solution.mean[k], expected.mean[k][-1], rtol=1e-9)
        np.testing.assert_allclose(solution.std[k], expected.std[k][-1], rtol=1e-6, atol=1e-12)


def test_several_delays_units_and_a_state_with_leaves():
    def field(t, y, delayed, args):
        slow, fast = delayed["x"]
        return {"x": (0.5 * fast - slow) / (1.0 * u.ms)}

    def inner(t, y, delayed, args):
        return 0.5 * delayed[1] - delayed[0]

    delays = np.array([1.0, 0.4])
    options = {"num": 1, "rtol": None, "window": 12, "covariance": "isotropic"}
    solution = jax.jit(lambda: solve_filter_dde(
        field, {"x": jnp.ones(2) * u.mV}, 0.0 * u.ms, 1.5 * u.ms, delays * u.ms, dt0=0.1 * u.ms, **options
    ))()  # fmt: skip
    plain = jax.jit(lambda: solve_filter_dde(inner, np.ones(2), 0.0, 1.5, delays, dt0=0.1, **options))()
    np.testing.assert_allclose(solution.ys["x"].to_decimal(u.mV), plain.ys, rtol=1e-12)
    np.testing.assert_allclose(solution.std[0].to_decimal(u.mV), plain.std[0], rtol=1e-9)
    # y' = y(t - 0.4) / 2 - y(t - 1) by hand: slope -1/2 until 0.4, then -1/2 - (t - 0.4) / 4, and so on
    assert float(plain.ys[0]) == pytest.approx(by_hand(1.5), abs=2e-3)


def by_hand(end, n=15000):
    """Solve the equation of two delays by Euler steps of a ten-thousandth."""
    h, path = end / n, np.ones(n + 1)
    for k in range(n):
        past = [path[k - round(d / h)] if k >= round(d / h) else 1.0 for d in (0.4, 1.0)]
        path[k + 1] = path[k] + h * (0.5 * past[0] - past[1])
    return path[-1]


def test_a_window_too_short_for_the_delay_says_so():
    with pytest.raises(RunError, match="a delay passed its static bound.*window"):
        solve_filter_dde(
            decay, 1.0, 0.0, 2.0, 1.0, num=1, rtol=None, dt0=0.1, window=5, covariance="isotropic"
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delays": -1.0}, "delays: must be finite and not negative"),
        ({"delays": np.ones((2, 2))}, "delays: must be a number or have shape"),
        ({"t1": -1.0}, "t1: must be after"),
        ({"save_at": [0.5, 0.2]}, "save_at: must increase within"),
        ({"window": 1}, "window: must be a whole number of at least 2"),
        ({"calibration": "dynamic"}, "calibration: must be one of"),
        ({"covariance": "diag"}, "covariance: must be one of"),
        ({"linearization": "ts2"}, "linearization: must be one of"),
        ({"kinks": -1}, "kinks: must be a whole number"),
        ({"f": lambda t, y, delayed, args: jnp.ones(3)}, "f: must have the structure and shapes"),
        ({"y0": np.ones(2)}, "y0: must have the structure and shapes"),
        ({"output_scale": -1.0}, "output_scale: must be positive"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(change, message):
    options = {"f": decay, "history": 1.0, "t0": 0.0, "t1": 1.0, "delays": 1.0} | change
    with pytest.raises(ArgumentError, match=f"solve_filter_dde.{message}|wiener_prior.{message}"):
        solve_filter_dde(**options)
