"""One contract for every node model: constructor, shapes, rates, steps, gradients, brainmass."""

import inspect

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import node_oracle
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays.integrate.steps import STEPS, per_ms
from brainmass_delays.nodes import NODES

every_node = pytest.mark.parametrize("name", NODES)
# StuartLandauStep has other units than brainmass, and says so.
SHARED = """LinearStep HopfStep Generic2dOscillatorStep KuramotoStep FitzHughNagumoStep WilsonCowanStep JansenRitStep
MontbrioPazoRoxinStep CoombesByrneStep WongWangExcInhStep EpileptorStep LarterBreakspearStep"""
# What holds for the base class is tested on a plain, a forced and a unitful model.
some_node = pytest.mark.parametrize("name", ["HopfStep", "Generic2dOscillatorStep", "JansenRitStep"])
shared_node = pytest.mark.parametrize("name", SHARED.split())
KEYWORDS = {"ALNStep": ("table",)}  # what a constructor takes beside what is declared
DT = 0.05
SIZE = 3


def start(model, shape=(SIZE,)):
    """Return initial values, one plain array per state, away from fixed points."""
    rng = np.random.default_rng(2)
    return [np.abs(rng.normal(0.3, 0.1, shape)) for _ in model.STATES]


def drives(model, shape=(SIZE,)):
    """Return one plain input per declared input."""
    rng = np.random.default_rng(4)
    return tuple(jnp.asarray(rng.normal(0.2, 0.1, shape)) for _ in model.INPUTS)


def built(name, method="heun", **params):
    """Return an initialized model."""
    model = NODES[name]
    initial = {s.argument: jnp.asarray(x) for s, x in zip(model.STATES, start(model), strict=True)}
    node = model(SIZE, method=method, **initial, **params)
    brainstate.nn.init_all_states(node)
    return node


def numbers(node):
    """Return the states as plain arrays in their units."""
    return [np.asarray(u.get_mantissa(getattr(node, s).value)) for s in node.STATE_NAMES]


def plain_defaults(name):
    """Return the default parameters as plain numbers, under the oracle's argument names."""
    defaults = {p.name: float(u.get_mantissa(p.default)) for p in NODES[name].PARAMETERS}
    if "d" in defaults:
        defaults["d_"] = defaults.pop("d")
    return defaults


def oracle_rates(name, states, inputs, params=None):
    return getattr(node_oracle, name)(states, inputs, **(plain_defaults(name) if params is None else params))


@every_node
def test_signature_is_the_declaration(name):
    model = NODES[name]
    arguments = inspect.signature(model).parameters
    expected = ["in_size", *(p.name for p in model.PARAMETERS), *(s.argument for s in model.STATES)]
    expected += [*(i.noise for i in model.INPUTS if i.noise), "method", *KEYWORDS.get(name, ())]
    assert list(arguments) == expected
    assert all(f"\n{argument} : " in model.__doc__ for argument in expected)


@shared_node
def test_names_and_defaults_are_those_of_brainmass(name):
    brainmass = pytest.importorskip("brainmass")
    theirs = inspect.signature(getattr(brainmass, name, brainmass.KuramotoNetwork).__init__).parameters
    ours = inspect.signature(NODES[name]).parameters
    for p in NODES[name].PARAMETERS:
        assert u.math.allclose(theirs[p.name].default, p.default), p.name
    if name != "KuramotoStep":
        assert set(theirs) - {"self", "fr_scale"} <= set(ours)
        positional = [n for n in theirs if n in {p.name for p in NODES[name].PARAMETERS}]
        assert positional == [p.name for p in NODES[name].PARAMETERS]


@every_node
def test_states_have_the_batch_axis_and_their_unit(name):
    node, shape = NODES[name]((2, 3)), (4, 2, 3)
    brainstate.nn.init_all_states(node, batch_size=4)
    for s in node.STATES:
        value = getattr(node, s.name).value
        assert value.shape == shape
        assert u.get_unit(value) == s.unit
    with brainstate.environ.context(dt=DT * u.ms):
        node.update()
    assert all(getattr(node, s).value.shape == shape for s in node.STATE_NAMES)


@some_node
@pytest.mark.parametrize("batch, shape", [(None, (2, 3)), (1, (1, 2, 3))])
def test_no_batch_and_a_batch_of_one_differ_in_shape(name, batch, shape):
    node = NODES[name]((2, 3))
    brainstate.nn.init_all_states(node, batch_size=batch)
    assert all(getattr(node, s).value.shape == shape for s in node.STATE_NAMES)


@every_node
def test_a_batch_equals_a_loop(name):
    model = NODES[name]
    batch = [jnp.asarray(x) for x in start(model, (2, SIZE))]
    node = model(SIZE, **{s.argument: x for s, x in zip(model.STATES, batch, strict=True)})
    singles = []
    with brainstate.environ.context(dt=DT * u.ms):
        brainstate.nn.init_all_states(node, batch_size=2)
        node.update()
        for i in range(2):
            single = model(SIZE, **{s.argument: x[i] for s, x in zip(model.STATES, batch, strict=True)})
            brainstate.nn.init_all_states(single)
            single.update()
            singles.append(numbers(single))
    for both, first, second in zip(numbers(node), *singles, strict=True):
        np.testing.assert_allclose(both, np.stack([first, second]), rtol=1e-13)


@every_node
def test_rates_are_those_of_the_equations_and_are_kept(name):
    node = built(name)
    states, inputs = numbers(node), drives(NODES[name])
    with brainstate.environ.context(dt=DT * u.ms):
        node.update(*inputs)
    expected = oracle_rates(name, states, [np.asarray(d) for d in inputs])
    for s, rate in zip(node.STATES, expected, strict=True):
        slope = node.slopes[s.name]
        assert slope.shape == (SIZE,)
        np.testing.assert_allclose(slope.to_decimal(s.unit / u.ms), rate, rtol=1e-12, err_msg=s.name)


@some_node
@pytest.mark.parametrize("method", STEPS)
def test_three_steps_equal_a_loop_in_numpy(name, method):
    node = built(name, method)
    inputs = [np.asarray(d) for d in drives(NODES[name])]
    expected = [x.copy() for x in numbers(node)]
    with brainstate.environ.context(dt=DT * u.ms):
        for _ in range(3):
            node.update(*inputs)
            expected = numpy_step(method, lambda s: oracle_rates(name, s, inputs), expected)
    for found, x in zip(numbers(node), expected, strict=True):
        np.testing.assert_allclose(found, x, rtol=1e-6 if method == "exp_euler" else 1e-12)


def numpy_step(method, f, x, h=DT):
    """Advance by one step, from the textbook."""

    def move(k, c):
        return [xi + c * ki for xi, ki in zip(x, k, strict=True)]

    k1 = f(x)
    if method == "euler":
        return move(k1, h)
    if method == "heun":
        k2 = f(move(k1, h))
        return [xi + h / 2 * (a + b) for xi, a, b in zip(x, k1, k2, strict=True)]
    if method == "rk4":
        k2 = f(move(k1, h / 2))
        k3 = f(move(k2, h / 2))
        k4 = f(move(k3, h))
        return [
            xi + h / 6 * (a + 2 * b + 2 * c + d) for xi, a, b, c, d in zip(x, k1, k2, k3, k4, strict=True)
        ]
    new = []
    for i, xi in enumerate(x):
        eps = 1e-6 * np.maximum(1.0, np.abs(xi))
        ends = [f([xj + sign * eps * (i == j) for j, xj in enumerate(x)])[i] for sign in (1, -1)]
        z = h * (ends[0] - ends[1]) / (2 * eps)
        phi = np.where(np.abs(z) > 1e-8, np.expm1(z) / np.where(z == 0, 1, z), 1.0)
        new.append(xi + h * phi * k1[i])
    return new


@every_node
def test_gradient_of_every_parameter_equals_central_differences(name):
    model = NODES[name]
    inputs, state = drives(model), start(model)
    params = {p.name: float(u.get_mantissa(p.default)) for p in model.PARAMETERS}

    def rates(values):
        """Return all rates as numbers, shape (states, SIZE)."""
        node = model(SIZE, **{p.name: values[p.name] * u.get_unit(p.default) for p in model.PARAMETERS})
        entries = zip(model.STATES, state, strict=True)
        quantities = tuple(x if s.unit.is_unitless else x * s.unit for s, x in entries)
        found = node.derivative(quantities, 0.0 * u.ms, node.step_inputs(inputs))
        return jnp.stack(
            [per_ms(r, s.unit) * jnp.ones(SIZE) for s, r in zip(model.STATES, found, strict=True)]
        )

    weight = jnp.asarray(np.random.default_rng(3).normal(size=(len(state), SIZE))) / (1 + abs(rates(params)))

    @jax.jit
    def loss(values):
        return jnp.sum(weight * rates(values))

    slopes = jax.jit(jax.grad(loss))(params)
    steps = np.array([1e-5 * max(1.0, abs(value)) for value in params.values()])
    moves = np.concatenate([np.diag(steps), -np.diag(steps)])
    ends = jax.vmap(loss)({key: value + moves[:, i] for i, (key, value) in enumerate(params.items())})
    expected = (ends[: len(steps)] - ends[len(steps) :]) / (2 * steps)
    for i, key in enumerate(params):
        np.testing.assert_allclose(slopes[key], expected[i], rtol=1e-6, atol=1e-8, err_msg=key)


# States, by name, where a formula would be 0/0, a branch ends or a table does; others are 0.
GUARDS = {
    "ReducedWongWangStep": [{"S": (0.108 / 0.27 - 0.33) / (0.6 * 0.2609)}],
    "WongWangExcInhStep": [{"S_e": (125 / 310 - 0.382) / (1.4 * 0.15)}, {"S_i": 0.7 * 0.382 - 177 / 615}],
    "EpileptorStep": [{"x2": -0.25}, {"z": 4.0, "x1": 0.0}],
    "Epileptor2DStep": [{"z": 4.0}],
    "ThalamusStep": [{"Ca": -1e-6}, {"V_t": -60.0, "V_r": -60.0}],
    "ZerlautStep": [{"E": 0.01, "I": 0.01}],
    "ALNStep": [{"mufe": 99.0, "mufi": -99.0, "sigmae": 99.0}, {"seev": -1.0, "siev": -1.0}],
}


@every_node
def test_rates_and_gradients_are_finite_at_every_guard(name):
    model = NODES[name]
    params = {p.name: float(u.get_mantissa(p.default)) for p in model.PARAMETERS}

    def rates(values, state):
        node = model(1, **{p.name: values[p.name] * u.get_unit(p.default) for p in model.PARAMETERS})
        entries = zip(model.STATES, state, strict=True)
        given = tuple(x if s.unit.is_unitless else x * s.unit for s, x in entries)
        found = node.derivative(given, 0.0 * u.ms, node.step_inputs(()))
        return jnp.stack([per_ms(r, s.unit) * jnp.ones(1) for r, s in zip(found, model.STATES, strict=True)])

    both = jax.jit(lambda *at: (rates(*at), jax.jacrev(rates, (0, 1))(*at)))
    for guard in [{}, *GUARDS.get(name, [])]:
        assert set(guard) <= set(model.STATE_NAMES)
        state = jnp.array([[guard.get(s.name, 0.0)] for s in model.STATES])
        for leaf in jax.tree.leaves(both(params, state)):
            assert np.all(np.isfinite(leaf)), guard


@some_node
def test_gradient_of_a_step_equals_central_differences(name):
    """A step with stages, in a parameter and in the initial values alike."""
    model = NODES[name]
    first = model.PARAMETERS[0]

    @jax.jit
    def loss(value, initial):
        node = built(name, "rk4", **{first.name: value * u.get_unit(first.default)})
        brainstate.nn.init_all_states(node)
        node.state = getattr(node, node.STATE_NAMES[0])
        node.state.value = node.state.value + initial * u.get_unit(node.state.value)
        with brainstate.environ.context(dt=DT * u.ms):
            for _ in range(2):
                node.update(*drives(model))
        return sum(jnp.sum(jnp.sin(u.get_mantissa(getattr(node, s).value))) for s in node.STATE_NAMES)

    at = float(u.get_mantissa(first.default)), 0.0
    for i, slope in enumerate(jax.grad(loss, (0, 1))(*at)):
        ends = [float(loss(*(x + step * (i == j) for j, x in enumerate(at)))) for step in (1e-5, -1e-5)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


@some_node
def test_every_parameter_trains_scalar_and_per_region(name):
    model = NODES[name]
    for shape in ((), (SIZE,)):
        params = {p.name: Param(p.default * jnp.ones(shape), fit=True) for p in model.PARAMETERS}
        node = built(name, **params)
        states = node.states(brainstate.ParamState)
        assert len(states) == len(params)

        def loss(node=node):
            with brainstate.environ.context(dt=DT * u.ms):
                node.update(*drives(type(node)))
            return sum(jnp.sum(u.get_mantissa(getattr(node, s).value)) for s in node.STATE_NAMES)

        slopes = brainstate.transform.grad(loss, states)()
        assert all(np.all(np.isfinite(u.get_mantissa(s))) for s in slopes.values())
        assert sum(np.any(u.get_mantissa(s) != 0) for s in slopes.values()) > len(params) / 2


@shared_node
def test_rates_are_those_of_brainmass(name):
    brainmass = pytest.importorskip("brainmass")
    node = built(name)
    state = tuple(getattr(node, s).value for s in node.STATE_NAMES)
    inputs = node.step_inputs(drives(NODES[name]))
    if name == "KuramotoStep":
        theirs = (brainmass.KuramotoNetwork(SIZE).dtheta(*state, *inputs),)
    else:
        derivative = getattr(brainmass, name)(SIZE).derivative
        taken = len(inspect.signature(derivative).parameters) - 2
        inputs = (*inputs[:taken], *[0.0 * i for i in inputs[taken:]])
        theirs = derivative(state, 0.0 * u.ms, *inputs[:taken])
    with brainstate.environ.context(dt=DT * u.ms):
        node.update(*inputs)
    for s, rate in zip(node.STATES, theirs, strict=True):
        np.testing.assert_allclose(
            node.slopes[s.name].to_decimal(s.unit / u.ms),
            rate.to_decimal(s.unit / u.ms),
            rtol=1e-12,
            err_msg=s.name,
        )


@some_node
def test_a_trained_initial_value_receives_its_gradient(name):
    model = NODES[name]
    first = model.STATES[0]
    node = model(SIZE, **{first.argument: Param(0.3 * jnp.ones(SIZE) * first.unit, fit=True)})

    def loss():
        brainstate.nn.init_all_states(node)
        with brainstate.environ.context(dt=DT * u.ms):
            node.update()
        return jnp.sum(u.get_mantissa(getattr(node, first.name).value))

    (slope,) = brainstate.transform.grad(loss, node.states(brainstate.ParamState))().values()
    assert np.all(u.get_mantissa(slope) > 0.5)


def with_methods():
    """Pair every shared node with all methods of brainmass, of which one, in turn, is quick."""
    for i, name in enumerate(SHARED.split()):
        for j, method in enumerate(["exp_euler", "rk2", "rk4"]):
            yield pytest.param(name, method, marks=[] if j == i % 3 else [pytest.mark.slow])


@pytest.mark.parametrize("name, method", list(with_methods()))
def test_trajectories_are_those_of_brainmass_with_inputs_by_name(name, method):
    brainmass = pytest.importorskip("brainmass")
    if name == "KuramotoStep":
        pytest.skip("brainmass has a network of phases, no node")
    peer, model = getattr(brainmass, name), NODES[name]
    names = [n for n in inspect.signature(peer.update).parameters if n in {i.name for i in model.INPUTS}]
    units = {i.name: i.unit for i in model.INPUTS}
    given = {n: jnp.full(SIZE, 0.1 + 0.05 * k) * units[n] for k, n in enumerate(names)}
    initial = {s.argument: x for s, x in zip(model.STATES, start(model), strict=True)}
    found = []
    for kind in (peer, model):
        values = {
            k: braintools.init.Constant(0.3 * s.unit) for k, s in zip(initial, model.STATES, strict=True)
        }
        node = kind(SIZE, method=method, **values)
        brainstate.nn.init_all_states(node)
        with brainstate.environ.context(dt=DT * u.ms, t=0.0 * u.ms):
            for _ in range(5):
                node.update(**given)
        found.append(
            numbers(node)
            if kind is model
            else [u.get_magnitude(getattr(node, s).value) for s in model.STATE_NAMES]
        )
    for s, theirs, ours in zip(model.STATE_NAMES, *found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, err_msg=s)


@shared_node
def test_parameters_by_position_and_the_default_method_are_those_of_brainmass(name):
    """Other values than the defaults, in the order of brainmass."""
    brainmass = pytest.importorskip("brainmass")
    model = NODES[name]
    if name == "KuramotoStep":
        pytest.skip("brainmass has a network of phases, no node")
    # theirs is ours at tau = 1 ms only, where the model of Montbrio et al. is concerned
    values = [p.default * (1.0 if p.name == "tau" else 1.05) for p in model.PARAMETERS]
    initial = {s.argument: braintools.init.Constant(0.3 * s.unit) for s in model.STATES}
    found = []
    for kind in (getattr(brainmass, name), model):
        node = kind(SIZE, *values, method="exp_euler", **initial)
        brainstate.nn.init_all_states(node)
        with brainstate.environ.context(dt=DT * u.ms, t=0.0 * u.ms):
            for _ in range(5):
                node.update()
        found.append([np.asarray(u.get_magnitude(getattr(node, s).value)) for s in model.STATE_NAMES])
    for s, theirs, ours in zip(model.STATE_NAMES, *found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, err_msg=s)
