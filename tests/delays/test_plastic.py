"""Delays that learn: closed forms, an independent loop, one meaning however they are run, gradients."""

import copy
import pickle

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, KuramotoStep, Network, Param, PlasticDelay, RunError, Simulator

DT = 0.1 * u.ms
W = np.array([[0.0, 1.0, 0.5], [0.8, 0.0, 1.0], [0.3, 1.0, 0.0]])
BASE = np.array([[1.0, 3.0, 4.0], [2.5, 1.0, 5.0], [3.5, 4.5, 1.0]])
START = np.array([0.0, 0.7, -0.9])
OMEGA = np.array([0.30, 0.33, 0.27])


def rule_of(rate, kappa):
    def rule(tau, source, target):
        return rate.value() * (BASE - tau / u.ms + kappa.value() * jnp.sin(source - target))

    return rule


def network(rate=0.1, kappa=0.8, initial=None, fit=False, **options):
    rule = rule_of(Param(rate, fit=fit), Param(kappa, fit=fit))
    delay = PlasticDelay(
        BASE * u.ms if initial is None else initial, rule, max_delay=8 * u.ms, min_delay=1 * u.ms
    )
    node = KuramotoStep(3, omega=OMEGA, init_theta=START)
    given = {
        "conn": W,
        "coupled_var": "theta",
        "coupling": "kuramoto",
        "k": 0.3,
        "delay_init": lambda t: START + OMEGA * t / u.ms,
    }
    return Network(node, delay=delay, **given | options)


MONITORS = {"theta": lambda net: net.node.theta.value, "tau": lambda net: net.delay() / u.ms}


def run(net, duration=20.0, dt=DT, **options):
    return Simulator(net, dt).run(duration * u.ms, monitors=MONITORS, **options)


def test_an_independent_loop_finds_the_same():
    """Heun's method, linear reads, delays at the stages' own values."""
    h, n, past = 0.1, 200, 200
    theta = [START + OMEGA * h * (i - past) for i in range(past + 1)]
    tau, taus = BASE.copy(), []

    def rates(x, tau, time):
        """Sines and cosines are what is read between samples, as the coupling sums them."""
        drive = np.zeros(3)
        for i in range(3):
            for j in range(3):
                at = (time - tau[i, j]) / h + past
                k = int(np.floor(at + 1e-9))
                share = max(at - k, 0.0)
                pair = theta[k][j], theta[min(k + 1, len(theta) - 1)][j]
                sine, cosine = ((1 - share) * f(pair[0]) + share * f(pair[1]) for f in (np.sin, np.cos))
                drive[i] += 0.3 * W[i, j] * (sine * np.cos(x[i]) - cosine * np.sin(x[i]))
        return OMEGA + drive, 0.1 * (BASE - tau + 0.8 * np.sin(x[None, :] - x[:, None]))

    for step in range(n):
        x = theta[-1]
        a, b = rates(x, tau, step * h)
        c, d = rates(x + h * a, tau + h * b, (step + 1) * h)
        theta.append(x + h / 2 * (a + c))
        tau = tau + h / 2 * (b + d)
        taus.append(tau)
    found = run(network())
    np.testing.assert_allclose(found["theta"], theta[past + 1 :], rtol=0, atol=1e-10)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(found["tau"][:, off], np.asarray(taus)[:, off], rtol=0, atol=1e-10)


def test_it_relaxes_as_the_closed_form():
    net = network(kappa=0.0, initial=2.0 * u.ms)
    t = 0.1 * np.arange(1, 201)[:, None, None]
    np.testing.assert_allclose(run(net)["tau"], BASE + (2.0 - BASE) * np.exp(-0.1 * t), atol=2e-5)


def test_the_order_is_that_of_the_method():
    def end(dt):
        found = run(network(interpolation="hermite"), 8.0, dt * u.ms)
        return np.concatenate([np.ravel(found[name][-1]) for name in MONITORS])

    exact = end(0.003125)
    errors = [np.abs(end(dt) - exact).max() for dt in (0.1, 0.05)]
    assert 1.9 < np.log2(errors[0] / errors[1]) < 2.4, errors


def test_steps_by_hand_blocks_and_parts_are_one_run():
    whole = run(network())
    single = run(network(block=1))
    net = network()
    sim = Simulator(net, DT)
    parts = [sim.run(t * u.ms, monitors=MONITORS, init_states=t == 7) for t in (7, 4, 9)]
    hand = network()

    def step(i):
        with brainstate.environ.context(i=i, t=i * DT):
            hand.update()
            return hand.node.theta.value, hand.delay() / u.ms

    with brainstate.environ.context(dt=DT):
        brainstate.nn.init_all_states(hand)
        first = [step(i) for i in range(10)]  # the others in one program
        rest = brainstate.transform.for_loop(step, np.arange(10, 200))
    for k, name in enumerate(MONITORS):
        np.testing.assert_allclose(single[name], whole[name], rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.concatenate([p[name] for p in parts]), whole[name], rtol=0, atol=1e-12)
        by_hand = np.concatenate([[row[k] for row in first], rest[k]])
        np.testing.assert_allclose(by_hand, whole[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_learn_on_their_own(how):
    net = network()
    first = run(net)
    other = how(net)
    np.testing.assert_array_equal(run(other)["tau"], first["tau"])
    other.projections["projection"].delay.params["rate"].value = 0.5
    assert np.abs(run(other)["tau"] - first["tau"]).max() > 0.01
    np.testing.assert_array_equal(run(net)["tau"], first["tau"])


def test_the_gradient_through_50_ms_is_that_of_central_differences():
    net = network(fit=True, initial=Param(BASE * u.ms))
    function = Simulator(net, DT).function(50 * u.ms, monitors=MONITORS)

    def loss(rate, kappa, initial):
        found = function({"rate": rate, "kappa": kappa, "initial": initial * u.ms})
        return jnp.sum(jnp.sin(found["theta"][-1])) + jnp.sum(found["tau"][-1] * W)

    loss, at = jax.jit(loss), (0.1, 0.8, jnp.asarray(BASE) + 0.0137)
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*at)
    e = 1e-5
    for k in (0, 1):
        low, high = ([*at[:k], at[k] + s * e, *at[k + 1 :]] for s in (-1, 1))
        np.testing.assert_allclose(gradient[k], (loss(*high) - loss(*low)) / (2 * e), rtol=1e-5)
    step = e * jnp.zeros((3, 3)).at[0, 1].set(1.0)
    difference = (loss(*at[:2], at[2] + step) - loss(*at[:2], at[2] - step)) / (2 * e)
    np.testing.assert_allclose(gradient[2][0, 1], difference, rtol=1e-5)


def test_a_delay_that_leaves_its_bounds_is_flagged():
    net = network(rate=1.0, kappa=0.0)
    net.projections["projection"].delay.rule = lambda tau, x, y: 1.0
    with pytest.raises(RunError, match="delay"):
        run(net)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PlasticDelay(2.0, lambda a, b, c: a, max_delay=5 * u.ms), "PlasticDelay.initial"),
        (lambda: PlasticDelay(2.0 * u.ms, lambda a, b, c: a), "max_delay: is required"),
        (
            lambda: PlasticDelay(2.0 * u.ms, lambda a: a, max_delay=5 * u.ms),
            r"rule: must be a function of \(delay",
        ),
        (lambda: PlasticDelay(9.0 * u.ms, lambda a, b, c: a, max_delay=5 * u.ms), "must not pass max_delay"),
        (lambda: PlasticDelay(-1.0 * u.ms, lambda a, b, c: a, max_delay=5 * u.ms), "not negative"),
        (lambda: network(stages="middle"), "must not be 'middle'"),
        (lambda: network(initial=np.ones(4) * u.ms), "initial: must be a scalar or have shape"),
        (lambda: Simulator(network(), DT).run(1 * u.ms, batch_size=2), "batch_size: must be None"),
        (lambda: run(network_with(lambda tau, x, y: x * u.mV)), "rule"),
    ],
)
def test_what_cannot_learn_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def network_with(rule):
    delay = PlasticDelay(2.0 * u.ms, rule, max_delay=8 * u.ms)
    return Network(KuramotoStep(3, omega=OMEGA, init_theta=START), delay=delay, conn=W, coupled_var="theta")


def test_one_object_belongs_to_one_projection():
    delay = PlasticDelay(2.0 * u.ms, lambda a, b, c: 0.0, max_delay=5 * u.ms)
    Network(KuramotoStep(3, omega=OMEGA), delay=delay, conn=W, coupled_var="theta")
    with pytest.raises(ArgumentError, match="must belong to one projection"):
        Network(KuramotoStep(3, omega=OMEGA), delay=delay, conn=W, coupled_var="theta")
