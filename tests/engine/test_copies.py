"""Copies and pickles of models that hold functions: they are equal, and they share nothing that changes."""

import copy
import functools
import pickle
import threading
from collections import deque
from types import SimpleNamespace

import brainstate
import brainunit as u
import cloudpickle
import numpy as np
import pytest

from brainmass_delays import (
    Connectome,
    HopfStep,
    MultiplicativeNoise,
    Network,
    Param,
    Simulator,
    WhiteNoise,
    delay_index,
    get_params,
    prefetch_delay,
    set_params,
)

DT = 0.1 * u.ms
WEIGHTS = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 1.0], [0.3, 1.0, 0.0]])
LENGTHS = np.array([[0.0, 10.0, 20.0], [10.0, 0.0, 15.0], [20.0, 15.0, 0.0]]) * u.mm
SLOW, FAST = 5.0 * u.mm / u.ms, 9.0 * u.mm / u.ms
COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "cloudpickle": lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
    "simulator": lambda model: copy.deepcopy(Simulator(model, DT)).model,
    "twice": lambda model: copy.deepcopy(pickle.loads(pickle.dumps(model))),
}
speed = Param(SLOW)


def network(**kwargs):
    node = kwargs.pop("node", None) or HopfStep(3, init_x=0.1, init_y=0.05)
    kwargs = {
        "conn": Connectome(WEIGHTS, LENGTHS),
        "coupled_var": "x",
        "k": 0.1,
        "max_delay": 20 * u.ms,
    } | kwargs
    return Network(node, **kwargs)


def of_closure(value):
    speed = Param(value)
    return network(delay=lambda: LENGTHS / speed.value())


def of_global(value):
    speed.value = value
    return network(delay=lambda: LENGTHS / speed.value())


def of_function_of_function(value):
    speed = Param(value)

    def slowness():
        return 1.0 / speed.value()

    return network(delay=lambda: (lambda lengths: lengths * slowness())(LENGTHS))


def of_default(value):
    def delay(speed=Param(value), *, lengths=LENGTHS):
        return lengths / speed.value()

    return network(delay=delay)


def of_partial(value):
    return network(
        delay=functools.partial(lambda lengths, speed: lengths / speed.value(), LENGTHS, Param(value))
    )


def of_method(value):
    class Bundle(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.speed = Param(value)

        def delay(self):
            return LENGTHS / self.speed.value()

    globals()["Bundle"], Bundle.__qualname__ = Bundle, "Bundle"
    return network(delay=Bundle().delay)


def of_speed(value):
    speed = Param(value)
    return network(speed=lambda: speed.value())


def of_container(value):
    fibres = {"speed": [Param(value)]}
    return network(delay=lambda: LENGTHS / fibres["speed"][0].value())


def of_states(value):
    speed, node = Param(value), HopfStep(3, init_x=0.1, init_y=0.05)
    return network(node=node, delay=lambda: LENGTHS / speed.value() * (1.0 + 0.2 * node.x.value[:, None]))


def of_itself(value):
    speed = Param(value)

    def after(n):
        return speed.value() if n == 0 else before(n - 1)

    def before(n):
        return after(n)

    return network(delay=lambda: LENGTHS / after(3))


class Fibres:
    """A plain object, of Python."""

    lock = threading.Lock()

    def __init__(self, speed):
        self.speed = speed

    def delay(self):
        return LENGTHS / self.speed.value()

    __call__ = delay


class Slotted:
    __slots__ = ("speed",)


class Sheath(brainstate.nn.Module):
    def __init__(self, speed):
        super().__init__()
        self.speed = speed


def of_object(value):
    return network(delay=Fibres(Param(value)).delay)


def of_callable_object(value):
    return network(delay=Fibres(Param(value)))


def of_objects_in_containers(value):
    slotted = Slotted()
    slotted.speed = [Param(value)]
    fibres = deque([SimpleNamespace(parts={"first": frozenset([slotted])})])
    return network(delay=lambda: LENGTHS / next(iter(fibres[0].parts["first"])).speed[0].value())


def of_modules_in_containers(value):
    sheaths = [Sheath(Param(value))]
    return network(delay=lambda: LENGTHS / sheaths[0].speed.value())


def of_module(value):
    speed = Param(value)

    class ByHand(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.node = HopfStep(3, init_x=0.1, init_y=0.05)
            delay = lambda: LENGTHS / speed.value()  # noqa: E731
            self.read = prefetch_delay(self.node, "x", (delay, delay_index(3)), max_delay=20 * u.ms)

        def update(self):
            return self.node(0.1 * (WEIGHTS * self.read()).sum(-1))

    globals()["ByHand"], ByHand.__qualname__ = ByHand, "ByHand"
    return ByHand()


MODELS = [
    of_closure, of_global, of_function_of_function, of_default, of_partial, of_method, of_speed, of_container,
    of_states, of_module, of_itself, of_object, of_callable_object, of_objects_in_containers,
    of_modules_in_containers,
]  # fmt: skip


def cases(makes, in_every_way=()):
    """Give every model one way of being copied, in turn, and some models every way; the other pairs are slow."""
    for i, make in enumerate(makes):
        for j, how in enumerate(COPIES):
            if make is of_module and how not in ("pickle", "simulator"):
                continue  # brainstate copies a module of its own; cloudpickle takes a class by value
            is_quick = make in in_every_way or j == i % len(COPIES) or make is of_module
            yield pytest.param(make, how, marks=[] if is_quick else [pytest.mark.slow])


def x_of(model):
    brainstate.random.seed(0)
    monitors = ["x"] if isinstance(model, Network) else {"x": lambda m: m.node.x.value}
    return np.asarray(Simulator(model, DT).run(6 * u.ms, monitors=monitors)["x"])


@pytest.mark.parametrize("make, how", list(cases(MODELS, (of_closure, of_objects_in_containers))))
def test_a_copy_runs_with_its_own_speed(make, how):
    model = make(SLOW)
    slow, other = x_of(model), COPIES[how](model)
    np.testing.assert_array_equal(x_of(other), slow)
    name = next(name for name in get_params(other) if name.endswith("speed") or name.startswith("param"))
    set_params(other, {name: FAST})
    changed = x_of(other)
    np.testing.assert_array_equal(x_of(model), slow)
    np.testing.assert_array_equal(changed, x_of(make(FAST)))
    assert np.abs(changed - slow).max() > 1e-6


def with_signal(gain):
    gain = Param(gain)
    return network(coupled_var=lambda node: gain.value() * node.x.value, speed=SLOW)


def with_history(gain):
    gain = Param(gain)
    return network(delay_init=lambda t: gain.value() * u.math.cos(t / (3 * u.ms)), speed=SLOW)


def with_noise(gain):
    gain, node = Param(gain), HopfStep(3, init_x=0.1, init_y=0.05)
    node.noise_x = MultiplicativeNoise(
        WhiteNoise(3, 1.0), lambda x: gain.value() * (1.0 + x), node.prefetch("x")
    )
    return network(node=node, speed=SLOW)


@pytest.mark.parametrize("make, how", list(cases([with_signal, with_history, with_noise], (with_noise,))))
def test_functions_of_signals_and_histories_belong_to_the_copy(make, how):
    model = make(1.0)
    first, other = x_of(model), COPIES[how](model)
    np.testing.assert_array_equal(x_of(other), first)
    name = next(name for name in get_params(other) if name.endswith("gain"))
    set_params(other, {name: 2.0})
    changed = x_of(other)
    np.testing.assert_array_equal(x_of(model), first)
    np.testing.assert_array_equal(changed, x_of(make(2.0)))
    assert np.abs(changed - first).max() > 1e-6


def test_objects_that_functions_share_are_shared_in_the_copy():
    fibres, lock = SimpleNamespace(gain=Param(1.0)), threading.Lock()

    def delay():
        with lock:
            return LENGTHS / SLOW / fibres.gain.value()

    model = network(delay=delay, coupled_var=lambda node: fibres.gain.value() * node.x.value)
    first, other = x_of(model), copy.deepcopy(model)
    set_params(other, {next(name for name in get_params(other) if name.endswith("gain")): 2.0})
    changed = x_of(other)
    fibres.gain.value = 2.0
    np.testing.assert_array_equal(changed, x_of(model))
    assert np.abs(changed - first).max() > 1e-6


def test_an_attribute_is_no_global_of_the_same_name():
    own = SimpleNamespace(speed=1.0 * SLOW)  # `speed` is a Param of this file, too
    assert not [
        name for name in get_params(network(delay=lambda: LENGTHS / own.speed)) if name.endswith("speed")
    ]
