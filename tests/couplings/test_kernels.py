"""Kernels against loops and brainmass, gradients against central differences, zero weights."""

import brainunit as u
import coupling_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays.couplings import kernels
from brainmass_delays.couplings.kernels.phase import sine_and_cosine

pytestmark = pytest.mark.usefixtures("strict_promotion")

PAIRWISE = {"diffusive", "powerlaw", "kuramoto", "laplacian"}
CASES = {
    "additive": (kernels.additive_coupling, {"k": 0.7, "b": 0.3}),
    "diffusive": (kernels.diffusive_coupling, {"k": 0.7}),
    "powerlaw": (kernels.powerlaw_coupling, {"k": 0.7, "p": 0.6}),
    "kuramoto": (kernels.kuramoto_coupling, {"k": 0.7, "alpha": 0.2}),
    "sigmoidal": (kernels.sigmoidal_coupling, {"k": 0.7, "a": 1.1, "b": 0.2, "slope": 0.9, "midpoint": 0.4}),
    "tanh": (kernels.hyperbolic_tangent_coupling, {"k": 0.7, "scale": 1.3}),
    "sigmoidal_jansen_rit": (
        kernels.sigmoidal_jansen_rit_coupling,
        {"k": 70.0, "cmin": 0.001, "cmax": 0.006, "midpoint": 0.5, "r": 0.8},
    ),
    "laplacian": (kernels.laplacian_coupling, {"k": 0.7}),
}
every_kernel = pytest.mark.parametrize("name", CASES)


def sample(shape=(), n=5, k=None, seed=3):
    """Return a source, a target and directed weights of which a third are zero."""
    rng = np.random.default_rng(seed)
    k = n if k is None else k
    w = rng.uniform(0.1, 1.0, (n, k)) * (rng.uniform(size=(n, k)) > 0.33)
    w[:, 0] = 0.5
    return rng.normal(size=(*shape, n, k)), rng.normal(size=(*shape, n)), w


def call(name, x, y, w, **params):
    """Call one kernel, with the target where it takes one."""
    kernel, defaults = CASES[name]
    reads = (x, y) if name in PAIRWISE else (x,)
    return kernel(*reads, w, **{**defaults, **params})


@every_kernel
@pytest.mark.parametrize("shape", [(), (3,)])
def test_value_is_that_of_a_loop(name, shape):
    x, y, w = sample(shape)
    expected = getattr(oracle, name)(x, y, w, **CASES[name][1])
    np.testing.assert_allclose(
        call(name, jnp.asarray(x), jnp.asarray(y), jnp.asarray(w)), expected, rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("normalize", ["rw", "sym"])
def test_normalized_laplacian_is_that_of_a_loop(normalize):
    x, y, w = sample()
    result = kernels.laplacian_coupling(x, y, w, 0.7, normalize)
    np.testing.assert_allclose(result, oracle.laplacian(x, y, w, 0.7, normalize), rtol=1e-13)


@pytest.mark.parametrize("normalize", ["none", "rw", "sym"])
def test_a_region_without_connections_receives_nothing(normalize):
    x, y, w = sample()
    w[2] = 0.0
    assert kernels.laplacian_coupling(x, y, w, 1.0, normalize)[2] == 0.0


@every_kernel
def test_flattened_arguments_and_reads_change_nothing(name):
    x, y, w = map(jnp.asarray, sample((2,)))
    expected = call(name, x, y, w)
    flat = call(name, lambda: x.reshape(2, -1), lambda: y, w.reshape(-1))
    np.testing.assert_array_equal(flat, expected)


@every_kernel
def test_padded_neighbor_lists_equal_the_full_matrix(name):
    x, y, w = sample((2,))
    neighbors = [np.flatnonzero(row) for row in w]
    width = max(map(len, neighbors)) + 1
    index = np.array([np.pad(row, (0, width - len(row))) for row in neighbors])
    used = np.array([np.arange(width) < len(row) for row in neighbors])
    packed_w = np.where(used, np.take_along_axis(w, index, 1), 0.0)
    packed_x = np.take_along_axis(x, np.broadcast_to(index, (2, *index.shape)), 2)
    np.testing.assert_allclose(call(name, packed_x, y, packed_w), call(name, x, y, w), rtol=1e-13)


@every_kernel
def test_gradient_equals_central_differences(name):
    x, y, w = sample((2,))
    arguments = {"x": x, "y": y, "w": w, **CASES[name][1]}

    def loss(a):
        return jnp.sum(jnp.sin(call(name, a["x"], a["y"], a["w"], **{p: a[p] for p in CASES[name][1]})))

    gradient = jax.grad(loss)({key: jnp.asarray(value, float) for key, value in arguments.items()})
    for key, value in arguments.items():
        flat = np.array(value, float).reshape(-1)
        slope = np.zeros_like(flat)
        for i in range(flat.size):
            step = np.zeros_like(flat)
            step[i] = 1e-5
            ends = [loss({**arguments, key: (flat + s).reshape(np.shape(value))}) for s in (step, -step)]
            slope[i] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(np.ravel(gradient[key]), slope, rtol=1e-6, atol=1e-9, err_msg=key)


@every_kernel
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_source_behind_a_zero_weight_poisons_nothing(name, poison):
    x, y, w = sample((2,))
    w[1, 2] = w[4, 3] = 0.0
    clean = call(name, jnp.asarray(x), y, w)
    x[..., 1, 2] = x[..., 4, 3] = poison
    np.testing.assert_array_equal(call(name, jnp.asarray(x), y, w), clean)
    slopes = jax.grad(lambda *a: call(name, *a).sum(), (0, 1, 2))(
        jnp.asarray(x), jnp.asarray(y), jnp.asarray(w)
    )
    assert all(np.all(np.isfinite(s)) for s in slopes)
    assert np.all(slopes[0][..., 1, 2] == 0)


@every_kernel
def test_a_zero_weight_keeps_its_gradient(name):
    x, y, w = sample()
    w[1, 2] = 0.0
    assert jax.grad(lambda w: call(name, x, y, w).sum())(jnp.asarray(w))[1, 2] != 0


@pytest.mark.parametrize("p, slope", [(0.3, 0.0), (1.0, 1.0), (1.7, 0.0)])
def test_power_law_has_a_finite_gradient_at_zero(p, slope):
    gradient = jax.grad(kernels.signed_power, (0, 1))(0.0, p)
    assert gradient == (slope, 0.0)
    assert kernels.signed_power(0.0, p) == 0.0


@given(st.floats(1e-12, 1e6), st.floats(0.05, 4.0), st.sampled_from([1, -1]))
@settings(max_examples=50, deadline=None)
def test_power_law_is_exact_away_from_zero(size, p, sign):
    value, (slope, slope_p) = jax.value_and_grad(kernels.signed_power, (0, 1))(sign * size, p)
    np.testing.assert_allclose(value, sign * size**p, rtol=1e-13)
    np.testing.assert_allclose(slope, p * size ** (p - 1), rtol=1e-12)
    np.testing.assert_allclose(slope_p, sign * size**p * np.log(size), rtol=1e-12, atol=1e-300)


def test_power_one_is_the_diffusive_coupling_gradient_included():
    x, y, w = map(jnp.asarray, sample())
    x = x.at[0, 1].set(y[0])
    both = [
        jax.value_and_grad(lambda x, f=f: jnp.sin(f(x, y, w, 0.7)).sum())(x)
        for f in (kernels.powerlaw_coupling, kernels.diffusive_coupling)
    ]
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-13)
    np.testing.assert_allclose(both[0][1], both[1][1], rtol=1e-12, atol=1e-15)


@every_kernel
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_permuting_regions_permutes_the_result(name, seed):
    x, y, w = sample(n=4, seed=seed)
    order = np.random.default_rng(seed).permutation(4)
    permuted = call(name, x[np.ix_(order, order)], y[order], w[np.ix_(order, order)])
    np.testing.assert_allclose(permuted, call(name, x, y, w)[order], rtol=1e-12)


@pytest.mark.parametrize("name", ["additive", "diffusive", "powerlaw", "laplacian"])
def test_units_travel_through_couplings_of_one_degree(name):
    x, y, w = sample()
    params = {"b": 0.3 * u.mV} if name == "additive" else {}
    with_unit = call(name, x * 1e-3 * u.volt, y * u.mV, w, **params)
    assert u.get_unit(with_unit).has_same_dim(u.mV)
    np.testing.assert_allclose(with_unit.to_decimal(u.mV), call(name, x, y, w), rtol=1e-12)


def test_units_of_the_strength_multiply():
    x, y, w = sample()
    result = kernels.kuramoto_coupling(x, y, w, 2.0 * u.Hz)
    np.testing.assert_allclose(result.to_decimal(u.Hz), kernels.kuramoto_coupling(x, y, w, 2.0), rtol=1e-13)


@pytest.mark.parametrize("name", ["additive", "diffusive", "sigmoidal", "tanh", "sigmoidal_jansen_rit"])
def test_value_is_that_of_brainmass(name):
    brainmass = pytest.importorskip("brainmass")
    x, y, w = map(jnp.asarray, sample((2,)))
    kernel, params = CASES[name]
    reads = (x, y) if name in PAIRWISE else (x,)
    with jax.numpy_rank_promotion("allow"):
        theirs = getattr(brainmass, kernel.__name__)(*reads, w, **params)
    np.testing.assert_allclose(call(name, x, y, w), theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("normalize", ["none", "rw", "sym"])
def test_laplacian_is_that_of_brainmass(normalize):
    brainmass = pytest.importorskip("brainmass")
    x, _, w = map(jnp.asarray, sample())
    matrix = brainmass.laplacian_connectivity(w, normalize=None if normalize == "none" else normalize)
    theirs = (matrix * x).sum(-1)
    ours = kernels.laplacian_coupling(x, jnp.diagonal(x), w, 1.0, normalize)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(("largest", "most"), [(3.2, 2e-7), (1e4, 2e-7), (1e6, 0.0625)])
def test_sine_and_cosine_in_single_precision(largest, most):
    x = np.random.default_rng(0).uniform(-largest, largest, 100_000).astype(np.float32)
    sine, cosine = sine_and_cosine(jnp.asarray(x))
    assert sine.dtype == cosine.dtype == jnp.float32
    assert np.abs(np.asarray(sine) - np.sin(x.astype(float))).max() < most
    assert np.abs(np.asarray(cosine) - np.cos(x.astype(float))).max() < most


def test_sine_and_cosine_of_any_number():
    """Exact to rounding in double precision; bounded, NaN stays NaN in single; the derivative is the other."""
    x = np.linspace(-50.0, 50.0, 1001)
    np.testing.assert_array_equal(sine_and_cosine(jnp.asarray(x)), [jnp.sin(x), jnp.cos(x)])
    huge = jnp.asarray([1e8, -3e20, jnp.nan, jnp.inf], jnp.float32)
    for values in sine_and_cosine(huge):
        assert np.abs(values[:2]).max() <= 2
        assert np.isnan(values[2:]).all()
    for dtype in (jnp.float32, jnp.float64):
        point = jnp.asarray(2.5, dtype)
        for n, slope in enumerate((np.cos(2.5), -np.sin(2.5))):
            np.testing.assert_allclose(
                jax.grad(lambda x, n=n: sine_and_cosine(x)[n])(point), slope, rtol=1e-6
            )
            np.testing.assert_allclose(
                jax.hessian(lambda x, n=n: sine_and_cosine(x)[n])(point),
                -sine_and_cosine(point)[n],
                rtol=1e-6,
            )
