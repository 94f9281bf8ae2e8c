"""Bad input to networks, delayed reads and simulators fails at once, and says where, why and what to do."""

import brainstate
import brainunit as u
import numpy as np
import pytest
from brainstate.nn import Param, SigmoidT

from brainmass_delays import ArgumentError, Coupling, HopfStep, Network, Simulator, prefetch_delay
from brainmass_delays._core.checks import check_choice

W = np.ones((3, 3)) - np.eye(3)
L = 10.0 * W
MS, SPEED = u.ms, u.mm / u.ms


def net(**changes):
    options = {"conn": W, "lengths": L, "speed": 5.0, "coupled_var": "x"} | changes
    return Network(options.pop("node", HopfStep(3)), **options)


class Pairwise(Coupling):
    """A kernel of every pair, whose weights keep the shape of the whole matrix."""

    def __init__(self, x, conn, k=1.0):
        super().__init__({"x": x}, conn, k=k)

    def update(self):
        return self.k.value() * (self.weights() * self.x() ** 3).sum(-1)


def direct(delay, **changes):
    return net(lengths=None, speed=None, delay=delay, **changes)


def read(delay=1.0 * MS, state="x", node=None, **options):
    return prefetch_delay(HopfStep(3) if node is None else node, state, delay, **options)


def simulate(duration=1.0 * MS, dt=0.1 * MS, **options):
    return Simulator(HopfStep(3), dt=dt).run(duration, **options)


def with_entry(matrix, value):
    changed = np.array(matrix)
    changed[0, 1] = value
    return changed


TRAINED = {"fit": True}
NETWORK = {
    "node is no dynamics": (
        lambda: net(node=3),
        "Network.populations: must be a brainstate.nn.Dynamics; got int",
    ),
    "weights of another size": (lambda: net(conn=np.ones((4, 4))), "Network.conn: must have shape (3, 3)"),
    "weights not square": (lambda: net(conn=np.ones((3, 4))), "Network.conn: must have shape (3, 3)"),
    "trainable weights of another size": (lambda: net(conn=Param(np.ones((2, 2)), fit=True)), "Network.conn"),
    "NaN weight": (lambda: net(conn=with_entry(W, np.nan)), "Network.conn: must be finite; got nan"),
    "infinite weight": (lambda: net(conn=with_entry(W, np.inf)), "Network.conn: must be finite; got inf"),
    "weights with a time unit": (lambda: net(conn=W * MS), "Network.conn: must have the dimension of"),
    "lengths of another size": (
        lambda: net(lengths=np.ones((2, 2))),
        "Network.lengths: must have shape (3, 3)",
    ),
    "lengths in ms": (lambda: net(lengths=L * MS), "Network.lengths: must have the dimension of mm"),
    "a negative length": (
        lambda: net(lengths=with_entry(L, -1.0)),
        "Network.lengths: must be finite and not negative",
    ),
    "a length of NaN": (
        lambda: net(lengths=with_entry(L, np.nan)),
        "Network.lengths: must be finite and not negative",
    ),
    "zero speed": (lambda: net(speed=0.0), "Network.speed: must be positive; got 0.0 mm/ms"),
    "negative speed": (lambda: net(speed=-3.0 * SPEED), "Network.speed: must be positive; got -3.0 mm/ms"),
    "NaN speed": (lambda: net(speed=np.nan), "Network.speed: must be positive; got nan"),
    "trainable speed of zero": (
        lambda: net(speed=Param(0.0, **TRAINED), max_delay=9 * MS),
        "Network.speed: must be positive",
    ),
    "speed as a length": (lambda: net(speed=5.0 * u.mm), "Network.speed: must have the dimension of"),
    "later weights of what is no connection": (
        lambda: setattr(net(conn=with_entry(W, 0.0), coupling=Pairwise).coupling, "conn", 2 * W),
        "Pairwise.conn: must be 0 where there is no connection; got 1 weights elsewhere. Build a new Network.",
    ),
    "speed without lengths": (
        lambda: net(lengths=None),
        "Network.speed: needs lengths; got lengths=None. Pass",
    ),
    "speed and delay": (lambda: net(delay=1.0 * MS), "Network.delay: cannot be combined with speed"),
    "delay without unit": (lambda: direct(np.ones((3, 3))), "Network.delay: needs a unit such as ms"),
    "delay as a length": (lambda: direct(1.0 * u.mm), "Network.delay: must have the dimension of ms"),
    "delay of another size": (
        lambda: direct(np.ones((2, 2)) * MS),
        "Network.delay: must be a scalar or have shape (3, 3)",
    ),
    "negative delay": (
        lambda: direct(with_entry(W, -1.0) * MS),
        "Network.delay: must be finite and not negative; got -1.0 ms",
    ),
    "infinite delay": (
        lambda: direct(with_entry(W, np.inf) * MS),
        "Network.delay: must be finite and not negative; got inf ms",
    ),
    "delay above the bound": (lambda: net(max_delay=1.0 * MS), "Raise max_delay"),
    "bound without unit": (lambda: net(max_delay=5.0), "max_delay: needs a unit such as ms"),
    "negative bound": (lambda: net(max_delay=-1.0 * MS), "max_delay: must be one finite, non-negative time"),
    "trainable speed without bound": (
        lambda: net(speed=Param(5.0 * SPEED, **TRAINED)),
        "Network.max_delay: is required for a delay that can change",
    ),
    "lower bound above upper": (
        lambda: net(min_delay=9 * MS),
        "Network.min_delay: must not be above the shortest delay, 2 ms; got 9 ms",
    ),
    "lower bound without unit": (lambda: net(min_delay=9.0), "Network.min_delay: needs a unit such as ms"),
    "trainable speed, nearest": (
        lambda: net(speed=Param(5.0 * SPEED, **TRAINED), max_delay=9 * MS, interpolation="nearest"),
        "must be differentiable for a delay marked fit=True, whose gradient would be exactly zero; got "
        "'nearest'. Use 'linear'",
    ),
    "misspelt interpolation": (lambda: net(interpolation="linaer"), "Did you mean 'linear'?"),
    "misspelt coupling": (lambda: net(coupling="difusive"), "Did you mean 'diffusive'?"),
    "misspelt variable": (
        lambda: net(coupled_var="z"),
        "Network.coupled_var: must be one of 'x', 'y'; got 'z'",
    ),
    "misspelt stages": (lambda: net(stages="frozn"), "Did you mean 'frozen'?"),
    "block of zero": (
        lambda: net(block=0),
        "Network.block: must be 'auto' or a whole number of at least 1; got 0",
    ),
    "block of a half": (
        lambda: net(block=2.5),
        "Network.block: must be 'auto' or a whole number of at least 1; got 2.5",
    ),
}
READS = {
    "node is no dynamics": (
        lambda: read(node=[1.0]),
        "prefetch_delay.node: must be a brainstate.nn.Dynamics; got list",
    ),
    "an integer delay": (
        lambda: read(3),
        "prefetch_delay.delay: needs a unit such as ms; got the plain number 3. Write 3 *",
    ),
    "delay as a length": (lambda: read(1.0 * u.mm), "prefetch_delay.delay: must have the dimension of ms"),
    "negative delay": (
        lambda: read(-1.0 * MS),
        "prefetch_delay.delay: must be finite and not negative; got -1.0 ms",
    ),
    "NaN delay": (
        lambda: read(np.nan * MS),
        "prefetch_delay.delay: must be finite and not negative; got nan ms",
    ),
    "delays of other nodes": (
        lambda: read(np.ones(4) * MS),
        "prefetch_delay.delay: must have 3 sources on its last axis; got (4,)",
    ),
    "index out of range": (
        lambda: read((np.ones((3, 3)) * MS, np.full((3, 3), 3))),
        "prefetch_delay.index: must hold whole numbers",
    ),
    "index of floats": (lambda: read((1.0 * MS, np.zeros((3, 3)))), "from 0 to 2; got float64"),
    "index of another shape": (
        lambda: read((np.ones((3, 3)) * MS, np.zeros((2, 3), int))),
        "prefetch_delay.index: must have the shape",
    ),
    "bound below delay": (
        lambda: read(2.0 * MS, max_delay=1.0 * MS),
        "prefetch_delay.delay: must not pass max_delay, 1 ms; got 2 ms",
    ),
    "live delay without bound": (
        lambda: read(Param(1.0 * MS, fit=True)),
        "prefetch_delay.max_delay: is required for a delay",
    ),
    "callable without bound": (
        lambda: read(lambda: 1.0 * MS),
        "prefetch_delay.max_delay: is required for a delay",
    ),
    "trainable delay, nearest": (
        lambda: read(Param(1.0 * MS, fit=True), interpolation="nearest", max_delay=2 * MS),
        "exactly zero",
    ),
    "misspelt interpolation": (lambda: read(interpolation="hermit"), "Did you mean 'hermite'?"),
}
SIMULATIONS = {
    "model is a function": (
        lambda: Simulator(len, dt=1 * MS),
        "Simulator.model: must be a brainstate Module",
    ),
    "dt without unit": (
        lambda: simulate(dt=0.1),
        "Simulator.dt: needs a unit such as ms; got the plain number 0.1. Write 0.1 *",
    ),
    "dt as a length": (lambda: simulate(dt=0.1 * u.mm), "Simulator.dt: must have the dimension of ms"),
    "zero dt": (lambda: simulate(dt=0.0 * MS), "Simulator.dt: must be one positive time"),
    "negative dt": (lambda: simulate(dt=-0.1 * MS), "Simulator.dt: must be one positive time"),
    "no dt": (lambda: simulate(dt=None), "Simulator.dt: is needed; got None. Pass Simulator(model, dt="),
    "duration without unit": (lambda: simulate(1.0), "Simulator.run.duration: needs a unit such as ms"),
    "duration of a part of a step": (lambda: simulate(1.03 * MS), "must be a whole number of steps"),
    "negative duration": (lambda: simulate(-1.0 * MS), "Simulator.run.duration: must be one positive time"),
    "unknown monitor": (
        lambda: simulate(monitors=["z"]),
        "Simulator.run.monitors: must name states, of ['x', 'y']; got 'z'",
    ),
    "inputs of another length": (
        lambda: simulate(inputs={"x_inp": np.ones((3, 3))}),
        "must have one row for each of 10 steps; got (3, 3)",
    ),
    "transient as long as the run": (
        lambda: simulate(transient=1.0 * MS),
        "must be shorter than the run of 10 steps",
    ),
    "negative transient": (
        lambda: simulate(transient=-1),
        "Simulator.run.transient: must be a whole number of at least 0",
    ),
    "sampling every zero steps": (
        lambda: simulate(sample_every=0),
        "Simulator.run.sample_every: must be a whole number",
    ),
    "batch of zero": (
        lambda: simulate(batch_size=0),
        "Simulator.run.batch_size: must be a whole number of at least 1",
    ),
    "horizon without unit": (
        lambda: Simulator(HopfStep(3), dt=1 * MS, grad_horizon=5),
        "Simulator.grad_horizon: needs a unit",
    ),
}
CASES = [
    pytest.param(*case, id=f"{part}: {name}")
    for part, cases in (("network", NETWORK), ("read", READS), ("simulation", SIMULATIONS))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("call", "message"), CASES)
def test_bad_input_is_refused_with_its_place_and_cure(call, message):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sped": 3.0}, r"unexpected keyword argument 'sped'. Did you mean 'speed'\?$"),
        (
            {"sped": 3.0, "dely": 1.0},
            r"'sped'. 'sped': Did you mean 'speed'\? 'dely': Did you mean 'delay'\?$",
        ),
        ({"distance": W}, r"unexpected keyword argument 'distance'. Did you mean 'lengths'\?$"),
        ({"qqqq": 3.0}, r"unexpected keyword argument 'qqqq'$"),
    ],
)
def test_a_misspelled_argument_gets_the_nearest_name(arguments, message):
    with pytest.raises(TypeError, match=message):
        Network(HopfStep(3), **arguments)


def test_words_of_other_programs_are_no_choices():
    """What stands for an argument of another program may be the nearest spelling of a choice."""
    with pytest.raises(ArgumentError, match=r"Did you mean 'fcd_distance'\?"):
        check_choice("fit", "distance", ["fc_corr", "fcd_distance"])


def test_unknown_state_is_named_when_states_are_made():
    node = HopfStep(3)
    read(state="z", node=node)
    with (
        brainstate.environ.context(dt=0.1 * MS),
        pytest.raises(ArgumentError, match="must be a state of HopfStep"),
    ):
        brainstate.nn.init_all_states(node)


def test_a_step_is_needed_when_states_are_made():
    node = HopfStep(3)
    read(node=node)
    with pytest.raises(ArgumentError, match=r"prefetch_delay.dt: must be known; got None"):
        brainstate.nn.init_all_states(node)


def test_a_bounded_transform_serves_as_the_bound():
    speed = Param(5.0 * SPEED, t=SigmoidT(2.0 * SPEED, 20.0 * SPEED), fit=True)
    assert net(speed=speed).max_delay.to_decimal(MS) == pytest.approx(5.0)
    assert read(Param(1.0 * MS, t=SigmoidT(0.0 * MS, 4.0 * MS), fit=True)).max_delay.to_decimal(
        MS
    ) == pytest.approx(4.0)
