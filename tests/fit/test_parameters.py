"""Parameters are set where they are, by name, inside of their bounds, and nothing is lost on the way."""

import pickle

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from brainstate.nn import (
    AffineT,
    ChainT,
    ClipT,
    GaussianReg,
    LogT,
    NegativeT,
    NegSoftplusT,
    SigmoidT,
    SoftplusT,
    TanhT,
)

from brainmass_delays import (
    AdditiveCoupling,
    ArgumentError,
    Fitter,
    HopfStep,
    Network,
    Param,
    Simulator,
    WhiteNoise,
    get_params,
    set_params,
)
from brainmass_delays.couplings import Coupling

SPEED = u.mm / u.ms
LENGTHS = np.random.default_rng(0).uniform(10.0, 50.0, (4, 4)) * u.mm


def network(**changes):
    speed = Param(5.0 * SPEED, t=SigmoidT(2.0 * SPEED, 9.0 * SPEED))
    node = HopfStep(4, noise_x=WhiteNoise(4, 0.01))
    options = {"conn": np.ones((4, 4)) - np.eye(4), "lengths": LENGTHS, "speed": speed, "k": 0.2}
    return Network(node, coupled_var="x", **{**options, **changes})


class Decay(brainstate.nn.Module):
    def __init__(self):
        super().__init__()
        self.tau = Param(20.0 * u.ms)

    def update(self):
        return jnp.exp(-jnp.arange(50.0) / (self.tau.value() / u.ms))


TARGET = jnp.exp(-jnp.arange(50.0) / 10.0)


def test_every_parameter_has_a_name_and_a_value_with_its_unit():
    found = get_params(network())
    assert set(found) == {
        "coupling.k",
        "node.a",
        "node.beta",
        "node.noise_x.sigma",
        "node.w",
        "speed",
    }
    assert found["speed"].to_decimal(SPEED) == pytest.approx(5.0)
    assert set(get_params(network(), fixed=False)) == {"speed"}


def test_what_was_read_can_be_set_and_is_used():
    net, other = network(), network()
    set_params(other, {"speed": 8.0, "k": 0.6, "sigma": 0.0, "a": -0.3})
    set_params(net, get_params(other))
    runs = [Simulator(m, dt=0.1 * u.ms).run(5 * u.ms, monitors=["x"])["x"] for m in (net, other, network())]
    assert jnp.array_equal(runs[0], runs[1])
    assert not jnp.allclose(runs[0], runs[2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speed": 60.0}, r"set_params.values\['speed'\]: must lie inside of the bounds .* got 60.0 mm / ms"),
        ({"speed": 6.0 * u.mV}, "must have the dimension of mm / ms; got mV"),
        ({"spee": 1.0}, "Did you mean 'speed'"),
        ({"k": [1.0, 2.0]}, "must have the shape of the parameter"),
        ([1.0], "must be a dict of values by name; got list"),
        ({"k": np.nan}, r"values\['coupling.k'\]: must be finite; got nan"),
        ({"k": [np.inf]}, r"values\['coupling.k'\]: must be finite; got inf"),
        ({"k": "a"}, r"values\['coupling.k'\]: must be a number, .*; got 'a'"),
    ],
)
def test_a_refused_value_changes_nothing(values, message):
    net = network()
    before = get_params(net)
    with pytest.raises(ArgumentError, match=message):
        set_params(net, {"a": 0.5, **values} if isinstance(values, dict) else values)
    after = get_params(net)
    assert all(jnp.array_equal(u.get_magnitude(before[n]), u.get_magnitude(after[n])) for n in before)


@pytest.mark.parametrize("make", [lambda: network(), lambda: network(speed=4.0 * SPEED)])
def test_a_number_set_as_an_attribute_goes_into_the_param(make):
    net = make()
    param = net.node.a
    net.node.a = 0.7
    assert net.node.a is param
    assert param.value() == pytest.approx(0.7)


def test_assigning_to_value_sets_it():
    net = network()
    net.speed.value = 6.0
    assert net.speed.value().to_decimal(SPEED) == pytest.approx(6.0)
    net.speed.value = 7.0 * u.meter / u.second
    assert net.speed.value().to_decimal(SPEED) == pytest.approx(7.0)
    with pytest.raises(ArgumentError, match="must lie inside"):
        net.speed.value = 9.5


BOUNDED = [
    (SigmoidT(1.0, 5.0), 3.0, [0.0, 1.0, 5.0, 6.0, np.nan]),
    (SigmoidT(1.0 * u.mV, 5.0 * u.mV), 3.0 * u.mV, [0.0 * u.mV, 5.0 * u.mV]),
    (TanhT(1.0, 5.0), 3.0, [1.0, 6.0]),
    (ClipT(0.0, 5.0), 5.0, [-1.0, 6.0]),
    (SoftplusT(0.0), 1.0, [-1.0, 0.0]),
    (NegSoftplusT(0.0), -1.0, [0.0, 1.0]),
]


@pytest.mark.parametrize(("transform", "inside", "outside"), BOUNDED)
def test_a_value_that_the_bounds_do_not_hold_is_refused(transform, inside, outside):
    param = Param(inside, t=transform)
    assert u.math.allclose(param.value(), inside)
    for value in outside:
        with pytest.raises(ArgumentError, match="must lie inside of the bounds of its .*T"):
            Param(value, t=transform)
        with pytest.raises(ArgumentError, match="must lie inside of the bounds of its .*T"):
            param.set_value(value)


UNFIT = [
    SigmoidT(1.5 * u.mm, 10.0 * u.mm),
    SigmoidT(1.5, 10.0),
    TanhT(1.0, 10.0),
    ClipT(1.0, 10.0),
    SoftplusT(0.0),
    SoftplusT(0.0 * u.mm),
    NegSoftplusT(10.0),
    LogT(0.0),
    NegativeT(),  # drops the unit in silence
    ChainT(SoftplusT(0.0)),
    AffineT(2.0, 1.0),
]


@pytest.mark.parametrize("transform", UNFIT, ids=str)
def test_bounds_of_another_unit_are_refused(transform):
    with pytest.raises(ArgumentError, match=r"Param.t: must fit a value in mm / ms; got .*Bound it in that"):
        Param(5.0 * SPEED, t=transform)


def test_bounds_in_a_unit_refuse_a_plain_value():
    with pytest.raises(
        ArgumentError, match=r"Param.t: must fit a value without a unit; got S.*Give the value"
    ):
        Param(5.0, t=SigmoidT(1.0 * u.mV, 9.0 * u.mV))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": "a"}, "value: must be a number, .*; got 'a'"),
        ({"value": None}, "value: must be a number, .*; got None"),
        ({"value": object()}, "value: must be a number, .*; got <object"),
        ({"value": 1j}, "value: must be real; got complex numbers, 1j"),
        ({"value": np.nan}, "value: must be finite; got nan"),
        ({"value": [1.0, np.inf] * u.mV}, r"value: must be finite; got inf at \(1,\)"),
        ({"value": [1.0 * u.mV, 1.0 * u.mm]}, "value: must be numbers in one unit"),
        ({"reg": 3}, "reg: must be a prior, .*; got 3"),
        ({"t": 3}, "t: must be a transform of brainstate.nn, .*; got 3"),
        ({"precompute": 3}, "precompute: must be callable; got 3"),
        ({"fit": "no"}, "fit: must be True or False; got 'no'"),
    ],
)
def test_what_a_param_cannot_hold_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=f"Param.{message}"):
        Param(**{"value": 1.0, **arguments})
    param = Param(1.0)
    if "value" in arguments:
        with pytest.raises(ArgumentError, match="Param.value: must"):
            param.value = arguments["value"]


def test_a_traced_value_is_held():
    assert jax.jit(lambda x: Param(x).value())(jnp.nan) is not None
    bounded = jax.jit(lambda x: Param(x * u.mV, t=SigmoidT(1.0 * u.mV, 9.0 * u.mV)).value())
    assert bounded(3.0).to_decimal(u.mV) == pytest.approx(3.0)


@pytest.mark.parametrize("speed", [-1.0, 0.0])
def test_a_speed_that_is_not_positive_is_named_before_its_delays(speed):
    net = network(speed=Param(5.0 * SPEED), max_delay=100.0 * u.ms)
    set_params(net, {"speed": speed})
    with pytest.raises(ArgumentError, match=f"Network.speed: must be positive; got {speed} mm/ms"):
        Simulator(net, dt=0.5 * u.ms).run(1 * u.ms)


def test_a_function_of_no_parameters_says_that_there_are_none():
    net = network(speed=4.0 * SPEED)
    with pytest.raises(ArgumentError, match="function.params: has nothing to choose from; got 'zz'"):
        Simulator(net, dt=0.5 * u.ms).function(1 * u.ms)({"zz": 1.0})


def test_a_param_pickles_where_training_has_moved_it_to_a_bound():
    param = Param(3.0, t=SigmoidT(1.0, 5.0))
    param.val.value = jnp.array(800.0)
    copied = pickle.loads(pickle.dumps(param))
    assert type(copied) is Param
    assert float(copied.value()) == 5.0
    assert copied.val.value == 800.0


@pytest.mark.parametrize(
    "formula",
    [
        lambda p: p * 2.0,
        lambda p: jnp.ones(3) * p,
        lambda p: np.ones(3) - p,
        lambda p: -p,
        lambda p: jax.jit(lambda x: x * p)(1.0),
        lambda p: float(p),
    ],
)
def test_a_param_in_a_formula_names_the_cure(formula):
    with pytest.raises(ArgumentError, match=r"Write param.value\(\)"):
        formula(Param(2.0))


def test_a_kernel_that_forgets_value_names_the_cure():
    class Forgetful(Coupling):
        def __init__(self, x, conn, k=1.0):
            super().__init__({"x": x}, conn, k=k)

        def update(self):
            return self.k * jnp.sum(self.weights() * self.x(), -1)

    with pytest.raises(ArgumentError, match=r"Write param.value\(\)"):
        Simulator(network(coupling=Forgetful), dt=0.1 * u.ms).run(1 * u.ms, monitors=["x"])


def test_a_normal_prior_sees_numbers_in_the_unit_of_the_parameter():
    """The maximum of posterior of one Gaussian datum and a Gaussian prior lies between both by precision."""

    class Rate(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.speed = Param(7.0 * SPEED, reg=GaussianReg(4.0, 0.5))

        def update(self):
            return self.speed.value() / SPEED

    sigma, datum = 0.25, 6.0

    def misfit(prediction, target):
        return (prediction - target) ** 2 / (2 * sigma**2)

    fitter = Fitter(Rate(), optax.adam(0.05), predict=lambda m: m(), objective=misfit)
    best = fitter.fit(datum, n_steps=600).best_params["speed"].to_decimal(SPEED)
    slope = jax.grad(lambda v: misfit(v, datum) + GaussianReg(4.0, 0.5).loss(v))(float(best))
    assert 4.5 < best < 5.9
    assert abs(slope) < 1e-3


def test_a_resumed_fit_is_the_uninterrupted_one():
    def fitter():
        return Fitter(Decay(), optax.adam(optax.exponential_decay(0.5, 20, 0.9)), predict=lambda m: m())

    whole = fitter().fit(TARGET, 60)
    parts = fitter()
    first, second = parts.fit(TARGET, 37), parts.fit(TARGET, 23, resume=True)
    assert first.history + second.history == whole.history
    assert second.best_loss == whole.best_loss
    assert second.best_params["tau"] == whole.best_params["tau"]


def test_a_resumed_fit_keeps_the_best_of_both_parts():
    fitter = Fitter(Decay(), optax.sgd(4000.0), predict=lambda m: m())
    first = fitter.fit(TARGET, 3)
    second = fitter.fit(TARGET, 3, resume=True)
    assert second.best_loss <= first.best_loss


def test_what_cannot_be_resumed_says_why():
    fitter = Fitter(Decay(), optax.adam(0.5), predict=lambda m: m())
    with pytest.raises(ArgumentError, match="needs an earlier fit"):
        fitter.fit(TARGET, 2, resume=True)
    fitter.fit(TARGET, 2)
    fitter.model.tau.set_value(3.0)
    with pytest.raises(ArgumentError, match="as the last fit left them"):
        fitter.fit(TARGET, 2, resume=True)
    with pytest.raises(ArgumentError, match="must be False with starts"):
        fitter.fit(TARGET, 2, resume=True, starts={"tau": [1.0, 2.0]})
    scipy = Fitter(Decay(), predict=lambda m: m(), backend="scipy")
    with pytest.raises(ArgumentError, match="must be False with"):
        scipy.fit(TARGET, 2, resume=True)


def test_a_fit_saves_as_plain_arrays(tmp_path):
    result = Fitter(Decay(), optax.adam(0.5), predict=lambda m: m()).fit(TARGET, 4)
    np.savez(tmp_path / "fit.npz", **result.to_numpy())
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as kept:
        assert kept["tau"] == result.best_params["tau"].to_decimal(u.ms)
        assert kept["tau.unit"] == "ms"
        assert list(kept["history"]) == result.history
        assert len(kept["history.tau"]) == 4


def test_a_target_with_gaps_is_named_as_the_cause():
    target = np.array(TARGET)
    target[7] = np.nan
    with pytest.raises(RuntimeError, match=r"The target is not finite at \(7,\)"):
        Fitter(Decay(), predict=lambda m: m()).fit(target, 2)


def test_a_coupling_class_and_its_param_keep_their_identity():
    net = network(coupling=AdditiveCoupling)
    param = net.coupling.k
    net.k = 0.9
    net.coupling.k = 0.8
    assert net.coupling.k is param
    assert param.value() == pytest.approx(0.8)
