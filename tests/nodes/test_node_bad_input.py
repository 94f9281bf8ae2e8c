"""Mistakes in node models, each named on the line where it is made."""

import brainstate
import brainunit as u
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError
from brainmass_delays.nodes import FitzHughNagumoStep, HopfStep, JansenRitStep


def updated(*inputs, dt=0.1 * u.ms, **arguments):
    """Return one update of a node."""
    node = HopfStep(2, **arguments)
    brainstate.nn.init_all_states(node)
    with brainstate.environ.context(**({} if dt is None else {"dt": dt})):
        return node.update(*inputs)


def initialized(**arguments):
    """Return a node with its states."""
    brainstate.nn.init_all_states(HopfStep(2, **arguments))


BAD = [
    (
        "unknown name",
        lambda: HopfStep(2, bta=1.0),
        "HopfStep.bta: is no argument of this model. Did you mean 'beta'",
    ),
    ("too many", lambda: HopfStep(2, 1, 2, 3, 4), "HopfStep: too many positional arguments"),
    ("no size", lambda: HopfStep(), "HopfStep: missing a required argument: 'in_size'"),
    ("negative size", lambda: HopfStep(-3), "HopfStep.in_size: must be a whole number of at least 1; got -3"),
    ("size is no int", lambda: HopfStep(2.5), "HopfStep.in_size: must be an int or a tuple of int; got 2.5"),
    (
        "method",
        lambda: HopfStep(2, method="rk5"),
        "HopfStep.method: must be one of .*; got 'rk5'. Did you mean 'rk4'",
    ),
    (
        "shape",
        lambda: HopfStep(2, a=np.ones(3)),
        r"HopfStep.a: must be a scalar or have shape \(2,\); got \(3,\)",
    ),
    (
        "not finite",
        lambda: HopfStep(2, w=np.array([0.1, np.nan])),
        r"HopfStep.w: must be finite; got nan at \(1,\)",
    ),
    ("text", lambda: HopfStep(2, a="large"), "HopfStep.a: must be a number, an array, a Quantity, a Param"),
    ("no value", lambda: HopfStep(2, a=None), "HopfStep.a: must be a number"),
    ("wrong dimension", lambda: HopfStep(2, w=3.0 * u.mV), "HopfStep.w: must have the dimension of"),
    (
        "time constant",
        lambda: FitzHughNagumoStep(2, tau=-1.0 * u.ms),
        "FitzHughNagumoStep.tau: must be positive; got -1",
    ),
    (
        "Param lacks its unit",
        lambda: FitzHughNagumoStep(2, tau=Param(20.0, fit=True)),
        "FitzHughNagumoStep.tau: needs a unit such as ms",
    ),
    (
        "Param has a unit",
        lambda: HopfStep(2, w=Param(30.0 * u.Hz, fit=True)),
        "HopfStep.w: must be a Param of a plain",
    ),
    (
        "noise",
        lambda: HopfStep(2, noise_x=0.1),
        "HopfStep.noise_x: must be a noise module; got 0.1. Use WhiteNoise",
    ),
    (
        "initial dimension",
        lambda: JansenRitStep(2, M_init=1.0 * u.Hz),
        "JansenRitStep.M_init: must have the dimension",
    ),
    ("initial NaN", lambda: HopfStep(2, init_x=np.nan), "HopfStep.init_x: must be finite"),
    ("initial shape", lambda: initialized(init_x=np.ones(3)), r"HopfStep.init_x: must have shape \(2,\)"),
    ("no dt", lambda: updated(dt=None), "HopfStep.update.dt: must be known; got None. Run"),
    ("dt is a length", lambda: updated(dt=0.1 * u.mm), "dt: must have the dimension of ms"),
    (
        "too many inputs",
        lambda: updated(1.0, 2.0, 3.0),
        r"HopfStep.update: takes at most 2 inputs \(x_inp, y_inp\)",
    ),
    ("input dimension", lambda: updated(1.0 * u.mV), "HopfStep.x_inp: must have the dimension"),
]


@pytest.mark.parametrize("call, message", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_units_and_plain_numbers_mean_the_same():
    forms = [
        HopfStep(2, w=0.03),
        HopfStep(2, w=30.0 * u.Hz),
        HopfStep(2, w=0.03 / u.ms),
    ]
    assert all(np.allclose(node.w.value(), 0.03) for node in forms)
    taus = [FitzHughNagumoStep(2, tau=t).tau.value() for t in (15.0, 15.0 * u.ms, 0.015 * u.second)]
    assert all(np.allclose(tau.to_decimal(u.ms), 15.0) for tau in taus)
