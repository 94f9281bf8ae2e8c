"""Patterns of Jacobians found in programs, columns probed together, and what a stiff solve makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError, RunError
from brainmass_delays.integrate import solve_dde, solve_ode
from brainmass_delays.integrate.sparsity import Coloring, detect

WEIGHTS = np.random.default_rng(0).normal(size=(6, 6)) * (np.random.default_rng(1).uniform(size=(6, 6)) < 0.4)
INDEX = jnp.array([2, 0, 1, 5, 4, 3])


def model(y):
    x, z = y[:6], y[6:]
    return jnp.concatenate([x - x**3 - z + jnp.asarray(WEIGHTS) @ x, jnp.where(x > 0, x, 0.0) - z])


# function of twelve numbers, and whether its pattern is found exactly; else it may be too full
FUNCTIONS = {
    "model": (model, False),
    "neighbors": (lambda y: jnp.roll(y, 1) - 2 * y + jnp.roll(y, -1), True),
    "indices": (lambda y: jnp.concatenate([jax.nn.relu(y[:6][INDEX]), y[6:] ** 2]), False),
    "one by one": (lambda y: jnp.stack([y[i] * y[(i + 1) % 12] for i in range(12)]), True),
    "edges": (lambda y: (jnp.asarray(WEIGHTS) * (y[None, :6] - y[:6, None])).sum(1).repeat(2), True),
    "einsum": (lambda y: jnp.concatenate([jnp.einsum("ij,j->i", jnp.asarray(WEIGHTS), y[:6]), y[6:]]), True),
    "batched": (lambda y: jnp.einsum("bij,bj->bi", jnp.ones((3, 4, 4)), y.reshape(3, 4)).ravel(), True),
    "set": (lambda y: y.at[jnp.array([1, 3])].set(y[1:3]), True),
    "add": (lambda y: y.at[3].add(y[1:3].sum()), True),
    "add twice": (lambda y: y.at[jnp.array([1, 1])].add(y[2:4]), False),
    "pad": (lambda y: jnp.pad(y[1:-1], 1) + jnp.pad(y[:4], (0, 8)), True),
    "update": (lambda y: jax.lax.dynamic_update_slice(y, y[:2], (5,)), True),
    "all": (jax.nn.softmax, True),
    "groups": (lambda y: jax.nn.logsumexp(y.reshape(6, 2), axis=1).repeat(2), True),
    "sorted": (jnp.sort, False),
    "loop": (lambda y: jax.lax.fori_loop(0, 3, lambda i, y: 1.1 * y, y), False),
    "nothing": (lambda y: jnp.ones(12), True),
    "place from the state": (lambda y: y[jnp.argmax(y)] + y, False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_pattern_misses_nothing(name):
    function, exact = FUNCTIONS[name]
    y = jnp.asarray(np.random.default_rng(2).normal(size=12))
    pattern, jacobian = detect(function, y), np.asarray(jax.jacfwd(function)(y))
    assert not np.any((jacobian != 0) & ~pattern)
    assert not exact or np.array_equal(jacobian != 0, pattern)
    assert exact or pattern.sum() <= 144


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_colors_and_expansion_give_the_jacobian_back(density):
    rng = np.random.default_rng(3)
    pattern = rng.uniform(size=(20, 20)) < density
    matrix = jnp.asarray(pattern * rng.normal(size=(20, 20)))
    found = Coloring.of(pattern)
    for color in range(found.n_colors):
        assert pattern[:, found.colors == color].sum(1).max() <= 1
    np.testing.assert_array_equal(found.expand(matrix @ found.directions(float).T), matrix)


def reaction(n):
    """Two substances that react and diffuse on a line, after E. Hairer, G. Wanner (1996), and a start."""

    def f(t, u, args):
        def spread(z, end):
            padded = jnp.pad(z, 1, constant_values=end)
            return (n + 1) ** 2 / 50 * (padded[2:] + padded[:-2] - 2 * z)

        x, y = u[:n], u[n:]
        return jnp.concatenate([1 + x**2 * y - 4 * x + spread(x, 1.0), 3 * x - x**2 * y + spread(y, 3.0)])

    return f, jnp.concatenate([1 + jnp.sin(2 * jnp.pi * jnp.arange(1, n + 1) / (n + 1)), 3 * jnp.ones(n)])


def test_a_sparse_jacobian_takes_as_many_evaluations_as_colors():
    n = 10
    f, start = reaction(n)
    pattern = np.asarray(jax.jacfwd(lambda u: f(0.0, u, None))(start)) != 0
    colored, dense = (solve_ode(f, start, 0.0, 1.0, method="radau5", sparsity=s) for s in (pattern, "dense"))
    np.testing.assert_array_equal(detect(lambda u: f(0.0, u, None), start), pattern)
    np.testing.assert_allclose(colored.ys, dense.ys, rtol=1e-12)
    attempts = dense.statistics.accepted + dense.statistics.rejected
    # an attempt takes 5 evaluations and, per iteration, 3 and 3 for each direction; the start takes 2
    iterations = [
        (int(s.statistics.evaluations) - 2 - 5 * int(attempts)) / (3 + 3 * n_directions)
        for s, n_directions in ((dense, 2 * n), (colored, Coloring.of(pattern).n_colors))
    ]
    assert iterations[0] == iterations[1] == int(iterations[0])
    assert colored.statistics.evaluations < 0.4 * dense.statistics.evaluations


def stiff_ring(t, u, delayed, args):
    return -50.0 * (u - jnp.cos(t + jnp.arange(6))) + 10.0 * jnp.roll(delayed, 1) * u


DELAYED = {
    "short": (stiff_ring, 0.02, {}),
    "edges": (
        lambda t, u, d, args: -50.0 * (u - jnp.cos(t)) + 10.0 * (jnp.eye(6, k=1) * d).sum(1),
        jnp.full((6, 6), 0.03), {"coupled": lambda u: u},
    ),
    "of the state": (stiff_ring, lambda t, u, args: 0.03 + 0.01 * u[0] ** 2, {"kinks": 0}),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [n if n == "short" else pytest.param(n, marks=pytest.mark.slow) for n in DELAYED]
)
def test_delays_are_part_of_the_pattern(name):
    """A delay that depends on the state makes all that it delays depend on that."""
    f, delays, options = DELAYED[name]
    colored, dense = (
        solve_dde(f, jnp.ones(6), 0.0, 0.5, delays, method="radau5", sparsity=s, **options)
        for s in ("detect", "dense")
    )
    np.testing.assert_allclose(colored.ys, dense.ys, rtol=1e-10)
    assert colored.statistics.accepted == dense.statistics.accepted
    assert colored.statistics.evaluations < 0.65 * dense.statistics.evaluations


@pytest.mark.parametrize("coupled", [False, True])
def test_a_delay_that_depends_on_the_state_fills_its_column(coupled):
    """u[0] reaches the slope of u[1] through the delay alone; a pattern without that entry is refused."""

    def f(t, u, delayed, args):
        return -u - (jnp.diagonal(delayed) if coupled else delayed)

    def delays(t, u, args):
        return 0.1 + u[0] ** 2 * (jnp.ones((2, 2)) if coupled else 1.0)

    options = {
        "method": "radau5",
        "coupled": (lambda u: u) if coupled else None,
        "max_delay": 3.0,
        "kinks": 0,
    }
    with pytest.raises(RunError, match="sparsity given lacks an entry"):
        solve_dde(f, np.ones(2), 0.0, 0.1, delays, sparsity=np.eye(2), **options)
    counts = [
        solve_dde(f, np.ones(2), 0.0, 0.1, delays, sparsity=s, **options).statistics.evaluations
        for s in ("detect", "dense", np.array([[1, 0], [1, 1]]))
    ]
    assert counts[0] == counts[1] == counts[2]


def test_a_pattern_with_holes_is_refused():
    f, start = reaction(3)
    with pytest.raises(RunError, match="sparsity given lacks an entry.*detect"):
        solve_ode(f, start, 0.0, 1.0, method="radau5", sparsity=np.eye(6))
    for sparsity, message in [
        (np.eye(3), "solve_ode.sparsity: must be 'detect', 'dense' or an array.*for 6 components"),
        ("sparse", "solve_ode.sparsity: must be 'detect', 'dense' or an array"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            solve_ode(f, start, 0.0, 1.0, method="radau5", sparsity=sparsity)
    with pytest.raises(ArgumentError, match="solve_ode.sparsity: is of use to method='radau5' only"):
        solve_ode(f, start, 0.0, 1.0, sparsity=np.ones((6, 6)))
