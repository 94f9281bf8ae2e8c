"""Stimuli: values against plain formulas, gradients against central differences, edges, mistakes."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError, Connectome, LinearStep, stimuli
from brainmass_delays._core.parameters import find_parameters

TIMES = np.linspace(-20.0, 80.0, 401)
ms, nA = u.ms, u.nA

# Builders from plain numbers, and the numbers: every one of them is trainable.
BUILT = {
    "Pulse": (lambda a, o, w, e: stimuli.Pulse(a * nA, o * ms, w * ms, e * ms), (1.5, 10.0, 12.0, 4.0)),
    "PulseTrain": (lambda a, o, w, p, e: stimuli.PulseTrain(a, o, w, p, 3, e), (1.5, 5.0, 6.0, 20.0, 4.0)),
    "endless train": (lambda a, o, w, p, e: stimuli.PulseTrain(a, o, w, p, None, e), (1.5, 5.0, 6.0, 20.0, 4.0)),
    "Sine": (lambda a, f, p: stimuli.Sine(a * u.mV, f * u.Hz, p), (2.0, 13.0, 0.3)),
    "Ramp": (lambda a, o, d: stimuli.Ramp(a, o, d), (3.0, 10.03, 30.0)),
    "Alpha": (lambda a, o, tau: stimuli.Alpha(a, o, tau), (2.0, 10.03, 5.0)),
    "Data": (lambda a, b, c: stimuli.Data(jnp.stack([a, b, c]) * nA, [0.0, 10.1, 35.2]), (0.0, 2.0, -1.0)),
    "BandNoise": (lambda s: stimuli.BandNoise(s, (1.0, 40.0), n_regions=2), (0.7,)),
    "Constant": (lambda a: stimuli.Constant(a * u.mV), (1.3,)),
    "Feedback": (
        lambda g, w: stimuli.Feedback(lambda t, x: -g * x * jnp.sin(w * t), lambda: jnp.array([1.0, 2.0])),
        (0.7, 0.3),
    ),
    "sum of products": (
        lambda a, o, f: stimuli.Pulse(a, o, 20.0, 5.0) * stimuli.Sine(1.0, f) + 0.5 * stimuli.Ramp(a, o, 9.0),
        (1.2, 10.0, 25.0),
    ),
    "site": (lambda a, s: stimuli.Pulse(a, 5.0, 20.0).at(jnp.array([0.0, 1.0, 2.0]) * s), (1.2, 0.4)),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILT)
def test_gradients_equal_central_differences(name):
    build, at = BUILT[name]
    times = TIMES + 0.013  # no sample on a kink

    @jax.jit
    def loss(*numbers):
        stimulus = build(*numbers)
        values = jax.vmap(lambda t: u.get_mantissa(stimulus(t)))(times)
        weights = jnp.cos(jnp.arange(values.size)).reshape(values.shape)
        return jnp.sum(weights * values) + jnp.sum(values**2)

    at = tuple(map(jnp.asarray, at))
    slopes = jax.grad(loss, tuple(range(len(at))))(*at)
    for i, slope in enumerate(slopes):
        ends = [loss(*(x + sign * 1e-5 * (i == j) for j, x in enumerate(at))) for sign in (1, -1)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-6, err_msg=f"{i}")


def test_every_stimulus_and_all_of_its_parameters_are_among_them():
    for name in set(stimuli.__all__) - {"Product", "Stimulus", "Sum", "site"}:
        build, at = BUILT[name]
        n_params = len(find_parameters(build(*at), fixed=True))
        assert name in ("Data", "Feedback") or n_params == len(at), (
            name
        )  # the values of one, the law of the other


def sampled(stimulus):
    return np.asarray(jax.vmap(lambda t: u.get_mantissa(stimulus(t)))(TIMES))


def test_a_jump_is_on_from_its_onset_and_off_at_its_end():
    found = sampled(stimuli.Pulse(2.0, 10 * ms, 0.005 * u.second))
    np.testing.assert_array_equal(found, np.where((TIMES >= 10) & (TIMES < 15), 2.0, 0.0))


def test_an_edge_does_not_change_the_area_and_reaches_the_full_height():
    t = np.linspace(0, 60, 60001)
    smooth = jax.vmap(stimuli.Pulse(2.0, 20.0, 12.0, 5.0))(t)
    np.testing.assert_allclose(np.trapezoid(smooth, t), 24.0, rtol=1e-9)
    assert float(smooth.max()) == 2.0 and float(smooth.min()) == 0.0


def test_a_train_is_the_sum_of_its_pulses():
    train = stimuli.PulseTrain(1.5, 5.0, 6.0, 20.0, 3, 4.0)
    pulses = sum((stimuli.Pulse(1.5, 5.0 + 20 * k, 6.0, 4.0) for k in range(3)), start=stimuli.Constant(0.0))
    np.testing.assert_allclose(sampled(train), sampled(pulses), atol=1e-12)
    endless = stimuli.PulseTrain(1.5, 5.0, 6.0, 20.0, edge=4.0)
    np.testing.assert_allclose(sampled(endless)[TIMES < 62], sampled(pulses)[TIMES < 62], atol=1e-12)


def test_a_train_without_pause_is_always_on():
    train = stimuli.PulseTrain(1.0, 0.0, 7.0, 10.0, edge=3.0)
    assert sampled(train)[TIMES > 2].max() == 1.0
    np.testing.assert_allclose(sampled(train)[TIMES > 2].mean(), 0.7, atol=0.02)


def test_data_interpolates_columns_and_holds_or_stops_outside():
    values = np.random.default_rng(1).normal(size=(5, 3))
    times = np.array([0.0, 1.0, 4.0, 10.0, 40.0])
    expected = np.stack([np.interp(TIMES, times, column) for column in values.T], 1)
    np.testing.assert_allclose(sampled(stimuli.Data(values, times * ms)), expected, rtol=1e-12)
    inside = ((TIMES >= 0) & (TIMES <= 40))[:, None]
    np.testing.assert_allclose(sampled(stimuli.Data(values, times, "zero")), expected * inside, rtol=1e-12)


def test_noise_has_its_deviation_and_its_band_and_its_seed():
    noise = stimuli.BandNoise(0.5, (5 * u.Hz, 20 * u.Hz), n_regions=3, seed=4)
    x = np.asarray(jax.vmap(noise)(np.arange(0, 20000.0)))
    np.testing.assert_allclose(x.std(0), 0.5, rtol=0.02)
    power = np.abs(np.fft.rfft(x, axis=0)) ** 2
    f = np.fft.rfftfreq(len(x), 1e-3)
    assert power[(f > 4.9) & (f < 20.1)].sum() / power.sum() > 0.99
    assert abs(np.corrcoef(x.T)[0, 1]) < 0.2
    again = stimuli.BandNoise(0.5, (5, 20), n_regions=3, seed=4)
    np.testing.assert_array_equal(again(12.0), noise(12.0))


def test_arithmetic():
    ramp = stimuli.Ramp(3.0, 0.0, 30.0)
    found = [
        f(10.0)
        for f in (ramp + 1, 1 + ramp, ramp - 0.5, 0.5 - ramp, -ramp, 2 * ramp, ramp * ramp, ramp - ramp)
    ]
    np.testing.assert_allclose(found, [2, 2, 0.5, -0.5, -1, 2, 1, 0])


def test_units_are_kept_and_checked():
    both = stimuli.Pulse(1.0 * nA, 0.0, 5.0) + stimuli.Sine(500.0 * u.pA, 1 * u.kHz)
    assert u.math.allclose(both(0.25 * ms), 1.5 * nA)
    with pytest.raises(ArgumentError, match="two stimuli with one unit; got nA and mV"):
        (stimuli.Constant(1.0 * nA) + stimuli.Constant(1.0 * u.mV))(0.0)


def test_site_and_its_weights_by_label():
    c = Connectome.synthetic(6)
    np.testing.assert_array_equal(stimuli.site(c, [c.labels[2], 5]), [0, 0, 1, 0, 0, 1])
    assert stimuli.Sine(1.0, 10.0).at(stimuli.site(c, [1]))(25.0).shape == (6,)


def test_a_site_by_index_is_that_region_whatever_its_label():
    c = Connectome(np.ones((3, 3)), np.ones((3, 3)), labels=["V1", "MT", "MT"])
    np.testing.assert_array_equal(stimuli.site(c, [2]), [0, 0, 1])
    with pytest.raises(ArgumentError, match="site.regions: must be labels of one region each"):
        stimuli.site(c, ["MT"])


def test_feedback_follows_the_state():
    node = LinearStep(2, gamma=0.0, init_x=1.0, method="euler")
    brainstate.nn.init_all_states(node)
    loop = stimuli.Feedback(lambda t, x: -0.5 * x, node.prefetch("x"))
    with brainstate.environ.context(dt=1.0 * ms):
        for _ in range(3):
            node.update(loop(0.0))
    np.testing.assert_allclose(node.x.value, 0.125)


def test_params_of_parts_are_found():
    onset, weights = Param(10.0 * ms, fit=True), Param(jnp.ones(3), fit=True)
    stimulus = (2 * stimuli.Pulse(1.0, onset, 20.0, edge=3.0)).at(weights)
    assert len(stimulus.states(brainstate.ParamState)) == 2


def test_onset_width_and_site_are_recovered_from_a_response():
    """Descend from a wrong guess: the response of a chain of leaky nodes to a pulse at one of them."""
    chain = -0.1 * jnp.eye(3) + jnp.diag(jnp.array([0.05, 0.05]), -1)

    def response(onset, width, weights):
        pulse = stimuli.Pulse(1.0, onset, width, edge=8.0).at(weights)

        def step(x, t):
            new = x + 1.0 * (chain @ x + pulse(t))
            return new, new

        return jax.lax.scan(step, jnp.zeros(3), jnp.arange(100.0))[1]

    target = response(30.0, 15.0, jnp.array([0.0, 1.0, 0.0]))

    @jax.jit
    def loss(p):
        return jnp.mean((response(p[0] * 10, p[1] * 10, p[2:]) - target) ** 2)

    p, m, v = jnp.array([2.2, 2.0, 0.5, 0.5, 0.5]), jnp.zeros(5), jnp.zeros(5)
    slope = jax.jit(jax.grad(loss))
    for i in range(1, 400):
        g = slope(p)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        p = p - 0.05 * 0.99**i * (m / (1 - 0.9**i)) / (jnp.sqrt(v / (1 - 0.99**i)) + 1e-9)
    np.testing.assert_allclose(p, [3.0, 1.5, 0.0, 1.0, 0.0], atol=0.02)


BAD = [
    (lambda: stimuli.Pulse(1.0, 5.0, -1.0), "Pulse.width: must be positive; got -1"),
    (lambda: stimuli.Pulse(1.0, 5.0 * u.mV, 1.0), "Pulse.onset: must have the dimension of ms"),
    (lambda: stimuli.Pulse(np.nan, 5.0, 1.0), "Pulse.amplitude: must be finite"),
    (lambda: stimuli.Pulse("high", 5.0, 1.0), "Pulse.amplitude: must be a number"),
    (lambda: stimuli.Pulse(1.0, 5.0, 2.0, edge=3.0), "Pulse.edge: must not be longer than the width"),
    (lambda: stimuli.Pulse(1.0, Param(5.0 * ms, fit=True), 2.0), "Pulse.onset: cannot be trained at a jump"),
    (
        lambda: stimuli.PulseTrain(1.0, 0.0, 5.0, 6.0, edge=2.0),
        "PulseTrain.period: must be at least the width",
    ),
    (lambda: stimuli.PulseTrain(1.0, 0.0, 5.0, 6.0, count=0), "PulseTrain.count: must be a whole number"),
    (lambda: stimuli.Sine(1.0, 5.0 * ms), "Sine.frequency: must have the dimension of Hz"),
    (lambda: stimuli.Ramp(1.0, 0.0, 0.0), "Ramp.duration: must be positive"),
    (lambda: stimuli.Alpha(1.0, 0.0, 0.0), "Alpha.tau: must be positive"),
    (lambda: stimuli.Data([1.0, 2.0], [1.0, 1.0]), "Data.times: must be at least two ascending times"),
    (
        lambda: stimuli.Data([1.0, 2.0], [1.0, 2.0], outside="nan"),
        "Data.outside: must be one of 'hold', 'zero'",
    ),
    (lambda: stimuli.BandNoise(1.0, (20.0, 5.0)), "BandNoise.band: must be two ascending"),
    (
        lambda: stimuli.Feedback(lambda t: t, lambda: 1.0),
        "Feedback.law: must be a function of the time and 1",
    ),
    (lambda: stimuli.Feedback(lambda t, x: None, lambda: 1.0)(0.0), "Feedback.law: must return a number"),
    (
        lambda: (stimuli.Constant([1.0, 2.0]) * stimuli.Constant([1.0, 2.0, 3.0]))(0.0),
        r"Product: must be of two stimuli with the same regions; got shapes \(2,\) and \(3,\)",
    ),
    (
        lambda: (stimuli.Constant(1.0 * nA) + stimuli.Constant(1.0 * u.mV))(0.0),
        "Sum: must be of two stimuli with one unit; got nA and mV",
    ),
    (lambda: stimuli.site(Connectome.synthetic(4), ["V1"]), "site.regions: must be one of 'L01'"),
    (
        lambda: stimuli.site(Connectome.synthetic(4), [0, 0]),
        "site.regions: must name at least one, each only once",
    ),
    (lambda: stimuli.site(Connectome.synthetic(4), [True]), r"Write numpy.flatnonzero\(mask\)"),
    (
        lambda: stimuli.site(Connectome.synthetic(4), [0, 1], np.ones(3)),
        "site.weight: must be one number or 2",
    ),
    (lambda: stimuli.Feedback(3.0), "Feedback.law: needs a law and at least one read"),
    (lambda: stimuli.Pulse(1.0, 5.0, 2.0)(3.0 * u.mV), "Pulse.t: must have the dimension of ms"),
]


@pytest.mark.parametrize("call, message", BAD)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
