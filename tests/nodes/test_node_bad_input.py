"""Mistakes in node models, each named on the line where it is made."""

import brainstate
import brainunit as u
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError, WhiteNoise
from brainmass_delays.nodes import (
    NODES,
    FitzHughNagumoStep,
    HopfStep,
    JansenRitStep,
    LinearStep,
    StuartLandauStep,
)


def updated(*inputs, dt=0.1 * u.ms, **arguments):
    """Return one update of a node."""
    node = HopfStep(2, **arguments)
    brainstate.nn.init_all_states(node)
    with brainstate.environ.context(**({} if dt is None else {"dt": dt})):
        return node.update(*inputs)


def subclass(base, *names):
    """Return a subclass that defines functions of these names."""
    return type("Changed", (base,), {name: lambda self, *args: args[0] for name in names})


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
        "input of other regions",
        lambda: updated(np.ones(3)),
        r"HopfStep.x_inp: must be a number or have shape \(..., 2\); got \(3,\)",
    ),
    (
        "noise class",
        lambda: HopfStep(2, noise_x=WhiteNoise),
        "HopfStep.noise_x: must be a noise module; got <class",
    ),
    (
        "not finite",
        lambda: HopfStep(2, w=np.array([0.1, np.nan])),
        r"HopfStep.w: must be finite; got nan at \(1,\)",
    ),
    ("text", lambda: HopfStep(2, a="large"), "HopfStep.a: must be a number"),
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
    (
        "unknown input",
        lambda: HopfStep(2).update(z_inp=1.0),
        "HopfStep.update: must be one of 'x_inp', 'y_inp'; got 'z_inp'. Did you mean",
    ),
    (
        "input given twice",
        lambda: HopfStep(2).update(1.0, x_inp=2.0),
        "HopfStep.update.x_inp: is given twice, by position and by name",
    ),
    (
        "array as drive",
        lambda: LinearStep(3).derivative((np.zeros(3),), 0.0 * u.ms, np.ones(3)),
        r"LinearStep.derivative.drive: must be a tuple with one entry per input \(x_inp\); got ndarray",
    ),
    (
        "drive of another length",
        lambda: HopfStep(3).derivative((np.zeros(3), np.zeros(3)), 0.0 * u.ms, (np.ones(3),)),
        r"HopfStep.derivative.drive: .* \(x_inp, y_inp\); got 1 entries",
    ),
    (
        "angular frequency of brainmass",
        lambda: StuartLandauStep(2, w=0.2),
        r"StuartLandauStep.w: is no argument of this model. It takes the frequency f = w / \(2 \* pi\)",
    ),
    (
        "frequency without a unit",
        lambda: StuartLandauStep(2, 0.25, 0.2),
        "StuartLandauStep.a: needs a unit such as Hz",
    ),
    ("input dimension", lambda: updated(1.0 * u.mV), "HopfStep.x_inp: must have the dimension"),
]


@pytest.mark.parametrize("call, message", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("name", NODES)
def test_a_part_of_a_rate_that_nothing_calls_is_refused(name):
    for part in [f"d{NODES[name].STATE_NAMES[0]}", f"d{NODES[name].STATE_NAMES[-1]}", "F"]:
        with pytest.raises(ArgumentError, match=f"Changed.{part}: is never called: .* Define derivative"):
            subclass(NODES[name], part)


def test_a_subclass_with_its_own_derivative_may_have_parts():
    changed = type(
        "Changed",
        (HopfStep,),
        {"dx": lambda self: 0.0, "derivative": lambda self, s, t, d: (self.dx(), s[1])},
    )
    node = changed(2)
    assert node.derivative((1.0, 2.0), 0.0, (0.0, 0.0)) == (0.0, 2.0)
    assert subclass(HopfStep, "measure")


def test_methods_of_brainmass_have_their_names():
    assert HopfStep(2, method="rk2").method == "heun"


def test_units_and_plain_numbers_mean_the_same():
    forms = [
        HopfStep(2, w=0.03),
        HopfStep(2, w=30.0 * u.Hz),
        HopfStep(2, w=0.03 / u.ms),
    ]
    assert all(np.allclose(node.w.value(), 0.03) for node in forms)
    taus = [FitzHughNagumoStep(2, tau=t).tau.value() for t in (15.0, 15.0 * u.ms, 0.015 * u.second)]
    assert all(np.allclose(tau.to_decimal(u.ms), 15.0) for tau in taus)
