"""Functions and numbers of the wrong kind: one message each, with the cause that is at hand."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.integrate import (
    log_likelihood_series,
    log_likelihood_terminal,
    ornstein_uhlenbeck_prior,
    solve_dde,
    solve_filter,
    solve_filter_dde,
    solve_filter_on_grid,
    solve_ode,
    taylor_coefficients,
    wiener_prior,
)

GRID = np.linspace(0.0, 1.0, 3)


def plain(t, y, args):
    return -y


def delayed(t, y, past, args):
    return -past


@pytest.mark.parametrize("solve", [solve_dde, solve_filter_dde])
def test_a_right_side_is_refused_for_its_own_reason(solve):
    where = solve.__name__
    for f, cure in [
        (lambda t, y, a: y, "The delayed state comes between y and args"),
        (lambda t, y, d, s, a: y, "Neutral equations"),
    ]:
        with pytest.raises(
            ArgumentError, match=rf"{where}.f: must be a function of \(t, y, delayed, args\).*{cure}"
        ):
            solve(f, 1.0, 0.0, 1.0, 0.3)
    for f in (lambda t, y, d, a, *, k: y, lambda t: t):
        with pytest.raises(ArgumentError, match=f"{where}.f: must be a function of") as refused:
            solve(f, 1.0, 0.0, 1.0, 0.3)
        assert "Neutral" not in str(refused.value)


def test_functions_of_other_arguments_are_refused():
    wrong = lambda a, b, c, d, e, f: a  # noqa: E731
    at_half = np.array([0.5])
    cases = {
        r"solve_filter.f: must be a function of \(t, y, args\)": lambda: solve_filter(wrong, 1.0, 0.0, 1.0),
        r"solve_filter.f: must be a function of \(t, y, dy, args\)": lambda: solve_filter(
            plain, (1.0, 0.0), 0.0, 1.0, order=2
        ),
        r"solve_filter_on_grid.f: must be a function of \(t, y, args\)": lambda: solve_filter_on_grid(
            wrong, 1.0, GRID
        ),
        r"taylor_coefficients.f: must be a function of \(t, y, args\)": lambda: taylor_coefficients(
            wrong, 1.0, 0.0, num=2
        ),
        r"solve_dde.history: must be a function of \(t\)": lambda: solve_dde(delayed, wrong, 0.0, 1.0, 0.3),
        r"solve_filter_dde.history: must be a function of \(t\)": lambda: solve_filter_dde(
            delayed, wrong, 0.0, 1.0, 0.3
        ),
        r"solve_dde.coupled: must be a function of \(y\)": lambda: solve_dde(
            delayed, 1.0, 0.0, 1.0, 0.3, coupled=wrong
        ),
        r"solve_dde.switches: must be a function of \(t, y, delayed, args\)": lambda: solve_dde(
            delayed, 1.0, 0.0, 1.0, 0.3, switches=plain
        ),
        r"solve_ode.switches: must be a function of \(t, y, args\)": lambda: solve_ode(
            plain, 1.0, 0.0, 1.0, switches=[plain, delayed]
        ),
        r"solve_ode.impulses: must be a function of \(t, y, args\)": lambda: solve_ode(
            plain, 1.0, 0.0, 1.0, impulses=(at_half, delayed)
        ),
        r"solve_filter_dde.delays: must be constant.*solve_dde": lambda: solve_filter_dde(
            delayed, 1.0, 0.0, 1.0, lambda t, y, args: 0.3
        ),
        r"solve_filter.y0: must be a tuple of 2 states": lambda: solve_filter(
            delayed, 1.0, 0.0, 1.0, order=2
        ),
        r"solve_ode.event: must return a number or an array; got None": lambda: solve_ode(
            plain, 1.0, 0.0, 1.0, event=lambda t, y, args: None
        ),
    }
    for message, call in cases.items():
        with pytest.raises(ArgumentError, match=message):
            call()


def test_complex_numbers_are_not_cut_to_their_real_part():
    at_half = np.array([0.5])
    cases = {
        "solve_ode.f: must return real slopes, as y0 is real": lambda: solve_ode(
            lambda t, y, args: 1j * y, 1.0, 0.0, 1.0
        ),
        "solve_ode.impulses: must be real": lambda: solve_ode(
            plain, 1.0, 0.0, 1.0, impulses=(at_half, at_half * 1j)
        ),
        "solve_dde.history: must be real": lambda: solve_dde(
            delayed, lambda t: 1.0 + 1j * t, 0.0, 1.0, 0.3, y0=1.0
        ),
        "solve_filter.f: must be real": lambda: solve_filter(lambda t, y, args: 1j * y, 1.0, 0.0, 1.0),
        "solve_filter.y0: must be real": lambda: solve_filter(plain, 1.0 + 1j, 0.0, 1.0),
        "solve_filter.y0_std: must be real": lambda: solve_filter(plain, 1.0, 0.0, 1.0, y0_std=1j),
        "solve_filter_dde.history: must be real": lambda: solve_filter_dde(delayed, 1.0 + 0j, 0.0, 1.0, 0.3),
        "solve_filter_dde.delays: must be.*real": lambda: solve_filter_dde(delayed, 1.0, 0.0, 1.0, 1j),
        "ornstein_uhlenbeck_prior.rate: must be.*real": lambda: ornstein_uhlenbeck_prior([1.0, 0.0], rate=1j),
        "solve_filter.t1: must be.*real": lambda: solve_filter(plain, 1.0, 0.0, 1j),
    }
    for message, call in cases.items():
        with pytest.raises(ArgumentError, match=message):
            call()
    turn = solve_ode(lambda t, y, args: 1j * y, 1.0 + 0j, 0.0, np.pi, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(turn.ys, -1.0, atol=1e-7)


def test_times_of_filters_carry_one_unit_or_none():
    """A plain number beside a time in ms was read as ms."""
    ms, mV = u.ms, u.mV
    cases = {
        "solve_filter.t0: must have a unit of time": lambda: solve_filter(plain, 1.0, 0.0, 1.0 * ms),
        "solve_filter.t1: must have a unit of time": lambda: solve_filter(plain, 1.0, 0.0 * ms, 1.0),
        "solve_filter.save_at: must have a unit of time": lambda: solve_filter(
            plain, 1.0, 0.0 * ms, 1.0 * ms, save_at=GRID
        ),
        "solve_filter.dt0: must have the dimension of 1": lambda: solve_filter(
            plain, 1.0, 0.0, 1.0, dt0=1.0 * mV
        ),
        "solve_filter_dde.delays: must have a unit of time": lambda: solve_filter_dde(
            delayed, 1.0, 0.0 * ms, 1.0 * ms, 0.3
        ),
        "solve_filter.output_scale: must be plain numbers": lambda: solve_filter(
            plain, 1.0, 0.0, 1.0, output_scale=2.0 * mV
        ),
        "solve_filter_dde.output_scale: must be positive": lambda: solve_filter_dde(
            delayed, 1.0, 0.0, 1.0, 0.3, output_scale=-1.0
        ),
        "wiener_prior.output_scale: must be plain numbers": lambda: wiener_prior(
            [0.0, 0.0], output_scale=1.0 * mV
        ),
    }
    for message, call in cases.items():
        with pytest.raises(ArgumentError, match=message):
            call()
    seconds = solve_filter(
        lambda t, y, args: -y / ms, 1.0, 0.0 * u.second, 1e-3 * u.second, dt0=0.1 * ms, rtol=1e-6, atol=1e-6
    )
    assert abs(seconds.ys - np.exp(-1.0)) < 1e-5


def test_a_mapping_is_no_number():
    """It was unpacked where the state is one number."""
    for name in ("output_scale", "y0_std"):
        with pytest.raises(ArgumentError, match=f"solve_filter.{name}: must have the structure"):
            solve_filter(plain, 1.0, 0.0, 1.0, **{name: {"a": 1.0}})
    decay = lambda t, y, args: {"a": -y["a"]}  # noqa: E731
    named, number = (
        solve_filter(decay, {"a": 1.0}, 0.0, 1.0, num=1, output_scale=scale, y0_std=std)
        for scale, std in (({"a": 2.0}, {"a": 0.1}), (2.0, 0.1))
    )
    np.testing.assert_array_equal(named.std[0], number.std[0])


def test_a_batch_of_solves_is_evaluated_by_vmap():
    batch = jax.vmap(lambda y: solve_ode(plain, y, 0.0, 1.0, dense=True))(jnp.array([1.0, 2.0]))
    with pytest.raises(
        ArgumentError, match=r"Solution.evaluate: needs one solve; got a batch of shape \(2,\).*vmap"
    ):
        batch.evaluate(0.5)
    filtered = jax.vmap(lambda y: solve_filter_on_grid(plain, y, GRID, num=1))(jnp.array([1.0, 2.0]))
    for call in (
        lambda: filtered.at(jnp.array([0.3])),
        lambda: filtered.sample(jax.random.key(0), 3),
        lambda: log_likelihood_series(filtered, np.zeros(3), obs_std=0.1),
        lambda: log_likelihood_terminal(filtered, 0.0, obs_std=0.1),
    ):
        with pytest.raises(ArgumentError, match=r"needs one solution; got a batch of shape \(2,\).*jax.vmap"):
            call()
    np.testing.assert_allclose(
        jax.vmap(lambda s: s.evaluate(0.5))(batch), np.exp(-0.5) * np.array([1, 2]), rtol=1e-5
    )
