"""Rates, trajectories and constructors are those of brainmass."""

import inspect

import brainstate
import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param
from test_node_contract import DT, SHARED, SIZE, built, drives, numbers, shared_node, some_node, start

from brainmass_delays.nodes import NODES


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
