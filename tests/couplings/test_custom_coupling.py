"""The three-step recipe for a coupling of one's own, as written for brainmass, and as a Network uses it."""

from functools import partial

import brainstate
import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Module, Param, init_maybe_prefetch

import brainmass_delays as brainmass

N = 4
CONN = np.array([[0, 1, 0.5, 0], [0.2, 0, 1, 0.3], [1, 0.4, 0, 0.8], [0.6, 0, 0.9, 0]])


def powerlaw(x, y, conn, k, p):
    """Return the coupling of plain numbers, units stripped."""
    d = u.get_magnitude(x()) - u.get_magnitude(y())[..., None]
    return k * jnp.sum(conn * jnp.sign(d) * jnp.abs(d) ** p, axis=-1)


class PowerLaw(Module):
    def __init__(self, x, y, conn, k=1.0, p=1.0):
        super().__init__()
        self.x, self.y = x, y
        self.conn, self.k, self.p = Param.init(conn), Param.init(k), Param.init(p)

    @brainstate.nn.call_order(2)
    def init_state(self, *args, **kwargs):
        init_maybe_prefetch(self.x)
        init_maybe_prefetch(self.y)

    def update(self):
        return powerlaw(self.x, self.y, self.conn.value(), self.k.value(), self.p.value())


class SmallNetwork(Module):
    def __init__(self, delay_time, k=0.5, p=1.5, **options):
        super().__init__()
        idx = brainmass.delay_index(N)
        self.node = brainmass.HopfStep(N, a=0.1, init_x=jnp.linspace(0.1, 0.4, N))
        src = self.node.prefetch_delay("x", (delay_time, idx), init=braintools.init.Constant(0.1), **options)
        tgt = self.node.prefetch("x")
        self.coupling = PowerLaw(src, tgt, CONN, k=k, p=p)

    def update(self):
        return self.node(self.coupling())


def run(net):
    return brainmass.Simulator(net, dt=0.1 * u.ms).run(40.0 * u.ms, monitors=lambda m: m.node.x.value)[
        "output"
    ]


@pytest.mark.parametrize("delay", [0.0, 1.0])
def test_the_recipe_written_for_brainmass_runs(delay):
    x = run(SmallNetwork(np.full((N, N), delay) * u.ms))
    assert x.shape == (400, 4)
    assert np.all(np.isfinite(x))


def test_delay_and_coupling_matter():
    runs = [
        run(SmallNetwork(np.full((N, N), d) * u.ms, k=k)) for d, k in ((0.0, 0.5), (1.0, 0.5), (1.0, 0.0))
    ]
    assert np.abs(runs[0] - runs[1]).max() > 1e-4
    assert np.abs(runs[1] - runs[2]).max() > 1e-3


def test_strength_exponent_and_speed_train():
    lengths = np.where(CONN > 0, 3.0 + np.arange(N), 0.0)
    speed = Param(2.03, fit=True)  # off the grid, where linear reads have one slope
    net = SmallNetwork(
        lambda: lengths / speed.value() * u.ms,
        k=Param(0.5, fit=True),
        p=Param(1.5, fit=True),
        max_delay=5 * u.ms,
    )
    params = {"k": net.coupling.k.val, "p": net.coupling.p.val, "speed": speed.val}

    @brainstate.transform.jit
    def loss():
        brainstate.nn.init_all_states(net)
        return jnp.sum(jnp.square(run(net)[-100:]))

    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(net)
        slopes = brainstate.transform.grad(loss, params)()
        for name, state in params.items():
            middle, step = state.value, 1e-6
            ends = []
            for shift in (step, -step):
                state.value = middle + shift
                ends.append(float(loss()))
            state.value = middle
            np.testing.assert_allclose(
                slopes[name], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, err_msg=name
            )
            assert slopes[name] != 0


def test_a_network_takes_the_same_class():
    node = brainmass.HopfStep(N, a=0.1, init_x=0.2)
    net = brainmass.Network(
        node, conn=CONN, lengths=np.full((N, N), 3.0), speed=3.0, coupling=PowerLaw, coupled_var="x", k=0.5
    )
    assert run(net).shape == (400, 4)


class Gained(brainmass.Coupling):
    def __init__(self, x, conn, k=1.0, gain=1.0):
        super().__init__({"x": x}, conn, k=k)
        self.gain = gain

    def update(self):
        return self.k.value() * self.gain * (self.weights() * self.x()).sum(-1)


def test_a_partial_of_a_class_is_called_as_the_class_is_and_keeps_what_it_sets():
    def x_of(**kwargs):
        node = brainmass.HopfStep(N, a=0.1, init_x=jnp.linspace(0.1, 0.4, N))
        return run(brainmass.Network(node, conn=CONN, delay=1.0 * u.ms, coupled_var="x", **kwargs))

    expected = x_of(coupling="diffusive", k=0.6)
    np.testing.assert_array_equal(x_of(coupling=partial(brainmass.DiffusiveCoupling, k=0.6)), expected)
    np.testing.assert_array_equal(x_of(coupling=partial(brainmass.DiffusiveCoupling), k=0.6), expected)
    expected = x_of(coupling=Gained, k=0.5)
    np.testing.assert_allclose(x_of(coupling=partial(Gained, gain=2.0), k=0.25), expected, rtol=0, atol=1e-6)
    with pytest.raises(brainmass.ArgumentError, match=r"Network\.k"):
        x_of(coupling=partial(brainmass.DiffusiveCoupling, k=0.6), k=0.3)
