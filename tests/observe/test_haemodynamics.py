"""Balloon-Windkessel: rest, the linear response, and the published shapes of the named constants."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from brainmass_delays import ArgumentError, Param
from brainmass_delays.observe import Balloon, apply
from brainmass_delays.observe.hemodynamics import CONSTANTS, Haemodynamics, derivative, rest, signal

SHAPES = {  # peak (s), width at half the peak (s), undershoot / peak of the impulse response
    "friston2003": (3.10, 3.87, -0.143),
    "stephan2007": (3.25, 3.88, -0.143),
    "deco2014": (1.69, 1.98, -0.048),
    "heinzle2016_3T": (3.30, 3.88, -0.143),
}
DT = 10 * u.ms


def numbers(name):
    return {k: v.mantissa if isinstance(v, u.Quantity) else v for k, v in CONSTANTS[name].items()}


def jacobian(p):
    """Write out the derivatives at rest, of (s, f, v, q) and of the signal."""
    c = 1 + (1 - p["E0"]) * np.log(1 - p["E0"]) / p["E0"]
    a = 1 / p["alpha"]
    states = np.array(
        [
            [-p["kappa"], -p["gamma"], 0, 0],
            [1, 0, 0, 0],
            [0, 1 / p["tau"], -a / p["tau"], 0],
            [0, c / p["tau"], -(a - 1) / p["tau"], -1 / p["tau"]],
        ]
    )
    return states, p["V0"] * np.array([0, 0, p["k2"] - p["k3"], -(p["k1"] + p["k2"])])


def impulse_response(p, times):
    states, output = jacobian(p)
    return np.array([output @ expm(states * t) @ [1.0, 0, 0, 0] for t in times])


@pytest.mark.parametrize("name", CONSTANTS)
def test_rest_is_a_fixed_point(name):
    for change in derivative(rest(jnp.zeros(3)), jnp.zeros(3), numbers(name)):
        np.testing.assert_allclose(change, 0, atol=1e-12)
    assert float(signal(rest(jnp.zeros(())), numbers(name))) == 0


@pytest.mark.parametrize("name", CONSTANTS)
def test_derivatives_at_rest_are_those_of_the_published_equations(name):
    p = numbers(name)
    at_rest = rest(jnp.zeros(()))
    ours = jnp.stack([jnp.stack(row) for row in jax.jacfwd(derivative)(at_rest, 0.0, p)])
    states, output = jacobian(p)
    np.testing.assert_allclose(ours, states, atol=1e-12)  # d log f = d f at f = 1
    np.testing.assert_allclose(jnp.stack(jax.grad(signal)(at_rest, p)), output, atol=1e-12)


@pytest.mark.parametrize("name", CONSTANTS)
def test_linear_response_is_the_matrix_exponential(name):
    """A kick to s relaxes as exp(A t); 1 ms steps of order 2 leave less than 1e-6."""
    size, h = 1e-7, 1e-3
    monitor = Balloon(period=1 * u.second, constants=name)
    state = (
        monitor.init(jax.ShapeDtypeStruct((1,), float), h * u.second)[0],
        Haemodynamics(*[jnp.zeros(1)] * 4),
    )
    state = (state[0], state[1]._replace(s=jnp.full(1, size)))
    _, samples, _ = monitor.advance(state, jnp.zeros((15000, 1)), 0, h * u.second)
    expected = impulse_response(numbers(name), np.arange(1, 16))
    np.testing.assert_allclose(samples[:, 0] / size, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", CONSTANTS)
def test_shape_of_the_named_constants(name):
    times = np.arange(0, 25, 0.01)
    impulse = jnp.zeros((2500, 1)).at[0].set(1e-4)
    _, bold = apply(Balloon(period=DT, constants=name), impulse, DT)
    bold = np.asarray(bold[:, 0])
    peak = bold.argmax()
    above = times[bold > bold[peak] / 2]
    measured = (times[peak], above[-1] - above[0], bold[peak:].min() / bold[peak])
    np.testing.assert_allclose(measured, SHAPES[name], atol=0.02)


def test_small_inputs_add_up():
    x = jnp.zeros((800, 1)).at[:100].set(1e-6)
    once, twice = (apply(Balloon(period=0.5 * u.second), k * x, DT)[1] for k in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-4)


def test_steps_of_1_and_5_ms_agree():
    slow = np.abs(np.sin(np.arange(0, 12, 0.001)))[:, None]
    fine, coarse = (
        apply(Balloon(period=0.72 * u.second, step=step), slow, 1 * u.ms)[1] for step in (1 * u.ms, 5 * u.ms)
    )
    assert float(jnp.max(jnp.abs(fine - coarse))) < 1e-3 * float(jnp.max(jnp.abs(fine)))


def test_slow_values_are_held_over_several_steps():
    slow = np.abs(np.sin(np.arange(0, 12, 0.5)))[:, None]
    _, held = apply(Balloon(period=1 * u.second, step=5 * u.ms), slow, 500 * u.ms)
    _, fine = apply(Balloon(period=1 * u.second, step=5 * u.ms), np.repeat(slow, 100, axis=0), 5 * u.ms)
    np.testing.assert_allclose(held, fine, rtol=1e-12)


def test_gradient_reaches_the_parameters_of_every_region():
    x = jnp.abs(jnp.sin(jnp.arange(300) / 30))[:, None] * jnp.ones(2)

    @jax.jit
    def loss(kappa, efficacy):
        monitor = Balloon(period=1 * u.second, kappa=Param(kappa * u.Hz), efficacy=Param(efficacy))
        return jnp.sum(apply(monitor, x, DT)[1] ** 2) * 1e6

    point = (jnp.array([0.6, 0.7]), jnp.array(1.2))
    gradient = jax.grad(loss, (0, 1))(*point)
    step = 1e-5
    for leaf, index in ((0, 0), (0, 1), (1, ())):
        up, down = ([*point] for _ in range(2))
        up[leaf] = point[leaf].at[index].add(step)
        down[leaf] = point[leaf].at[index].add(-step)
        difference = (loss(*up) - loss(*down)) / (2 * step)
        np.testing.assert_allclose(gradient[leaf][index], difference, rtol=1e-6)
    _, tangent = jax.jvp(lambda k: loss(k, point[1]), (point[0],), (jnp.ones(2),))
    np.testing.assert_allclose(tangent, jnp.sum(gradient[0]), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Balloon(constants="friston"),
            r"Balloon.constants: must be one of .*Did you mean 'friston2003'",
        ),
        (lambda: Balloon(tau=0.0), r"Balloon.tau: must be positive; got 0.0"),
        (lambda: Balloon(kappa=1.5 * u.second), r"Balloon.kappa: must have the dimension of Hz; got s"),
        (lambda: Balloon(kappa=Param(0.65)), r"Balloon.kappa: needs a unit such as Hz"),
        (
            lambda: apply(Balloon(period=DT, tau=np.ones(3)), np.zeros((9, 2)), DT),
            r"Balloon.tau: must be a scalar or have shape \(2,\); got \(3,\)",
        ),
        (lambda: Balloon(period=0.72), r"Balloon.period: must be a time or None; got 0.72. Write 0.72 \* "),
        (lambda: Balloon("x", "friston2004"), r"Balloon.period: must be a time .*; got 'friston2004'\.$"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
