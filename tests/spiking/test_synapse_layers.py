"""Every layer of delays: one contract, and independent sums for the sparse and the convolutional one."""

import brainstate
import brainunit as u
import delay_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError
from brainmass_delays.spiking import (
    LIF,
    AdaptiveLIF,
    ConvDelayLayer,
    DelayLayer,
    LeakyIntegrator,
    RecurrentLIF,
    SparseDelayLayer,
    SpikingClassifier,
    freeze_delays,
    random_connections,
    saturation,
)

BOUND = 6
EDGES = np.array([[0, 0], [0, 3], [2, 1], [2, 1], [2, 4]])  # target 1 hears nothing, (2, 1) is there twice


def axonal(rule, rng, **options):
    return DelayLayer(
        4, 3, max_delay=BOUND * u.ms, interpolation=rule, delay=rng.uniform(0, BOUND, 4) * u.ms, **options
    )


def dense(rule, rng, **options):
    return DelayLayer(
        4,
        3,
        max_delay=BOUND * u.ms,
        interpolation=rule,
        delay=rng.uniform(0, BOUND, (3, 4)) * u.ms,
        **options,
    )


def sparse(rule, rng, **options):
    return SparseDelayLayer(
        5,
        3,
        EDGES,
        max_delay=BOUND * u.ms,
        interpolation=rule,
        delay=rng.uniform(0, BOUND, 5) * u.ms,
        **options,
    )


def conv_1d(rule, rng, **options):
    delay = rng.uniform(0, BOUND, (2, 3, 2)) * u.ms
    return ConvDelayLayer((7, 2), 2, 3, max_delay=BOUND * u.ms, interpolation=rule, delay=delay, **options)


def conv_2d(rule, rng, **options):
    delay = rng.uniform(0, BOUND, (2, 3, 2, 2)) * u.ms
    return ConvDelayLayer(
        (5, 4, 2), 2, (3, 2), strides=(2, 1), padding="valid", max_delay=BOUND * u.ms, interpolation=rule, delay=delay,
        **options,
    )  # fmt: skip


MAKERS = {f.__name__: f for f in (axonal, dense, sparse, conv_1d, conv_2d)}
CASES = [(name, "round") for name in MAKERS] + [("sparse", "gaussian")]
CASES += [pytest.param(name, "linear", marks=pytest.mark.slow) for name in MAKERS]


def spikes(rng, layer, batch=2, time=9):
    return (rng.random((batch, time, *layer.shape_in)) < 0.3).astype(float)


@pytest.mark.parametrize("name, rule", CASES)
def test_steps_equal_the_sequence(rng, name, rule):
    layer = MAKERS[name](rule, rng)
    x = spikes(rng, layer)
    layer.init_state(2)
    steps = brainstate.transform.for_loop(layer.step, jnp.swapaxes(jnp.asarray(x), 0, 1))
    np.testing.assert_allclose(jnp.swapaxes(steps, 0, 1), layer(x), atol=1e-12)


@pytest.mark.parametrize("name", ["dense", "sparse", "conv_2d", "LIF", "AdaptiveLIF", "LeakyIntegrator"])
def test_pieces_continue_a_sequence(rng, name):
    """Steps in three pieces are the whole sequence; a batch of another size is refused, not broadcast."""
    neurons = {"LIF": LIF, "AdaptiveLIF": AdaptiveLIF, "LeakyIntegrator": LeakyIntegrator}
    layer = neurons[name](4, reset="subtract") if name.endswith("LIF") else None
    layer = layer or (neurons[name](4) if name in neurons else MAKERS[name]("round", rng))
    x = 1.5 * spikes(rng, layer) if name in MAKERS else rng.uniform(0, 1, (2, 9, 4))
    layer.init_state(2)
    pieces = [
        brainstate.transform.for_loop(layer.step, jnp.swapaxes(x[:, part], 0, 1))
        for part in (slice(0, 2), slice(2, 3), slice(3, 9))
    ]
    np.testing.assert_allclose(jnp.swapaxes(jnp.concatenate(pieces), 0, 1), layer(jnp.asarray(x)), atol=1e-12)
    with pytest.raises(ArgumentError, match="init_state"):
        layer.step(x[:1, 0])


@pytest.mark.parametrize("name", ["sparse", "conv_1d"])
def test_history_continues_sparse_and_convolutional_layers(rng, name):
    layer = MAKERS[name]("linear", rng)
    x = spikes(rng, layer, time=20)
    later = layer(x[:, 12:], history=x[:, 12 - BOUND : 12])
    np.testing.assert_allclose(later, layer(x)[:, 12:], atol=1e-12)


def test_layers_can_be_made_of_traced_delays_and_time_constants(rng):
    x = jnp.asarray(rng.normal(size=(1, 8, 2)))

    def loss(delay, tau):
        layer = DelayLayer(2, max_delay=5 * u.ms, interpolation="linear", delay=Param(delay * u.ms))
        return LeakyIntegrator(2, Param(tau * u.ms))(layer(x)).sum()

    point = jnp.array([1.2, 3.4]), jnp.array([5.0, 6.0])
    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    for i, slope in enumerate(both(*point)[1]):
        shift = [jnp.zeros(2), jnp.zeros(2)]
        shift[i] = 1e-6 * jnp.ones(2)
        up, down = (both(*(p + sign * d for p, d in zip(point, shift, strict=True)))[0] for sign in (1, -1))
        np.testing.assert_allclose(slope.sum(), (up - down) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["sparse", "conv_1d"])
def test_steps_without_a_batch(rng, name):
    layer = MAKERS[name]("round", rng)
    x = spikes(rng, layer, batch=1, time=BOUND + 1)
    layer.init_state()
    for spike in x[0]:
        last = layer.step(spike)
    np.testing.assert_allclose(last, layer(x)[0, -1], atol=1e-12)


@pytest.mark.parametrize(
    "name, rule",
    [
        ("sparse", "linear"),
        *(
            pytest.param(n, r, marks=pytest.mark.slow)
            for n, r in (("axonal", "linear"), ("conv_2d", "gaussian"))
        ),
    ],
)
def test_gradients_are_derivatives(rng, name, rule):
    layer = MAKERS[name](rule, rng)
    x = rng.normal(size=(2, 10, *layer.shape_in))
    g = rng.normal(size=layer(x).shape)
    states = {"delay": layer.delay.val, "weight": layer.weight.val}

    def loss():
        return (layer(x) * g).sum()

    grads = brainstate.transform.jit(brainstate.transform.grad(loss, states))()
    value = brainstate.transform.jit(loss)
    for key, state in states.items():
        start, slope = state.value, u.get_magnitude(grads[key])
        direction = rng.normal(size=slope.shape)
        found = []
        for h in (1e-6, -1e-6):
            moved = u.get_magnitude(start) + h * direction
            state.value = moved * u.ms if key == "delay" else moved
            found.append(value())
        state.value = start
        np.testing.assert_allclose((slope * direction).sum(), (found[0] - found[1]) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("rule", ["round", "gaussian"])
def test_sparse_equals_dense_with_zeros(rng, rule):
    layer = sparse(rule, rng)
    x, w = spikes(rng, layer), np.asarray(layer.weight.value())
    found = layer(x)
    width = {"width": layer.width.value} if layer.width is not None else {}
    total = 0.0
    for twice in (0, 1):  # the two synapses of (2, 1) need two dense layers
        rows = [i for i in range(5) if i != 3 - twice]
        delay, weight = np.zeros((3, 5)), np.zeros((3, 5))
        for i in rows if not twice else [3]:
            delay[tuple(EDGES[i])], weight[tuple(EDGES[i])] = layer.delay.value()[i] / u.ms, w[i]
        total += DelayLayer(
            5, 3, max_delay=BOUND * u.ms, interpolation=rule, delay=delay * u.ms, weight=weight, **width
        )(x)
    np.testing.assert_allclose(found, total, atol=1e-12)
    assert not found[..., 1].any()


def test_axonal_layer_equals_the_sum_over_synapses(rng):
    layer = axonal("round", rng)
    x, lag = spikes(rng, layer), np.tile(layer.lag(), (3, 1))
    expected = oracle.summed(x, np.asarray(layer.weight.value()), lag, "round", 0, 0, BOUND)
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)
    assert layer.is_axonal and not dense("round", rng).is_axonal


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolution_equals_the_explicit_sum(rng, padding):
    """Out (t, p, o) = sum over taps k and sources c of w[o, k, c] x[t - d[o, k, c], p stride + k - pad, c]."""
    delay, weight = rng.integers(0, BOUND + 1, (2, 3, 2)), rng.normal(size=(2, 3, 2))
    layer = ConvDelayLayer(
        (7, 2),
        2,
        3,
        strides=2,
        padding=padding,
        max_delay=BOUND * u.ms,
        delay=delay * 1.0 * u.ms,
        weight=weight,
    )
    x = spikes(rng, layer)
    pad = 1 if padding == "same" else 0
    wide = np.pad(x, ((0, 0), (0, 0), (pad, pad), (0, 0)))
    found = layer(x)
    assert found.shape[2:] == layer.shape_out == ((4, 2) if padding == "same" else (3, 2))
    expected = np.zeros(found.shape)
    for o, k, c in np.ndindex(2, 3, 2):
        late = oracle.shifted(wide[..., c], [delay[o, k, c]] * wide.shape[2])
        for p in range(found.shape[2]):
            expected[:, :, p, o] += weight[o, k, c] * late[:, :, 2 * p + k]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_convolution_in_mode_valid_is_the_end_of_mode_same(rng):
    layer = conv_1d("gaussian", rng)
    other = conv_1d("gaussian", rng, mode="valid")
    other.delay.set_value(layer.delay.value())
    other.weight.set_value(layer.weight.value())
    x = spikes(rng, layer, time=12)
    np.testing.assert_allclose(other(x), layer(x)[:, BOUND:], atol=1e-12)


@pytest.mark.parametrize(
    "kind, neurons",
    [("axonal", LIF), ("sparse", AdaptiveLIF)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in (("synapses", AdaptiveLIF), ("sparse", LIF))],
)
def test_recurrent_delays_of_every_form(rng, kind, neurons):
    """Step mode equals the sequence, and delays of one step and more get gradients."""
    n, bounds = 4, {"min_delay": 1 * u.ms, "max_delay": 5 * u.ms}
    if kind == "sparse":
        edges = random_connections(n, n, 0.5, seed=0)
        feedback = SparseDelayLayer(n, n, edges, delay=rng.uniform(1, 5, len(edges)) * u.ms, **bounds)
    else:
        shape = (n,) if kind == "axonal" else (n, n)
        feedback = DelayLayer(n, n, delay=rng.uniform(1, 5, shape) * u.ms, **bounds)
    layer = RecurrentLIF(neurons(n), feedback)
    x = jnp.asarray(rng.normal(size=(2, 15, n)) + 0.5)
    layer.init_state(2)
    steps = brainstate.transform.for_loop(layer.step, jnp.swapaxes(x, 0, 1))
    np.testing.assert_allclose(jnp.swapaxes(steps, 0, 1), layer(x), atol=1e-12)
    grads = brainstate.transform.grad(lambda: layer(x).sum(), {"delay": feedback.delay.val})()
    assert np.abs(u.get_magnitude(grads["delay"])).max() > 0


def test_a_sequence_leaves_the_state_of_step_mode_alone(rng):
    feedback = DelayLayer(2, 2, min_delay=1 * u.ms, max_delay=3 * u.ms, delay=jnp.ones(2) * u.ms)
    layer = RecurrentLIF(LIF(2), feedback)
    layer.init_state()
    layer.step(jnp.array([2.0, 0.0]))
    before = np.asarray(layer.neurons.state.value)
    layer(jnp.ones((3, 8, 2)))
    np.testing.assert_array_equal(layer.neurons.state.value, before)


def test_all_layers_are_frozen_and_counted(rng):
    module = brainstate.nn.Sequential(
        sparse("gaussian", rng), DelayLayer(3, max_delay=9 * u.ms, delay=4.5 * u.ms)
    )
    assert saturation(module).n_delays == 6
    with freeze_delays(module) as frozen:
        assert all(np.issubdtype(s.dtype, np.integer) for s in frozen.steps.values())
        assert module.layers[0].width.value == 0 * u.ms


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SparseDelayLayer(2, 2, [[0, 2]], max_delay=3 * u.ms), "SparseDelayLayer.connections: must name targets below 2 and sources below 2; got"),
        (lambda: SparseDelayLayer(2, 2, [[0.5, 1]], max_delay=3 * u.ms), "SparseDelayLayer.connections: must hold whole numbers"),
        (lambda: SparseDelayLayer(2, 2, np.zeros((0, 2), int), max_delay=3 * u.ms), "SparseDelayLayer.connections: must hold rows"),
        (lambda: SparseDelayLayer(2, 2, [[0, 1]], max_delay=3 * u.ms, delay=np.ones(2) * u.ms), "SparseDelayLayer.delay: must broadcast to the shape"),
        (lambda: ConvDelayLayer((5,), 2, 3, max_delay=3 * u.ms), "ConvDelayLayer.shape_in: must be"),
        (lambda: ConvDelayLayer((5, 5, 1), 2, (3, 3, 3), max_delay=3 * u.ms), "ConvDelayLayer.kernel_size: must hold 2 numbers"),
        (lambda: ConvDelayLayer((5, 1), 2, 7, padding="valid", max_delay=3 * u.ms), "ConvDelayLayer.kernel_size: must fit into"),
        (lambda: ConvDelayLayer((5, 1), 2, 3, max_delay=3 * u.ms)(jnp.zeros((1, 4, 5))), "ConvDelayLayer.spikes: must have the shape .batch, time, channel. with 5 x 1 channels"),
        (lambda: ConvDelayLayer((5, 1), 2, 3, max_delay=3 * u.ms, delay=Param(4 * u.ms)), "ConvDelayLayer.delay: must lie between"),
        (lambda: random_connections(3, 3, 0.0, 0), "random_connections.share: must lie above 0"),
        (lambda: LIF(2, reset="soft"), "LIF.reset: must be one of 'zero', 'subtract'"),
        (lambda: AdaptiveLIF(2, strength=-1.0), "AdaptiveLIF.strength: must not be negative"),
        (lambda: AdaptiveLIF(2, tau_adaptation=5.0), "AdaptiveLIF.tau_adaptation: needs a unit"),
        (lambda: AdaptiveLIF(2, strength=np.ones(3)), r"AdaptiveLIF.strength: must broadcast to the shape \(2,\); got \(3,\)"),
        (lambda: LIF(2, tau=np.ones(3) * u.ms), r"LIF.tau: must broadcast to the shape \(2,\); got \(3,\)"),
        (lambda: LIF(2, threshold=np.ones(2)), "LIF.threshold: must be one number"),
        (lambda: RecurrentLIF(LeakyIntegrator(2), DelayLayer(2, 2, min_delay=1 * u.ms, max_delay=3 * u.ms)), "RecurrentLIF.neurons: must be neurons that spike, LIF or AdaptiveLIF; got LeakyIntegrator"),
        (lambda: RecurrentLIF(LIF(2), SparseDelayLayer(2, 2, [[0, 1]], max_delay=3 * u.ms)), "RecurrentLIF.feedback: must take at least one step; got min_delay = 0 ms. Give SparseDelayLayer min_delay=dt"),
        (lambda: SpikingClassifier(DelayLayer(2, max_delay=3 * u.ms), 0), "SpikingClassifier.n_hidden: must be a whole number of at least 1"),
    ],
)  # fmt: skip
def test_bad_layers_name_themselves(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def neuron_oracle(currents, decay, reset, rho=0.0, strength=0.0):
    """Run one neuron as written in the docstrings."""
    v = s = a = 0.0
    out = []
    for current in currents:
        theta = 1.0 + strength * a
        v = decay * (v * (1 - s) if reset == "zero" else v - theta * s) + current
        a = rho * a + s
        s = float(v >= 1.0 + strength * a)
        out.append(s)
    return out


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_neurons_follow_their_equations(rng, reset, strength):
    currents = rng.uniform(0, 1.2, 60)
    options = {"tau_adaptation": 20 * u.ms, "strength": strength}
    neurons = AdaptiveLIF(1, 7 * u.ms, reset=reset, **options) if strength else LIF(1, 7 * u.ms, reset=reset)
    found = neurons(jnp.asarray(currents)[None, :, None])[0, :, 0]
    expected = neuron_oracle(currents, np.exp(-1 / 7), reset, np.exp(-1 / 20), strength)
    np.testing.assert_array_equal(found, expected)
    assert 5 < sum(expected) < 55


def test_adaptation_trains():
    neurons = AdaptiveLIF(2, strength=Param(jnp.full(2, 0.2)), tau_adaptation=Param(jnp.full(2, 30.0) * u.ms))
    x = jnp.full((1, 40, 2), 0.6)
    states = {"strength": neurons.strength.val, "tau": neurons.tau_adaptation.val}
    grads = brainstate.transform.grad(lambda: neurons(x).sum(), states)()
    assert (u.get_magnitude(grads["strength"]) < 0).all()  # a stronger adaptation means fewer spikes
    assert (u.get_magnitude(grads["tau"]) < 0).all()
