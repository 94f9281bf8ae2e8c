"""Powers of arrays by exponential and logarithm, against ``**``."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import HopfStep, Network, Simulator
from brainmass_delays.couplings import Coupling
from brainmass_delays.engine.powers import evaluate, power

BASES = np.array([-3.7, -1.0, -1e-3, 0.0, 1e-9, 0.3, 1.0, 2.5, 4e5, np.inf])
EXPONENTS = np.array([-3.0, -2.0, -1.5, 0.0, 0.4, 1.0, 1.5, 2.0, 2.7, 5.0])


@pytest.mark.parametrize("p", EXPONENTS)
def test_values_and_derivatives_are_those_of_the_operator(p):
    """For negative numbers, zero and infinity, too; by forward and by reverse mode."""
    x, p = jnp.asarray(BASES), jnp.full(BASES.shape, p)
    expected, got = (jax.jit(lambda x, p, f=f: f(x, p))(x, p) for f in (jnp.power, power))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    finite = np.isfinite(BASES) & (BASES != 0)
    x, p = x[finite], p[finite]
    for derivative in (jax.jacfwd, jax.jacrev):
        for argument in (0, 1):
            want, found = (derivative(f, argument)(x, p).diagonal() for f in (jnp.power, power))
            np.testing.assert_allclose(found, want, rtol=1e-11)


@pytest.mark.parametrize("p", [-1.5, 0.0, 0.4, 1.0, 1.5, 2.0])
def test_slopes_at_zero_are_those_of_the_operator(p):
    want, found = (
        jax.grad(lambda x, f=f: f(x, jnp.asarray(p)))(jnp.asarray(0.0)) for f in (jnp.power, power)
    )
    np.testing.assert_equal(float(found), float(want))


@pytest.mark.parametrize("p", [2.0, 3.0, 2.5])
def test_second_derivatives_at_zero_are_those_of_the_operator(p):
    """Regions that are synchronous differ by 0."""
    for second in (jax.hessian, lambda f: jax.grad(jax.grad(f)), lambda f: jax.jacfwd(jax.jacfwd(f))):
        want, found = (
            second(lambda x, f=f: f(x, jnp.asarray(p)))(jnp.asarray(0.0)) for f in (jnp.power, power)
        )
        np.testing.assert_equal(float(found), float(want))


def test_second_derivatives_are_those_of_the_operator():
    x, p = jnp.asarray([0.3, 1.7]), jnp.asarray([1.4, -0.6])
    want, found = (jax.hessian(lambda x, p, f=f: f(x, p).sum(), (0, 1))(x, p) for f in (jnp.power, power))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-11), want, found)


def test_programs_with_powers_compute_what_they_say():
    """Whether the power stands in the open, in a function of its own, in a branch, a loop, or a rule."""

    @jax.custom_jvp
    def ruled(x):
        return x**1.7

    ruled.defjvp(lambda primals, tangents: (ruled(*primals), 7 * tangents[0]))

    def function(x, p):
        inner = jax.jit(lambda x: jnp.abs(x) ** p + x**3)(x)
        branch = jax.lax.cond(x[0] > 0, lambda x: x**1.2, lambda x: x, x)
        loop = jax.lax.fori_loop(0, 2, lambda i, x: x**1.1, x)
        return x**p + x**2.0 + x**0.5 + inner + branch + loop + ruled(x) + p**1.5

    x, p = jnp.asarray([0.4, 1.9]), jnp.asarray(1.3)
    program = jax.make_jaxpr(function)(x, p)

    def evaluated(x, p):
        return evaluate(program.jaxpr, program.consts, x, p)[0]

    assert " pow " not in str(jax.make_jaxpr(lambda x, p: evaluate(*_traced(jnp.power, x, p), x, p)[0])(x, p))
    np.testing.assert_allclose(evaluated(x, p), function(x, p), rtol=1e-13)
    for derivative in (jax.jacfwd, jax.jacrev):
        np.testing.assert_allclose(derivative(evaluated)(x, p), derivative(function)(x, p), rtol=1e-12)


def _traced(function, *arguments):
    program = jax.make_jaxpr(function)(*arguments)
    return program.jaxpr, program.consts


class Own(Coupling):
    """Raise negative differences, too."""

    def __init__(self, x, y, conn):
        super().__init__({"x": x, "y": y}, conn)

    def update(self):
        difference = self.x() - self.y()[..., None]
        return 0.01 * (self.weights() * (difference**5.0 + jnp.abs(difference) ** 1.4)).sum(-1)


def test_a_run_with_powers_equals_one_by_hand():
    def network():
        net = Network(
            HopfStep(3, a=0.1, w=0.2, init_x=[0.5, -0.4, 0.1], init_y=0.0),
            conn=np.ones((3, 3)) - np.eye(3),
            lengths=np.full((3, 3), 8.0) * u.mm,
            speed=4.0 * u.mm / u.ms,
            coupled_var="x",
            coupling=Own,
            max_delay=3 * u.ms,
        )
        with brainstate.environ.context(dt=0.1 * u.ms):
            brainstate.nn.init_all_states(net)
        return net

    found = Simulator(network(), dt=0.1 * u.ms).run(10 * u.ms, monitors=["x"])["x"]
    net = network()

    def step(i):
        with brainstate.environ.context(i=i, t=i * 0.1 * u.ms, dt=0.1 * u.ms):
            net.update()
            return net.node.x.value

    expected = brainstate.transform.for_loop(step, np.arange(100))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.ptp(found) > 0.1
