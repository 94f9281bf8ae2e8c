"""What impulses cannot be is refused with its place."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_impulses import Pair

from brainmass_delays import (
    ArgumentError,
    HopfStep,
    Simulator,
)

ONE = {"x": [1.0]}
BAD = {
    "a pair": ([1.0], r"must be \(times, amounts\); got list"),
    "no unit": (([2.0], ONE), "needs a unit such as ms"),
    "another unit": (([2.0] * u.mV, ONE), "must have the dimension of ms"),
    "one time": ((2.0 * u.ms, ONE), "must have one axis of times"),
    "the start": (([0.0] * u.ms, ONE), "Put an impulse at the start into the initial values"),
    "too late": (([10.1] * u.ms, ONE), "not after its end, 10 ms; got 10.1 ms"),
    "between": (([2.03] * u.ms, ONE), r"whole numbers of steps of 0.1 ms; got 2.03 ms. Use 2 ms"),
    "nan": (([np.nan] * u.ms, ONE), "must be finite"),
    "no state": (([2.0] * u.ms, {"z": [1.0]}), "must be one of 'x', 'y'"),
    "no name": (([2.0] * u.ms, [1.0]), "must have amounts by name of a state"),
    "no axis": (([2.0] * u.ms, {"x": 1.0}), "must have a leading axis of 1"),
    "other regions": (([2.0] * u.ms, {"x": [[1.0, 2.0]]}), r"with that of the state, \(3,\)"),
    "amount nan": (([2.0] * u.ms, {"x": [np.inf]}), "must be finite"),
    "amount unit": (([2.0] * u.ms, {"x": [1.0] * u.mV}), "must have the dimension of 1"),
    "arguments": (([2.0] * u.ms, {"x": lambda x: x}), r"must be a function of \(t, x\)"),
    "no return": (([2.0] * u.ms, {"x": lambda t, x: None}), "must return the state after the impulse"),
    "complex": (([2.0] * u.ms, {"x": lambda t, x: 1j * x}), "must return real numbers"),
    "quantities": (([2.0 * u.ms, 3.0 * u.ms], ONE), r"Write the unit once, as in \[1.0, 2.0\] \* brainunit.ms"),
    "returned": (([2.0] * u.ms, {"x": lambda t, x: jnp.zeros(7)}), r"must return shape \(3,\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_impulses_that_cannot_be_are_refused(name):
    impulses, message = BAD[name]
    with pytest.raises(ArgumentError, match=message):
        Simulator(HopfStep(3), dt=0.1 * u.ms).run(10 * u.ms, impulses=impulses)


def test_a_continued_run_says_where_an_impulse_at_its_start_belongs():
    sim = Simulator(HopfStep(3), dt=0.1 * u.ms)
    sim.run(10 * u.ms)
    with pytest.raises(ArgumentError, match=r"the start of the run, 10 ms.*the end of the run before"):
        sim.run(10 * u.ms, impulses=([10.0] * u.ms, ONE), init_states=False)


def test_traced_times_are_refused():
    sim = Simulator(HopfStep(3), dt=0.1 * u.ms)
    with pytest.raises(ArgumentError, match="needs times that are known"):
        jax.jit(lambda t: sim.run(10 * u.ms, impulses=(t[None] * u.ms, ONE))["status"])(2.0)


def test_other_initial_values_are_given_by_the_same_names():
    run = Simulator(Pair(), dt=0.5 * u.ms).function(1 * u.ms, monitors=lambda model: model.count.value)
    found = run({}, states={"count": [4.0, 8.0], "node.x": 1.0})["output"]
    np.testing.assert_allclose(found, [[3.0, 5.0], [2.5, 3.5]], rtol=1e-12)
    for states, message in {
        "a list": ([1.0], "Simulator.function.states: must be a dict by name"),
        "text": ({"count": "high"}, r"states\['count'\]: must be a number"),
        "regions": ({"count": [1.0, 2.0, 3.0]}, r"states\['count'\]: must have shape \(2,\)"),
    }.values():
        with pytest.raises(ArgumentError, match=message):
            run({}, states=states)
