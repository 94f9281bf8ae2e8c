"""Coupling Modules: their kernels' numbers, trainable parts, and the sums a network may form itself."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest
from brainstate.nn import Param

from brainmass_delays import ArgumentError, couplings
from brainmass_delays.couplings import COUPLINGS, kernels, shapes
from brainmass_delays.nodes import HopfStep

every_coupling = pytest.mark.parametrize("name", COUPLINGS)
separable_coupling = pytest.mark.parametrize(
    "name", [name for name, c in COUPLINGS.items() if issubclass(c, couplings.SeparableCoupling)]
)
KERNELS = {
    name: getattr(kernels, f"{'hyperbolic_tangent' if name == 'tanh' else name}_coupling")
    for name in COUPLINGS
}


def sample():
    rng = np.random.default_rng(5)
    return tuple(
        jnp.asarray(a)
        for a in (rng.normal(size=(2, 4, 4)), rng.normal(size=(2, 4)), rng.uniform(size=(4, 4)))
    )


def made(name, x, y, w, k=0.8):
    """Return one coupling between constant reads."""
    return COUPLINGS[name].between(lambda: x, lambda: y, w, k=k)


@every_coupling
def test_module_and_kernel_agree(name):
    x, y, w = sample()
    coupling = made(name, x, y, w)
    reads = (x, y) if "y" in coupling.reads else (x,)
    np.testing.assert_allclose(coupling(), KERNELS[name](*reads, w, 0.8), rtol=1e-13, atol=1e-15)


@every_coupling
def test_defaults_of_module_and_kernel_agree(name):
    x, y, w = sample()
    has_target = "y" in made(name, x, y, w).reads
    module = COUPLINGS[name](lambda: x, lambda: y, w) if has_target else COUPLINGS[name](lambda: x, w)
    expected = KERNELS[name](x, y, w) if has_target else KERNELS[name](x, w)
    np.testing.assert_allclose(module(), expected, rtol=1e-13, atol=1e-15)


@separable_coupling
def test_separable_couplings_accept_ready_sums(name):
    x, y, w = sample()
    coupling = made(name, x, y, w)
    sums = tuple(jnp.einsum("ij,bij->bi", coupling.weights(), f) for f in coupling.features(x))
    np.testing.assert_allclose(coupling.combine(sums, y), coupling(), rtol=1e-13)


@every_coupling
def test_every_part_trains(name):
    x, y, w = sample()
    coupling = made(name, x, y, Param(w, fit=True), Param(0.8, fit=True))
    slopes = brainstate.transform.grad(lambda: coupling().sum(), coupling.states(brainstate.ParamState))()
    step = 1e-6
    ends = [total_input(name, x, y, w, 0.8 + s) for s in (step, -step)]
    np.testing.assert_allclose(slopes["k", "val"], (ends[0] - ends[1]) / (2 * step), rtol=1e-7)
    assert np.all(np.asarray(slopes["conn", "val"]) != 0)


def total_input(name, x, y, w, k):
    """Return the sum over targets for one strength."""
    return float(made(name, x, y, w, k)().sum())


def test_a_strength_per_target_applies_per_target():
    x, y, w = sample()
    k = jnp.arange(4.0)
    for name in COUPLINGS:
        np.testing.assert_allclose(
            made(name, x, y, w, k)()[:, 2], made(name, x, y, w, 2.0)()[:, 2], rtol=1e-13
        )


def test_an_exponent_per_target_applies_per_target():
    x, y, w = sample()
    result = kernels.powerlaw_coupling(x, y, w, 1.0, jnp.array([0.5, 1.0, 1.5, 2.0]))
    for i, p in enumerate([0.5, 1.0, 1.5, 2.0]):
        np.testing.assert_allclose(result[:, i], kernels.powerlaw_coupling(x, y, w, 1.0, p)[:, i], rtol=1e-13)


def test_reads_of_brainstate_are_registered_after_the_states_exist():
    node = HopfStep(3, init_x=0.5)
    source = brainstate.nn.Dynamics.prefetch(node, "x")
    coupling = couplings.DiffusiveCoupling(lambda: jnp.ones((3, 3)), source, np.ones((3, 3)))
    holder = brainstate.nn.Module()
    holder.coupling, holder.node = coupling, node
    brainstate.nn.init_all_states(holder)
    np.testing.assert_allclose(coupling(), 3 * 0.5)


BAD = [
    (
        "a value for a read",
        lambda: couplings.AdditiveCoupling(np.ones((2, 2)), np.ones((2, 2))),
        "AdditiveCoupling.x: must be a read",
    ),
    (
        "a value for a target",
        lambda: couplings.KuramotoCoupling(lambda: 1.0, 3.0, np.ones((2, 2))),
        "KuramotoCoupling.y: must be a read",
    ),
    (
        "three axes of weights",
        lambda: couplings.AdditiveCoupling(lambda: 1.0, np.ones((2, 2, 2))),
        r"AdditiveCoupling.conn: must have shape \(N, K\)",
    ),
    (
        "no weights",
        lambda: couplings.AdditiveCoupling(lambda: 1.0, None),
        "AdditiveCoupling.conn: must be a number",
    ),
    (
        "a text as strength",
        lambda: couplings.AdditiveCoupling(lambda: 1.0, np.ones((2, 2)), k="strong"),
        "AdditiveCoupling.k: must be a number",
    ),
    (
        "an unknown normalization",
        lambda: couplings.LaplacianCoupling(lambda: 1.0, lambda: 1.0, np.ones((2, 2)), normalize="row"),
        "LaplacianCoupling.normalize: must be one of 'none', 'rw', 'sym'; got 'row'. Did you mean 'rw'",
    ),
    (
        "symmetric lists",
        lambda: kernels.laplacian_coupling(np.ones((3, 2)), np.ones(3), np.ones((3, 2)), 1.0, "sym"),
        "laplacian_coupling.normalize: must be 'none' or 'rw' for neighbor lists",
    ),
    (
        "a source of the wrong shape",
        lambda: kernels.additive_coupling(np.ones((3, 5)), np.ones((4, 4))),
        r"additive_coupling.delayed_x: must have shape \(..., 4, 4\) or \(..., 16\); got \(3, 5\)",
    ),
    (
        "an instantaneous source",
        lambda: kernels.additive_coupling(np.ones(4), np.ones((4, 4))),
        "prefetch_delay",
    ),
    (
        "a scalar target",
        lambda: kernels.diffusive_coupling(np.ones((2, 2)), 1.0, np.ones((2, 2))),
        r"diffusive_coupling.y: must have shape \(..., N\)",
    ),
    (
        "rows that do not match",
        lambda: kernels.diffusive_coupling(np.ones((2, 2)), np.ones(3), np.ones((2, 2))),
        "diffusive_coupling.conn: must have one row per target, 3",
    ),
    (
        "a flat length that does not divide",
        lambda: kernels.diffusive_coupling(np.ones(8), np.ones(3), np.ones(8)),
        "diffusive_coupling.conn: must have 3 rows when flattened; got length 8",
    ),
    (
        "a flat length without a target",
        lambda: kernels.additive_coupling(np.ones(8), np.ones(8)),
        "additive_coupling.conn: must be square when flattened; got length 8",
    ),
    (
        "phases with a unit",
        lambda: kernels.kuramoto_coupling(np.ones((2, 2)) * u.mV, np.ones(2) * u.mV, np.ones((2, 2))),
        "kuramoto_coupling",
    ),
]


@pytest.mark.parametrize("call, message", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_weights_of_a_flattened_matrix_are_square():
    assert shapes.weight_matrix("here", np.ones(9)).shape == (3, 3)
