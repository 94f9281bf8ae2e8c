"""What a network promises about units, batches, repeated runs, its bound, and connections that carry nothing."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError, HopfStep, KuramotoStep, Network, RunError, Simulator

N = 3
WEIGHTS = np.array([[0.0, 0.6, 0.3], [0.2, 0.0, 0.8], [0.5, 0.4, 0.0]])
LENGTHS = np.array([[0.0, 7.3, 11.9], [5.1, 0.0, 9.7], [13.3, 6.1, 0.0]])
X0 = np.array([0.3, -0.2, 0.5])
SPEED = u.mm / u.ms


def network(speed, lengths=LENGTHS * u.mm, weights=WEIGHTS, **options):
    return Network(
        HopfStep(N, a=0.2, w=0.3, init_x=X0, init_y=0.1),
        conn=weights,
        lengths=lengths,
        speed=speed,
        coupled_var="x",
        **{"k": 0.5, "coupling": "diffusive"} | options,
    )


def run(net, duration=8.0, dt=0.25, **options):
    return Simulator(net, dt=dt * u.ms).run(duration * u.ms, monitors=lambda m: m.node.x.value, **options)[
        "output"
    ]


@pytest.fixture(scope="module")
def plain():
    brainstate.environ.set(precision=64)
    return np.asarray(run(network(3.1)))


@pytest.mark.parametrize(
    ("speed", "lengths"),
    [
        (3.1 * u.meter / u.second, LENGTHS * u.mm),
        (3.1 * SPEED, LENGTHS / 10 * u.cmeter),
        (0.0031 * u.meter / u.ms, LENGTHS),
    ],
)
def test_units_are_a_matter_of_writing(plain, speed, lengths):
    np.testing.assert_allclose(run(network(speed, lengths)), plain, rtol=0, atol=1e-13)


def test_delays_in_seconds_or_milliseconds(plain):
    for delay in (LENGTHS / 3.1 * u.ms, LENGTHS / 3100 * u.second):
        net = Network(
            HopfStep(N, a=0.2, w=0.3, init_x=X0, init_y=0.1),
            conn=WEIGHTS,
            delay=delay,
            coupled_var="x",
            k=0.5,
        )
        np.testing.assert_allclose(run(net), plain, rtol=0, atol=1e-13)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("coupling", ["diffusive", "kuramoto"])
def test_a_batch_is_copies_of_one_run(batch_size, coupling):
    alone = np.asarray(run(network(3.1, coupling=coupling)))
    batched = run(network(3.1, coupling=coupling), batch_size=batch_size)
    assert batched.shape == (32, batch_size, N)
    np.testing.assert_allclose(batched, np.repeat(alone[:, None], batch_size, 1), rtol=0, atol=1e-13)


def test_speeds_under_vmap_equal_a_loop():
    speeds = jnp.array([2.7, 3.1, 4.3])

    def loss(speed):
        return (run(network(speed * SPEED, max_delay=8 * u.ms), 4.0) ** 2).mean()

    both = jax.value_and_grad(loss)
    values, slopes = jax.jit(jax.vmap(both))(speeds)
    one = jax.jit(both)
    for i, speed in enumerate(speeds):
        value, slope = one(speed)
        assert float(slope) != 0
        assert float(values[i]) == pytest.approx(float(value), rel=1e-12)
        assert float(slopes[i]) == pytest.approx(float(slope), rel=1e-10)


def test_a_hundred_speeds_and_repeated_runs_compile_once(compilations):
    speed = Param(3.1 * SPEED, fit=True)
    net = network(speed, max_delay=40 * u.ms)
    simulator = Simulator(net, dt=0.5 * u.ms)

    def end(value):
        speed.set_value(value * SPEED)
        return float(simulator.run(4 * u.ms, monitors=["x"])["x"][-1, 0])

    end(2.0), end(2.1)
    with compilations() as count:
        ends = [end(value) for value in np.linspace(2.0, 6.0, 20)]
    assert count() == 0
    assert np.unique(ends).size > 15


@pytest.mark.parametrize("rule", ["linear", "cubic", "hermite"])
def test_a_run_in_two_parts_is_the_run_and_a_reset_forgets_it(rule):
    net = network(3.1, interpolation=rule)
    whole = run(net)
    for first in (0.5, 3.0):  # the first part may end before or after the past is filled
        parts = [run(net, first), run(net, 8.0 - first, init_states=False)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(run(net), whole)


def test_another_step_resizes_the_past():
    """The delays keep their time: the same network, run at half the step, stays near, as a new one would."""
    net = network(3.1)
    run(net)
    fresh = network(3.1)
    np.testing.assert_array_equal(run(net, dt=0.125), run(fresh, dt=0.125))


def test_passing_the_bound_says_how_many_by_how_much_and_what_to_do():
    speed = Param(3.1 * SPEED, fit=True)
    net = network(speed, max_delay=5.0 * u.ms)
    run(net, 1.0)
    speed.set_value(2.0 * SPEED)  # 11.9 and 13.3 mm now take more than 5 ms
    with pytest.raises(
        (RunError, ArgumentError),
        match=r"2 of \d+ connections above the bound of 5 ms, up to 6.65 ms.*max_delay",
    ):
        run(net, 1.0)


def test_inside_a_trace_the_bound_is_a_flag_and_what_was_read_is_nan():
    def attempt(speed):
        result = Simulator(network(speed * SPEED, max_delay=5.0 * u.ms), dt=0.25 * u.ms).run(
            2 * u.ms, monitors=lambda m: m.node.x.value
        )
        return result["status"], result["output"]

    attempt = jax.jit(attempt)
    status, x = attempt(2.0)
    assert int(status) & 1 and np.isnan(x[-1]).any()
    status, x = attempt(3.1)
    assert int(status) == 0 and np.isfinite(x).all()


def test_a_delay_just_below_its_lower_bound_is_refused_however_large_the_upper_one():
    """Blocks are planned for the lower bound: what is read below it is not known yet."""
    delay = Param(np.full((3, 3), 8.0) * u.ms, fit=True)
    net = Network(
        HopfStep(3, init_x=0.3), conn=1 - np.eye(3), delay=delay, min_delay=1 * u.ms, max_delay=400 * u.ms,
        coupled_var="x", k=0.3,
    )  # fmt: skip
    sim = Simulator(net, dt=0.05 * u.ms)
    run = sim.function(2 * u.ms, monitors=["x"])
    status = jax.jit(lambda v: run({"delay": jnp.full((3, 3), v)})["status"])
    assert status(1.0) == 0 and status(1 - 1e-14) == 0
    assert status(0.999) != 0
    delay.set_value(np.full((3, 3), 0.999) * u.ms)
    with pytest.raises(ArgumentError, match="6 connections below their lower bound, by up to 0.001 ms"):
        sim.run(2 * u.ms)


@pytest.mark.parametrize("poison", [np.inf, np.nan])
@pytest.mark.parametrize("coupling", ["diffusive", "kuramoto"])
def test_connections_without_weight_may_have_any_delay(poison, coupling):
    weights, lengths = WEIGHTS.copy(), LENGTHS.copy()
    weights[0, 2] = 0.0
    poisoned = lengths.copy()
    poisoned[0, 2] = poison

    def gradient(lengths):
        speed = Param(3.1 * SPEED, fit=True)
        net = network(speed, lengths * u.mm, weights, coupling=coupling, max_delay=9 * u.ms)
        loss = lambda: (run(net, 3.0) ** 2).sum()  # noqa: E731
        slope, value = brainstate.transform.jit(
            brainstate.transform.grad(loss, speed.val, return_value=True)
        )()
        return float(value), float(u.get_magnitude(slope))

    assert gradient(poisoned) == pytest.approx(gradient(lengths), rel=1e-12)


def test_infinite_speed_is_no_delay():
    instant = Network(HopfStep(N, a=0.2, w=0.3, init_x=X0, init_y=0.1), conn=WEIGHTS, coupled_var="x", k=0.5)
    np.testing.assert_allclose(run(network(np.inf)), run(instant), rtol=0, atol=1e-14)


def test_a_delay_may_depend_on_time():
    """On a node that is a ramp, x = t, another that adds up what it hears tells the delay it heard it with."""

    def delay():
        t = brainstate.environ.get("t").to_decimal(u.ms)
        return (1.0 + 0.9 * jnp.sin(t)) * jnp.ones((2, 2)) * u.ms

    from brainmass_delays import LinearStep

    weights = np.array([[0.0, 0.0], [1.0, 0.0]])

    class Ramp(LinearStep):
        def derivative(self, state, t, drive):
            return (jnp.array([1.0, 0.0]) + drive[0],)

    net = Network(
        Ramp(2, init_x=np.zeros(2), method="euler"),
        conn=weights,
        delay=delay,
        coupling="additive",
        coupled_var="x",
        max_delay=2 * u.ms,
        delay_init=lambda t: t.to_decimal(u.ms) * jnp.ones(2),
    )
    x = np.asarray(Simulator(net, dt=0.1 * u.ms).run(4 * u.ms)["output"])
    t = 0.1 * np.arange(40)
    np.testing.assert_allclose(
        np.diff(x[:, 1], prepend=0.0) / 0.1, t - (1 + 0.9 * np.sin(t)), rtol=0, atol=1e-12
    )


def test_two_kuramoto_nodes_lock_at_the_known_frequency_with_the_known_slope():
    """Omega = w - G sin(Omega tau); its derivative in tau by reverse mode (Yeung and Strogatz 1999)."""
    w, strength, tau, duration = 1.0, 0.5, 1.3, 40.0

    def frequency(tau):
        net = Network(
            KuramotoStep(2, omega=w, init_theta=np.zeros(2), method="rk4"),
            conn=np.array([[0.0, 1.0], [1.0, 0.0]]),
            delay=Param(tau * u.ms),
            coupling="kuramoto",
            coupled_var="theta",
            k=strength,
            interpolation="hermite",
            max_delay=2 * u.ms,
            min_delay=1 * u.ms,
        )
        theta = Simulator(net, dt=0.05 * u.ms).run(duration * u.ms)["output"]
        return (theta[-1, 0] - theta[-201, 0]) / 10.0

    omega = w
    for _ in range(200):
        omega = w - strength * np.sin(omega * tau)
    slope = -strength * omega * np.cos(omega * tau) / (1 + strength * tau * np.cos(omega * tau))
    value, gradient = jax.jit(jax.value_and_grad(frequency))(tau)
    assert float(value) == pytest.approx(omega, abs=1e-6)
    assert float(gradient) == pytest.approx(slope, abs=1e-6)
