"""Agreement with another program's numbers, to the tolerances stated with them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pc_cases import ARRAYS, case, entries, mlp, parameter_gradients, preactivation_mlp

from brainmass_delays.predictive import (
    compute_activity_grad,
    compute_hpc_param_grads,
    compute_pc_param_grads,
    hpc_energy,
    init_activities_with_amort,
    init_activities_with_ffwd,
    linear_energy_rescaling,
    make_skip_model,
    neg_activity_grad,
    pc_energy,
    solve_inference,
    update_activities,
)

EVALUATED = ["A/rand", "A/init", "B/rand", "B/init", "E/rand"]


def near(found, golden, tolerance=1e-9):
    """Compare arrays or lists of arrays absolutely."""
    found, golden = jax.tree.leaves(found), jax.tree.leaves(golden)
    assert len(found) == len(golden) > 0
    for a, b in zip(found, golden, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def gradients_near(layers, prefix, tolerance=1e-9):
    """Compare the gradients of dense layers with the golden ones."""
    for layer, (weight, bias) in zip(layers, parameter_gradients(prefix, len(layers)), strict=True):
        near(layer.weight, weight, tolerance)
        if bias is not None:
            near(layer.bias, bias, tolerance)


@pytest.mark.parametrize("point", EVALUATED)
def test_energies_and_gradients(point):
    params, y, x, loss_id = case(point[0])
    prefix = f"head/{point}"
    activities = entries(f"{prefix}/activities")
    near(pc_energy(params, activities, y, x, loss_id), ARRAYS[f"{prefix}/energy"])
    near(pc_energy(params, activities, y, x, loss_id, record_layers=True), ARRAYS[f"{prefix}/layer_energies"])
    energy, grads = compute_activity_grad(params, activities, y, x, loss_id)
    near(energy, ARRAYS[f"{prefix}/energy"])
    near(grads, entries(f"{prefix}/act_grad"))
    near(
        neg_activity_grad(0.0, activities, (params, y, x, loss_id, None)),
        [-g for g in entries(f"{prefix}/act_grad")],
    )
    gradients_near(compute_pc_param_grads(params, activities, y, x, loss_id)[0], f"{prefix}/param_grad")


@pytest.mark.parametrize("point", ["init", "rand"])
def test_older_convention_is_twice_ours(point):
    params, y, x, _ = case("A")
    prefix = f"v001/A/{point}"
    activities = entries(f"{prefix}/activities")
    near(2 * pc_energy(params, activities, y, x), ARRAYS[f"{prefix}/energy"])
    near(2 * pc_energy(params, activities, y, x, record_layers=True), ARRAYS[f"{prefix}/layer_energies"])
    near([2 * g for g in compute_activity_grad(params, activities, y, x)[1]], entries(f"{prefix}/act_grad"))
    grads, _ = compute_pc_param_grads(params, activities, y, x)
    gradients_near(jax.tree.map(lambda g: 2 * g, grads), f"{prefix}/param_grad")


@pytest.mark.parametrize("name", ["A", "B", "E"])
def test_feedforward_initialization(name):
    params, _, x, _ = case(name)
    near(init_activities_with_ffwd(params, x), entries(f"head/{name}/ffwd"))


@pytest.mark.parametrize(("convention", "name"), [("head", "A"), ("head", "B"), ("v001", "A")])
def test_flow_and_equilibrium(convention, name):
    params, y, x, loss_id = case(name)
    start = entries(f"{convention}/{name}/ffwd")
    speed = (2 if convention == "v001" else 1) / len(
        x
    )  # their time is that of a batch mean, ours of one sample
    exact = {"method": "dopri5", "rtol": 1e-10, "atol": 1e-12, "stop_rtol": 0.0, "stop_atol": 0.0}
    prefix = f"{convention}/{name}"
    at_20 = solve_inference(params, start, y, x, loss_id, max_t1=20 * speed, **exact)
    near(at_20.activities, entries(f"{prefix}/flow_t20"), 1e-6)
    near(at_20.activities, entries(f"{prefix}/infer_default"), 2e-3)
    at_rest = solve_inference(params, start, y, x, loss_id, max_t1=400 * speed, **exact).activities
    near(at_rest, entries(f"{prefix}/equilibrium"), 1e-6)
    scale = 2 if convention == "v001" else 1
    near(scale * pc_energy(params, at_rest, y, x, loss_id), ARRAYS[f"{prefix}/equilibrium_energy"], 1e-6)
    grads, _ = compute_pc_param_grads(params, at_rest, y, x, loss_id)
    gradients_near(jax.tree.map(lambda g: scale * g, grads), f"{prefix}/equilibrium_param_grad", 1e-6)


@pytest.mark.parametrize(("convention", "name"), [("head", "A"), ("head", "B"), ("v001", "A")])
def test_discrete_inference(convention, name):
    params, y, x, loss_id = case(name)
    prefix, scale = f"{convention}/{name}", 2 if convention == "v001" else 1
    optim, activities, energies = optax.sgd(0.2 * scale), entries(f"{prefix}/ffwd"), []
    opt_state = optim.init(activities)
    for _ in range(10):
        energy, activities, _, opt_state = update_activities(
            params, activities, optim, opt_state, y, x, loss_id
        )
        energies.append(scale * energy)
    near(jnp.stack(energies), ARRAYS[f"{prefix}/sgd10_energies"])
    near(activities, entries(f"{prefix}/sgd10_lr0.2"))


def test_hybrid():
    generator, amortizer = mlp("head/F/gen"), mlp("head/F/amort")
    prior, image = ARRAYS["head/F/gen_prior"], ARRAYS["head/F/gen_target"]
    guesses = init_activities_with_amort(amortizer, generator, image)
    near(guesses, entries("head/F/amort_init"))
    targets = entries("head/F/sup/equilib_activities_for_amort")
    near(hpc_energy(amortizer, targets, guesses, image, prior), ARRAYS["head/F/sup/hpc_energy"])
    near(
        hpc_energy(amortizer, targets, guesses, image, prior, record_layers=True),
        ARRAYS["head/F/sup/hpc_layer_energies"],
    )
    gradients_near(
        compute_hpc_param_grads(amortizer, targets, guesses, image, prior), "head/F/sup/hpc_param_grad"
    )
    exact = {"method": "dopri5", "rtol": 1e-10, "atol": 1e-12, "stop_rtol": 0.0, "stop_atol": 0.0}
    found = solve_inference(generator, guesses[1:], image, prior, max_t1=100.0, **exact).activities
    near(found, entries("head/F/sup/gen_equilibrium"), 1e-6)
    gradients_near(
        compute_pc_param_grads(generator, found, image, prior)[0], "head/F/sup/gen_param_grad", 1e-6
    )


@pytest.mark.parametrize(
    ("name", "param_type"), [("sp_noskip", "sp"), ("sp_skip", "sp"), ("mupc_skip", "mupc")]
)
def test_parameterizations(name, param_type):
    prefix = f"head/G/{name}"
    params = preactivation_mlp(), make_skip_model(4) if name.endswith("_skip") else None
    x, y = ARRAYS["head/G/x"], ARRAYS["head/G/y"]
    near(init_activities_with_ffwd(params, x, param_type=param_type), entries(f"{prefix}/ffwd"))
    activities = entries(f"{prefix}/activities")
    options = {"param_type": param_type}
    near(pc_energy(params, activities, y, x, **options), ARRAYS[f"{prefix}/energy"])
    near(
        pc_energy(params, activities, y, x, **options, record_layers=True), ARRAYS[f"{prefix}/layer_energies"]
    )
    near(compute_activity_grad(params, activities, y, x, **options)[1], entries(f"{prefix}/act_grad"))
    gradients_near(compute_pc_param_grads(params, activities, y, x, **options)[0], f"{prefix}/param_grad")
    linear = preactivation_mlp(act=lambda z: z), params[1]
    near(
        linear_energy_rescaling(linear, x, param_type=param_type), ARRAYS[f"{prefix}/theory_linear_energy_S"]
    )
