"""Whatever a run reads counts as it is now: no program is used for what it was not made of."""

import functools

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import AdditiveCoupling, Fitter, LinearStep, Network, Param, Simulator
from brainmass_delays.engine.programs import PROGRAMS

DT = 0.1 * u.ms
GAIN = 1.0
TABLE = {"gain": 1.0}
ARRAY = np.array([1.0])


class Holder:
    gain = 1.0

    def drive(self, i, t):
        return self.gain * jnp.ones(1)

    def __call__(self, i, t):
        return self.gain * jnp.ones(1)


def helper():
    return GAIN


def by_global(i, t):
    return GAIN * jnp.ones(1)


def by_helper(i, t):
    return helper() * jnp.ones(1)


def by_entry(i, t):
    return TABLE["gain"] * jnp.ones(1)


def by_array(i, t):
    return jnp.asarray(ARRAY)


def end(sim, inputs=None, **options):
    return float(sim.run(2 * u.ms, inputs=inputs, monitors=["x"], **options)["x"][-1, 0])


def leak():
    return LinearStep(1, gamma=-1.0, init_x=0.0)


UNIT = 1 - (1 - 0.1 + 0.005) ** 20  # Heun on x' = 1 - x from 0, after 20 steps of 0.1


def test_changes_of_what_inputs_read_are_seen(monkeypatch):
    sim, here = Simulator(leak(), DT), Holder()
    mine = 1.0

    def by_closure(i, t):
        return mine * jnp.ones(1)

    def by_default(i, t, gain=1.0):
        return gain * jnp.ones(1)

    partial = functools.partial(lambda gain, i, t: gain * jnp.ones(1), 1.0)
    cases = [by_global, by_helper, by_entry, by_array, here.drive, here, by_closure, by_default, partial]
    assert [end(sim, f) for f in cases] == pytest.approx([UNIT] * len(cases), rel=1e-9)
    monkeypatch.setattr(f"{__name__}.GAIN", 3.0)
    monkeypatch.setitem(TABLE, "gain", 3.0)
    ARRAY[0], here.gain, mine = 3.0, 3.0, 3.0
    by_default.__defaults__ = (3.0,)
    partial = functools.partial(partial.func, 3.0)
    cases[-1] = partial
    assert [end(sim, f) for f in cases] == pytest.approx([3 * UNIT] * len(cases), rel=1e-9)
    ARRAY[0] = 1.0


def test_another_amplitude_compiles_nothing(compilations):
    sim = Simulator(leak(), DT)

    def ends(amplitudes):
        return [end(sim, lambda i, t: amp * jnp.sin(t / u.ms) * jnp.ones(1)) for amp in amplitudes]  # noqa: B023

    ends([0.5, 0.7])
    with compilations() as count:
        found = ends([1.0, 2.0, 4.0])
    assert count() == 0
    assert found == pytest.approx([found[0], 2 * found[0], 4 * found[0]])


def test_many_lambdas_leave_a_bounded_store():
    sim = Simulator(leak(), DT)
    for k in range(80):
        end(sim, lambda i, t: jnp.ones(1) * jnp.ones((k % 70 + 1,)).sum())  # noqa: B023
    assert len(PROGRAMS) <= PROGRAMS.size


class Scaled(LinearStep):
    scale = 1.0

    def derivative(self, state, t, drive):
        return (self.scale * (drive[0] - state[0]),)


def test_changes_of_nodes_couplings_and_monitors_are_seen(monkeypatch):
    node = Scaled(1, init_x=0.0)
    sim = Simulator(node, DT)
    one = lambda i, t: jnp.ones(1)  # noqa: E731
    assert end(sim, one) == pytest.approx(UNIT)
    monkeypatch.setattr(Scaled, "scale", 0.0)
    with pytest.warns(UserWarning, match="nothing moved"):
        assert end(sim, one) == 0.0
    monkeypatch.setattr(Scaled, "scale", 1.0)
    monkeypatch.setattr(Scaled, "derivative", lambda self, state, t, drive: (2 * (drive[0] - state[0]),))
    assert end(sim, one) > UNIT
    monkeypatch.undo()
    node.method = "euler"
    assert end(sim, one) == pytest.approx(1 - 0.9**20)
    factor = 1.0
    run = lambda: float(sim.run(1 * u.ms, inputs=one, monitors=lambda m: factor * m.x.value)["output"][-1, 0])  # noqa: E731
    first, factor = run(), 5.0
    assert run() == pytest.approx(5 * first)


@pytest.mark.parametrize("changes", ["weights", "speed"])
def test_what_begins_to_change_during_a_run_is_seen(changes):
    """Weights or delays that stood still in the first run read a state in the second."""
    node = LinearStep(2, gamma=-0.1, init_x=[1.0, 0.5])
    grows = lambda: 1.0  # noqa: E731

    class Adapting(AdditiveCoupling):
        def weights(self):
            return super().weights() * (grows() if changes == "weights" else 1.0)

    speed = lambda: 4.0 * (grows() if changes == "speed" else 1.0) * u.mm / u.ms  # noqa: E731
    net = Network(
        node, conn=1 - np.eye(2), lengths=3.0 * (1 - np.eye(2)), speed=speed, max_delay=5 * u.ms,
        coupling=Adapting, coupled_var="x", k=0.2,
    )  # fmt: skip
    sim = Simulator(net, DT)
    first = end(sim)
    grows = lambda: 1 + 0.5 * node.x.value[0]  # noqa: E731
    second = end(sim)
    assert second != first
    assert second == end(Simulator(net, DT))
    grows = lambda: 1.0  # noqa: E731
    assert end(sim) == first


def test_changes_of_parameters_steps_and_precision_are_seen():
    net = Network(
        LinearStep(2, gamma=-1.0, init_x=[1.0, 0.0]),
        conn=1 - np.eye(2),
        delay=0.5 * u.ms,
        coupled_var="x",
        k=0.2,
    )
    sim = Simulator(net, DT)
    first = end(sim)
    net.k = 0.4
    second = end(sim)
    assert second != first
    net.coupling.k.set_value(0.2)
    assert end(sim) == first
    net.coupling.k = Param(0.4)
    assert end(sim) == pytest.approx(second, abs=1e-14)
    with brainstate.environ.context(dt=0.2 * u.ms):
        assert end(Simulator(net)) != second
    with pytest.raises(ValueError, match=r"Network\.conn: cannot be changed"):
        net.conn = np.zeros((2, 2))


def test_a_fitter_sees_what_does_not_train(compilations):
    """The speed is found whatever the coupling strength is between two fits."""

    class Line(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.slope, self.offset = Param(1.0, fit=True), Param(0.0, fit=False)

        def update(self):
            return self.slope.value() * jnp.arange(5.0) + self.offset.value()

    line = Line()
    fitter = Fitter(line, "L-BFGS-B", predict=lambda m: m(), backend="scipy")
    target = 3.0 * jnp.arange(5.0)
    assert float(fitter.fit(target, 30).best_params["slope"]) == pytest.approx(3.0, abs=1e-4)
    line.offset.set_value(1.0)
    found = float(fitter.fit(target + 1.0, 30).best_params["slope"])
    assert found == pytest.approx(3.0, abs=1e-4)
    again = target + 1.0
    fitter.fit(again, 30)
    with compilations() as count:
        fitter.fit(again, 30)
    assert count() == 0
    line.slope = Param(1.0, fit=True)
    line.offset = Param(0.0, fit=True)
    assert sorted(fitter.fit(target, 30).best_params) == ["offset", "slope"]


def test_states_hold_numbers_after_every_call():
    net = Network(
        LinearStep(2, gamma=-1.0, init_x=[1.0, 0.0]),
        conn=1 - np.eye(2),
        delay=0.5 * u.ms,
        coupled_var="x",
        k=Param(0.2, fit=True),
    )
    sim = Simulator(net, DT)
    before = sim.run(1 * u.ms, monitors=["x"])["x"][-1]
    fitter = Fitter(net, predict=lambda m: Simulator(m, DT).run(1 * u.ms, monitors=["x"])["x"])
    fitter.fit(jnp.zeros((10, 2)), 2)
    np.testing.assert_array_equal(net.node.x.value, before)
    assert np.isfinite(np.asarray(net.node.x.value)).all()
