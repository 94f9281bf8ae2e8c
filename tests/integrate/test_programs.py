"""Repeated eager solves compile nothing, and no change of what they read is missed."""

import functools

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import method_of_steps

from brainmass_delays.integrate import (
    programs,
    solve_dde,
    solve_filter,
    solve_filter_dde,
    solve_filter_on_grid,
    solve_ode,
)

BASE = 1.0


class Compilations:
    """Count the programs that XLA is asked for."""

    def __init__(self):
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self)

    def __call__(self, event, duration, **_):
        self.count += "backend_compile" in event

    def of(self, call):
        """Return what ``call`` returns, and how many programs it took."""
        before = self.count
        return call(), self.count - before


@pytest.fixture(scope="module")
def compilations():
    return Compilations()


def ode(rate=1.0, t1=2.0, rtol=1e-6, **options):
    return solve_ode(
        lambda t, y, args: -args * y, 1.0, 0.0, t1, args=jnp.asarray(rate), rtol=rtol, **options
    ).ys


def dde(delay=1.0, past=1.0, rtol=1e-6, **options):
    return solve_dde(lambda t, y, d, args: -d, past, 0.0, 2.0, delay, rtol=rtol, **options).ys


def test_new_values_of_the_numbers_compile_nothing(compilations):
    ode(), dde()
    for call, value in [
        (lambda: ode(2.0), np.exp(-4.0)), (lambda: ode(t1=1.0), np.exp(-1.0)), (lambda: ode(rtol=1e-7), np.exp(-2.0)),
        (lambda: dde(0.5), method_of_steps(2.0, 0.5)), (lambda: dde(past=2.0), -1.0), (lambda: dde(rtol=1e-7), -0.5),
    ]:  # fmt: skip
        call()  # conversions of a new number may compile once
        found, count = compilations.of(call)
        np.testing.assert_allclose(found, value, rtol=1e-4)
        assert count == 0


def test_gradients_compile_nothing_the_second_time(compilations):
    grad = jax.grad(lambda rate: ode(rate, while_loop="checkpointed", max_steps=64))
    grad(1.0), grad(1.5)
    found, count = compilations.of(lambda: grad(2.0))
    np.testing.assert_allclose(found, -2 * np.exp(-4.0), rtol=1e-4)
    assert count == 0


def slope_of_a_global(t, y, args):
    return 0.0 * y + BASE


class Model:
    """Hold a rate in an attribute and in a method."""

    def __init__(self, rate):
        self.rate = rate

    def slope(self, t, y, args):
        return 0.0 * y + self.rate


def test_changes_are_never_missed(monkeypatch):
    """Each change alters the end of y' = something on [0, 1] from 0 to 2."""

    def end(f, args=None):
        return round(float(solve_ode(f, 0.0, 0.0, 1.0, args=args).ys), 12)

    assert end(slope_of_a_global) == 1.0
    monkeypatch.setitem(globals(), "BASE", 2.0)
    assert end(slope_of_a_global) == 2.0

    model, other = Model(1.0), Model(2.0)
    assert [end(model.slope), end(other.slope)] == [1.0, 2.0]
    model.rate = 2.0
    assert end(model.slope) == 2.0
    monkeypatch.setattr(Model, "slope", lambda self, t, y, args: 0.0 * y + 3.0)
    assert end(model.slope) == 3.0

    array, table = np.array([1.0]), {"rate": 1.0}
    readers = [
        lambda t, y, args: 0.0 * y + array[0], lambda t, y, args: 0.0 * y + jnp.asarray(array).sum(),
        lambda t, y, args: 0.0 * y + table["rate"],
    ]  # fmt: skip
    assert [end(f) for f in readers] == [1.0, 1.0, 1.0]
    array[0] = table["rate"] = 2.0
    assert [end(f) for f in readers] == [2.0, 2.0, 2.0]

    for rate in (1.0, 2.0):
        assert end(lambda t, y, args: 0.0 * y + rate) == rate  # noqa: B023
        assert end(lambda t, y, args, rate=rate: 0.0 * y + rate) == rate
        assert end(functools.partial(lambda rate, t, y, args: 0.0 * y + rate, rate)) == rate
        assert end(lambda t, y, args: 0.0 * y + args["rate"], {"rate": rate}) == rate
    param = brainstate.nn.Param(1.0)
    assert end(lambda t, y, args: 0.0 * y + param.value()) == 1.0
    param.set_value(jnp.asarray(2.0))
    assert end(lambda t, y, args: 0.0 * y + param.value()) == 2.0


def test_settings_are_part_of_the_program():
    assert ode(method="heun21", rtol=1e-3) != ode(method="bosh3", rtol=1e-3)
    solution = solve_ode(lambda t, y, a: -y / (1.0 * u.ms), 1.0, 0.0 * u.ms, 2.0 * u.ms)
    assert solution.t == 2.0 * u.ms
    plain = solve_ode(lambda t, y, a: -y, 1.0, 0.0, 2.0)
    assert plain.t == 2.0


def rule(weight):
    """Return the identity with a derivative of its own."""

    @jax.custom_jvp
    def scaled(x):
        return 1.0 * x

    scaled.defjvp(lambda primals, tangents: (scaled(*primals), weight * tangents[0]))
    return scaled


def test_programs_that_differ_in_a_derivative_rule_alone_differ():
    def gradient(function):
        def end(rate):
            return solve_ode(
                lambda t, y, args: 0.0 * y + function(rate),
                0.0,
                0.0,
                1.0,
                while_loop="checkpointed",
                max_steps=16,
            ).ys

        return jax.grad(end)(1.0)

    np.testing.assert_allclose([gradient(rule(w)) for w in (1.0, 3.0)], [1.0, 3.0], rtol=1e-12)


def test_the_number_of_programs_is_bounded(monkeypatch):
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 3)
    for shift in range(5):
        programs.run_compiled(lambda x, shift=shift: x + float(shift), jnp.ones(2))
    assert len(programs._programs) == 3


def logistic(t, y, args):
    return 0.5 * y * (1 - y)


FILTERS = {
    "adaptive": lambda i: solve_filter(logistic, jnp.array([0.1 + i]), 0.0, 1.0 + i, num=1, rtol=1e-3 + i).ys,
    "on a grid": lambda i: solve_filter_on_grid(logistic, jnp.array([0.1 + i]), [0.0, 0.5, 1.0 + i], num=1).ys,
    "delays": lambda i: solve_filter_dde(
        lambda t, y, d, args: y * (1 - d), 0.5 + i, 0.0, 1.0, 0.7 + i, num=1, rtol=None, dt0=0.2, window=8,
        covariance="isotropic",
    ).ys,
    "gradient": lambda i: jax.grad(
        lambda y: solve_filter(logistic, y, 0.0, 1.0, num=1, while_loop="checkpointed", max_steps=16).ys[0]
    )(jnp.array([0.1 + i])),
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_filters_compile_nothing_the_second_time(compilations, name):
    call = FILTERS[name]
    call(0.0), call(0.01)
    first, count = compilations.of(lambda: call(0.02))
    assert count == 0
    assert not np.array_equal(first, call(0.03))
